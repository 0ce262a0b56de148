"""The accounts' part of the graph: types, queries and mutations, each a thin layer over the view and the commands."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, cast

import strawberry
import uuid6
from strawberry.types import Info

from bank.accounts.domain import STREAM_PREFIX, AccountCommand, AccountEvent, Close, Credit, Debit
from bank.accounts.domain import Account as AccountState
from bank.accounts.limit import OpenForOwner
from bank.accounts.projection import (
    BY_OWNER,
    BY_SOURCE,
    BY_TARGET,
    NAMES,
    AccountDoc,
    AccountsDoc,
    TransferDoc,
    evolve_account,
)
from bank.accounts.statement import amount_of, statement_of
from bank.graph import SCALARS, FirstTransfers
from bank.money import Money, digits_of
from bank.transfers.domain import STREAM_PREFIX as TRANSFER_STREAM_PREFIX
from eventgraph.serving import connections, history, inputs
from eventgraph.serving.federation import MUTATION, QUERY, FederatedSchema, Representation, field, key_of
from eventgraph.serving.inherited import inherits
from eventgraph.serving.mutations import Done, KeyedInput, Mutations, Payload, VersionedInput
from eventgraph.serving.request import Request
from eventkernel.errors import InvalidInput, TooCostly
from eventkernel.events import RecordedEvent, moment
from eventkernel.reading.documents import DocumentQuestions, placed
from eventkernel.writing.boundary import Query as Tagged

NAME_LIMIT: Final = 100
MEMO_LIMIT: Final = 200
SEARCH_LIMIT: Final = 100
PAGES_LIMIT: Final = 20_000
"""How many accounts, changes or transfers all pages of one request have at most together."""
BOOKINGS_LIMIT: Final = 10_000
"""How many changes of an account a statement goes through at most."""

AccountMutations = Mutations[AccountState, AccountCommand, AccountEvent]
OwnerMutations = Mutations[int, OpenForOwner, Any]


@dataclass(frozen=True, slots=True)
class AccountWrites:
    """Commands about one account, and those about all accounts of an owner."""

    accounts: AccountMutations
    owners: OwnerMutations


AccountsRequest = Request[DocumentQuestions[AccountsDoc], AccountWrites]
AccountsInfo = Info[AccountsRequest, None]

First = Annotated[int | None, connections.how_many("accounts")]
FirstChanges = Annotated[int | None, connections.how_many("changes")]
_BY_ID: Final = "accounts"
_CHANGES: Final = "changes"
_TRANSFERS: Final = "transfers"
_OWNED: Final = "owned"


@inherits(
    own_last=True,
    types="`accounts.AccountOpened`, `accounts.AccountCredited`, `accounts.AccountDebited`, "
    "`accounts.AccountRefunded`, `accounts.DebitRefused`, `accounts.CreditRefused` or `accounts.AccountClosed`",
)
@strawberry.type(description="Something that happened to an account.")
class AccountChange(history.HistoryEvent):
    account: Account = strawberry.field(description="The account.")

    @field("What it added to the balance, less than nothing for what it took; null: nothing.")
    def amount(self) -> Money | None:
        return amount_of(self.recorded.event, self.account.currency)

    @field("What was written beside it; null: nothing.")
    def memo(self) -> str | None:
        return cast("str | None", getattr(self.recorded.event, "memo", None)) or None

    @field("The transfer that it belongs to; null: to none.")
    def transfer(self) -> Transfer | None:
        transfer = cast("str | None", getattr(self.recorded.event, "transfer", None))
        return None if transfer is None else Transfer(id=strawberry.ID(transfer))

    @field("Why the account takes no part in a transfer; null: it does.")
    def reason(self) -> str | None:
        return cast("str | None", getattr(self.recorded.event, "reason", None))


@inherits(item="change", list="list")
@strawberry.type(description="A change's place in the list of an account's changes.")
class AccountChangeEdge(connections.Edge):
    node: AccountChange = strawberry.field(description="The change.")


@inherits(list="list")
@strawberry.type(description="A page of an account's changes.")
class AccountChangeConnection(connections.Connection):
    edges: list[AccountChangeEdge] = strawberry.field(description="The changes of this page, newest first.")


@strawberry.federation.type(keys=["id"], description="Money that moves from one account to another.")
class Transfer:
    id: strawberry.ID = strawberry.field(description="The transfer's id, made by the server.")

    @field(
        "What the accounts have done for the transfer, oldest first. With the transfer's own `history`, and by their "
        "correlations and causations, it is the whole trail from the client's request on."
    )
    async def bookings(self, info: AccountsInfo) -> list[AccountChange] | None:
        mutations = info.context.writes.accounts
        found: dict[str, RecordedEvent] = {}
        async with aclosing(mutations.store.read_tagged(Tagged.of(f"transfer:{self.id}"))) as batches:
            async for batch in batches:
                found |= {record.id: mutations.decoded(record) for record in batch.records}
        docs = await info.context.loader(_load_accounts).load_many([_account_of(one) for one in found.values()])
        booked = [
            AccountChange(recorded=one, account=_account(doc))
            for one, doc in zip(found.values(), docs, strict=True)
            if doc is not None
        ]
        return sorted(booked, key=lambda one: (one.recorded.record.time_us, one.recorded.record.id))

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[Transfer | None]:
        del info
        return [Transfer(id=strawberry.ID(key_of(representation))) for representation in representations]


@inherits(item="transfer", list="list")
@strawberry.type(description="A transfer's place in the list of an account's transfers.")
class AccountTransferEdge(connections.Edge):
    node: Transfer = strawberry.field(description="The transfer.")


@inherits(list="list")
@strawberry.type(description="A page of the transfers that touch an account.")
class AccountTransferConnection(connections.Connection):
    edges: list[AccountTransferEdge] = strawberry.field(description="The transfers of this page, newest first.")


@strawberry.federation.type(keys=["id"], description="An account, kept in one currency, never overdrawn.")
class Account:
    id: strawberry.ID = strawberry.field(description="The account's id, made by the server.")
    owner_id: strawberry.ID = strawberry.field(description="The id of the person whose account it is.")
    owner: str = strawberry.field(description="That person's name.")
    name: str = strawberry.field(description="What the owner calls the account.")
    currency: str = strawberry.field(description="The currency that it is kept in (ISO 4217).")
    balance: Money = strawberry.field(description="What is in it.")
    closed: bool = strawberry.field(description="Whether it was closed.")
    opened_at: datetime = strawberry.field(description="When it was opened.")
    changed_at: datetime = strawberry.field(description="When something happened to it last.")
    version: int = strawberry.field(
        description="The number of the account's latest change; its opening is number 1. For `expectedVersion`."
    )

    @field("What has happened to the account up to `version`, newest first.")
    async def changes(
        self,
        info: AccountsInfo,
        first: FirstChanges = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> AccountChangeConnection | None:
        asked = connections.asked(_CHANGES, first, after)
        before = history.version_of(asked)
        newest = self.version if before is None else min(self.version, before - 1)
        info.context.spend("changes in pages", asked.size, PAGES_LIMIT)
        recorded = await info.context.writes.accounts.recorded(
            STREAM_PREFIX + self.id, newest, after=max(0, newest - asked.limit)
        )
        return asked.connection(
            AccountChangeConnection,
            AccountChangeEdge,
            recorded[::-1],
            key=lambda one: str(one.version),
            node=lambda one: AccountChange(recorded=one, account=self),
        )

    @field("The transfers from and to the account, newest first.")
    async def transfers(
        self,
        info: AccountsInfo,
        first: FirstTransfers = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> AccountTransferConnection | None:
        asked = connections.asked(_TRANSFERS, first, after)
        info.context.spend("transfers in pages", asked.size, PAGES_LIMIT)
        return asked.connection(
            AccountTransferConnection,
            AccountTransferEdge,
            await _transfers_of(info, self.id, asked.behind, asked.limit),
            key=_transfer_key,
            node=lambda doc: Transfer(id=strawberry.ID(doc.id)),
        )

    @field(
        "The account's statement of a period, as text for a person: the balance before, each booking with the balance "
        f"after it, the balance at the end. TOO_COSTLY for an account with more than {BOOKINGS_LIMIT} changes."
    )
    async def statement(
        self,
        info: AccountsInfo,
        start: Annotated[datetime, strawberry.argument(name="from", description="When the period begins.")],
        until: Annotated[datetime, strawberry.argument(description="When the period ends; it is not part of it.")],
    ) -> str | None:
        if not start <= until:
            raise InvalidInput("until: expected a moment not before `from`, found an earlier one")
        if self.version > BOOKINGS_LIMIT:
            raise TooCostly(f"expected an account with at most {BOOKINGS_LIMIT} changes, found {self.version}")
        info.context.spend("changes in statements", self.version, BOOKINGS_LIMIT)
        recorded = await info.context.writes.accounts.recorded(STREAM_PREFIX + self.id, self.version)
        before = Money(0, self.currency)
        for one in recorded:
            if one.record.time < start and (amount := amount_of(one.event, self.currency)) is not None:
                before += amount
        booked = [one for one in recorded if start <= one.record.time < until]
        return statement_of(self, before, booked, start, until)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[Account | None]:
        request: AccountsRequest = info.context
        docs = await request.loader(_load_accounts).load_many([key_of(one) for one in representations])
        return [None if doc is None else _account(doc) for doc in docs]


@inherits(item="account", list="list")
@strawberry.type(description="An account's place in a list of accounts.")
class AccountEdge(connections.Edge):
    node: Account = strawberry.field(description="The account.")


@inherits(list="list")
@strawberry.type(description="A page of a list of accounts.")
class AccountConnection(connections.Connection):
    edges: list[AccountEdge] = strawberry.field(description="The accounts of this page, in the order of the list.")


_AMOUNT: Final = "How much, more than nothing, in the account's currency."
_MEMO: Final = f"What to write beside it, at most {MEMO_LIMIT} characters."


@inherits()
@strawberry.input(description="An account to open.")
class OpenAccountInput(KeyedInput):
    owner_id: strawberry.ID = strawberry.field(description="The id of the person whose account it will be.")
    owner: str = strawberry.field(description=f"That person's name, 1 to {NAME_LIMIT} characters.")
    name: str = strawberry.field(description=f"What to call the account, 1 to {NAME_LIMIT} characters.")
    currency: str = strawberry.field(description="The currency to keep it in (ISO 4217), such as `EUR`.")


@inherits()
@strawberry.input(description="Money that is paid in.")
class CreditInput(VersionedInput):
    account_id: strawberry.ID = strawberry.field(description="The account's id.")
    amount: Money = strawberry.field(description=_AMOUNT)
    memo: str | None = strawberry.field(default=strawberry.UNSET, description=_MEMO)


@inherits()
@strawberry.input(description="Money that is paid out.")
class DebitInput(VersionedInput):
    account_id: strawberry.ID = strawberry.field(description="The account's id.")
    amount: Money = strawberry.field(description=_AMOUNT)
    memo: str | None = strawberry.field(default=strawberry.UNSET, description=_MEMO)


@inherits()
@strawberry.input(description="An account to close.")
class CloseAccountInput(VersionedInput):
    account_id: strawberry.ID = strawberry.field(description="The account's id.")


@inherits(item="account")
@strawberry.type(description="An account was opened.")
class OpenAccountPayload(Payload):
    account: Account = strawberry.field(description="The account as this change has made it.")


@inherits(item="account")
@strawberry.type(description="Money was paid in.")
class CreditPayload(Payload):
    account: Account = strawberry.field(description="The account as this change has made it.")


@inherits(item="account")
@strawberry.type(description="Money was paid out.")
class DebitPayload(Payload):
    account: Account = strawberry.field(description="The account as this change has made it.")


@inherits(item="account")
@strawberry.type(description="An account was closed.")
class CloseAccountPayload(Payload):
    account: Account = strawberry.field(description="The account as this change has made it.")


@strawberry.type(description=QUERY)
class Query:
    @field("The account with this id; null if there is none.")
    async def account(
        self,
        info: AccountsInfo,
        account_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The account's id.")],
    ) -> Account | None:
        doc = await info.context.loader(_load_accounts).load(inputs.identifier("id", account_id))
        return None if doc is None else _account(doc)

    @field("The accounts of a person, in the order in which they were opened.")
    async def accounts(
        self,
        info: AccountsInfo,
        owner_id: Annotated[strawberry.ID, strawberry.argument(description="The person's id.")],
        first: First = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> AccountConnection | None:
        asked = connections.asked(_OWNED, first, after)
        info.context.spend("accounts in pages", asked.size, PAGES_LIMIT)
        where = (inputs.identifier("ownerId", owner_id),)
        found = await (await info.context.view()).page(BY_OWNER, where=where, after=asked.behind, limit=asked.limit)
        return asked.of_documents(AccountConnection, AccountEdge, found, _account_or_none)

    @field(
        "The accounts for which every word of a text is the beginning of a word of their names or of their owners' "
        "names, whatever case and accents; in the order of their ids."
    )
    async def search_accounts(
        self,
        info: AccountsInfo,
        text: Annotated[str, strawberry.argument(description=f"Beginnings of words, 1 to {SEARCH_LIMIT} characters.")],
        first: First = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> AccountConnection | None:
        beginnings = inputs.beginnings("text", text, limit=SEARCH_LIMIT)
        asked = connections.asked(_BY_ID, first, after)
        info.context.spend("accounts in pages", asked.size, PAGES_LIMIT)
        found = await (await info.context.view()).search(NAMES, beginnings, after=asked.behind, limit=asked.limit)
        return asked.of_documents(AccountConnection, AccountEdge, found, _account_or_none)


@strawberry.type(description=MUTATION)
class Mutation:
    @field("Open an account. TOO_MANY_ACCOUNTS if its owner has as many open accounts as one may have.")
    async def open_account(
        self,
        info: AccountsInfo,
        given: Annotated[OpenAccountInput, strawberry.argument(name="input", description="The account to open.")],
    ) -> OpenAccountPayload | None:
        digits_of(given.currency)
        command = OpenForOwner(
            owner_id=inputs.identifier("ownerId", given.owner_id),
            owner=inputs.text("owner", given.owner, limit=NAME_LIMIT),
            name=inputs.text("name", given.name, limit=NAME_LIMIT),
            currency=given.currency,
        )
        content = {
            "ownerId": command.owner_id,
            "owner": command.owner,
            "name": command.name,
            "currency": command.currency,
        }
        done = await info.context.writes.owners.run(
            info.context,
            command,
            stream=STREAM_PREFIX + str(uuid6.uuid7()),
            mutation="openAccount",
            content=content,
            key=given.idempotency_key,
        )
        return OpenAccountPayload(done=done, account=_account(done.fold(evolve_account)))

    @field("Pay money in. NOT_FOUND if there is no such account, ACCOUNT_UNFIT if it cannot take the money.")
    async def credit(
        self,
        info: AccountsInfo,
        given: Annotated[CreditInput, strawberry.argument(name="input", description="The money.")],
    ) -> CreditPayload | None:
        done = await _book(info, "credit", Credit(given.amount, _memo(given.memo)), given)
        return CreditPayload(done=done, account=_account(done.fold(evolve_account)))

    @field("Pay money out. INSUFFICIENT_FUNDS if the account has less, NOT_FOUND and ACCOUNT_UNFIT as for `credit`.")
    async def debit(
        self,
        info: AccountsInfo,
        given: Annotated[DebitInput, strawberry.argument(name="input", description="The money.")],
    ) -> DebitPayload | None:
        done = await _book(info, "debit", Debit(given.amount, _memo(given.memo)), given)
        return DebitPayload(done=done, account=_account(done.fold(evolve_account)))

    @field("Close an empty account, for ever. ACCOUNT_UNFIT while there is money in it.")
    async def close_account(
        self,
        info: AccountsInfo,
        given: Annotated[CloseAccountInput, strawberry.argument(name="input", description="The account.")],
    ) -> CloseAccountPayload | None:
        account_id = inputs.identifier("accountId", given.account_id)
        done = await info.context.writes.accounts.run(
            info.context,
            Close(),
            stream=STREAM_PREFIX + account_id,
            mutation="closeAccount",
            content={"accountId": account_id},
            key=given.idempotency_key,
            expected_version=given.expected_version,
        )
        return CloseAccountPayload(done=done, account=_account(done.fold(evolve_account)))


schema: Final = FederatedSchema(query=Query, mutation=Mutation, types=[Account, Transfer], scalars=SCALARS)


async def _book(info: AccountsInfo, mutation: str, command: Credit | Debit, given: CreditInput | DebitInput) -> Done:
    account_id = inputs.identifier("accountId", given.account_id)
    return await info.context.writes.accounts.run(
        info.context,
        command,
        stream=STREAM_PREFIX + account_id,
        mutation=mutation,
        content={"accountId": account_id, "amount": str(command.amount), "memo": command.memo},
        key=given.idempotency_key,
        expected_version=given.expected_version,
    )


def _memo(given: str | None) -> str:
    memo = inputs.given(given)
    return "" if not memo else inputs.text("memo", memo, limit=MEMO_LIMIT)


async def _load_accounts(view: DocumentQuestions[AccountsDoc], ids: Sequence[str]) -> Sequence[AccountDoc | None]:
    found = await view.many([STREAM_PREFIX + account for account in ids])
    docs = [found.get(STREAM_PREFIX + account) for account in ids]
    return [doc if isinstance(doc, AccountDoc) else None for doc in docs]


async def _transfers_of(info: AccountsInfo, account: str, behind: str | None, limit: int) -> Sequence[TransferDoc]:
    """Newest first: those that leave the account and those that come, each in the order of their index, as one list."""
    view = await info.context.view()
    moment_us, _, transfer = (behind or "").partition(" ")
    after = None if behind is None else (int(moment_us), transfer)
    pages: list[list[TransferDoc]] = []
    for index in (BY_SOURCE, BY_TARGET):
        place = None if after is None else placed((account, after[0])) + TRANSFER_STREAM_PREFIX + after[1]
        found = await view.page(index, where=(account,), after=place, limit=limit, descending=True)
        pages.append([one.doc for one in found if isinstance(one.doc, TransferDoc)])
    merged = heapq.merge(*pages, key=lambda doc: (doc.requested_us, doc.id), reverse=True)
    return [doc for doc, _ in zip(merged, range(limit), strict=False)]


def _transfer_key(doc: TransferDoc) -> str:
    return f"{doc.requested_us} {doc.id}"


def _account_of(recorded: RecordedEvent) -> str:
    return recorded.stream.removeprefix(STREAM_PREFIX)


def _account_or_none(doc: AccountsDoc) -> Account | None:
    return _account(doc) if isinstance(doc, AccountDoc) else None


def _account(doc: AccountDoc) -> Account:
    return Account(
        id=strawberry.ID(doc.id),
        owner_id=strawberry.ID(doc.owner_id),
        owner=doc.owner,
        name=doc.name,
        currency=doc.currency,
        balance=Money(doc.balance, doc.currency),
        closed=doc.closed,
        opened_at=moment(doc.opened_us),
        changed_at=moment(doc.changed_us),
        version=doc.version,
    )
