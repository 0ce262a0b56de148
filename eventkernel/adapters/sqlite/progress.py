"""The tables that say how far a reader of logs is and which records wait: beside a view's documents, or alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from eventkernel.events import Partition, Position, Record
from eventkernel.reading.views import ParkedRecord, Waiting
from eventkernel.writing.store import Checkpoint, Landmark

PROGRESS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS kernel_checkpoint (
    reader      TEXT NOT NULL,
    log         TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    landmark    TEXT,
    PRIMARY KEY (reader, log, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kernel_parked (
    reader  TEXT NOT NULL,
    stream  TEXT NOT NULL,
    version INTEGER NOT NULL,
    reason  TEXT,
    skipped INTEGER NOT NULL,
    record  BLOB NOT NULL,
    PRIMARY KEY (reader, stream, version)
) STRICT, WITHOUT ROWID;
"""

_PARKED: Final = "SELECT record, reason, skipped FROM kernel_parked WHERE reader = ?"
_PARKED_OF: Final = f"{_PARKED} AND stream IN (SELECT value FROM json_each(?))"
_FIRST_WAITING: Final = f"{_PARKED} AND stream = ? AND skipped = 0 ORDER BY version LIMIT 1"
_WAITING_AFTER: Final = f"{_PARKED} AND stream > ? AND skipped = 0 ORDER BY stream, version LIMIT ?"
WAITING_INDEX: Final = "kernel_waiting"
_WAITING: Final = f"""
    SELECT count(*), coalesce(sum(records), 0) FROM (
        SELECT count(*) AS records FROM kernel_parked INDEXED BY {WAITING_INDEX} WHERE reader = ? AND skipped = 0
        GROUP BY stream
    )
"""
_MAKE_WAITING_INDEX: Final = (
    f"CREATE INDEX IF NOT EXISTS {WAITING_INDEX} ON kernel_parked (reader, stream, skipped) WHERE skipped = 0"
)
"""Counting reads it alone: a row of the table has its record, which takes hundreds of times the room."""
_LAST_MARK: Final = f"{_PARKED} AND stream = ? AND version < ? AND skipped = 1 ORDER BY version DESC LIMIT 1"
_COLUMNS: Final = "reader, log, partition, next_offset, generation, landmark"
_MOVE: Final = f"""
    INSERT INTO kernel_checkpoint ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
        next_offset = max(next_offset, excluded.next_offset),
        generation = max(generation, excluded.generation),
        landmark = max(coalesce(landmark, excluded.landmark), coalesce(excluded.landmark, landmark))
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Give the tables of earlier releases what they lack: that of checkpoints a column, that of what is parked an
    index."""
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('kernel_checkpoint')")}
    if "landmark" not in columns:
        connection.execute("ALTER TABLE kernel_checkpoint ADD COLUMN landmark TEXT")
    connection.execute(_MAKE_WAITING_INDEX)


class Progress:
    """One reader's rows. Its methods run inside the caller's transaction, on the caller's thread."""

    def __init__(self, reader: str) -> None:
        self._reader = reader

    def checkpoint(self, connection: sqlite3.Connection) -> Checkpoint:
        # All columns: a file that only release 0.1.0 has written has no landmarks, and nothing to read them from.
        rows: list[tuple[Any, ...]] = connection.execute(
            "SELECT * FROM kernel_checkpoint WHERE reader = ?", (self._reader,)
        ).fetchall()
        return Checkpoint(
            Position({Partition(log, partition): offset for _, log, partition, offset, *_ in rows}),
            tuple((log, partition, generation) for _, log, partition, _, generation, *_ in rows),
            {Partition(row[1], row[2]): Landmark.from_text(text) for row in rows for text in row[5:] if text},
        )

    def move(self, connection: sqlite3.Connection, checkpoint: Checkpoint) -> None:
        """Never back, in any partition."""
        generations = {(log, partition): number for log, partition, number in checkpoint.generations}
        landmarks = {partition: landmark.to_text() for partition, landmark in checkpoint.landmarks.items()}
        connection.executemany(
            _MOVE,
            [
                (self._reader, *partition, offset, generations.get(partition, 0), landmarks.get(partition))
                for partition, offset in checkpoint.position.offsets.items()
            ],
        )

    def forget(self, connection: sqlite3.Connection, log: str) -> None:
        """The reader has read nothing of this log."""
        connection.execute("DELETE FROM kernel_checkpoint WHERE reader = ? AND log = ?", (self._reader, log))
        gone = [entry.record for entry in self.parked(connection) if entry.record.log == log]
        connection.executemany(
            "DELETE FROM kernel_parked WHERE reader = ? AND stream = ? AND version = ?",
            [(self._reader, record.stream, record.version) for record in gone],
        )

    def parked(self, connection: sqlite3.Connection, streams: Collection[str] | None = None) -> list[ParkedRecord]:
        cursor = (
            connection.execute(f"{_PARKED} ORDER BY stream, version", (self._reader,))
            if streams is None
            else connection.execute(f"{_PARKED_OF} ORDER BY stream, version", (self._reader, json.dumps(list(streams))))
        )
        rows: list[tuple[bytes, str | None, int]] = cursor.fetchall()
        return [ParkedRecord(_decode(record), reason, bool(skipped)) for record, reason, skipped in rows]

    def waiting_after(self, connection: sqlite3.Connection, stream: str, most: int) -> list[ParkedRecord]:
        """As `CheckpointStore.waiting_after`."""
        rows: list[tuple[bytes, str | None, int]] = connection.execute(
            _WAITING_AFTER, (self._reader, stream, most)
        ).fetchall()
        return [ParkedRecord(_decode(record), reason, bool(skipped)) for record, reason, skipped in rows]

    def waiting(self, connection: sqlite3.Connection) -> Waiting:
        """As `CheckpointStore.waiting`."""
        return Waiting(*connection.execute(_WAITING, (self._reader,)).fetchone())

    def first_parked(self, connection: sqlite3.Connection, streams: Collection[str]) -> list[ParkedRecord]:
        """As `ViewBuild.first_parked`. What was skipped stands before what waits: nothing behind that is looked at."""
        found: list[ParkedRecord] = []
        for stream in sorted(streams):
            first = self._one(connection, _FIRST_WAITING, stream)
            before = 2**62 if first is None else first.record.version
            found += [entry for entry in (self._one(connection, _LAST_MARK, stream, before), first) if entry]
        return found

    def _one(self, connection: sqlite3.Connection, statement: str, *of: str | int) -> ParkedRecord | None:
        row: tuple[bytes, str | None, int] | None = connection.execute(statement, (self._reader, *of)).fetchone()
        return None if row is None else ParkedRecord(_decode(row[0]), row[1], bool(row[2]))

    def release(self, connection: sqlite3.Connection, released: Mapping[str, int]) -> None:
        """Forget the records of each stream up to a version."""
        connection.executemany(
            "DELETE FROM kernel_parked WHERE reader = ? AND stream = ? AND version <= ?",
            [(self._reader, stream, version) for stream, version in released.items()],
        )

    def park(self, connection: sqlite3.Connection, parked: Sequence[ParkedRecord]) -> None:
        """A record that is parked already keeps its reason unless there is a new one, and stays skipped."""
        connection.executemany(
            "INSERT INTO kernel_parked VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " reason = coalesce(excluded.reason, reason), skipped = max(skipped, excluded.skipped)",
            [
                (self._reader, p.record.stream, p.record.version, p.reason, int(p.skipped), _encode(p.record))
                for p in parked
            ],
        )
