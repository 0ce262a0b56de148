"""Two processes share the reacting: whoever has what, wherever they die, each event has its effect once, in order."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_views import MemoryBuild, MemoryCheckpointStore, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.events import Partition
from eventkernel.reacting.process import ProcessManager
from eventkernel.reacting.reaction import Patience
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.projector import Projector, Source
from eventkernel.retrying import Backoff
from eventkernel.testing.faults import RemoteCheckpoints
from infra.patience import seconds
from tests.property.test_process import Echo
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted
from tests.support.scripted_log import ScriptedLog
from tests.support.sharing import Member

AT_ONCE = Backoff(first=0, most=0)


class World:
    """A log of two partitions, a view, and two processes that echo each opening of a door; reactions fail at times."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log = ScriptedLog("doors.1", 2, seed)
        self.view = MemoryView("doors", MemoryBuild[Door])
        self.projector = Projector(DOORS, [Source(self.log, CODEC)], self.view, backoff=AT_ONCE)
        self.store, self.echoes = MemoryCheckpointStore(), MemoryEventStore("echoes", ManualClock())
        self.partitions = [Partition(self.log.log, number) for number in range(2)]
        self.members = [Member(), Member()]
        self.working = [self._start(member) for member in self.members]
        self._versions: dict[int, int] = defaultdict(int)
        self.expected: dict[str, list[int]] = defaultdict(list)
        """By stream of echoes, the versions of the door's openings."""

    def _start(self, member: Member) -> asyncio.Task[None]:
        process = ProcessManager(
            "echo",
            [Source(self.log, CODEC)],
            BookmarkGate(self.view, [self.log], set[str]()),
            Echo(self.echoes, self.chance),
            RemoteCheckpoints(self.store, self._pause),
            reacts_to=[Opened],
            patience=Patience(AT_ONCE, attempts=2, again_after=0),
            membership=member,
        )
        return asyncio.create_task(process.run())

    async def _pause(self, step: str) -> None:
        for _ in range(self.chance.choice((0, 0, 1, 5))):
            await asyncio.sleep(0)

    async def live(self, steps: int) -> None:
        for _ in range(steps):
            for _ in range(self.chance.randrange(8)):
                self._write()
            if self.chance.random() < 0.6:
                for member in self.members:
                    member.assign(*[partition for partition in self.partitions if self.chance.random() < 0.6])
            if self.chance.random() < 0.3:
                number = self.chance.randrange(2)
                self.working[number].cancel()
                self.working[number] = self._start(self.members[number])
            for _ in range(self.chance.choice((0, 20, 200))):
                await asyncio.sleep(0)

    def _write(self) -> None:
        door = self.chance.randrange(4)
        self._versions[door] += 1
        version = self._versions[door]
        opens = self.chance.random() < 0.6 and version > 1
        event = Opened() if opens else Painted(colour="red")
        self.log.put(f"door-{door}", version, Hung(name="oak") if version == 1 else event, door % 2)
        if opens:
            self.expected[f"echo-of-door-{door}"].append(version)

    async def settle(self) -> None:
        """Each has one partition, and all is done."""
        for member, partition in zip(self.members, self.partitions, strict=True):
            member.assign(partition)
        async with asyncio.timeout(seconds(60)):
            while await self.echoed() != self.expected or await self.store.parked("echo"):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0)
        for task in self.working:
            assert not task.done()
            task.cancel()
        await asyncio.wait(self.working)

    async def echoed(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for stream in self.expected:
            echoes = [CODEC.decode(record) for record in await self.echoes.read_stream(stream)]
            found[stream] = [int(echo.colour) for echo in echoes if isinstance(echo, Painted)]
        return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 12), st.integers(0, 2**32))
def test_each_event_has_its_effect_once_and_in_order(steps: int, seed: int) -> None:
    async def check() -> None:
        world = World(seed)
        await world.projector.start()
        await world.live(steps)
        await world.settle()
        await world.projector.stop()

    asyncio.run(check())
