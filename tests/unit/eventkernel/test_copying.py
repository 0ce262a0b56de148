"""A log's commits in one order, as a log with one partition could have had them."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.errors import CorruptData
from eventkernel.events import Partition, Position, Record
from eventkernel.testing.event_store_contract import put
from eventkernel.writing.copying import commits_in_order
from eventkernel.writing.store import Batch, Checkpoint

LOG = "doors.x1"


@dataclass
class WrittenLog:
    """A log with the records that a test wrote, by partition."""

    partitions: Sequence[Sequence[Record]]
    log: str = LOG
    read: list[int] = field(default_factory=list[int])

    async def head(self) -> Position:
        return Position({Partition(LOG, number): len(records) for number, records in enumerate(self.partitions)})

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        found = {number: list(self.partitions[number])[:offset] for number, offset in offsets.items()}
        return {number: records[-1] for number, records in found.items() if records}

    async def subscribe(
        self, after: Checkpoint, partitions: frozenset[int] | None = None
    ) -> AsyncGenerator[Batch, None]:
        assert partitions is not None
        for number in partitions:
            records = self.partitions[number]
            for start in range(0, len(records), 2):
                yield Batch(LOG, number, records[start : start + 2], min(start + 2, len(records)), 1)


def record(
    partition: int, stream: str, version: int, time: int, *, taken: Sequence[str] = (), given_up: Sequence[str] = ()
) -> Record:
    return Record(
        log=LOG,
        partition=partition,
        offset=0,
        id=f"{stream}@{version}",
        type="doors.Opened",
        time_us=time,
        stream=stream,
        version=version,
        first_version=version,
        commit_size=1,
        command_id=f"{stream}@{version}",
        fingerprint="",
        claims_taken=tuple(taken),
        claims_given_up=tuple(given_up),
    )


async def ids(log: WrittenLog) -> list[str]:
    return [one.id async for commit in commits_in_order(log, await log.head()) for one in commit]


async def test_between_partitions_the_earlier_one_is_first() -> None:
    log = WrittenLog([[record(0, "a", 1, 1), record(0, "a", 2, 4)], [record(1, "b", 1, 2), record(1, "b", 2, 3)]])
    assert await ids(log) == ["a@1", "b@1", "b@2", "a@2"]


async def test_a_claim_is_taken_after_it_was_given_up_whatever_the_clocks_say() -> None:
    log = WrittenLog(
        [
            [record(0, "a", 1, 1, taken=["ada"]), record(0, "a", 2, 9, given_up=["ada"])],
            [record(1, "b", 1, 2, taken=["ada"]), record(1, "b", 2, 3)],
            [record(2, "c", 1, 4)],
        ]
    )
    assert await ids(log) == ["a@1", "c@1", "a@2", "b@1", "b@2"]


async def test_a_record_that_is_there_twice_is_copied_once() -> None:
    log = WrittenLog([[record(0, "a", 1, 1), record(0, "a", 1, 1), record(0, "a", 2, 2), record(0, "a", 1, 1)]])
    assert await ids(log) == ["a@1", "a@2"]


async def test_two_holders_of_one_claim_are_an_error() -> None:
    log = WrittenLog([[record(0, "a", 1, 1, taken=["ada"])], [record(1, "b", 1, 2, taken=["ada"])]])
    with pytest.raises(CorruptData, match="stream b takes a claim that another one holds"):
        await ids(log)


async def test_a_store_of_several_partitions_is_copied_whole_with_its_commits_together() -> None:
    store, clock, draw = MemoryEventStore("doors", ManualClock(), partitions=3), ManualClock(), random.Random(7)
    versions = {f"door-{number}": 0 for number in range(12)}
    for _ in range(100):
        stream = draw.choice(sorted(versions))
        size = draw.randint(1, 3)
        await put(store, stream, *("x" * n for n in range(size)), after=versions[stream])
        versions[stream] += size
        clock.advance(1)
    found = [commit async for commit in commits_in_order(store, await store.head())]
    assert all(len(commit) == commit[0].commit_size for commit in found)
    assert all(len({one.command_id for one in commit}) == 1 for commit in found)
    for stream, version in versions.items():
        assert [one.version for commit in found for one in commit if one.stream == stream] == [*range(1, version + 1)]
