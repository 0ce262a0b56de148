"""Opening the ledger of a log: making it say what the log says, before anybody relies on it.

The log is the truth; a ledger that is empty, lacks a record, or was restored from a back-up is filled from it. Replicas
may be running meanwhile that work with the ledger as it was, and commits of theirs may be on their way to the log. So
the opener

1. makes the next *generation* known: who still works with another one notices at its next check;
2. puts a *fence* of that generation on every partition: behind it, every reader ignores records of older ones;
3. folds the log up to its fences into a new collection of documents: first who holds which claim at the end (partitions
   have no common order), then the commits, each with the claims that are held through it;
4. makes known that the generation is open.

A log can be shorter than its ledger: a broker that had not written its last records to the disk lost its power, or an
older copy of the topic was brought back. What was acknowledged is in the ledger still. So whoever opens compares the
two; where the log has lost commits, they are put there again between 2 and 3 (`restoring.py`), and the generation after
that is filled. Until then the generation names the collection that they are in.

A generation has one opener. The generation is changed only from what was seen before, but where the ledger is wiped in
between, two openers can come to the same number. Each finds the other's fence before its own in some partition, or is
alone; who finds one takes a higher number. An opener that is not heard of for a while is replaced.

A log is made in the same way: it is the opening of generation 1, whose fences are its first records.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
from pymongo.errors import DuplicateKeyError

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog, first_fences
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.restoring import is_trusted, lost_commits, to_publish
from eventkernel.adapters.mongodb.ledger import Documents, Entry, Generation, Ledger, LedgerChanged
from eventkernel.clock import Clock
from eventkernel.errors import CannotOpen, CheckpointMismatch, Unavailable
from eventkernel.events import FENCE, STREAM_RESUMED, Partition, Position, Record, log_name
from eventkernel.reading.landmarks import compare
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.fences import claims_key_of, fence

_log: Final = logging.getLogger(__name__)

_SILENCE_SECONDS: Final = 5.0
"""An opener that gives no sign of life for so long is replaced."""
_LOOK_SECONDS: Final = 0.2
_MOST_ENTRIES: Final = 500


class Opener:
    """Opens one log's ledger, again and again where that is needed."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        publisher: Publisher,
        ledger: Ledger,
        *,
        name: str,
        partitions: int,
        key: ClaimsKey,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._publisher = publisher
        self._ledger = ledger
        self._name = name
        self._partitions = partitions
        self._key = key
        self._clock = clock
        self._opened_log: KafkaLog | None = None

    @property
    def log(self) -> KafkaLog:
        """The log; there is none before the ledger was opened once."""
        if self._opened_log is None:
            raise Unavailable(f"topic {self._topic}: the log is being opened")
        return self._opened_log

    async def aclose(self) -> None:
        if self._opened_log is not None:
            await self._opened_log.aclose()

    async def open(self) -> Documents:
        """The ledger, open and with everything that the log has at this moment. Takes as long as it takes.

        Raises:
            CannotOpen: the topic or the ledger belongs to another log, or to another claims key.
            Unavailable: a server cannot be reached; to be tried again.
        """
        while True:
            seen = await self._ledger.generation()
            await self._check(seen)
            if seen is not None and seen.copying:
                raise CannotOpen(
                    f"topic {self._topic}: a log is being copied to it, or the copy was broken off: then delete the "
                    "topic and the database, and copy again"
                )
            if seen is not None and seen.open:
                documents = self._ledger.documents(seen)
                if await self._has_everything(documents) and not await self._lost(documents):
                    return documents
            elif seen is not None and not await self._is_left_alone(seen):
                continue
            opened = await self.open_after(seen)
            if opened is not None:
                return opened

    async def open_after(self, seen: Generation | None) -> Documents | None:
        """Open the generation after the one that was seen; None where somebody else was faster."""
        number = 1 + (await self._last_on_the_log() if seen is None else seen.number)
        while True:
            restoring = "" if seen is None else seen.collection if seen.open else seen.restoring
            opening = Generation.next(await self._log_id(seen), number, restoring=restoring)
            if not await self._ledger.replace(seen, opening):
                return None
            async with self._showing_life(opening):
                fences = await self.put_fences(opening)
                if await self._restored(opening):
                    seen, number = replace(opening, restoring=""), number + 1
                    if not await self._ledger.replace(opening, seen):
                        return None
                    continue
                fold = await self._folded(fences, opening.number)
                if fold.last_fence < opening.number:
                    return await self._fill(opening, fences, fold)
            seen, number = opening, fold.last_fence + 1

    async def put_fences(self, generation: Generation) -> Sequence[int]:
        """Their offsets, by partition."""
        key, now = self._key.fingerprint, self._clock.now_us()
        offsets = await asyncio.gather(
            *(
                self._publisher.publish(number, [fence(generation.log, number, generation.number, key, now)])
                for number in range(self._partitions)
            )
        )
        if self._opened_log is None:
            self._opened_log = await KafkaLog.open(self._connection, self._topic)
        return offsets

    async def _check(self, seen: Generation | None) -> None:
        """That topic, ledger and key belong together; before anything is written."""
        if self._opened_log is None:
            fences = await first_fences(self._connection, self._topic, self._partitions)
            for found in fences.values():
                if log_name(found.log) != self._name:
                    raise CannotOpen(f"topic {self._topic}: expected the log {self._name!r}, found {found.log!r}")
                if claims_key_of(found) != self._key.fingerprint:
                    raise CannotOpen(f"topic {self._topic}: the claims key is not that of the log {found.log}")
            if len(fences) == self._partitions:
                self._opened_log = await KafkaLog.open(self._connection, self._topic)
        if seen is None:
            return
        if self._opened_log is None and seen.open:
            raise CannotOpen(f"topic {self._topic}: expected the log {seen.log}, whose ledger is here, found none")
        if self._opened_log is not None and self._opened_log.log != seen.log:
            raise CannotOpen(
                f"topic {self._topic}: it has the log {self._opened_log.log}, and the ledger is that of {seen.log}"
            )

    async def _log_id(self, seen: Generation | None) -> str:
        if self._opened_log is not None:
            return self._opened_log.log
        # The process that began to make this log has drawn its id.
        for found in (await first_fences(self._connection, self._topic, self._partitions)).values():
            return found.log
        return seen.log if seen is not None else f"{self._name}.{secrets.token_hex(4)}"

    async def _last_on_the_log(self) -> int:
        if self._opened_log is None:
            fences = await first_fences(self._connection, self._topic, self._partitions)
            return max((found.generation for found in fences.values()), default=0)
        return max(found.generation for found in await self._opened_log.fences())

    async def _is_left_alone(self, seen: Generation) -> bool:
        """Whether nobody is opening the ledger (True), or it has another generation now (False)."""
        clock = asyncio.get_running_loop().time
        life, heard = await self._ledger.signs_of_life(), clock()
        while await self._ledger.generation() == seen:
            now = await self._ledger.signs_of_life()
            if now != life:
                life, heard = now, clock()
            elif clock() - heard > _SILENCE_SECONDS:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    @asynccontextmanager
    async def _showing_life(self, generation: Generation) -> AsyncGenerator[None]:
        async def show() -> None:
            while True:
                await asyncio.sleep(_SILENCE_SECONDS / 5)
                try:
                    await self._ledger.give_sign_of_life(generation)
                except Unavailable as error:
                    _log.warning("%s: no sign of life could be given: %s", generation.log, error)

        task = asyncio.create_task(show(), name=f"opening {generation.log}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _has_everything(self, documents: Documents) -> bool:
        """Whether the ledger has its indexes, and every record that is on the log now."""
        try:
            checkpoint = await documents.checkpoint()
        except LedgerChanged:
            return False
        for flaw in await documents.flaws():
            _log.error("%s: %s; the ledger is filled again", self.log.log, flaw)
            return False
        try:
            await compare(self.log, checkpoint)
        except CheckpointMismatch as mismatch:
            _log.error("%s; what the ledger has and the log has lost is put there again", mismatch)
            await documents.contest({partition.number: end for partition, end in (await self.log.head()).items()})
            return False
        for partition, end in (await self.log.head()).items():
            start = checkpoint.position.get(partition, 0)
            async with aclosing(self.log.read(partition.number, start, end)) as pieces:
                async for records in pieces:
                    if await lacking(documents, records):
                        return False
        return True

    async def _lost(self, documents: Documents) -> bool:
        try:
            await documents.make()
        except DuplicateKeyError:  # two commits have one place: the log was cut, and has grown since
            _log.error("%s: the ledger has two commits at one place of the log", self.log.log)
            await documents.contest(dict.fromkeys(range(self._partitions), 0))
        return bool(await documents.contested()) or len(await lost_commits(self.log, documents)) > 0

    async def _restored(self, opening: Generation) -> bool:
        """Whether something was to be done: what the log has lost is on it again, in this generation. Nobody works with
        the ledger that has it any more, for its generation is over."""
        if not opening.restoring:
            return False
        documents = self._ledger.documents(replace(opening, collection=opening.restoring))
        if not await is_trusted(documents):
            return False
        lost = await lost_commits(self.log, documents)
        if lost or await documents.contested():
            # One that its owner has put on the log, and not marked, may be lost as well.
            lost = [*lost, *await documents.unfinished()]
        if not lost:
            return False
        _log.error("%s: the log has lost %d commits, which are put there again", opening.log, len(lost))
        for entry in await to_publish(documents, lost):
            records = [msgspec.structs.replace(record, generation=opening.number) for record in entry.records()]
            await self._publisher.publish(entry.partition, records)
        return True

    async def _folded(self, fences: Sequence[int], generation: int) -> _Fold:
        fold = _Fold()
        for number, end in enumerate(fences):
            async with aclosing(commits_in_effect(self.log, number, end, fold)) as pieces:
                async for commits in pieces:
                    for commit in commits:
                        fold.add(commit[0])
            if fold.last_fence >= generation:
                break
        return fold

    async def _fill(self, opening: Generation, fences: Sequence[int], fold: _Fold) -> Documents | None:
        documents = self._ledger.documents(opening)
        await documents.make()
        held = fold.holders(opening.log)
        await asyncio.gather(*(self._fill_from(number, end, documents, held) for number, end in enumerate(fences)))
        for commits in fold.behind_gaps.values():
            waits = (await documents.stop(_entry(commits[0], {}))).waits(opening.log)
            _log.error("%s; %s", waits, "nothing comes onto it until it is told to go on")
        log = opening.log
        await documents.mark(Position({Partition(log, number): end + 1 for number, end in enumerate(fences)}))
        opened = replace(opening, open=True, restoring="")
        if not await self._ledger.replace(opening, opened):
            return None
        _log.info("%s: the ledger is open, generation %d", log, opening.number)
        await self._ledger.drop_older(opened)
        return self._ledger.documents(opened)

    async def _fill_from(
        self, number: int, end: int, documents: Documents, held: Mapping[tuple[str, str], int]
    ) -> None:
        async with aclosing(commits_in_effect(self.log, number, end, _Fold())) as pieces:
            async for commits in pieces:
                for start in range(0, len(commits), _MOST_ENTRIES):
                    entries = [_entry(commit, held) for commit in commits[start : start + _MOST_ENTRIES]]
                    for refused in await documents.fill(entries):
                        if refused.first_version:
                            _log.error("%s: two commits have the id of the command of %s, version %d",
                                       self.log.log, refused.stream, refused.first_version)  # fmt: skip


@dataclass(slots=True)
class _Fold:
    """What is gathered from a log before its commits are kept."""

    held: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(claim, stream): the version that took it."""
    last_fence: int = 0
    behind_gaps: dict[str, list[Sequence[Record]]] = field(default_factory=dict[str, list[Sequence[Record]]])
    """Commits that do not count, because something is missing before them, by stream: the stream waits."""

    def add(self, first: Record) -> None:
        """The first record of the next commit of its stream."""
        for seal in first.claims_given_up:
            self.held.pop((seal, first.stream), None)
        for seal in first.claims_taken:
            self.held[seal, first.stream] = first.first_version

    def holders(self, log: str) -> Mapping[tuple[str, str], int]:
        """(claim, stream): the version that took it; a claim has one holder."""
        holders: dict[str, str] = {}
        for seal, stream in self.held:
            if holders.setdefault(seal, stream) != stream:
                _log.error("%s: two streams hold one claim, %s and %s", log, holders[seal], stream)
        return {(seal, stream): version for (seal, stream), version in self.held.items() if holders[seal] == stream}


async def commits_in_effect(
    log: KafkaLog, partition: int, end: int, fold: _Fold
) -> AsyncGenerator[Sequence[Sequence[Record]], None]:
    """The commits of a partition up to an offset that count, in order, in pieces: none of an older generation behind a
    fence, and of each stream those that follow one another from version 1 on. A commit without events may come twice.
    """
    generation, ends, begun = 0, dict[str, int](), list[Record]()
    async with aclosing(log.read(partition, 0, end)) as pieces:
        async for records in pieces:
            commits: list[Sequence[Record]] = []
            for record in records:
                if record.type == FENCE:
                    generation = max(generation, record.generation)
                    fold.last_fence = max(fold.last_fence, generation)
                elif record.generation >= generation:
                    if begun and begun[0].command_id != record.command_id:
                        begun = []
                    begun.append(record)
                    if len(begun) == record.commit_size:
                        if _counts(begun, ends, fold):
                            commits.append(begun)
                        begun = []
            yield commits


def _counts(commit: Sequence[Record], ends: dict[str, int], fold: _Fold) -> bool:
    first = commit[0]
    if not first.version:
        return True
    stream, end = first.stream, ends.get(first.stream, 0)
    if first.version > end + 1:
        fold.behind_gaps.setdefault(stream, []).append(commit)
        return False
    if first.version <= end:
        return False
    ends[stream] = end = commit[-1].version
    if stream in fold.behind_gaps:
        missing = [other for other in fold.behind_gaps[stream] if other[-1].version > end]
        fold.behind_gaps[stream] = [] if first.type == STREAM_RESUMED else missing
        if not fold.behind_gaps[stream]:
            del fold.behind_gaps[stream]
    return True


def _entry(commit: Sequence[Record], held: Mapping[tuple[str, str], int]) -> Entry:
    first = commit[0]
    claims = [seal for seal in first.claims_taken if held.get((seal, first.stream)) == first.first_version]
    return Entry.of(commit, first.partition, claims, first.offset)


async def lacking(documents: Documents, records: Sequence[Record]) -> bool:
    """Whether the ledger lacks one of these records, or they tell of a newer generation than it has."""
    number = documents.generation.number
    if any(record.generation > number for record in records):
        return True
    commands = {record.command_id for record in records if record.type != FENCE and record.generation == number}
    return len(await documents.known(list(commands))) < len(commands)
