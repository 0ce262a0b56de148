"""The examples, run as their pages say."""

from __future__ import annotations

import asyncio
import doctest
import json
import re
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from infra.patience import seconds
from tests.support.kith import clean_environment, kith_up, run_command

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ROUTER_PAGE = (ROOT / "router" / "README.md").read_text()
READY_SECONDS = 30
"""Of a quiet machine of the usual speed."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


async def test_the_fourth_subgraph_joins_the_running_three(tmp_path: Path) -> None:
    page = (EXAMPLES / "fourth_subgraph" / "README.md").read_text()
    up, posts, compose_and_serve = blocks(page, "sh")
    assert up == ".venv/bin/kith up --http\n"
    async with kith_up(tmp_path / "data", "--http") as kith, AsyncExitStack() as stack:
        ports = {"9004": free_port(), "4000": free_port()}
        origins = {f"127.0.0.1:{port}": f"127.0.0.1:{free}" for port, free in ports.items()}
        for port, name in (("9001", "users"), ("9002", "friends"), ("9003", "recommendations")):
            found = re.search(rf"^ *{name} +http://(\S+)/graphql$", kith.banner, re.MULTILINE)
            assert found, kith.banner
            origins[f"127.0.0.1:{port}"] = found[1]
        elsewhere = {
            **origins,
            "posts.py 9004": f"posts.py {ports['9004']}",
            "--port 4000": f"--port {ports['4000']}",
            "examples/fourth_subgraph/with-posts.graphql": str(tmp_path / "with-posts.graphql"),
            ".venv/bin/": f"{Path(sys.executable).parent}/",
        }
        compose, serve = replaced(compose_and_serve, elsewhere).split("\n" + elsewhere[".venv/bin/"])
        await stack.enter_async_context(running(replaced(posts, elsewhere), ROOT, ports["9004"]))
        composed = await run_command(["sh", "-c", compose], seconds=30, cwd=ROOT)
        assert (composed.code, composed.output, composed.errors) == (0, "", "")
        await stack.enter_async_context(running(elsewhere[".venv/bin/"] + serve, ROOT, ports["4000"]))

        source = replaced("\n".join(blocks(page, "pycon")), origins)
        typed_in = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        await asyncio.to_thread(runner.run, typed_in, out=report.append)
        results = runner.summarize(verbose=False)
        assert (results.failed, results.attempted > 5) == (0, True), "".join(report)


async def test_the_router_alone_answers_what_its_page_says(tmp_path: Path) -> None:
    page = (EXAMPLES / "router_alone" / "README.md").read_text()
    reviews, router, curl, _ = blocks(page, "sh")
    (expected,) = blocks(page, "json")
    ports = {"4000": str(free_port()), "4001": str(free_port())}
    folder = tmp_path / "router_alone"
    shutil.copytree(EXAMPLES / "router_alone", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "main.py").write_text(replaced((folder / "main.py").read_text(), ports))
    # The router comes first: the page says that the order makes no difference.
    async with (
        running(replaced(router, ports), folder, ports["4000"]),
        running(replaced(reviews, ports), folder, ports["4001"]),
        httpx.AsyncClient(timeout=seconds(READY_SECONDS)) as client,
    ):
        await answered(f"http://127.0.0.1:{ports['4000']}/health/ready", 200)
        ((url, body),) = re.findall(r"(http://\S+) --json '(.*)'", replaced(curl, ports))
        assert (await client.post(url, json=json.loads(body))).json() == json.loads(expected)


def test_the_five_lines_of_the_routers_page_are_those_of_the_example() -> None:
    written = (EXAMPLES / "router_alone" / "main.py").read_text()
    lines = [line for line in written.splitlines() if line and not line.startswith(('"""', "#"))]
    assert len(lines) == 5
    first, *_ = blocks(ROUTER_PAGE, "python")
    assert [line for line in first.splitlines() if line] == lines


async def test_the_commands_of_the_routers_page_print_what_it_says(tmp_path: Path) -> None:
    for name in ("users.graphql", "reviews.graphql", "me.graphql"):
        shutil.copy(EXAMPLES / "router_alone" / name, tmp_path)
    typed_in = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks(ROUTER_PAGE, "console")), re.MULTILINE)
    assert len(typed_in) > 5
    for command, expected in typed_in:
        finished = await run_command(["sh", "-c", with_scripts(command)], seconds=30, cwd=tmp_path)
        assert (finished.output + finished.errors).rstrip() == expected.rstrip(), command


def with_scripts(command: str) -> str:
    """The command in a shell that finds this environment's programs first, and no terminal to draw for."""
    return f'PATH="{Path(sys.executable).parent}:$PATH"; {command}'


def replaced(text: str, by: Mapping[str, str]) -> str:
    for old, new in by.items():
        text = text.replace(old, new)
    return text


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@asynccontextmanager
async def running(command: str, folder: Path, port: str) -> AsyncGenerator[None]:
    """A server that the command starts in a folder, from when its port answers until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        with_scripts(f"exec {command.strip()}"),
        stdin=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env=clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        await answered(f"http://127.0.0.1:{port}/health/live")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), seconds(READY_SECONDS))


async def answered(url: str, status: int | None = None) -> None:
    """Returns when the server answers, with this status if one is given: another process tells nobody when it can."""
    async with asyncio.timeout(seconds(READY_SECONDS)), httpx.AsyncClient(timeout=seconds(30)) as client:
        while True:
            try:
                response = await client.get(url)
            except httpx.TransportError:
                response = None
            if response is not None and status in {None, response.status_code}:
                return
            await asyncio.sleep(0.05)
