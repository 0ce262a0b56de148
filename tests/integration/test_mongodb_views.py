"""Views in MongoDB where processes share them, die in the midst of a save, or come back from the dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from eventkernel.adapters.mongodb.build import MongoViewBuild
from eventkernel.adapters.mongodb.build_list import BuildList
from eventkernel.adapters.mongodb.connection import Database, Document, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.progress import ParkedRecords
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.errors import Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import Moment
from eventkernel.reading.changes import StoredVersions
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import BuildRetired, Change, Fold, ParkedRecord
from eventkernel.retrying import Backoff
from eventkernel.testing.view_contract import LOG, record, state, upto
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Checkpoint
from infra.local import MongodbAddress
from infra.patience import seconds
from subgraphs.friends import events as friends_events
from subgraphs.friends import projection as friends_projection
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.domain import FriendAdded, FriendRemoved, Pair
from subgraphs.friends.projection import FriendsDoc
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.domain import UserDeleted, UserUpdated
from subgraphs.users.projection import UserDoc
from tests.contract.test_users_view import LOG as USERS_LOG
from tests.contract.test_users_view import Feed as UserFeed
from tests.contract.test_users_view import created
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted
from tests.support.feeding import FRIENDS, USERS, Feed
from tests.support.mongodb_views import MongoDoors, Writes, database_of
from tests.support.scripted_log import ScriptedLog

SOON = seconds(30.0)
"""Seconds: no more than a limit. A switch takes half of one on an idle machine."""


@pytest.fixture
async def database(mongodb_server: MongodbAddress, engine_name: str) -> AsyncIterator[Database]:
    async with database_of(mongodb_server.url, engine_name) as database:
        yield database


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch, database: Database) -> Writes:
    return Writes(monkeypatch, database)


@asynccontextmanager
async def processes(
    url: str, database: str, number: int, shape: int = 1
) -> AsyncGenerator[list[MongoView[MongoDoors]]]:
    """The same view as several processes have it, each with a connection of its own."""
    async with AsyncExitStack() as stack:
        views: list[MongoView[MongoDoors]] = []
        for _ in range(number):
            connection = await stack.enter_async_context(MongoConnection(MongoSettings(url)))
            opening = MongoView.open(connection.database(database), "doors", MongoDoors, shape=shape, logs=[LOG])
            views.append(await stack.enter_async_context(aclosing(await opening)))
        yield views


@pytest.fixture
async def two(mongodb_server: MongodbAddress, database: Database) -> AsyncIterator[list[MongoView[MongoDoors]]]:
    """Two processes with one view, which has a live build that both know of."""
    async with processes(mongodb_server.url, database.name, 2) as views:
        build = await views[0].create()
        await views[0].switch(build.name)
        assert (await views[1].ready(SOON)).name == build.name
        yield views


def door(number: int, *versions: int) -> Change[Door]:
    return Change(f"door-{number}", tuple(state(v, (f"Door {number}", ("red",) * v, v)) for v in versions))


async def contents(database: Database, build: MongoViewBuild[Any]) -> dict[str, list[Document]]:
    """All documents of a build, and its checkpoint."""
    names = [*build.collections, "parked"]
    found = {name: await database[build.collection_name(name)].find({}).sort("_id", 1).to_list(None) for name in names}
    checkpoint = await build.checkpoint()
    return {**found, "checkpoint": [{"at": sorted(checkpoint.position.items())}]}


# Saves that break off


Step = Callable[[], Awaitable[object]]


class Histories:
    """A view's events in four steps, folded into any build: the beginning; the save that is disturbed; the same again,
    as after a crash; and what comes after it."""

    def __init__(self, database: Database, view: MongoView[Any]) -> None:
        self.database = database
        self.view = view

    async def undisturbed(self) -> dict[str, list[Document]]:
        build = await self.view.create()
        for step in self.steps(build):
            await step()
        return await contents(self.database, build)

    def steps(self, build: Any) -> list[Step]:
        raise NotImplementedError


class OfUsers(Histories):
    def steps(self, build: Any) -> list[Step]:
        feed = UserFeed(build)

        async def begin() -> None:
            await feed.take(("a", created("Ada", "Byron", "ada")), ("b", created("Grace")))

        async def go_on() -> None:
            await feed.take(
                ("a", UserUpdated(last_name="King")),
                ("a", UserUpdated(last_name="Lovelace", username_removed=True)),
                ("b", UserDeleted()),
                ("c", created("Alan", "Turing", "ada")),
                ("c", UserUpdated(first_name="A.")),
            )

        async def repeated() -> None:
            changes = [Change(f"user-{user}", tuple(states)) for user, states in feed.states.items()]
            await build.load([change.stream for change in changes])
            await build.save(Fold(changes, Checkpoint(Position.of(USERS_LOG, 0, feed.offset))))

        async def further() -> None:
            await feed.take(("a", UserUpdated(first_name="Augusta")), ("c", UserDeleted()))

        return [begin, go_on, repeated, further]


class OfFriends(Histories):
    def steps(self, build: Any) -> list[Step]:
        feed = Feed[FriendsDoc](
            build,
            friends_projection.projection,
            Codec((*friends_events.EVENT_TYPES, FriendAdded, FriendRemoved)),
        )
        feed.create("a", "b", "c").add("a", "b").add("a", "c")
        early = {USERS: 3, FRIENDS: 2}
        feed.delete("c").remove("a", "b").add("a", "b").remove("a", "b").remove("a", "c").add("b", "c").create("d")

        async def begin() -> None:
            for log, end in early.items():
                await feed.deliver(log, upto=end)

        async def go_on() -> None:
            await feed.deliver()

        async def repeated() -> None:
            for log, start in early.items():
                await feed.deliver(log, first=start)

        async def further() -> None:
            await feed.remove("b", "c").add("a", "b").delete("d").deliver()

        return [begin, go_on, repeated, further]


class OfDoors(Histories):
    """With parked records."""

    def steps(self, build: Any) -> list[Step]:
        first = ParkedRecord(record("door-2", 1), "why")
        later = ParkedRecord(record("door-2", 2), None)

        async def begin() -> None:
            await build.save(Fold([door(1, 1)], upto(2), [first, ParkedRecord(record("door-4", 1), "why")]))

        async def go_on() -> None:
            await build.load(["door-1", "door-3", "door-4"])
            changes = [door(1, 2, 3), door(3, 1), door(4, 1)]
            await build.save(Fold(changes, upto(9), [later], {"door-4": 1}))

        async def further() -> None:
            await build.load(["door-1", "door-3"])
            await build.save(Fold([door(1, 4), door(3, 2)], upto(12), (), {"door-2": 1}))

        return [begin, go_on, go_on, further]


HISTORIES = [
    pytest.param(OfUsers, MongoUserView, id="users"),
    pytest.param(OfFriends, MongoFriendView, id="friends"),
    pytest.param(OfDoors, MongoDoors, id="parked"),
]


@pytest.mark.parametrize(("histories", "build_type"), HISTORIES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_save_that_broke_off_anywhere_is_made_good_by_its_repetition(
    database: Database, writes: Writes, histories: type[Histories], build_type: type[MongoViewBuild[Any]], after: bool
) -> None:
    view = await MongoView[MongoViewBuild[Any]].open(database, "views", build_type, shape=1, logs=["any"])
    history = histories(database, view)
    expected = await history.undisturbed()
    places = 0
    while True:
        build = await view.create()
        begin, go_on, repeated, further = history.steps(build)
        await begin()
        before = await build.checkpoint()
        writes.stop_at(places, after=after)
        try:
            await go_on()
        except Unavailable:
            writes.resume()
            assert after or (await build.checkpoint()).position == before.position
        else:
            break
        # The process that died had loaded what it saved; the next one has not.
        build._known = StoredVersions()
        await repeated()
        await further()
        assert await contents(database, build) == expected, f"broken off at write {places}"
        places += 1
    writes.resume()
    assert places >= 3
    await view.aclose()


@pytest.mark.parametrize(("histories", "build_type"), HISTORIES)
async def test_a_process_that_was_thought_dead_and_goes_on_with_a_save_changes_nothing(
    database: Database, writes: Writes, histories: type[Histories], build_type: type[MongoViewBuild[Any]]
) -> None:
    views = [
        await MongoView[MongoViewBuild[Any]].open(database, "views", build_type, shape=1, logs=["any"])
        for _ in range(2)
    ]
    expected = await histories(database, views[0]).undisturbed()
    places = 0
    while True:
        build = await views[0].create()
        await views[0].switch(build.name)
        await views[1]._watch.look()
        begin, go_on, *_ = histories(database, views[0]).steps(build)
        others = histories(database, views[1]).steps(views[1].live())
        await begin()
        for step in others[:1]:  # the other one has read the same, and found it done
            await step()

        async def meanwhile(others: list[Step] = others) -> None:
            for step in others[1:]:
                await step()

        writes.hold_at(places, meanwhile, after=False)
        await go_on()
        if not writes.held:
            break
        assert await contents(database, build) == expected, f"held up at write {places}"
        places += 1
    assert places >= 3
    for view in views:
        await view.aclose()


async def test_what_is_shown_is_told_at_every_moment_of_a_save(
    two: list[MongoView[MongoDoors]], writes: Writes
) -> None:
    """Documents are there before their checkpoint: an answer's bookmark covers what it has shown all the same."""
    saving, reading = two[0].live(), two[1].live()
    places = 0
    while True:
        read: list[int] = []
        version = places + 1

        async def meanwhile(read: list[int] = read) -> None:
            states = await reading.load(["door-1", "door-2"])
            read.extend(state.offset for state in states.values())
            shown = (await reading.shown()).position.get(Partition(LOG, 0), 0)
            assert all(offset < shown for offset in read), f"{read} was shown, {shown} is told"

        writes.hold_at(places, meanwhile, after=True)
        await saving.save(Fold([door(1, version, version), door(2, version, version)], upto(version + 1)))
        if not writes.held:
            break
        places += 1
    assert places >= 3
    assert (await reading.shown()).position == upto(places + 2).position


@pytest.mark.parametrize("after", [False, True])
async def test_a_build_that_outlives_the_drop_of_its_database_has_all_its_indexes(
    database: Database, two: list[MongoView[MongoDoors]], writes: Writes, after: bool
) -> None:
    """The database is dropped just before the build's document is written, or just after it."""
    view = two[0]

    async def dropped() -> None:
        await database.client.drop_database(database.name)

    writes.hold_at(0, dropped, after=after)
    build = await view.create()
    assert writes.held
    if after:
        with pytest.raises(BuildRetired):
            await build.save(Fold([door(1, 1, 1)], upto(2)))
    else:
        await build.save(Fold([door(1, 1, 1)], upto(2)))
        assert await build.flaws() == []


async def test_the_past_is_whole_at_every_moment_of_a_save(database: Database, writes: Writes) -> None:
    view = await MongoView.open(database, "users", MongoUserView, shape=1, logs=["any"])
    places = 0
    while True:
        build = await view.create()
        begin, go_on, *_ = OfUsers(database, view).steps(build)
        await begin()

        async def meanwhile(build: MongoUserView = build) -> None:
            past = build.as_of(Moment(2_000))
            assert [(doc.id, doc.version) for doc in await past.page(None, 9)] == [("a", 1), ("b", 1)]
            found = await past.of_username("username:ada")
            assert found is not None
            assert found.last_name == "Byron"
            assert [doc.id for doc in await past.search(["byr"], None, 9)] == ["a"]

        writes.hold_at(places, meanwhile, after=True)
        await go_on()
        if not writes.held:
            break
        places += 1
    assert places >= 3
    await view.aclose()


async def test_who_were_friends_is_known_at_every_moment_of_a_save(database: Database, writes: Writes) -> None:
    view = await MongoView.open(database, "friends", MongoFriendView, shape=1, logs=["any"])
    places = 0
    while True:
        build = await view.create()
        begin, go_on, *_ = OfFriends(database, view).steps(build)
        await begin()

        async def meanwhile(build: MongoFriendView = build) -> None:
            past = build.as_of(Moment(1_005_000))
            assert await past.friend_counts(["a", "b", "c"]) == {"a": 2, "b": 1, "c": 1}
            pages = await past.friends(["a", "b"], None, 9)
            assert {user: [friend.id for friend in page] for user, page in pages.items()} == {
                "a": ["b", "c"],
                "b": ["a"],
            }
            assert set(await past.friendships([Pair("a", "b"), Pair("b", "c")])) == {Pair("a", "b")}

        writes.hold_at(places, meanwhile, after=True)
        await go_on()
        if not writes.held:
            break
        places += 1
    assert places >= 3
    await view.aclose()


# Several processes


async def test_whoever_waits_is_woken_by_another_processs_save(two: list[MongoView[MongoDoors]]) -> None:
    here, there = two[0].live(), two[1].live()
    waiting = asyncio.create_task(there.reached(Position.of(LOG, 0, 5), SOON))
    await here.save(Fold([door(1, 1)], upto(5)))
    assert await waiting
    assert (await there.doors()).keys() == {"door-1"}


async def test_many_who_wait_ask_the_database_no_more_often_than_one(
    two: list[MongoView[MongoDoors]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = BuildList.read

    async def counted(builds: BuildList) -> Any:
        nonlocal reads
        reads += 1
        return await read(builds)

    monkeypatch.setattr(BuildList, "read", counted)
    build = two[1].live()
    assert not any(await asyncio.gather(*(build.reached(Position.of(LOG, 0, 5), 0.2) for _ in range(500))))
    assert reads < 50


async def test_processes_that_fold_different_partitions_share_one_checkpoint(
    two: list[MongoView[MongoDoors]],
) -> None:
    for number, view in enumerate(two):
        await view.live().save(Fold([door(number, 1)], upto(5 + number, partition=number)))
    for view in two:
        checkpoint = await view.live().checkpoint()
        assert dict(checkpoint.position) == {Partition(LOG, 0): 5, Partition(LOG, 1): 6}
        assert (await view.live().doors()).keys() == {"door-0", "door-1"}


async def test_what_another_process_has_parked_is_known_with_its_checkpoint(
    two: list[MongoView[MongoDoors]],
) -> None:
    here, there = two[0].live(), two[1].live()
    assert await there.parked_streams() == {}
    await here.save(Fold([], upto(5), [ParkedRecord(record("door-1", 1), "why")]))
    assert await there.reached(Position.of(LOG, 0, 5), SOON)
    assert await there.parked_streams() == {"door-1": Partition(LOG, 0)}
    await there.save(Fold([door(1, 1)], upto(6), (), {"door-1": 1}))
    assert await here.reached(Position.of(LOG, 0, 6), SOON)
    assert await here.parked_streams() == {}


async def test_what_waits_is_not_read_again_for_what_one_has_parked_oneself(
    two: list[MongoView[MongoDoors]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventkernel.adapters.mongodb.build.RELEASED_SECONDS", 1e9)
    reads = 0
    waiting = ParkedRecords.waiting

    async def counted(parked: ParkedRecords) -> dict[str, Partition]:
        nonlocal reads
        reads += 1
        return await waiting(parked)

    monkeypatch.setattr(ParkedRecords, "waiting", counted)
    here, there = two[0].live(), two[1].live()

    async def park(build: MongoDoors, stream: str, version: int, offset: int) -> None:
        await build.save(Fold([], upto(offset), [ParkedRecord(record(stream, version), "why")]))

    for version in range(1, 6):
        await park(here, "door-1", version, version)
        assert (await here.parked_streams()).keys() == {"door-1"}
    assert reads == 1
    assert await there.reached(Position.of(LOG, 0, 5), SOON)
    await park(there, "door-2", 1, 6)
    assert (await there.parked_streams()).keys() == {"door-1", "door-2"}
    assert await here.reached(Position.of(LOG, 0, 6), SOON)
    await park(here, "door-1", 6, 7)
    assert (await here.parked_streams()).keys() == {"door-1", "door-2"}, "another process has parked in between"
    await here.save(Fold([door(1, 1)], upto(8), (), {"door-1": 6}))
    assert (await here.parked_streams()).keys() == {"door-2"}
    assert reads == 4


async def test_a_release_that_broke_off_before_it_was_counted_is_seen_after_a_moment(
    two: list[MongoView[MongoDoors]], writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventkernel.adapters.mongodb.build.RELEASED_SECONDS", 0.0)
    here, there = two[0].live(), two[1].live()
    await here.save(Fold([], upto(5), [ParkedRecord(record("door-1", 1), "why")]))
    assert await there.reached(Position.of(LOG, 0, 5), SOON)
    assert await there.parked_streams() == {"door-1": Partition(LOG, 0)}
    writes.stop_at(1, after=False)
    with pytest.raises(Unavailable):
        await here.save(Fold([], Checkpoint(), (), {"door-1": 1}))
    writes.resume()
    assert await there.parked_streams() == {}


async def test_every_process_sees_a_switch_soon(two: list[MongoView[MongoDoors]]) -> None:
    old = two[1].live()
    waiting = asyncio.create_task(old.reached(Position.of(LOG, 0, 5), SOON))
    new = await two[0].create()
    await new.save(Fold([door(1, 1)], upto(3)))
    await two[0].switch(new.name)
    with pytest.raises(BuildRetired):
        await waiting
    assert two[1].live().name == new.name
    assert await two[1].live().reached(Position.of(LOG, 0, 3), 0)
    assert await old.load(["door-1"]) == {}, "a request stays on its build"


async def test_a_process_that_has_not_heard_of_a_switch_finds_it_out_when_it_saves(
    two: list[MongoView[MongoDoors]],
) -> None:
    await two[1]._watch.stop()
    new = await two[0].create()
    await two[0].switch(new.name)
    old = two[1].live()
    assert old.name != new.name
    with pytest.raises(BuildRetired):
        await old.save(Fold([door(1, 1)], upto(5)))
    assert two[1].live().name == new.name
    assert (await old.checkpoint()).position == Position()


async def test_of_two_processes_that_switch_at_once_one_does(two: list[MongoView[MongoDoors]]) -> None:
    one, other = await two[0].create(), await two[1].create()
    await two[0].switch(one.name)
    with pytest.raises(Unavailable):
        await two[1].switch(other.name)
    await two[1].drop(other.name)
    assert (await two[1].ready(SOON)).name == (await two[0].ready(SOON)).name == one.name


async def test_a_save_that_comes_after_the_build_was_dropped_brings_nothing_back(
    two: list[MongoView[MongoDoors]], database: Database, writes: Writes
) -> None:
    old = two[1].live()
    new = await two[0].create()
    await two[1]._watch.stop()  # it does not hear of the switch

    async def drop() -> None:
        await two[0].switch(new.name)
        await two[0].drop(old.name)

    writes.hold_at(1, drop, after=False)
    with pytest.raises(BuildRetired):
        await old.save(Fold([door(1, 1, 2)], upto(5)))
    assert writes.held
    names = await database.list_collection_names()
    assert [name for name in names if old.name in name] == []


async def test_a_build_that_is_gone_gives_no_empty_answers(two: list[MongoView[MongoDoors]]) -> None:
    old = two[1].live()
    await old.save(Fold([door(1, 1)], upto(5)))
    await two[1]._watch.stop()
    new = await two[0].create()
    await two[0].switch(new.name)
    await two[0].drop(old.name)
    two[1]._watch.looked_at -= 60  # the process was stopped for a minute
    with pytest.raises(Unavailable):
        await old.doors()


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
async def test_a_database_that_was_wiped_is_filled_anew(
    two: list[MongoView[MongoDoors]], database: Database, known: bool
) -> None:
    live = two[0].live()
    await two[0]._watch.stop()
    await database.client.drop_database(database.name)
    if known:
        await two[0]._watch.look()
        with pytest.raises(BuildRetired):
            await live.load(["door-1"])
    with pytest.raises(BuildRetired):
        await live.save(Fold([door(1, 1)], upto(5)))
    with pytest.raises(Unavailable):
        two[0].live()
    new = await two[0].create()
    await two[0].switch(new.name)
    assert two[0].live() is new


async def test_a_release_with_other_documents_leaves_the_one_before_its_own(
    mongodb_server: MongodbAddress, two: list[MongoView[MongoDoors]], database: Database
) -> None:
    before = two[0].live()
    async with processes(mongodb_server.url, database.name, 1, shape=2) as (new,):
        with pytest.raises(Unavailable):
            new.live()
        build = await new.create()
        await new.switch(build.name)
        await two[0]._watch.look()
        assert two[0].live() is before
        await before.save(Fold([door(1, 1)], upto(5)))
        assert await build.load(["door-1"]) == {}
    async with processes(mongodb_server.url, database.name, 1, shape=2) as (again,):
        assert again.live().name == build.name


async def test_builds_that_dead_processes_left_are_removed_when_the_view_is_opened(
    mongodb_server: MongodbAddress, two: list[MongoView[MongoDoors]], database: Database
) -> None:
    live, left, young = two[0].live(), await two[0].create(), await two[0].create()
    await left.save(Fold([door(1, 1)], Checkpoint()))
    for process in two:
        await process._watch.stop()  # and the process has died
    long_ago = {"$set": {"alive_at": datetime(2020, 1, 1, tzinfo=UTC)}}
    await database["doors.builds"].update_many({"_id": {"$in": [live.name, left.name]}}, long_ago)
    await database["doors.b-00000000.doors"].insert_one({"_id": "brought back"})
    before = sorted(await database.list_collection_names())
    looking = await MongoView.open(database, "doors", MongoDoors, shape=2, logs=[LOG], tidy=False)
    await looking.aclose()
    assert sorted(await database.list_collection_names()) == before
    async with processes(mongodb_server.url, database.name, 1) as (view,):
        assert view.live().name == live.name
    names = {name.split(".")[1] for name in await database.list_collection_names()}
    assert names == {"builds", live.name, young.name}
    with pytest.raises(BuildRetired):
        await left.save(Fold([door(1, 1, 2)], upto(3)))


async def test_what_another_release_keeps_is_found_by_its_logs_as_far_as_it_is(
    mongodb_server: MongodbAddress, database: Database
) -> None:
    async def found(*logs: str) -> tuple[str, Position] | None:
        view = await MongoView.open_of_another_release(database, "doors", MongoDoors, logs=logs)
        if view is None:
            return None
        async with aclosing(view):
            return view.live().name, (await view.live().checkpoint()).position

    async def filled(view: MongoView[MongoDoors], end: int) -> tuple[str, Position]:
        build = await view.create()
        await build.save(Fold([door(1, 1)], upto(end)))
        await view.switch(build.name)
        return build.name, upto(end).position

    assert await found(LOG) is None
    url = mongodb_server.url
    async with processes(url, database.name, 1) as (one,), processes(url, database.name, 1, shape=2) as (two,):
        ahead, behind = await filled(one, 5), await filled(two, 3)
        assert await found(LOG) == ahead
        assert await found("doors.elsewhere") is None
        assert await found(LOG, "doors.elsewhere") is None
        await one.create()  # is being filled
        await filled(one, 2)
        assert await found(LOG) == behind


async def test_a_save_of_what_was_folded_onto_loaded_documents_reads_none_again(
    two: list[MongoView[MongoDoors]], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = two[0].live()
    await build.save(Fold([door(1, 1)], upto(2)))
    loaded = await build.load(["door-1", "door-2"])
    monkeypatch.setattr(MongoDoors, "load_documents", None)
    await build.save(Fold([Change("door-1", door(1, 2).states, loaded["door-1"]), door(2, 1)], upto(4)))
    monkeypatch.undo()
    assert {stream: version for stream, (version, _) in (await build.doors()).items()} == {"door-1": 2, "door-2": 1}


async def test_a_heartbeat_that_fails_is_nothing_to_those_who_wait(database: Database, writes: Writes) -> None:
    view = await MongoView[MongoDoors].open(database, "doors", MongoDoors, shape=1, logs=[LOG])
    build = await view.create()
    writes.stopped = True
    view._watch._beat_at = 0.0
    while not view._watch._beat_at:
        assert not await build.reached(Position.of(LOG, 0, 1), 0.01)
    writes.resume()
    await view.aclose()


async def test_whoever_waits_while_the_database_is_gone_is_told_so(
    two: list[MongoView[MongoDoors]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: BuildList) -> Any:
        raise Unavailable("no server")

    monkeypatch.setattr(BuildList, "read", gone)
    with pytest.raises(Unavailable):
        await two[0].live().reached(Position.of(LOG, 0, 5), 0.3)
    monkeypatch.undo()
    waiting = asyncio.create_task(two[0].live().reached(Position.of(LOG, 0, 5), SOON))
    await two[1].live().save(Fold([], upto(5)))
    assert await waiting


async def test_a_document_can_be_read_by_a_person(database: Database) -> None:
    view = await MongoView.open(database, "users", MongoUserView, shape=1, logs=[USERS_LOG])
    build = await view.create()
    feed = UserFeed(build)
    await feed.take(("a", created("Ada", "Byron", "Ada")))
    await feed.take(("a", UserUpdated(last_name="Lovelace")))
    assert await database[f"users.{build.name}.docs"].find_one({"_id": "a"}) == {
        "_id": "a",
        "version": 2,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "username": "Ada",
        "claim": "username:ada",
        "words": ["ada", "lovelace"],
        "deleted": False,
        "created_us": 1_000,
        "since_us": 2_000,
        "since_offset": 2,
        "log": USERS_LOG,
        "partition": 0,
    }
    past = await database[f"users.{build.name}.past"].find({}).to_list(None)
    assert [(p["_id"], p["last_name"], p["since_us"], p["until_us"], p["until_offset"]) for p in past] == [
        ("a/1", "Byron", 1_000, 2_000, 2)
    ]
    assert isinstance(feed.states["a"][0].doc, UserDoc)
    await view.aclose()


async def test_projectors_of_two_processes_fold_the_same_records_and_go_on_after_a_rebuild(
    mongodb_server: MongodbAddress, database: Database
) -> None:
    log = ScriptedLog("doors.1", partitions=2, seed=7)
    for number in range(20):
        log.put(f"door-{number}", 1, Hung(name=f"Door {number}"), partition=number % 2)
        log.put(f"door-{number}", 2, Painted(colour="red"), partition=number % 2)
    async with processes(mongodb_server.url, database.name, 2) as views, AsyncExitStack() as stack:
        projectors = [
            Projector(DOORS, [Source(log, CODEC)], view, backoff=Backoff(first=0.01, most=0.1), grace=0, look=0.1)
            for view in views
        ]
        for projector in projectors:
            await projector.start()
            stack.push_async_callback(projector.stop)
            await views[1].ready(SOON)  # of two that have no live build each would fill one
        rebuilding = asyncio.create_task(projectors[0].rebuild())
        for number in range(20):
            log.put(f"door-{number}", 3, Opened(), partition=number % 2)
        new = await rebuilding
        for number in range(20):
            log.put(f"door-{number}", 4, Painted(colour="blue"), partition=number % 2)
        async with asyncio.timeout(seconds(90)):
            for view in views:
                while view.live().name != new:
                    with suppress(BuildRetired):
                        await view.live().reached(Position.of("doors.1", 0, 1_000), SOON)
                assert await view.live().reached(await log.head(), 30)
                assert await view.live().doors() == {
                    f"door-{number}": (4, (f"Door {number}", ("red", "blue"), 1)) for number in range(20)
                }
                assert await view.live().history("door-1") == [1, 2, 3, 4]


async def test_what_mongodb_cannot_hold_is_a_defect_of_its_stream_and_not_a_lost_server(
    two: list[MongoView[MongoDoors]],
) -> None:
    build = two[0].live()
    unheard_of: Change[Door] = Change("door-1", (state(1, ("\ud800", (), 0)),))
    with pytest.raises(UnicodeEncodeError):
        await build.save(Fold([unheard_of, door(2, 1)], upto(3)))
    assert (await build.checkpoint()).position == Position()
    await build.save(Fold([door(2, 1)], upto(3), [ParkedRecord(record("door-1", 1), "unheard of")]))
    assert (await build.doors()).keys() == {"door-2"}
    assert await build.parked_streams() == {"door-1": Partition(LOG, 0)}
