"""The router's built wheel, alone in an empty environment: five lines federate an ASGI app and a URL."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from infra.patience import seconds

ROOT = Path(__file__).resolve().parents[2]

FIVE_LINES = """
import uvicorn
from graphrouter import federate
from tiny_subgraph import users_subgraph
app = federate({{"users": users_subgraph(), "reviews": "http://127.0.0.1:{reviews}/graphql"}})
uvicorn.run(app, port={port})
"""

ALONE = """
import asyncio, sys
sys.path.insert(0, "{folder}")
from graphrouter import GraphRouter, federate
from tiny_subgraph import users_subgraph
async def main():
    federate({{"users": users_subgraph()}})
    async with await GraphRouter.compose({{"users": users_subgraph()}}) as router:
        print((await router.execute("{{ me {{ name }} }}")).data)
asyncio.run(main())
"""

SUBGRAPH = """
import uvicorn
from tiny_subgraph import reviews_subgraph
uvicorn.run(reviews_subgraph(), port={reviews})
"""

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT / "router"))
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"{wheel}[serve]")
    shutil.copy(ROOT / "tests" / "support" / "tiny_subgraph.py", folder)
    return folder


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_pages_and_the_assets_that_are_there(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("pages", "assets"):
        files = (ROOT / "router" / "graphrouter" / "server" / folder).glob("*")
        assert {f"graphrouter/server/{folder}/{file.name}" for file in files} <= names
    assert {"graphrouter/server/pages/playground.html", "graphrouter/server/pages/playground.js"} <= names


def test_the_library_alone_brings_no_command_line_and_no_server(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    _run(sys.executable, "-m", "venv", str(tmp_path))
    _run(str(python), "-m", "pip", "install", "--quiet", str(wheel))
    installed = _run(str(python), "-m", "pip", "list", "--format=freeze").lower()
    assert not {line.partition("==")[0] for line in installed.splitlines()} & {"typer", "uvicorn", "uvloop", "click"}
    shutil.copy(ROOT / "tests" / "support" / "tiny_subgraph.py", tmp_path)
    assert _run(str(python), "-c", ALONE.format(folder=tmp_path)).strip() == "{'me': {'name': 'Ada'}}"
    command = subprocess.run([tmp_path / "bin" / "graphrouter"], capture_output=True, text=True, check=False)
    assert (command.returncode, command.stderr.count("\n")) == (1, 1)
    assert "install 'graphrouter[serve]'" in command.stderr


def test_nothing_of_this_repository_or_of_its_databases_comes_along(environment: Path) -> None:
    installed = _run(str(environment / "bin" / "python"), "-m", "pip", "list", "--format=freeze").lower()
    names = {line.partition("==")[0] for line in installed.splitlines()}
    assert "graphrouter" in names
    unwanted = {"kithgraph", "strawberry-graphql", "aiokafka", "motor", "pymongo", "neo4j"}
    assert not names & unwanted
    version = _run(str(environment / "bin" / "graphrouter"), "--version")
    assert version.startswith("graphrouter ")


async def test_five_lines_federate_an_app_and_a_url(environment: Path) -> None:
    port, reviews = _free_port(), _free_port()
    async with (
        _python(environment, FIVE_LINES.format(port=port, reviews=reviews)),
        httpx.AsyncClient(timeout=seconds(30)) as client,
    ):
        ready = f"http://127.0.0.1:{port}/health/ready"
        waiting = await _answer(client, ready, 503)
        assert "reviews" in waiting.json()["reason"]
        async with _python(environment, SUBGRAPH.format(reviews=reviews)):
            await _answer(client, ready, 200)
            query = "{ me { name reviews { body } } }"
            response = await client.post(f"http://127.0.0.1:{port}/graphql", json={"query": query})
            assert response.json() == {
                "data": {"me": {"name": "Ada", "reviews": [{"body": "first"}, {"body": "third"}]}}
            }


@asynccontextmanager
async def _python(environment: Path, code: str) -> AsyncGenerator[None]:
    process = await asyncio.create_subprocess_exec(
        environment / "bin" / "python", "-c", code, cwd=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _answer(client: httpx.AsyncClient, url: str, status: int) -> httpx.Response:
    """The first answer with this status: another process tells nobody when it is ready."""
    for _ in range(300):
        try:
            response = await client.get(url)
        except httpx.ConnectError:
            response = None
        if response is not None and response.status_code == status:
            return response
        await asyncio.sleep(0.05)
    raise AssertionError(f"{url} did not answer with {status}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
