"""Deadlines: a reaction that the clock calls, once in effect, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from eventkernel.adapters.memory_views import MemoryCheckpointStore
from eventkernel.events import Partition, RecordedEvent
from eventkernel.reacting.deadlines import Deadlines, PendingDeadlines
from eventkernel.reacting.process import ReactionStatus
from eventkernel.reading.membership import EVERYTHING
from eventkernel.reading.views import ParkedRecord
from eventkernel.writing.store import Checkpoint
from tests.support.doors import Opened
from tests.support.scripted_log import ScriptedLog
from tests.support.sharing import Member
from tests.unit.eventkernel.test_process import OAK, Doors, Site, eventually


class Late:
    """Doors that were opened have a minute; what is called then is noted."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.fail: list[Exception] = []

    def deadlines(self) -> Deadlines[Doors]:
        return Deadlines(lambda recorded: recorded.time + timedelta(minutes=1), self.react, look=0)

    async def react(self, recorded: RecordedEvent, build: Doors) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.seen.append((recorded.stream, recorded.version))

    async def called(self) -> None:
        """Returns when it was, or had every chance."""
        for _ in range(100):
            await asyncio.sleep(0)


async def test_a_deadline_is_called_once_when_its_time_has_come() -> None:
    site, late = Site(), Late()
    async with site.at_work(site.process(deadlines=late.deadlines())) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        site.log.put("a", 3, Opened())
        await site.settle(process)
        site.clock.advance(59.9)
        await late.called()
        assert late.seen == []
        site.clock.advance(0.2)
        await late.called()
        assert sorted(late.seen) == [("a", 2), ("a", 3)]
        assert site.seen == [("a", 2), ("a", 3)]
        assert await site.checkpoints.parked("watch/deadlines") == []


async def test_a_deadline_is_kept_over_a_restart() -> None:
    site, late = Site(), Late()
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process(deadlines=late.deadlines())) as process:
        await site.settle(process)
    site.clock.advance(61)
    async with site.at_work(site.process(deadlines=late.deadlines())):
        await late.called()
    assert late.seen == [("a", 2)]
    assert site.seen == [("a", 2)]


async def test_a_deadline_is_stored_before_its_event_counts_as_reacted_to() -> None:
    site, late = Site(), Late()
    begun = asyncio.Event()

    async def hang(recorded: RecordedEvent, build: Doors) -> None:
        begun.set()
        await asyncio.Event().wait()

    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process(hang, deadlines=late.deadlines())):
        await begun.wait()
        assert [entry.record.version for entry in await site.checkpoints.parked("watch/deadlines")] == [2]


async def test_a_deadline_whose_reaction_fails_is_shown_tried_again_and_can_be_skipped() -> None:
    site, late = Site(), Late()
    late.fail = [ValueError(), ValueError()]
    async with site.at_work(site.process(deadlines=late.deadlines(), again_after=10)) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        site.clock.advance(61)
        status = await eventually(process, lambda status: bool(status.parked))
        assert "the deadline of doors.Opened: ValueError" in status.parked[0].reason
        await late.called()
        assert len(late.fail) == 1, "it waits before it is tried again"
        site.clock.advance(11)
        await late.called()
        assert late.fail == []
        await process.skip("a", "settled by hand")
        assert (await process.status()).parked == ()
        site.clock.advance(100)
        await late.called()
        assert late.seen == []
        (mark,) = await site.checkpoints.parked("watch/deadlines")
        assert (mark.reason, mark.skipped) == ("settled by hand", True)


async def test_a_deadline_that_has_failed_can_be_retried() -> None:
    site, late = Site(), Late()
    late.fail = [ValueError()]
    async with site.at_work(site.process(deadlines=late.deadlines())) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        site.clock.advance(61)
        await eventually(process, lambda status: bool(status.parked))
        await process.retry("a")
        assert late.seen == [("a", 2)]
        assert (await process.status()).parked == ()


async def test_a_deadline_that_is_over_leaves_the_others_of_its_stream() -> None:
    site, late = Site(), Late()
    deadlines = Deadlines(lambda found: found.time + timedelta(minutes=5 - found.version), late.react, look=0)
    site.log.put("a", 1, OAK)
    for version in (2, 3, 4):
        site.log.put("a", version, Opened())
    async with site.at_work(site.process(deadlines=deadlines)) as process:
        await site.settle(process)
        site.clock.advance(61)
        await late.called()
        assert late.seen == [("a", 4)]
    site.clock.advance(120)
    async with site.at_work(site.process(deadlines=deadlines)):
        await late.called()
    assert sorted(late.seen) == [("a", 2), ("a", 3), ("a", 4)]


async def test_a_deadline_whose_reaction_was_cut_off_is_called_with_the_next_assignment() -> None:
    site, late, owner, begun = Site(), Late(), Member(), asyncio.Event()
    partition = Partition(site.log.log, 0)

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        await late.react(recorded, build)

    deadlines = Deadlines(lambda recorded: recorded.time + timedelta(minutes=1), react, look=0)
    owner.assign(partition)
    async with site.at_work(site.process(deadlines=deadlines, membership=owner)) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        site.clock.advance(61)
        await begun.wait()
        owner.assign()
        await late.called()
        owner.assign(partition)
        await late.called()
        assert late.seen == [("a", 2)]


class CountedCheckpoints(MemoryCheckpointStore):
    """Counts the records that are read."""

    read = 0

    async def parked(self, reader: str, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        found = await super().parked(reader, streams)
        self.read += len(found)
        return found

    async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
        found = await super().waiting_after(reader, stream, most)
        self.read += len(found)
        return found


@pytest.mark.parametrize("many", [1_200, 2_400])
async def test_deadlines_that_others_have_stored_are_read_a_page_at_a_time_and_all_in_turn(many: int) -> None:
    log, checkpoints = ScriptedLog("doors.1"), CountedCheckpoints()
    for number in range(many):
        log.put(f"a-{number // 7:04}", 1 + number % 7, Opened())  # a page ends within a stream
    stored = [ParkedRecord(record, "1") for record in log.partitions[0]]
    await checkpoints.save("watch/deadlines", Checkpoint(), stored)
    pending, reads = PendingDeadlines("watch", checkpoints), list[int]()
    for _ in range(1 + many // 500):
        checkpoints.read = 0
        await pending.read_some(EVERYTHING)
        reads.append(checkpoints.read)
    assert sorted((record.stream, record.version) for record in pending.due(2)) == [
        (entry.record.stream, entry.record.version) for entry in stored
    ]
    assert max(reads) <= 507, "a page, and the rest of its last stream"
    await pending.read_some(EVERYTHING)
    assert checkpoints.read > 0, "then from the beginning"


async def test_a_deadline_that_was_stored_again_with_another_time_is_due_once() -> None:
    log, pending = ScriptedLog("doors.1"), PendingDeadlines("watch", MemoryCheckpointStore())
    log.put("a", 1, Opened())
    (record,) = log.partitions[0]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    await pending.set(record, moment + timedelta(minutes=1))
    await pending.set(record, moment)
    assert pending.due(round(moment.timestamp() + 120) * 1_000_000) == [record]


async def test_a_deadline_that_is_to_come_is_told_of_its_record() -> None:
    site, late = Site(), Late()
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    record = site.log.partitions[0][-1]
    async with site.at_work(site.process(deadlines=late.deadlines())) as process:
        await site.settle(process)
        assert await process.reaction_to(record) == ReactionStatus("done", due_us=record.time_us + 60_000_000)
        site.clock.advance(61)
        await late.called()
        assert await process.reaction_to(record) == ReactionStatus("done")


async def test_the_oldest_deadline_that_is_over_and_not_dealt_with_is_told() -> None:
    log, pending = ScriptedLog("doors.1"), PendingDeadlines("watch", MemoryCheckpointStore())
    for version in (1, 2, 3):
        log.put("a", version, Opened())
    first, second, third = log.partitions[0]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    at = round(moment.timestamp()) * 1_000_000
    assert (pending.count, pending.overdue_us(at)) == (0, 0)
    for number, record in enumerate((first, second, third)):
        await pending.set(record, moment + timedelta(seconds=10 * number))
    assert (pending.count, pending.overdue_us(at - 1)) == (3, 0)
    assert pending.overdue_us(at + 7) == 7, "nobody has looked for it"
    assert pending.due(at) == [first]
    assert pending.overdue_us(at + 8) == 8, "its reaction is under way"
    await pending.over(first)
    assert (pending.count, pending.overdue_us(at + 10_000_003)) == (2, 3)
    assert pending.due(at + 10_000_003) == [second]
    await pending.failed(second, "no reason", at + 40_000_000)
    assert pending.overdue_us(at + 20_000_001) == 1, "the next one; that which has failed is set aside"
    await pending.skip(third, "not needed")
    assert (pending.count, pending.overdue_us(at + 39_999_999)) == (1, 0)
    assert pending.overdue_us(at + 40_000_005) == 5


async def test_a_process_manager_tells_of_its_deadlines() -> None:
    site, late = Site(), Late()
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process(deadlines=late.deadlines())) as process:
        await site.settle(process)
        status = await process.status()
        assert (status.deadlines, status.overdue_seconds) == (1, 0.0)
        site.clock.advance(61)
        await late.called()
        status = await process.status()
        assert (status.deadlines, status.overdue_seconds) == (0, 0.0)
    assert (await site.process().status()).deadlines == 0, "no event has one"
