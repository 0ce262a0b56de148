"""The ledger is wiped, restored or swapped, also under running replicas: it catches up from the log before commands are
taken, and what was begun on the old one does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias
from unittest.mock import patch

import pytest

from eventkernel.adapters.kafka import event_store, sweeper
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.mongodb.connection import Document
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.errors import CannotOpen, ClaimTaken, ConcurrencyConflict, Unavailable
from eventkernel.testing.event_store_contract import everything, put
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.store import ClaimHolder
from tests.support.kafka_store import (
    KEY,
    ONE_BROKER,
    Died,
    KafkaLogOnServers,
    Steps,
    effects,
    in_an_append,
    patiently,
    until,
)

pytestmark = pytest.mark.engines

Copy: TypeAlias = Mapping[str, Sequence[Document]]
Loss: TypeAlias = Callable[[KafkaLogOnServers], Awaitable[None]]


async def wipe(servers: KafkaLogOnServers) -> None:
    await servers.database.client.drop_database(servers.name)


async def drop_documents(servers: KafkaLogOnServers) -> None:
    """And leave the generation, as nobody should."""
    for name in await servers.database.list_collection_names():
        if "commits" in name:
            await servers.database[name].drop()


async def copy_of(servers: KafkaLogOnServers) -> Copy:
    database = servers.database
    return {name: await database[name].find({}).to_list(None) for name in await database.list_collection_names()}


async def restore(servers: KafkaLogOnServers, copy: Copy, *, with_generation: bool = False) -> None:
    await wipe(servers)
    for name, documents in copy.items():
        if name.endswith(".generation") and not with_generation:
            continue
        collection = servers.database[name]
        if "commits" in name:
            await collection.create_index("keys", unique=True)
            await collection.create_index([("stream", 1), ("first", 1)])
            await collection.create_index("pending", sparse=True)
        await collection.insert_many(list(documents))


async def generation(servers: KafkaLogOnServers) -> int:
    """The one that is open; 0 where none is."""
    document = await servers.database[f"{servers.name}.generation"].find_one({"open": True})
    return 0 if document is None else int(document["number"])


async def test_a_new_log_begins_with_the_fences_of_generation_1(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    fences = await store.reader.fences()
    assert [(fence.partition, fence.offset, fence.generation) for fence in fences] == [(0, 0, 1), (1, 0, 1), (2, 0, 1)]
    assert await generation(servers) == 1
    again = await servers.open()
    assert again.log == store.log
    assert await generation(servers) == 1


async def test_of_several_replicas_that_open_a_log_at_once_one_makes_it(servers: KafkaLogOnServers) -> None:
    stores = await asyncio.gather(*(servers.another() for _ in range(4)))
    assert len({store.log for store in stores}) == 1
    await asyncio.gather(*(put(store, f"door-{n}", "a") for n, store in enumerate(stores)))
    assert len(await effects(stores[0].reader)) == 4
    assert await generation(servers) == 1


@pytest.fixture
async def history(servers: KafkaLogOnServers) -> KafkaEventStore:
    """A store with some streams, claims and remembered commands on its log."""
    store = await servers.open()
    for number in range(6):
        await put(store, f"door-{number}", "a", "b", command=f"c{number}", claims={f"key:{number}"})
    await put(store, "door-0", "c", after=2, command="gives up", claims=())
    await put(store, "door-1", "c", after=2, command="takes", claims={"key:0", "key:1"})
    await put(store, "door-2", after=2, command="nothing")
    return store


async def check_history(store: KafkaEventStore) -> None:
    """Everything that the log has is known: streams, commands, claims."""
    for number in range(6):
        versions = [record.version for record in await store.read_stream(f"door-{number}")]
        assert versions == ([1, 2, 3] if number < 2 else [1, 2])
        repeated = await put(store, "elsewhere", "z", command=f"c{number}")
        assert (repeated.stream, repeated.version) == (f"door-{number}", 2)
    remembered = await store.find_command("nothing")
    assert remembered is not None
    assert (remembered.version, remembered.events) == (2, 0)
    holders = [await store.find_claim(f"key:{number}") for number in range(6)]
    assert holders[:2] == [ClaimHolder("door-1", 3), ClaimHolder("door-1", 2)]
    assert holders[2:] == [ClaimHolder(f"door-{number}", 2) for number in range(2, 6)]
    with pytest.raises(ClaimTaken):
        await put(store, "elsewhere", "z", claims={"key:5"})
    with pytest.raises(ConcurrencyConflict):
        await put(store, "door-0", "z", after=2)
    assert len(await effects(store.reader)) == 9


@pytest.mark.parametrize("loss", ["wiped", "an empty copy is restored", "an early copy is restored"])
async def test_a_ledger_that_is_not_up_to_date_is_opened_from_the_log_before_commands_are_taken(
    servers: KafkaLogOnServers, loss: str
) -> None:
    """G9."""
    store = await servers.open()
    empty = await copy_of(servers)
    await put(store, "door-0", "a", "b", command="c0", claims={"key:0"})
    early = await copy_of(servers)
    await servers.close_stores()
    await history_of(servers, beginning=1)
    await servers.close_stores()
    match loss:
        case "wiped":
            await wipe(servers)
        case "an empty copy is restored":
            await restore(servers, empty)
        case _:
            await restore(servers, early)
    again = await servers.open()
    assert await generation(servers) == 2
    await check_history(again)
    assert [record.generation for record in await everything(again)] == [1] * 15
    assert (await put(again, "door-0", "d", after=3, claims=())).version == 4


async def history_of(servers: KafkaLogOnServers, beginning: int) -> None:
    store = await servers.open()
    for number in range(beginning, 6):
        await put(store, f"door-{number}", "a", "b", command=f"c{number}", claims={f"key:{number}"})
    await put(store, "door-0", "c", after=2, command="gives up", claims=())
    await put(store, "door-1", "c", after=2, command="takes", claims={"key:0", "key:1"})
    await put(store, "door-2", after=2, command="nothing")


async def test_a_ledger_that_lacks_a_record_is_opened_anew(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    copy = await copy_of(servers)
    await put(store, "door-1", "a", command="c1", claims={"key:1"})
    await servers.close_stores()
    await restore(servers, copy, with_generation=True)  # as nobody should: the generation does not tell of it
    again = await servers.open()
    assert await generation(servers) == 2
    assert await again.find_claim("key:1") == ClaimHolder("door-1", 1)
    assert [record.version for record in await again.read_stream("door-1")] == [1]


async def test_a_ledger_wiped_under_running_replicas_is_noticed_and_opened_again(
    servers: KafkaLogOnServers, history: KafkaEventStore
) -> None:
    other = await servers.another()
    await wipe(servers)
    commits = await asyncio.gather(
        *(
            patiently(put, store, f"new-{number}", "a", command=f"n{number}")
            for number, store in enumerate([history, other] * 4)
        )
    )
    assert [commit.version for commit in commits] == [1] * 8
    assert await generation(servers) == 2
    assert len(await effects(history.reader)) == 17
    for store in (history, other):
        assert len(await patiently(store.read_stream, "door-0")) == 3


@pytest.mark.parametrize("with_generation", [False, True])
async def test_an_early_copy_restored_under_a_running_replica_is_noticed(
    servers: KafkaLogOnServers, with_generation: bool
) -> None:
    """With its generation, as nobody should: a checkpoint that goes back stops commands."""
    store = await servers.open()
    copy = await copy_of(servers)
    await put(store, "door-1", "a", command="c1", claims={"key:1"})
    documents = store._documents
    assert documents is not None

    async def swept() -> bool:
        await documents.check()  # which remembers how far the checkpoint was
        return sum((await documents.checkpoint()).position.values()) > 3

    await until(swept)
    await restore(servers, copy, with_generation=with_generation)
    with pytest.raises(Unavailable):
        await put(store, "door-1", "z", command="c2")
    with pytest.raises(ConcurrencyConflict):
        await patiently(put, store, "door-1", "z", command="c2")
    assert await generation(servers) == 2
    assert await store.find_claim("key:1") == ClaimHolder("door-1", 1)


async def test_documents_that_are_dropped_under_a_running_replica_are_noticed(
    servers: KafkaLogOnServers, history: KafkaEventStore
) -> None:
    await drop_documents(servers)
    await until(lambda: _is(servers, 2))
    await patiently(history.find_command, "c0")
    await check_history(history)


async def _is(servers: KafkaLogOnServers, number: int) -> bool:
    return await generation(servers) == number


async def test_a_replica_without_commands_notices_too(servers: KafkaLogOnServers, history: KafkaEventStore) -> None:
    await wipe(servers)
    await until(lambda: _is(servers, 2))


@pytest.mark.parametrize("running", [True, False])
async def test_a_ledger_without_its_unique_index_is_filled_anew_and_a_claim_has_one_holder(
    servers: KafkaLogOnServers, running: bool
) -> None:
    """Also where an index of the same name came in its place, which is not unique."""
    store = await servers.open()
    await put(store, "door-1", "a", command="c1", claims={"key:1"})
    if not running:
        await servers.close_stores()
    for name in await servers.database.list_collection_names():
        if "commits" in name:
            await servers.database[name].drop_index("keys_1")
            await servers.database[name].create_index("keys", name="keys_1")
    store = store if running else await servers.open()
    await until(lambda: _is(servers, 2))
    with pytest.raises(ClaimTaken):
        await patiently(put, store, "door-2", "a", command="c2", claims={"key:1"})
    other = await servers.another()
    outcomes = await asyncio.gather(
        *(
            patiently(put, replica, f"door-{number}", "a", command=f"r{number}", claims={"key:2"})
            for number, replica in enumerate([store, other] * 4, start=3)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1, outcomes


# Each check of the generation, and what happens without it


async def insert_after_a_wipe(
    servers: KafkaLogOnServers, lose: Loss = wipe, *, dies: bool = False
) -> tuple[KafkaEventStore, BaseException | object]:
    """One replica has looked up that a claim is free, another takes it, the ledger is wiped, the first goes on."""
    first, second = await servers.open(), await servers.another()
    steps = Steps(first)

    async def meanwhile() -> None:
        await put(second, "door-2", "a", command="c2", claims={"key:1"})
        await lose(servers)

    steps.then("before insert 1", meanwhile)
    if dies:
        steps.die("after insert 1")
    try:
        return first, await put(first, "door-1", "a", command="c1", claims={"key:1"})
    except (Unavailable, Died) as error:
        return first, error


@pytest.mark.parametrize("lose", [wipe, drop_documents])
async def test_a_commit_that_is_inserted_into_a_wiped_ledger_does_not_come_on_the_log(
    servers: KafkaLogOnServers, lose: Loss
) -> None:
    """G3. Seen to fail with the check after the insert removed (below), and where it does not look for the mark."""
    store, outcome = await insert_after_a_wipe(servers, lose)
    assert isinstance(outcome, Unavailable)
    assert [effect.command for effect in await effects(store.reader)] == ["c2"]
    with pytest.raises(ClaimTaken):
        await patiently(put, store, "door-1", "a", command="c1", claims={"key:1"})


async def test_without_the_check_after_the_insert_a_claim_has_two_holders(servers: KafkaLogOnServers) -> None:
    with patch.object(Documents, "check", _no_check):
        store, _ = await insert_after_a_wipe(servers)
    with pytest.raises(AssertionError, match="two holders"):
        await effects(store.reader)


async def publish_behind_a_fence(servers: KafkaLogOnServers) -> tuple[KafkaEventStore, BaseException | object]:
    """One replica is about to publish when the ledger is wiped and opened by another one."""
    first, second = await servers.open(), await servers.another()
    steps = Steps(first)

    async def meanwhile() -> None:
        await wipe(servers)
        await until(lambda: _is(servers, 2))
        await patiently(put, second, "door-1", "b", command="c2")

    steps.then("before publish 1", meanwhile)
    try:
        return second, await put(first, "door-1", "a", command="c1")
    except Unavailable as error:
        return second, error


async def test_a_commit_that_is_published_behind_a_fence_is_not_acknowledged_and_does_no_harm(
    servers: KafkaLogOnServers,
) -> None:
    """G1, G2. Seen to fail with the check after the produce removed (below)."""
    store, outcome = await publish_behind_a_fence(servers)
    assert isinstance(outcome, Unavailable)
    assert [effect.command for effect in await effects(store.reader)] == ["c2"]
    assert [record.command_id for record in await everything(store)] == ["c2"]
    assert await store.find_command("c1") is None
    assert (await put(store, "door-1", "a", after=1, command="c1")).version == 2


async def test_an_update_that_matched_nothing_is_not_taken_for_done(servers: KafkaLogOnServers) -> None:
    """The second line behind the check: the collection that the commit was inserted into is gone."""
    with patch.object(Documents, "check", _no_check_of_appends):
        store, outcome = await publish_behind_a_fence(servers)
    assert isinstance(outcome, Unavailable)
    assert "c1" not in [effect.command for effect in await effects(store.reader)]


async def test_without_both_checks_after_the_produce_a_commit_is_acknowledged_that_is_not_in_effect(
    servers: KafkaLogOnServers,
) -> None:
    with (
        patch.object(Documents, "check", _no_check_of_appends),
        patch.object(Documents, "look_at_places", _look_at_nothing),
    ):
        store, outcome = await publish_behind_a_fence(servers)
    assert not isinstance(outcome, Unavailable)
    assert "c1" not in [effect.command for effect in await effects(store.reader)]


async def _look_at_nothing(_documents: Documents, _places: object) -> None: ...


async def test_a_commit_behind_a_fence_stays_without_effect_when_the_ledger_is_opened_once_more(
    servers: KafkaLogOnServers,
) -> None:
    first, second = await servers.open(), await servers.another()
    steps = Steps(first)

    async def meanwhile() -> None:
        await wipe(servers)
        await until(lambda: _is(servers, 2))

    steps.then("before publish 1", meanwhile)
    with pytest.raises(Unavailable):
        await put(first, "door-7", "late", command="c1", claims={"key:7"})
    await wipe(servers)
    await until(lambda: _is(servers, 3))
    assert await patiently(second.find_claim, "key:7") is None
    assert await second.find_command("c1") is None
    assert (await put(second, "door-8", "a", claims={"key:7"})).version == 1
    assert (await put(second, "door-7", "again", command="c1")).version == 1
    assert [record.data for record in await everything(second) if record.stream == "door-7"] == [b'{"text":"again"}']


def let_nobody_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that only who meets the wiped ledger by a command can notice it."""
    monkeypatch.setattr(event_store, "_LOOK_SECONDS", 3600)
    for name in ("MOMENT", "LEFT", "ENDS", "INDEXES", "COMPARED"):
        monkeypatch.setattr(sweeper, f"_{name}_SECONDS", 3600)


async def help_after_a_wipe(servers: KafkaLogOnServers) -> tuple[KafkaEventStore, object]:
    """A commit was inserted into a collection that was dropped and came back, and its owner died; another replica that
    has not noticed the wipe meets it."""
    store, _ = await insert_after_a_wipe(servers, dies=True)
    second = servers.stores[1]
    try:
        return store, await second.find_command("c1")
    except Unavailable as error:
        return store, error


async def test_nobody_helps_a_commit_of_a_ledger_that_was_wiped(
    servers: KafkaLogOnServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G3. Seen to fail with the check before helping removed (below)."""
    let_nobody_look(monkeypatch)
    store, outcome = await help_after_a_wipe(servers)
    assert isinstance(outcome, Unavailable)
    assert [effect.command for effect in await effects(store.reader)] == ["c2"]


async def test_without_the_check_before_helping_a_claim_has_two_holders(
    servers: KafkaLogOnServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_nobody_look(monkeypatch)
    with patch.object(Documents, "check", _no_check):
        store, _ = await help_after_a_wipe(servers)
    with pytest.raises(AssertionError, match="two holders"):
        await effects(store.reader)


async def _no_check(_documents: Documents) -> None:
    """The mechanism removed."""


_check = Documents.check


async def _no_check_of_appends(documents: Documents) -> None:
    """Removed from commands alone, so that the ledger is still opened again."""
    if not in_an_append():
        await _check(documents)


# What does not belong together


async def test_another_claims_key_is_refused(servers: KafkaLogOnServers, history: KafkaEventStore) -> None:
    with pytest.raises(CannotOpen, match="claims key"):
        await KafkaEventStore.open(
            servers.connection, servers.database, name=servers.name, key=ClaimsKey.draw(), clock=servers.clock,
            settings=ONE_BROKER,
        )  # fmt: skip


async def test_a_ledger_of_another_log_is_refused(
    servers: KafkaLogOnServers, history: KafkaEventStore, engine_name: str
) -> None:
    with pytest.raises(CannotOpen, match="whose ledger is here"):
        await KafkaEventStore.open(
            servers.connection, servers.database, name=servers.name, topic=f"{engine_name}_2", key=KEY,
            clock=servers.clock, settings=ONE_BROKER,
        )  # fmt: skip


@pytest.fixture
async def reader(servers: KafkaLogOnServers, history: KafkaEventStore) -> AsyncGenerator[KafkaLog]:
    async with await KafkaLog.open(servers.connection, servers.name) as log:
        yield log


async def test_a_reader_sees_nothing_of_an_opening(
    servers: KafkaLogOnServers, history: KafkaEventStore, reader: KafkaLog
) -> None:
    before = await effects(reader)
    await wipe(servers)
    await until(lambda: _is(servers, 2))
    await patiently(put, history, "door-9", "a", command="later")
    assert (await effects(reader))[: len(before)] != []
    assert {effect.command for effect in await effects(reader)} == {effect.command for effect in before} | {"later"}
