"""Two routers are restarted in turn under load, behind a balancer that goes by their health: no request is lost."""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.patience import seconds

QUERY = {"query": "{ n }"}
SUPERGRAPH_OPTIONS = ("--limit", "connections=100", "--log-level", "warning")
WORKERS = 8


async def subgraph(request: Request) -> Response:
    if "__typename" in (await request.body()).decode():
        return JSONResponse({"data": {"__typename": "Query"}})
    await asyncio.sleep(0.02)  # so that requests are under way whenever the signal comes
    return JSONResponse({"data": {"n": 1}})


@asynccontextmanager
async def serving(app: Starlette) -> AsyncGenerator[str]:
    """The address at which it is served."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Router:
    """A `graphrouter serve` that is started again on the same port."""

    command: list[str]
    port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command, "--port", str(self.port), stderr=asyncio.subprocess.PIPE
        )
        assert self.process.stderr is not None
        line = (await asyncio.wait_for(self.process.stderr.readline(), seconds(20))).decode()
        found = re.match(r"http://127\.0\.0\.1:(\d+)/graphql", line)
        assert found, line
        self.port = int(found[1])

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> None:
        assert self.process is not None
        await asyncio.wait_for(self.process.communicate(), seconds(60))


@dataclass
class Balancer:
    """Sends requests to the routers that said that they are ready when they were asked last."""

    routers: list[Router]
    client: httpx.AsyncClient
    ready: set[int] = field(default_factory=set)
    """Numbers of routers."""
    answers: int = 0
    lost: list[str] = field(default_factory=list)
    looked: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def look(self) -> None:
        while True:
            for number, router in enumerate(self.routers):
                is_ready = False
                with suppress(httpx.TransportError):
                    is_ready = (await self.client.get(f"{router.origin}/health/ready")).status_code == 200
                (self.ready.add if is_ready else self.ready.discard)(number)
            async with self.looked:
                self.looked.notify_all()
            await asyncio.sleep(0.02)

    async def until_ready(self, *numbers: int) -> None:
        async with asyncio.timeout(seconds(30)), self.looked:
            await self.looked.wait_for(lambda: self.ready == set(numbers))

    async def work(self) -> None:
        for turn in itertools.count():
            ready = sorted(self.ready)
            router = self.routers[ready[turn % len(ready)]]
            try:
                response = await self.client.post(f"{router.origin}/graphql", json=QUERY)
                if response.json() != {"data": {"n": 1}}:
                    self.lost.append(response.text)
            except httpx.HTTPError as error:
                self.lost.append(f"{type(error).__name__}: {error}")
            self.answers += 1


@asynccontextmanager
async def balanced(folder: Path, drain: float) -> AsyncGenerator[Balancer]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(
            serving(Starlette(routes=[Route("/graphql", subgraph, methods=["POST"])]))
        )
        (folder / "a.graphql").write_text("type Query { n: Int }")
        base = [sys.executable, "-m", "graphrouter"]
        composing = await asyncio.create_subprocess_exec(
            *base, "compose", f"a={folder / 'a.graphql'}", "-o", str(folder / "all.graphql")
        )
        assert await composing.wait() == 0
        serve = [*base, "serve", "-s", str(folder / "all.graphql"), "--subgraph", f"a={url}/graphql"]
        serve += [*SUPERGRAPH_OPTIONS, "--drain", str(drain)]
        routers = [Router(serve, 0), Router(serve, 0)]
        for router in routers:
            await router.start()
            stack.callback(_kill, router)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=seconds(30)))
        balancer = Balancer(routers, client)
        looking = asyncio.create_task(balancer.look())
        stack.callback(looking.cancel)
        await balancer.until_ready(0, 1)
        yield balancer


def _kill(router: Router) -> None:
    if router.process is not None and router.process.returncode is None:
        router.process.kill()


async def test_a_rolling_restart_under_load_loses_no_request(tmp_path: Path) -> None:
    async with balanced(tmp_path, drain=seconds(3)) as balancer:
        working = [asyncio.create_task(balancer.work()) for _ in range(WORKERS)]
        for number, router in enumerate(balancer.routers):
            before = balancer.answers
            router.terminate()
            await balancer.until_ready(1 - number)
            await router.ended()
            await router.start()
            await balancer.until_ready(0, 1)
            assert balancer.answers > before
        for task in working:
            task.cancel()
        await asyncio.wait(working)
        assert balancer.lost == []


async def test_while_it_drains_a_router_serves_newcomers_and_ends_each_connection(tmp_path: Path) -> None:
    async with balanced(tmp_path, drain=seconds(3)) as balancer:
        kept = await balancer.client.post(f"{balancer.routers[0].origin}/graphql", json=QUERY)
        assert "connection" not in kept.headers
        balancer.routers[0].terminate()
        await balancer.until_ready(1)
        async with httpx.AsyncClient(timeout=seconds(30)) as newcomer:
            answer = await newcomer.post(f"{balancer.routers[0].origin}/graphql", json=QUERY)
            assert (answer.json(), answer.headers["connection"]) == ({"data": {"n": 1}}, "close")
            health = await newcomer.get(f"{balancer.routers[0].origin}/health/ready")
            assert (health.status_code, health.json()["reason"]) == (503, "the server is going to stop")
            assert (await newcomer.get(f"{balancer.routers[0].origin}/health/live")).status_code == 200
        await balancer.routers[0].ended()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", balancer.routers[0].port)).close()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with balanced(tmp_path, drain=3600) as balancer:
        router = balancer.routers[0]
        router.terminate()
        await balancer.until_ready(1)
        router.terminate()
        await router.ended()
