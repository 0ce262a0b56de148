"""A view equals a plain fold of its logs: however they are delivered, whatever is poison, wherever it breaks off."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.events import Position
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import ParkedRecord, View, ViewBuild
from eventkernel.retrying import Backoff
from eventkernel.testing.faults import STEPS, TornBuild
from tests.support.doors import CODEC, DOORS, Door, DoorEvent, Hung, Opened, Painted, SqliteDoors
from tests.support.scripted_log import ScriptedLog

AT_ONCE = Backoff(first=0, most=0)

Written = tuple[int, int, DoorEvent | None]
"""In which log, to which stream, and what."""

events: st.SearchStrategy[DoorEvent | None] = st.one_of(
    st.builds(Painted, colour=st.sampled_from(["red", "green", "blue", "blue", "poison"])),
    st.builds(Opened, times=st.integers(1, 9)),
    st.none(),
)
names = st.sampled_from(["oak", "elm", "fir", "ash", "poison"])


class Writing:
    """Two logs, of three partitions and one; a stream's first event hangs the door."""

    def __init__(self, name_of: Sequence[str], seed: int) -> None:
        self.logs = [ScriptedLog("north.1", 3, seed), ScriptedLog("south.1", 1, seed + 1)]
        self._name_of = name_of
        self._versions: dict[str, int] = defaultdict(int)

    def write(self, history: Sequence[Written]) -> None:
        for log, number, event in history:
            stream, partition = f"door-{log}-{number}", number % len(self.logs[log].partitions)
            self._versions[stream] += event is not None
            version = self._versions[stream]
            first = event is not None and version == 1
            self.logs[log].put(stream, version, Hung(name=self._name_of[number]) if first else event, partition)

    async def head(self) -> Position:
        return Position.joined([await log.head() for log in self.logs])


Folded = tuple[dict[str, tuple[int, Door]], dict[str, list[int]]]
"""The doors by stream with their versions, and the versions that are parked."""


def plain_fold(logs: Sequence[ScriptedLog]) -> Folded:
    """The oracle: reads the data as JSON and knows the rules by heart."""
    doors: dict[str, tuple[int, Door]] = {}
    parked: dict[str, list[int]] = {}
    for record in (record for log in logs for partition in log.partitions for record in partition):
        data: Mapping[str, Any] = msgspec.json.decode(record.data or b"{}")
        if not record.version:
            continue
        if "poison" in data.values() or record.stream in parked:
            parked.setdefault(record.stream, []).append(record.version)
        elif "name" in data:
            doors[record.stream] = (1, (data["name"], (), 0))
        else:
            _, (name, colours, opened) = doors[record.stream]
            colours = (*colours, data["colour"]) if "colour" in data else colours
            opened += data.get("times", 1) if "colour" not in data else 0
            doors[record.stream] = (record.version, (name, colours, opened))
    return doors, parked


def versions_of(parked: Sequence[ParkedRecord]) -> dict[str, list[int]]:
    versions: dict[str, list[int]] = {}
    for entry in parked:
        versions.setdefault(entry.record.stream, []).append(entry.record.version)
    for stream, waiting in versions.items():
        reasons = [entry.reason for entry in parked if entry.record.stream == stream]
        assert reasons[0] is not None, "the first says why"
        assert "poison" not in reasons[0], "no reason holds an event's data"
        assert not any(reasons[1:]), "the others wait behind it"
        assert waiting == sorted(waiting)
    return versions


async def project(parts: Sequence[Sequence[Written]], writing: Writing, view: View[ViewBuild[Door]]) -> None:
    """Write each part when the view has reached the end of the one before."""
    projector = Projector(DOORS, [Source(log, CODEC) for log in writing.logs], view, backoff=AT_ONCE, grace=0)
    await projector.start()
    try:
        for part in parts:
            writing.write(part)
            assert await view.live().reached(await writing.head(), 20)
    finally:
        await projector.stop()


parts = st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), events), max_size=20), max_size=6)
name_lists = st.lists(names, min_size=6, max_size=6)


@settings(deadline=None)
@given(parts, name_lists, st.integers(0, 2**32))
def test_on_an_engine_without_transactions(parts: list[list[Written]], name_of: list[str], seed: int) -> None:
    async def check() -> None:
        chance = random.Random(seed)
        view = MemoryView(
            "doors", lambda name: TornBuild[Door](name, lambda: chance.choice((None, None, *range(STEPS))))
        )
        writing = Writing(name_of, seed)
        await project(parts, writing, view)
        build: MemoryBuild[Door] = view.live()
        for states in build.states.values():
            assert [state.version for state in states] == list(range(1, len(states) + 1)), "no state is lost or twice"
        doors = {stream: (states[-1].version, states[-1].doc) for stream, states in build.states.items()}
        assert (doors, versions_of(await build.parked())) == plain_fold(writing.logs)

    asyncio.run(check())


@settings(max_examples=40, deadline=None)
@given(st.lists(parts, max_size=3), name_lists, st.integers(0, 2**32))
def test_on_sqlite_with_restarts_in_between(runs: list[list[list[Written]]], name_of: list[str], seed: int) -> None:
    async def check(folder: Path) -> None:
        writing = Writing(name_of, seed)
        for run in runs:
            view = await SqliteView.open(folder, SqliteDoors, shape=1, logs=[log.log for log in writing.logs])
            try:
                await project(run, writing, view)
                build = view.live()
                doors, parked = await build.doors(), versions_of(await build.parked())
                assert (doors, parked) == plain_fold(writing.logs)
                assert set(await build.parked_streams()) == set(parked)
                for stream, (version, _) in doors.items():
                    assert await build.history(stream) == list(range(1, version + 1))
            finally:
                await view.aclose()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder) / "doors"))
