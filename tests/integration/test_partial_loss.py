"""Views that lose a part of what they rest on, in each engine: it is found, told, and nobody gets an answer from it."""

from __future__ import annotations

import sqlite3
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.adapters.neo4j.connection import Neo4jConnection
from eventkernel.adapters.neo4j.views import Neo4jView
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import ManualClock
from eventkernel.reading.audit import Audit, NotAsLogged
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Projection, View
from eventkernel.writing.codec import Codec
from infra.local import MongodbAddress, Neo4jAddress
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES as GRAPH_EVENTS
from subgraphs.recommendations.projection import projection as recommendations
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.domain import EVENT_TYPES as USERS_EVENTS
from subgraphs.users.domain import UserCreated, stream_of
from subgraphs.users.projection import projection as users
from tests.support.mongodb_views import database_of
from tests.support.neo4j_views import settings_of

USERS = Codec(USERS_EVENTS)
NAMES = [f"user {number}" for number in range(20)]


class Site:
    """A log of users, and a view of it that is filled and at rest."""

    def __init__(
        self, log: MemoryEventStore, view: View[Any], projection: Projection[Any], codec: Codec = USERS
    ) -> None:
        self._log = log
        self.audit = Audit(view, [log], share=0)
        self.gate = BookmarkGate(view, [log], {"users"}, ManualClock(), self.audit)
        self._projector = Projector(projection, [Source(log, codec)], view, grace=0)

    async def fill(self) -> None:
        for number, name in enumerate(NAMES):
            stream = stream_of(f"0000-{number:04}")
            event = USERS.encode(UserCreated(first_name=name, last_name="x"), stream)
            await self._log.append(stream, [event], expected_version=0, command_id=f"c{number}", fingerprint="f")
        await self._projector.start()
        await self.gate.reach(await self._log.head(), (), 30)
        await self._projector.stop()

    async def check(self) -> str:
        """What is found to be wrong; whoever asks the view is refused then, and is not otherwise."""
        await self.audit.look()
        await self.audit.sweep()
        if not self.audit.flaws():
            await self.gate.wait(Bookmark(), 0)
            return ""
        with pytest.raises(NotAsLogged):
            await self.gate.wait(Bookmark(), 0)
        return self.audit.flaws()[0]


@pytest.fixture
async def log() -> MemoryEventStore:
    return MemoryEventStore("users", ManualClock())


async def test_a_part_of_a_view_in_sqlite_is_missed(log: MemoryEventStore, tmp_path: Path) -> None:
    view = await SqliteView.open(tmp_path / "users", SqliteUserView, shape=users.shape, logs=[log.log])
    async with aclosing(view):
        site = Site(log, view, users)
        await site.fill()
        assert await site.check() == ""
        connection = sqlite3.connect(tmp_path / "users" / f"{view.live().name}.sqlite", isolation_level=None)
        indexes = [
            (name, sql)
            for name, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'")
            if sql
        ]
        assert indexes
        for name, sql in indexes:
            connection.execute(f"DROP INDEX {name}")
            assert name in await site.check()
            connection.execute(f"CREATE INDEX {name} ON user (id)")  # of the same name, over something else
            assert name in await site.check()
            connection.execute(f"DROP INDEX {name}")
            connection.execute(sql)
            assert await site.check() == ""
        connection.close()


@pytest.mark.engines
async def test_a_part_of_a_view_in_mongodb_is_missed(
    log: MemoryEventStore, mongodb_server: MongodbAddress, engine_name: str
) -> None:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(database_of(mongodb_server.url, engine_name))
        opening = MongoView.open(database, "users", MongoUserView, shape=users.shape, logs=[log.log])
        view = await stack.enter_async_context(aclosing(await opening))
        site = Site(log, view, users)
        await site.fill()
        assert await site.check() == ""
        docs = database[f"users.{view.live().name}.docs"]
        for index in MongoUserView.collections["docs"]:
            made = dict(index.document)
            name, keys = made.pop("name"), list(made.pop("key").items())
            await docs.drop_index(name)
            assert f"the index {name} of" in await site.check()
            await docs.create_index(keys, name=name, **made)
            assert await site.check() == ""
        await docs.delete_one({"_id": "0000-0007"})
        assert "no document of the stream user-0000-0007" in await site.check()
        await docs.drop()
        assert await site.check()
        numbers = database["users.builds"]
        await numbers.drop_index("live")
        await numbers.create_index([("identity", 1), ("live_number", 1)], name="live")
        assert "the index live of users.builds has other keys or options" in await site.check()


@pytest.mark.engines
async def test_a_part_of_a_view_in_neo4j_is_missed(
    log: MemoryEventStore, neo4j_server: Neo4jAddress, engine_name: str
) -> None:
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(Neo4jConnection(settings_of(neo4j_server)))
        opening = Neo4jView.open(
            connection, engine_name, Neo4jRecommendationView, shape=recommendations.shape, logs=[log.log]
        )
        view = await stack.enter_async_context(aclosing(await opening))
        site = Site(log, view, recommendations, Codec(GRAPH_EVENTS, skip_others=True))
        await site.fill()
        assert await site.check() == ""
        build = view.live().name
        await connection.write("DROP CONSTRAINT person_id", {})
        try:
            assert "by which Person is unique in build, id" in await site.check()
        finally:
            for statement in Neo4jRecommendationView.constraints():
                await connection.write(statement, {})
        assert await site.check() == ""
        await connection.write("MATCH (p:Person {build: $build, id: '0000-0007'}) DETACH DELETE p", {"build": build})
        assert "no document of the stream user-0000-0007" in await site.check()
        await connection.write("MATCH (p:Person {build: $build}) DETACH DELETE p", {"build": build})
        assert await site.check()
        await view.drop(await _replaced(view))


async def _replaced(view: Neo4jView[Neo4jRecommendationView]) -> str:
    """Another build is live now; gives the name of the one before."""
    before = view.live().name
    await view.switch((await view.create()).name)
    return before
