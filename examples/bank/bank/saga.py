"""The saga of a transfer, by choreography: each subgraph reacts to the other's log with commands to its own.

transfers                       accounts
TransferRequested ────────────▶ debit the source
record the debit  ◀──────────── AccountDebited, DebitRefused
TransferDebited   ────────────▶ credit the target
record the credit ◀──────────── AccountCredited, CreditRefused
TransferRejected  ────────────▶ refund the source
record the refund ◀──────────── AccountRefunded
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bank.accounts import domain as accounts
from bank.accounts.domain import (
    AccountCredited,
    AccountDebited,
    AccountRefunded,
    CreditByTransfer,
    CreditRefused,
    DebitForTransfer,
    DebitRefused,
    Refund,
)
from bank.accounts.projection import AccountDoc, evolve_account
from bank.money import Money
from bank.transfers import domain as transfers
from bank.transfers.domain import (
    RecordCredit,
    RecordDebit,
    RecordRefund,
    RecordRefusal,
    TransferDebited,
    TransferRejected,
    TransferRequested,
)
from bank.transfers.projection import evolve_transfer
from eventkernel.events import Record
from eventkernel.reacting.reactions import Reactions, Send, send
from eventkernel.writing.aggregates import Aggregate, SnapshotForm

ACCOUNT: Final = Aggregate(
    "account",
    accounts.STREAM_PREFIX,
    accounts.decider,
    accounts.EVENT_TYPES,
    answer=evolve_account,
    snapshots=SnapshotForm(1, accounts.Account, AccountDoc | None),
)
TRANSFER: Final = Aggregate(
    "transfer", transfers.STREAM_PREFIX, transfers.decider, transfers.EVENT_TYPES, answer=evolve_transfer
)


def _debit(event: TransferRequested, record: Record) -> Sequence[Send]:
    transfer = TRANSFER.id_of(record.stream)
    return [send(ACCOUNT, event.source, DebitForTransfer(Money(event.minor, event.currency), event.memo, transfer))]


def _credit(event: TransferDebited, record: Record) -> Sequence[Send]:
    transfer = TRANSFER.id_of(record.stream)
    return [send(ACCOUNT, event.target, CreditByTransfer(Money(event.minor, event.currency), event.memo, transfer))]


def _refund(event: TransferRejected, record: Record) -> Sequence[Send]:
    transfer = TRANSFER.id_of(record.stream)
    return [send(ACCOUNT, event.source, Refund(Money(event.minor, event.currency), transfer))]


def _debited(event: AccountDebited, _record: Record) -> Sequence[Send]:
    return [] if event.transfer is None else [send(TRANSFER, event.transfer, RecordDebit())]


def _credited(event: AccountCredited, _record: Record) -> Sequence[Send]:
    return [] if event.transfer is None else [send(TRANSFER, event.transfer, RecordCredit())]


def _refused(event: DebitRefused | CreditRefused, _record: Record) -> Sequence[Send]:
    return [send(TRANSFER, event.transfer, RecordRefusal(event.reason))]


def _refunded(event: AccountRefunded, _record: Record) -> Sequence[Send]:
    return [send(TRANSFER, event.transfer, RecordRefund())]


MONEY_MOVES: Final = (
    Reactions[None]("accounts-transfers")
    .on(TransferRequested, _debit)
    .on(TransferDebited, _credit)
    .on(TransferRejected, _refund)
)
"""Of the accounts: what transfers ask of them."""

STEPS_ARE_RECORDED: Final = (
    Reactions[None]("transfers-steps")
    .on(AccountDebited, _debited)
    .on(DebitRefused, _refused)
    .on(AccountCredited, _credited)
    .on(CreditRefused, _refused)
    .on(AccountRefunded, _refunded)
)
"""Of the transfers: what the accounts have done for them."""
