"""Two processes with projectors of one view, rebuilds at any moment: the build that is live in the end equals a fold.

Each process learns late which build is live; who leads and who has which partition changes; each may die anywhere, also
in the middle of a rebuild.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.errors import Unavailable
from eventkernel.events import Partition
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import BuildRetired
from eventkernel.retrying import Backoff
from eventkernel.testing.faults import RemoteView
from infra.patience import seconds
from tests.property.test_projector import Writing, Written, name_lists, plain_fold, versions_of
from tests.support.doors import CODEC, DOORS, Door, Opened, Painted
from tests.support.sharing import Member

AT_ONCE = Backoff(first=0, most=0)


class Process:
    def __init__(self, world: World, member: Member) -> None:
        self._world = world
        self._dead = False
        self.view: RemoteView[Door] = RemoteView(world.view, self._step)
        sources = [Source(log, CODEC) for log in world.writing.logs]
        self.projector = Projector(DOORS, sources, self.view, backoff=AT_ONCE, membership=member, grace=0, look=0)
        self.task = asyncio.create_task(self.projector.run())
        self._rebuilding: asyncio.Task[str] | None = None

    def rebuild(self) -> None:
        """Begins one, or gives up the one that is under way."""
        if self._rebuilding is None or self._rebuilding.done():
            self._rebuilding = asyncio.create_task(self.projector.rebuild())
            self._rebuilding.add_done_callback(self._world.rebuilt)
        else:
            self._rebuilding.cancel()

    def die(self) -> None:
        """Whatever it is doing is never finished."""
        self._dead = True
        self.task.cancel()
        if self._rebuilding is not None:
            self._rebuilding.cancel()

    async def end(self) -> None:
        if self._rebuilding is not None:
            await asyncio.wait((self._rebuilding,))
        assert not self.task.done(), self.task
        await self.stopped()

    async def stopped(self) -> None:
        self.task.cancel()
        await asyncio.wait((self.task,))

    async def _step(self, step: str) -> None:
        chance = self._world.chance
        for _ in range(chance.choice((0, 0, 1, 2, 5, 20))):
            await asyncio.sleep(0)
        if self._dead:
            raise asyncio.CancelledError
        if not self._world.calm and chance.random() < 0.03:
            raise Unavailable(f"no {step} now")


class World:
    def __init__(self, name_of: Sequence[str], seed: int) -> None:
        self.chance = random.Random(seed)
        self.writing = Writing(name_of, seed)
        self.view: MemoryView[MemoryBuild[Door]] = MemoryView("doors", MemoryBuild[Door])
        self.partitions = [
            Partition(log.log, number) for log in self.writing.logs for number in range(len(log.partitions))
        ]
        self.members = [Member(), Member()]
        self.calm = False
        self.defects: list[BaseException] = []
        self.processes = [Process(self, member) for member in self.members]

    async def live(self, steps: int) -> None:
        for _ in range(steps):
            process = self.chance.choice(self.processes)
            match self.chance.choice((*["write"] * 3, "share", "die", "rebuild", *["look"] * 3)):
                case "write":
                    self.writing.write([self._written() for _ in range(self.chance.randrange(1, 9))])
                case "share":
                    for member in self.members:
                        mine = [partition for partition in self.partitions if self.chance.random() < 0.6]
                        member.assign(*mine, leads=self.chance.random() < 0.5)
                case "die":
                    number = self.processes.index(process)
                    process.die()
                    self.processes[number] = Process(self, self.members[number])
                case "rebuild":
                    process.rebuild()
                case _:
                    process.view.look()
            for _ in range(self.chance.choice((0, 10, 100, 300))):
                await asyncio.sleep(0)

    def rebuilt(self, rebuilding: asyncio.Task[str]) -> None:
        error = None if rebuilding.cancelled() else rebuilding.exception()
        if error is not None and not isinstance(error, Unavailable | asyncio.CancelledError):
            self.defects.append(error)

    def _written(self) -> Written:
        event = self.chance.choice((Painted(colour="red"), Painted(colour="poison"), Opened(), Opened(times=2), None))
        return self.chance.randrange(2), self.chance.randrange(6), event

    async def settle(self) -> MemoryBuild[Door]:
        """All is quiet, and everybody knows what is theirs and which build is live."""
        self.calm = True
        half = self.chance.randrange(len(self.partitions) + 1)
        self.members[0].assign(*self.partitions[:half], leads=True)
        self.members[1].assign(*self.partitions[half:])
        head = await self.writing.head()
        async with asyncio.timeout(seconds(60)):
            while True:
                for process in self.processes:
                    process.view.look()
                with suppress(Unavailable, BuildRetired):
                    if await self.view.live().reached(head, 0):
                        break
                await asyncio.sleep(0)
            for process in self.processes:
                process.view.look()
                await process.end()
        return self.view.live()


@settings(deadline=None)
@given(st.integers(0, 25), name_lists, st.integers(0, 2**32))
def test_the_build_that_is_live_in_the_end_equals_a_fold(steps: int, name_of: list[str], seed: int) -> None:
    async def check() -> None:
        world = World(name_of, seed)
        await world.live(steps)
        build = await world.settle()
        assert world.defects == []
        assert await build._arrivals.reached(await world.writing.head(), 0)
        for states in build.states.values():
            assert [state.version for state in states] == list(range(1, len(states) + 1)), "no state is lost or twice"
        doors = {stream: (states[-1].version, states[-1].doc) for stream, states in build.states.items()}
        assert (doors, versions_of(await build.parked())) == plain_fold(world.writing.logs)

    asyncio.run(check())
