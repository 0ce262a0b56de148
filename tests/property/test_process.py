"""Any number of deliveries, any failure, any restart: each event has its effect once, in order per stream."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_views import MemoryBuild, MemoryCheckpointStore, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.errors import ConcurrencyConflict, Unavailable
from eventkernel.events import RecordedEvent
from eventkernel.reacting.process import ProcessManager
from eventkernel.reacting.reaction import Patience
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.projector import Projector, Source
from eventkernel.retrying import Backoff
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted
from tests.support.scripted_log import ScriptedLog

Doors = MemoryBuild[Door]
AT_ONCE = Backoff(first=0, most=0)


class Echo:
    """Writes each opening of a door to a log of its own, on a stream per door; fails where chance has it."""

    def __init__(self, store: MemoryEventStore, chance: random.Random) -> None:
        self._store = store
        self._chance = chance

    async def __call__(self, recorded: RecordedEvent, build: Doors) -> None:
        assert build.states[recorded.stream][-1].version >= recorded.version
        self._fail_sometimes()
        stream = f"echo-of-{recorded.stream}"
        version = len(await self._store.read_stream(stream))
        event = CODEC.encode(Painted(colour=str(recorded.version)), stream)
        command = f"echo {recorded.record.log} {recorded.record.id}"
        await self._store.append(
            stream, [event], expected_version=version, command_id=command, fingerprint=str(recorded.version)
        )
        self._fail_sometimes()

    def _fail_sometimes(self) -> None:
        failure = self._chance.choice((None,) * 12 + (Unavailable("x"), ConcurrencyConflict("x", 1, 2), KeyError("x")))
        if failure is not None:
            raise failure


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=15), min_size=1, max_size=4),
    st.integers(0, 2**32),
)
def test_each_event_has_its_effect_once(runs: list[list[tuple[int, bool]]], seed: int) -> None:
    async def check() -> None:
        chance = random.Random(seed)
        log = ScriptedLog("doors.1", 2, seed)
        view = MemoryView("doors", Doors)
        gate = BookmarkGate(view, [log], set[str]())
        checkpoints, echoes = MemoryCheckpointStore(), MemoryEventStore("echoes", ManualClock())
        versions: dict[int, int] = defaultdict(int)
        openings: dict[str, list[int]] = defaultdict(list)

        def process_manager() -> ProcessManager[Doors]:
            patience = Patience(AT_ONCE, attempts=2, again_after=0)
            react = Echo(echoes, chance)
            sources = [Source(log, CODEC)]
            return ProcessManager("echo", sources, gate, react, checkpoints, reacts_to=[Opened], patience=patience)

        projector = Projector(DOORS, [Source(log, CODEC)], view, backoff=AT_ONCE)
        await projector.start()
        for run in runs:
            process = process_manager()
            working = asyncio.create_task(process.run())
            for door, opens in run:
                versions[door] += 1
                event = Opened() if opens else Painted(colour="red")
                log.put(f"door-{door}", versions[door], Hung(name="oak") if versions[door] == 1 else event, door % 2)
                if opens and versions[door] > 1:
                    openings[f"echo-of-door-{door}"].append(versions[door])
            if chance.random() < 0.5:
                assert await process.reached(await log.head(), 20)
            else:
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(0)
            working.cancel()
            await asyncio.wait((working,))
        process = ProcessManager(
            "echo",
            [Source(log, CODEC)],
            gate,
            Echo(echoes, random.Random(1)),
            checkpoints,
            reacts_to=[Opened],
            patience=Patience(AT_ONCE, attempts=2, again_after=0),
        )
        working = asyncio.create_task(process.run())
        assert await process.reached(await log.head(), 20)
        while (await process.status()).parked:  # noqa: ASYNC110  # a status has no event to wait for
            await asyncio.sleep(0)
        working.cancel()
        await asyncio.wait((working,))
        await projector.stop()
        for stream, expected in openings.items():
            echoed = [CODEC.decode(record) for record in await echoes.read_stream(stream)]
            assert echoed == [Painted(colour=str(version)) for version in expected]

    asyncio.run(check())
