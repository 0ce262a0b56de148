"""What events mean to the transfers' view: a document per transfer, and one per account, to know which there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bank.accounts import domain as accounts
from bank.accounts.domain import AccountClosed, AccountOpened
from bank.transfers.domain import (
    STREAM_PREFIX,
    State,
    TransferCompleted,
    TransferDebited,
    TransferFailed,
    TransferRejected,
    TransferRequested,
)
from eventkernel.clock import SystemClock
from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent
from eventkernel.reading.documents import Documents, Index, Remarks, Words
from eventkernel.reading.views import Projection


class TransferDoc(Struct, frozen=True, tag="transfer"):
    """A transfer after its latest event."""

    id: str
    source: str
    target: str
    minor: int
    currency: str
    memo: str
    requested_us: int
    changed_us: int
    state: str = State.INITIAL
    reason: str = ""
    version: int = 1

    @property
    def is_over(self) -> bool:
        return self.state in {State.COMPLETED, State.FAILED}


class AccountDoc(Struct, frozen=True, tag="account"):
    """An account as far as transfers know it. Without a currency it was never opened."""

    id: str
    currency: str = ""
    closed: bool = False


TransfersDoc = TransferDoc | AccountDoc

NEWEST: Final = Index[TransfersDoc](
    "requested", by=lambda doc: (doc.requested_us,) if isinstance(doc, TransferDoc) else None
)
ON_ITS_WAY: Final = Index[TransfersDoc](
    "on_its_way", by=lambda doc: (doc.changed_us,) if isinstance(doc, TransferDoc) and not doc.is_over else None
)
"""Those that are not over, by when something happened last: the first ones hang."""
MEMOS: Final = Words[TransfersDoc]("memos", of=lambda doc: doc.memo if isinstance(doc, TransferDoc) else "")
HANGING: Final = timedelta(minutes=1)
"""A transfer that has taken no step for so long hangs."""


def hanging(docs: Iterable[TransfersDoc], now_us: int) -> Sequence[str]:
    """Of transfers on their way, longest first: how many hang, and which one for the longest time."""
    since = now_us - HANGING // timedelta(microseconds=1)
    found = [doc for doc in docs if isinstance(doc, TransferDoc) and doc.changed_us < since]
    if not found:
        return []
    longest = timedelta(microseconds=now_us - found[0].changed_us) // timedelta(seconds=1)
    count = "1 transfer hangs" if len(found) == 1 else f"{len(found)} transfers hang"
    return [f"{count}, {found[0].id} the longest: {found[0].state} for {longest} s (`bank drive` drives it on)"]


TRANSFERS: Final = Documents[TransfersDoc](
    TransferDoc | AccountDoc,
    indexes=(NEWEST, ON_ITS_WAY, MEMOS),
    deleted=lambda doc: isinstance(doc, AccountDoc) and not doc.currency,
    remarks=(Remarks(ON_ITS_WAY, of=lambda docs: hanging(docs, SystemClock().now_us())),),
)


def evolve(doc: TransfersDoc | None, recorded: RecordedEvent) -> TransfersDoc:
    record, event = recorded.record, recorded.event
    if record.stream.startswith(accounts.STREAM_PREFIX):
        return _evolve_account(doc, recorded)
    if doc is None and isinstance(event, TransferRequested):
        return TransferDoc(
            id=record.stream.removeprefix(STREAM_PREFIX),
            source=event.source,
            target=event.target,
            minor=event.minor,
            currency=event.currency,
            memo=event.memo,
            requested_us=record.time_us,
            changed_us=record.time_us,
        )
    if not isinstance(doc, TransferDoc):
        raise CorruptData(f"{record.stream} does not begin with the transfer's request")
    changed = replace(doc, changed_us=record.time_us, version=record.version)
    match event:
        case TransferDebited():
            return replace(changed, state=State.DEBITED)
        case TransferCompleted():
            return replace(changed, state=State.COMPLETED)
        case TransferRejected(reason=reason):
            return replace(changed, state=State.RETURNING, reason=reason)
        case TransferFailed(reason=reason):
            return replace(changed, state=State.FAILED, reason=reason)
        case _:
            return changed


def evolve_transfer(doc: TransferDoc | None, recorded: RecordedEvent) -> TransferDoc:
    """As `evolve`, for those who fold the stream of one transfer."""
    transfer = evolve(doc, recorded)
    if not isinstance(transfer, TransferDoc):
        raise CorruptData(f"{recorded.stream} is not a transfer's stream")
    return transfer


def _evolve_account(doc: TransfersDoc | None, recorded: RecordedEvent) -> AccountDoc:
    account = doc or AccountDoc(recorded.stream.removeprefix(accounts.STREAM_PREFIX))
    if not isinstance(account, AccountDoc):
        raise CorruptData(f"{recorded.stream} has a {recorded.record.type}, which does not belong there")
    match recorded.event:
        case AccountOpened(currency=currency):
            return replace(account, currency=currency)
        case AccountClosed():
            return replace(account, closed=True)
        case _:
            return account


projection: Final[Projection[TransfersDoc]] = Projection(name="transfers", shape=1, evolve=evolve)
