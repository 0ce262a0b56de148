"""Several processes on one view in Neo4j: switches, saves side by side, looks at the right moment, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, LiteralString

import pytest
from neo4j import AsyncDriver, AsyncGraphDatabase, AsyncTransaction

from eventkernel.adapters.neo4j import build as build_module
from eventkernel.adapters.neo4j import statements
from eventkernel.adapters.neo4j.connection import Neo4jConnection, Neo4jSettings
from eventkernel.adapters.neo4j.views import Neo4jView
from eventkernel.errors import InvalidInput, Unavailable
from eventkernel.events import Position
from eventkernel.reading.views import BuildRetired, Change, Fold, ParkedRecord
from eventkernel.testing.view_contract import LOG, record, state, upto
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Checkpoint
from infra.local import Neo4jAddress
from infra.patience import seconds
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc, projection
from tests.support.feeding import Feed
from tests.support.neo4j_views import Gateway, clear, settings_of

pytestmark = pytest.mark.engines

SAVING: LiteralString = "MATCH (b:KernelBuild {name: $build}) SET b.saved_ms = timestamp()"
"""What a save begins with."""
Replica = Neo4jView[Neo4jRecommendationView]


class Replicas:
    """Processes that share a view of one name, each with a connection of its own."""

    def __init__(self, address: Neo4jAddress, name: str, stack: AsyncExitStack) -> None:
        self.address, self.name, self._stack = address, name, stack

    async def connection(self, settings: Neo4jSettings | None = None) -> Neo4jConnection:
        return await self._stack.enter_async_context(Neo4jConnection(settings or settings_of(self.address)))

    async def another(self, connection: Neo4jConnection | None = None, *, shape: int = projection.shape) -> Replica:
        view: Replica = await Neo4jView[Neo4jRecommendationView].open(
            connection or await self.connection(), self.name, Neo4jRecommendationView, shape=shape, logs=[LOG]
        )
        self._stack.push_async_callback(view.aclose)
        return view

    @asynccontextmanager
    async def held(self, statement: LiteralString, **parameters: Any) -> AsyncGenerator[AsyncTransaction]:
        """A transaction that has done this and is not committed: what it has locked stays so."""
        driver: AsyncDriver = AsyncGraphDatabase.driver(
            self.address.url, auth=(self.address.user, self.address.password)
        )
        async with driver, driver.session() as session, await session.begin_transaction() as transaction:
            await (await transaction.run(statement, parameters)).consume()
            yield transaction


@pytest.fixture
async def replicas(neo4j_server: Neo4jAddress, engine_name: str) -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        yield Replicas(neo4j_server, engine_name, stack)
    async with Neo4jConnection(settings_of(neo4j_server)) as connection:
        await clear(connection, engine_name, Neo4jRecommendationView)
        await connection.write("MATCH (v:KernelView {name: $name}) DELETE v", {"name": engine_name})


def friendship(number: int, *versions: int) -> Change[GraphDoc]:
    docs = {v: FriendshipDoc(("a", f"b{number}"), v - (v - 1) % 2, v - (v - 1) % 2, v % 2 == 0) for v in versions}
    return Change(f"friendship-a~b{number}", tuple(state(version, doc) for version, doc in docs.items()))


async def edges(build: Neo4jRecommendationView) -> dict[str, int]:
    statement = "MATCH (:Person {build: $build})-[r]->() RETURN type(r), count(*)"
    rows: list[tuple[str, int]] = [(kind, count) for kind, count in await build.read(statement, {})]
    return dict(rows)


async def stays(task: asyncio.Task[Any]) -> bool:
    """Whether it is not done for a while: something holds it up."""
    done, _ = await asyncio.wait((task,), timeout=0.3)
    return not done


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what another process has done: nobody tells
        await asyncio.sleep(0.01)


# The live build


async def test_a_switch_is_seen_by_every_replica_within_a_second(replicas: Replicas) -> None:
    one, two = await replicas.another(), await replicas.another()
    with pytest.raises(Unavailable):
        two.live()
    first = await one.create()
    waiting = asyncio.create_task(two.ready(30))
    await one.switch(first.name)
    async with asyncio.timeout(seconds(10)):
        old = await waiting
    assert old.name == first.name
    held_up = asyncio.create_task(old.reached(Position.of(LOG, 0, 99), 30))
    second = await one.create()
    await one.switch(second.name)
    async with asyncio.timeout(seconds(10)):
        with pytest.raises(BuildRetired):
            await held_up
        await until(lambda: two.live().name == second.name)
    with pytest.raises(BuildRetired):
        await old.save(Fold([friendship(1, 1)], upto(2)))
    assert await old.load(["friendship-a~b1"]) == {}, "what reads it may finish"


async def test_a_save_that_has_waited_for_a_switch_writes_nothing(replicas: Replicas) -> None:
    view = await replicas.another()
    build = await view.create()
    async with replicas.held(
        "MATCH (b:KernelBuild {name: $build}) SET b.locked = true, b.state = 'retired'", build=build.name
    ) as switching:
        saving = asyncio.create_task(build.save(Fold([friendship(1, 1)], upto(2))))
        assert await stays(saving)
        await switching.commit()
    with pytest.raises(BuildRetired):
        await saving
    assert await edges(build) == {}
    assert (await build.checkpoint()).position == Position()


async def test_a_switch_waits_for_the_save_that_is_under_way(replicas: Replicas) -> None:
    view = await replicas.another()
    first, second = await view.create(), await view.create()
    await view.switch(first.name)
    second_again = await view.create()
    async with replicas.held(SAVING, build=first.name) as saving:
        switching = asyncio.create_task(view.switch(second_again.name))
        assert await stays(switching)
        await saving.commit()
    await switching
    assert view.live().name == second_again.name
    with pytest.raises(Unavailable, match="went live since"):
        await view.switch(second.name)


async def test_of_two_rebuilds_side_by_side_one_goes_live(replicas: Replicas) -> None:
    one, two = await replicas.another(), await replicas.another()
    ours, theirs = await one.create(), await two.create()
    outcomes = await asyncio.gather(one.switch(ours.name), two.switch(theirs.name), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Unavailable]
    winner = ours if outcomes[0] is None else theirs
    assert (await (await replicas.another()).ready(5)).name == winner.name
    await winner.save(Fold([], upto(2)))


async def test_releases_that_fill_a_view_differently_have_a_live_build_each(replicas: Replicas) -> None:
    old, new = await replicas.another(), await replicas.another(shape=projection.shape + 1)
    first = await old.create()
    await old.switch(first.name)
    with pytest.raises(Unavailable):
        await new.ready(1)
    second = await new.create()
    await new.switch(second.name)
    assert (old.live().name, new.live().name) == (first.name, second.name)
    await first.save(Fold([friendship(1, 1)], upto(2)))


async def test_a_view_whose_server_was_emptied_is_filled_anew(replicas: Replicas) -> None:
    view = await replicas.another()
    build = await view.create()
    await view.switch(build.name)
    connection = await replicas.connection()
    await connection.write("MATCH (v:KernelView {name: $name}) DELETE v", {"name": replicas.name})
    await connection.write("MATCH (b:KernelBuild {name: $name}) DELETE b", {"name": build.name})
    with pytest.raises(BuildRetired):
        await build.save(Fold([], upto(2)))
    async with asyncio.timeout(seconds(10)):
        with pytest.raises(Unavailable):
            await until(lambda: view.live().name != build.name)
    new = await view.create()
    await view.switch(new.name)
    assert view.live().name == new.name


# Saves and looks


async def test_a_replica_is_told_what_another_one_has_saved(replicas: Replicas) -> None:
    one, two = await replicas.another(), await replicas.another()
    build = await one.create()
    await one.switch(build.name)
    there = await two.ready(5)
    waiting = asyncio.create_task(there.reached(Position.of(LOG, 0, 5), 30))
    others = [asyncio.create_task(there.reached(Position.of(LOG, 0, 99), 1)) for _ in range(50)]
    assert await stays(waiting)
    await build.save(Fold([], upto(5), [ParkedRecord(record("friendship-a~b1", 1), "why")]))
    async with asyncio.timeout(seconds(10)):
        assert await waiting
    assert set(await there.parked_streams()) == {"friendship-a~b1"}
    assert not any(await asyncio.gather(*others))
    assert await there.reached(Position.of(LOG, 0, 5), 0)


async def test_where_nothing_was_parked_one_question_says_so(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = await (await replicas.another()).create()
    await build.save(Fold([], upto(5)))
    answering = await (await replicas.another())._open(build.name)
    monkeypatch.setattr(Neo4jRecommendationView, "first_parked", None)
    assert await answering.parked_streams(["friendship-a~b1"]) == {}


async def test_a_checkpoint_is_not_told_before_all_that_came_before_it_is_there(replicas: Replicas) -> None:
    """Neo4j shows parts of a transaction while it applies it; its locks are held until it has."""
    view = await replicas.another()
    build = await view.create()
    await build.save(Fold([], upto(5)))
    other = await (await replicas.another())._open(build.name)
    async with replicas.held(
        "MATCH (c:KernelCheckpoint {build: $build}) SET c.locked = true, c.next_offset = 9", build=build.name
    ) as saving:
        looking = asyncio.create_task(other.checkpoint())
        assert await stays(looking)
        await saving.commit()
    assert (await looking).position == Position.of(LOG, 0, 9)


async def test_what_is_shown_is_not_taken_from_a_look_that_began_before(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await replicas.another()
    build = await view.create()
    found, answered = [upto(5), upto(9)], asyncio.Event()

    async def look_now() -> Checkpoint:
        checkpoint = found.pop(0)
        await answered.wait()
        return checkpoint

    monkeypatch.setattr(build, "_look_now", look_now)
    early = asyncio.create_task(build.checkpoint())
    await asyncio.sleep(0)  # it looks; and now something later is read
    shown = asyncio.create_task(build.shown())
    await asyncio.sleep(0)
    answered.set()
    assert (await early, await shown) == (upto(5), upto(9))


async def test_nobody_waits_for_a_save_that_is_still_writing_documents(replicas: Replicas) -> None:
    view = await replicas.another()
    build = await view.create()
    await build.save(Fold([], upto(5)))
    other = await (await replicas.another())._open(build.name)
    async with replicas.held(SAVING, build=build.name):
        async with asyncio.timeout(seconds(5)):
            assert (await other.checkpoint()).position == Position.of(LOG, 0, 5)


async def test_writers_side_by_side_leave_what_one_would(replicas: Replicas) -> None:
    """One that was cut off goes on for a while beside its successor; others have partitions of the same users."""
    builds = [await (await replicas.another()).create()]
    builds += [await (await replicas.another())._open(builds[0].name) for _ in range(3)]

    async def writing(build: Neo4jRecommendationView, place: int) -> None:
        for number in range(12):
            versions = (1, 2, 3) if (number + place) % 2 else (1,)
            everybodys, own = friendship(number, *versions), friendship(100 * place + number, 1, 2)
            doc: GraphDoc = UserDoc(f"b{number}", 1, 1)
            users: Change[GraphDoc] = Change(f"user-b{number}", (state(1, doc),))
            await build.save(Fold([everybodys, own, users], upto(number, partition=place)))

    await asyncio.gather(*(writing(build, place) for place, build in enumerate(builds, start=1)))
    everybodys = 12
    assert await edges(builds[0]) == {"FRIEND": everybodys, "ENDED_FRIEND": 48, "WAS_FRIEND": everybodys + 48}
    rows = await builds[0].read("MATCH (p:Person {build: $build}) RETURN count(*), count(DISTINCT p.id)", {})
    assert rows == [[1 + 12 + 48, 1 + 12 + 48]]
    position = (await builds[3].checkpoint()).position
    assert {partition.number: end for partition, end in position.items()} == dict.fromkeys((1, 2, 3, 4), 11)


# What is left


async def test_a_save_of_what_was_folded_onto_loaded_documents_reads_none_again(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = await (await replicas.another()).create()
    await build.save(Fold([friendship(1, 1)], upto(2)))
    streams = ["friendship-a~b1", "friendship-a~b2"]
    loaded = await build.load(streams)
    monkeypatch.setattr(Neo4jRecommendationView, "load_documents", None)
    ended: Change[GraphDoc] = Change(streams[0], friendship(1, 2).states, loaded[streams[0]])
    await build.save(Fold([ended, friendship(2, 1)], upto(4)))
    monkeypatch.undo()
    assert {stream: state.version for stream, state in (await build.load(streams)).items()} == {
        streams[0]: 2,
        streams[1]: 1,
    }


async def test_builds_of_the_dead_are_removed_when_the_view_is_opened(replicas: Replicas) -> None:
    view, former = await replicas.another(), await replicas.another(shape=projection.shape + 1)
    live, left, filling = await view.create(), await view.create(), await view.create()
    of_former = await former.create()
    await view.switch(live.name)
    await former.switch(of_former.name)
    for build in (live, left, filling, of_former):
        await build.save(Fold([friendship(1, 1)], upto(2)))
    connection = await replicas.connection()
    await connection.write(
        "MATCH (b:KernelBuild) WHERE b.name IN $names SET b.saved_ms = b.saved_ms - 3600001",
        {"names": [live.name, left.name, of_former.name]},
    )
    looking = await Neo4jView[Neo4jRecommendationView].open(
        connection, replicas.name, Neo4jRecommendationView, shape=projection.shape + 2, logs=[LOG], tidy=False
    )
    assert len(looking._tasks) == 1
    await looking.aclose()
    opened = await replicas.another()
    await opened._tasks[1]
    rows = await connection.read("MATCH (b:KernelBuild {view: $name}) RETURN b.name", {"name": replicas.name})
    assert sorted(name for (name,) in rows) == sorted([live.name, filling.name])
    assert (await edges(left), await edges(of_former)) == ({}, {})
    assert await edges(live) == await edges(filling) == {"FRIEND": 1}
    with pytest.raises(BuildRetired):
        await left.save(Fold([], upto(3)))


async def test_dropping_takes_all_of_a_build_and_nothing_else(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "_DROPPED_AT_ONCE", 7)
    monkeypatch.setattr(statements, "WINDOW_NODES", 3)
    view = await replicas.another()
    dropped, kept = await view.create(), await view.create()
    for build in (dropped, kept):
        parked = [ParkedRecord(record("friendship-a~x", version), "why") for version in range(1, 20)]
        await build.save(Fold([friendship(number, 1, 2, 3) for number in range(40)], upto(2), parked))
    await view.drop(dropped.name)
    count = "MATCH (n) WHERE n.build = $name OR n.name = $name RETURN count(*)"
    connection = await replicas.connection()
    assert await connection.read(count, {"name": dropped.name}) == [[0]]
    assert await edges(kept) == {"FRIEND": 40, "WAS_FRIEND": 40}
    assert len(await kept.parked()) == 19
    with pytest.raises(InvalidInput):
        await view.drop(dropped.name)


# A server that is away


async def test_a_server_that_is_away_is_said_to_be_and_work_goes_on_when_it_is_back(replicas: Replicas) -> None:
    gateway = await Gateway.to(replicas.address.url)
    connection = await replicas.connection(
        Neo4jSettings(gateway.url, replicas.address.user, replicas.address.password, patience=3.0)
    )
    patient = await replicas.another()
    build = await patient.create()
    await patient.switch(build.name)
    feed = Feed(build, projection, Codec(EVENT_TYPES)).create("a", "b", "c").add("a", "b").add("b", "c")
    await feed.deliver()
    view = await replicas.another(connection)
    build = view.live()
    await gateway.close()
    await is_away(build)
    await gateway.open()
    await is_back(build)
    gateway.hold()
    await is_away(build)
    gateway.let_go()
    await is_back(build)
    await build.save(Fold([], upto(9)))
    assert view.live().name == build.name
    await view.aclose()
    await gateway.close()


async def is_back(build: Neo4jRecommendationView) -> None:
    """A busy machine may take longer than the connection's patience."""
    async with asyncio.timeout(seconds(30)):
        while True:
            with suppress(Unavailable):
                assert [one.id for one in (await build.recommended(["a"], 1, 99))["a"]] == ["c"]
                return


async def is_away(build: Neo4jRecommendationView) -> None:
    async with asyncio.timeout(seconds(30)):
        asked = [
            build.recommended(["a"], 1, 99),
            build.checkpoint(),
            build.parked_streams(),
            build.load(["user-a"]),
            build.reached(Position.of(LOG, 0, 99), 9.0),
        ]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, Unavailable), answer
