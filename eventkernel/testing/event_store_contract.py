"""The contract of `EventStore` as tests: an adapter passes it by deriving a class that says how its store is opened.

class TestMyEventStore(EventStoreContract):
    @pytest.fixture
    async def log(self) -> AsyncIterator[LogUnderTest]:
        ...

A log may have any number of partitions and be as slow as it likes. So nothing here relies on an order of what stands in
different streams, nor on a record being delivered only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol

import pytest

from eventkernel.clock import ManualClock
from eventkernel.errors import (
    CheckpointMismatch,
    ClaimTaken,
    ConcurrencyConflict,
    IdempotencyMismatch,
    InvalidInput,
    KernelError,
    Unavailable,
)
from eventkernel.events import (
    COMMAND_REFUSED,
    COMMAND_REMEMBERED,
    FENCE,
    EncodedEvent,
    Metadata,
    Partition,
    Position,
    Record,
)
from eventkernel.reading.folding import checkpoint_after, further
from eventkernel.writing.appending import LARGEST_COMMIT, LONGEST_NAME, MOST_EVENTS
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import Checkpoint, ClaimHolder, Commit, EventStore, Landmark


class LogUnderTest(Protocol):
    """One log, empty at first, whose store can be opened again and again."""

    clock: ManualClock

    async def open(self) -> EventStore:
        """The store; whatever was opened before is closed. What was acknowledged is there."""
        ...

    async def stop_writes(self) -> None:
        """From now on no append can succeed: the disk is full, the server is gone."""
        ...

    async def resume_writes(self) -> None: ...


def event(text: str = "", kind: str = "doors.Opened") -> EncodedEvent:
    return EncodedEvent(kind, 1, b'{"text":"%s"}' % text.encode())


async def put(
    store: EventStore,
    stream: str,
    *texts: str,
    after: int = 0,
    command: str | None = None,
    fingerprint: str = "a print",
    claims: Iterable[str] | None = None,
) -> Commit:
    """Append one event per text; the command id is made from the arguments where none is given."""
    return await store.append(
        stream,
        [event(text) for text in texts],
        expected_version=after,
        command_id=command if command is not None else f"{stream} after {after}: {texts}",
        fingerprint=fingerprint,
        claims=None if claims is None else frozenset(claims),
    )


async def everything(
    store: EventStore, after: Checkpoint | None = None, partitions: frozenset[int] | None = None
) -> list[Record]:
    """What a subscriber gets on its way to the log's present end, each record once, in order per partition."""
    reached = after or Checkpoint()
    head = await store.head()
    goal = Position({p: offset for p, offset in head.items() if partitions is None or p.number in partitions})
    position = reached.position
    records: dict[str, Record] = {}
    if position.covers(goal):
        return []
    async with aclosing(store.subscribe(reached, partitions)) as batches:
        async for batch in batches:
            for record in batch.records:
                records.setdefault(record.id, record)
            position = position.join(Position.of(batch.log, batch.partition, batch.next_offset))
            if position.covers(goal):
                break
    return list(records.values())


async def checkpoint_at_the_end(store: EventStore) -> Checkpoint:
    """Where a reader stands that has taken everything."""
    head, reached = await store.head(), Checkpoint()
    async with aclosing(store.subscribe(reached)) as batches:
        async for batch in batches:
            reached = further(reached, checkpoint_after([batch]))
            if reached.position.covers(head):
                break
    return reached


def by_place(records: Iterable[Record]) -> list[Record]:
    """Sorted by partition and offset: for comparing what came in another order of the partitions."""
    return sorted(records, key=lambda record: (record.partition, record.offset))


async def outcome(append: asyncio.Future[Commit] | asyncio.Task[Commit]) -> Commit | KernelError:
    try:
        return await append
    except KernelError as error:
        return error


class EventStoreContract:
    """Give it a fixture `log`."""

    @pytest.fixture
    def log(self) -> LogUnderTest:
        raise NotImplementedError("an adapter's suite says how its store is opened")

    @pytest.fixture
    async def store(self, log: LogUnderTest) -> EventStore:
        return await log.open()

    # Appending

    async def test_the_records_of_a_command_are_read_by_its_id(self, store: EventStore) -> None:
        await put(store, "door-1", "a", "b", command="first")
        await put(store, "door-1", "c", after=2, command="second")

        read = await store.read_command("first")

        assert [(record.stream, record.version, record.command_id) for record in read] == [
            ("door-1", 1, "first"),
            ("door-1", 2, "first"),
        ]
        assert read == [record for record in await everything(store) if record.command_id == "first"]

    async def test_the_record_of_a_command_that_was_refused_is_read_by_its_id(self, store: EventStore) -> None:
        told = Metadata(correlation="a request")
        refusal = Refused("SHUT", "the door is shut")
        await store.append(
            "door-1", [], expected_version=0, command_id="refused", fingerprint="f", refusal=refusal, metadata=told
        )

        (record,) = await store.read_command("refused")

        assert (record.type, record.version, record.correlation) == (COMMAND_REFUSED, 0, "a request")
        assert Refused.decoded(record.data) == refusal

    @pytest.mark.parametrize("command", ["unknown", "", "*", "a\nb", "\x00", "x" * 1_000, "' OR 1=1 --"])
    async def test_an_unknown_command_has_no_records(self, store: EventStore, command: str) -> None:
        await put(store, "door-1", "a")

        assert list(await store.read_command(command)) == []

    async def test_the_records_of_a_correlation_are_found_among_the_last_ones(self, store: EventStore) -> None:
        for number in range(6):
            told = Metadata(correlation="ours" if number % 2 else "another")
            await store.append(
                f"door-{number}",
                [event("a"), event("b")],
                expected_version=0,
                command_id=f"command {number}",
                fingerprint="f",
                metadata=told,
            )

        found = await store.read_correlated("ours", back=1_000, most=1_000)

        assert by_place(found.records) == by_place(
            record for record in await everything(store) if record.correlation == "ours"
        )
        assert {record.stream for record in found.records} == {"door-1", "door-3", "door-5"}
        assert (found.since_us, found.more) == (None, False)

    async def test_what_lies_further_back_on_the_log_is_not_looked_at(
        self, store: EventStore, log: LogUnderTest
    ) -> None:
        told = Metadata(correlation="ours")
        for version in range(9):
            await store.append(
                "door-1",
                [event(str(version))],
                expected_version=version,
                command_id=f"command {version}",
                fingerprint="f",
                metadata=told,
            )
            log.clock.advance(1)

        found = await store.read_correlated("ours", back=4, most=1_000)

        assert [record.version for record in found.records] == [6, 7, 8, 9]
        assert found.since_us is not None
        assert found.since_us // 1_000 == found.records[0].time_us // 1_000
        assert not found.more

    async def test_of_very_many_correlated_records_the_last_ones_are_given(self, store: EventStore) -> None:
        told = Metadata(correlation="ours")
        for version in range(5):
            await store.append(
                "door-1",
                [event(str(version))],
                expected_version=version,
                command_id=f"command {version}",
                fingerprint="f",
                metadata=told,
            )

        found = await store.read_correlated("ours", back=1_000, most=2)

        assert [record.version for record in found.records] == [4, 5]
        assert found.more

    @pytest.mark.parametrize("correlation", ["unknown", "", "\x00", "x" * 5_000, "' OR 1=1 --", "%"])
    async def test_an_unknown_correlation_has_no_records(self, store: EventStore, correlation: str) -> None:
        await put(store, "door-1", "a")

        assert list((await store.read_correlated(correlation, back=1_000, most=1_000)).records) == []

    async def test_a_commit_counts_versions_from_one_and_says_where_it_stands(self, store: EventStore) -> None:
        first = await put(store, "door-1", "a", "b", command="c1")
        second = await put(store, "door-1", "c", after=2, command="c2")
        assert (first.stream, first.version, first.events, first.command_id) == ("door-1", 2, 2, "c1")
        assert (second.version, second.events) == (3, 1)
        assert second.position.covers(first.position)
        assert not first.position.covers(second.position)

    async def test_a_record_carries_the_whole_envelope(self, log: LogUnderTest, store: EventStore) -> None:
        metadata = Metadata("actor-1", "correlation-1", "causation-1", "00-trace", "state=1")
        events = [EncodedEvent("doors.Opened", 3, '{"wort":"Tür"}'.encode()), event("b", "doors.Shut")]
        commit = await store.append(
            "door-1",
            events,
            expected_version=0,
            command_id="c1",
            fingerprint="f1",
            claims=frozenset({"key:1"}),
            metadata=metadata,
        )
        one, two = await store.read_stream("door-1")
        assert [one.data, two.data] == [given.data for given in events]
        assert [(r.type, r.schema_version, r.version) for r in (one, two)] == [
            ("doors.Opened", 3, 1),
            ("doors.Shut", 1, 2),
        ]
        assert two.offset == one.offset + 1
        assert commit.position == Position.of(store.log, one.partition, two.offset + 1)
        assert one.id != two.id
        assert len(one.claims_taken) == 1
        for record in (one, two):
            assert (record.log, record.stream, record.first_version, record.commit_size) == (store.log, "door-1", 1, 2)
            assert (record.command_id, record.fingerprint, record.generation) == ("c1", "f1", one.generation)
            assert record.time_us == log.clock.now_us()
            assert record.claims_given_up == ()
            found = (record.actor, record.correlation, record.causation, record.traceparent, record.tracestate)
            assert found == ("actor-1", "correlation-1", "causation-1", "00-trace", "state=1")
        assert await everything(store) == [one, two]

    async def test_an_append_to_another_version_is_a_conflict_and_leaves_nothing(self, store: EventStore) -> None:
        await put(store, "door-1", "a")
        head = await store.head()
        for wrong in (0, 2):
            with pytest.raises(ConcurrencyConflict) as caught:
                await put(store, "door-1", "b", after=wrong)
            assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("door-1", wrong, 1)
        assert await store.head() == head
        assert [record.version for record in await store.read_stream("door-1")] == [1]

    async def test_of_many_writers_at_once_one_wins_each_version(self, store: EventStore) -> None:
        async def write(writer: int) -> list[int]:
            won: list[int] = []
            for version in range(5):
                try:
                    await put(store, "door-1", str(writer), after=version, command=f"{writer} {version}")
                    won.append(version)
                except ConcurrencyConflict:
                    pass
            return won

        won = await asyncio.gather(*(write(writer) for writer in range(20)))
        assert sorted(version for wins in won for version in wins) == [0, 1, 2, 3, 4]
        records = await store.read_stream("door-1")
        assert [record.version for record in records] == [1, 2, 3, 4, 5]
        assert all(record.version - 1 in won[int(record.command_id.split()[0])] for record in records)

    async def test_of_many_streams_written_at_once_every_acknowledged_event_is_there(self, store: EventStore) -> None:
        async def write(stream: str) -> None:
            for version in range(10):
                await put(store, stream, f"{stream} {version}", after=version)

        streams = [f"door-{number}" for number in range(30)]
        await asyncio.gather(*map(write, streams))
        for stream in streams:
            records = await store.read_stream(stream)
            assert [record.data for record in records] == [event(f"{stream} {version}").data for version in range(10)]
        assert len(await everything(store)) == 300

    async def test_a_commit_is_whole_or_absent_among_refused_neighbours(self, store: EventStore) -> None:
        appends = [
            asyncio.ensure_future(put(store, f"door-{n % 4}", "a", "b", "c", command=f"c{n}")) for n in range(16)
        ]
        outcomes = [await outcome(append) for append in appends]
        assert sum(isinstance(found, Commit) for found in outcomes) == 4
        for number in range(4):
            records = await store.read_stream(f"door-{number}")
            assert [(r.version, r.first_version, r.commit_size) for r in records] == [(1, 1, 3), (2, 1, 3), (3, 1, 3)]
            assert len({record.command_id for record in records}) == 1

    # Command ids

    async def test_a_repeated_command_gives_the_first_commit_and_appends_nothing(self, store: EventStore) -> None:
        first = await put(store, "door-1", "a", command="c1")
        await put(store, "door-1", "b", after=1)
        head = await store.head()
        assert await put(store, "door-1", "a", command="c1") == first
        assert await put(store, "door-1", "a", after=2, command="c1") == first
        assert await put(store, "another-door", "z", command="c1") == first
        assert await store.head() == head

    async def test_the_same_command_sent_many_times_at_once_is_one_commit(self, store: EventStore) -> None:
        commits = await asyncio.gather(*(put(store, f"door-{n}", "a", command="c1") for n in range(20)))
        assert len({commit.stream for commit in commits}) == 1
        assert all(commit == commits[0] for commit in commits)
        assert len(await everything(store)) == 1

    async def test_only_who_put_the_records_on_the_log_gets_them_with_the_commit(self, store: EventStore) -> None:
        first = await put(store, "door-1", "a", "b", command="c1")
        assert list(first.records) == list(await store.read_stream("door-1"))
        again, found = await put(store, "door-1", "a", command="c1"), await store.find_command("c1")
        assert found is not None
        assert not again.records
        assert not found.records
        nothing = await put(store, "door-1", after=2, command="c2")
        assert [*first.records, *nothing.records] == await everything(store)
        twins = await asyncio.gather(*(put(store, "door-2", "a", command="c3") for _ in range(5)))
        assert sorted(len(commit.records) for commit in twins) == [0, 0, 0, 0, 1]

    async def test_what_is_acknowledged_is_no_backlog(self, store: EventStore) -> None:
        assert await store.backlog() == 0
        await asyncio.gather(*(put(store, f"door-{n}", "a") for n in range(5)))
        assert await store.backlog() == 0

    async def test_a_command_id_with_other_content_is_a_mismatch(self, store: EventStore) -> None:
        await put(store, "door-1", "a", command="c1", fingerprint="f1")
        for stream in ("door-1", "door-2"):
            with pytest.raises(IdempotencyMismatch):
                await put(store, stream, "b", after=1, command="c1", fingerprint="f2")
        assert len(await everything(store)) == 1

    async def test_a_refused_command_id_is_still_free(self, store: EventStore) -> None:
        await put(store, "door-1", "a")
        with pytest.raises(ConcurrencyConflict):
            await put(store, "door-1", "b", command="c1", fingerprint="f1")
        assert await store.find_command("c1") is None
        assert (await put(store, "door-1", "c", after=1, command="c1", fingerprint="f2")).version == 2

    async def test_a_commit_is_found_by_its_command_id(self, store: EventStore) -> None:
        assert await store.find_command("c2") is None
        await put(store, "door-1", "a", command="c1")
        commit = await put(store, "door-1", "b", "c", after=1, command="c2", fingerprint="f2")
        await put(store, "door-1", "d", after=3, command="c3")
        assert await store.find_command("c2") == commit

    # Commands without events

    async def test_a_command_without_events_is_remembered_and_is_no_event_of_its_stream(
        self, store: EventStore
    ) -> None:
        await put(store, "door-1", "a", "b", command="c1")
        commit = await put(store, "door-1", after=2, command="c2", fingerprint="f2")
        assert (commit.version, commit.events) == (2, 0)
        assert await store.find_command("c2") == commit
        await put(store, "door-1", "c", after=2, command="c3")
        assert await put(store, "door-1", after=2, command="c2", fingerprint="f2") == commit
        assert [record.version for record in await store.read_stream("door-1")] == [1, 2, 3]
        (remembered,) = [record for record in await everything(store) if not record.version]
        assert (remembered.type, remembered.first_version) == (COMMAND_REMEMBERED, 2)
        assert (remembered.stream, remembered.command_id, remembered.commit_size) == ("door-1", "c2", 1)

    async def test_a_command_without_events_may_meet_an_unknown_stream_and_needs_its_version_too(
        self, store: EventStore
    ) -> None:
        commit = await put(store, "door-1", command="c1")
        assert (commit.version, commit.events) == (0, 0)
        assert await store.find_command("c1") == commit
        assert list(await store.read_stream("door-1")) == []
        with pytest.raises(ConcurrencyConflict):
            await put(store, "door-1", after=1, command="c2")

    async def test_many_commands_without_events_are_remembered_in_one_stream(self, store: EventStore) -> None:
        commits = [await put(store, "door-1", command=f"c{n}") for n in range(5)]
        assert [await store.find_command(f"c{n}") for n in range(5)] == commits
        assert len({record.id for record in await everything(store)}) == 5

    # Claims

    async def test_a_claim_has_one_holder_until_it_is_given_up(self, store: EventStore) -> None:
        await put(store, "door-1", "a", claims={"key:1", "key:2"})
        with pytest.raises(ClaimTaken) as caught:
            await put(store, "door-2", "a", claims={"key:2", "key:3"})
        assert caught.value.claim == "key:2"
        assert await store.find_claim("key:3") is None
        await put(store, "door-1", "b", after=1, claims={"key:1"})
        await put(store, "door-2", "a", claims={"key:2", "key:3"})
        assert await store.find_claim("key:1") == ClaimHolder("door-1", 1)
        assert await store.find_claim("key:2") == ClaimHolder("door-2", 1)

    async def test_of_many_streams_that_claim_the_same_at_once_one_gets_it(self, store: EventStore) -> None:
        appends = [asyncio.ensure_future(put(store, f"door-{n}", "a", claims={"key:1"})) for n in range(20)]
        outcomes = [await outcome(append) for append in appends]
        winners = [found for found in outcomes if isinstance(found, Commit)]
        assert len(winners) == 1
        assert all(isinstance(found, Commit | ClaimTaken) for found in outcomes)
        assert await store.find_claim("key:1") == ClaimHolder(winners[0].stream, 1)
        assert [record.stream for record in await everything(store)] == [winners[0].stream]

    async def test_a_stream_may_take_its_own_claim_again_and_keeps_its_claims_where_none_are_named(
        self, store: EventStore
    ) -> None:
        await put(store, "door-1", "a", "b", claims={"key:1"})
        await put(store, "door-1", "c", after=2, claims={"key:1", "key:2"})
        await put(store, "door-1", "d", after=3)
        assert await store.find_claim("key:1") == ClaimHolder("door-1", 2)
        assert await store.find_claim("key:2") == ClaimHolder("door-1", 3)
        with pytest.raises(ClaimTaken):
            await put(store, "door-2", "a", claims={"key:1"})

    async def test_a_claim_that_was_given_up_can_be_had_again_by_anybody(self, store: EventStore) -> None:
        await put(store, "door-1", "a", claims={"key:1"})
        await put(store, "door-1", "b", after=1, claims=())
        assert await store.find_claim("key:1") is None
        await put(store, "door-2", "a", claims={"key:1"})
        await put(store, "door-2", "b", after=1, claims=())
        await put(store, "door-1", "c", after=2, claims={"key:1"})
        assert await store.find_claim("key:1") == ClaimHolder("door-1", 3)

    async def test_a_refused_append_neither_takes_nor_gives_up_claims(self, store: EventStore) -> None:
        await put(store, "door-1", "a", claims={"key:1"})
        await put(store, "door-2", "a", claims={"key:2"})
        with pytest.raises(ClaimTaken):
            await put(store, "door-1", "b", after=1, claims={"key:2"})
        with pytest.raises(ConcurrencyConflict):
            await put(store, "door-1", "b", after=0, command="c1", claims=())
        assert await store.find_claim("key:1") == ClaimHolder("door-1", 1)
        assert await store.find_claim("key:2") == ClaimHolder("door-2", 1)

    async def test_records_say_which_claims_were_taken_and_given_up_and_never_in_clear(self, store: EventStore) -> None:
        await put(store, "door-1", "a", "b", claims={"key:zoë", "key:tom"})
        await put(store, "door-1", "c", after=2, claims={"key:tom", "key:max"})
        taking, second, changing = await store.read_stream("door-1")
        assert len(taking.claims_taken) == 2
        assert second.claims_taken == ()
        assert len(changing.claims_taken) == len(changing.claims_given_up) == 1
        assert set(changing.claims_given_up) < set(taking.claims_taken)
        assert not set(changing.claims_taken) & set(taking.claims_taken)
        shown = repr(await everything(store))
        assert not any(name in shown for name in ("zoë", "tom", "max", "key:"))

    async def test_a_claim_may_pass_from_stream_to_stream_under_load(self, store: EventStore) -> None:
        holding: list[str] = []

        async def hold(stream: str) -> None:
            version = 0
            for _ in range(5):
                try:
                    await put(store, stream, "take", after=version, command=f"{stream} {version}", claims={"key:1"})
                except ClaimTaken:
                    await asyncio.sleep(0)
                    continue
                holding.append(stream)
                assert holding == [stream], "it has one holder at a time, whatever the order on the log"
                assert await store.find_claim("key:1") == ClaimHolder(stream, version + 1)
                holding.remove(stream)
                await put(store, stream, "give", after=version + 1, command=f"{stream} {version + 1}", claims=())
                version += 2

        streams = [f"door-{number}" for number in range(8)]
        await asyncio.gather(*map(hold, streams))
        records = await everything(store)
        assert records
        for stream in streams:
            mine = [record for record in records if record.stream == stream]
            changes = [(len(record.claims_taken), len(record.claims_given_up)) for record in mine]
            assert changes == [(1, 0), (0, 1)] * (len(mine) // 2)
        assert await store.find_claim("key:1") is None

    # Refusals

    async def test_a_refusal_is_remembered_with_its_command(self, log: LogUnderTest, store: EventStore) -> None:
        await put(store, "door-1", "a")
        refused = Refused("NO", "it is not to be", {"actual": 1})
        asked: dict[str, Any] = {"expected_version": 1, "command_id": "k", "fingerprint": "f"}
        commit = await store.append("door-1", [], **asked, refusal=refused)
        assert (commit.version, commit.events, commit.refusal, len(commit.records)) == (1, 0, refused, 1)
        for reopened in (False, True):
            again = await log.open() if reopened else store
            assert await again.find_command("k") == commit
            for claims in (None, frozenset({"key:1"})):
                late = await again.append("door-1", [event("b")], **asked, claims=claims)
                assert (late, late.records) == (commit, ())
            elsewhere: dict[str, Any] = {**asked, "expected_version": 5}
            assert await again.append("door-2", [], **elsewhere) == commit
            other: dict[str, Any] = {**asked, "fingerprint": "other"}
            with pytest.raises(IdempotencyMismatch):
                await again.append("door-1", [event("b")], **other)
            assert [record.version for record in await again.read_stream("door-1")] == [1]
            assert await again.find_claim("key:1") is None
        again = await log.open()
        (remembered,) = [record for record in await everything(again) if not record.version]
        assert (remembered.type, remembered.first_version) == (COMMAND_REFUSED, 1)
        assert Refused.decoded(remembered.data) == refused
        assert (await put(again, "door-1", "b", after=1)).version == 2

    async def test_a_refusal_is_of_the_version_that_it_was_decided_on(self, store: EventStore) -> None:
        await put(store, "door-1", "a")
        refused = Refused("NO", "it is not to be")
        with pytest.raises(ConcurrencyConflict):
            await store.append("door-1", [], expected_version=0, command_id="k", fingerprint="f", refusal=refused)
        with pytest.raises(InvalidInput):
            await store.append(
                "door-1", [event("b")], expected_version=1, command_id="k", fingerprint="f", refusal=refused
            )
        assert await store.find_command("k") is None

    async def test_of_an_effect_and_a_refusal_of_one_command_one_is_its_answer(self, store: EventStore) -> None:
        asked: dict[str, Any] = {"expected_version": 0, "fingerprint": "f"}
        for number in range(20):
            stream, refused = f"door-{number}", Refused("NO", "it is not to be")
            effect = store.append(stream, [event("a")], **asked, command_id=stream)
            refusal = store.append(stream, [], **asked, command_id=stream, refusal=refused)
            pair = (effect, refusal) if number % 2 else (refusal, effect)
            answers = list(await asyncio.gather(*pair, return_exceptions=True))
            assert answers[0] == answers[1] == await store.find_command(stream)
            assert isinstance(answers[0], Commit)
            assert len(await store.read_stream(stream)) == (0 if answers[0].refusal else 1)

    # Reading

    async def test_a_stream_is_read_whole_or_up_to_a_version(self, store: EventStore) -> None:
        for version in range(4):
            await put(store, "door-1", str(version), after=version)
            await put(store, "door-10", str(version), after=version)
        whole = await store.read_stream("door-1")
        assert [record.version for record in whole] == [1, 2, 3, 4]
        assert {record.stream for record in whole} == {"door-1"}
        assert [list(await store.read_stream("door-1", up_to)) for up_to in (0, 1, 3, 9)] == [
            [], list(whole[:1]), list(whole[:3]), list(whole)
        ]  # fmt: skip
        assert list(await store.read_stream("door")) == []

    async def test_a_stream_is_read_behind_a_version(self, store: EventStore) -> None:
        await put(store, "door-1", "0", "1", after=0)
        await put(store, "door-1", "2", after=2)
        await put(store, "door-1", "3", "4", "5", after=3)
        whole = list(await store.read_stream("door-1"))
        for after in range(8):
            assert list(await store.read_stream("door-1", after=after)) == whole[after:]
            for up_to in range(8):
                assert list(await store.read_stream("door-1", up_to, after=after)) == whole[after:up_to]
        assert list(await store.read_stream("door-2", after=1)) == []

    async def test_times_never_go_back_within_a_stream(self, log: LogUnderTest, store: EventStore) -> None:
        start = log.clock.now_us()
        await put(store, "door-1", "a")
        log.clock.advance(-60)
        await put(store, "door-1", "b", after=1)
        await put(store, "door-2", "a")
        log.clock.advance(90)
        await put(store, "door-1", "c", after=2)
        assert [r.time_us - start for r in await store.read_stream("door-1")] == [0, 0, 30_000_000]
        assert [r.time_us - start for r in await store.read_stream("door-2")] == [-60_000_000]

    async def test_a_subscriber_gets_everything_in_order_and_no_fence(self, store: EventStore) -> None:
        for number in range(30):
            await put(store, f"door-{number % 7}", "a", "b", after=number // 7 * 2)
        records = await everything(store)
        assert len(records) == 60
        assert FENCE not in {record.type for record in records}
        for stream in {record.stream for record in records}:
            mine = [record for record in records if record.stream == stream]
            assert mine == list(await store.read_stream(stream))
        for partition in {record.partition for record in records}:
            offsets = [record.offset for record in records if record.partition == partition]
            assert offsets == sorted(set(offsets))
        assert len({record.id for record in records}) == 60

    async def test_a_subscriber_goes_on_from_anywhere(self, store: EventStore) -> None:
        commits = [await put(store, f"door-{number}", "a", "b") for number in range(5)]
        records = await everything(store)
        for index in range(len(commits)):
            position = Position.joined(commit.position for commit in commits[: index + 1])
            later = [r for r in records if r.offset >= position.get(Partition(r.log, r.partition), 0)]
            assert by_place(await everything(store, Checkpoint(position))) == by_place(later), index

    async def test_a_subscriber_of_some_partitions_gets_all_of_theirs_and_nothing_else(self, store: EventStore) -> None:
        for number in range(12):
            await put(store, f"door-{number}", "a", "b")
        records, halfway = await everything(store), Checkpoint(await store.head())
        for number in range(12):
            await put(store, f"door-{number}", "c", after=2)
        later = [record for record in await everything(store) if record.version == 3]
        numbers = [partition.number for partition in await store.head()]
        for wanted in [*({number} for number in numbers), set(numbers)]:
            before = [record for record in records if record.partition in wanted]
            after = [record for record in later if record.partition in wanted]
            partitions = frozenset(wanted)
            assert by_place(await everything(store, None, partitions)) == by_place([*before, *after])
            assert by_place(await everything(store, halfway, partitions)) == by_place(after)

    async def test_a_subscriber_of_no_partition_waits_until_it_is_closed(self, store: EventStore) -> None:
        await put(store, "door-1", "before")
        batches = store.subscribe(Checkpoint(), frozenset())
        waiting = asyncio.ensure_future(anext(batches))
        await put(store, "door-2", "after")
        assert len(await everything(store)) == 2
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await batches.aclose()

    async def test_a_subscriber_of_an_empty_log_comes_to_its_head(self, store: EventStore) -> None:
        assert await everything(store) == []

    async def test_subscribers_at_the_end_get_what_is_appended_then(self, store: EventStore) -> None:
        await put(store, "door-0", "before")
        head = await store.head()

        async def follow() -> set[str]:
            seen: set[str] = set()
            async with aclosing(store.subscribe(Checkpoint(head))) as batches:
                async for batch in batches:
                    seen |= {record.stream for record in batch.records}
                    if len(seen) >= 10:
                        break
            return seen

        followers = [asyncio.create_task(follow()) for _ in range(3)]
        for number in range(1, 11):
            await put(store, f"door-{number}", "a")
        expected = {f"door-{number}" for number in range(1, 11)}
        assert await asyncio.gather(*followers) == [expected] * 3

    async def test_a_waiting_subscription_can_be_closed(self, store: EventStore) -> None:
        batches = store.subscribe(Checkpoint(await store.head()))
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await batches.aclose()
        assert [batch async for batch in batches] == []

    async def test_a_subscriber_that_is_past_the_end_is_told_that_something_was_lost(self, store: EventStore) -> None:
        commit = await put(store, "door-1", "a")
        partition, offset = next(iter(commit.position.items()))
        beyond = Checkpoint(Position.of(partition.log, partition.number, offset + 1))
        async with aclosing(store.subscribe(beyond)) as batches:
            with pytest.raises(CheckpointMismatch):
                await anext(batches)

    async def test_a_reader_goes_on_after_the_record_that_it_took_last(
        self, log: LogUnderTest, store: EventStore
    ) -> None:
        for number in range(6):
            await put(store, f"door-{number}", "a", "b")
        before = await checkpoint_at_the_end(store)
        assert before.landmarks
        await put(store, "door-1", "c", after=2, command="the last")
        again = await log.open()
        assert [record.command_id for record in await everything(again, before)] == ["the last"]

    async def test_a_reader_of_another_history_is_told_so_wherever_the_log_ends(self, store: EventStore) -> None:
        """As if the log had been put back to an older copy, and had grown again past where its reader is."""
        for number in range(6):
            await put(store, f"door-{number}", "a")
        there = await checkpoint_at_the_end(store)
        for partition, landmark in there.landmarks.items():
            others = {**there.landmarks, partition: Landmark(landmark.offset, "0" * len(landmark.digest))}
            async with aclosing(store.subscribe(replace(there, landmarks=others))) as batches:
                with pytest.raises(CheckpointMismatch, match="is not the one that its reader has read"):
                    await anext(batches)
            await put(store, "door-0", "more", after=1, command="c7")
            elsewhere = frozenset({partition.number + 1})
            assert all(
                record.partition != partition.number
                for record in await everything(store, replace(there, landmarks=others), elsewhere)
            ), "who does not read the partition is not concerned"
            break

    async def test_the_last_record_before_an_offset_is_found(self, store: EventStore) -> None:
        first = await put(store, "door-1", "a", "b", command="c1")
        second = await put(store, "door-1", "c", after=2, command="c2")
        (partition, end), *_ = second.position.items()
        number = partition.number
        assert await store.records_before({number: end}) == {number: second.records[0]}
        assert await store.records_before({number: end - 1}) == {number: first.records[1]}
        assert await store.records_before({number: end - 2}) == {number: first.records[0]}
        assert await store.records_before({number: end + 100}) == {number: second.records[0]}
        assert await store.records_before({number: 1}) == {}, "a fence is no record that anybody is given"
        assert await store.records_before({number: 0}) == {}
        assert await store.records_before({}) == {}

    async def test_the_head_covers_every_acknowledged_commit(self, store: EventStore) -> None:
        async def write(stream: str) -> None:
            for version in range(5):
                commit = await put(store, stream, "a", after=version)
                assert (await store.head()).covers(commit.position)

        await asyncio.gather(*(write(f"door-{number}") for number in range(10)))

    # Lasting

    async def test_what_was_acknowledged_is_there_when_the_log_is_opened_again(
        self, log: LogUnderTest, store: EventStore
    ) -> None:
        commit = await put(store, "door-1", "a", "b", command="c1", claims={"key:1"})
        nothing = await put(store, "door-1", after=2, command="c2")
        records, head, name = await everything(store), await store.head(), store.log
        again = await log.open()
        assert (again.log, await everything(again)) == (name, records)
        assert (await again.head()).covers(head)
        assert await again.find_command("c1") == commit
        assert await again.find_command("c2") == nothing
        assert await again.find_claim("key:1") == ClaimHolder("door-1", 2)
        assert await put(again, "door-1", "a", "b", command="c1") == commit
        with pytest.raises(ClaimTaken):
            await put(again, "door-2", "a", claims={"key:1"})
        assert (await put(again, "door-1", "c", after=2)).version == 3

    async def test_without_writes_an_append_is_unavailable_and_may_be_repeated_later(
        self, log: LogUnderTest, store: EventStore
    ) -> None:
        large = "x" * 100_000
        await put(store, "door-0", "before")
        await log.stop_writes()
        appends = [asyncio.ensure_future(put(store, f"door-{n}", large, command=f"c{n}")) for n in range(1, 6)]
        outcomes = [await outcome(append) for append in appends]
        assert [type(found) for found in outcomes] == [Unavailable] * 5
        await log.resume_writes()
        commits = await asyncio.gather(*(put(store, f"door-{n}", large, command=f"c{n}") for n in range(1, 6)))
        assert [commit.version for commit in commits] == [1] * 5
        for number in range(6):
            assert [record.version for record in await store.read_stream(f"door-{number}")] == [1]

    # Bad input

    @pytest.mark.parametrize(
        "name", ["", "*", "a\nb", "a\x00b", "a\x85b", "\ud800", "\uffff", "x" * (LONGEST_NAME + 1)]
    )
    async def test_a_malformed_stream_name_is_refused(self, store: EventStore, name: str) -> None:
        with pytest.raises(InvalidInput, match="stream"):
            await put(store, name, "a", command="c1")

    @pytest.mark.parametrize("name", ["", "*", "\ud800", "x" * 10_000])
    async def test_nothing_is_found_by_a_malformed_name(self, store: EventStore, name: str) -> None:
        assert list(await store.read_stream(name)) == []
        assert await store.find_command(name) is None
        assert await store.find_claim(name) is None

    async def test_names_may_have_any_other_characters(self, store: EventStore) -> None:
        for stream in ("pair-a~b", "a/\"b\"\\ 'c' *", "Zoë 😀", "%_", "x" * LONGEST_NAME):
            await put(store, stream, stream.replace('"', "").replace("\\", ""), command=stream, claims={stream})
            assert [record.stream for record in await store.read_stream(stream)] == [stream]
            assert (await store.find_claim(stream)) == ClaimHolder(stream, 1)

    async def test_other_malformed_input_is_refused_by_name(self, store: EventStore) -> None:
        with pytest.raises(InvalidInput, match="command id"):
            await put(store, "door-1", "a", command="")
        with pytest.raises(InvalidInput, match="fingerprint"):
            await put(store, "door-1", "a", fingerprint="\n")
        with pytest.raises(InvalidInput, match="expected version"):
            await put(store, "door-1", "a", after=-1)
        with pytest.raises(InvalidInput, match="claim"):
            await put(store, "door-1", "a", claims={""})
        with pytest.raises(InvalidInput, match="claims"):
            await put(store, "door-1", claims={"key:1"})
        with pytest.raises(InvalidInput, match="actor"):
            await store.append(
                "door-1", [event()], expected_version=0, command_id="c", fingerprint="f", metadata=Metadata("a\nb")
            )
        assert await everything(store) == []

    async def test_a_commit_may_be_as_large_as_the_limits_and_no_larger(self, store: EventStore) -> None:
        with pytest.raises(InvalidInput, match=f"at most {MOST_EVENTS}"):
            await put(store, "door-1", *["a"] * (MOST_EVENTS + 1), command="c0")
        room = LARGEST_COMMIT - len(event().data)
        with pytest.raises(InvalidInput, match=f"at most {LARGEST_COMMIT} bytes"):
            await put(store, "door-1", "x" * (room + 1), command="c1")
        assert (await put(store, "door-1", *["a"] * MOST_EVENTS, command="c2")).version == MOST_EVENTS
        assert (await put(store, "door-2", "x" * room, command="c3")).version == 1
        assert len(await everything(store)) == MOST_EVENTS + 1
