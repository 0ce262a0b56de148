"""Runs the federation audit through the whole router, its subgraphs in-process or behind HTTP; prints a table of it.

`make audit` runs this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncGenerator
from typing import Any, Literal
from uuid import uuid4

import orjson
import uvicorn

from graphrouter import GraphRouter
from graphrouter.transport.inprocess import InProcessTransport
from tests.support.federation_audit import AUDIT, audit_module, suite_names

Transport = Literal["in-process", "http"]
TRANSPORTS: tuple[Transport, ...] = ("in-process", "http")


async def failures(suite: Any, transport: Transport) -> dict[int, list[str]]:
    """What is wrong with each case's answer in the kit's strict mode, by the case's number; empty if all pass."""
    app = audit_module("audit.asgi").create_app([suite])
    problems = audit_module("audit.check").problems
    failed: dict[int, list[str]] = {}
    async with contextlib.AsyncExitStack() as stack:
        if transport == "http":
            base = await stack.enter_async_context(_served(app))
            subgraphs: dict[str, Any] = {}
        else:
            base = "http://audit.invalid"
            subgraphs = {name: InProcessTransport(app, path=f"/{suite.id}/{name}") for name in suite.subgraphs()}
        router = await stack.enter_async_context(GraphRouter.from_supergraph(suite.supergraph(base), subgraphs))
        for number, case in enumerate(suite.cases()):
            answer = await router.execute(case.query.replace("__REQUEST_ID__", uuid4().hex))
            found = problems(case, orjson.loads(orjson.dumps(answer.body())), strict=True)
            if found:
                failed[number] = [f"case {number}: {problem}\n{case.query}" for problem in found]
    return failed


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


async def _table() -> bool:
    """Prints one line per suite, then what failed; whether nothing did."""
    row = "{:<38}{:>6}{:>12}{:>8}".format
    print(row("suite", "cases", *TRANSPORTS))
    told: list[str] = []
    total, passed = 0, dict.fromkeys(TRANSPORTS, 0)
    for name in suite_names():
        suite = audit_module("audit.cases").load_suite(name)
        cases = len(suite.cases())
        total += cases
        here: dict[Transport, int] = {}
        for transport in TRANSPORTS:
            failed = await failures(suite, transport)
            here[transport] = cases - len(failed)
            passed[transport] += here[transport]
            told += [f"{name}, {transport}, {problem}" for found in failed.values() for problem in found]
        print(row(name, cases, *here.values()), flush=True)
    print(row("all", total, *passed.values()))
    print("".join(f"\n{problem}\n" for problem in told), end="")
    return not told


def main() -> None:
    """Exits with 1 where a case fails, with 2 where the kit is absent."""
    if not suite_names():
        print(f"the federation audit is absent: {AUDIT}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if asyncio.run(_table()) else 1)


if __name__ == "__main__":
    main()
