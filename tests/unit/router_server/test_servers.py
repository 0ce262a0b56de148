"""Servers of a process of one's own."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from unittest.mock import patch

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from graphrouter.server.servers import Endpoint, NotStarted, Servers
from infra.patience import seconds


async def test_the_collector_is_set_for_serving_before_anybody_is_waited_for() -> None:
    """A full pass over what was loaded at the start would keep everybody waiting for tens of milliseconds."""
    servers = Servers()
    with patch.object(gc, "freeze") as freeze, patch.object(gc, "set_threshold") as set_threshold:
        waiting = asyncio.create_task(servers.until_stopped())
        await asyncio.sleep(0)
        freeze.assert_called_once_with()
        set_threshold.assert_called_once()
        assert set_threshold.call_args.args[0] >= 100_000
        servers.stop()
        await waiting


@pytest.fixture
def untouched_collector() -> Iterator[None]:
    with patch("graphrouter.server.servers.set_collector_for_serving"):
        yield


@pytest.mark.usefixtures("untouched_collector")
async def test_the_first_signal_drains_every_server_and_the_second_stops_them() -> None:
    servers = Servers(drain_seconds=3600)
    servers.stop_on_signals()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    await servers.start([Endpoint(PlainTextResponse("here"), listener) for listener in listeners])
    stopped = asyncio.create_task(servers.until_stopped())
    try:
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(seconds(30)):
            while not all(connections.draining for connections in servers.connections):  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert not servers.stopping
        async with httpx.AsyncClient(timeout=seconds(30)) as client:
            for listener in listeners:
                answer = await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
                assert (answer.text, answer.headers["connection"]) == ("here", "close")
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(stopped, seconds(30))
    finally:
        await servers.shut_down()


@pytest.mark.usefixtures("untouched_collector")
async def test_without_a_time_to_drain_the_first_signal_stops() -> None:
    servers = Servers()
    servers.stop_on_signals()
    stopped = asyncio.create_task(servers.until_stopped())
    await asyncio.sleep(0)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(stopped, seconds(30))
    assert servers.stopping


async def test_an_app_that_does_not_start_is_told_and_the_process_goes_on() -> None:
    @asynccontextmanager
    async def failing(_app: Starlette) -> AsyncGenerator[None]:
        if listener.fileno() != -1:
            raise ValueError("not today")
        yield

    servers = Servers()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(NotStarted, match="an app's lifespan failed, the log says why"):
            await servers.start([Endpoint(Starlette(lifespan=failing), listener)])
        await servers.shut_down()
