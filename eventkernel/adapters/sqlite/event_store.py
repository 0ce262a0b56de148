"""An event store in one SQLite file: one writer with group commit, readers on threads of their own.

`SqliteLog` reads a log, also while another process writes it. `SqliteEventStore` is the one writer.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeAlias, TypeVar, cast

from eventkernel.adapters.sqlite import log_statements as statements
from eventkernel.adapters.sqlite.batcher import Answers, Batcher
from eventkernel.adapters.sqlite.connection import open_reader
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.group_commit import GroupCommit
from eventkernel.adapters.sqlite.log_check import streams_with_gaps
from eventkernel.adapters.sqlite.log_file import OpenLog, open_log, read_log
from eventkernel.clock import Clock
from eventkernel.errors import CorruptData, NotFound, StreamWaits
from eventkernel.events import NO_METADATA, EncodedEvent, Metadata, Partition, Position, Record
from eventkernel.reading.landmarks import compare
from eventkernel.writing.appending import Append, is_name, prepared, resuming
from eventkernel.writing.boundary import AppendCondition, Query, Reading, TaggedBatch
from eventkernel.writing.fences import claims_key_of
from eventkernel.writing.metering import AppendMeter, metered
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import Batch, Checkpoint, ClaimHolder, Commit, Correlated, Writing

T = TypeVar("T")
_Question: TypeAlias = Callable[[sqlite3.Connection], object]

_LARGEST_BATCH: Final = 1_000
"""Records that a subscriber gets at once."""
_LOOK_SECONDS: Final = 1.0
"""How long a health check waits for the answer whether streams have gaps, which reads an index."""
_POLL_SECONDS: Final = 0.2
"""How often a log that another process writes is looked at: SQLite has no notice between processes."""
_PATIENCE_SECONDS: Final = 15.0
"""After so long an answer is `Unavailable`; more than SQLite itself waits for a lock."""


class SqliteLog:
    """A log to read: the port `LogReader`, and looking up streams and commands."""

    def __init__(self, path: Path, records: statements.RecordsOf) -> None:
        self._path = path
        self._log = log = records.log
        self._records = records
        self._connections = [open_reader(path), open_reader(path)]
        # Two threads, so that a long scan holds up no command.
        self._lookups, self._scans = (
            Batcher[_Question, object](f"{kind} {log}", _answering(path, connection), patience=_PATIENCE_SECONDS)
            for kind, connection in zip(("look-ups", "scans"), self._connections, strict=True)
        )

    @staticmethod
    async def open_read_only(path: Path) -> SqliteLog:
        """Read the log in an existing file, also while another process writes it; its claims stay sealed.

        Raises:
            CannotOpen: the file is no log, or of a newer release.
            Unavailable: it is missing or cannot be opened.
        """
        return SqliteLog(path, await asyncio.to_thread(read_log, path))

    async def aclose(self) -> None:
        for batcher in (self._lookups, self._scans):
            await batcher.aclose()
        for connection in self._connections:
            connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def log(self) -> str:
        return self._log

    async def opening(self) -> Record:
        """The fence that the log begins with.

        Raises:
            CorruptData: it begins with something else, or is damaged there.
            Unavailable: the file cannot be read.
        """
        found = await self._ask(self._lookups, lambda db: self._records.scan_with_fences(db, 0, 1))
        if not found or found[0].offset or not found[0].intact:
            raise CorruptData(f"{self._log}: expected a fence at offset 0, found something else: the log is damaged")
        claims_key_of(found[0])
        return found[0]

    async def head(self) -> Position:
        return Position.of(self._log, statements.PARTITION, await self._end())

    async def find_command(self, command_id: str) -> Commit | None:
        if not is_name(command_id):
            return None
        return await self._ask(self._lookups, lambda db: statements.find_command(db, self._log, command_id))

    async def read_command(self, command_id: str) -> Sequence[Record]:
        if not is_name(command_id):
            return []
        return await self._ask(self._lookups, lambda db: self._records.of_command(db, command_id))

    async def read_correlated(self, correlation: str, back: int, most: int) -> Correlated:
        return await self._ask(self._scans, partial(self._records.correlated, correlation, back, most))

    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        if not is_name(stream):
            return []
        last = statements.LAST_VERSION if up_to is None else up_to
        records = await self._ask(self._lookups, lambda db: self._records.of_stream(db, stream, after, last))
        if records and records[-1].version != after + len(records) and all(record.intact for record in records):
            end = after + next(at for at, record in enumerate(records) if record.version != after + at + 1)
            raise StreamWaits(self._log, stream, end, records[end - after].version)
        return records

    async def subscribe(
        self, after: Checkpoint, partitions: frozenset[int] | None = None
    ) -> AsyncGenerator[Batch, None]:
        if partitions is not None and statements.PARTITION not in partitions:
            await asyncio.get_running_loop().create_future()  # nothing is asked for, and nothing will come
        await compare(self, after)
        offset = after.position.offsets.get(Partition(self._log, statements.PARTITION), 0)
        while True:
            await self._grown_past(offset)
            records, offset = await self._scan(offset)
            yield Batch(self._log, statements.PARTITION, records, offset, statements.GENERATION)

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        if statements.PARTITION not in offsets:
            return {}
        offset = offsets[statements.PARTITION]
        record = await self._ask(self._lookups, lambda db: self._records.before(db, offset))
        return {} if record is None else {statements.PARTITION: record}

    async def _scan(self, offset: int) -> tuple[Sequence[Record], int]:
        return await self._ask(self._scans, lambda db: self._records.scan(db, offset, _LARGEST_BATCH))

    async def _end(self) -> int:
        return await self._ask(self._lookups, statements.head)

    async def _grown_past(self, offset: int) -> None:
        """Returns when the log has a record at this offset."""
        while await self._end() <= offset:  # noqa: ASYNC110 -- another process writes, nobody here can set an event
            await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self, batcher: Batcher[_Question, object], question: Callable[[sqlite3.Connection], T]) -> T:
        # A batcher answers a question with what the question returns.
        return cast("T", await batcher.ask(question))


class SqliteEventStore(SqliteLog):
    """The log with its one writer: the port `EventStore`."""

    def __init__(self, opened: OpenLog, clock: Clock, meter: AppendMeter | None = None) -> None:
        super().__init__(opened.path, statements.RecordsOf(opened.log, checksums=True, tags=True))
        self._key = opened.key
        self._writer = opened.writer
        self._commits = GroupCommit(opened, clock)
        self._known_end = self._commits.end
        self._growth = asyncio.Event()
        self._gaps: asyncio.Task[list[str]] | None = None
        self._meter = meter
        self._appends = Batcher[Append, Commit](
            f"the writer of {self.log}",
            _grouping(self._commits, meter),
            patience=_PATIENCE_SECONDS,
            afterwards=self._wake,
        )

    @classmethod
    async def open(cls, path: Path, *, name: str, clock: Clock, meter: AppendMeter | None = None) -> SqliteEventStore:
        """Take over the log `name` in this file, made where it is missing.

        One process at a time may do so; which one is its caller's business.

        Raises:
            CannotOpen: the file is something else, of another format or another log, or its claims key is missing or
                another one.
            Unavailable: it cannot be opened.
        """
        return cls(await asyncio.to_thread(open_log, path, name, clock.now_us()), clock, meter)

    async def aclose(self) -> None:
        """Returns when every append that was asked for is answered."""
        if self._gaps is not None:
            await asyncio.wait([self._gaps])
        await self._appends.aclose()
        await super().aclose()
        await asyncio.to_thread(self._writer.close)  # the last connection moves the write-ahead log into the file

    async def append(  # noqa: PLR0913 -- the port's
        self,
        stream: str,
        events: Sequence[EncodedEvent],
        *,
        expected_version: int | None,
        command_id: str,
        fingerprint: str,
        claims: frozenset[str] | None = None,
        metadata: Metadata = NO_METADATA,
        refusal: Refused | None = None,
        condition: AppendCondition | None = None,
    ) -> Commit:
        asked = Append(stream, events, expected_version, command_id, fingerprint, None, metadata, refusal, condition)
        append = prepared(asked, self._key, claims)
        appending = self._appends.ask(append)
        return await (appending if self._meter is None else metered(self._meter, appending))

    async def writing(self) -> Writing:
        if self._gaps is None:  # nothing that this process writes makes one
            self._gaps = asyncio.create_task(asyncio.to_thread(lambda: list(streams_with_gaps(self._path))))
        await asyncio.wait([self._gaps], timeout=_LOOK_SECONDS)
        if not self._gaps.done():
            return Writing()
        if self._gaps.exception() is not None:
            self._gaps = None
            return Writing()
        return Writing(waiting=[f"{self.log}: {gap}" for gap in self._gaps.result()])

    async def backlog(self) -> int:
        return 0

    async def resume(self, stream: str, reason: str) -> Commit:
        records = await self.read_stream(stream)
        if not records:
            raise NotFound(f"{self.log}: there is no stream {stream[:200]!r}")
        version = records[-1].version
        return await self.append(
            stream,
            [resuming(reason)],
            expected_version=version,
            command_id=f"resume {stream}"[:180] + f" at {version}",
            fingerprint="resume",
        )

    async def find_claim(self, claim: str) -> ClaimHolder | None:
        seal = self._key.seal(claim)
        return await self._ask(self._lookups, lambda db: statements.find_claim(db, seal))

    async def read_tagged(self, query: Query, after: tuple[int, ...] = ()) -> AsyncGenerator[TaggedBatch, None]:
        reading = Reading(self._key, query, after)
        guards = [item.guard for item in reading.items]
        until = await self._ask(self._lookups, lambda db: statements.last_times(db, guards))
        place = statements.START
        while True:
            page = statements.TaggedPage(reading.items, reading.after, until, place, _LARGEST_BATCH)
            records = await self._ask(self._lookups, partial(self._records.tagged, page))
            yield reading.batch(records, until)
            if len(records) < _LARGEST_BATCH:
                return
            place = (records[-1].time_us, records[-1].offset)

    async def _end(self) -> int:
        return self._known_end

    async def _grown_past(self, offset: int) -> None:
        while self._known_end <= offset:
            await self._growth.wait()

    def _wake(self) -> None:
        if self._commits.end > self._known_end:
            self._known_end = self._commits.end
            self._growth.set()
            self._growth = asyncio.Event()


def _grouping(commits: GroupCommit, meter: AppendMeter | None) -> Callable[[Sequence[Append]], Answers[Commit]]:
    if meter is None:
        return commits

    def commit(appends: Sequence[Append]) -> Answers[Commit]:
        meter.grouped(len(appends))
        return commits(appends)

    return commit


def _answering(file: Path, connection: sqlite3.Connection) -> Callable[[Sequence[_Question]], Sequence[object]]:
    def answer(questions: Sequence[_Question]) -> Sequence[object]:
        return [_answer(file, connection, question) for question in questions]

    return answer


def _answer(file: Path, connection: sqlite3.Connection, question: _Question) -> object:
    try:
        with failures_of(file):
            return question(connection)
    except Exception as error:  # noqa: BLE001 -- whatever it is belongs to who asked, not to the others of the batch
        return error
