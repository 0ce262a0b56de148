"""Keeps one build of a view filled from its logs: load, fold, save, batch after batch.

What may pass (a full disk, a lost connection, a log that does not answer) is tried again until it works, and the status
says so meanwhile. What a record is to blame for parks the record's stream, and everything else goes on. Nothing else
comes out of `run` than `BuildRetired`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, NoReturn, TypeVar

from eventkernel.clock import Clock
from eventkernel.errors import KernelError, NotFound, Unavailable
from eventkernel.events import Position
from eventkernel.folding import (
    ParkedStreams,
    fold,
    fold_parked,
    park_instead,
    reason_of,
    streams_of,
)
from eventkernel.following import Following, Source, following
from eventkernel.retrying import Backoff, Trouble, Troubles
from eventkernel.status import ParkedStream, PartitionStatus, parked_streams, partition_status
from eventkernel.store import Batch, Checkpoint
from eventkernel.views import BuildRetired, Doc, Fold, Projection, State, ViewBuild

T = TypeVar("T")

_IN_A_THREAD: Final = 200
"""From this many records on a fold would hold up the event loop for milliseconds."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FillingStatus:
    """One build: where it is, what waits, and what is failing at this moment."""

    build: str
    partitions: tuple[PartitionStatus, ...]
    parked: tuple[ParkedStream, ...]
    troubles: tuple[Trouble, ...]
    events_folded: int
    """Records with a version since this process follows the build."""


class Filling(Generic[Doc]):
    """One build, one projection, the logs that it reads."""

    def __init__(
        self,
        projection: Projection[Doc],
        sources: Sequence[Source],
        build: ViewBuild[Doc],
        *,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self.build = build
        self._projection = projection
        self._logs = [source.log for source in sources]
        self._readers = {source.log.log: source.codec for source in sources}
        self._clock = clock
        self._troubles = Troubles(backoff)
        self._turn = asyncio.Lock()
        self._parked = ParkedStreams()
        self._position = Position()
        self._following: Following | None = None
        self._events_folded = 0

    async def run(self) -> NoReturn:
        """Fill the build until this is cancelled; a save that is under way is finished first.

        Raises:
            BuildRetired: another build is live, or this one was dropped.
        """
        checkpoint = await self._asking("reading the checkpoint", self.build.checkpoint)
        self._parked = ParkedStreams.of(await self._asking("reading parked records", self.build.parked))
        async with following(self._logs, checkpoint, self._troubles) as logs:
            self._following = logs
            while True:
                batches = await logs.next()
                async with self._turn:
                    await self._take(batches)
                logs.finished(batches)

    async def retry(self, stream: str) -> None:
        """Try a parked stream's records again, in order, in one save. It stays parked from the first that fails.

        Raises:
            NotFound: no record of this stream waits.
        """
        await _finished(partial(self._unpark, stream, None))

    async def skip(self, stream: str, reason: str) -> None:
        """Let the first parked record of a stream have no effect, and try the ones behind it.

        Its version counts, and it stays beside the view with the operator's reason. A rebuild starts from the log and
        knows nothing of it.

        Raises:
            NotFound: no record of this stream waits.
        """
        await _finished(partial(self._unpark, stream, reason))

    async def status(self) -> FillingStatus:
        troubles = self._troubles.current()
        try:
            self._position = (await self.build.checkpoint()).position
            parked = tuple(parked_streams(await self.build.parked()))
        except (Unavailable, BuildRetired) as error:  # what was known before has to do
            parked = ()
            troubles = (*troubles, Trouble("asking the build", str(error), 1))
        waiting_since = {} if self._following is None else self._following.waiting_since()
        return FillingStatus(
            build=self.build.name,
            partitions=await partition_status(self._logs, self._position, waiting_since, self._clock.now_us()),
            parked=parked,
            troubles=troubles,
            events_folded=self._events_folded,
        )

    async def _take(self, batches: Sequence[Batch]) -> None:
        streams = streams_of(batches)
        stored: Mapping[str, State[Doc]] = {}
        if streams:
            stored = await self._asking("loading documents", partial(self.build.load, streams))
        work = partial(fold, self._projection, self._readers, batches, stored, self._parked)
        records = sum(len(batch.records) for batch in batches)
        folding = partial(asyncio.to_thread, work) if records >= _IN_A_THREAD else partial(_at_once, work)
        outcome = await self._save(await self._troubles.until_done("decoding", folding, on=Unavailable), batches)
        self._events_folded += sum(record.version > 0 for batch in batches for record in batch.records)
        self._saved(outcome)

    async def _save(self, outcome: Fold[Doc], batches: Sequence[Batch]) -> Fold[Doc]:
        """Save, whatever it takes; gives what was saved in the end.

        A document that the view cannot hold looks like any defect of the adapter, and would hold up every stream. So
        each stream is then saved by itself, without the checkpoint, and those that fail are parked.
        """
        try:
            await self._storing(outcome)
        except BuildRetired:
            raise
        except Exception as error:  # noqa: BLE001  # the streams tell which of them it was
            reason = reason_of(error, "storing", "a batch")
            _log.error(
                "%s: %s; now its streams one by one", self._projection.name, reason
            )  # the traceback may quote data
        else:
            return outcome
        reasons: dict[str, str] = {}
        for change in outcome.changes:
            try:
                await self._storing(Fold([change], Checkpoint()))
            except BuildRetired:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it is this stream's
                reasons[change.stream] = reason_of(error, "storing a document after", "a record")
        outcome = park_instead(outcome, batches, reasons)
        await self._asking("storing a batch", partial(_finished, partial(self.build.save, outcome)))
        return outcome

    async def _unpark(self, stream: str, skip: str | None) -> None:
        async with self._turn:
            entries = [entry for entry in await self.build.parked() if entry.record.stream == stream]
            if all(entry.skipped for entry in entries):
                raise NotFound(f"no record of the stream {stream!r} waits in the view {self._projection.name}")
            stored = await self.build.load([stream])
            outcome = fold_parked(self._projection, self._readers, entries, stored.get(stream), skip)
            await self.build.save(outcome)
            self._saved(outcome)

    def _saved(self, outcome: Fold[Doc]) -> None:
        self._position = self._position.join(outcome.checkpoint.position)
        self._parked.saved(outcome)
        for entry in outcome.parked:
            if entry.reason is not None:
                _log.log(
                    logging.WARNING if entry.skipped else logging.ERROR,
                    "%s: %s version %d %s: %s",
                    self._projection.name,
                    entry.record.stream,
                    entry.record.version,
                    "skipped" if entry.skipped else "parked",
                    entry.reason,
                )

    async def _storing(self, outcome: Fold[Doc]) -> None:
        save = partial(_finished, partial(self.build.save, outcome))
        await self._troubles.until_done("storing a batch", save, on=KernelError)

    async def _asking(self, doing: str, question: Callable[[], Awaitable[T]]) -> T:
        return await self._troubles.until_done(doing, question, on=Exception, but=BuildRetired)


async def _at_once(work: Callable[[], T]) -> T:
    return work()


async def _finished(work: Callable[[], Awaitable[None]]) -> None:
    """Does something that must not stop halfway: a cancellation takes effect when it is done."""
    working = asyncio.ensure_future(work())
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        raise
