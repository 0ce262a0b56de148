"""A small bank: accounts with owners, and transfers between them by a process manager of the kernel.

    account-1    Opened(owner) Deposited(5) Debited(3, transfer) …        never below zero; the owner is a claim
    transfer-7   Asked(source, target, amount) → Completed | Failed
    booking-3    Booked(box, before)            a safe-deposit box of which there are as many as `BOXES` says

A transfer is a saga: debit the source; where that is refused, fail; credit the target; complete. Every command's id is
made from the event that asked for the transfer, so that any number of deliveries have one effect.

A booking is decided over all bookings of its kind of box, by their tag: its append has a condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, assert_never

from eventkernel.adapters.mongodb.build import Advance, MongoViewBuild
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.clock import Clock
from eventkernel.decider import Decider
from eventkernel.errors import IdempotencyMismatch, NotFound, Refusal
from eventkernel.events import DomainEvent, RecordedEvent, Tag
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reacting.process import ProcessManager
from eventkernel.reading.audit import Audit
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.changes import Rows
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.membership import Membership
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Change, Projection, State
from eventkernel.writing.boundary import Query
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler, Outcome, fingerprint
from eventkernel.writing.decisions import DecisionHandler
from eventkernel.writing.store import EventStore

PROCESS: Final = "transfers"
BOXES: Final = 3
"""How many there are of each kind of box."""


class Opened(DomainEvent, frozen=True, tag="bank.Opened"):
    owner: str


class Deposited(DomainEvent, frozen=True, tag="bank.Deposited"):
    amount: int
    key: str


class Debited(DomainEvent, frozen=True, tag="bank.Debited"):
    amount: int
    transfer: str


class Credited(DomainEvent, frozen=True, tag="bank.Credited"):
    amount: int
    transfer: str


class Asked(DomainEvent, frozen=True, tag="bank.Asked"):
    source: str
    target: str
    amount: int


class Booked(DomainEvent, frozen=True, tag="bank.Booked"):
    box: Annotated[str, Tag("box")]
    before: int
    """How many bookings of such a box the decision knew of."""
    key: str


class Completed(DomainEvent, frozen=True, tag="bank.Completed"):
    pass


class Failed(DomainEvent, frozen=True, tag="bank.Failed"):
    pass


EVENT_TYPES: Final = (Opened, Deposited, Debited, Credited, Asked, Booked, Completed, Failed)

Event = Opened | Deposited | Debited | Credited | Asked | Booked | Completed | Failed
"""A command of this bank is the event that it asks for, but for bookings."""


class TooLittle(Refusal):
    code = "NOT_ENOUGH"


class NoBox(Refusal):
    code = "NO_BOX"


class NoAccount(NotFound):
    """There is no such account."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account or a transfer, as the rules see it."""

    owner: str = ""
    balance: int = 0
    transfer: str = ""


def evolve(state: Account, event: Event) -> Account:
    match event:
        case Opened(owner):
            return Account(owner)
        case Deposited(amount) | Credited(amount):
            return Account(state.owner, state.balance + amount)
        case Debited(amount):
            return Account(state.owner, state.balance - amount)
        case Asked():
            return Account(transfer="asked")
        case Completed() | Failed():
            return Account(transfer=type(event).__name__.lower())
        case Booked():
            return Account()
        case _:
            assert_never(event)


def decide(command: Event, state: Account) -> Sequence[Event]:
    match command:
        case Opened():
            if state.owner:
                raise TooLittle("the account is open")
        case Deposited() | Credited() | Debited():
            if not state.owner:
                raise NoAccount("there is no such account")
            if isinstance(command, Debited) and state.balance < command.amount:
                raise TooLittle(f"expected {command.amount}, found {state.balance}")
        case Asked() | Completed() | Failed() | Booked():
            pass
        case _:
            assert_never(command)
    return [command]


def claims(state: Account) -> frozenset[str]:
    return frozenset({f"owner:{state.owner}"}) if state.owner else frozenset()


decider: Decider[Account, Event, Event] = Decider(Account, decide, evolve)


@dataclass(frozen=True, slots=True)
class Book:
    """A command."""

    box: str
    key: str


def _decide_booking(command: Book, booked: int) -> Sequence[Booked]:
    if booked >= BOXES:
        raise NoBox(f"all {BOXES} boxes are booked")
    return [Booked(command.box, booked, command.key)]


bookings: Decider[int, Book, Booked] = Decider(lambda: 0, _decide_booking, lambda booked, _: booked + 1)


def _boundary(command: Book) -> Query:
    return Query.of(f"box:{command.box}", types=[Booked])


def _evolve(doc: Account | None, recorded: RecordedEvent) -> Account:
    event = recorded.event
    assert isinstance(event, EVENT_TYPES)
    return evolve(doc or Account(), event)


projection: Projection[Account] = Projection(name="bank", shape=1, evolve=_evolve)


class MongoAccounts(MongoViewBuild[Account]):
    collections: ClassVar = {"accounts": []}
    writes: ClassVar = {"accounts": Advance("accounts")}

    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[Account]]:
        return {document["_id"]: _state(document) for document in await self.by_ids("accounts", streams)}

    def rows_of(self, change: Change[Account]) -> Rows[dict[str, Any]]:
        yield "accounts", {"_id": change.stream, **_document(change.states[-1])}

    async def accounts(self) -> dict[str, dict[str, Any]]:
        return {document["_id"]: document for document in await self.ask("accounts", [])}


def _document(state: State[Account]) -> dict[str, Any]:
    place = {"time_us": state.time_us, "log": state.log, "partition": state.partition, "offset": state.offset}
    doc = state.doc
    return {"version": state.version, **place, "owner": doc.owner, "balance": doc.balance, "transfer": doc.transfer}


def _state(document: Mapping[str, Any]) -> State[Account]:
    return State(
        version=document["version"],
        time_us=document["time_us"],
        log=document["log"],
        partition=document["partition"],
        offset=document["offset"],
        doc=Account(document["owner"], document["balance"], document["transfer"]),
    )


@dataclass(frozen=True)
class Bank:
    """One replica's bank."""

    handler: CommandHandler[Account, Event, Event]
    bookings: DecisionHandler[int, Book, Booked]
    gate: BookmarkGate[MongoAccounts]
    projector: Projector[Account]
    transfers: ProcessManager[MongoAccounts]
    audit: Audit

    async def run(self, stream: str, command: Event, key: str) -> Outcome:
        return await self.handler.execute(
            stream, command, command_id=key, fingerprint=fingerprint(type(command).__name__, [stream, repr(command)])
        )

    async def book(self, stream: str, command: Book) -> Outcome:
        return await self.bookings.execute(
            stream, command, command_id=command.key, fingerprint=fingerprint("Book", [stream, repr(command)])
        )

    async def accounts(self, bookmark: Bookmark) -> dict[str, dict[str, Any]]:
        """By stream: what the view has, no older than the bookmark."""
        build = await self.gate.wait(bookmark, 5.0)
        return await build.accounts()


def bank_of(
    store: EventStore,
    view: MongoView[MongoAccounts],
    checkpoints: CheckpointStore,
    *,
    clock: Clock,
    membership: Membership,
) -> Bank:
    codec = Codec(EVENT_TYPES)
    handler: CommandHandler[Account, Event, Event] = CommandHandler(store, codec, decider, claims)
    booking: DecisionHandler[int, Book, Booked] = DecisionHandler(store, codec, bookings, _boundary)
    audit = Audit(view, [store])
    gate = BookmarkGate(view, [store], ["bank"], clock, audit)
    sources = [Source(store, codec)]
    transfers = ProcessManager(
        PROCESS,
        sources,
        gate,
        _Transfers(handler).react,
        checkpoints,
        reacts_to=[Asked],
        clock=clock,
        membership=membership,
    )
    projector = Projector(projection, sources, view, clock=clock, membership=membership, audit=audit)
    return Bank(handler, booking, gate, projector, transfers, audit)


@dataclass(frozen=True, slots=True)
class _Transfers:
    handler: CommandHandler[Account, Event, Event]

    async def react(self, recorded: RecordedEvent, _build: MongoAccounts) -> None:
        asked, transfer = recorded.event, recorded.stream
        assert isinstance(asked, Asked)
        if await self._is_refused(asked.source, Debited(asked.amount, transfer), recorded):
            await self._is_refused(transfer, Failed(), recorded)
        elif await self._is_refused(asked.target, Credited(asked.amount, transfer), recorded):
            # There is no such account: the money goes back to where it was.
            await self._is_refused(asked.source, Credited(asked.amount, transfer), recorded)
            await self._is_refused(transfer, Failed(), recorded)
        else:
            await self._is_refused(transfer, Completed(), recorded)

    async def _is_refused(self, stream: str, command: Event, because: RecordedEvent) -> bool:
        name = type(command).__name__
        try:
            await self.handler.execute(
                stream,
                command,
                command_id=f"{because.record.id} {name} {stream}",
                fingerprint=fingerprint(name, [stream, repr(command)]),
            )
        except IdempotencyMismatch:
            raise
        except Refusal:
            return True
        return False
