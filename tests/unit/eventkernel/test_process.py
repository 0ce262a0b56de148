"""Process managers: once in effect, in order, after the view, and what fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from eventkernel.adapters.memory_views import MemoryBuild, MemoryCheckpointStore, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.errors import AlreadyExists, IdempotencyMismatch, Unavailable
from eventkernel.events import Partition, Position, RecordedEvent
from eventkernel.reacting.process import ProcessManager, ProcessStatus, ReactionStatus
from eventkernel.reacting.reaction import Patience
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.membership import Watching
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import ParkedRecord, Waiting
from eventkernel.retrying import Backoff
from eventkernel.testing.faults import RemoteCheckpoints
from eventkernel.writing.store import Checkpoint
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted
from tests.support.scripted_log import ScriptedLog
from tests.support.sharing import Hold, Member

Doors = MemoryBuild[Door]
React = Callable[[RecordedEvent, Doors], Awaitable[None]]

OAK = Hung(name="oak")
AT_ONCE = Backoff(first=0, most=0)


class Site:
    """A log, a view of it with its projector, and a process that reacts to what is opened."""

    def __init__(self, partitions: int = 1) -> None:
        self.log = ScriptedLog("doors.1", partitions)
        self.view = MemoryView("doors", Doors)
        self.checkpoints = MemoryCheckpointStore()
        self.hold = Hold()
        """Holds a process at a step of its checkpoints."""
        self.projector = Projector(DOORS, [Source(self.log, CODEC)], self.view, backoff=AT_ONCE, grace=0)
        self.clock = ManualClock()
        self.seen: list[tuple[str, int]] = []
        self.too_early: list[int] = []
        """Versions that the view had not stored when the reaction was called."""
        self.fail: list[Exception] = []
        """What the next reactions to the stream `a` raise."""

    async def react(self, recorded: RecordedEvent, build: Doors) -> None:
        if build.states[recorded.stream][-1].version < recorded.version:
            self.too_early.append(recorded.version)
        if self.fail and recorded.stream == "a":
            raise self.fail.pop(0)
        self.seen.append((recorded.stream, recorded.version))

    def process(
        self,
        react: React | None = None,
        attempts: int = 3,
        again_after: float = 1e6,
        budget: float = 1e6,
        side_by_side: int = 16,
        **more: Any,
    ) -> ProcessManager[Doors]:
        return ProcessManager(
            "watch",
            [Source(self.log, CODEC)],
            BookmarkGate(self.view, [self.log], {"doors"}),
            react or self.react,
            RemoteCheckpoints(self.checkpoints, self.hold),
            reacts_to=[Opened],
            clock=self.clock,
            patience=Patience(AT_ONCE, attempts, again_after, budget, side_by_side),
            **more,
        )

    @asynccontextmanager
    async def at_work(self, process: ProcessManager[Doors]) -> AsyncGenerator[ProcessManager[Doors]]:
        await self.projector.start()
        async with running(process):
            yield process
        await self.projector.stop()

    async def settle(self, process: ProcessManager[Doors]) -> None:
        assert await process.reached(await self.log.head(), 10)
        assert self.too_early == []


@asynccontextmanager
async def running(process: ProcessManager[Any]) -> AsyncGenerator[None]:
    task = asyncio.create_task(process.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def eventually(process: ProcessManager[Doors], holds: Callable[[ProcessStatus], bool]) -> ProcessStatus:
    async with asyncio.timeout(seconds(10)):
        while not holds(status := await process.status()):  # noqa: ASYNC110  # a status has no event to wait for
            await asyncio.sleep(0)
    return status


async def test_it_reacts_to_each_event_of_its_types_in_order() -> None:
    site = Site()
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        site.log.put("a", 2, None)
        site.log.put("b", 1, OAK)
        site.log.put("a", 3, Painted(colour="red"))
        site.log.put("b", 2, Opened())
        site.log.put("a", 4, Opened())
        await site.settle(process)
        assert sorted(site.seen) == [("a", 2), ("a", 4), ("b", 2)]
        assert [version for stream, version in site.seen if stream == "a"] == [2, 4]
        assert (await process.status()).reactions == 3


async def test_it_waits_until_the_view_has_stored_the_event() -> None:
    site = Site()
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        await site.settle(process)
        site.view.live().available = False
        site.log.put("a", 2, Opened())
        for _ in range(50):  # every chance to react too early
            await asyncio.sleep(0)
        assert site.seen == []
        site.view.live().available = True
        await site.settle(process)
        assert site.seen == [("a", 2)]


async def test_it_goes_on_where_it_was() -> None:
    site = Site()
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
    site.log.put("a", 3, Opened())
    async with site.at_work(site.process()) as process:
        await site.settle(process)
        assert site.seen == [("a", 2), ("a", 3)]


async def test_it_reacts_again_when_it_died_before_its_checkpoint_moved() -> None:
    site = Site()
    reacted = asyncio.Event()

    async def die(recorded: RecordedEvent, build: Doors) -> None:
        await site.react(recorded, build)
        reacted.set()
        await asyncio.Event().wait()

    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process(die)):
        await reacted.wait()
    async with site.at_work(site.process()) as process:
        await site.settle(process)
        assert site.seen == [("a", 2), ("a", 2)], "the command's id makes it one effect"


async def test_what_may_pass_is_tried_again_in_place_within_its_budget() -> None:
    site = Site()
    site.fail = [Unavailable("not now")] * 20
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await eventually(process, lambda status: any("not now" in trouble.error for trouble in status.troubles))
        await site.settle(process)
        assert site.seen == [("a", 2)]
        assert (await process.status()).troubles == ()
        assert (await process.status()).parked == ()


async def test_what_a_rule_refuses_is_done() -> None:
    site = Site()
    site.fail = [AlreadyExists("somebody else did it")]
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        site.log.put("a", 3, Opened())
        await site.settle(process)
        assert site.seen == [("a", 3)]
        assert (await process.status()).parked == ()


async def test_a_defective_reaction_is_set_aside_with_what_is_behind_it_and_the_others_go_on() -> None:
    site = Site()
    site.fail = [ValueError("Ada")] * 3
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("b", 1, OAK)
        site.log.put("a", 2, Opened())
        site.log.put("b", 2, Opened())
        site.log.put("a", 3, Opened())
        await site.settle(process)
        assert site.seen == [("b", 2)]
        status = await process.status()
        assert [(parked.stream, parked.version, parked.waiting) for parked in status.parked] == [("a", 2, 2)]
        assert status.parked[0].reason.startswith("reacting to doors.Opened: ValueError at test_process.py:")
        assert "Ada" not in status.parked[0].reason
        await process.try_again()
        assert site.seen == [("b", 2), ("a", 2), ("a", 3)]
        assert (await process.status()).parked == ()
        site.log.put("a", 4, Opened())
        await site.settle(process)
        assert site.seen[-1] == ("a", 4)


async def test_what_is_set_aside_stays_so_over_a_restart_and_is_tried_again_then() -> None:
    site = Site()
    site.fail = [ValueError()] * 3
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    async with site.at_work(site.process()) as process:
        await site.settle(process)
    assert [entry.record.version for entry in await site.checkpoints.parked("watch")] == [2]
    site.fail = [ValueError()]
    async with site.at_work(site.process(again_after=0)) as process:
        site.log.put("a", 3, Opened())
        await eventually(process, lambda status: status.reactions == 2 and not status.parked)
        assert site.seen == [("a", 2), ("a", 3)]
        assert await site.checkpoints.parked("watch") == []


async def test_two_reactions_to_one_event_that_differ_are_a_defect() -> None:
    site = Site()
    site.fail = [IdempotencyMismatch("other content")] * 3
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        assert [parked.version for parked in (await process.status()).parked] == [2]
        counted = await process.status(listed=False)
        assert (counted.parked, counted.waiting, counted.parked_known) == ((), Waiting(1, 1), True)


async def test_an_event_that_its_view_has_parked_waits_until_the_view_has_it() -> None:
    site = Site()
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Painted(colour="poison"))
        site.log.put("a", 3, Opened())
        await site.settle(process)
        assert site.seen == []
        assert ["StreamParked" in parked.reason for parked in (await process.status()).parked] == [True]
        await site.projector.skip("a", "no such paint")
        await process.try_again()
        assert site.seen == [("a", 3)]


async def test_a_rebuild_of_its_view_disturbs_it_not() -> None:
    site = Site()
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        for version in range(2, 30):
            site.log.put("a", version, Opened())
            if version % 10 == 0:
                await site.projector.rebuild()
        await site.settle(process)
        assert site.seen == [("a", version) for version in range(2, 30)]


async def test_checkpoints_that_are_away_for_a_while_lose_nothing() -> None:
    site = Site()
    async with site.at_work(site.process()) as process:
        site.log.put("a", 1, OAK)
        await site.settle(process)
        site.checkpoints.available = False
        site.log.put("a", 2, Opened())
        await eventually(process, lambda status: any("checkpoint" in trouble.doing for trouble in status.troubles))
        assert not (await process.status()).parked_known
        site.checkpoints.available = True
        await site.settle(process)
        assert site.seen == [("a", 2)]
        assert (await process.status()).parked_known


async def test_of_two_events_that_concern_one_another_at_least_one_reaction_sees_the_other() -> None:
    """Doors "a" and "b" are opened at once, on logs of their own; each reaction looks for the other door."""
    for first in ("a", "b"):
        logs = {"a": ScriptedLog("north.1"), "b": ScriptedLog("south.1")}
        view = MemoryView("doors", Doors)
        sources = [Source(log, CODEC) for log in logs.values()]
        projector = Projector(DOORS, sources, view, backoff=AT_ONCE)
        gate = BookmarkGate(view, list(logs.values()), set[str]())
        saw: set[str] = set()

        async def look(recorded: RecordedEvent, build: Doors, saw: set[str] = saw) -> None:
            other = {"a": "b", "b": "a"}[recorded.stream]
            if build.states.get(other):
                saw.add(recorded.stream)

        processes = [
            ProcessManager(f"watch {name}", [source], gate, look, MemoryCheckpointStore(), reacts_to=[Hung])
            for name, source in zip(logs, sources, strict=True)
        ]
        await projector.start()
        async with running(processes[0]), running(processes[1]):
            positions = [logs[name].put(name, 1, OAK) for name in (first, *({"a", "b"} - {first}))]
            for process, log in zip(processes, logs.values(), strict=True):
                assert await process.reached(await log.head(), 10)
            assert len(positions) == 2
        assert saw
        await projector.stop()


# Several processes


async def test_each_process_reacts_to_what_it_is_assigned_and_goes_on_where_another_one_was() -> None:
    site, one, two = Site(partitions=2), Member(), Member()
    seen: dict[str, list[tuple[str, int]]] = {"one": [], "two": []}

    def process(name: str, member: Member) -> ProcessManager[Doors]:
        async def react(recorded: RecordedEvent, build: Doors) -> None:
            seen[name].append((recorded.stream, recorded.version))

        return site.process(react, membership=member)

    first, second = process("one", one), process("two", two)
    partitions = [Partition(site.log.log, number) for number in range(2)]
    async with site.at_work(first), running(second):
        for number, stream in enumerate("ab"):
            site.log.put(stream, 1, OAK, number)
            site.log.put(stream, 2, Opened(), number)
        for _ in range(50):
            await asyncio.sleep(0)
        assert seen == {"one": [], "two": []}, "nothing is assigned yet"
        one.assign(partitions[0])
        two.assign(partitions[1])
        await eventually(first, lambda status: status.reactions == 1)
        await eventually(second, lambda status: status.reactions == 1)
        assert [line.partition for line in (await second.status()).partitions] == [1]
        one.assign()
        two.assign(*partitions)
        for _ in range(50):
            await asyncio.sleep(0)
        for number, stream in enumerate("ab"):
            site.log.put(stream, 3, Opened(), number)
        await site.settle(second)
        assert seen["one"] == [("a", 2)]
        assert sorted(seen["two"]) == [("a", 3), ("b", 2), ("b", 3)]
    assert [line.checkpoint for line in (await process("one", one).status()).partitions] == [3, 3]


async def test_what_is_being_saved_is_saved_before_the_next_assignment_is_taken_up() -> None:
    site, owner = Site(partitions=2), Member()
    owner.assign(Partition(site.log.log, 0))
    site.fail = [ValueError()] * 3
    async with site.at_work(site.process(membership=owner)):
        site.hold.at("save")
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.hold.arrived("save")
        site.hold.at("read checkpoint")
        owner.assign(Partition(site.log.log, 1))
        for _ in range(50):  # every chance to read too early
            await asyncio.sleep(0)
        assert await site.checkpoints.parked("watch") == []
        site.hold.go_on("save")
        await site.hold.arrived("read checkpoint")
        assert [entry.record.version for entry in await site.checkpoints.parked("watch")] == [2]
        site.hold.go_on("read checkpoint")


async def test_what_another_process_has_set_aside_is_tried_again_by_whom_it_is_assigned_to() -> None:
    site, owner = Site(), Member()
    owner.assign(Partition(site.log.log, 0))
    async with site.at_work(site.process(membership=owner, again_after=0)) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        assert site.seen == [("a", 2)]
        entry = ParkedRecord(site.log.partitions[0][1], "it failed elsewhere")
        await site.checkpoints.save("watch", Checkpoint(), [entry])
        await eventually(process, lambda status: status.reactions == 2 and not status.parked)
        site.log.put("a", 3, Opened())
        await site.settle(process)
        assert site.seen == [("a", 2), ("a", 2), ("a", 3)], "the command's id makes it one effect"


async def test_who_owns_no_partition_can_try_again_and_the_owner_goes_on_with_the_stream() -> None:
    site, owner = Site(), Member()
    owner.assign(Partition(site.log.log, 0))
    site.fail = [ValueError()] * 3
    async with site.at_work(site.process(membership=owner)) as process:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Opened())
        await site.settle(process)
        assert [parked.version for parked in (await process.status()).parked] == [2]
        await site.process(membership=Watching()).try_again()
        assert site.seen == [("a", 2)]
        site.log.put("a", 3, Opened())
        await site.settle(process)
        assert site.seen == [("a", 2), ("a", 3)]
        assert (await process.status()).parked == ()


async def test_a_log_with_another_history_is_read_again_from_its_start_and_nothing_of_it_is_set_aside() -> None:
    site = Site()
    for door in ("a", "b"):
        site.log.put(door, 1, OAK)
        site.log.put(door, 2, Opened())
    site.fail = [TypeError("a defect")] * 3
    async with site.at_work(site.process()) as process:
        await site.settle(process)
    assert [entry.record.stream for entry in await site.checkpoints.parked("watch")] == ["a"]
    del site.log.partitions[0][:]  # an older copy, which has grown to the same length
    for door in ("c", "d"):
        site.log.put(door, 1, OAK)
        site.log.put(door, 2, Opened())
    site.view.empty()
    site.seen.clear()
    site.projector = Projector(DOORS, [Source(site.log, CODEC)], site.view, backoff=AT_ONCE, grace=0)
    async with site.at_work(site.process()) as process:
        await site.settle(process)
    assert site.seen == [("c", 2), ("d", 2)]
    assert await site.checkpoints.parked("watch") == []


async def test_a_checkpoint_past_the_logs_end_begins_anew() -> None:
    site = Site()
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    await site.checkpoints.save("watch", Checkpoint(Position.of("doors.1", 0, 7)))
    async with site.at_work(site.process()) as process:
        await site.settle(process)
    assert site.seen == [("a", 2)]


async def test_the_deadlines_of_a_history_that_is_lost_are_forgotten() -> None:
    site = Site()
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    (_, lost) = site.log.partitions[0]
    await site.checkpoints.save("watch", Checkpoint(Position.of("doors.1", 0, 7)))
    await site.checkpoints.save("watch/deadlines", Checkpoint(), [ParkedRecord(lost, "1700000000000000")])
    async with site.at_work(site.process()) as process:
        await site.settle(process)
    assert await site.checkpoints.parked("watch/deadlines") == []


async def test_it_tells_what_has_become_of_its_reaction_to_a_record() -> None:
    site = Site()
    site.fail = [ValueError("no"), ValueError("no"), ValueError("no")]
    site.log.put("a", 1, OAK)
    site.log.put("a", 2, Opened())
    site.log.put("a", 3, Opened())
    site.log.put("b", 1, OAK)
    site.log.put("b", 2, Opened())
    hung, failing, behind, _, done = site.log.partitions[0][-5:]
    async with site.at_work(site.process()) as process:
        await site.settle(process)
        await eventually(process, lambda status: bool(status.parked) and status.parked[0].waiting == 2)

        assert await process.reaction_to(hung) is None, "it reacts to no such event"
        assert await process.reaction_to(done) == ReactionStatus("done")
        assert await process.reaction_to(behind) == ReactionStatus("waits")
        set_aside = await process.reaction_to(failing)
        assert set_aside is not None
        assert (set_aside.state, "ValueError" in set_aside.reason) == ("set aside", True)

        await process.skip("a", "it was a test")
        assert await process.reaction_to(failing) == ReactionStatus("skipped", "it was a test")
        assert await process.reaction_to(behind) == ReactionStatus("done")
    site.log.put("b", 3, Opened())
    assert await process.reaction_to(site.log.partitions[0][-1]) == ReactionStatus("waits")
