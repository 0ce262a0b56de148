"""One reaction of a process manager: wait for the view, call it, and call it again as long as that may help."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from eventkernel.cancelling import uninterrupted
from eventkernel.errors import ConcurrencyConflict, IdempotencyMismatch, OutOfDate, Refusal, Unavailable
from eventkernel.events import Position, Record, RecordedEvent
from eventkernel.reading.bookmark import WrittenStream
from eventkernel.reading.folding import RecordReader, reason_of
from eventkernel.reading.gate import StreamParked
from eventkernel.reading.views import BuildRetired
from eventkernel.retrying import Backoff, Troubles
from eventkernel.writing.refusals import binding_refusals

Read = TypeVar("Read")
Read_co = TypeVar("Read_co", covariant=True)

Reaction = Callable[[RecordedEvent, Read], Awaitable[None]]
"""Reads the build and sends commands, with ids made from the event (`Record.id`)."""

_LOOK: Final = 5.0
"""Seconds to wait for the view before the status says that it is late."""

_PASSING: Final = (Unavailable, OutOfDate, ConcurrencyConflict, BuildRetired)

_log: Final = logging.getLogger(__name__)


class ViewGate(Protocol[Read_co]):
    """Gives what a reaction reads, as soon as that shows the event: a `BookmarkGate`, or `NoView`."""

    async def reach(self, position: Position, streams: Collection[WrittenStream], timeout: float, /) -> Read_co: ...


class NoView:
    """For reactions that read no view: they wait for none, and get None."""

    async def reach(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Patience:
    """How a process manager deals with what fails."""

    backoff: Backoff = field(default_factory=Backoff)
    attempts: int = 5
    """How often a defective reaction is tried before it is set aside."""
    again_after: float = 30.0
    """Seconds until what is set aside is tried again."""
    budget: float = 30.0
    """Seconds for which a reaction that cannot be done now is tried again before it is set aside, too."""
    side_by_side: int = 16
    """How many reactions are under way at once; those of one stream never are."""


class Reacting(Generic[Read]):
    """Calls reactions to records. Waiting for the view takes none of the places side by side."""

    def __init__(
        self,
        name: str,
        codecs: Mapping[str, RecordReader],
        gate: ViewGate[Read],
        patience: Patience,
        troubles: Troubles,
    ) -> None:
        self._name = name
        self._codecs = codecs
        self._gate = gate
        self._patience = patience
        self._troubles = troubles
        self._places = asyncio.Semaphore(patience.side_by_side)
        self.completed = 0
        """How many were, since the process began."""

    async def complete(self, record: Record, react: Reaction[Read]) -> str | None:
        """React, as often as it takes; gives the reason where the record has to be set aside.

        A view that is late is waited for without end: whatever comes behind the record needs it as well.
        """
        try:
            read = await self._seen(record)
            async with self._places:
                reason = await self._within_budget(record, read, react)
        except StreamParked as parked:
            reason = reason_of(parked, "waiting to react to", record.type)
        if reason is not None:
            _log.error("%s: %s version %d set aside: %s", self._name, record.stream, record.version, reason)
        return reason

    async def attempt(self, record: Record, react: Reaction[Read]) -> None:
        """React once. Raises whatever went wrong."""
        await self._call(record, await self._shown(record), react)

    async def _within_budget(self, record: Record, read: Read, react: Reaction[Read]) -> str | None:
        loop = asyncio.get_running_loop()
        doing = f"reacting to {record.type} in {record.stream}"
        attempts, until = 0, loop.time() + self._patience.budget
        while True:
            try:
                await self._call(record, read, react)
            except _PASSING as passing:
                failure: Exception = passing
                give_up = loop.time() >= until
            except Exception as error:  # noqa: BLE001  # a defect, which must not stop the other reactions
                failure = error
                attempts += 1
                give_up = attempts >= self._patience.attempts
            else:
                self._troubles.over(doing)
                return None
            if give_up:
                self._troubles.given_up(doing)
                return reason_of(failure, "reacting to", record.type)
            await self._troubles.failed(doing, failure)
            read = await self._seen(record)  # another build may be live by now

    async def _seen(self, record: Record) -> Read:
        waiting = f"waiting until the view has {record.log}/{record.partition}"
        return await self._troubles.until_done(waiting, lambda: self._shown(record), on=Exception, but=StreamParked)

    async def _shown(self, record: Record) -> Read:
        stored = Position.of(record.log, record.partition, record.offset + 1)
        return await self._gate.reach(stored, (WrittenStream(record.log, record.partition, record.stream),), _LOOK)

    async def _call(self, record: Record, read: Read, react: Reaction[Read]) -> None:
        recorded = self._codecs[record.log].recorded(record)
        try:
            with binding_refusals():  # a reaction may branch on them, and is repeated
                await uninterrupted(react(recorded, read))
        except IdempotencyMismatch:
            raise  # two reactions to one event differ: a defect
        except Refusal as refusal:
            _log.info("%s: %s version %d: %s", self._name, record.stream, record.version, refusal.code)
        self.completed += 1
