"""Two processes that share a view, in any order of their steps: it equals a plain fold, and nothing parked is lost.

Whoever has which partition changes at random; two may have the same one, or nobody; a process may die anywhere; an
operator retries from a process of their own; old and new releases of the code run side by side; every call may fail.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory_views import MemoryBuild
from eventkernel.clock import ManualClock
from eventkernel.errors import NotFound, Unavailable
from eventkernel.events import Partition, RecordedEvent
from eventkernel.reading.filling import Filling
from eventkernel.reading.membership import Membership, Watching
from eventkernel.reading.projector import Source
from eventkernel.reading.views import Projection
from eventkernel.retrying import Backoff
from eventkernel.testing.faults import RemoteBuild
from infra.patience import seconds
from tests.property.test_projector import Writing, Written, name_lists, plain_fold, versions_of
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted, evolve
from tests.support.sharing import Member

AT_ONCE = Backoff(first=0, most=0)


def lenient(door: Door | None, recorded: RecordedEvent) -> Door:
    """As a later release folds: nothing is poison to it."""
    event = recorded.event
    if isinstance(event, Hung):
        return event.name, (), 0
    if isinstance(event, Painted):
        assert door is not None
        return door[0], (*door[1], event.colour), door[2]
    return evolve(door, recorded)


LENIENT: Projection[Door] = Projection("doors", 1, lenient)


def lenient_fold(writing: Writing) -> dict[str, tuple[int, Door]]:
    """The oracle for that: reads the data as JSON."""
    doors: dict[str, tuple[int, Door]] = {}
    for record in (record for log in writing.logs for partition in log.partitions for record in partition):
        data: dict[str, Any] = msgspec.json.decode(record.data or b"{}")
        if "name" in data:
            doors[record.stream] = (1, (data["name"], (), 0))
        elif record.version:
            _, (name, colours, opened) = doors[record.stream]
            if "colour" in data:
                colours = (*colours, data["colour"])
            else:
                opened += data.get("times", 1)
            doors[record.stream] = (record.version, (name, colours, opened))
    return doors


class Process:
    """A filling of the build whose every step takes some turns of the event loop and may fail; and may die."""

    def __init__(self, world: World, membership: Membership, projection: Projection[Door]) -> None:
        self._world = world
        self._dead = False
        self.filling = Filling(
            projection,
            [Source(log, CODEC) for log in world.writing.logs],
            RemoteBuild(world.build, self._step),
            clock=ManualClock(),
            backoff=AT_ONCE,
            membership=membership,
            look=0,
        )
        self._task: asyncio.Task[None] | None = None

    def run(self) -> None:
        self._task = asyncio.create_task(self.filling.run())

    def die(self) -> None:
        """Whatever it is doing is never finished."""
        self._dead = True
        if self._task is not None:
            self._task.cancel()

    async def _step(self, step: str) -> None:
        chance = self._world.chance
        for _ in range(chance.choice((0, 0, 1, 2, 5, 20))):
            await asyncio.sleep(0)
        if self._dead:
            raise asyncio.CancelledError
        self._world.check_nothing_is_missing()
        if not self._world.calm and chance.random() < 0.05:
            raise Unavailable(f"no {step} now")


class World:
    """Two logs, one build, two members of a group, an operator."""

    def __init__(self, name_of: Sequence[str], seed: int) -> None:
        self.chance = random.Random(seed)
        self.writing = Writing(name_of, seed)
        self.build: MemoryBuild[Door] = MemoryBuild("b")
        self.members = [Member(), Member()]
        self.calm = False
        self.partitions = [
            Partition(log.log, number) for log in self.writing.logs for number in range(len(log.partitions))
        ]
        self.processes = [self._start(member, DOORS) for member in self.members]
        self._retries: list[asyncio.Task[None]] = []

    def _start(self, member: Member, projection: Projection[Door]) -> Process:
        process = Process(self, member, projection)
        process.run()
        return process

    def share_at_random(self) -> None:
        for member in self.members:
            mine = [partition for partition in self.partitions if self.chance.random() < 0.6]
            member.assign(*mine)

    def share(self) -> None:
        """Each partition to one of the two."""
        half = self.chance.randrange(len(self.partitions) + 1)
        self.members[0].assign(*self.partitions[:half])
        self.members[1].assign(*self.partitions[half:])

    def replace(self, number: int, projection: Projection[Door]) -> None:
        """A process dies, and its place is taken by another one, maybe of another release."""
        self.processes[number].die()
        self.processes[number] = self._start(self.members[number], projection)

    async def retry(self, projection: Projection[Door]) -> None:
        """Every stream that waits, all at once; some retries are given up halfway."""
        operator = Process(self, Watching(), projection)
        streams = list(await self.build.parked_streams())
        retries = [asyncio.create_task(operator.filling.retry(stream)) for stream in streams]
        if not self.calm and self.chance.random() < 0.3:
            for _ in range(self.chance.randrange(30)):
                await asyncio.sleep(0)
            operator.die()
        for outcome in await asyncio.gather(*retries, return_exceptions=True):
            assert outcome is None or isinstance(outcome, NotFound | Unavailable | asyncio.CancelledError), outcome

    def check_nothing_is_missing(self) -> None:
        """What comes before the checkpoint is in the documents or parked, at each step of anybody."""
        position = self.build._progress.checkpoint.position
        parked = {(entry.record.stream, entry.record.version) for entry in self.build._progress.parked()}
        for log in self.writing.logs:
            for number, records in enumerate(log.partitions):
                for record in records[: position.get(Partition(log.log, number), 0)]:
                    states = self.build.states.get(record.stream)
                    stored = 0 if not states else states[-1].version
                    assert record.version <= stored or (record.stream, record.version) in parked, record

    async def live(self, steps: int, releases: Sequence[Projection[Door]]) -> None:
        """That many things happen, at random, while the processes are at work."""
        self.share_at_random()
        for _ in range(steps):
            match self.chance.choice((*["write"] * 3, "share", "die", *["retry"] * 2)):
                case "write":
                    self.writing.write([self._written() for _ in range(self.chance.randrange(1, 9))])
                case "share":
                    self.share_at_random()
                case "die":
                    self.replace(self.chance.randrange(2), self.chance.choice(releases))
                case _:
                    self._retries.append(asyncio.create_task(self.retry(self.chance.choice(releases))))
            for _ in range(self.chance.choice((0, 10, 100, 300))):
                await asyncio.sleep(0)
        for retry in self._retries:
            await retry

    def _written(self) -> Written:
        event = self.chance.choice((Painted(colour="red"), Painted(colour="poison"), Opened(), Opened(times=2), None))
        return self.chance.randrange(2), self.chance.randrange(6), event

    def doors(self) -> dict[str, tuple[int, Door]]:
        for states in self.build.states.values():
            assert [state.version for state in states] == list(range(1, len(states) + 1)), "no state is lost or twice"
        return {stream: (states[-1].version, states[-1].doc) for stream, states in self.build.states.items()}

    async def settle(self) -> None:
        """All is quiet, everybody knows what is theirs, and there are no more failures."""
        self.calm = True
        self.share()
        for log in self.writing.logs:
            assert await self.build.reached(await log.head(), 60)
        for process in self.processes:
            assert process._task is not None
            assert not process._task.done(), process._task


@settings(deadline=None)
@given(st.integers(0, 25), name_lists, st.integers(0, 2**32))
def test_the_view_equals_a_fold_and_what_is_poison_waits(steps: int, name_of: list[str], seed: int) -> None:
    async def check() -> None:
        world = World(name_of, seed)
        await world.live(steps, [DOORS])
        await world.settle()
        expected_doors, expected_parked = plain_fold(world.writing.logs)
        async with asyncio.timeout(seconds(60)):
            while versions_in(world) != expected_parked:  # noqa: ASYNC110  # members look after it by themselves
                await asyncio.sleep(0)
        assert world.doors() == expected_doors
        for _ in range(100):
            await asyncio.sleep(0)
        assert versions_of(await world.build.parked()) == expected_parked

    asyncio.run(check())


@settings(deadline=None)
@given(st.integers(0, 25), name_lists, st.integers(0, 2**32))
def test_what_waited_for_a_later_release_is_applied_and_nothing_is_left_behind(
    steps: int, name_of: list[str], seed: int
) -> None:
    async def check() -> None:
        world = World(name_of, seed)
        await world.live(steps, [DOORS, LENIENT])
        for number in range(2):
            world.replace(number, LENIENT)
        await world.settle()
        await world.retry(LENIENT)
        async with asyncio.timeout(seconds(60)):
            while await world.build.parked():  # noqa: ASYNC110  # members look after it by themselves
                await asyncio.sleep(0)
        assert world.doors() == lenient_fold(world.writing)

    asyncio.run(check())


def versions_in(world: World) -> dict[str, list[int]]:
    versions: dict[str, list[int]] = {}
    for entry in world.build._progress.parked():
        versions.setdefault(entry.record.stream, []).append(entry.record.version)
    return versions
