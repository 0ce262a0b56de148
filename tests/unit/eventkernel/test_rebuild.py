"""Rebuilding: nobody reads a half-filled build, nobody misses an event, nobody waits in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.errors import Unavailable
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import BuildRetired, Fold
from eventkernel.retrying import Backoff
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted
from tests.support.scripted_log import ScriptedLog

OAK = Hung(name="oak")
AT_ONCE = Backoff(first=0, most=0)


class HeldBuild(MemoryBuild[Door]):
    """Saves only while it is let."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.let = asyncio.Event()
        self.let.set()
        self.held = asyncio.Event()
        self.one_by_one = False

    async def save(self, fold: Fold[Door]) -> None:
        if not self.let.is_set():
            self.held.set()
        await self.let.wait()
        if self.one_by_one:
            self.let.clear()
            self.held.clear()
        await super().save(fold)


class HeldView(MemoryView[HeldBuild]):
    """Its next builds may be made so that they save nothing yet; `made` wakes who waits for one."""

    def __init__(self) -> None:
        super().__init__("doors", HeldBuild)
        self.hold = False
        self.made = asyncio.Event()

    async def create(self) -> HeldBuild:
        build = await super().create()
        if self.hold:
            build.let.clear()
        self.made.set()
        return build


class Site:
    def __init__(self) -> None:
        self.log = ScriptedLog("doors.1")
        self.view = HeldView()
        self.projector = Projector(DOORS, [Source(self.log, CODEC)], self.view, backoff=AT_ONCE, grace=0)

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Projector[Door]]:
        await self.projector.start()
        try:
            yield self.projector
        finally:
            await self.projector.stop()

    async def settle(self) -> HeldBuild:
        live = self.view.live()
        assert await live.reached(await self.log.head(), 10)
        return live

    async def held_rebuild(self) -> tuple[asyncio.Task[str], HeldBuild]:
        """A rebuild whose build holds back its first save."""
        self.view.hold = True
        self.view.made.clear()
        rebuilding = asyncio.create_task(self.projector.rebuild())
        await self.view.made.wait()
        new = list(self.view.builds.values())[-1]
        await new.held.wait()
        return rebuilding, new


def door(build: MemoryBuild[Door], stream: str) -> tuple[int, Door]:
    return build.states[stream][-1].version, build.states[stream][-1].doc


async def test_the_first_build_goes_live_when_it_has_what_was_on_the_log_at_the_start() -> None:
    site = Site()
    for number in range(50):
        site.log.put(f"door-{number}", 1, OAK)
    site.view.hold = True
    starting = asyncio.create_task(site.projector.start())
    await site.view.made.wait()
    [build] = site.view.builds.values()
    await build.held.wait()
    with pytest.raises(Unavailable):
        site.view.live()
    status = await site.projector.status()
    assert status.live is None
    assert status.filling is not None
    assert [partition.lag_events for partition in status.filling.partitions] == [50]
    with pytest.raises(Unavailable, match="not at work"):
        await site.projector.rebuild()
    build.let.set()
    await starting
    assert len(site.view.live().states) == 50
    await site.projector.stop()


async def test_an_empty_log_makes_an_empty_view_at_once() -> None:
    site = Site()
    async with site.at_work():
        assert site.view.live().states == {}


async def test_requests_read_the_old_build_until_the_new_one_is_no_further_behind() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.log.put("a", 1, OAK)
        old = await site.settle()
        rebuilding, new = await site.held_rebuild()
        site.log.put("a", 2, Opened())
        assert await site.settle() is old, "the live build goes on"
        status = await projector.status()
        assert status.live is not None
        assert status.filling is not None
        assert (status.live.build, status.filling.build) == (old.name, new.name)
        new.let.set()
        assert await rebuilding == new.name == site.view.live().name
        assert door(new, "a") == (2, ("oak", (), 1))
        site.log.put("a", 3, Opened())
        await site.settle()
        assert door(new, "a") == (3, ("oak", (), 2)), "the new build goes on without a gap"
        assert door(old, "a") == (2, ("oak", (), 1))
        assert (await projector.status()).filling is None


async def test_at_the_switch_the_new_build_is_no_further_behind_and_the_old_one_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site()
    switch = site.view.switch

    async def watched(build: str) -> None:
        old, new = site.view.live(), site.view.builds[build]
        before = (await old.checkpoint()).position
        assert (await new.checkpoint()).position.covers(before)
        site.log.put("a", 3, Opened())
        assert await new.reached(await site.log.head(), 10)
        assert (await old.checkpoint()).position == before
        await switch(build)

    async with site.at_work():
        site.log.put("a", 1, OAK)
        await site.settle()
        monkeypatch.setattr(site.view, "switch", watched)
        rebuilding, new = await site.held_rebuild()
        site.log.put("a", 2, Opened())
        old = await site.settle()
        new.one_by_one = True
        new.let.set()
        await new.held.wait()
        for _ in range(50):  # every chance to switch too early
            await asyncio.sleep(0)
        assert site.view.live() is old, "it has reached what the live build had at the start, and that is not enough"
        new.one_by_one = False
        new.let.set()
        await rebuilding
        assert await site.settle() is new
        assert door(new, "a") == (3, ("oak", (), 2))


async def test_who_waits_on_the_old_build_is_sent_to_the_new_one() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.log.put("a", 1, OAK)
        old = await site.settle()
        old.let.clear()
        position = site.log.put("a", 2, Opened())
        waiting = asyncio.create_task(old.reached(position, 30))
        await old.held.wait()
        rebuilding = asyncio.create_task(projector.rebuild())
        while len(site.view.builds) < 2:  # noqa: ASYNC110  # the task has to get that far
            await asyncio.sleep(0)
        old.let.set()
        await rebuilding
        assert site.view.live() is not old
        assert await waiting or isinstance(waiting.exception(), BuildRetired)
        await site.settle()


async def test_the_old_build_is_dropped_after_the_grace_time() -> None:
    site = Site()
    async with site.at_work() as projector:
        old = await site.settle()
        await projector.rebuild()
        async with asyncio.timeout(seconds(10)):
            while old.name in site.view.builds:  # noqa: ASYNC110  # dropped by a task of the projector's
                await asyncio.sleep(0)
        assert list(site.view.builds) == [site.view.live().name]


async def test_there_is_one_rebuild_at_a_time() -> None:
    site = Site()
    site.log.put("a", 1, OAK)
    async with site.at_work() as projector:
        rebuilding, new = await site.held_rebuild()
        with pytest.raises(Unavailable, match="being rebuilt already"):
            await projector.rebuild()
        new.let.set()
        await rebuilding
        site.view.hold = False
        await projector.rebuild()


async def test_a_rebuild_that_is_given_up_leaves_the_live_build_at_work_and_nothing_else() -> None:
    site = Site()
    site.log.put("a", 1, OAK)
    async with site.at_work():
        old = await site.settle()
        rebuilding, new = await site.held_rebuild()
        rebuilding.cancel()
        new.let.set()
        await asyncio.wait((rebuilding,))
        assert rebuilding.cancelled()
        assert list(site.view.builds.values()) == [old]
        site.log.put("a", 2, Opened())
        assert await site.settle() is old


async def test_a_rebuild_that_fails_at_the_switch_leaves_the_live_build_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(build: str) -> None:
        raise Unavailable(f"{build}: no room for the pointer")

    site = Site()
    site.log.put("a", 1, OAK)
    async with site.at_work() as projector:
        old = await site.settle()
        with monkeypatch.context() as patch:
            patch.setattr(site.view, "switch", fail)
            with pytest.raises(Unavailable, match="no room"):
                await projector.rebuild()
        assert list(site.view.builds.values()) == [old]
        site.log.put("a", 2, Opened())
        assert await site.settle() is old
        await projector.rebuild()
        assert (await site.settle()) is not old


async def test_a_rebuild_meets_what_is_poison_again() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.log.put("a", 1, OAK)
        site.log.put("a", 2, Painted(colour="poison"))
        await site.settle()
        await projector.skip("a", "harmless")
        await projector.rebuild()
        assert await site.view.live().parked_streams() != {}


async def test_a_view_that_has_seen_more_than_its_restored_log_can_be_rebuilt() -> None:
    site = Site()
    async with site.at_work() as projector:
        for version, event in enumerate((OAK, Opened(), Opened()), 1):
            site.log.put("a", version, event)
        await site.settle()
        del site.log.partitions[0][2:]
        async with asyncio.timeout(seconds(10)):
            await projector.rebuild()
        assert door(site.view.live(), "a") == (2, ("oak", (), 1))


async def test_a_projector_follows_when_somebody_else_switches_its_view() -> None:
    site = Site()
    async with site.at_work():
        site.log.put("a", 1, OAK)
        await site.settle()
        other = await site.view.create()
        await site.view.switch(other.name)
        site.log.put("a", 2, Opened())
        assert await site.settle() is other
        assert door(other, "a") == (2, ("oak", (), 1))


async def test_a_first_build_that_cannot_be_made_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    failures = [Unavailable("no room"), Unavailable("no room")]
    create = site.view.create

    async def stubborn() -> HeldBuild:
        if failures:
            raise failures.pop()
        return await create()

    monkeypatch.setattr(site.view, "create", stubborn)
    site.log.put("a", 1, OAK)
    async with site.at_work() as projector:
        await site.settle()
        assert not failures
        assert (await projector.status()).troubles == ()
