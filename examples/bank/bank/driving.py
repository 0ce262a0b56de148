"""Driving on a transfer that hangs: each subgraph reacts once more to the other's events about it.

A reaction's commands have ids that are made of the event, so what was done already has no further effect, whether a
process manager did it or an operator, and whoever comes later.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from bank.saga import MONEY_MOVES, STEPS_ARE_RECORDED, TRANSFER
from eventgraph.operating.event_log import recorded
from eventkernel.events import Record, RecordedEvent
from eventkernel.reacting.reactions import Reactions
from eventkernel.writing.aggregates import CommandHandlers
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import LogReader


@dataclass(frozen=True, slots=True)
class Driving:
    """One process manager's reactions, and the log that it reacts to."""

    reactions: Reactions[None]
    handlers: CommandHandlers
    log: LogReader
    codec: Codec
    may_concern: Callable[[Record, str], bool]
    """Told of a record and a transfer before the record is decoded."""

    async def again(self, transfer: str) -> None:
        """React once more to all events about a transfer. Reads the log from its beginning to its end.

        Raises:
            KernelError: what the commands or the log say.
        """
        async with aclosing(recorded([self.log], [await self.log.head()])) as records:
            async for record in records:
                if self.may_concern(record, transfer):
                    found = self.codec.recorded(record)
                    if _transfer_of(found) == transfer:
                        await self.reactions.react(self.handlers, found, None)


def driving_accounts(handlers: CommandHandlers, transfers: LogReader, codec: Codec) -> Driving:
    """What transfers ask of accounts, once more."""
    return Driving(
        MONEY_MOVES, handlers, transfers, codec, lambda record, transfer: record.stream == TRANSFER.stream(transfer)
    )


def driving_transfers(handlers: CommandHandlers, accounts: LogReader, codec: Codec) -> Driving:
    """What accounts have done for transfers, once more."""
    return Driving(
        STEPS_ARE_RECORDED, handlers, accounts, codec, lambda record, transfer: transfer.encode() in record.data
    )


def _transfer_of(found: RecordedEvent) -> str | None:
    if TRANSFER.has(found.stream):
        return TRANSFER.id_of(found.stream)
    transfer: str | None = getattr(found.event, "transfer", None)
    return transfer
