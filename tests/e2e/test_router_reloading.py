"""`graphrouter serve` under load, while its configuration and its supergraph change, for better and for worse."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from graphrouter.composition import SubgraphSdl, compose
from infra.patience import seconds
from tests.support.tiny_subgraph import TinySubgraph

pytestmark = pytest.mark.timeout(600)

CLIENTS = 2
RELOADS = 20


class Growing:
    """A subgraph whose schema can be replaced."""

    def __init__(self) -> None:
        self.become("")

    def become(self, more: str) -> None:
        root = {"number": 1, "more": 2, "other": lambda _info: None}
        link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
        machinery = 'type T @key(fields: "id") { id: ID }'
        sdl = f"{link}type Query {{ number: Int {more} }} {machinery}"
        plain = f"directive @key(fields: String!) on OBJECT type Query {{ number: Int {more} }} {machinery}"
        made = TinySubgraph(plain, root, {"T": lambda _: None})
        made._root["_service"] = {"sdl": sdl}
        self.app = made

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def growing_subgraph() -> AsyncGenerator[tuple[Growing, str]]:
    subgraph = Growing()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(subgraph, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield subgraph, f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def graphrouter_serve(*options: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """The process, and the origin that it serves."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graphrouter", "serve", *options), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), seconds(30))
    draining = asyncio.create_task(process.stderr.read())
    try:
        yield process, line.decode().strip().removesuffix("/graphql")
    finally:
        if process.returncode is None:
            process.terminate()
        log = (await draining).decode()
        await process.wait()
        assert "Traceback" not in log, log


async def told(client: httpx.AsyncClient, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What readiness tells, as soon as the condition holds."""
    async with asyncio.timeout(seconds(30)):
        while True:
            found: dict[str, Any] = (await client.get("/health/ready")).json()
            if condition(found):
                return found
            await asyncio.sleep(0.02)


def refused_with(reason: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: reason in found["configuration"].get("refused", "")


def from_number(generation: int) -> Callable[[dict[str, Any]], bool]:
    """The two files may be noticed together or one after the other."""
    return lambda found: found["configuration"]["generation"] >= generation and "refused" not in found["configuration"]


def write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


async def test_no_request_is_lost_over_twenty_reloads_good_and_bad(tmp_path: Path) -> None:
    config, supergraph = tmp_path / "router.yaml", tmp_path / "all.graphql"
    stopping = asyncio.Event()
    async with growing_subgraph() as (subgraph, url):
        subgraph.become("more: Int")

        def is_composed(more: str) -> None:
            sdl = f"type Query {{ number: Int {more} }}"
            write(supergraph, compose([SubgraphSdl("a", url, sdl)]).supergraph_sdl)

        def is_configured(aliases: int, more: str = "") -> None:
            write(
                config,
                f"supergraph: all.graphql\nserver: {{port: 0, log_level: warning}}\n{more}\n"
                f"limits: {{aliases: {aliases}}}\n",
            )

        is_composed("")
        is_configured(5)
        async with (
            graphrouter_serve("--config", str(config)) as (process, origin),
            httpx.AsyncClient(base_url=origin, timeout=seconds(30)) as client,
        ):

            async def load() -> int:
                answered = 0
                async with httpx.AsyncClient(base_url=origin, timeout=seconds(30)) as own:
                    while not stopping.is_set():
                        response = await own.post("/graphql", json={"query": "{ number }"})
                        assert (response.status_code, response.json()) == (200, {"data": {"number": 1}})
                        answered += 1
                return answered

            async with asyncio.TaskGroup() as group:
                loads = [group.create_task(load()) for _ in range(CLIENTS)]
                generation = 1
                for number in range(RELOADS):
                    if number % 4 == 1:
                        is_configured(5, f"unknown{number}: 1")
                        found = await told(client, refused_with(f"unknown{number}"))
                    elif number % 4 == 3:
                        write(supergraph, f"type Query {{ bad{number}: Int }}")
                        found = await told(client, refused_with("all.graphql: "))
                    else:
                        is_composed(f"more{number}: Int")
                        is_configured(number + 1)
                        if number % 8 == 0:
                            process.send_signal(signal.SIGHUP)
                        found = await told(client, from_number(generation + 1))
                    assert found["status"] == "ready"
                    generation = found["configuration"]["generation"]
                last = await client.post("/graphql", json={"query": f"{{ more{RELOADS - 2} }}"})
                assert last.json()["errors"][0]["extensions"]["code"] != "GRAPHQL_VALIDATION_FAILED"
                stopping.set()
            assert generation >= 1 + RELOADS // 2
            assert all(task.result() > 0 for task in loads)


async def test_subgraphs_that_are_composed_by_the_router_are_looked_at_again(tmp_path: Path) -> None:
    config = tmp_path / "router.yaml"
    config.write_text("composition: {poll_seconds: 0.05}\nserver: {port: 0}\n")
    async with (
        growing_subgraph() as (subgraph, url),
        graphrouter_serve("--config", str(config), "--subgraph", f"a={url}") as (_, origin),
        httpx.AsyncClient(base_url=origin, timeout=seconds(30)) as client,
    ):
        await told(client, lambda one: one["status"] == "ready")
        refused = await client.post("/graphql", json={"query": "{ more }"})
        assert refused.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        subgraph.become("more: Int")
        await told(client, lambda one: one["configuration"]["generation"] >= 2)
        answered = await client.post("/graphql", json={"query": "{ more number }"})
        assert answered.json() == {"data": {"more": 2, "number": 1}}
        subgraph.become("other: Int @inaccessible")
        found = await told(client, lambda one: "refused" in one["configuration"])
        assert found["configuration"]["generation"] >= 2


async def test_metrics_at_a_port_of_their_own_follow_the_hosts_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "router.yaml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async with growing_subgraph() as (_, url):

        def is_served_as(*hosts: str) -> None:
            write(
                config,
                f"server: {{port: 0, log_level: warning, hosts: [{', '.join(hosts)}]}}\n"
                f"subgraphs: {{a: {{url: '{url}'}}}}\nmetrics: {{port: {port}}}\n",
            )

        is_served_as("one.example")
        async with (
            graphrouter_serve("--config", str(config)) as (process, origin),
            httpx.AsyncClient(base_url=origin, timeout=seconds(30)) as client,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=seconds(30)) as reader,
        ):
            await told(client, from_number(1))
            assert (await client.post("/graphql", json={"query": "{ number }"})).json() == {"data": {"number": 1}}
            assert (await client.get("/metrics")).status_code == 404
            assert (await reader.get("/graphql", params={"query": "{ number }"})).status_code == 404
            text = (await reader.get("/metrics", headers={"host": "one.example"})).text
            assert "http_server_request_duration_seconds_count{" in text
            assert (await reader.get("/metrics", headers={"host": "two.example"})).status_code == 421
            is_served_as("one.example", "two.example")
            await told(client, from_number(2))
            assert (await reader.get("/metrics", headers={"host": "two.example"})).status_code == 200
            process.terminate()
            assert await asyncio.wait_for(process.wait(), seconds(30)) == 0
