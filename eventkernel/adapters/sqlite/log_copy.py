"""A log out of its file and into another one, record by record, so that both are the same log.

The copy has the log's id, its records at their offsets with their fences, its claims and its key. So bookmarks, command
ids and claims mean the same in it. Both ways go in batches: the memory they need does not grow with the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from eventkernel.adapters.sqlite.connection import open_reader, open_writer
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.log_file import claims_key_path, make_tables, read_log, write_key
from eventkernel.adapters.sqlite.log_statements import GENERATION, PARTITION, head, insert
from eventkernel.errors import CannotOpen, CorruptData, InvalidInput
from eventkernel.events import FENCE, Record, damage_of
from eventkernel.writing.appending import record_id
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.fences import FenceData

_BATCH: Final = 1_000


class LogExport:
    """Every record of a log, fences too, up to the end that it had when this was made. Also beside its writer.

    Raises:
        CannotOpen: the file is no log, or of a newer release.
        Unavailable: it is missing or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._records = read_log(path)
        self.log = self._records.log
        self._path = path
        self._connection = open_reader(path)
        with failures_of(path):
            self.end = head(self._connection)

    def batches(self) -> Iterator[Sequence[Record]]:
        """
        Raises:
            CorruptData: a record is damaged.
        """
        offset = 0
        while offset < self.end:
            with failures_of(self._path):
                records = self._records.scan_with_fences(self._connection, offset, min(_BATCH, self.end - offset))
            for record in records:
                if not record.intact:  # in the copy it would look like any other
                    raise CorruptData(damage_of(record))
            yield records
            offset = records[-1].offset + 1

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LogImport:
    """Fills a new file with the records of a log, in their order from offset 0 on."""

    def __init__(self, path: Path, log: str, key: ClaimsKey) -> None:
        self.log = log
        self.end = 0
        """The offset that the next record must have."""
        self._path = path
        self._key = key
        self._pending: list[Record] = []
        write_key(claims_key_path(path), key)
        self._connection = open_writer(path)
        with failures_of(path):
            self._connection.execute("BEGIN IMMEDIATE")
            make_tables(self._connection, log)
            self._connection.execute("COMMIT")

    @property
    def records(self) -> int:
        """How many were taken, without the fence that a log begins with."""
        return max(0, self.end - 1)

    def add(self, record: Record) -> None:
        """Take the next record; it is on disk after `flush`.

        Raises:
            InvalidInput: it is not what can stand on this log at this place; the message says why.
            CannotOpen: the log has another claims key.
        """
        self._check(record)
        self._pending.append(record)
        self.end += 1
        if len(self._pending) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Everything that was taken is durable.

        Raises:
            Contradiction: a record does not go with those before it.
        """
        with failures_of(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                insert(self._connection, self._pending)
                self._connection.execute("COMMIT")
            except sqlite3.IntegrityError:
                self._connection.execute("ROLLBACK")
                self._insert_one_by_one()
            self._pending.clear()

    def close(self) -> None:
        self._connection.close()

    def _check(self, record: Record) -> None:
        expected = {
            "source": (self.log, record.log),
            "partition": (PARTITION, record.partition),
            "offset": (self.end, record.offset),
            "generation": (GENERATION, record.generation),
            "id": (record_id(record.stream if record.version else record.command_id, record.version), record.id),
        }
        for name, (wanted, found) in expected.items():
            if wanted != found:
                raise InvalidInput(f"{name}: expected {wanted!r}, found {found!r}")
        if (record.type == FENCE) != (record.offset == 0):
            raise InvalidInput(f"type: expected a fence at offset 0 and nowhere else, found {record.type!r}")
        if record.type == FENCE:
            self._check_key(record)

    def _check_key(self, fence: Record) -> None:
        try:
            fingerprint = msgspec.json.decode(fence.data, type=FenceData).claims_key
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"data: expected a fence's, found something else: {error}") from None
        if fingerprint != self._key.fingerprint:
            raise CannotOpen(f"the claims key that was given is not that of the log {self.log}")

    def _insert_one_by_one(self) -> None:
        """Find the record that contradicts one before it."""
        for record in self._pending:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                insert(self._connection, [record])
                self._connection.execute("COMMIT")
            except sqlite3.IntegrityError:
                self._connection.execute("ROLLBACK")
                raise Contradiction(record) from None


class Contradiction(InvalidInput):
    """A record has a version, a command id or a claim that a record before it has already."""

    def __init__(self, record: Record) -> None:
        super().__init__(f"{record.id}: its version, its command id or one of its claims is that of a record before it")
        self.log = record.log
        self.offset = record.offset
