"""Random appends, many at once, have the same outcomes in every event store, and those of a model of thirty lines."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import ManualClock
from eventkernel.errors import KernelError
from eventkernel.events import EncodedEvent, Record
from eventkernel.writing.store import Checkpoint, EventStore
from infra.patience import seconds

T = TypeVar("T")

STREAMS = ["s1", "s2", "s3"]
CLAIMS = ["x", "y", "z"]
Claims: TypeAlias = frozenset[str] | None


@dataclass(frozen=True)
class Call:
    """An append; `behind` is by how much its expected version misses the stream's version (mostly not)."""

    stream: str
    events: int
    behind: int
    command_id: str
    fingerprint: str
    claims: Claims


@dataclass
class Model:
    """What the contract says, with everything in order and nothing at the same time."""

    log: list[tuple[str, int, str]] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    commits: dict[str, tuple[str, int, int, str, int]] = field(default_factory=dict)
    holders: dict[str, tuple[str, int]] = field(default_factory=dict)

    def append(self, call: Call, expected: int) -> object:
        known = self.commits.get(call.command_id)
        if known is not None:
            return known if known[3] == call.fingerprint else "IdempotencyMismatch"
        version = self.versions.get(call.stream, 0)
        if expected != version:
            return "ConcurrencyConflict"
        after = version + call.events
        if call.claims is not None:
            if any(self.holders.get(claim, (call.stream,))[0] != call.stream for claim in call.claims):
                return "ClaimTaken"
            mine = {claim for claim, (stream, _) in self.holders.items() if stream == call.stream}
            for claim in mine - call.claims:
                del self.holders[claim]
            for claim in call.claims - mine:
                self.holders[claim] = (call.stream, after)
        numbers = range(version + 1, after + 1) if call.events else [0]
        self.log += [(call.stream, number, call.command_id) for number in numbers]
        self.versions[call.stream] = after
        end = len(self.log) + 1  # a fence stands before everything
        self.commits[call.command_id] = (call.stream, after, call.events, call.fingerprint, end)
        return self.commits[call.command_id]


calls = st.builds(
    Call,
    stream=st.sampled_from(STREAMS),
    events=st.integers(0, 3),
    behind=st.sampled_from([0, 0, 0, 0, 1, -1]),
    command_id=st.integers(0, 60).map(str),
    fingerprint=st.sampled_from(["f", "f", "f", "g"]),
    claims=st.none() | st.frozensets(st.sampled_from(CLAIMS), max_size=2),
).map(lambda call: call if call.events else replace(call, claims=None))


async def outcome(store: EventStore, call: Call, expected: int) -> object:
    try:
        commit = await store.append(
            call.stream,
            [EncodedEvent("t", 1, b'"%d"' % number) for number in range(call.events)],
            expected_version=expected,
            command_id=call.command_id,
            fingerprint=call.fingerprint,
            claims=call.claims,
        )
    except KernelError as error:
        return type(error).__name__
    ((_, offset),) = commit.position.items()
    return (commit.stream, commit.version, commit.events, commit.fingerprint, offset)


async def whole_log(store: EventStore) -> Sequence[Record]:
    records: list[Record] = []
    head = await store.head()
    async with aclosing(store.subscribe(Checkpoint())) as batches:
        async for batch in batches:
            records += batch.records
            if batch.next_offset == next(iter(head.values())):
                break
    return records


def comparable(record: Record) -> tuple[object, ...]:
    """A record without what differs between logs: its id, and claims sealed with its key."""
    return (
        record.offset, record.id, record.type, record.time_us, record.stream, record.version, record.first_version,
        record.commit_size, record.command_id, record.fingerprint, len(record.claims_taken),
        len(record.claims_given_up), record.generation, record.data,
    )  # fmt: skip


class EventStores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.model = Model()

    def run_async(self, waiting: Coroutine[object, object, T]) -> T:
        """A store that never answers fails the test, and is not waited for again and again while it is shrunk."""
        return self.loop.run_until_complete(asyncio.wait_for(waiting, timeout=seconds(20)))

    @initialize()
    def make(self) -> None:
        self.memory = MemoryEventStore("log", self.clock)
        self.sqlite = self.run_async(self.open())

    async def open(self) -> SqliteEventStore:
        return await SqliteEventStore.open(self.folder / "log.sqlite", name="log", clock=self.clock)

    @rule(group=st.lists(calls, min_size=1, max_size=8))
    def append(self, group: list[Call]) -> None:
        """All of the group at once; in its order, because nothing waits between a call and its place in the queue."""
        expected = [max(0, self.model.versions.get(call.stream, 0) - call.behind) for call in group]
        predicted = [self.model.append(call, version) for call, version in zip(group, expected, strict=True)]

        async def all_at_once(store: EventStore) -> list[object]:
            return await asyncio.gather(*map(outcome, [store] * len(group), group, expected))

        assert self.run_async(all_at_once(self.memory)) == predicted
        assert self.run_async(all_at_once(self.sqlite)) == predicted

    @rule(group=st.lists(calls, min_size=2, max_size=6))
    def append_one_after_the_other(self, group: list[Call]) -> None:
        for call in group:
            self.append([call])

    @rule(seconds=st.integers(-5, 5))
    def let_the_clock_run_or_be_set_back(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def open_again(self) -> None:
        async def again() -> SqliteEventStore:
            await self.sqlite.aclose()
            return await self.open()

        self.sqlite = self.run_async(again())

    @invariant()
    def claims_and_commands_are_found(self) -> None:
        async def found(store: EventStore) -> tuple[object, object]:
            holders = [await store.find_claim(claim) for claim in CLAIMS]
            commits = [await store.find_command(str(number)) for number in range(61)]
            return (
                {claim: (h.stream, h.version) for claim, h in zip(CLAIMS, holders, strict=True) if h is not None},
                {c.command_id: (c.stream, c.version, c.events, c.fingerprint) for c in commits if c is not None},
            )

        expected = (self.model.holders, {key: value[:4] for key, value in self.model.commits.items()})
        for store in (self.memory, self.sqlite):
            assert self.run_async(found(store)) == expected

    @invariant()
    def the_logs_are_the_same(self) -> None:
        in_memory, on_disk = (self.run_async(whole_log(store)) for store in (self.memory, self.sqlite))
        assert [comparable(record) for record in on_disk] == [comparable(record) for record in in_memory]
        assert [(record.stream, record.version, record.command_id) for record in on_disk] == self.model.log
        for stream in STREAMS:
            mine = [record for record in on_disk if record.stream == stream and record.version]
            assert self.run_async(self.sqlite.read_stream(stream)) == mine
            times = [record.time_us for record in mine]
            assert times == sorted(times)

    def teardown(self) -> None:
        self.run_async(self.sqlite.aclose())
        self.loop.close()
        shutil.rmtree(self.folder)


EventStores.TestCase.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
TestEventStores = EventStores.TestCase
