"""Keeps one build of a view filled from its logs: load, fold, save, batch after batch.

What may pass (a full disk, a lost connection, a log that does not answer) is tried again until it works, and the status
says so meanwhile. What a record is to blame for parks the record's stream, and everything else goes on. Nothing else
comes out of `run` than `BuildRetired`, and `CheckpointMismatch` for a build that was filled from another history of a
log (`fitting.py`): that takes nothing more.

**Several processes** may fill one build, each the partitions that it is assigned; and for a while two may work on the
same partition, because one of them has not heard yet. That does no harm, for this reason. At all times, whatever comes
before a checkpoint is in the documents or parked, and whoever saves keeps it so: documents first, then what is parked
and what is released, the checkpoint last. Neither documents nor checkpoints go back. So a process that reads first the
checkpoint, then what is parked, then the documents, misses nothing, whatever the others do in between: if a stream was
not parked, the documents that are read afterwards have all of it. It follows

- that each assignment begins with reading the checkpoint and what is parked,
- that of a stream which is not known to wait nothing has to be read but its document; a stream that is known to wait
  may in truth have gone on, and what is parked behind it then waits for nothing.

So a process may park a record behind others which somebody else (an operator's `retry`, in a process of its own) deals
with at that moment, or one that somebody else has applied. Whom its partition is assigned to finds such a record, and
deals with it: every second or so (where very many wait, some of them in turn), and before a batch with a record of its
stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Final, Generic, NoReturn, TypeVar

from eventkernel.cancelling import finished
from eventkernel.clock import Clock
from eventkernel.errors import CheckpointMismatch, KernelError, NotFound, Unavailable
from eventkernel.events import Position
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.folding import (
    ParkedStreams,
    can_go_on,
    fold,
    fold_parked,
    leave_parked,
    park_instead,
    reason_of,
    streams_of,
)
from eventkernel.reading.following import Following, Source, following
from eventkernel.reading.membership import Assignment, Membership, with_each_assignment
from eventkernel.reading.showing import ShownTimes
from eventkernel.reading.status import ParkedStream, PartitionStatus, parked_streams, partition_status, waiting_in
from eventkernel.reading.views import (
    NOTHING_WAITS,
    BuildRetired,
    Doc,
    Fold,
    ParkedRecord,
    Projection,
    State,
    ViewBuild,
    Waiting,
)
from eventkernel.retrying import Backoff, Trouble, Troubles
from eventkernel.tracing import NOT_TRACED, Tracer
from eventkernel.writing.store import Batch, Checkpoint

T = TypeVar("T")

_IN_A_THREAD: Final = 200
"""From this many records on a fold would hold up the event loop for milliseconds."""

LOOK_SECONDS: Final = 1.0
"""How often it is looked for what other processes have left behind; it may take a twentieth of the time at most."""
_LOOK_SHARE: Final = 20
_LOOKED_AT_ONCE: Final = 500
"""Streams whose parked records are read together. Where more wait, it is the next ones' turn at the next look."""

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
    parked_known: bool = True
    """False: the build does not answer now, and `parked` is empty although something may wait."""
    waiting: Waiting = NOTHING_WAITS
    """How much is parked."""


class Filling(Generic[Doc]):
    """One build, one projection, the logs that it reads."""

    def __init__(  # noqa: PLR0913  # three things that it works with, and one word for each way of working
        self,
        projection: Projection[Doc],
        sources: Sequence[Source],
        build: ViewBuild[Doc],
        *,
        clock: Clock,
        backoff: Backoff,
        membership: Membership,
        look: float = LOOK_SECONDS,
        shown: ShownTimes | None = None,
        tracer: Tracer = NOT_TRACED,
    ) -> None:
        self.build = build
        self.shown = shown or ShownTimes()
        """When the build had what, as far as this process has followed it."""
        self._projection = projection
        self._logs = [source.log for source in sources]
        self._readers = {source.log.log: source.codec for source in sources}
        self._clock = clock
        self._membership = membership
        self._look_every = look
        self._tracer = tracer
        self._troubles = Troubles(backoff)
        self._turn = asyncio.Lock()
        self._parked = ParkedStreams()
        self._consider_at = 0.0
        self._looked_at = ""
        """The last stream that was looked at: those behind it come next; empty: from the beginning."""
        self._position = Position()
        self._following: Following | None = None
        self._events_folded = 0

    async def run(self) -> NoReturn:
        """Fill the assigned partitions of the build until this is cancelled; a save under way is finished first.

        Raises:
            BuildRetired: another build is live, or this one was dropped.
            CheckpointMismatch: it was filled from another history of a log.
        """
        await with_each_assignment(self._membership, self._follow)

    def go_live(self, shown: ShownTimes) -> None:
        """From now on requests read the build. `shown` is of the live builds before it, and goes on with this one."""
        shown.saved(self._position, self._clock.now_us())
        self.shown = shown

    async def retry(self, stream: str) -> None:
        """Try a parked stream's records again, in order, in one save. It stays parked from the first that fails.

        Raises:
            NotFound: no record of this stream waits.
        """
        await finished(partial(self._unpark, stream, None))

    async def skip(self, stream: str, reason: str) -> None:
        """Let the first parked record of a stream have no effect, and try the ones behind it.

        Its version counts, and it stays beside the view with the operator's reason. A rebuild starts from the log and
        knows nothing of it.

        Raises:
            NotFound: no record of this stream waits.
        """
        await finished(partial(self._unpark, stream, reason))

    async def status(self, *, listed: bool = True) -> FillingStatus:
        """With `listed` unset what is parked is counted, and `parked` is empty."""
        troubles = self._troubles.current()
        parked: tuple[ParkedStream, ...] = ()
        waiting: Waiting | None = None
        try:
            self._position = (await self.build.checkpoint()).position
            parked = tuple(parked_streams(await self.build.parked())) if listed else ()
            waiting = waiting_in(parked) if listed else await self.build.waiting()
        except (Unavailable, BuildRetired) as error:  # what was known before has to do
            troubles = (*troubles, Trouble("asking the build", str(error), 1))
        waiting_since = {} if self._following is None else self._following.waiting_since()
        return FillingStatus(
            build=self.build.name,
            partitions=await partition_status(
                self._logs, self._position, waiting_since, self._clock.now_us(), self._membership.assignment()
            ),
            parked=parked,
            troubles=troubles,
            events_folded=self._events_folded,
            parked_known=waiting is not None,
            waiting=waiting or NOTHING_WAITS,
        )

    async def _follow(self, assignment: Assignment) -> NoReturn:
        loop = asyncio.get_running_loop()
        async with self._turn:
            fit = partial(check_fit, self.build, self._logs)
            doing = f"comparing the view {self._projection.name} with its logs"
            await self._troubles.until_done(doing, fit, on=Exception, but=(BuildRetired, CheckpointMismatch))
            checkpoint = await self._asking("reading the checkpoint", self.build.checkpoint)
            self.shown.found(checkpoint.position, self._clock.now_us())
            parked = await self._asking("reading parked records", self.build.parked)
            self._parked = ParkedStreams.of(entry for entry in parked if assignment.has(entry.partition))
        async with following(self._logs, checkpoint, self._troubles, assignment) as logs:
            self._following = logs
            look_at = loop.time()
            while True:
                batches = await logs.next(look_at)
                async with self._turn:
                    if batches:
                        await self._take(batches)
                    if loop.time() >= look_at:
                        begun = loop.time()
                        await self._look(assignment)
                        look_at = loop.time() + max(self._look_every, _LOOK_SHARE * (loop.time() - begun))
                logs.finished(batches)

    async def _take(self, batches: Sequence[Batch]) -> None:
        began_ns = time.time_ns()
        streams = streams_of(batches)
        stored: Mapping[str, State[Doc]] = {}
        if streams:
            await self._consider_now_and_then([stream for stream in streams if stream in self._parked.waiting])
            stored = await self._asking("loading documents", partial(self.build.load, streams))
        work = partial(fold, self._projection, self._readers, batches, stored, self._parked)
        outcome = await self._folding(work, sum(len(batch.records) for batch in batches))
        saved = await self._save(outcome, batches)
        self._saved(saved)
        waiting = {(entry.record.stream, entry.record.version) for entry in saved.parked}
        records = (record for batch in batches for record in batch.records if record.version)
        applied = (
            (record for record in records if (record.stream, record.version) not in waiting) if waiting else records
        )
        self._tracer.applied(self._projection.name, applied, began_ns)
        self._events_folded += sum(record.version > 0 for batch in batches for record in batch.records)

    async def _folding(self, work: Callable[[], Fold[Doc]], records: int) -> Fold[Doc]:
        folding = partial(asyncio.to_thread, work) if records >= _IN_A_THREAD else partial(_at_once, work)
        return await self._troubles.until_done("decoding", folding, on=Unavailable)

    async def _look(self, assignment: Assignment) -> None:
        """See what others have done to the build: whether it is live, and what of ours waits for nothing."""
        await self._asking("asking for the build", partial(self.build.reached, Position(), 0))
        waiting = await self._asking("reading parked streams", self.build.parked_streams)
        ours = self._parked.waiting.union(stream for stream, where in waiting.items() if assignment.has(where))
        streams = sorted(ours)
        start, went_on = bisect_right(streams, self._looked_at), True
        while went_on and streams[start:]:
            some = streams[start : start + _LOOKED_AT_ONCE]
            went_on = await self._consider(some)
            start, self._looked_at = start + len(some), some[-1]
        if not streams[start:]:
            self._looked_at = ""

    async def _consider_now_and_then(self, streams: Sequence[str]) -> None:
        """What a batch has to do with: so many streams may wait that it takes a part of the time only."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if streams and begun >= self._consider_at:
            await self._consider(streams)
            self._consider_at = loop.time() + _LOOK_SHARE * (loop.time() - begun)

    async def _consider(self, streams: Sequence[str]) -> bool:
        """Learn anew what is parked of these streams, and deal with those that can go on; whether there were any."""
        went_on = False
        firsts = await self._asking("reading parked records", partial(self.build.first_parked, streams))
        self._parked.read(streams, firsts)
        waiting = [stream for stream in streams if stream in self._parked.waiting]
        if not waiting:
            return went_on
        stored = await self._asking("loading documents", partial(self.build.load, waiting))
        for stream, group in groupby(firsts, key=lambda entry: entry.record.stream):
            if can_go_on(list(group), stored.get(stream)):
                entries = await self._asking("reading parked records", partial(self.build.parked, [stream]))
                if not entries:
                    continue  # somebody else has dealt with them
                work = partial(fold_parked, self._projection, self._readers, entries, stored.get(stream))
                outcome = await self._folding(work, len(entries))
                self._saved(await self._save_parked(outcome, entries, stored.get(stream)))
                went_on = True
        return went_on

    async def _save_parked(
        self, outcome: Fold[Doc], entries: Sequence[ParkedRecord], stored: State[Doc] | None
    ) -> Fold[Doc]:
        """Save what became of a stream's parked records. If it cannot be stored they wait, and the first says why."""
        try:
            await self._storing(outcome)
        except BuildRetired:
            raise
        except Exception as error:  # noqa: BLE001  # a defect of this stream must not stop the others
            reason = reason_of(error, "storing a document after", "a record")
            outcome = leave_parked(entries, stored, reason)
            await self._asking("storing a reason", partial(finished, partial(self.build.save, outcome)))
        return outcome

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
        await self._asking("storing a batch", partial(finished, partial(self.build.save, outcome)))
        return outcome

    async def _unpark(self, stream: str, skip: str | None) -> None:
        async with self._turn:
            entries = await self.build.parked([stream])
            if all(entry.skipped for entry in entries):
                raise NotFound(f"no record of the stream {stream!r} waits in the view {self._projection.name}")
            stored = await self.build.load([stream])
            outcome = fold_parked(self._projection, self._readers, entries, stored.get(stream), skip)
            await self.build.save(outcome)
            self._saved(outcome)

    def _saved(self, outcome: Fold[Doc]) -> None:
        self._position = self._position.join(outcome.checkpoint.position)
        if outcome.checkpoint.position:
            self.shown.saved(outcome.checkpoint.position, self._clock.now_us())
        else:
            self.shown.saved_late(outcome.changes, self._clock.now_us())
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
        save = partial(finished, partial(self.build.save, outcome))
        await self._troubles.until_done("storing a batch", save, on=KernelError)

    async def _asking(self, doing: str, question: Callable[[], Awaitable[T]]) -> T:
        return await self._troubles.until_done(doing, question, on=Exception, but=BuildRetired)


async def _at_once(work: Callable[[], T]) -> T:
    return work()
