"""Conditions of appends among replicas that race and die, and over a ledger that is lost in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.errors import AppendConditionFailed
from eventkernel.testing.boundary_contract import append, places, read, tagged
from eventkernel.testing.event_store_contract import put
from eventkernel.writing.boundary import AppendCondition, Query
from eventkernel.writing.store import Commit
from tests.support.kafka_store import Died, KafkaLogOnServers, Steps, effects, patiently

pytestmark = pytest.mark.engines

NOTHING = AppendCondition(Query.of("house"))
IN_THE_LEDGER = ("after insert 1", "before publish 1")
ON_THE_LOG = ("after publish 1", "before complete 1")


async def died(servers: KafkaLogOnServers, step: str, *tags: str, condition: AppendCondition) -> KafkaEventStore:
    """A replica died at this step of a commit; another replica."""
    first = await servers.open()
    Steps(first).die(step)
    with pytest.raises(Died):
        await append(first, "door-1", tagged(*tags), condition=condition, command="c1")
    await first.aclose()
    return await servers.another()


async def lose_the_ledger(servers: KafkaLogOnServers) -> KafkaEventStore:
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    return await servers.another()


async def test_what_another_replica_appends_just_before_the_insert_fails_the_condition(
    servers: KafkaLogOnServers,
) -> None:
    mine, other = await servers.another(), await servers.another()

    async def meanwhile() -> None:
        await append(other, "door-2", tagged("house"), after=0)

    Steps(mine).then("before insert 1", meanwhile)
    with pytest.raises(AppendConditionFailed):
        await append(mine, "door-1", tagged("room"), condition=NOTHING, command="c1")
    assert [effect.stream for effect in await effects(mine.reader)] == ["door-2"]


async def test_of_two_that_exclude_one_another_the_slower_one_fails(servers: KafkaLogOnServers) -> None:
    """Neither's event has the tag that it asks about."""
    mine, other = await servers.another(), await servers.another()

    async def meanwhile() -> None:
        await append(other, "door-2", tagged("house"), condition=AppendCondition(Query.of("room")))

    Steps(mine).then("before insert 1", meanwhile)
    with pytest.raises(AppendConditionFailed):
        await append(mine, "door-1", tagged("room"), condition=NOTHING)
    assert [effect.stream for effect in await effects(mine.reader)] == ["door-2"]


async def test_what_does_not_concern_a_condition_only_takes_its_turn(servers: KafkaLogOnServers) -> None:
    mine, other = await servers.another(), await servers.another()

    async def meanwhile() -> None:
        await append(other, "door-2", tagged("house", kind="doors.Shut"), after=0)

    steps = Steps(mine)
    steps.then("before insert 1", meanwhile)
    condition = AppendCondition(Query.of("house", types=["doors.Opened"]))
    await append(mine, "door-1", tagged("room"), condition=condition)
    assert steps.taken.count("insert") == 2


@pytest.mark.parametrize("step", IN_THE_LEDGER + ON_THE_LOG)
async def test_what_is_read_is_on_the_log(servers: KafkaLogOnServers, step: str) -> None:
    store = await died(servers, step, "house", condition=NOTHING)
    records, condition = await read(store, Query.of("house"))
    assert places(records) == [("door-1", 1)]
    assert [effect.command for effect in await effects(store.reader)] == ["c1"]
    assert (await append(store, "door-2", tagged("house"), condition=condition)).version == 1


@pytest.mark.parametrize("step", IN_THE_LEDGER + ON_THE_LOG)
async def test_a_condition_fails_for_what_is_on_the_log(servers: KafkaLogOnServers, step: str) -> None:
    store = await died(servers, step, "house", condition=NOTHING)
    with pytest.raises(AppendConditionFailed):
        await append(store, "door-2", tagged("house"), condition=NOTHING)
    assert [effect.command for effect in await effects(store.reader)] == ["c1"]


async def test_who_only_asked_and_died_stops_nobody(servers: KafkaLogOnServers) -> None:
    store = await died(servers, "before publish 1", "room", condition=NOTHING)
    await append(store, "door-2", tagged("house"), condition=NOTHING)
    assert "door-2" in [effect.stream for effect in await effects(store.reader)]


async def test_a_condition_means_the_same_when_the_ledger_is_filled_anew(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    await append(store, "door-1", tagged("house"), tagged("room"))
    before, condition = await read(store, Query.of("house"))
    store = await lose_the_ledger(servers)
    again, refilled = await read(store, Query.of("house"))
    assert (places(again), refilled) == (places(before), condition)
    await append(store, "door-2", tagged("house"), condition=condition)
    store = await lose_the_ledger(servers)
    with pytest.raises(AppendConditionFailed):
        await append(store, "door-3", tagged("house"), condition=condition)


async def test_a_turn_that_is_lost_with_the_ledger_makes_no_event_look_older_than_a_reading(
    servers: KafkaLogOnServers,
) -> None:
    """Somebody whose clock is far ahead only asked, and died; the reading is as late as what it read, not as that."""
    servers.clock.advance(1_000)
    store = await died(servers, "before publish 1", "room", condition=NOTHING)
    servers.clock.advance(-1_000)
    _, condition = await read(store, Query.of("house"))
    store = await lose_the_ledger(servers)
    await append(store, "door-2", tagged("house"), after=0)
    with pytest.raises(AppendConditionFailed):
        await append(store, "door-3", tagged("house"), condition=condition)


async def test_a_ledger_of_an_earlier_release_gets_the_index_of_tags(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    await put(store, "door-1", "a")
    await servers.close_stores()
    (name,) = [name for name in await servers.database.list_collection_names() if ".commits." in name]
    await servers.database[name].drop_index("tags")
    store = await servers.open()
    assert "tags" in await servers.database[name].index_information(), "and it is the same ledger"
    await append(store, "door-1", tagged("house"), condition=NOTHING)


async def test_a_commit_is_found_by_its_tag_and_time_and_one_without_tags_is_in_no_index(
    servers: KafkaLogOnServers,
) -> None:
    store = await servers.open()
    for number in range(20):
        await append(store, f"door-{number}", tagged("house", "room"), after=0)
        await put(store, f"gate-{number}", "untagged")
    (*_, last), _ = await read(store, Query.of("house"))
    (name,) = [name for name in await servers.database.list_collection_names() if ".commits." in name]
    for range_, most in (({"$gte": last.time_us}, 1), ({"$gte": 0}, 20)):
        asked = {"find": name, "filter": {"tags": last.tags[0], "time": range_}, "hint": "tags"}
        plan = await servers.database.command("explain", asked, verbosity="executionStats")
        assert plan["executionStats"]["totalDocsExamined"] == most


async def test_a_limit_holds_among_replicas_that_race(servers: KafkaLogOnServers) -> None:
    stores = [await servers.another(), await servers.another()]

    async def visit(seed: int) -> Sequence[Commit]:
        chance, commits = random.Random(seed), list[Commit]()
        for number in range(4):
            store = chance.choice(stores)
            records, condition = await patiently(read, store, Query.of("house"))
            while len(records) < 6:
                try:
                    commit = await patiently(append_one, store, f"door-{seed}-{number}", condition)
                except AppendConditionFailed:
                    more, condition = await patiently(read, store, Query.of("house"), condition.after)
                    records += more
                else:
                    commits.append(commit)
                    break
        return commits

    async def append_one(store: KafkaEventStore, stream: str, condition: AppendCondition) -> Commit:
        return await append(store, stream, tagged("house"), condition=condition, command=stream)

    commits = [commit for found in await asyncio.gather(*map(visit, range(4))) for commit in found]
    assert len(commits) == 6
    assert sorted(e.command for e in await effects(stores[0].reader)) == sorted(c.command_id for c in commits)
