"""Projectors of several processes: who fills a build that nobody reads yet, and how all change over to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.errors import Unavailable
from eventkernel.events import DomainEvent, Partition, Position
from eventkernel.reading.membership import Membership, Watching
from eventkernel.reading.projector import Projector, Source
from eventkernel.retrying import Backoff
from eventkernel.testing.faults import RemoteView
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted
from tests.support.scripted_log import ScriptedLog
from tests.support.sharing import Hold, Member

AT_ONCE = Backoff(first=0, most=0)
OAK = Hung(name="oak")
PARTITIONS = [Partition("doors.1", number) for number in range(3)]


class Process:
    """A process with a projector of the view; `look` makes it see which build is live."""

    def __init__(self, site: Site, membership: Membership) -> None:
        self.hold = Hold()
        self.view: RemoteView[Door] = RemoteView(site.view, self.hold)
        self.projector = Projector(
            DOORS, [Source(site.log, CODEC)], self.view, backoff=AT_ONCE, membership=membership, grace=1e6, look=0
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Process]:
        task = asyncio.create_task(self.projector.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled(), "nothing ends it but its end"

    async def filled(self) -> str | None:
        """The name of the live build that it fills."""
        live = (await self.projector.status()).live
        return None if live is None else live.build


class Site:
    """A log of three partitions, a view, and two members: the first leads and has partition 0, the other the rest."""

    def __init__(self) -> None:
        self.log = ScriptedLog("doors.1", 3)
        self.view: MemoryView[MemoryBuild[Door]] = MemoryView("doors", MemoryBuild[Door])
        self.members = Member(), Member()
        self.one, self.two = (Process(self, member) for member in self.members)
        self.share()

    def share(self) -> None:
        self.members[0].assign(PARTITIONS[0], leads=True)
        self.members[1].assign(*PARTITIONS[1:])

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[tuple[Process, Process]]:
        """Both, with a live build."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.one.at_work())
            await self.live("build-1")
            self.two.view.look()
            await stack.enter_async_context(self.two.at_work())
            await fills(self.two, "build-1")
            yield self.one, self.two

    async def live(self, name: str) -> MemoryBuild[Door]:
        """The live build, as soon as it has this name."""
        async with asyncio.timeout(seconds(10)):
            while (build := await self.view.ready(10)).name != name:  # noqa: ASYNC110  # others' work has no event
                await asyncio.sleep(0)
        return build

    def put(self, *events: DomainEvent, after: int = 0) -> None:
        """To a door in each partition."""
        for number in range(3):
            for version, event in enumerate(events, after + 1):
                self.log.put(f"door-{number}", version, event, number)

    async def settle(self) -> MemoryBuild[Door]:
        build = self.view.live()
        assert await build.reached(await self.log.head(), 10)
        return build


async def fills(process: Process, build: str | None) -> None:
    """Returns when the process fills this build."""
    async with asyncio.timeout(seconds(10)):
        while await process.filled() != build:  # noqa: ASYNC110  # the same
            await asyncio.sleep(0)


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def versions(build: MemoryBuild[Door]) -> list[int]:
    return [build.states[f"door-{number}"][-1].version for number in range(3)]


# The first build


async def test_the_first_build_is_filled_whole_by_the_member_that_leads_and_the_others_wait_for_it() -> None:
    site = Site()
    site.put(OAK)
    async with site.two.at_work():
        await turns()
        assert site.view.builds == {}
        async with site.one.at_work():
            build = await site.live("build-1")
            assert versions(build) == [1, 1, 1]
            site.two.view.look()
            await fills(site.two, "build-1")
            site.put(Opened(), after=1)
            assert versions(await site.settle()) == [2, 2, 2]
            assert list(site.view.builds) == ["build-1"]


async def test_if_the_leader_goes_away_the_next_one_begins_anew() -> None:
    site = Site()
    site.put(OAK)
    site.one.hold.at("checkpoint")
    async with site.one.at_work(), site.two.at_work():
        await site.one.hold.arrived("checkpoint")
        site.members[0].assign()
        site.members[1].assign(*PARTITIONS, leads=True)
        build = await site.live("build-2")
        assert versions(build) == [1, 1, 1]
        site.one.hold.go_on("checkpoint")
        site.one.view.look()
        await fills(site.one, "build-2")
        assert list(site.view.builds) == ["build-2"]
        assert (await site.one.projector.status()).troubles == ()


async def test_another_share_of_the_partitions_does_not_make_the_leader_begin_anew() -> None:
    site = Site()
    site.put(OAK)
    site.one.hold.at("checkpoint")
    async with site.one.at_work():
        await site.one.hold.arrived("checkpoint")
        site.members[0].assign(*PARTITIONS, leads=True)
        await turns()
        site.one.hold.go_on("checkpoint")
        await site.live("build-1")


async def test_a_leader_that_does_not_know_that_it_was_replaced_takes_nothing_back() -> None:
    site = Site()
    site.put(OAK)
    site.one.hold.at("switch")
    async with site.one.at_work():
        await site.one.hold.arrived("switch")
        site.members[1].assign(*PARTITIONS, leads=True)
        async with site.two.at_work():
            await site.live("build-2")
            site.put(Opened(), after=1)
            await site.settle()
            site.one.hold.go_on("switch")
            await fills(site.one, "build-1")
            site.two.view.look()
            assert versions(await site.settle()) == [2, 2, 2]


async def test_a_leader_whose_switch_is_refused_because_another_one_was_faster_takes_that_build() -> None:
    site = Site()
    site.put(OAK)
    refused = asyncio.Event()

    async def refuse(_: str) -> None:
        await site.view.switch((await site.view.create()).name)
        site.one.view.look()
        refused.set()
        raise Unavailable("another build went live meanwhile")

    site.one.view.switch = refuse  # type: ignore[method-assign, assignment]
    async with site.one.at_work():
        await asyncio.wait_for(refused.wait(), seconds(10))
        await fills(site.one, "build-2")
        assert list(site.view.builds) == ["build-2"]


# A rebuild


async def test_the_others_go_on_filling_the_live_build_while_one_rebuilds_and_change_over_with_it() -> None:
    site = Site()
    async with site.at_work() as (one, two):
        site.put(OAK)
        old = await site.settle()
        one.hold.at("create")
        rebuilding = asyncio.create_task(one.projector.rebuild())
        await one.hold.arrived("create")
        site.put(Opened(), after=1)
        assert await site.settle() is old
        assert versions(old) == [2, 2, 2], "both go on"
        one.hold.go_on("create")
        assert await rebuilding == "build-2"
        two.view.look()
        await fills(two, "build-2")
        site.put(Opened(), after=2)
        assert versions(await site.settle()) == [3, 3, 3]
        assert versions(old) == [2, 2, 2]


async def test_the_leader_drops_a_build_that_was_replaced_by_a_process_that_is_gone() -> None:
    site = Site()
    site.one.projector = Projector(
        DOORS, [Source(site.log, CODEC)], site.one.view, backoff=AT_ONCE, membership=site.members[0], grace=0, look=0
    )
    async with site.one.at_work():
        await site.live("build-1")
        site.two.view.look()
        async with site.two.at_work():
            await fills(site.two, "build-1")
            assert await site.two.projector.rebuild() == "build-2"
        site.one.view.look()
        await fills(site.one, "build-2")
        await turns()
        assert list(site.view.builds) == ["build-2"]


async def test_after_a_rebuild_its_process_fills_its_share_of_the_new_build_only() -> None:
    site = Site()
    async with site.one.at_work():
        await site.live("build-1")
        site.put(OAK)
        await fills(site.one, "build-1")
        await site.one.projector.rebuild()
        new = site.view.live()
        await turns()
        site.put(Opened(), after=1)
        assert await new.reached(Position.of("doors.1", 0, 2), 10)
        await turns()
        assert versions(new) == [2, 1, 1]
        status = (await site.one.projector.status()).live
        assert status is not None
        assert [line.partition for line in status.partitions] == [0]


async def test_at_the_switch_no_partition_is_behind_the_live_build_that_others_fill() -> None:
    site = Site()
    async with site.at_work() as (one, two):
        site.put(OAK)
        old = await site.settle()
        one.hold.at("wait")  # so the first asks whether the new build is there are held, too
        rebuilding = asyncio.create_task(one.projector.rebuild())
        await one.hold.arrived("wait")
        site.log.put("door-1", 2, Opened(), 1)
        site.log.put("door-2", 2, Opened(), 2)
        assert await old.reached((await site.log.head()).join(Position()), 10)
        one.hold.go_on("wait")
        await rebuilding
        before, after = await old.checkpoint(), await site.view.live().checkpoint()
        assert after.position.covers(before.position)
        two.view.look()


async def test_a_rebuild_comes_to_an_end_though_others_never_stop_writing() -> None:
    """Whenever it asks how far the live build is, that has got one record further, and the new build is slow."""
    site = Site()
    written = 1

    async def never_there(step: str) -> None:
        nonlocal written
        if step == "read checkpoint" and len(site.view.builds) == 2:
            written += 1
            position = site.log.put("door-1", written, Opened(), 1)
            assert await site.view.live().reached(position, 10)
        if step == "checkpoint" and len(site.view.builds) == 2:
            await turns(1_000)

    async with site.at_work() as (one, two):
        site.put(OAK)
        await site.settle()
        one.view.pause = never_there
        one.view.look()
        assert await asyncio.wait_for(one.projector.rebuild(), seconds(20)) == "build-2"
        assert written > 10, "it was tried"
        one.view.pause = one.hold
        two.view.look()
        new = await site.settle()
        assert [state.version for state in new.states["door-1"]] == list(range(1, written + 1))


async def test_a_member_that_learns_late_which_build_is_live_asks_again_and_again_and_does_nothing_else() -> None:
    site = Site()
    async with site.at_work() as (one, two):
        site.put(OAK)
        await site.settle()
        await one.projector.rebuild()
        await turns()
        site.put(Opened(), after=1)
        await turns(200)
        assert versions(site.view.live()) == [2, 1, 1], "the other one does not know the new build"
        status = await two.projector.status()
        assert any("asking for the live build" in trouble.doing for trouble in status.troubles)
        two.view.look()
        assert versions(await site.settle()) == [2, 2, 2]
        await fills(two, "build-2")
        assert (await two.projector.status()).troubles == ()


async def test_of_two_rebuilds_at_once_the_second_is_no_further_behind_than_the_first() -> None:
    site = Site()
    async with site.at_work() as (one, two):
        site.put(OAK)
        await site.settle()
        two.hold.at("switch")
        second = asyncio.create_task(two.projector.rebuild())
        await two.hold.arrived("switch")
        two.hold.go_on("switch")
        two.hold.at("create")
        await second
        third = asyncio.create_task(two.projector.rebuild())
        await two.hold.arrived("create")
        one.view.look()
        await fills(one, "build-2")
        await one.projector.rebuild()
        site.put(Opened(), after=1)
        two.view.look()
        await fills(two, "build-3")
        assert versions(await site.settle()) == [2, 2, 2]
        two.hold.go_on("create")
        assert await third == "build-4"
        one.view.look()
        assert versions(site.view.live()) == [2, 2, 2]
        await fills(one, "build-4")


async def test_while_it_rebuilds_a_member_follows_when_another_one_switches() -> None:
    site = Site()
    async with site.at_work() as (one, two):
        site.put(OAK)
        await site.settle()
        two.hold.at("create")
        rebuilding = asyncio.create_task(two.projector.rebuild())
        await two.hold.arrived("create")
        await one.projector.rebuild()
        two.view.look()
        site.put(Opened(), after=1)
        assert versions(await site.settle()) == [2, 2, 2], "its share of the new build is filled meanwhile"
        two.hold.go_on("create")
        await rebuilding
        one.view.look()
        site.put(Opened(), after=2)
        assert versions(await site.settle()) == [3, 3, 3]


async def test_a_switch_that_is_cancelled_when_it_has_happened_leaves_the_new_build_live() -> None:
    site = Site()
    async with site.at_work() as (one, two):
        site.put(OAK)
        await site.settle()
        one.hold.at("switch")
        rebuilding = asyncio.create_task(one.projector.rebuild())
        await one.hold.arrived("switch")
        rebuilding.cancel()
        await turns()
        one.hold.go_on("switch")
        await asyncio.wait((rebuilding,))
        assert rebuilding.cancelled()
        await site.live("build-2")
        two.view.look()
        await fills(one, "build-2")
        site.put(Opened(), after=1)
        assert versions(await site.settle()) == [2, 2, 2]


# Who operates the system


async def test_a_process_that_fills_nothing_can_be_told_to_retry_to_skip_and_to_rebuild() -> None:
    site = Site()
    async with site.at_work() as (one, two):
        site.put(OAK, Painted(colour="poison"), Opened())
        await site.settle()
        operator = Process(site, Watching())
        async with operator.at_work():
            await fills(operator, "build-1")
            await operator.projector.retry("door-0")
            assert site.view.live().states["door-0"][-1].version == 1, "it is poison still"
            await operator.projector.skip("door-1", "no such paint")
            assert site.view.live().states["door-1"][-1].version == 3
            await operator.projector.rebuild()
        for process in (one, two):
            process.view.look()
            await fills(process, "build-2")
        site.put(Opened(), after=3)
        build = await site.settle()
        assert set(await build.parked_streams()) == {"door-0", "door-1", "door-2"}, "a rebuild meets the poison again"


async def test_a_process_that_fills_nothing_waits_for_a_view_that_is_not_there() -> None:
    site = Site()
    operator = Process(site, Watching())
    async with operator.at_work():
        await turns()
        with pytest.raises(Unavailable, match="not at work"):
            await operator.projector.rebuild()
        assert site.view.builds == {}
