"""The four subgraphs as servers that are never the bottleneck: each request body is executed once, then only looked up.

    python -m tests.benchmark.gateway.subgraphs FOLDER [LISTS]

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

from tests.benchmark.gateway.workload import SDLS, Catalogue

_MACHINERY = """
scalar _Any
type _Service { sdl: String }
union _Entity = %s
extend type Query { _service: _Service! _entities(representations: [_Any!]!): [_Entity]! }
"""
_ENTITIES = {"accounts": "User", "products": "Product", "inventory": "Product", "reviews": "User | Product | Review"}


class Subgraph:
    """Answers request bodies with response bodies; `requests` and `executed` count."""

    def __init__(self, name: str, catalogue: Catalogue) -> None:
        self.requests = self.executed = 0
        self._answers: dict[bytes, bytes] = {}
        self._catalogue = catalogue
        query_type = "" if "type Query" in SDLS[name] else "type Query"
        self._schema = graphql.build_schema(
            SDLS[name] + query_type + _MACHINERY % _ENTITIES[name], assume_valid_sdl=True
        )
        self._root: dict[str, Any] = {
            "_service": {"sdl": SDLS[name]},
            "_entities": self._entities,
            "users": list(catalogue.users.values()),
            "user": lambda _info, id: catalogue.users.get(id),
            "topProducts": lambda _info, first: catalogue.top_products[: first * len(catalogue.top_products) // 5],
        }

    def _entities(self, _info: Any, representations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        users, products = self._catalogue.users, self._catalogue.products
        return [
            users[one["id"]] if one["__typename"] == "User" else {**products[one["upc"]], **one}
            for one in representations
        ]

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


async def listen(catalogue: Catalogue) -> tuple[dict[str, str], list[asyncio.Server], dict[str, Subgraph]]:
    """Starts the four: their URLs, their servers, and themselves."""
    loop = asyncio.get_running_loop()
    subgraphs = {name: Subgraph(name, catalogue) for name in SDLS}
    urls: dict[str, str] = {}
    servers: list[asyncio.Server] = []
    for name in subgraphs:
        server = await loop.create_server(partial(_Connection, name, subgraphs), "127.0.0.1", 0)
        servers.append(server)
        urls[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql"
    return urls, servers, subgraphs


async def _serve(folder: Path, lists: int) -> None:
    urls, servers, _ = await listen(Catalogue(lists))
    file = folder / "subgraphs.json"
    file.with_suffix(".new").write_text(json.dumps(urls))
    file.with_suffix(".new").rename(file)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
