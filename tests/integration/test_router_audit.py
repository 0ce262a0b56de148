"""Every case of the federation audit through the whole router, its subgraphs in-process and behind HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncGenerator
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import uvicorn

from graphrouter import GraphRouter
from graphrouter.transport.inprocess import InProcessTransport

KIT = Path(__file__).resolve().parents[3] / "shared" / "federation-audit"


def _suites() -> list[str]:
    return sorted(path.name for path in (KIT / "suites").iterdir()) if KIT.exists() else ["absent"]


@pytest.fixture(params=_suites())
def suite(request: pytest.FixtureRequest) -> Any:
    if not KIT.exists():
        pytest.skip(f"the federation audit kit is not at {KIT.parent.name}/{KIT.name} beside the repository")
    sys.path.insert(0, str(KIT))
    try:
        return import_module("audit.cases").load_suite(request.param)
    finally:
        sys.path.remove(str(KIT))


@contextlib.asynccontextmanager
async def _served(app: Any) -> AsyncGenerator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("transport", ["in-process", "http"])
async def test_every_case_of_the_audit_passes(suite: Any, transport: str) -> None:
    app = import_module("audit.asgi").create_app([suite])
    problems = import_module("audit.check").problems
    async with contextlib.AsyncExitStack() as stack:
        if transport == "http":
            base = await stack.enter_async_context(_served(app))
            subgraphs: dict[str, Any] = {}
        else:
            base = "http://audit.invalid"
            subgraphs = {name: InProcessTransport(app, path=f"/{suite.id}/{name}") for name in suite.subgraphs()}
        router = await stack.enter_async_context(GraphRouter.from_supergraph(suite.supergraph(base), subgraphs))
        failed: list[str] = []
        for number, case in enumerate(suite.cases()):
            query = case.query.replace("__REQUEST_ID__", uuid4().hex)
            answer = await router.execute(query)
            response = orjson.loads(orjson.dumps(answer.body()))
            failed += [f"case {number}: {problem}\n{query}" for problem in problems(case, response, strict=True)]
        assert not failed, "\n".join(failed)
