"""Process managers: one stream holds up no other, what is set aside is retried or skipped, where one begins."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from unittest.mock import patch

import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_views import MemoryCheckpointStore
from eventkernel.clock import ManualClock
from eventkernel.decider import Decider
from eventkernel.errors import InvalidInput, NotFound, Refusal, Unavailable
from eventkernel.events import Partition, Position, Record, RecordedEvent
from eventkernel.reacting.lanes import Lanes, side_by_side
from eventkernel.reacting.process import ProcessManager
from eventkernel.reacting.reaction import NoView
from eventkernel.reading.membership import EVERYTHING
from eventkernel.reading.projector import Source
from eventkernel.reading.views import NOTHING_RELEASED, ParkedRecord
from eventkernel.writing.commands import CommandHandler
from eventkernel.writing.store import Checkpoint
from infra.patience import seconds
from tests.support.doors import CODEC, Opened, Painted
from tests.support.scripted_log import ScriptedLog
from tests.unit.eventkernel.test_process import OAK, Doors, Site, eventually, running


async def test_a_reaction_that_hangs_holds_up_its_own_stream_alone() -> None:
    site, go_on = Site(), asyncio.Event()

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        if recorded.stream == "a":
            await go_on.wait()
        await site.react(recorded, build)

    async with site.at_work(site.process(react)) as process:
        for stream in ("a", "b", "c"):
            site.log.put(stream, 1, OAK)
        for version in (2, 3):
            for stream in ("a", "b", "c"):
                site.log.put(stream, version, Opened())
        await eventually(process, lambda status: status.reactions == 4)
        assert sorted(site.seen) == [("b", 2), ("b", 3), ("c", 2), ("c", 3)]
        go_on.set()
        await site.settle(process)
        assert [version for stream, version in site.seen if stream == "a"] == [2, 3]


async def test_what_cannot_be_done_now_holds_up_its_own_stream_alone() -> None:
    site = Site()
    site.fail = [Unavailable("busy")] * 1_000_000
    async with site.at_work(site.process()) as process:
        for stream in ("a", "b"):
            site.log.put(stream, 1, OAK)
            site.log.put(stream, 2, Opened())
        await eventually(process, lambda status: status.reactions == 1)
        assert site.seen == [("b", 2)]
        assert (await process.status()).parked == ()
        site.fail = []
        await site.settle(process)
        assert site.seen == [("b", 2), ("a", 2)]


async def test_what_cannot_be_done_within_its_budget_is_set_aside() -> None:
    site = Site()
    site.fail = [Unavailable("busy")]
    async with site.at_work(site.process(budget=0)) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        site.log.put("a", 3, Opened())
        await site.settle(process)
        (parked,) = (await process.status()).parked
        assert (parked.version, parked.waiting) == (2, 2)
        assert "busy" in parked.reason
        assert (await process.status()).troubles == ()


async def test_a_view_that_is_late_uses_up_no_budget() -> None:
    site = Site()
    async with site.at_work(site.process(budget=0)) as process:
        site.log.put("a", 1, OAK)
        await site.settle(process)
        site.view.live().available = False
        site.log.put("a", 2, Opened())
        for _ in range(50):
            await asyncio.sleep(0)
        site.view.live().available = True
        await site.settle(process)
        assert site.seen == [("a", 2)]


async def test_there_is_room_again_for_what_was_dealt_with() -> None:
    log, done = ScriptedLog("doors.1"), list[int]()

    async def work(record: Record) -> None:
        done.append(record.offset)

    for number in range(5):
        log.put(f"s-{number}", 1, OAK)
    async with asyncio.timeout(seconds(10)), asyncio.TaskGroup() as group:
        lanes = Lanes(group, work, room=2)
        for record in log.partitions[0]:
            await lanes.put(record)
    assert sorted(done) == [0, 1, 2, 3, 4]


async def test_a_record_needs_room_until_it_was_dealt_with() -> None:
    log, begun, go_on = ScriptedLog("doors.1"), list[int](), asyncio.Event()

    async def work(record: Record) -> None:
        begun.append(record.offset)
        await go_on.wait()

    for number in range(3):
        log.put(f"s-{number}", 1, OAK)
    async with asyncio.timeout(seconds(10)), asyncio.TaskGroup() as group:
        lanes = Lanes(group, work, room=2)
        for record in log.partitions[0][:2]:
            await lanes.put(record)
        third = asyncio.create_task(lanes.put(log.partitions[0][2]))
        for _ in range(10):
            await asyncio.sleep(0)
        assert (begun, third.done()) == ([0, 1], False)
        go_on.set()
        await third
    assert begun == [0, 1, 2]


async def test_no_more_reactions_than_allowed_are_under_way_at_once() -> None:
    site, under_way, most = Site(), 0, 0

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1

    async with site.at_work(site.process(react, side_by_side=3)) as process:
        for number in range(20):
            site.log.put(f"s-{number}", 1, OAK)
            site.log.put(f"s-{number}", 2, Opened())
        await site.settle(process)
    assert most == 3


async def test_the_checkpoint_stands_before_the_first_reaction_that_is_not_done() -> None:
    site = Site()

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        if recorded.stream == "b":
            await asyncio.Event().wait()
        await site.react(recorded, build)

    site.log.put("a", 1, OAK)
    site.log.put("b", 1, OAK)
    site.log.put("a", 2, Opened())
    site.log.put("b", 2, Opened())
    site.log.put("a", 3, Opened())
    async with site.at_work(site.process(react)) as process:
        await eventually(process, lambda status: status.reactions == 2 and status.partitions[0].checkpoint == 3)
    assert dict((await site.checkpoints.checkpoint("watch")).position) == {Partition("doors.1", 0): 3}
    async with site.at_work(site.process()) as process:
        await site.settle(process)
    assert [version for stream, version in site.seen if stream == "a"] == [2, 3, 3], "2 is before the checkpoint"
    assert ("b", 2) in site.seen


# Cancellations


async def test_a_reaction_that_is_cancelled_from_inside_is_a_defect_like_any_other() -> None:
    site = Site()

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        if recorded.stream == "a":
            inner = asyncio.create_task(asyncio.sleep(10))
            inner.cancel()
            await inner
        await site.react(recorded, build)

    async with site.at_work(site.process(react)) as process:
        for stream in ("a", "b"):
            site.log.put(stream, 1, OAK)
            site.log.put(stream, 2, Opened())
        await site.settle(process)
        assert site.seen == [("b", 2)]
        (parked,) = (await process.status()).parked
        assert "CancelledFromInside" in parked.reason


async def test_a_process_manager_that_is_cancelled_sets_nothing_aside() -> None:
    site, begun = Site(), asyncio.Event()

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with site.at_work(site.process(react)):
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await begun.wait()
    assert await site.checkpoints.parked("watch") == []


# Skipping


async def test_what_is_skipped_has_no_reaction_and_those_behind_it_have() -> None:
    site = Site()
    site.fail = [ValueError()] * 3
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        for version in (2, 3, 4):
            site.log.put("a", version, Opened())
        await site.settle(process)
        await process.skip("a", "the bank says so")
        assert site.seen == [("a", 3), ("a", 4)]
        assert (await process.status()).parked == ()
        (mark,) = await site.checkpoints.parked("watch")
        assert (mark.record.version, mark.reason, mark.skipped) == (2, "the bank says so", True)
        with pytest.raises(NotFound):
            await process.skip("a", "again")


async def test_what_is_skipped_is_not_reacted_to_when_it_is_delivered_again() -> None:
    site = Site()
    site.fail = [ValueError()] * 3
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process()) as process:
        await site.settle(process)
        await process.skip("a", "the bank says so")
    kept = await site.checkpoints.parked("watch")
    site.checkpoints = MemoryCheckpointStore()  # as if the checkpoint had not been saved
    await site.checkpoints.save("watch", Checkpoint(), kept)
    async with site.at_work(site.process()) as process:
        site.log.put("a", 3, Opened())
        await site.settle(process)
    assert site.seen == [("a", 3)]


async def test_an_operator_has_it_react_once_more_but_not_to_what_was_skipped() -> None:
    site = Site()
    site.fail = [ValueError()] * 3
    async with site.at_work(site.process()) as process:
        for version, event in enumerate((OAK, Opened(), Opened(), Painted(colour="red"), Opened()), 1):
            site.log.put("a", version, event)
        site.log.put("a", 5, None)
        await site.settle(process)
        await process.skip("a", "the bank says so")
        assert site.seen == [("a", 3), ("a", 5)]
        await process.react_again(site.log.partitions[0])
        assert site.seen == [("a", 3), ("a", 5)] * 2
        site.fail = [ValueError("broken")]
        with pytest.raises(ValueError, match="broken"):
            await process.react_again(site.log.partitions[0])
        assert (await process.status()).parked == ()


async def test_it_reacts_to_no_event_of_a_log_that_it_does_not_read() -> None:
    other = ScriptedLog("windows.1", 1)
    other.put("w", 1, Opened())
    site = Site()
    with pytest.raises(InvalidInput, match=r"^watch does not read the log windows$"):
        await site.process().react_again(other.partitions[0])
    assert site.seen == []


async def test_only_what_is_known_to_fail_is_skipped() -> None:
    site = Site()
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        await site.checkpoints.save("watch", Checkpoint(), [ParkedRecord(site.log.partitions[0][1], None)])
        await process.skip("a", "in haste")
        assert site.seen == [("a", 2), ("a", 2)], "nobody had tried it"
        assert await site.checkpoints.parked("watch") == []


async def test_retrying_a_stream_leaves_the_others_alone() -> None:
    site = Site()
    site.fail = [ValueError()] * 3
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        with pytest.raises(NotFound):
            await process.retry("b")
        assert site.seen == []
        await process.retry("a")
        assert site.seen == [("a", 2)]
        assert (await process.status()).parked == ()


async def test_what_comes_while_its_stream_is_retried_is_reacted_to_afterwards() -> None:
    site, hanging, go_on = Site(), asyncio.Event(), asyncio.Event()
    failures = [ValueError()] * 3

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        if recorded.version == 2:
            if failures:
                raise failures.pop()
            hanging.set()
            await go_on.wait()
        await site.react(recorded, build)

    async with site.at_work(site.process(react)) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        retrying = asyncio.create_task(process.retry("a"))
        await hanging.wait()
        site.log.put("a", 3, Opened())
        for _ in range(50):  # every chance to go ahead
            await asyncio.sleep(0)
        go_on.set()
        await retrying
        site.log.put("a", 4, Opened())
        await site.settle(process)
        assert site.seen == [("a", 2), ("a", 3), ("a", 4)]


async def test_what_is_set_aside_while_the_others_are_read_is_not_forgotten() -> None:
    class SlowCheckpoints(MemoryCheckpointStore):
        """Its first answer about what is to be tried again comes late."""

        answering, go_on = asyncio.Event(), asyncio.Event()

        async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
            found = await super().waiting_after(reader, stream, most)
            if not self.go_on.is_set():
                self.answering.set()
                await self.go_on.wait()
            return found

    site, checkpoints = Site(), SlowCheckpoints()
    site.checkpoints = checkpoints
    site.fail = [ValueError()] * 3
    async with site.at_work(site.process()) as process:
        await checkpoints.answering.wait()
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        checkpoints.go_on.set()
        for _ in range(50):
            await asyncio.sleep(0)
        site.log.put("a", 3, Opened())
        await site.settle(process)
        assert site.seen == [], "it waits behind the one that was set aside"


# Where it begins, and what it reads


async def test_a_new_process_manager_may_begin_at_the_end_and_goes_on_where_it_was_afterwards() -> None:
    site = Site(partitions=2)
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process(start="end")) as process:
        await eventually(process, lambda status: status.partitions[0].checkpoint == 2)
    site.log.put("a", 3, Opened())
    site.log.put("b", 1, OAK, 1)
    site.log.put("b", 2, Opened(), 1)
    async with site.at_work(site.process(start="end")) as process:
        await site.settle(process)
    assert sorted(site.seen) == [("a", 3), ("b", 2)], "not what was there before, and all that came since"


async def test_a_new_process_manager_may_begin_at_a_position() -> None:
    site = Site()
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    site.log.put("a", 3, Opened())
    async with site.at_work(site.process(start=Position.of(site.log.log, 0, 2))) as process:
        await site.settle(process)
    assert site.seen == [("a", 3)]


async def test_reactions_that_read_no_view_need_none() -> None:
    log, seen = ScriptedLog("doors.1"), list[int]()

    async def react(recorded: RecordedEvent, read: None) -> None:
        seen.append(recorded.version)

    sources = [Source(log, CODEC)]
    process = ProcessManager("watch", sources, NoView(), react, MemoryCheckpointStore(), reacts_to=[Opened])
    async with running(process):
        log.put("a", 1, OAK)
        log.put("a", 2, Opened())
        assert await process.reached(await log.head(), 10)
    assert seen == [2]


# Refusals


async def test_a_reaction_that_was_refused_is_refused_again_when_its_event_is_delivered_again() -> None:
    """A transfer is failed because its debit was refused; by the second delivery there is money."""
    site, money, taken = Site(), False, list[str]()
    accounts = MemoryEventStore("accounts", ManualClock())

    def decide(command: str, state: None) -> Sequence[Opened]:
        if not money:
            raise Refusal("not enough money")
        return [Opened()]

    decider: Decider[None, str, Opened] = Decider(lambda: None, decide, lambda *_: None)
    handler = CommandHandler(accounts, CODEC, decider)

    async def react(recorded: RecordedEvent, build: Doors) -> None:
        try:
            await handler.execute("account", "debit", command_id=recorded.record.id, fingerprint="f")
        except Refusal as refusal:
            taken.append(str(refusal))
            return
        taken.append("debited")

    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process(react)) as process:
        await site.settle(process)
    site.checkpoints, money = MemoryCheckpointStore(), True  # it died before its checkpoint was saved
    async with site.at_work(site.process(react)) as process:
        await site.settle(process)
    assert taken == ["not enough money"] * 2
    assert await accounts.read_stream("account") == []


class CountedCheckpoints(MemoryCheckpointStore):
    """Counts what is read and written of the records that are set aside."""

    def __init__(self) -> None:
        super().__init__()
        self.records = 0

    async def save(
        self,
        reader: str,
        checkpoint: Checkpoint,
        parked: Sequence[ParkedRecord] = (),
        released: Mapping[str, int] = NOTHING_RELEASED,
    ) -> None:
        self.records += len(parked)
        await super().save(reader, checkpoint, parked, released)

    async def parked(self, reader: str, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        return self._counted(await super().parked(reader, streams))

    async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
        return self._counted(await super().waiting_after(reader, stream, most))

    async def first_parked(self, reader: str, streams: Collection[str]) -> Sequence[ParkedRecord]:
        return self._counted(await super().first_parked(reader, streams))

    def _counted(self, entries: Sequence[ParkedRecord]) -> Sequence[ParkedRecord]:
        self.records += len(entries)
        return entries


def set_aside(site: Site, names: Iterable[tuple[str, int]]) -> list[ParkedRecord]:
    for stream, version in names:
        site.log.put(stream, version, OAK)
    return [ParkedRecord(record, "busy") for record in site.log.partitions[0]]


async def fails(_record: Record, _react: object) -> None:
    raise Unavailable("busy")


@pytest.mark.parametrize("each", ["of one stream", "of streams of their own"])
async def test_a_look_at_what_is_set_aside_costs_the_same_however_much_it_is(each: str) -> None:
    counts: list[int] = []
    for many in (600, 1_200):
        site = Site()
        site.checkpoints = checkpoints = CountedCheckpoints()
        process, numbers = site.process(), range(1, many + 1)
        entries = set_aside(site, [("s", n) if each == "of one stream" else (f"s-{n:05}", 1) for n in numbers])
        await checkpoints.save(process.name, Checkpoint(), entries)
        looks: list[int] = []
        with patch.object(process._reacting, "attempt", fails):
            for _ in range(3):
                checkpoints.records = 0
                await process._try_some(EVERYTHING)
                looks.append(checkpoints.records)
        assert max(looks) <= 3 * 500, "a page, and of each stream its first: read, tried, and written"
        counts.append(max(looks))
    assert counts[0] == counts[1]


async def test_all_that_is_set_aside_is_tried_in_turn_and_at_once_when_it_works_again() -> None:
    site = Site()
    process, tried = site.process(), list[str]()
    entries = set_aside(site, [(f"s-{n:05}", 1) for n in range(1_200)])
    await site.checkpoints.save(process.name, Checkpoint(), entries)

    async def attempt(record: Record, react: object) -> None:
        tried.append(record.stream)
        await fails(record, react)

    with patch.object(process._reacting, "attempt", attempt):
        for _ in range(4):
            await process._try_some(EVERYTHING)
    in_order = [entry.record.stream for entry in entries]
    assert tried == [*in_order, *in_order[:500]], "then from the beginning"

    async def works(_record: Record, _react: object) -> None: ...

    with patch.object(process._reacting, "attempt", works):
        await process._try_some(EVERYTHING)
        await process._try_some(EVERYTHING)
    assert await site.checkpoints.parked(process.name) == []


async def test_a_stream_that_works_again_goes_on_up_to_the_first_that_fails() -> None:
    site = Site()
    process = site.process()
    entries = set_aside(site, [("s", n) for n in range(1, 5)])
    await site.checkpoints.save(process.name, Checkpoint(), entries)

    async def attempt(record: Record, react: object) -> None:
        if record.version == 3:
            await fails(record, react)

    with patch.object(process._reacting, "attempt", attempt):
        await process._try_some(EVERYTHING)
    left = await site.checkpoints.parked(process.name)
    assert [entry.record.version for entry in left] == [3, 4]
    assert "busy" in str(left[0].reason)


async def test_what_one_of_several_raises_is_raised_when_the_others_are_done() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        if number == 1:
            raise Unavailable("busy")
        done.append(number)

    with pytest.raises(Unavailable, match="busy"):
        await side_by_side(range(4), work, 2)
    assert done == [0, 2, 3]
