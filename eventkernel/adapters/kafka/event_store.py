"""The event store on Kafka and MongoDB: the log is a topic, and the ledger decides what comes on it.

Kafka cannot append on a condition. So a command's commit goes into the ledger first, where one insert decides whether
it is the next of its stream, new, and free to take its claims; then onto the log; then it is marked as published:

1. look up the command id,
2. look up the stream's end: it is the expected version,
3. insert; check that the ledger is still the one that was opened,
4. produce,
5. check again; pull the claims that are given up out of the stream's older documents; mark; answer.

Between any two of these the process may die. So nothing is built on, shown or refused because of a commit that is not
known to be on the log: a process that meets one waits a moment for its owner, checks, and does 4 and 5 itself.
That it may come on the log twice does no harm, for the first record of a version counts. What is answered rests on the
log alone; the ledger can be lost at any time, and is then opened again (`opening.py`).

Within a process, commands that touch the same stream, command id or claim wait for one another: they would only be in
each other's way at the server. All others go on side by side, and what they ask of the servers is gathered.

The protocol is explored, in every order of its steps, in tests/property/protocol_model.py. Its decisions are ADR 0011
(what the model has added), 0019 and 0024 (logs that were cut), 0023 (tags), 0025 (filling a ledger) and 0030 (a ledger
is named until the next one is open).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from typing import Any, Final, Self, TypeVar

import msgspec

from eventkernel.adapters.kafka import tagged
from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.opening import Opener
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.sweeper import Sweeper
from eventkernel.adapters.kafka.topic import TopicSettings, make_topic
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.adapters.mongodb.ledger import Ledger
from eventkernel.adapters.mongodb.ledger_documents import Asked, Documents, Found, Span
from eventkernel.adapters.mongodb.ledger_entry import Entry, has_gap
from eventkernel.adapters.mongodb.ledger_generation import LedgerChanged, LogCut
from eventkernel.clock import Clock
from eventkernel.errors import KernelError, NotFound, Unavailable
from eventkernel.events import NO_METADATA, EncodedEvent, Metadata, Position, Record
from eventkernel.keyed_locks import KeyedLocks
from eventkernel.reading.membership import Alone, Membership
from eventkernel.retrying import Backoff, Trouble, Troubles
from eventkernel.writing.appending import Append, StreamEnd, is_name, prepared, resuming, settle
from eventkernel.writing.appending import Ledger as Known
from eventkernel.writing.boundary import AppendCondition, Query, Reading, TaggedBatch
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.metering import AppendMeter, metered
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import Batch, Checkpoint, ClaimHolder, Commit, Correlated, Writing

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 20.0
"""After so long an append or a look-up is `Unavailable`; the servers themselves are given up earlier."""
_OPENING_SECONDS: Final = 5.0
"""How long a command waits for a ledger that is being opened."""
_LOOK_SECONDS: Final = 1.0
"""How often a replica without commands makes sure that its ledger is still there."""
_WAITING_SHOWN: Final = 20
"""So many streams that wait are told of: they are asked for at each look, and may be thousands."""
_MOMENTS: Final = (0.01, 0.02, 0.04, 0.08, 0.1)
"""Seconds between looks at a commit that its owner may still bring to its end."""


class KafkaEventStore:
    """The port `EventStore`. Any number of replicas may have the same log open."""

    def __init__(
        self,
        opener: Opener,
        publisher: Publisher,
        documents: Documents,
        *,
        key: ClaimsKey,
        clock: Clock,
        membership: Membership | None = None,
        meter: AppendMeter | None = None,
    ) -> None:
        self._opener = opener
        self._log = opener.log
        self._publisher = publisher
        self._key = key
        self._clock = clock
        self._membership = membership or Alone()
        self._meter = meter
        self._troubles = Troubles(Backoff(first=0.1, most=2.0))
        self._opening = f"opening the ledger of {self.log}"
        self._waiting: Sequence[str] = ()
        self._locks = KeyedLocks()
        self._owned: dict[str, asyncio.Event] = {}
        """Commits that this process is bringing to the log, by command id."""
        self._appends: set[asyncio.Task[Commit]] = set()
        self._documents: Documents | None = documents
        self._opened, self._lost = asyncio.Event(), asyncio.Event()
        self._opened.set()
        self._keeper = asyncio.create_task(self._keep_open(), name=f"ledger of {self.log}")

    @classmethod
    async def open(  # noqa: PLR0913 -- each names or sets something of its own
        cls,
        connection: KafkaConnection,
        database: Database,
        *,
        name: str,
        key: ClaimsKey,
        clock: Clock,
        topic: str | None = None,
        settings: TopicSettings | None = None,
        membership: Callable[[KafkaLog], Membership] | None = None,
        meter: AppendMeter | None = None,
    ) -> KafkaEventStore:
        """The log `name` on its topic (of the same name, unless told otherwise), both made where they are missing.

        `membership` shares the sweeping among replicas. Where the ledger has to be filled first, this takes as long as
        that takes.

        Raises:
            CannotOpen: the topic has settings that would lose data, or belongs to another log or claims key.
            CorruptData: the log is shorter than it was, or a stream has a gap.
            Unavailable: a server cannot be reached.
        """
        asked, topic = settings or TopicSettings(), topic or name
        await make_topic(connection, topic, asked)
        publisher = Publisher(connection, topic, partitions=asked.partitions, meter=meter)
        opener = Opener(
            connection,
            topic,
            publisher,
            Ledger(database, name),
            name=name,
            partitions=asked.partitions,
            key=key,
            clock=clock,
        )
        try:
            documents = await opener.open()
        except BaseException:
            await publisher.aclose()
            await opener.aclose()
            raise
        shared = membership(opener.log) if membership is not None else None
        return cls(opener, publisher, documents, key=key, clock=clock, membership=shared, meter=meter)

    async def aclose(self) -> None:
        """Returns when every append that was asked for is answered, in bounded time."""
        if self._appends:
            await asyncio.wait(self._appends, timeout=PATIENCE_SECONDS)
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        await self._publisher.aclose()
        await self._opener.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def log(self) -> str:
        return self._log.log

    @property
    def reader(self) -> KafkaLog:
        """The log alone, for those who only follow it."""
        return self._log

    def troubles(self) -> Sequence[Trouble]:
        """What is failing at this moment, and being tried again."""
        return self._troubles.current()

    async def head(self) -> Position:
        return await self._log.head()

    def subscribe(self, after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]:
        return self._log.subscribe(after, partitions)

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        return await self._log.records_before(offsets)

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
        # A commit that has begun goes on to its end, also where nobody waits for it any more.
        task = asyncio.create_task(self._bounded("an append", self._append(append)), name="append")
        self._appends.add(task)
        task.add_done_callback(self._answered)
        appending = asyncio.shield(task)
        return await (appending if self._meter is None else metered(self._meter, appending))

    async def writing(self) -> Writing:
        if self._documents is None:
            trouble = next((one.error for one in self._troubles.current() if one.doing == self._opening), "")
            return Writing(f"its ledger is being opened{trouble and ': '}{trouble}")
        return Writing(waiting=self._waiting)

    async def backlog(self) -> int:
        if self._documents is None:
            raise Unavailable(f"{self.log}: the ledger is being opened")
        async with self._ledger() as documents:
            return await self._bounded("a look-up", documents.backlog())

    async def resume(self, stream: str, reason: str) -> Commit:
        while True:
            async with self._ledger() as documents:
                end = await documents.end_of(stream)
                waiting = await documents.waiting_at(stream, 0 if end is None else end.version)
                if end is None and waiting is None:
                    raise NotFound(f"{self.log}: there is no stream {stream[:200]!r}")
                if end is not None and end.pending:
                    await self._help(documents, end.command_id)
                    continue
                version = 0 if end is None else end.version
                resumed = Append(
                    stream,
                    [resuming(reason)],
                    version,
                    f"resume {secrets.token_hex(16)}" if waiting is None else waiting.command_id,
                    "resume",
                    None,
                    NO_METADATA,
                )
                known = self._nothing_known(documents, stream)
                if end is not None:
                    known.ends[stream] = StreamEnd(end.version, end.time_us)
                commit, records = settle(resumed, known, self._clock.now_us())
                entry = await self._insert(documents, records, going_on=waiting is not None)
                if entry is not None:
                    return self._commit(commit, records, await self._publish(documents, entry, records))

    async def find_command(self, command_id: str) -> Commit | None:
        if not is_name(command_id):
            return None
        return await self._bounded("a look-up", self._find_command(command_id))

    async def read_command(self, command_id: str) -> Sequence[Record]:
        if not is_name(command_id):
            return []
        return await self._bounded("a look-up", self._read_command(command_id))

    async def read_correlated(self, correlation: str, back: int, most: int) -> Correlated:
        return await self._bounded("a look-up", self._log.read_correlated(correlation, back, most))

    async def find_claim(self, claim: str) -> ClaimHolder | None:
        if not is_name(claim):
            return None
        return await self._bounded("a look-up", self._find_claim(self._key.seal(claim)))

    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        if not is_name(stream):
            return []
        return await self._bounded("a look-up", self._read_stream(Span(stream, after, up_to)))

    async def read_tagged(self, query: Query, after: tuple[int, ...] = ()) -> AsyncGenerator[TaggedBatch, None]:
        reading = Reading(self._key, query, after)
        async with self._ledger() as documents, aclosing(tagged.read(documents, reading, self._help)) as batches:
            while (batch := await self._bounded("a look-up", anext(batches, None))) is not None:
                yield batch

    async def _append(self, append: Append) -> Commit:
        names = [f"stream {append.stream}", f"command {append.command_id}"]
        claims = None if append.claims is None else frozenset(append.claims)
        tags = [f"tag {tag}" for tag in append.tags]
        async with self._locks.hold([*names, *(f"claim {seal}" for seal in claims or ())]):
            while True:
                async with self._ledger() as documents:
                    expected = await self._expected_version(documents, append)
                    found = await documents.look_up(Asked(append.command_id, append.stream, expected, claims))
                    if found.pending is not None:
                        await self._help(documents, found.pending.command_id)
                        continue
                    # Turns are taken one after the other; on their way to the log commits need not wait.
                    async with self._locks.hold(tags) if tags else nullcontext():
                        known = await self._known(append, documents, found)
                        ends = dict(known.tag_times)
                        commit, records = await self._settled(append, documents, known)
                        if not records:
                            return commit
                        entry = await self._insert(documents, records, ends or None)
                    if entry is not None:
                        return self._commit(commit, records, await self._publish(documents, entry, records))

    async def _expected_version(self, documents: Documents, append: Append) -> int:
        """The version that the append is for; where any will do, the one that the stream has."""
        if append.expected_version is not None:
            return append.expected_version
        end = await documents.end_of(append.stream)
        return 0 if end is None else end.version

    async def _known(self, append: Append, documents: Documents, found: Found) -> Known:
        """Steps 1 and 2: what the ledger knows of an append; with tags, their turns and its condition, too."""
        known = self._nothing_known(documents, append.stream)
        if found.repeated is not None:
            known.commits[append.command_id] = self._in_effect(found.repeated).commit(self.log)
        end = None if found.end is None else self._in_effect(found.end)
        if end is None and append.expected_version:
            end = await documents.end_of(append.stream)
            if end is not None and end.version > append.expected_version:
                raise LedgerChanged(f"{self.log}: the ledger lacks a part of {append.stream}")
        if end is not None:
            known.ends[append.stream] = StreamEnd(end.version, end.time_us)
        for entry in found.holding:
            known.held.setdefault(append.stream, set()).update(entry.claims)
            known.holders.update(dict.fromkeys(entry.claims, ClaimHolder(entry.stream, entry.version)))
        for seal, entry in found.holders.items():
            known.holders[seal] = ClaimHolder(entry.stream, entry.version)
        if append.tags and found.repeated is None:
            # First the turn, then the condition: what comes in between takes the turn away.
            known.tag_times.update(await documents.last_times(append.tags))
            if append.condition is not None:
                for guard, event in await tagged.excluded(documents, append.condition, self._help):
                    known.tagged.setdefault(guard, []).append(event)
                for events in known.tagged.values():
                    events.sort()
        return known

    async def _settled(self, append: Append, documents: Documents, known: Known) -> tuple[Commit, Sequence[Record]]:
        """What the append leads to. A refusal or a repeated answer is given when the ledger is known to be the one."""
        try:
            commit, records = settle(append, known, self._clock.now_us())
        except KernelError:
            await documents.check()
            raise
        if not records:
            await documents.check()
        return commit, records

    def _nothing_known(self, documents: Documents, stream: str) -> Known:
        """Nothing yet of what the ledger says of a stream."""
        partition = self._log.partition_of(stream)
        return Known(self.log, next_offset=0, partition=partition, generation=documents.generation.number)

    async def _insert(
        self,
        documents: Documents,
        records: Sequence[Record],
        ends: Mapping[str, int] | None = None,
        *,
        going_on: bool = False,
    ) -> Entry | None:
        """Step 3: a new commit in the ledger, from now on this process's to bring to the log; None where somebody else
        was faster. `ends`: of its tags. `going_on`: it lets a stream go on that waits."""
        self._publisher.check(records)
        partition, claims = self._log.partition_of(records[0].stream), records[0].claims_taken
        entry = Entry.of(records, partition, claims, ends=ends)
        self._owned[entry.command_id] = asyncio.Event()
        inserted = False
        try:
            inserted = await (documents.let_go_on(entry) if going_on else documents.insert(entry))
        finally:
            if not inserted:
                self._disown(entry)
        return entry if inserted else None

    async def _publish(self, documents: Documents, entry: Entry, records: Sequence[Record]) -> int:
        """Steps 4 and 5 of a commit of this process, behind the check of step 3; its offset."""
        try:
            await documents.check()
            offset = await self._publisher.publish(entry.partition, records)
            return await self._finish(documents, entry, offset)
        finally:
            self._disown(entry)

    def _disown(self, entry: Entry) -> None:
        self._owned.pop(entry.command_id).set()

    async def _finish(self, documents: Documents, entry: Entry, offset: int | None = None) -> int:
        """Steps 4 and 5 of a commit that is in the ledger, and on the log perhaps (then its offset is known)."""
        if offset is None:
            offset = await self._publisher.publish(entry.partition, entry.records())
        await documents.check()
        await documents.complete((entry, offset))
        return offset

    async def _help(self, documents: Documents, command_id: str) -> None:
        """Returns when this commit is on the log and marked, or gone: its owner does steps 4 and 5, or this."""
        async with self._locks.hold([f"help {command_id}"]):
            owned = self._owned.get(command_id)
            if owned is not None:
                await owned.wait()
            entry = await documents.find_command(command_id)
            for moment in _MOMENTS:
                if entry is None or not entry.pending:
                    return
                await asyncio.sleep(moment)
                entry = await documents.find_command(command_id)
            if entry is not None and entry.pending:
                # The collection may have been dropped, and have come back without its index before this was inserted.
                await documents.check()
                await self._finish(documents, entry)

    def _in_effect(self, entry: Entry) -> Entry:
        """
        Raises:
            StreamWaits: it is not; it stands on the log behind a gap.
        """
        if entry.stops_at is not None:
            raise entry.waits(self.log)
        return entry

    def _commit(self, commit: Commit, records: Sequence[Record], offset: int) -> Commit:
        """The commit with the place where it stands."""
        placed = [msgspec.structs.replace(record, offset=offset + at) for at, record in enumerate(records)]
        position = Position.of(self.log, records[0].partition, offset + len(records))
        return Commit(
            commit.stream,
            commit.version,
            commit.events,
            commit.command_id,
            commit.fingerprint,
            position,
            commit.refusal,
            placed,
        )

    async def _find_command(self, command_id: str) -> Commit | None:
        while True:
            async with self._ledger() as documents:
                entry = await documents.find_command(command_id)
                if entry is None or not entry.pending:
                    await documents.check()
                    return None if entry is None else self._in_effect(entry).commit(self.log)
                await self._help(documents, command_id)

    async def _read_command(self, command_id: str) -> Sequence[Record]:
        if await self._find_command(command_id) is None:
            return []
        async with self._ledger() as documents:
            return [record for entry in await documents.whole([command_id]) for record in entry.records()]

    async def _find_claim(self, seal: str) -> ClaimHolder | None:
        while True:
            async with self._ledger() as documents:
                found = await documents.find_claim(seal)
                if found is None or not found[1].pending:
                    await documents.check()
                    return None if found is None else found[0]
                await self._help(documents, found[1].command_id)

    async def _read_stream(self, span: Span) -> Sequence[Record]:
        while True:
            async with self._ledger() as documents:
                entries = await documents.read(span)
                pending = next((entry for entry in entries if entry.pending), None)
                if pending is not None:
                    await self._help(documents, pending.command_id)
                    continue
                await documents.check()
                for entry in entries:
                    self._in_effect(entry)
                if has_gap(entries, span.after):
                    raise LedgerChanged(f"{self.log}: the ledger lacks a part of {span.stream}")
                return [record for entry in entries for record in entry.records() if span.has(record.version)]

    # The ledger that is open, and its keeping

    @asynccontextmanager
    async def _ledger(self) -> AsyncGenerator[Documents]:
        """The ledger; one that is being opened is waited for. When it turns out to be another one, it is opened again,
        and who asked does not know how far his command has come."""
        if self._documents is None:
            try:
                async with asyncio.timeout(_OPENING_SECONDS):
                    await self._opened.wait()
            except TimeoutError:
                raise Unavailable(f"{self.log}: the ledger is being opened") from None
        documents = self._documents
        if documents is None:
            raise Unavailable(f"{self.log}: the ledger is being opened")
        try:
            yield documents
        except LedgerChanged as error:
            await self._close(documents, error)
            raise

    async def _close(self, documents: Documents, why: KernelError) -> None:
        """The ledger is to be opened again; for every process if the log was cut."""
        if isinstance(why, LogCut):
            with suppress(KernelError):  # then the commit stays unfinished, and whoever finishes it meets the same
                await documents.contest({why.partition: why.offset})
        if self._documents is documents:
            self._documents = None
            self._opened.clear()
            self._lost.set()

    async def _keep_open(self) -> None:
        while True:
            if self._documents is None:
                self._documents = await self._troubles.until_done(self._opening, self._opener.open, on=KernelError)
                self._lost.clear()
                self._opened.set()
            documents = self._documents
            tasks = [
                asyncio.create_task(self._sweep(documents), name=f"sweeper of {self.log}"),
                asyncio.create_task(self._watch(documents), name=f"watching the ledger of {self.log}"),
            ]
            try:
                await self._lost.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def _sweep(self, documents: Documents) -> None:
        sweeper = Sweeper(self._log, documents, self._membership, self._finish, self._troubles)
        try:
            await sweeper.run()
        except KernelError as error:
            _log.warning("%s: the ledger is opened again: %s", self.log, error)
            await self._close(documents, error)

    async def _watch(self, documents: Documents) -> None:
        """Notices that the ledger is another one, also where no command comes, and which streams wait."""
        while True:
            try:
                self._waiting = [str(entry.waits(self.log)) for entry in await documents.waiting(_WAITING_SHOWN)]
                await asyncio.sleep(_LOOK_SECONDS)
                await documents.check()
            except LedgerChanged as error:
                await self._close(documents, error)
                return
            except KernelError:
                await asyncio.sleep(_LOOK_SECONDS)  # commands meet it too, and say so

    async def _bounded(self, what: str, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await work
        except TimeoutError:
            raise Unavailable(f"{self.log}: {what} took more than {PATIENCE_SECONDS:g} seconds") from None

    def _answered(self, task: asyncio.Task[Commit]) -> None:
        self._appends.discard(task)
        if not task.cancelled():
            task.exception()  # who asked may have gone: then nobody needs to know of it
