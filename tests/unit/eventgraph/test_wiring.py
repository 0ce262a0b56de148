"""A subgraph out of its declaration: everything that a mode has opened for it is used."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from eventgraph import Api, Ports
from eventgraph.ports import Adapters
from eventgraph.serving.wiring import served
from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_documents import memory_documents
from eventkernel.adapters.memory_snapshots import MemorySnapshotStore
from eventkernel.adapters.memory_views import MemoryView
from eventkernel.clock import ManualClock
from eventkernel.errors import InvalidInput, OutOfDate
from eventkernel.reading.as_of import Moment
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.aggregates import SnapshotForm
from tests.support.notes import NOTE, NOTES, NOTES_KEPT, NoteDoc, WriteNote

KEPT = dataclasses.replace(NOTE, snapshots=SnapshotForm(1, bool, NoteDoc | None, every=1))


@pytest.fixture
async def wired() -> tuple[Ports[Any], MemorySnapshotStore, ManualClock]:
    """The ports of notes, as services are made of them, and what they were made of."""
    given: list[Ports[Any]] = []
    schema = NOTES.api().schema
    subgraph = dataclasses.replace(NOTES, aggregates=(KEPT,), api=lambda: Api(schema, given.append))
    clock, snapshots = ManualClock(), MemorySnapshotStore()
    store = MemoryEventStore("notes", clock)
    view = MemoryView("notes", memory_documents(NOTES_KEPT))
    served(subgraph, Adapters(view, {"notes": store}, store=store, snapshots=snapshots, clock=clock))
    await view.switch((await view.create()).name)
    (ports,) = given
    return ports, snapshots, clock


async def test_long_streams_are_kept_where_the_mode_says(
    wired: tuple[Ports[Any], MemorySnapshotStore, ManualClock],
) -> None:
    ports, snapshots, _ = wired
    for number in range(2):
        await ports.commands(KEPT).execute(
            NOTE.stream("1"), WriteNote("ada", "hello"), command_id=f"{number}", fingerprint="-"
        )
    for _ in range(1_000):  # it is kept beside the answer
        await asyncio.sleep(0)
    assert await snapshots.load(ports.store.log, NOTE.stream("1")) is not None


async def test_a_moment_is_still_to_come_by_the_clock_of_the_logs(
    wired: tuple[Ports[Any], MemorySnapshotStore, ManualClock],
) -> None:
    ports, _, clock = wired
    with pytest.raises(InvalidInput, match="found one to come"):
        await ports.gate.wait_for_past(Moment(clock.now_us() + 1), Bookmark(), 0)
    with pytest.raises(OutOfDate):  # nobody fills the view here
        await ports.gate.wait_for_past(Moment(clock.now_us()), Bookmark(), 0)


async def test_an_aggregate_that_is_not_declared_has_no_handler(
    wired: tuple[Ports[Any], MemorySnapshotStore, ManualClock],
) -> None:
    with pytest.raises(TypeError, match="no aggregate 'note' with this declaration"):
        wired[0].commands(NOTE)
