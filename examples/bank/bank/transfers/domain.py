"""What a transfer is: INITIAL, then DEBITED, then COMPLETED; or FAILED, with the money back where it had gone.

INITIAL ──debited──▶ DEBITED ──credited──▶ COMPLETED
   │                    │
refused              refused
   │                    ▼
   │                RETURNING
   ▼                    │ refunded
 FAILED ◀───────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, assert_never

from bank.money import MOST_MINOR, Money
from eventkernel.decider import Decider
from eventkernel.errors import AlreadyExists, InvalidInput, NotFound
from eventkernel.events import DomainEvent

STREAM_PREFIX: Final = "transfer-"
LOG: Final = "transfers"


class TransferRequested(DomainEvent, frozen=True, tag="transfers.TransferRequested"):
    source: str
    """The account's id that the money comes from."""
    target: str
    minor: int
    currency: str
    memo: str = ""


class TransferDebited(DomainEvent, frozen=True, tag="transfers.TransferDebited"):
    """The money has left the source. Says what comes next, so that nobody has to look it up."""

    target: str
    minor: int
    currency: str
    memo: str = ""


class TransferCompleted(DomainEvent, frozen=True, tag="transfers.TransferCompleted"):
    """The money has reached the target."""


class TransferRejected(DomainEvent, frozen=True, tag="transfers.TransferRejected"):
    """The target refuses the money, which goes back."""

    source: str
    minor: int
    currency: str
    reason: str


class TransferFailed(DomainEvent, frozen=True, tag="transfers.TransferFailed"):
    """Nothing has moved, or it is back."""

    reason: str


TransferEvent = TransferRequested | TransferDebited | TransferCompleted | TransferRejected | TransferFailed
EVENT_TYPES: Final = (TransferRequested, TransferDebited, TransferCompleted, TransferRejected, TransferFailed)


class State(StrEnum):
    INITIAL = "INITIAL"
    DEBITED = "DEBITED"
    RETURNING = "RETURNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Request:
    source: str
    target: str
    amount: Money
    memo: str = ""


@dataclass(frozen=True, slots=True)
class RecordDebit:
    pass


@dataclass(frozen=True, slots=True)
class RecordCredit:
    pass


@dataclass(frozen=True, slots=True)
class RecordRefusal:
    """The source or the target refused, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class RecordRefund:
    pass


TransferCommand = Request | RecordDebit | RecordCredit | RecordRefusal | RecordRefund


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer, and how far it is; None before it was requested."""

    asked: TransferRequested | None = None
    state: State = State.INITIAL
    reason: str = ""


def decide(command: TransferCommand, transfer: Transfer) -> Sequence[TransferEvent]:
    """A step that was taken already takes no effect: steps are delivered any number of times, and out of order."""
    if isinstance(command, Request):
        return _request(command, transfer)
    asked = transfer.asked
    if asked is None:
        raise NotFound("there is no such transfer")
    match command, transfer.state:
        case RecordDebit(), State.INITIAL:
            return [TransferDebited(target=asked.target, minor=asked.minor, currency=asked.currency, memo=asked.memo)]
        case RecordCredit(), State.DEBITED:
            return [TransferCompleted()]
        case RecordRefusal(reason), State.INITIAL:
            return [TransferFailed(reason=reason)]
        case RecordRefusal(reason), State.DEBITED:
            return [TransferRejected(source=asked.source, minor=asked.minor, currency=asked.currency, reason=reason)]
        case RecordRefund(), State.RETURNING:
            return [TransferFailed(reason=transfer.reason)]
        case _:
            return []


def _request(command: Request, transfer: Transfer) -> Sequence[TransferEvent]:
    if transfer.asked is not None:
        raise AlreadyExists("the transfer was requested already")
    amount = command.amount
    if not 0 < amount.minor <= MOST_MINOR:
        most = Money(MOST_MINOR, amount.currency)
        raise InvalidInput(f"amount: expected more than nothing and at most {most}, found {amount}")
    if command.source == command.target:
        raise InvalidInput("target: expected another account than the source, found the same")
    return [
        TransferRequested(
            source=command.source,
            target=command.target,
            minor=amount.minor,
            currency=amount.currency,
            memo=command.memo,
        )
    ]


def evolve(transfer: Transfer, event: TransferEvent) -> Transfer:
    match event:
        case TransferRequested():
            return Transfer(event)
        case TransferDebited():
            return replace(transfer, state=State.DEBITED)
        case TransferCompleted():
            return replace(transfer, state=State.COMPLETED)
        case TransferRejected(reason=reason):
            return replace(transfer, state=State.RETURNING, reason=reason)
        case TransferFailed(reason=reason):
            return replace(transfer, state=State.FAILED, reason=reason)
        case _:
            assert_never(event)


decider: Final[Decider[Transfer, TransferCommand, TransferEvent]] = Decider(Transfer, decide, evolve)
