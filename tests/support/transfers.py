"""Money that moves between accounts: two aggregates on one log, and a saga over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final, assert_never

from eventkernel.decider import Decider
from eventkernel.errors import NotFound, Refusal
from eventkernel.events import DomainEvent, Record
from eventkernel.reacting.reactions import Reactions, Send, send
from eventkernel.writing.aggregates import Aggregate, SnapshotForm, event_types
from eventkernel.writing.codec import Codec


class Opened(DomainEvent, frozen=True, tag="money.Opened"):
    owner: str


class Credited(DomainEvent, frozen=True, tag="money.Credited"):
    amount: int


class Debited(DomainEvent, frozen=True, tag="money.Debited"):
    amount: int


class Requested(DomainEvent, frozen=True, tag="money.Requested"):
    source: str
    target: str
    amount: int


class Completed(DomainEvent, frozen=True, tag="money.Completed"):
    pass


class Failed(DomainEvent, frozen=True, tag="money.Failed"):
    why: str


AccountEvent = Opened | Credited | Debited
TransferEvent = Requested | Completed | Failed


class TooLittle(Refusal):
    code = "TOO_LITTLE"
    remembered: ClassVar = ("balance",)

    def __init__(self, balance: int) -> None:
        super().__init__(f"the balance is {balance}")
        self.balance = balance


class TransferOver(Refusal):
    code = "TRANSFER_OVER"


@dataclass(frozen=True, slots=True)
class Open:
    owner: str


@dataclass(frozen=True, slots=True)
class Credit:
    amount: int


@dataclass(frozen=True, slots=True)
class Debit:
    amount: int


@dataclass(frozen=True, slots=True)
class Request:
    source: str
    target: str
    amount: int


@dataclass(frozen=True, slots=True)
class Complete:
    pass


@dataclass(frozen=True, slots=True)
class Fail:
    why: str


AccountCommand = Open | Credit | Debit
TransferCommand = Request | Complete | Fail


@dataclass(frozen=True, slots=True)
class Account:
    owner: str | None = None
    balance: int = 0


def _decide_account(command: AccountCommand, state: Account) -> Sequence[AccountEvent]:
    match command:
        case Open(owner):
            return [] if state.owner == owner else [Opened(owner=owner)]
        case Credit() | Debit() if state.owner is None:
            raise NotFound("there is no such account")
        case Credit(amount):
            return [Credited(amount=amount)]
        case Debit(amount):
            if state.balance < amount:
                raise TooLittle(state.balance)
            return [Debited(amount=amount)]
        case _:
            assert_never(command)


def _evolve_account(state: Account, event: AccountEvent) -> Account:
    match event:
        case Opened(owner):
            return Account(owner, state.balance)
        case Credited(amount):
            return Account(state.owner, state.balance + amount)
        case Debited(amount):
            return Account(state.owner, state.balance - amount)
        case _:
            assert_never(event)


def _decide_transfer(command: TransferCommand, state: str) -> Sequence[TransferEvent]:
    match command:
        case Request(source, target, amount):
            return [Requested(source=source, target=target, amount=amount)]
        case Complete() | Fail() if state != "requested":
            raise TransferOver(state or "there is no such transfer")
        case Complete():
            return [Completed()]
        case Fail(why):
            return [Failed(why=why)]
        case _:
            assert_never(command)


def _evolve_transfer(_state: str, event: TransferEvent) -> str:
    return type(event).__name__.lower()


def _account_claims(state: Account) -> frozenset[str]:
    return frozenset() if state.owner is None else frozenset({f"owner:{state.owner}"})


accounts: Decider[Account, AccountCommand, AccountEvent] = Decider(Account, _decide_account, _evolve_account)
transfers: Decider[str, TransferCommand, TransferEvent] = Decider(str, _decide_transfer, _evolve_transfer)

ACCOUNTS: Final = Aggregate(
    "account",
    "account-",
    accounts,
    (Opened, Credited, Debited),
    claims=_account_claims,
    snapshots=SnapshotForm(1, Account, every=3),
)
TRANSFERS: Final = Aggregate(
    "transfer", "transfer-", transfers, (Requested, Completed, Failed), snapshots=SnapshotForm(1, str, every=2)
)
CODEC: Final = Codec(event_types([ACCOUNTS, TRANSFERS]))


def _move(event: Requested, record: Record) -> Sequence[Send]:
    """Debit the source, then credit the target; where that is refused, the money goes back."""
    transfer = TRANSFERS.id_of(record.stream)
    back = send(ACCOUNTS, event.source, Credit(event.amount))
    credit = (
        send(ACCOUNTS, event.target, Credit(event.amount))
        .then(send(TRANSFERS, transfer, Complete()))
        .on_refusal(NotFound, lambda refusal: [back, send(TRANSFERS, transfer, Fail(str(refusal)))])
    )
    debit = (
        send(ACCOUNTS, event.source, Debit(event.amount))
        .then(credit)
        .on_refusal(TooLittle, lambda refusal: [send(TRANSFERS, transfer, Fail(f"only {refusal.balance}"))])
        .on_refusal(NotFound, lambda refusal: [send(TRANSFERS, transfer, Fail(str(refusal)))])
    )
    return [debit]


def _give_up(_event: Requested, record: Record) -> Sequence[Send]:
    return [send(TRANSFERS, TRANSFERS.id_of(record.stream), Fail("too late"))]


MOVING: Final = Reactions[None]("moving").on(Requested, _move).after(timedelta(minutes=1), Requested, _give_up)
