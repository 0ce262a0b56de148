"""What `doctor` says of every reader of logs, in either mode."""

from __future__ import annotations

import pytest

from eventgraph.operating.findings import Examination
from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.errors import KernelError, Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.landmarks import landmark_of
from eventkernel.reading.status import ParkedStream
from eventkernel.testing.event_store_contract import put
from eventkernel.writing.store import Checkpoint

HERE, GONE = Partition("notes.1", 0), Partition("letters.1", 0)


@pytest.fixture
def examination() -> Examination:
    return Examination("library")


def test_a_reader_is_past_the_end_of_a_log_or_has_read_one_that_is_not_here(examination: Examination) -> None:
    examination.not_on_the_log("view", Position({HERE: 5, GONE: 1}), {HERE: 5}, "mend it")
    examination.not_on_the_log("view", Position({HERE: 6}), {HERE: 5}, "mend it")
    assert [(one.severity, one.what, one.do) for one in examination.found] == [
        ("error", "it has read the log letters.1, which is not here", "mend it"),
        ("error", "it has read up to 6 of the log notes.1/0, which ends at 5", "mend it"),
    ]


def test_ten_thousand_events_behind_are_usual_and_one_more_is_told(examination: Examination) -> None:
    other = Partition("notes.1", 1)
    examination.behind("view", Position({HERE: 1}), {HERE: 5_001, other: 5_000})
    assert examination.found == []
    examination.behind("view", Position({HERE: 1}), {HERE: 5_001, other: 5_001})
    (found,) = examination.found
    assert (found.severity, found.what) == ("notice", "it is 10,001 events behind the log notes.1")


def test_a_parked_stream_comes_with_the_systems_own_commands(examination: Examination) -> None:
    examination.waiting("view", [ParkedStream("note-1", "notes.1", 0, version=3, reason="no such field", waiting=2)])
    (found,) = examination.found
    assert found.what == "the stream note-1 is parked at version 3 (2 records): no such field"
    assert found.do.startswith("library parked show note-1; fix the cause, then `library parked retry`")


async def test_what_a_reader_has_read_and_the_log_has_not_is_told(examination: Examination) -> None:
    log = MemoryEventStore("notes", clock=ManualClock())
    await put(log, "door-1", "a")
    (record,) = await log.read_stream("door-1")
    one = Partition(record.log, record.partition)
    read = Checkpoint(Position({one: record.offset + 1}), landmarks={one: landmark_of(record)})
    await examination.misread("view", log, read, "why", "do")
    assert examination.found == []
    await examination.misread("view", log, Checkpoint(Position({one: record.offset + 2})), "why", "do")
    (found,) = examination.found
    assert (found.severity, found.why, found.do) == ("error", "why", "do")
    assert "the log ends at" in found.what


@pytest.mark.parametrize("failure", [Unavailable("it is away"), KernelError("another")])
async def test_of_a_log_that_cannot_be_read_nothing_is_told_of_its_readers(
    examination: Examination, monkeypatch: pytest.MonkeyPatch, failure: KernelError
) -> None:
    log = MemoryEventStore("notes", clock=ManualClock())

    async def failing() -> Position:
        raise failure

    monkeypatch.setattr(log, "head", failing)
    await examination.misread("view", log, Checkpoint(), "why", "do")
    assert examination.found == []
