"""What is counted of appends: events by type, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventgraph.serving.metrics import AppendMetrics
from eventkernel.events import Position, Record
from eventkernel.writing.store import Commit
from tests.support.doors import Opened
from tests.support.scripted_log import ScriptedLog
from tests.unit.eventkernel.test_process import OAK


def commit(records: Sequence[Record], events: int) -> Commit:
    return Commit("door-1", events, events, "c-1", "f-1", Position(), records=records)


def told(metrics: AppendMetrics) -> Mapping[str, Mapping[tuple[str, ...], object]]:
    return {family.metric.name: dict(family.values) for family in metrics.families()}


def test_every_event_of_a_commit_is_counted_under_its_type_and_none_of_one_that_was_known() -> None:
    log = ScriptedLog("doors.1")
    log.put("door-1", 1, OAK)
    log.put("door-1", 2, Opened())
    log.put("door-1", 3, Opened())
    metrics = AppendMetrics("sqlite", "doors")
    records = log.partitions[0]
    metrics.appended(commit(records, 3), 0.1, "")
    metrics.appended(commit((), 3), 0.1, "")
    metrics.appended(None, 0.1, "Unavailable")
    found = told(metrics)
    assert found["eventgraph.log.events"] == {("doors", records[0].type): 1, ("doors", records[1].type): 2}
    assert found["messaging.client.sent.messages"] == {("sqlite", "doors"): 3}


def test_a_record_that_a_commit_without_events_has_left_is_no_event() -> None:
    log = ScriptedLog("doors.1")
    log.put("door-1", 1, OAK)
    metrics = AppendMetrics("sqlite", "doors")
    metrics.appended(commit(log.partitions[0], 0), 0.1, "")
    found = told(metrics)
    assert found["eventgraph.log.events"] == found["messaging.client.sent.messages"] == {}
