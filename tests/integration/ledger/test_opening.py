"""Whoever opens a ledger may die between any two steps: another one finishes it, and what is on the log counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import msgspec
import pytest

from eventkernel.adapters.kafka import ledger_filler, opening
from eventkernel.adapters.kafka.opening import Opener
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.mongodb.ledger import Ledger
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.adapters.mongodb.ledger_filling import GivenUp, LedgerFilling, Share
from eventkernel.adapters.mongodb.ledger_generation import Generation
from eventkernel.errors import ClaimTaken
from eventkernel.testing.event_store_contract import everything, put
from eventkernel.writing.store import ClaimHolder
from tests.support.kafka_log import record
from tests.support.kafka_store import Died, KafkaLogOnServers, effects, until

pytestmark = pytest.mark.engines

STEPS: Final[list[tuple[type, str, int, bool]]] = [
    (Ledger, "replace", 1, False),
    (Ledger, "replace", 1, True),
    (Publisher, "publish", 1, True),
    (Publisher, "publish", 3, False),
    (Opener, "put_fences", 1, True),
    (Documents, "make", 1, True),
    (LedgerFilling, "begin", 1, True),
    (Ledger, "replace", 2, False),
    (Ledger, "replace", 2, True),
    (LedgerFilling, "give_up", 1, True),
    (LedgerFilling, "keep", 1, True),
    (LedgerFilling, "advance", 1, True),
    (LedgerFilling, "advance", 5, False),
    (LedgerFilling, "settle", 1, False),
    (LedgerFilling, "settle", 1, True),
    (Documents, "mark", 1, False),
    (Documents, "mark", 1, True),
    (Ledger, "replace", 3, False),
    (Ledger, "replace", 3, True),
    (Ledger, "drop_older", 1, False),
]
"""Where, what, at which call of it, and whether it was done."""


@contextmanager
def dying(owner: type, name: str, call: int, done: bool) -> Generator[None]:
    original: Callable[..., Awaitable[object]] = getattr(owner, name)
    calls = 0

    async def dies(*args: Any, **kwargs: Any) -> object:
        nonlocal calls
        calls += 1
        dying = calls == call
        if dying and not done:
            raise Died
        answer = await original(*args, **kwargs)
        if dying:
            raise Died
        return answer

    with patch.object(owner, name, dies):
        yield


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An opener is taken for dead sooner."""
    monkeypatch.setattr(opening, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(ledger_filler, "SILENCE_SECONDS", 0.5)


def named(step: tuple[type, str, int, bool]) -> str:
    owner, name, call, done = step
    return f"{'after' if done else 'before'} {owner.__name__}.{name} {call}"


@pytest.mark.parametrize("step", STEPS, ids=named)
async def test_another_one_finishes_an_opening(servers: KafkaLogOnServers, step: tuple[type, str, int, bool]) -> None:
    store = await servers.open()
    for number in range(5):
        await put(store, f"door-{number}", "a", "b", command=f"c{number}", claims={f"key:{number}"})
    await put(store, "door-0", "c", after=2, claims=())
    before = await everything(store)
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    with dying(*step), pytest.raises(Died):
        await servers.another()
    again = await servers.another()
    assert sorted(record.id for record in await everything(again)) == sorted(record.id for record in before)
    assert await again.find_claim("key:0") is None
    assert await again.find_claim("key:3") == ClaimHolder("door-3", 2)
    with pytest.raises(ClaimTaken):
        await put(again, "door-9", "a", claims={"key:4"})
    assert (await put(again, "door-0", "d", after=3)).version == 4
    assert len(await effects(again.reader)) == 7


@pytest.mark.parametrize("step", [STEPS[1], STEPS[2], STEPS[3], STEPS[4], (Ledger, "replace", 3, False)], ids=named)
async def test_another_one_finishes_the_making_of_a_log(
    servers: KafkaLogOnServers, step: tuple[type, str, int, bool]
) -> None:
    with dying(*step), pytest.raises(Died):
        await servers.another()
    store = await servers.another()
    fences = await store.reader.fences()
    assert {fence.log for fence in fences} == {store.log}
    assert {fence.partition for fence in fences if fence.offset == 0} == {0, 1, 2}
    assert (await put(store, "door-1", "a")).version == 1


async def test_a_generation_has_one_opener_also_where_the_ledger_is_wiped_between_two(
    servers: KafkaLogOnServers,
) -> None:
    """Both have seen an empty ledger, and come to the same number."""
    store = await servers.open()
    await put(store, "door-1", "a", command="c1")
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    original, first = Ledger.replace, True

    async def replace(ledger: Ledger, seen: Generation | None, following: Generation) -> bool:
        nonlocal first
        if first:
            first = False
            other = await servers.open()
            await put(other, "door-1", "b", after=1, command="c2")
            await servers.close_stores()
            await servers.database.client.drop_database(servers.name)
        return await original(ledger, seen, following)

    with patch.object(Ledger, "replace", replace):
        again = await servers.another()
    fences = [fence.generation for fence in await again.reader.fences() if fence.partition == 0]
    assert fences == [1, 2, 2, 3]
    documents = again._documents
    assert documents is not None
    assert documents.generation.number == 3
    assert [effect.command for effect in await effects(again.reader)] == ["c1", "c2"]
    assert (await put(again, "door-1", "c", after=2)).version == 3


async def test_a_second_record_of_a_version_is_an_alarm_and_stops_nothing(
    servers: KafkaLogOnServers, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else's program writes to the topic."""
    store = await servers.open()
    await put(store, "door-1", "a", command="c1")
    number = store.reader.partition_of("door-1")
    intruder = msgspec.structs.replace(record("door-1", 1, data="somebody else"), log=store.log)
    await store._publisher.publish(number, [intruder])

    async def told() -> bool:
        return "another record of version 1 of door-1" in caplog.text

    await until(told)
    assert (await put(store, "door-1", "b", after=1)).version == 2
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    again = await servers.open()
    assert [record.data for record in await again.read_stream("door-1")] == [b'{"text":"a"}', b'{"text":"b"}']


async def test_who_comes_after_a_killed_filler_goes_on_where_it_was(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    for number in range(30):
        await put(store, f"door-{number}", "a", command=f"c{number}", claims={f"key:{number}"})
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    kept: list[str] = []
    keep = LedgerFilling.keep

    async def watched(filling: LedgerFilling, entries: Sequence[Entry], given_up: Sequence[GivenUp]) -> Sequence[Entry]:
        kept.extend(entry.command_id for entry in entries)
        return await keep(filling, entries, given_up)

    with patch.object(LedgerFilling, "keep", watched), patch.object(ledger_filler, "_AT_ONCE", 2):
        with dying(LedgerFilling, "advance", 13, True), pytest.raises(Died):
            await servers.another()
        before, kept[:] = list(kept), []
        again = await servers.another()
    assert len(before) > 10
    assert sorted({*before, *kept}) == sorted(f"c{number}" for number in range(30))
    assert len({*before} & {*kept}) <= 6, "what three readers had in hand at most"
    assert {fence.generation for fence in await again.reader.fences()} == {1, 2}, "the same generation"
    assert await again.find_claim("key:29") == ClaimHolder("door-29", 1)


async def test_processes_that_open_at_the_same_time_share_the_partitions(servers: KafkaLogOnServers) -> None:
    """Each reads one partition at a time here, and waits in its first until the other one has taken one, too."""
    store = await servers.open()
    for number in range(30):
        await put(store, f"door-{number}", "a", command=f"c{number}", claims={f"key:{number}"})
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    took: dict[str, set[int]] = {}
    both, advance = asyncio.Event(), LedgerFilling.advance

    async def watched(filling: LedgerFilling, seen: Share, share: Share) -> bool:
        done = await advance(filling, seen, share)
        if done and seen.filler != share.filler:
            took.setdefault(share.filler, set()).add(share.partition)
            if len(took) == 2:
                both.set()
            await both.wait()
        return done

    with (
        patch.object(LedgerFilling, "advance", watched),
        patch.object(ledger_filler, "_READERS", 1),
        patch.object(ledger_filler, "SILENCE_SECONDS", 60.0),
    ):
        stores = await asyncio.gather(servers.another(), servers.another())
    assert sorted(partition for partitions in took.values() for partition in partitions) == [0, 1, 2]
    for opened in stores:
        assert len(await everything(opened)) == 30
        assert await opened.find_claim("key:7") == ClaimHolder("door-7", 1)
    assert {fence.generation for fence in await stores[0].reader.fences()} == {1, 2}


async def test_a_ledger_that_is_dropped_while_it_is_filled_is_filled_from_the_start(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    for number in range(10):
        await put(store, f"door-{number}", "a", command=f"c{number}")
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    with dying(LedgerFilling, "advance", 5, True), pytest.raises(Died):
        await servers.another()
    for name in await servers.database.list_collection_names():
        if ".commits." in name:
            await servers.database.drop_collection(name)
    again = await servers.another()
    assert len(await everything(again)) == 10
    assert {fence.generation for fence in await again.reader.fences()} == {1, 2, 3}
