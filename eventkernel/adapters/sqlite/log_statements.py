"""Every statement that reads or writes the records of a log.

Each is one step that takes lists as JSON and gives all its rows as one JSON text, which msgspec reads into structs.
The reason: Python's sqlite3 gives the interpreter lock away at every step and queues for it again, for up to 5 ms while
another thread computes. A thousand rows that are fetched one by one beside a busy event loop take half a second; as one
text they take two milliseconds.

Every record has a checksum (CRC-32 of its columns as one MessagePack array, and of its tags, if it has any, behind
that), which is compared whenever it is read. Records that were written by release 0.1.0 have none.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from eventkernel.errors import CorruptData
from eventkernel.events import COMMAND_REFUSED, FENCE, Position, Record
from eventkernel.writing.appending import Append, Ledger, StreamEnd, record_id
from eventkernel.writing.boundary import QueryItem, TaggedEvent
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import ClaimHolder, Commit, Correlated

PARTITION: Final = 0
GENERATION: Final = 0
"""A log in one file has one: its claims and command ids are in the transactions of its records and cannot be lost."""

LAST_VERSION: Final = 2**62
"""Above every version."""
_LAST_OFFSET: Final = 2**62

START: Final = (-1, -1)
"""Before every place of a tagged record: its time and its offset."""


class TaggedPage(NamedTuple):
    """Which records of a reading are asked for: behind a place, by item behind a time and up to another."""

    items: Sequence[QueryItem]
    after: Sequence[int]
    until: Sequence[int]
    place: tuple[int, int]
    most: int


class _RecordRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A row of the table of records."""

    offset: int
    type: str
    time_us: int
    stream: str
    version: int
    first_version: int
    commit_size: int
    command_id: str | None
    fingerprint: str
    claims_taken: str | None
    claims_given_up: str | None
    generation: int
    schema_version: int
    actor: str | None
    correlation: str | None
    causation: str | None
    traceparent: str | None
    tracestate: str | None
    data: str


class _CommitRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a commit's first row says about all of it."""

    command_id: str
    offset: int
    stream: str
    version: int
    first_version: int
    commit_size: int
    fingerprint: str
    refusal: str | None


_COLUMNS: Final = _RecordRow.__struct_fields__
_REFUSAL: Final = f"CASE records.type WHEN '{COMMAND_REFUSED}' THEN data END"  # json_each has a type of its own
_COMMIT: Final = f"json_array({', '.join(_CommitRow.__struct_fields__[:-1])}, {_REFUSAL})"
_CLAIM: Final = "json_array(claim, stream, version)"
_FIRST_ROW: Final = "(version = first_version OR version = 0)"  # in the words of the index, or it is not used
_HEAD: Final = "SELECT coalesce(max(offset) + 1, 0) FROM records"

# Nothing but these constants is put together here: S608 does not apply.
_SCAN: Final = "SELECT * FROM records WHERE offset >= ? ORDER BY offset LIMIT ?"
_AT_OFFSETS: Final = "SELECT * FROM records WHERE offset IN (SELECT value FROM json_each(?))"
_BEFORE: Final = "SELECT * FROM records WHERE offset < ? ORDER BY offset DESC LIMIT 1"
# SQLite seeks by the first of several lower bounds; the last one is there for the partial index.
_STREAM: Final = """
    SELECT * FROM records WHERE stream = ? AND version > ? AND version <= ? AND version > 0 ORDER BY version
"""
_COMMAND: Final = f"""
    SELECT json_group_array({_COMMIT}) FROM records WHERE command_id = ? AND {_FIRST_ROW}
"""
_OF_COMMAND: Final = f"""
    SELECT records.* FROM records
    JOIN (SELECT offset AS first, commit_size AS size FROM records WHERE command_id = ? AND {_FIRST_ROW})
    ON records.offset >= first AND records.offset < first + size ORDER BY records.offset
"""
_CORRELATED: Final = """
    SELECT * FROM (
        SELECT * FROM records WHERE offset >= ? AND correlation = ? ORDER BY offset DESC LIMIT ?
    ) ORDER BY offset
"""
_TIME_AT: Final = "SELECT time_us FROM records WHERE offset = ?"
_HOLDER: Final = f"""
    SELECT json_group_array({_CLAIM}) FROM claims WHERE claim = ?
"""
_LEDGER: Final = f"""
    SELECT
        ({_HEAD}),
        (SELECT json_group_array({_COMMIT}) FROM json_each(?1) JOIN records ON command_id = value AND {_FIRST_ROW}),
        (SELECT json_group_array(json_array(stream, version, time_us)) FROM json_each(?2) JOIN records ON offset =
            (SELECT offset FROM records WHERE stream = value AND version > 0 ORDER BY version DESC LIMIT 1)),
        (SELECT json_group_array({_CLAIM}) FROM claims
         WHERE claim IN (SELECT value FROM json_each(?3)) OR stream IN (SELECT value FROM json_each(?4)))
"""
_GIVE_UP: Final = "DELETE FROM claims WHERE claim IN (SELECT value FROM json_each(?))"
_TAKE: Final = """
    INSERT INTO claims
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)
"""
# What has all tags of an item and one of its types; the guard, the other tags and the types take the placeholders.
_MATCHING: Final = """
    tags.tag = {0}
    AND NOT EXISTS (
        SELECT 1 FROM json_each({1}) AS other
        WHERE NOT EXISTS (SELECT 1 FROM tags AS its
                          WHERE its.tag = other.value AND its.time_us = tags.time_us AND its.offset = tags.offset)
    )
    AND ({2} = '[]' OR (SELECT type FROM records WHERE records.offset = tags.offset)
                       IN (SELECT value FROM json_each({2})))
"""
_EXCLUDED: Final = f"""
    SELECT tags.time_us, (SELECT type FROM records WHERE records.offset = tags.offset) FROM tags
    WHERE {_MATCHING.format("?1", "?2", "?3")} AND time_us > ?4 LIMIT 1
"""
_PLACES: Final = f"""
    SELECT * FROM (
        SELECT time_us, offset FROM tags
        WHERE {_MATCHING.format("?", "?", "?")} AND time_us <= ? AND (time_us, offset) > (?, ?)
        ORDER BY time_us, offset LIMIT ?
    )
"""
_LAST_TIMES: Final = """
    SELECT json_group_array(coalesce((SELECT max(time_us) FROM tags WHERE tag = value), 0)) FROM json_each(?)
"""
_TAG: Final = """
    INSERT INTO tags
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)
"""
_ROW: Final = f"({', '.join('?' * len(_COLUMNS))}, ?, ?)"
_INSERTS: Final = tuple((count, f"INSERT INTO records VALUES {', '.join([_ROW] * count)}") for count in (128, 16, 1))

_decode_records: Final = msgspec.json.Decoder(list[tuple[_RecordRow, int | None, str | None]]).decode
_decode_commits: Final = msgspec.json.Decoder(list[_CommitRow]).decode
_decode_ends: Final = msgspec.json.Decoder(list[tuple[str, int, int]]).decode
_decode_times: Final = msgspec.json.Decoder(list[int]).decode
_decode_claims: Final = msgspec.json.Decoder(list[tuple[str, str, int]]).decode
_encode: Final = msgspec.json.Encoder().encode
_pack: Final = msgspec.msgpack.Encoder().encode


def head(connection: sqlite3.Connection) -> int:
    """The offset that the next record gets."""
    (offset,) = connection.execute(_HEAD).fetchone()
    return int(offset)


class RecordsOf:
    """Reads the records of one log's file."""

    def __init__(self, log: str, *, checksums: bool, tags: bool) -> None:
        """Whether the file has checksums and tags: one that only release 0.1.0 has written does not."""
        self.log = log
        self._more = ("checksum" if checksums else "NULL", "tags" if tags else "NULL")

    def scan(self, connection: sqlite3.Connection, offset: int, most: int) -> tuple[Sequence[Record], int]:
        """Up to `most` records from an offset on, without fences, and the offset to go on from."""
        found = self.scan_with_fences(connection, offset, most)
        next_offset = found[-1].offset + 1 if found else offset
        return [record for record in found if record.type != FENCE], next_offset

    def scan_with_fences(self, connection: sqlite3.Connection, offset: int, most: int) -> Sequence[Record]:
        """Up to `most` records from an offset on, as they stand there."""
        return self._records(connection, _SCAN, (offset, most))

    def before(self, connection: sqlite3.Connection, offset: int) -> Record | None:
        """The last record before an offset that is no fence."""
        return next((found for found in self._records(connection, _BEFORE, (offset,)) if found.type != FENCE), None)

    def of_stream(self, connection: sqlite3.Connection, stream: str, after: int, up_to: int) -> Sequence[Record]:
        """The stream's events behind a version and up to one, oldest first."""
        return self._records(connection, _STREAM, (stream, after, up_to))

    def of_command(self, connection: sqlite3.Connection, command_id: str) -> Sequence[Record]:
        """The records of the commit that a command made."""
        return self._records(connection, _OF_COMMAND, (command_id,))

    def correlated(self, correlation: str, back: int, most: int, connection: sqlite3.Connection) -> Correlated:
        """As the port has it."""
        start = max(0, head(connection) - back)
        found = self._records(connection, _CORRELATED, (start, correlation, most + 1))
        first = connection.execute(_TIME_AT, (start,)).fetchone() if start else None
        return Correlated(found[-most:], None if first is None else int(first[0]), len(found) > most)

    def tagged(self, page: TaggedPage, connection: sqlite3.Connection) -> Sequence[Record]:
        """The records of a page, in the order of their times.

        Raises:
            CorruptData: one of them is missing.
        """
        places, values = list[str](), list[object]()
        for item, after, until in zip(page.items, page.after, page.until, strict=True):
            tags, types = _json(item.tags - {item.guard}), _json(item.types)
            places.append(_PLACES)
            start = max(page.place, (after, _LAST_OFFSET))  # one lower bound: SQLite seeks by one
            values += [item.guard, tags, types, types, until, *start, page.most]
        union = f"{' UNION '.join(places)} ORDER BY time_us, offset LIMIT ?"
        found = connection.execute(union, [*values, page.most]).fetchall()
        offsets = _json(offset for _, offset in found)
        records = {record.offset: record for record in self._records(connection, _AT_OFFSETS, (offsets,))}
        missing = next((offset for _, offset in found if offset not in records), None)
        if missing is not None:
            raise CorruptData(f"{self.log}, offset {missing}: expected a record with tags, found none")
        return [records[offset] for _, offset in found]

    def _records(self, connection: sqlite3.Connection, query: str, values: tuple[object, ...]) -> list[Record]:
        try:
            pair = f"json_array(json_array({', '.join(_COLUMNS)}), {', '.join(self._more)})"
            (rows,) = connection.execute(f"SELECT json_group_array({pair}) FROM ({query})", values).fetchone()
            return [
                _record(self.log, row, tags, _is_intact(row, checksum, tags))
                for row, checksum, tags in _decode_records(rows)
            ]
        except (msgspec.MsgspecError, sqlite3.OperationalError) as error:
            if getattr(error, "sqlite_errorcode", 0):
                raise
            # A value is of no type that its column has, or is no text at all: one of the rows is damaged.
            return [_record(self.log, *_salvaged(row)) for row in self._raw(connection, query, values)]

    def _raw(self, connection: sqlite3.Connection, query: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        """The rows with their texts as bytes."""
        decoding, connection.text_factory = connection.text_factory, bytes
        try:
            columns = ", ".join((*_COLUMNS, *self._more))
            return connection.execute(f"SELECT {columns} FROM ({query})", values).fetchall()
        finally:
            connection.text_factory = decoding


def find_command(connection: sqlite3.Connection, log: str, command_id: str) -> Commit | None:
    (rows,) = connection.execute(_COMMAND, (command_id,)).fetchone()
    return next((_commit(log, row) for row in _decode_commits(rows)), None)


def find_claim(connection: sqlite3.Connection, seal: str) -> ClaimHolder | None:
    (rows,) = connection.execute(_HOLDER, (seal,)).fetchone()
    return next((ClaimHolder(stream, version) for _, stream, version in _decode_claims(rows)), None)


def last_times(connection: sqlite3.Connection, tags: Sequence[str]) -> Sequence[int]:
    """The time of the last commit of each tag; 0: there is none."""
    (times,) = connection.execute(_LAST_TIMES, (_json(tags),)).fetchone()
    return _decode_times(times)


def load_ledger(connection: sqlite3.Connection, log: str, appends: Iterable[Append]) -> Ledger:
    """All that is known of these appends."""
    commands, streams, claims, claiming = set[str](), set[str](), set[str](), set[str]()
    tagging: list[Append] = []
    for append in appends:
        commands.add(append.command_id)
        streams.add(append.stream)
        if append.tags:
            tagging.append(append)
        if append.claims is not None:
            claims.update(append.claims)
            claiming.add(append.stream)
    offset, commits, ends, claimed = connection.execute(
        _LEDGER, [_json(commands), _json(streams), _json(claims), _json(claiming)]
    ).fetchone()
    ledger = Ledger(log, offset, PARTITION, GENERATION)
    ledger.commits = {row.command_id: _commit(log, row) for row in _decode_commits(commits)}
    ledger.ends = {stream: StreamEnd(version, time_us) for stream, version, time_us in _decode_ends(ends)}
    for seal, stream, version in _decode_claims(claimed):
        ledger.holders[seal] = ClaimHolder(stream, version)
        ledger.held.setdefault(stream, set()).add(seal)
    if tagging:
        _load_tags(connection, ledger, tagging)
    return ledger


def _load_tags(connection: sqlite3.Connection, ledger: Ledger, appends: Iterable[Append]) -> None:
    """The ends of the tags, and of what each condition excludes one event where there is any."""
    tags = sorted({tag for append in appends for tag in append.tags})
    ledger.tag_times = dict(zip(tags, last_times(connection, tags), strict=True))
    for append in appends:
        for item, after in () if append.condition is None else append.condition.items():
            values = (item.guard, _json(item.tags - {item.guard}), _json(item.types), after)
            for time_us, kind in connection.execute(_EXCLUDED, values):
                ledger.tagged.setdefault(item.guard, []).append(TaggedEvent(time_us, kind, tuple(item.tags)))
    for events in ledger.tagged.values():
        events.sort()


def insert(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Put records on the log, and what they say about claims into its table; inside of the caller's transaction."""
    rows = [_row(record) for record in records]
    start = 0
    for count, statement in _INSERTS:
        while len(rows) - start >= count:
            connection.execute(statement, [value for row in rows[start : start + count] for value in row])
            start += count
    given_up = set[str]()
    taken: dict[str, tuple[str, str, int]] = {}
    tagged: list[tuple[str, int, int]] = []
    for record in records:
        if record.tags:
            tagged += [(tag, record.time_us, record.offset) for tag in record.tags]
        for seal in record.claims_given_up:
            given_up.add(seal)
            taken.pop(seal, None)
        version = record.first_version + record.commit_size - 1
        taken.update({seal: (seal, record.stream, version) for seal in record.claims_taken})
    if given_up:
        connection.execute(_GIVE_UP, (_json(given_up),))
    if taken:
        connection.execute(_TAKE, (_json(taken.values()),))
    if tagged:
        connection.execute(_TAG, (_json(tagged),))


def _json(values: Iterable[object]) -> str:
    return _encode(list(values)).decode()


def _commit(log: str, row: _CommitRow) -> Commit:
    events = row.commit_size if row.version else 0
    return Commit(
        stream=row.stream,
        version=row.first_version + events - 1 if events else row.first_version,
        events=events,
        command_id=row.command_id,
        fingerprint=row.fingerprint,
        position=Position.of(log, PARTITION, row.offset + row.commit_size),
        refusal=None if row.refusal is None else Refused.decoded(row.refusal),
    )


def _is_intact(row: _RecordRow, checksum: object, tags: str | None) -> bool:
    """`checksum` is None for what release 0.1.0 has written."""
    if tags is None:  # most have none
        return checksum is None or zlib.crc32(_pack(row)) == checksum
    return _checksum(row, tags) == checksum


def _checksum(row: _RecordRow | Sequence[object], tags: str | None) -> int:
    checksum = zlib.crc32(_pack(row))
    return checksum if tags is None else zlib.crc32(tags.encode(), checksum)


def _salvaged(row: tuple[object, ...]) -> tuple[_RecordRow, str | None, bool]:
    """What can be read of a row with texts as bytes, and whether that is all of it."""
    values = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in row]
    tags, checksum = values.pop(), values.pop()
    tags = tags if isinstance(tags, str) else None
    try:
        read = msgspec.convert(values, _RecordRow)
    except msgspec.ValidationError:
        fields = msgspec.structs.fields(_RecordRow)
        fitting = [_fitting(value, field.type) for value, field in zip(values, fields, strict=True)]
        return msgspec.convert(fitting, _RecordRow), tags, False
    return read, tags, all(map(_is_text, row)) and _is_intact(read, checksum, tags)


def _is_text(raw: object) -> bool:
    try:
        if isinstance(raw, bytes):
            raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fitting(value: object, column: object) -> object:
    """The value if its column can have it, or else an empty one."""
    try:
        return msgspec.convert(value, column)
    except msgspec.ValidationError:
        return {int: 0, str: ""}.get(column) if isinstance(column, type) else None


def _record(log: str, row: _RecordRow, tags: str | None, intact: bool) -> Record:
    command_id = row.command_id or ""
    return Record(
        log=log,
        partition=PARTITION,
        offset=row.offset,
        id=record_id(row.stream, row.version) if row.version else record_id(command_id, 0),
        type=row.type,
        time_us=row.time_us,
        stream=row.stream,
        version=row.version,
        first_version=row.first_version,
        commit_size=row.commit_size,
        command_id=command_id,
        fingerprint=row.fingerprint,
        claims_taken=tuple(row.claims_taken.split()) if row.claims_taken else (),
        claims_given_up=tuple(row.claims_given_up.split()) if row.claims_given_up else (),
        generation=row.generation,
        schema_version=row.schema_version,
        actor=row.actor,
        correlation=row.correlation,
        causation=row.causation,
        traceparent=row.traceparent,
        tracestate=row.tracestate,
        data=row.data.encode(),
        tags=tuple(tags.split()) if tags else (),
        intact=intact,
    )


def _row(record: Record) -> list[object]:
    """The columns, the checksum and the tags."""
    row: list[object] = [
        record.offset,
        record.type,
        record.time_us,
        record.stream,
        record.version,
        record.first_version,
        record.commit_size,
        record.command_id or None,
        record.fingerprint,
        " ".join(record.claims_taken) or None,
        " ".join(record.claims_given_up) or None,
        record.generation,
        record.schema_version,
        record.actor,
        record.correlation,
        record.causation,
        record.traceparent,
        record.tracestate,
        record.data.decode(),
    ]
    tags = " ".join(record.tags) or None
    row += (_checksum(row, tags), tags)
    return row
