"""Several processes that share one view: whatever comes in between, nothing goes back and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from eventkernel.adapters.memory_views import MemoryBuild
from eventkernel.clock import ManualClock
from eventkernel.errors import NotFound
from eventkernel.events import DomainEvent, Partition, RecordedEvent
from eventkernel.reading.filling import Filling
from eventkernel.reading.membership import Alone, Membership, Watching
from eventkernel.reading.projector import Source
from eventkernel.reading.views import BuildRetired, Fold, Projection
from eventkernel.retrying import Backoff
from eventkernel.testing.faults import RemoteBuild
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted, evolve
from tests.support.scripted_log import ScriptedLog
from tests.support.sharing import Hold, Member

AT_ONCE = Backoff(first=0, most=0)
OAK = Hung(name="oak")
POISON = Painted(colour="poison")
NEVER = 1e6


def cured(door: Door | None, recorded: RecordedEvent) -> Door:
    """What a later release of the code makes of a colour that the earlier one cannot paint with."""
    if recorded.event == POISON:
        assert door is not None
        return door[0], (*door[1], "cured"), door[2]
    return evolve(door, recorded)


def lenient(door: Door | None, recorded: RecordedEvent) -> Door:
    """Opens doors, too, that were never hung."""
    return evolve(door or ("nameless", (), 0), recorded)


CURED: Projection[Door] = Projection("doors", 1, cured)
LENIENT: Projection[Door] = Projection("doors", 1, lenient)


@dataclass
class Process:
    """One process's filling of the build, where it can be held, and what it is assigned."""

    build: MemoryBuild[Door]
    log: ScriptedLog
    membership: Membership = field(default_factory=Alone)
    projection: Projection[Door] = DOORS
    look: float = NEVER

    def __post_init__(self) -> None:
        self.hold = Hold()
        self.filling = Filling(
            self.projection,
            [Source(self.log, CODEC)],
            RemoteBuild(self.build, self.hold),
            clock=ManualClock(),
            backoff=AT_ONCE,
            membership=self.membership,
            look=self.look,
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Process]:
        task = asyncio.create_task(self.filling.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait((task,))


class Site:
    """A log of three partitions, and a build that several processes fill."""

    def __init__(self) -> None:
        self.log = ScriptedLog("doors.1", 3)
        self.build: MemoryBuild[Door] = MemoryBuild("b")

    def process(
        self, membership: Membership | None = None, projection: Projection[Door] = DOORS, look: float = NEVER
    ) -> Process:
        return Process(self.build, self.log, membership or Alone(), projection, look)

    def operator(self, projection: Projection[Door] = CURED) -> Filling[Door]:
        """As `kith parked` has it: it owns no partition, and is asked once."""
        return self.process(Watching(), projection).filling

    def put(self, stream: str, *events: DomainEvent, after: int = 0, partition: int = 0) -> None:
        for version, event in enumerate(events, after + 1):
            self.log.put(stream, version, event, partition)

    async def settle(self) -> None:
        assert await self.build.reached(await self.log.head(), 10)

    def door(self, stream: str) -> tuple[int, Door] | None:
        states = self.build.states.get(stream)
        return None if not states else (states[-1].version, states[-1].doc)

    async def waiting(self) -> list[tuple[int, bool, bool]]:
        """Version, has a reason, was skipped."""
        return [(e.record.version, e.reason is not None, e.skipped) for e in await self.build.parked()]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(seconds(10)):
            while not holds():  # noqa: ASYNC110  # others' work has no event to wait for
                await asyncio.sleep(0)

    async def nothing_waits(self) -> None:
        async with asyncio.timeout(seconds(10)):
            while await self.build.parked():  # noqa: ASYNC110  # the same
                await asyncio.sleep(0)


def part(number: int) -> Partition:
    return Partition("doors.1", number)


async def turns(count: int = 50) -> None:
    """Every chance to do what must not be done."""
    for _ in range(count):
        await asyncio.sleep(0)


# What is assigned


async def test_a_member_folds_the_partitions_that_it_is_assigned_and_no_others() -> None:
    site, member = Site(), Member()
    for number in range(3):
        site.put(f"door-{number}", OAK, partition=number)
    async with site.process(member).at_work():
        await turns()
        assert site.build.states == {}, "nothing is assigned yet"
        member.assign(part(1))
        await site.until(lambda: "door-1" in site.build.states)
        await turns()
        assert set(site.build.states) == {"door-1"}
        member.assign(part(0), part(2))
        await site.settle()
        site.put("door-1", Opened(), after=1, partition=1)
        site.put("door-2", Opened(), after=1, partition=2)
        await site.until(lambda: site.door("door-2") == (2, ("oak", (), 1)))
        await turns()
        assert site.door("door-1") == (1, ("oak", (), 0)), "that is somebody else's now"


async def test_a_save_that_is_under_way_is_finished_before_the_next_assignment_is_taken_up() -> None:
    site, member = Site(), Member()
    member.assign(part(0))
    process = site.process(member)
    process.hold.at("checkpoint")
    site.put("a", OAK)
    async with process.at_work():
        await process.hold.arrived("checkpoint")
        process.hold.at("read checkpoint")
        member.assign(part(1))
        await turns()
        assert await site.build.checkpoint() == await MemoryBuild[Door]("empty").checkpoint()
        process.hold.go_on("checkpoint")
        await process.hold.arrived("read checkpoint")
        assert (await site.build.checkpoint()).position == await site.log.head(), "the old one is saved, then it reads"
        process.hold.go_on("read checkpoint")


async def test_who_takes_over_a_partition_goes_on_where_the_build_is() -> None:
    site, one, two = Site(), Member(), Member()
    one.assign(part(0))
    async with site.process(one).at_work(), site.process(two).at_work():
        site.put("a", OAK, POISON)
        await site.settle()
        one.assign()
        two.assign(part(0))
        site.put("a", Opened(), after=2)
        await site.settle()
        assert site.door("a") == (1, ("oak", (), 0))
        assert await site.waiting() == [(2, True, False), (3, False, False)], "the new owner knows what waits"


async def test_the_status_shows_what_is_assigned_and_all_of_it_to_who_only_looks() -> None:
    site, member = Site(), Member()
    member.assign(part(0), part(2))
    for number in range(3):
        site.put(f"door-{number}", OAK, partition=number)
    process = site.process(member)
    async with process.at_work():
        await site.until(lambda: len(site.build.states) == 2)
        status = await process.filling.status()
        assert [line.partition for line in status.partitions] == [0, 2]
    assert [line.partition for line in (await site.operator().status()).partitions] == [0, 1, 2]
    assert [line.partition for line in (await site.process().filling.status()).partitions] == [0, 1, 2]


async def test_what_was_skipped_before_a_partition_is_taken_over_is_known_then() -> None:
    """It is no document and waits for nothing, so what is parked has to be read after the checkpoint."""
    site, two = Site(), Member()
    two.assign(part(0))
    second = site.process(two, LENIENT)
    second.hold.at("read checkpoint")
    async with second.at_work():
        await second.hold.arrived("read checkpoint")
        async with site.process(projection=LENIENT).at_work():
            site.put("a", Hung(name="poison"))
            await site.settle()
            await site.operator().skip("a", "no name")
        second.hold.go_on("read checkpoint")
        site.put("a", Opened(), after=1)
        await site.settle()
        assert site.door("a") == (2, ("nameless", (), 1))


# Two at the same partition


async def test_what_a_member_that_was_cut_off_saves_late_takes_nothing_back() -> None:
    site = Site()
    site.put("a", OAK, Opened())
    late = site.process()
    late.hold.at("change")
    async with late.at_work():
        await late.hold.arrived("change")
        async with site.process().at_work():
            site.put("a", Opened(), Opened(), after=2)
            await site.settle()
        late.hold.go_on("change")
        await turns()
        assert [state.version for state in site.build.states["a"]] == [1, 2, 3, 4]
        assert (await site.build.checkpoint()).position == await site.log.head()


async def test_what_is_parked_of_what_another_one_has_applied_is_forgotten_by_the_owner() -> None:
    """Two releases of the code side by side: the older one cannot fold what the newer one can."""
    site = Site()
    site.put("a", OAK, POISON)
    older = site.process()
    older.hold.at("park")
    async with older.at_work():
        await older.hold.arrived("park")
        async with site.process(projection=CURED).at_work():
            await site.settle()
        older.hold.go_on("park")
        await site.until(lambda: bool(site.build._progress.parked()))
    assert await site.waiting() == [(2, True, False)]
    async with site.process(projection=CURED, look=0).at_work():
        await site.nothing_waits()
        assert site.door("a") == (2, ("oak", ("cured",), 0))


async def test_a_stream_that_another_one_parks_is_not_taken_for_a_gap() -> None:
    site = Site()
    site.put("a", OAK, POISON)
    one = site.process()
    async with one.at_work():
        await site.settle()
        two = site.process()
        two.hold.at("load")
        async with two.at_work():
            site.put("a", Opened(), after=2)
            await two.hold.arrived("load")
            await site.settle()
            two.hold.go_on("load")
            await turns()
    reasons = [entry.reason for entry in await site.build.parked()]
    assert reasons[0] is not None
    assert "evolving by" in reasons[0]
    assert reasons[1:] == [None]


# An operator, in a process of their own


async def test_a_record_that_is_parked_behind_what_an_operator_releases_at_that_moment_is_applied() -> None:
    site = Site()
    owner = site.process(look=0)
    async with owner.at_work():
        site.put("a", OAK, POISON)
        await site.settle()
        owner.hold.at("park")
        site.put("a", Opened(), after=2)
        await owner.hold.arrived("park")
        await site.operator().retry("a")
        assert site.door("a") == (2, ("oak", ("cured",), 0))
        assert await site.waiting() == []
        owner.hold.go_on("park")
        await site.settle()
        await site.nothing_waits()
        assert site.door("a") == (3, ("oak", ("cured",), 1))
        site.put("a", Opened(), after=3)
        await site.settle()
        assert site.door("a") == (4, ("oak", ("cured",), 2)), "the stream goes on"


async def test_a_record_that_is_parked_while_an_operator_retries_is_not_released_with_the_others() -> None:
    site = Site()
    owner, operator = site.process(), site.process(Watching(), CURED)
    async with owner.at_work():
        site.put("a", OAK, POISON)
        await site.settle()
        owner.hold.at("park")
        operator.hold.at("release")
        site.put("a", Opened(), after=2)
        await owner.hold.arrived("park")
        retrying = asyncio.create_task(operator.filling.retry("a"))
        await operator.hold.arrived("release")
        owner.hold.go_on("park")
        await site.settle()
        operator.hold.go_on("release")
        await retrying
        assert await site.waiting() == [(3, False, False)]
        version = 3
        async with asyncio.timeout(seconds(10)):
            while await site.waiting():  # before one of the next batches it is dealt with
                version += 1
                site.put("a", Opened(), after=version - 1)
                await site.settle()
        assert site.door("a") == (version, ("oak", ("cured",), version - 2))


async def test_only_the_owner_of_a_partition_looks_after_what_waits_there() -> None:
    site, owner, other = Site(), Member(), Member()
    owner.assign(part(0))
    other.assign(part(1), part(2))
    first = site.process(owner)
    async with first.at_work():
        site.put("a", OAK, POISON)
        await site.settle()
        first.hold.at("park")
        site.put("a", Opened(), after=2)
        await first.hold.arrived("park")
        await site.operator().retry("a")
        first.hold.go_on("park")
        await site.settle()
    async with site.process(other, look=0).at_work():
        await turns()
        assert await site.waiting() == [(3, False, False)]
        async with site.process(owner).at_work():
            await site.nothing_waits()
            assert site.door("a") == (3, ("oak", ("cured",), 1)), "at the beginning of an assignment it looks, too"


async def test_a_skip_by_an_operator_counts_for_the_owner_though_there_is_no_document() -> None:
    for look in (0, NEVER):
        site = Site()
        async with site.process(projection=LENIENT, look=look).at_work():
            site.put("a", Hung(name="poison"))
            await site.settle()
            await site.operator().skip("a", "no name")
            await turns()
            site.put("a", Opened(), after=1)
            await site.settle()
            assert site.door("a") == (2, ("nameless", (), 1))
            assert await site.waiting() == [(1, True, True)]


async def test_a_skip_by_an_operator_meets_what_is_parked_at_that_moment() -> None:
    site = Site()
    owner = site.process(look=0)
    async with owner.at_work():
        site.put("a", OAK, POISON)
        await site.settle()
        owner.hold.at("park")
        site.put("a", Opened(), after=2)
        await owner.hold.arrived("park")
        await site.operator(DOORS).skip("a", "no such paint")
        owner.hold.go_on("park")
        await site.until(lambda: site.door("a") == (3, ("oak", (), 1)))
        await site.settle()
        assert await site.waiting() == [(2, True, True)]


async def test_a_skip_of_what_was_applied_meanwhile_skips_nothing_else() -> None:
    site = Site()
    owner = site.process()
    async with owner.at_work():
        site.put("a", OAK, POISON, Opened())
        await site.settle()
    late = site.process(Watching(), DOORS)
    late.hold.at("load")
    skipping = asyncio.create_task(late.filling.skip("a", "no such paint"))
    await late.hold.arrived("load")
    await site.operator().retry("a")
    async with site.process().at_work():
        site.put("a", Opened(), Opened(), after=3)
        await site.settle()
        late.hold.go_on("load")
        await skipping
        assert site.door("a") == (5, ("oak", ("cured",), 3))
        assert await site.waiting() == []
    with pytest.raises(NotFound):
        await site.operator().skip("a", "what else")


async def test_what_a_retry_that_came_too_late_parks_again_is_forgotten() -> None:
    site = Site()
    async with site.process().at_work():
        site.put("a", OAK, POISON, Opened())
        await site.settle()
    late = site.process(Watching(), DOORS)
    late.hold.at("park")
    retrying = asyncio.create_task(late.filling.retry("a"))
    await late.hold.arrived("park")
    await site.operator().retry("a")
    late.hold.go_on("park")
    await retrying
    assert await site.waiting() == [(2, True, False), (3, False, False)]
    async with site.process(look=0).at_work():
        await site.nothing_waits()
        assert site.door("a") == (3, ("oak", ("cured",), 1))


async def test_what_waits_behind_a_document_that_cannot_be_stored_says_so_once() -> None:
    class Picky(MemoryBuild[Door]):
        async def save(self, fold: Fold[Door]) -> None:
            if any(state.doc[2] > 5 for change in fold.changes for state in change.states):
                raise ValueError("too often")
            await super().save(fold)

    site = Site()
    site.build = Picky("b")
    owner = site.process(look=0)
    async with owner.at_work():
        site.put("a", OAK, POISON)
        await site.settle()
        owner.hold.at("park")
        site.put("a", Opened(times=9), Opened(), after=2)
        await owner.hold.arrived("park")
        await site.operator().retry("a")
        owner.hold.go_on("park")
        await site.settle()
        async with asyncio.timeout(seconds(10)):
            while await site.waiting() != [(3, True, False), (4, False, False)]:  # noqa: ASYNC110  # no event for it
                await asyncio.sleep(0)
        assert ["ValueError" in (entry.reason or "") for entry in await site.build.parked()] == [True, False]


# The end of a build


async def test_an_idle_member_notices_that_its_build_is_retired() -> None:
    site = Site()
    task = asyncio.create_task(site.process(look=0).filling.run())
    await turns()
    assert not task.done()
    site.build.retire()
    with pytest.raises(BuildRetired):
        await task
