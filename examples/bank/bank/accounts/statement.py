"""An account's statement of a period, as text that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bank.accounts.domain import AccountCredited, AccountDebited, AccountRefunded
from bank.money import Money
from eventkernel.events import RecordedEvent


class Named(Protocol):
    """An account, as a statement names it."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def currency(self) -> str: ...


def amount_of(event: object, currency: str) -> Money | None:
    """What an event adds to the balance, less than nothing for what it takes; None: nothing."""
    match event:
        case AccountCredited(minor=minor) | AccountRefunded(minor=minor):
            return Money(minor, currency)
        case AccountDebited(minor=minor):
            return Money(-minor, currency)
        case _:
            return None


def words_of(event: object) -> str:
    match event:
        case AccountCredited(transfer=None, memo=memo):
            return _with("paid in", memo)
        case AccountCredited(memo=memo):
            return _with("transfer received", memo)
        case AccountDebited(transfer=None, memo=memo):
            return _with("paid out", memo)
        case AccountDebited(memo=memo):
            return _with("transfer sent", memo)
        case _:
            return "transfer returned"


def statement_of(account: Named, before: Money, booked: Sequence[RecordedEvent], start: datetime, end: datetime) -> str:
    """`before` is the balance when the period begins; `booked` are the account's events within it, oldest first."""
    rows = [f"{_day(start):<32}{'opening balance':<44}{'':>22}{before!s:>22}"]
    balance = before
    for recorded in booked:
        amount = amount_of(recorded.event, account.currency)
        if amount is not None:
            balance += amount
            rows.append(
                f"{_day(recorded.record.time):<32}{words_of(recorded.event):<44.43}{amount!s:>22}{balance!s:>22}"
            )
    rows.append(f"{_day(end):<32}{'closing balance':<44}{'':>22}{balance!s:>22}")
    head = [f"Account {account.name} ({account.id})", f"of {account.owner}, in {account.currency}", ""]
    return "\n".join(line.rstrip() for line in (*head, *rows)) + "\n"


def _with(words: str, memo: str) -> str:
    return f"{words}: {memo}" if memo else words


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")
