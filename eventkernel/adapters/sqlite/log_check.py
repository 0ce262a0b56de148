"""Whether what a log's file holds agrees with itself; read only, also beside its writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eventkernel.adapters.sqlite.connection import reading
from eventkernel.adapters.sqlite.log_file import read_log
from eventkernel.adapters.sqlite.log_statements import head
from eventkernel.events import FENCE, Record

_SHOWN: Final = 5
"""Of what may be wrong with many streams so many are named."""

_AT_ONCE: Final = 1_000
_LONGEST: Final = 200
"""Characters of a stream's name that is damaged, perhaps."""

_GAPS: Final = "versions that do not go from 1 on without a gap"
_OFFSETS: Final = "SELECT count(*), min(offset), max(offset) FROM records"
_STREAMS: Final = """
    SELECT stream FROM records WHERE version > 0
    GROUP BY stream HAVING min(version) <> 1 OR max(version) <> count(*)
"""
_COMMITS: Final = """
    SELECT stream FROM records WHERE version > 0
    GROUP BY stream, first_version
    HAVING count(*) <> min(commit_size) OR min(version) <> first_version OR count(DISTINCT command_id) <> 1
        OR max(offset) - min(offset) + 1 <> count(*)
"""
_CLAIMS: Final = """
    SELECT stream, first_version + commit_size - 1, claims_given_up, claims_taken FROM records
    WHERE claims_given_up IS NOT NULL OR claims_taken IS NOT NULL ORDER BY offset
"""


def full_check(path: Path) -> Iterator[str]:
    """What SQLite itself finds wrong with a file, its indexes too
    (https://www.sqlite.org/pragma.html#pragma_integrity_check).

    Raises:
        Unavailable, CorruptData: it cannot be read.
    """
    with reading(path) as connection:
        for (line,) in connection.execute(f"PRAGMA integrity_check({_SHOWN})").fetchall():
            if line != "ok":
                yield str(line)


def flaws_of_log(path: Path) -> Iterator[str]:
    """What contradicts itself: offsets, versions, commits, claims, tags. One snapshot for all questions.

    Raises:
        Unavailable, CorruptData: it cannot be read.
    """
    with reading(path) as connection:
        connection.execute("BEGIN")
        yield from _offsets(connection)
        yield from _named(connection, _STREAMS, _GAPS)
        yield from _named(connection, _COMMITS, "commits that are not whole")
        yield from _claims(connection)
        yield from _tags(connection)


def streams_with_gaps(path: Path) -> Iterator[str]:
    """The streams whose versions do not follow one another, in one line; nothing is said where there are none.

    Raises:
        Unavailable, CorruptData: it cannot be read.
    """
    with reading(path) as connection:
        yield from _named(connection, _STREAMS, _GAPS)


def from_the_future(path: Path, now_us: int) -> tuple[int, int]:
    """How many records are dated after now, and the latest date among them (microseconds since 1970 UTC).

    Raises:
        Unavailable, CorruptData: it cannot be read.
    """
    with reading(path) as connection:
        query = "SELECT count(*), ifnull(max(time_us), 0) FROM records WHERE time_us > ?"
        count, latest = connection.execute(query, (now_us,)).fetchone()
        return int(count), int(latest)


def damage_of_log(path: Path) -> Iterator[str]:
    """Records that are not what was written, by their checksums; one line for all of them.

    Raises:
        Unavailable, CorruptData: it cannot be read.
    """
    records, offset, damaged = read_log(path), 0, list[Record]()
    with reading(path) as connection:
        while found := records.scan_with_fences(connection, offset, _AT_ONCE):
            damaged += [record for record in found if not record.intact]
            offset = found[-1].offset + 1
    if damaged:
        streams = sorted({record.stream[:_LONGEST] for record in damaged})
        more = f" and {len(streams) - _SHOWN} more" if len(streams) > _SHOWN else ""
        first = f"{len(damaged)} records are damaged, the first at offset {damaged[0].offset}"
        yield f"{first}, of the streams {', '.join(streams[:_SHOWN])}{more}"


def end_of_log(path: Path) -> int:
    """The offset after the last record.

    Raises:
        Unavailable, CorruptData: it cannot be read.
    """
    with reading(path) as connection:
        return head(connection)


def _offsets(connection: sqlite3.Connection) -> Iterator[str]:
    count, first, last = connection.execute(_OFFSETS).fetchone()
    if not count:
        yield "it has no records, not even its first fence"
        return
    if first != 0 or last != count - 1:
        yield f"records are missing: it has {count} between the offsets {first} and {last}"
    found = connection.execute("SELECT type FROM records WHERE offset = 0").fetchone()
    if found is not None and found[0] != FENCE:
        yield f"its first record is of type {found[0]!r} and no fence"


def _named(connection: sqlite3.Connection, query: str, what: str) -> Iterator[str]:
    streams = sorted({stream for (stream,) in connection.execute(query)})
    if streams:
        more = f" and {len(streams) - _SHOWN} more" if len(streams) > _SHOWN else ""
        yield f"{what}: {', '.join(streams[:_SHOWN])}{more}"


def _claims(connection: sqlite3.Connection) -> Iterator[str]:
    """The table of claims must be what the records say, one after the other."""
    held: dict[str, tuple[str, int]] = {}
    for stream, version, given_up, taken in connection.execute(_CLAIMS):
        for claim in (given_up or "").split():
            held.pop(claim, None)
        held.update(dict.fromkeys((taken or "").split(), (stream, version)))
    table = {claim: (stream, version) for claim, stream, version in connection.execute("SELECT * FROM claims")}
    if held != table:
        differing = {stream for stream, _ in dict(held.items() ^ table.items()).values()}
        yield f"the claims that are held are not what the records say, of {len(differing)} streams"


def _tags(connection: sqlite3.Connection) -> Iterator[str]:
    """The table of tags must be what the records say, or a decision would not find what it rests on."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tags'").fetchone() is None:
        return  # release 0.1.0 has written it
    expected, missing = 0, 0
    for offset, time_us, tags in connection.execute("SELECT offset, time_us, tags FROM records WHERE tags IS NOT NULL"):
        for tag in tags.split():
            expected += 1
            place = (tag, time_us, offset)
            found = connection.execute("SELECT 1 FROM tags WHERE tag = ? AND time_us = ? AND offset = ?", place)
            missing += found.fetchone() is None
    (there,) = connection.execute("SELECT count(*) FROM tags").fetchone()
    if missing or there != expected:
        more = there + missing - expected
        yield f"the table of tags is not what the records say: {missing} are missing, {more} too many"
