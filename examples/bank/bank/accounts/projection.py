"""What events mean to the accounts' view: a document per account, and one per transfer as far as accounts need it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bank.accounts.domain import (
    STREAM_PREFIX,
    AccountClosed,
    AccountCredited,
    AccountDebited,
    AccountOpened,
    AccountRefunded,
    CreditRefused,
    DebitRefused,
)
from bank.transfers import domain as transfers
from bank.transfers.domain import TransferRequested
from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent
from eventkernel.reading.documents import Documents, Index, Words
from eventkernel.reading.views import Projection
from eventkernel.writing.codec import Unread


class AccountDoc(Struct, frozen=True, tag="account"):
    """An account after its latest event. Without a currency it was never opened: it only has refused."""

    id: str
    owner_id: str = ""
    owner: str = ""
    name: str = ""
    currency: str = ""
    balance: int = 0
    """In the currency's smallest unit."""
    closed: bool = False
    opened_us: int = 0
    changed_us: int = 0
    version: int = 0


class TransferDoc(Struct, frozen=True, tag="transfer"):
    """Which accounts a transfer touches, and since when."""

    id: str
    source: str
    target: str
    requested_us: int


AccountsDoc = AccountDoc | TransferDoc

BY_OWNER: Final = Index[AccountsDoc](
    "owner", by=lambda doc: (doc.owner_id, doc.opened_us) if isinstance(doc, AccountDoc) else None
)
BY_SOURCE: Final = Index[AccountsDoc](
    "source", by=lambda doc: (doc.source, doc.requested_us) if isinstance(doc, TransferDoc) else None
)
BY_TARGET: Final = Index[AccountsDoc](
    "target", by=lambda doc: (doc.target, doc.requested_us) if isinstance(doc, TransferDoc) else None
)
NAMES: Final = Words[AccountsDoc](
    "names", of=lambda doc: f"{doc.owner} {doc.name}" if isinstance(doc, AccountDoc) else ""
)

ACCOUNTS: Final = Documents[AccountsDoc](
    AccountDoc | TransferDoc,
    indexes=(BY_OWNER, BY_SOURCE, BY_TARGET, NAMES),
    deleted=lambda doc: isinstance(doc, AccountDoc) and not doc.currency,
)


def evolve(doc: AccountsDoc | None, recorded: RecordedEvent) -> AccountsDoc:
    record, event = recorded.record, recorded.event
    if isinstance(doc, TransferDoc) or isinstance(event, TransferRequested):
        return _evolve_transfer(doc, recorded)
    account = doc or AccountDoc(record.stream.removeprefix(STREAM_PREFIX))
    match event:
        case AccountOpened():
            account = replace(
                account,
                owner_id=event.owner_id,
                owner=event.owner,
                name=event.name,
                currency=event.currency,
                opened_us=record.time_us,
            )
        case AccountCredited(minor=minor) | AccountRefunded(minor=minor):
            account = replace(account, balance=account.balance + minor)
        case AccountDebited(minor=minor):
            account = replace(account, balance=account.balance - minor)
        case AccountClosed():
            account = replace(account, closed=True)
        case DebitRefused() | CreditRefused() | Unread():
            pass
        case _:
            raise CorruptData(f"{record.stream} has a {record.type}, which does not belong there")
    return replace(account, changed_us=record.time_us, version=record.version)


def evolve_account(doc: AccountDoc | None, recorded: RecordedEvent) -> AccountDoc:
    """As `evolve`, for those who fold the stream of one account."""
    account = evolve(doc, recorded)
    if not isinstance(account, AccountDoc):
        raise CorruptData(f"{recorded.stream} is not an account's stream")
    return account


def _evolve_transfer(doc: AccountsDoc | None, recorded: RecordedEvent) -> AccountsDoc:
    record, event = recorded.record, recorded.event
    if doc is None and isinstance(event, TransferRequested):
        transfer = record.stream.removeprefix(transfers.STREAM_PREFIX)
        return TransferDoc(transfer, event.source, event.target, record.time_us)
    if isinstance(doc, TransferDoc):
        return doc
    raise CorruptData(f"{record.stream} has a {record.type}, which does not belong there")


projection: Final[Projection[AccountsDoc]] = Projection(name="accounts", shape=1, evolve=evolve)
