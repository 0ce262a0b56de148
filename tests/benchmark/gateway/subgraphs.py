"""A workload's subgraphs as servers, never the bottleneck: each request body is executed once, then only looked up.

    python -m tests.benchmark.gateway.subgraphs FOLDER WORKLOAD

writes FOLDER/subgraphs.json (name → URL) once all listen. GET on any of them says how many requests each had since the
last GET, and how many of them had to be executed. A body that is not known is executed by graphql-core over the
catalogue; as gateways send the same bodies again and again, a run executes each a single time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import graphql
import httptools
import orjson
import uvloop

from graphrouter.transport import SubgraphRequest, SubgraphResponse
from tests.benchmark.gateway.workload import Workload
from tests.benchmark.gateway.workloads import named

_MACHINERY = """
scalar _Any
type _Service { sdl: String }
union _Entity = %s
extend type Query { _service: _Service! _entities(representations: [_Any!]!): [_Entity]! }
"""


class Subgraph:
    """Answers request bodies with response bodies; `requests` and `executed` count."""

    def __init__(self, name: str, workload: Workload) -> None:
        self.requests = self.executed = 0
        self._answers: dict[bytes, bytes] = {}
        sdl = workload.sdls[name]
        query_type = "" if "type Query" in sdl else "type Query"
        self._schema = graphql.build_schema(
            sdl + query_type + _MACHINERY % workload.entities[name], assume_valid_sdl=True
        )
        self._root: dict[str, Any] = {
            "_service": {"sdl": sdl},
            "_entities": lambda _info, representations: list(map(workload.entity, representations)),
            **workload.root,
        }

    def answer(self, body: bytes) -> bytes:
        self.requests += 1
        found = self._answers.get(body)
        if found is None:
            self.executed += 1
            request = cast("dict[str, Any]", orjson.loads(body))
            result = graphql.graphql_sync(
                self._schema, request["query"], self._root, variable_values=request.get("variables") or {}
            )
            found = self._answers[body] = orjson.dumps(result.formatted)
        return found

    def counts(self) -> dict[str, int]:
        counted = {"requests": self.requests, "executed": self.executed}
        self.requests = self.executed = 0
        return counted


class Ready:
    """A subgraph as a transport without HTTP; it gives way once, as a request over a socket does."""

    def __init__(self, subgraph: Subgraph) -> None:
        self._subgraph = subgraph

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        await asyncio.sleep(0)
        return SubgraphResponse(200, {}, self._subgraph.answer(request.body))


class _Connection(asyncio.Protocol):
    """One client's connection, kept alive."""

    def __init__(self, name: str, subgraphs: dict[str, Subgraph]) -> None:
        self._name = name
        self._subgraphs = subgraphs
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._transport.close()  # nobody here speaks another protocol

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"GET":
            answer = orjson.dumps({name: subgraph.counts() for name, subgraph in self._subgraphs.items()})
        else:
            answer = self._subgraphs[self._name].answer(b"".join(self._body))
        self._body.clear()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer)
        )


async def listen(workload: Workload) -> tuple[dict[str, str], list[asyncio.Server]]:
    """Starts the subgraphs: their URLs and their servers."""
    loop = asyncio.get_running_loop()
    subgraphs = {name: Subgraph(name, workload) for name in workload.sdls}
    urls: dict[str, str] = {}
    servers: list[asyncio.Server] = []
    for name in subgraphs:
        server = await loop.create_server(partial(_Connection, name, subgraphs), "127.0.0.1", 0)
        servers.append(server)
        urls[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql"
    return urls, servers


async def _serve(folder: Path, workload: str) -> None:
    urls, servers = await listen(named(workload))
    file = folder / "subgraphs.json"
    file.with_suffix(".new").write_text(json.dumps(urls))
    file.with_suffix(".new").rename(file)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), sys.argv[2]))
