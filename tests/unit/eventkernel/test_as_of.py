"""The text that clients name the past by, and what had happened then."""

from __future__ import annotations

import pytest

from eventkernel.errors import InvalidInput
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import Moment, happened, read_as_of
from eventkernel.reading.bookmark import Bookmark

NOON_US = 1_795_262_400_000_000
DOORS = Partition("doors.a", 0)


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("2026-11-21T12:00:00Z", NOON_US),
        ("2026-11-21t12:00:00z", NOON_US),
        ("2026-11-21 12:00:00Z", NOON_US),
        ("2026-11-21T13:30:00+01:30", NOON_US),
        ("2026-11-21T11:00:00.000001-01:00", NOON_US + 1),
        ("2026-11-21T12:00:00.5Z", NOON_US + 500_000),
        ("2026-11-21T12:00:00.0000019Z", NOON_US + 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000_000),
    ],
)
def test_a_moment_is_read_as_rfc_3339_has_it(text: str, time_us: int) -> None:
    assert read_as_of(text) == Moment(time_us)


def test_a_bookmark_is_read_as_its_position() -> None:
    position = Position({DOORS: 3, Partition("windows.b", 7): 70_000})
    assert read_as_of(Bookmark(position).encode()) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-21",
        "2026-11-21T12:00:00",
        "2026-11-21T12:00Z",
        "2026-11-31T12:00:00Z",
        "2026-11-21T24:00:01Z",
        "2026-11-21T12:00:00+25:00",
        "2026-11-21T12:00:00.Z",
        "٢٠٢٦-11-21T12:00:00Z",
        "20261121T120000Z",
        "%",
        "gA",
        "x" * 5_000,
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^As-Of: expected a moment as RFC 3339 has it, .* or a bookmark, found"):
        read_as_of(text)


def test_what_happened_at_the_moment_itself_had_happened() -> None:
    assert happened(Moment(5), 5, DOORS, 9)
    assert not happened(Moment(5), 6, DOORS, 0)


def test_what_stands_before_the_position_had_happened() -> None:
    assert happened(Position({DOORS: 3}), 99, DOORS, 2)
    assert not happened(Position({DOORS: 3}), 0, DOORS, 3)
    assert not happened(Position({DOORS: 3}), 0, Partition("doors.a", 1), 0)
