"""A view in Neo4j as tests want to have one: opened again and again, cut off from its server, and cleared away."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

from eventkernel.adapters.neo4j.connection import Neo4jConnection, Neo4jSettings
from eventkernel.adapters.neo4j.views import Neo4jView, Neo4jViewBuild
from eventkernel.testing.view_contract import LOG
from infra.local import Neo4jAddress
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.projection import projection

BuildT = TypeVar("BuildT", bound=Neo4jViewBuild[Any])
Doc = TypeVar("Doc")


def settings_of(address: Neo4jAddress, url: str | None = None) -> Neo4jSettings:
    return Neo4jSettings(url or address.url, address.user, address.password, address.authority)


async def clear(connection: Neo4jConnection, name: str, build_type: type[BuildT]) -> None:
    """Remove every build of a view."""
    rows = await connection.read("MATCH (b:KernelBuild {view: $view}) RETURN b.name", {"view": name})
    for (build,) in rows:
        await build_type(connection, build).remove()


@asynccontextmanager
async def empty_graph(address: Neo4jAddress, logs: Iterable[str] = (LOG,)) -> AsyncGenerator[Neo4jRecommendationView]:
    """A build of the recommendations' graph in a view of its own."""
    name, build_type = f"test_{secrets.token_hex(6)}", Neo4jRecommendationView
    async with Neo4jConnection(settings_of(address)) as connection:
        view = await Neo4jView.open(connection, name, build_type, shape=projection.shape, logs=logs)
        try:
            yield await view.create()
        finally:
            await view.aclose()
            await clear(connection, name, build_type)


class Gateway:
    """A way to a server that can be closed and opened: everything that goes through is cut off meanwhile.

    Between `hold` and `let_go` nothing goes through, and nobody is told.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), parts.port or 7687)
        self._port = 0
        self._listening: asyncio.Server | None = None
        self._ways: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()

    @classmethod
    async def to(cls, url: str) -> Self:
        gateway = cls(url)
        await gateway.open()
        return gateway

    @property
    def url(self) -> str:
        return f"bolt://127.0.0.1:{self._port}"

    async def open(self) -> None:
        self._listening = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for task in list(self._ways):
            task.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def hold(self) -> None:
        self._flowing.clear()

    def let_go(self) -> None:
        self._flowing.set()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways[task] = writer
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection(*self._server)
            copying = [asyncio.ensure_future(self._copy(*ends)) for ends in ((reader, there), (back, writer))]
            try:
                await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for copy in copying:
                    copy.cancel()
                await asyncio.gather(*copying, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()
            del self._ways[task]

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()


class Neo4jUnderTest(ABC, Generic[BuildT, Doc]):
    """Derived classes say which documents the view has."""

    def __init__(self, address: Neo4jAddress, name: str, build_type: type[BuildT], shape: int) -> None:
        self._address = address
        self._name = name
        self._build_type = build_type
        self._shape = shape
        self._gateway: Gateway | None = None
        self._connection: Neo4jConnection | None = None
        self._view: Neo4jView[BuildT] | None = None

    @abstractmethod
    def stream(self, number: int) -> str: ...

    @abstractmethod
    def doc(self, number: int, version: int) -> Doc: ...

    async def open(self) -> Neo4jView[BuildT]:
        if self._gateway is None:
            self._gateway = await Gateway.to(self._address.url)
            self._connection = Neo4jConnection(settings_of(self._address, self._gateway.url))
        assert self._connection is not None
        await self._close_view()
        self._view = await Neo4jView[BuildT].open(
            self._connection, self._name, self._build_type, shape=self._shape, logs=[LOG]
        )
        return self._view

    async def aclose(self) -> None:
        await self._close_view()
        if self._gateway is not None and self._connection is not None:
            await clear(self._connection, self._name, self._build_type)
            await self._connection.aclose()
            await self._gateway.close()

    async def stop_writes(self, after: int = 0) -> None:
        """As a server does that goes away."""
        assert self._gateway is not None
        await self._gateway.close()

    async def resume_writes(self) -> None:
        assert self._gateway is not None
        await self._gateway.open()

    async def _close_view(self) -> None:
        if self._view is not None:
            await self._view.aclose()
