"""Whether a subgraph is ready, and why not."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, patch

import pytest

from eventgraph.serving import readiness
from eventgraph.serving.readiness import Readiness, readiness_of
from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.events import EncodedEvent, Partition, Position
from eventkernel.reading.audit import Audit
from eventkernel.reading.views import Fold, ParkedRecord
from eventkernel.testing.view_contract import record
from eventkernel.writing.store import Checkpoint, Landmark, Writing

View = MemoryView[MemoryBuild[Any]]


@pytest.fixture
async def store() -> MemoryEventStore:
    made = MemoryEventStore("doors", ManualClock())
    for number in range(3):
        event = EncodedEvent("doors.Opened", 1, b"{}")
        await made.append(f"d{number}", [event], expected_version=0, command_id=f"c{number}", fingerprint="f")
    return made


@pytest.fixture
async def view() -> View:
    made: View = MemoryView("doors", MemoryBuild)
    await made.switch((await made.create()).name)
    return made


async def test_a_view_that_is_a_little_behind_is_ready(store: MemoryEventStore, view: View) -> None:
    assert await readiness_of(view, [store]) == Readiness([], [])


async def test_a_view_that_is_far_behind_is_not_ready(
    store: MemoryEventStore, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LAG_LIMIT", 1)
    end = (await store.head())[Partition(store.log, 0)]
    await view.live().save(Fold([], Checkpoint(Position.of(store.log, 0, end - 2))))
    assert await readiness_of(view, [store]) == Readiness(["the view doors is 2 records behind, more than 1"], [])
    await view.live().save(Fold([], Checkpoint(Position.of(store.log, 0, end - 1))))
    assert await readiness_of(view, [store]) == Readiness([], [])


async def test_a_view_without_a_live_build_is_not_ready(store: MemoryEventStore) -> None:
    view: View = MemoryView("doors", MemoryBuild)
    (reason,) = (await readiness_of(view, [store])).reasons
    assert reason == "the view doors cannot be read: the view doors is being built"


async def test_a_log_that_does_not_answer_is_named(store: MemoryEventStore, view: View) -> None:
    store.available = False
    (reason,) = (await readiness_of(view, [store])).reasons
    assert reason.startswith(f"the log {store.log} does not answer")


async def test_a_view_that_is_not_what_its_logs_say_is_not_ready(store: MemoryEventStore, view: View) -> None:
    head = await store.head()
    landmarks = dict.fromkeys(head, Landmark(2, "of another record"))
    await view.live().save(Fold([], Checkpoint(head, (), landmarks)))
    audit = Audit(view, [store])
    await audit.look()
    (reason,) = (await readiness_of(view, [store], audit)).reasons
    assert reason.startswith("the view doors is not what its logs say: ")


async def test_a_log_that_is_damaged_makes_its_readers_not_ready(
    store: MemoryEventStore, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(view, [store])
    monkeypatch.setattr(audit, "damage", lambda: ["doors.1/0, offset 4: version 1 of the stream 'd1' is damaged"])
    (reason,) = (await readiness_of(view, [store], audit)).reasons
    assert reason == "a log is damaged: doors.1/0, offset 4: version 1 of the stream 'd1' is damaged"


async def test_parked_streams_are_a_warning(store: MemoryEventStore, view: View) -> None:
    await view.live().save(Fold([], Checkpoint(), [ParkedRecord(record("door-1", 1), "it cannot be read")]))
    assert await readiness_of(view, [store]) == Readiness([], ["parked streams in the view doors: 1"])


async def test_a_store_that_takes_no_commands_is_not_ready(store: MemoryEventStore, view: View) -> None:
    with patch.object(store, "writing", AsyncMock(return_value=Writing("its ledger is being opened"))):
        (reason,) = (await readiness_of(view, [store], None, store)).reasons
    assert reason == f"the log {store.log} takes no commands: its ledger is being opened"


async def test_a_stream_that_takes_no_commands_is_a_warning(store: MemoryEventStore, view: View) -> None:
    with patch.object(store, "writing", AsyncMock(return_value=Writing(waiting=["door-1 waits"]))):
        assert await readiness_of(view, [store], None, store) == Readiness([], ["door-1 waits"])
