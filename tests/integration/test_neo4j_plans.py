"""What Neo4j does for each question: it looks up by indexes, and has bounded work for who has 100,000 friends, too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from neo4j import AsyncGraphDatabase, AsyncSession

from eventkernel.adapters.neo4j import statements
from eventkernel.adapters.neo4j.connection import Neo4jConnection, Parameters, Row
from eventkernel.errors import TooCostly
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import Moment
from eventkernel.reading.views import Fold, ParkedRecord
from eventkernel.writing.store import Checkpoint
from infra.local import Neo4jAddress
from subgraphs.recommendations.adapters import neo4j
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.adapters.neo4j_questions import NOW, Statements, Then
from tests.support.kafka_log import record
from tests.support.neo4j_views import empty_graph, settings_of

pytestmark = pytest.mark.engines

MANY = 100_000
FEW = 20

NOTHING: dict[str, Any] = {
    **{name: [] for name in ("ids", "twos", "users", "streams", "people", "friendships")},
    **{name: [] for name in ("released", "parked", "checkpoints")},
    **dict.fromkeys(("limit", "bound", "window", "most"), 1),
    "build": "none",
}
TIMES = Statements(Then(Moment(1)))
POSITIONS = Statements(Then(Position({Partition("users.a", 0): 1, Partition("friends.b", 0): 1})))
ASKED = {
    **{
        f"{question} {when}": getattr(texts, question)
        for when, texts in (("now", NOW), ("at a moment", TIMES), ("at a position", POSITIONS))
        for question in ("users", "recommended", "mutual_friends", "first_mutual_friends")
    },
    "load users": neo4j._LOAD_USERS,
    "load friendships": neo4j._LOAD_FRIENDSHIPS,
    "save": Neo4jRecommendationView._statement(),
    "look": statements.LOOK,
    "parked": statements.PARKED,
    "parked of": statements.PARKED_OF,
    "first parked": statements.FIRST_PARKED,
    "parking": statements.PARKING,
    "waiting": statements.WAITING,
    "count waiting": statements.COUNT_WAITING,
    "live": statements.LIVE,
    "drop relationships": statements.DROP_RELATIONSHIPS.format(label="Person", key="id"),
    "drop nodes": statements.DROP_NODES.format(label="Person", key="id"),
}


@pytest.fixture
async def session(neo4j_server: Neo4jAddress) -> AsyncIterator[AsyncSession]:
    auth = (neo4j_server.user, neo4j_server.password)
    async with AsyncGraphDatabase.driver(neo4j_server.url, auth=auth) as driver, driver.session() as session:
        yield session


@pytest.fixture
async def build(neo4j_server: Neo4jAddress) -> AsyncIterator[Neo4jRecommendationView]:
    async with empty_graph(neo4j_server) as build:
        yield build


def operators(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("children", ()):
        yield from operators(child)


async def hits(session: AsyncSession, statement: str, parameters: dict[str, Any]) -> int:
    """How often the statement touches the store."""
    profiled = f"PROFILE {statement}"
    result = await session.run(profiled, parameters)  # pyright: ignore[reportArgumentType]  # it is no literal
    profile = (await result.consume()).profile
    assert profile is not None
    return sum(operator["args"]["DbHits"] for operator in operators(profile))


@pytest.mark.parametrize("asked", ASKED)
async def test_everything_is_looked_up_by_an_index(
    session: AsyncSession, build: Neo4jRecommendationView, asked: str
) -> None:
    then = [1] if "position" in asked else 1
    explained, parameters = f"EXPLAIN {ASKED[asked]}", NOTHING | {"users_then": then, "friends_then": then}
    result = await session.run(explained, parameters)  # pyright: ignore[reportArgumentType]  # it is no literal
    plan = (await result.consume()).plan
    assert plan is not None
    names = [operator["operatorType"].partition("@")[0] for operator in operators(plan)]
    assert [name for name in names if "Scan" in name] == []
    assert any("Seek" in name for name in names)


async def test_what_is_asked_for_one_more_event_does_not_depend_on_how_much_is_parked(
    session: AsyncSession, build: Neo4jRecommendationView
) -> None:
    """Nor does parking it: thousands of a stream's records wait, behind some that were skipped."""
    streams = [f"user-{number}" for number in range(3)]
    skipped = [ParkedRecord(record(stream, version), "why", skipped=True) for stream in streams for version in (1, 2)]
    await build.save(Fold([], Checkpoint(), skipped))
    await build.parked_streams()
    seen: list[tuple[int, int]] = []
    asking: list[str] = []
    parked, read = 2, build.read

    async def watched(statement: str, parameters: Parameters) -> list[Row]:
        asking.append(statement)
        return await read(statement, parameters)

    for many in (10, 1_000, 4_000):
        entries = [ParkedRecord(record(stream, v), None) for stream in streams for v in range(parked + 1, many + 1)]
        for start in range(0, len(entries), 3_000):
            await build.save(Fold([], Checkpoint(), entries[start : start + 3_000]))
        await build.parked_streams()
        parked = many + 1
        asked = {"build": build.name, "streams": streams}
        firsts = await hits(session, statements.FIRST_PARKED, asked)
        with patch.object(build, "read", watched):
            await build.save(Fold([], Checkpoint(), [ParkedRecord(record(streams[0], parked), None)]))
            assert set(await build.parked_streams()) == set(streams)
        assert asking == [statements.PARKING, statements.FIRST_PARKED]
        asking.clear()
        seen.append((firsts, await hits(session, statements.PARKING, asked)))
        found = [(entry.record.version, entry.skipped) for entry in await build.first_parked(streams)]
        assert sorted(found) == [*[(2, True)] * 3, *[(3, False)] * 3]
    assert len(set(seen)) == 1, seen


async def crowd(connection: Neo4jConnection, build: str) -> None:
    """A star whom very many are friends with, and somebody with few friends, all of whom are."""
    person = (
        "CREATE (:Person:User {build: $build, id: $id, version: 1, created_us: 1, created_offset: 1, partition: 0})"
    )
    for user in ("star", "somebody"):
        await connection.write(person, {"build": build, "id": user})
    for start in range(0, MANY, 20_000):
        await connection.write(
            "MATCH (star:Person {build: $build, id: 'star'}) UNWIND range($start, $end) AS n"
            " CREATE (star)-[:FRIEND {since_us: 1, since_offset: 1, partition: 0}]->(:Person:User {build: $build,"
            " id: 'fan' + n, version: 1, created_us: 1, created_offset: 1, partition: 0})",
            {"build": build, "start": start, "end": start + 19_999},
            seconds=60,
        )
    await connection.write(
        "MATCH (one:Person {build: $build, id: 'somebody'}) UNWIND range(1, $few) AS n"
        " MATCH (fan:Person {build: $build, id: 'fan' + n}) CREATE (one)-[:FRIEND {since_us: 1, since_offset: 1,"
        " partition: 0}]->(fan)",
        {"build": build, "few": FEW},
    )


@pytest.mark.timeout(240)
async def test_the_work_is_bounded_for_who_has_very_many_friends(
    session: AsyncSession, build: Neo4jRecommendationView, neo4j_server: Neo4jAddress
) -> None:
    async with Neo4jConnection(settings_of(neo4j_server)) as connection:
        await crowd(connection, build.name)
    for questions in (build, build.as_of(Moment(5))):
        with pytest.raises(TooCostly):
            await questions.recommended(["star"], 10, MANY - 1)
        found = await questions.recommended(["somebody"], 10, 1_000_000)
        assert [(one.id, one.mutual_friends) for one in found["somebody"]] == [("star", FEW)]
        shared = await questions.mutual_friends([("star", "somebody")], None, 1_000)
        assert sorted(shared["star", "somebody"]) == sorted(f"fan{n}" for n in range(1, FEW + 1))
    for texts, line in ((NOW, {}), (TIMES, {"users_then": 5, "friends_then": 5})):
        asked = {"build": build.name, "limit": 10, **line}
        refused = await hits(session, texts.recommended, {**asked, "ids": ["star"], "bound": MANY - 1})
        assert refused < 100
        one = await hits(session, texts.recommended, {**asked, "ids": ["somebody"], "bound": 1_000})
        assert one < 100 * FEW
        twos = [[0, "star", "somebody"], [1, "somebody", "star"]]
        assert await hits(session, texts.mutual_friends, {**asked, "twos": twos, "bound": 1_000}) < 200 * FEW
        # The star's own: each fan is looked at once for the steps, and once for the answer.
        everybody = await hits(session, texts.recommended, {**asked, "ids": ["star"], "bound": 1_000_000})
        assert everybody < 40 * MANY
