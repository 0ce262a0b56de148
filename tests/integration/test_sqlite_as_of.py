"""A line through a log in SQL: by time and by offsets of one partition or several."""

from __future__ import annotations

import sqlite3

import pytest

from eventkernel.adapters.sqlite.as_of import SqlAsOf
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import AsOf, Moment

DOORS = "doors.1234"

# name, partition, from when until when: as time and as offset
ROWS = [
    ("before", 0, 10, 20, 1, 2),
    ("during", 0, 20, 40, 2, 4),
    ("after", 0, 40, 50, 4, 5),
    ("elsewhere", 7, 10, 50, 3, 9),
    ("nothing", 0, 30, 30, 3, 3),
    ("for ever", 0, 10, None, 0, None),
]


@pytest.fixture
def doors() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE door (name TEXT, partition INT, since_us INT, until_us INT, since_offset INT, until_offset INT)"
    )
    connection.executemany("INSERT INTO door VALUES (?, ?, ?, ?, ?, ?)", ROWS)
    return connection


@pytest.mark.parametrize(
    ("past", "valid"),
    [
        (Moment(9), set()),
        (Moment(10), {"before", "elsewhere"}),
        (Moment(20), {"during", "elsewhere"}),
        (Moment(30), {"during", "elsewhere"}),
        (Moment(39), {"during", "elsewhere"}),
        (Moment(50), set()),
        (Position.of(DOORS, 0, 1), set()),
        (Position.of(DOORS, 0, 2), {"before"}),
        (Position.of(DOORS, 0, 3), {"during"}),
        (Position.of(DOORS, 0, 4), {"during"}),
        (Position.of(DOORS, 0, 5), {"after"}),
        (Position({Partition(DOORS, 0): 3, Partition(DOORS, 7): 3}), {"during"}),
        (Position({Partition(DOORS, 0): 3, Partition(DOORS, 7): 4}), {"during", "elsewhere"}),
        (Position({Partition("windows.1", 0): 3, Partition(DOORS, 7): 9}), {"elsewhere"}),
        (Position.of("windows.1", 0, 3), set()),
    ],
)
def test_the_rows_that_were_valid_then_are_found(doors: sqlite3.Connection, past: AsOf, valid: set[str]) -> None:
    line = SqlAsOf(past, "doors")
    found = doors.execute(f"SELECT name FROM door WHERE {line.valid('door')}", line.parameters)  # noqa: S608  # constants
    assert {name for (name,) in found} == valid


def test_what_has_not_ended_has_begun_and_no_end(doors: sqlite3.Connection) -> None:
    for past in (Moment(10), Position.of(DOORS, 0, 1)):
        line = SqlAsOf(past, "doors")
        rows = doors.execute(
            f"SELECT name FROM door WHERE {line.begun('door')} AND until_us IS NULL",  # noqa: S608  # constants
            line.parameters,
        )
        assert rows.fetchall() == [("for ever",)]
