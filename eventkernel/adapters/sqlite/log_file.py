"""The file that holds one log, and the key of its claims beside it: how they are made, and what opening them checks."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from eventkernel.adapters.durable_files import write_durably
from eventkernel.adapters.sqlite.connection import open_writer, reading
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.log_statements import GENERATION, PARTITION, RecordsOf, head, insert
from eventkernel.errors import CannotOpen, CorruptData, Unavailable
from eventkernel.events import ENVELOPE_VERSION
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.fences import FenceData, fence

FORMAT: Final = 3
"""Raised whenever an older release could not use the file any more; kept in the file as `user_version`.

1: release 0.1.0. 2: every record that is written has a checksum. 3: records have tags.
"""
_CHECKSUMS_SINCE: Final = 2
_TAGS_SINCE: Final = 3

_APPLICATION_ID: Final = int.from_bytes(b"evkl", "big")

# In the order in which the commits of a tag came, which is that of their times.
_TAGS_TABLE: Final = """
    CREATE TABLE tags (tag TEXT, time_us INTEGER, offset INTEGER, PRIMARY KEY (tag, time_us, offset)) WITHOUT ROWID
"""
_TABLES: Final = (
    "CREATE TABLE log (id TEXT NOT NULL, envelope INTEGER NOT NULL)",
    """
    CREATE TABLE records (
        offset          INTEGER PRIMARY KEY,        -- 0: the fence that every log begins with
        type            TEXT NOT NULL,
        time_us         INTEGER NOT NULL,           -- microseconds since 1970 UTC
        stream          TEXT NOT NULL,
        version         INTEGER NOT NULL,           -- from 1; 0: not an event of the stream
        first_version   INTEGER NOT NULL,
        commit_size     INTEGER NOT NULL,
        command_id      TEXT,                       -- NULL: a fence
        fingerprint     TEXT NOT NULL,
        claims_taken    TEXT,                       -- sealed, separated by spaces
        claims_given_up TEXT,
        generation      INTEGER NOT NULL,
        schema_version  INTEGER NOT NULL,
        actor           TEXT,
        correlation     TEXT,
        causation       TEXT,
        traceparent     TEXT,
        tracestate      TEXT,
        data            TEXT NOT NULL,              -- JSON
        checksum        INTEGER,                    -- NULL: written in format 1
        tags            TEXT                        -- sealed, separated by spaces
    )
    """,
    "CREATE UNIQUE INDEX records_by_version ON records (stream, version) WHERE version > 0",
    "CREATE UNIQUE INDEX records_by_command ON records (command_id) WHERE version = first_version OR version = 0",
    # What claims are held could be folded from the records; here it is an answer.
    "CREATE TABLE claims (claim TEXT PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX claims_by_stream ON claims (stream)",
    _TAGS_TABLE,
)


def claims_key_path(path: Path) -> Path:
    """Where the claims key of the log at `path` lies."""
    return path.with_name(path.name + ".claims-key")


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log that can be written, and what was found in it."""

    path: Path
    writer: sqlite3.Connection
    log: str
    key: ClaimsKey
    end: int
    """The offset after the last record."""


def open_log(path: Path, name: str, now_us: int) -> OpenLog:
    """Open the log of this name for writing, made where the file is missing.

    Raises:
        CannotOpen: the file is something else, has another format or belongs to another log, or the key is missing or
            another one.
        Unavailable: it cannot be opened.
        CorruptData: it is damaged.
    """
    connection = open_writer(path)
    try:
        with failures_of(path):
            if _is_empty(connection):
                _make(connection, path, name, now_us)
            log = _checked(connection, path, name).log
            _bring_up_to_date(connection)
            return OpenLog(path, connection, log, matching_key(connection, path), head(connection))
    except BaseException:
        connection.close()
        raise


def read_log(path: Path) -> RecordsOf:
    """The log in an existing file, which may have a writer at this moment.

    Raises:
        CannotOpen: the file is something else, or has another format.
        Unavailable: it is missing or cannot be opened.
    """
    with reading(path) as connection:
        return _checked(connection, path, None)


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """From format 1 on. The records that are there stay as they are, without checksums or tags."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < _CHECKSUMS_SINCE:
        connection.execute("ALTER TABLE records ADD COLUMN checksum INTEGER")
    if version < _TAGS_SINCE:
        connection.execute("ALTER TABLE records ADD COLUMN tags TEXT")
        connection.execute(_TAGS_TABLE)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def holds_anything(path: Path) -> bool:
    """Whether an existing file holds a log, or something that opening it as one would refuse; False: a log would be
    made in it. May be asked before the file has a writer, and beside it."""
    try:
        with reading(path) as connection:
            return not _is_empty(connection)
    except (Unavailable, CorruptData):  # told by who opens it
        return True


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None


def make_tables(connection: sqlite3.Connection, log: str) -> None:
    """Make an empty file the file of a log; inside of the caller's transaction."""
    for table in _TABLES:
        connection.execute(table)
    connection.execute("INSERT INTO log VALUES (?, ?)", (log, ENVELOPE_VERSION))
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _make(connection: sqlite3.Connection, path: Path, name: str, now_us: int) -> None:
    """The key comes first: a key without a log does no harm, and is used by the log that is made next."""
    key_path = claims_key_path(path)
    if key_path.exists():
        key = read_key(key_path)
    else:
        key = ClaimsKey.draw()
        write_key(key_path, key)
    connection.execute("BEGIN IMMEDIATE")
    log = f"{name}.{secrets.token_hex(4)}"
    make_tables(connection, log)
    first = fence(log, PARTITION, GENERATION, key.fingerprint, now_us)
    insert(connection, [msgspec.structs.replace(first, offset=0)])
    connection.execute("COMMIT")


def _checked(connection: sqlite3.Connection, path: Path, name: str | None) -> RecordsOf:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID:
        raise CannotOpen(f"{path}: expected an event log, found another database")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise CannotOpen(f"{path}: format {version} is of a newer release, this one reads formats up to {FORMAT}")
    match connection.execute("SELECT id, envelope FROM log").fetchall():
        case [(str() as log, int() as envelope)]:
            pass
        case _:
            raise CannotOpen(f"{path}: expected one row with the log's id and envelope, found something else: damaged")
    if envelope > ENVELOPE_VERSION:
        raise CannotOpen(f"{path}: envelope {envelope} is of a newer release, this one reads up to {ENVELOPE_VERSION}")
    if name is not None and log.rpartition(".")[0] != name:
        raise CannotOpen(f"{path}: expected the log {name!r}, found {log!r}")
    return RecordsOf(str(log), checksums=version >= _CHECKSUMS_SINCE, tags=version >= _TAGS_SINCE)


def check_key(path: Path) -> None:
    """
    Raises:
        CannotOpen: the claims key of the log in this file is missing, unreadable or another one.
        Unavailable, CorruptData: the file cannot be read.
    """
    with reading(path) as connection:
        matching_key(connection, path)


def matching_key(connection: sqlite3.Connection, path: Path) -> ClaimsKey:
    """
    Raises:
        CannotOpen: the key beside the log's file is missing, unreadable or another one.
    """
    key_path = claims_key_path(path)
    if not key_path.exists():
        raise CannotOpen(f"{key_path}: the claims key of this log is missing; it is in the same back-up as the log")
    key = read_key(key_path)
    first = connection.execute("SELECT data FROM records WHERE offset = 0").fetchone()
    if first is None:
        raise CannotOpen(f"{path}: expected a fence as the log's first record, found none: the log is damaged")
    if msgspec.json.decode(first[0], type=FenceData).claims_key != key.fingerprint:
        raise CannotOpen(f"{key_path}: this is the claims key of another log")
    return key


def read_key(path: Path) -> ClaimsKey:
    """
    Raises:
        CannotOpen: the file cannot be read, or is no claims key.
    """
    try:
        return ClaimsKey.from_text(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError, CannotOpen) as error:
        raise CannotOpen(f"{path}: {error}") from None


def write_key(path: Path, key: ClaimsKey) -> None:
    """For the owner's eyes."""
    write_durably(path, key.to_text() + "\n", mode=0o600)
