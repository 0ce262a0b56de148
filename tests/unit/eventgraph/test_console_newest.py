"""The newest events of several logs, page by page: against a sort of everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventgraph.console.event_filter import Wanted
from eventgraph.console.newest import EventPage, newest
from eventkernel.errors import Unavailable
from eventkernel.events import Position, Record
from tests.support.doors import Hung
from tests.support.scripted_log import ScriptedLog

START_US: Final = 1_700_000_000_000_000
START: Final = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def filled(name: str, partitions: list[list[tuple[int, str]]], seed: int | None) -> ScriptedLog:
    """Each record with its time in seconds after the start, and its stream."""
    log = ScriptedLog(name, len(partitions), seed)
    for number, records in enumerate(partitions):
        for version, (second, stream) in enumerate(records, 1):
            log.put(stream, version, Hung(name=""), number)
            record = log.partitions[number][-1]
            log.partitions[number][-1] = msgspec.structs.replace(record, time_us=START_US + second * 1_000_000)
    return log


async def all_pages(logs: list[ScriptedLog], wanted: Wanted, most: int, look_through: int) -> list[Record]:
    found: list[Record] = []
    before: Position | None = None
    for _ in range(1_000):
        try:
            page = await newest(logs, wanted, before, most=most, look_through=look_through)
        except Unavailable:  # a log that is read badly; who asks asks again
            continue
        assert len(page.records) <= most
        found += page.records
        if not page.before:
            return found
        assert before is None or (before.covers(page.before) and before != page.before), "a page goes on"
        before = page.before
    raise AssertionError("the pages have no end")


RECORDS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["a", "b", "c"])), max_size=25).map(sorted)
LOGS = st.lists(st.lists(RECORDS, min_size=1, max_size=3), min_size=1, max_size=2)


@settings(max_examples=60, deadline=None)
@given(
    LOGS, st.sets(st.sampled_from("abc")), st.none() | st.integers(0, 41), st.none() | st.integers(0, 41),
    st.integers(1, 7), st.integers(1, 30), st.none() | st.integers(0, 9),
)  # fmt: skip
async def test_pages_have_every_event_that_is_wanted_once_and_the_newest_first(
    made: list[list[list[tuple[int, str]]]],
    streams: set[str],
    since: int | None,
    until: int | None,
    most: int,
    look_through: int,
    seed: int | None,
) -> None:
    logs = [filled(f"log{number}.x", partitions, seed) for number, partitions in enumerate(made)]
    from_ = None if since is None else START + timedelta(seconds=since)
    to = None if until is None else START + timedelta(seconds=until)
    found = await all_pages(logs, Wanted(frozenset(streams), since=from_, until=to), most, look_through)
    every = [record for log in logs for records in log.partitions for record in records]
    expected = [
        one
        for one in every
        if (not streams or one.stream in streams)
        and (since is None or one.time_us >= START_US + since * 1_000_000)
        and (until is None or one.time_us < START_US + until * 1_000_000)
    ]
    place = [(one.log, one.partition, one.offset) for one in found]
    assert sorted(place) == sorted((one.log, one.partition, one.offset) for one in expected)
    assert [one.time_us for one in found] == sorted((one.time_us for one in expected), reverse=True)


async def test_what_is_far_behind_the_end_is_found_without_looking_through_what_lies_between() -> None:
    log = filled("doors.x", [[(second, "a") for second in range(5_000)]], None)
    page = await newest([log], Wanted(until=START + timedelta(seconds=40)), most=10)
    assert [one.offset for one in page.records] == list(range(39, 29, -1))
    assert page.looked_through <= 600
    old = await newest([log], Wanted(since=START + timedelta(seconds=4_990), streams=frozenset("z")))
    assert (old.records, old.before) == ([], Position())
    assert old.looked_through <= 600


async def test_a_page_looks_through_a_bounded_number_of_records_and_says_where_to_go_on() -> None:
    log = filled("doors.x", [[(0, "rare"), *((second, "a") for second in range(1, 3_000))]], None)
    page: EventPage = await newest([log], Wanted(frozenset({"rare"})), look_through=1_000)
    assert (page.records, page.looked_through) == ([], 1_000)
    assert page.before == Position.of("doors.x", 0, 2_000)


async def test_times_that_do_not_grow_hide_no_event_from_who_asks_until_a_moment() -> None:
    """Another process's clock is behind: its records stand after younger ones."""
    log = filled("doors.x", [[(second, "a") for second in (1, 2, 9, 10, 3, 11, 12)]], None)
    page = await newest([log], Wanted(until=START + timedelta(seconds=5)))
    assert [one.offset for one in page.records] == [4, 1, 0]


async def test_a_log_that_does_not_answer_is_said() -> None:
    log = filled("doors.x", [[(1, "a")]], None)
    log.available = False
    with pytest.raises(Unavailable):
        await newest([log], Wanted())
