"""What an account is: opened in one currency, credited and debited, never overdrawn, and closed when it is empty.

A transfer takes part in an account with at most one debit, one credit and one refund. What an account refuses of a
transfer is an event, too: a fact that the transfer's saga goes on from, and that never changes its mind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, ClassVar, Final, assert_never

from bank.money import MOST_MINOR, Money
from eventkernel.decider import Decider
from eventkernel.errors import InvalidInput, NotFound, Refusal
from eventkernel.events import DomainEvent, Personal, Tag

STREAM_PREFIX: Final = "account-"
LOG: Final = "accounts"

FULL_MINOR: Final = 10**18
"""The most that an account holds, in smallest units: 64 bits hold a little more."""


class AccountOpened(DomainEvent, frozen=True, tag="accounts.AccountOpened"):
    owner_id: Annotated[str, Tag("owner")]
    """Whose account it is, as the bank's own register of persons names them: an opaque id."""
    owner: Annotated[str, Personal(person="owner_id", erased="(erased)")]
    """Their name."""
    name: str
    """What they call the account."""
    currency: str


class AccountCredited(DomainEvent, frozen=True, tag="accounts.AccountCredited"):
    minor: int
    memo: str = ""
    transfer: Annotated[str | None, Tag("transfer")] = None
    """The transfer that brought the money; None: it was paid in."""


class AccountDebited(DomainEvent, frozen=True, tag="accounts.AccountDebited"):
    minor: int
    memo: str = ""
    transfer: Annotated[str | None, Tag("transfer")] = None
    """The transfer that took the money; None: it was paid out."""


class AccountRefunded(DomainEvent, frozen=True, tag="accounts.AccountRefunded"):
    """The money of a debit is back, because the transfer's target refused it."""

    minor: int
    transfer: Annotated[str, Tag("transfer")]


class DebitRefused(DomainEvent, frozen=True, tag="accounts.DebitRefused"):
    transfer: Annotated[str, Tag("transfer")]
    reason: str
    """A `Reason`, or one that later versions know."""


class CreditRefused(DomainEvent, frozen=True, tag="accounts.CreditRefused"):
    transfer: Annotated[str, Tag("transfer")]
    reason: str


class AccountClosed(DomainEvent, frozen=True, tag="accounts.AccountClosed"):
    owner_id: Annotated[str, Tag("owner")]


AccountEvent = (
    AccountOpened | AccountCredited | AccountDebited | AccountRefunded | DebitRefused | CreditRefused | AccountClosed
)
EVENT_TYPES: Final = (
    AccountOpened,
    AccountCredited,
    AccountDebited,
    AccountRefunded,
    DebitRefused,
    CreditRefused,
    AccountClosed,
)


class Reason(StrEnum):
    """Why an account takes no part in a transfer."""

    NO_ACCOUNT = "there is no such account"
    CLOSED = "the account is closed"
    CURRENCY = "the account is kept in another currency"
    BALANCE = "the balance is too small"
    FULL = "the account cannot hold more"


class InsufficientFunds(Refusal):
    """An account holds less than what was asked of it."""

    code = "INSUFFICIENT_FUNDS"
    remembered: ClassVar = ()


class AccountUnfit(Refusal):
    """An account is closed, kept in another currency, full, or not empty where it has to be."""

    code = "ACCOUNT_UNFIT"
    remembered: ClassVar = ()


@dataclass(frozen=True, slots=True)
class Credit:
    """Money is paid in."""

    amount: Money
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Debit:
    """Money is paid out."""

    amount: Money
    memo: str = ""


@dataclass(frozen=True, slots=True)
class DebitForTransfer:
    amount: Money
    memo: str
    transfer: str


@dataclass(frozen=True, slots=True)
class CreditByTransfer:
    amount: Money
    memo: str
    transfer: str


@dataclass(frozen=True, slots=True)
class Refund:
    """The debit of a transfer comes back. Also to a closed account: money is never lost."""

    amount: Money
    transfer: str


@dataclass(frozen=True, slots=True)
class Close:
    pass


AccountCommand = Credit | Debit | DebitForTransfer | CreditByTransfer | Refund | Close


@dataclass(frozen=True, slots=True)
class Account:
    """A state of an account; `currency` is None before it was opened."""

    currency: str | None = None
    owner_id: str = ""
    balance: int = 0
    closed: bool = False

    def unfit(self, amount: Money) -> Reason | None:
        """Why the account can have nothing to do with an amount."""
        if self.currency is None:
            return Reason.NO_ACCOUNT
        if self.closed:
            return Reason.CLOSED
        return None if amount.currency == self.currency else Reason.CURRENCY

    def cannot_pay(self, amount: Money) -> Reason | None:
        return self.unfit(amount) or (Reason.BALANCE if self.balance < amount.minor else None)

    def cannot_take(self, amount: Money) -> Reason | None:
        return self.unfit(amount) or (Reason.FULL if self.balance + amount.minor > FULL_MINOR else None)


def decide(command: AccountCommand, state: Account) -> Sequence[AccountEvent]:
    match command:
        case Credit(amount, memo):
            _refuse(state.cannot_take(_positive(amount)))
            return [AccountCredited(minor=amount.minor, memo=memo)]
        case Debit(amount, memo):
            _refuse(state.cannot_pay(_positive(amount)))
            return [AccountDebited(minor=amount.minor, memo=memo)]
        case DebitForTransfer(amount, memo, transfer):
            reason = state.cannot_pay(amount)
            if reason is not None:
                return [DebitRefused(transfer=transfer, reason=reason)]
            return [AccountDebited(minor=amount.minor, memo=memo, transfer=transfer)]
        case CreditByTransfer(amount, memo, transfer):
            reason = state.cannot_take(amount)
            if reason is not None:
                return [CreditRefused(transfer=transfer, reason=reason)]
            return [AccountCredited(minor=amount.minor, memo=memo, transfer=transfer)]
        case Refund(amount, transfer):
            return [AccountRefunded(minor=amount.minor, transfer=transfer)]
        case Close():
            return _close(state)
        case _:
            assert_never(command)


def _close(state: Account) -> Sequence[AccountEvent]:
    if state.currency is None:
        raise NotFound(Reason.NO_ACCOUNT)
    if state.closed:
        return []
    if state.balance:
        raise AccountUnfit(f"expected an empty account, found {Money(state.balance, state.currency)} in it")
    return [AccountClosed(owner_id=state.owner_id)]


def evolve(state: Account, event: AccountEvent) -> Account:
    match event:
        case AccountOpened(currency=currency, owner_id=owner_id):
            return replace(state, currency=currency, owner_id=owner_id)
        case AccountCredited(minor=minor) | AccountRefunded(minor=minor):
            return replace(state, balance=state.balance + minor)
        case AccountDebited(minor=minor):
            return replace(state, balance=state.balance - minor)
        case AccountClosed():
            return replace(state, closed=True)
        case DebitRefused() | CreditRefused():
            return state
        case _:
            assert_never(event)


def _positive(amount: Money) -> Money:
    if not 0 < amount.minor <= MOST_MINOR:
        most = Money(MOST_MINOR, amount.currency)
        raise InvalidInput(f"amount: expected more than nothing and at most {most}, found {amount}")
    return amount


def _refuse(reason: Reason | None) -> None:
    match reason:
        case None:
            return
        case Reason.NO_ACCOUNT:
            raise NotFound(reason)
        case Reason.BALANCE:
            raise InsufficientFunds(reason)
        case _:
            raise AccountUnfit(reason)


decider: Final[Decider[Account, AccountCommand, AccountEvent]] = Decider(Account, decide, evolve)
