"""The sweeper of a log: compares the log with its ledger, and brings to an end what somebody left unfinished.

It follows the log from the ledger's checkpoint. A record that the ledger lacks tells that the ledger is not what it
was. A commit that is on the log, and that its owner has not marked after a moment, is marked. Beside that, commits are
looked for that are in the ledger and not on the log: one that is met a second time is put there.

Several replicas share the partitions; a partition that is swept by two for a while comes to no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.restoring import compare_with_log
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.adapters.mongodb.ledger_generation import LedgerChanged
from eventkernel.errors import Unavailable
from eventkernel.events import Partition, Record
from eventkernel.reading.folding import checkpoint_after
from eventkernel.reading.membership import Membership
from eventkernel.retrying import Troubles
from eventkernel.writing.store import Batch

_log: Final = logging.getLogger(__name__)

_MOMENT_SECONDS: Final = 1.0
"""How long a commit that is on the log may be unmarked before somebody else marks it."""
_LEFT_SECONDS: Final = 2.0
"""How often commits are looked for that are not on the log."""

_ENDS_SECONDS: Final = 2.0
"""How often it is made sure that the log has not become shorter than its ledger."""

_INDEXES_SECONDS: Final = 1.0
"""How often it is made sure that the ledger has its indexes."""

_COMPARED_SECONDS: Final = 10.0
"""How often the commits that have come are compared with the log."""

Finish = Callable[[Documents, Entry, int | None], Awaitable[object]]
"""Brings a commit to its end; it is on the log at this offset, or, with None, perhaps not yet."""


class Sweeper:
    """Sweeps one generation of a ledger."""

    def __init__(
        self, log: KafkaLog, documents: Documents, membership: Membership, finish: Finish, troubles: Troubles
    ) -> None:
        self._log = log
        self._documents = documents
        self._membership = membership
        self._finish = finish
        self._troubles = troubles

    async def run(self) -> None:
        """
        Raises:
            LedgerChanged: the ledger is to be opened again.
            CheckpointMismatch: the log is not the one that the ledger says: it was cut, or has other records.
        """
        log = self._log.log
        tasks = [
            asyncio.create_task(self._keep_at(f"comparing {log} with its ledger", self._follow_shares)),
            asyncio.create_task(self._keep_at(f"looking for unpublished commits of {log}", self._publish_left)),
            asyncio.create_task(self._keep_at(f"comparing the end of {log} with its ledger", self._watch_ends)),
            asyncio.create_task(self._keep_at(f"looking at the indexes of the ledger of {log}", self._watch_indexes)),
            asyncio.create_task(self._keep_at(f"looking whether {log} was cut", self._watch_commits)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _keep_at(self, doing: str, work: Callable[[], Awaitable[None]]) -> None:
        await self._troubles.until_done(doing, work, on=Unavailable, but=LedgerChanged)

    async def _follow_shares(self) -> None:
        """Compare the partitions that are assigned to this process, whichever they are at a time."""
        while True:
            assignment = self._membership.assignment()
            changed = asyncio.ensure_future(self._membership.changed(assignment))
            following = asyncio.ensure_future(self._follow(assignment.of(self._log.log)))
            try:
                await asyncio.wait([changed, following], return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            finally:
                changed.cancel()
                following.cancel()
                await asyncio.wait([changed, following])

    async def _follow(self, partitions: frozenset[int] | None) -> None:
        checkpoint = await self._documents.checkpoint()
        generation = self._documents.generation.number
        generations = tuple((self._log.log, number, generation) for number in range(self._log.partitions))
        after = replace(checkpoint, generations=generations)
        async with aclosing(self._log.subscribe(after, partitions)) as batches:
            async for batch in batches:
                if batch.generation > generation:
                    raise LedgerChanged(f"{self._log.log}: the log has a newer generation than the ledger")
                await self._compare(batch)
                await self._documents.advance(checkpoint_after([batch]))

    async def _compare(self, batch: Batch) -> None:
        firsts: dict[str, Record] = {}
        for record in batch.records:
            firsts.setdefault(record.command_id, record)
        known = await self._documents.known(list(firsts))
        offsets = {command: _beginning(entry, firsts[command]) for command, entry in known.items()}
        elsewhere = [
            (entry, offsets[command])
            for command, entry in known.items()
            if entry.offset is not None and entry.offset != offsets[command]
        ]
        if elsewhere:  # published twice; the second place may be one that the log had before for another
            await self._documents.look_at_places(elsewhere)
        unknown = [record for record in batch.records if record.command_id not in known]
        if unknown:
            await self._documents.check()
            await self._look_into(unknown)
        unfinished = [command for command, entry in known.items() if entry.pending]
        if unfinished:
            await asyncio.sleep(_MOMENT_SECONDS)
            for entry in (await self._documents.known(unfinished)).values():
                if entry.pending:
                    await self._finish(self._documents, entry, offsets[entry.command_id])

    async def _look_into(self, unknown: Sequence[Record]) -> None:
        """A record of a version that is on the log already does not count, and the log cannot be mended: that is an
        alarm. One that does not follow what is on the log stops its stream. Any other the ledger should have."""
        taken = await self._documents.taken([(record.stream, record.version) for record in unknown if record.version])
        behind_gaps: dict[str, Record] = {}
        for record in unknown:
            place = f"{record.log}, partition {record.partition}, offset {record.offset}"
            if (record.stream, record.version) in taken:
                _log.error("%s: another record of version %d of %s came before", place, record.version, record.stream)
            elif await self._is_behind_a_gap(record):
                behind_gaps.setdefault(record.stream, record)
            else:
                raise LedgerChanged(f"{self._log.log}: the ledger lacks a record of the log")
        for record in behind_gaps.values():
            stopped = await self._documents.stop(Entry.of([record], record.partition, (), record.offset))
            _log.error("%s; nothing comes onto it until it is told to go on", stopped.waits(record.log))

    async def _is_behind_a_gap(self, record: Record) -> bool:
        """Whether the log lacks something before it. What stands on the log is in the ledger before that, if it is one
        of ours."""
        if not record.version:
            return False
        end = await self._documents.end_of(record.stream)
        return record.first_version > (0 if end is None else end.version) + 1

    async def _watch_indexes(self) -> None:
        """Without its unique index the ledger decides nothing: it is opened again, and filled anew."""
        while True:
            await asyncio.sleep(_INDEXES_SECONDS)
            for flaw in await self._documents.flaws():
                raise LedgerChanged(f"{self._log.log}: {flaw}")

    async def _watch_commits(self) -> None:
        """A log that was cut, and has grown past its old end before anybody saw it shorter, has other records. If these
        are commits, their marks fail; if they are of nobody who comes to mark them, nobody else would notice."""
        while True:
            await asyncio.sleep(_COMPARED_SECONDS)
            if not self._membership.assignment().leads:
                continue
            compared = await compare_with_log(self._log, self._documents)
            if compared.cut:
                await self._documents.check()  # of an older generation they need not stand any more
                await self._documents.contest(compared.cut)
                raise LedgerChanged(f"{self._log.log}: the log was cut at {dict(compared.cut)}")
            if compared.last:
                await self._documents.has_compared(compared.last)

    async def _watch_ends(self) -> None:
        """What the log has lost may be behind where this process has read, and nothing new may come there: nobody else
        would notice."""
        while True:
            await asyncio.sleep(_ENDS_SECONDS)
            if not self._membership.assignment().leads:
                continue
            numbers = range(self._log.partitions)
            placed = await asyncio.gather(*(self._documents.last_placed(number, most=1) for number in numbers))
            head = await self._log.head()  # asked afterwards: unless it was cut, the log is no shorter
            for last in (entry for entries in placed for entry in entries):
                end = head.offsets[Partition(self._log.log, last.partition)]
                if last.offset is not None and last.offset >= end:
                    raise LedgerChanged(f"{self._log.log}/{last.partition}: the log ends at {end}, and lacks a commit")

    async def _publish_left(self) -> None:
        seen = frozenset[str]()
        while True:
            await asyncio.sleep(_LEFT_SECONDS)
            if not self._membership.assignment().leads:
                continue
            pending = await self._documents.pending()
            for entry in pending:
                if entry.command_id in seen:
                    await self._documents.check()
                    await self._finish(self._documents, entry, None)
            seen = frozenset(entry.command_id for entry in pending)


def _beginning(entry: Entry, record: Record) -> int:
    """Where a commit begins of which this record came first: another delivery may have had those before it. A foreign
    record is one by itself, whatever it says of its commit."""
    before = 0 if entry.size == 1 else max(0, record.version - record.first_version)
    return record.offset - before
