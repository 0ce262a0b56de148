"""The transfers' part of the graph: types, queries and the mutation that begins one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final

import strawberry
import uuid6
from strawberry.types import Info

from bank.graph import SCALARS, FirstTransfers
from bank.money import Money
from bank.transfers import domain
from bank.transfers.domain import STREAM_PREFIX, TransferCommand, TransferEvent
from bank.transfers.domain import Request as RequestTransfer
from bank.transfers.projection import (
    MEMOS,
    NEWEST,
    ON_ITS_WAY,
    TransferDoc,
    TransfersDoc,
    evolve_transfer,
)
from eventgraph.serving import connections, history, inputs
from eventgraph.serving.federation import MUTATION, QUERY, FederatedSchema, Representation, field, key_of
from eventgraph.serving.inherited import inherits
from eventgraph.serving.mutations import KeyedInput, Mutations, Payload
from eventgraph.serving.request import Request
from eventkernel.events import moment
from eventkernel.reading.documents import DocumentQuestions

MEMO_LIMIT: Final = 200
SEARCH_LIMIT: Final = 100
PAGES_LIMIT: Final = 20_000
"""How many transfers all pages of one request have at most together."""

TransferMutations = Mutations[domain.Transfer, TransferCommand, TransferEvent]


TransfersRequest = Request[DocumentQuestions[TransfersDoc], TransferMutations]
TransfersInfo = Info[TransfersRequest, None]

_NEWEST: Final = "newest"
_ON_ITS_WAY: Final = "on its way"
_BY_ID: Final = "transfers"


@strawberry.enum(description="How far a transfer is.")
class TransferState(Enum):
    INITIAL = strawberry.enum_value("INITIAL", description="It was asked for; nothing has moved.")
    DEBITED = strawberry.enum_value("DEBITED", description="The money has left the source.")
    RETURNING = strawberry.enum_value("RETURNING", description="The target refuses the money, which goes back.")
    COMPLETED = strawberry.enum_value("COMPLETED", description="The money has reached the target.")
    FAILED = strawberry.enum_value("FAILED", description="Nothing has moved, or it is back at the source.")


@strawberry.federation.type(keys=["id"], description="An account, kept in one currency, never overdrawn.")
class Account:
    id: strawberry.ID = strawberry.field(description="The account's id, made by the server.")

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[Account | None]:
        del info
        return [Account(id=strawberry.ID(key_of(representation))) for representation in representations]


@inherits(
    own_last=True,
    types="`transfers.TransferRequested`, `transfers.TransferDebited`, `transfers.TransferCompleted`, "
    "`transfers.TransferRejected` or `transfers.TransferFailed`",
)
@strawberry.type(description="A step of a transfer.")
class TransferStep(history.HistoryEvent):
    pass


@inherits(item="step", list="history")
@strawberry.type(description="A step's place in a transfer's history.")
class TransferStepEdge(connections.Edge):
    node: TransferStep = strawberry.field(description="The step.")


@inherits(list="history")
@strawberry.type(description="A page of a transfer's history.")
class TransferStepConnection(connections.Connection):
    edges: list[TransferStepEdge] = strawberry.field(description="The steps of this page, oldest first.")


@strawberry.federation.type(keys=["id"], description="Money that moves from one account to another.")
class Transfer:
    id: strawberry.ID = strawberry.field(description="The transfer's id, made by the server.")
    source: Account | None = strawberry.field(description="The account that the money comes from; null for none.")
    target: Account | None = strawberry.field(description="The account that it goes to; null for none.")
    amount: Money = strawberry.field(description="How much.")
    memo: str = strawberry.field(description="What was written beside it.")
    state: TransferState = strawberry.field(description="How far it is.")
    reason: str | None = strawberry.field(description="Why it failed, or goes back; null where it does not.")
    requested_at: datetime = strawberry.field(description="When it was asked for.")
    changed_at: datetime = strawberry.field(description="When its latest step was taken.")
    version: int = strawberry.field(description="The number of its latest step; the request is number 1.")

    @field("The steps of the transfer up to `version`, oldest first.")
    async def history(
        self,
        info: TransfersInfo,
        first: history.First = inputs.PAGE_DEFAULT,
        after: history.After = strawberry.UNSET,
    ) -> TransferStepConnection | None:
        stream = STREAM_PREFIX + self.id
        page, _ = await history.history(info.context, info.context.writes, stream, self.version, first, after)
        edges = [
            TransferStepEdge(node=TransferStep(recorded=one), cursor=cursor)
            for one, cursor in zip(page.nodes, page.cursors, strict=True)
        ]
        return TransferStepConnection(edges=edges, page_info=page.info)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[Transfer | None]:
        request: TransfersRequest = info.context
        docs = await request.loader(_load_transfers).load_many([key_of(one) for one in representations])
        return [None if doc is None else _transfer(doc) for doc in docs]


@inherits(item="transfer", list="list")
@strawberry.type(description="A transfer's place in a list of transfers.")
class TransferEdge(connections.Edge):
    node: Transfer = strawberry.field(description="The transfer.")


@inherits(list="list")
@strawberry.type(description="A page of a list of transfers.")
class TransferConnection(connections.Connection):
    edges: list[TransferEdge] = strawberry.field(description="The transfers of this page, in the order of the list.")


@inherits()
@strawberry.input(description="Money to move.")
class TransferInput(KeyedInput):
    source_id: strawberry.ID = strawberry.field(description="The id of the account that the money comes from.")
    target_id: strawberry.ID = strawberry.field(description="The id of the account that it goes to.")
    amount: Money = strawberry.field(description="How much, more than nothing, in the currency of both accounts.")
    memo: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"What to write beside it, at most {MEMO_LIMIT} characters."
    )


@inherits(item="transfer")
@strawberry.type(description="A transfer was asked for; it goes on by itself.")
class TransferPayload(Payload):
    transfer: Transfer = strawberry.field(description="The transfer as this change has made it.")


@strawberry.type(description=QUERY)
class Query:
    @field("The transfer with this id; null if there is none.")
    async def transfer(
        self,
        info: TransfersInfo,
        transfer_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The transfer's id.")],
    ) -> Transfer | None:
        doc = await info.context.loader(_load_transfers).load(inputs.identifier("id", transfer_id))
        return None if doc is None else _transfer(doc)

    @field("All transfers, newest first; or those that are on their way, longest first.")
    async def transfers(
        self,
        info: TransfersInfo,
        on_its_way: Annotated[
            bool, strawberry.argument(description="Only those that are neither completed nor failed.")
        ] = False,
        first: FirstTransfers = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> TransferConnection | None:
        index, order = (ON_ITS_WAY, _ON_ITS_WAY) if on_its_way else (NEWEST, _NEWEST)
        asked = connections.asked(order, first, after)
        info.context.spend("transfers in pages", asked.size, PAGES_LIMIT)
        view = await info.context.view()
        found = await view.page(index, after=asked.behind, limit=asked.limit, descending=not on_its_way)
        return asked.of_documents(TransferConnection, TransferEdge, found, _transfer_or_none)

    @field(
        "The transfers for which every word of a text is the beginning of a word of their memos, whatever case and "
        "accents; in the order of their ids."
    )
    async def search_transfers(
        self,
        info: TransfersInfo,
        text: Annotated[str, strawberry.argument(description=f"Beginnings of words, 1 to {SEARCH_LIMIT} characters.")],
        first: FirstTransfers = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> TransferConnection | None:
        beginnings = inputs.beginnings("text", text, limit=SEARCH_LIMIT)
        asked = connections.asked(_BY_ID, first, after)
        info.context.spend("transfers in pages", asked.size, PAGES_LIMIT)
        found = await (await info.context.view()).search(MEMOS, beginnings, after=asked.behind, limit=asked.limit)
        return asked.of_documents(TransferConnection, TransferEdge, found, _transfer_or_none)


@strawberry.type(description=MUTATION)
class Mutation:
    @field(
        "Ask for a transfer. It goes on by itself: the source is debited, then the target credited. Where the source "
        "refuses, it fails; where the target does, the money goes back first. Its `state` and `reason` say so."
    )
    async def transfer(
        self,
        info: TransfersInfo,
        given: Annotated[TransferInput, strawberry.argument(name="input", description="The money to move.")],
    ) -> TransferPayload | None:
        memo = inputs.given(given.memo)
        command = RequestTransfer(
            inputs.identifier("sourceId", given.source_id),
            inputs.identifier("targetId", given.target_id),
            given.amount,
            inputs.text("memo", memo, limit=MEMO_LIMIT) if memo else "",
        )
        done = await info.context.writes.run(
            info.context,
            command,
            stream=STREAM_PREFIX + str(uuid6.uuid7()),
            mutation="transfer",
            content={
                "sourceId": command.source,
                "targetId": command.target,
                "amount": str(command.amount),
                "memo": command.memo,
            },
            key=given.idempotency_key,
        )
        return TransferPayload(done=done, transfer=_transfer(done.fold(evolve_transfer)))


schema: Final = FederatedSchema(query=Query, mutation=Mutation, types=[Account, Transfer], scalars=SCALARS)


async def _load_transfers(view: DocumentQuestions[TransfersDoc], ids: Sequence[str]) -> Sequence[TransferDoc | None]:
    found = await view.many([STREAM_PREFIX + transfer for transfer in ids])
    docs = [found.get(STREAM_PREFIX + transfer) for transfer in ids]
    return [doc if isinstance(doc, TransferDoc) else None for doc in docs]


def _transfer_or_none(doc: TransfersDoc) -> Transfer | None:
    return _transfer(doc) if isinstance(doc, TransferDoc) else None


def _transfer(doc: TransferDoc) -> Transfer:
    return Transfer(
        id=strawberry.ID(doc.id),
        source=Account(id=strawberry.ID(doc.source)),
        target=Account(id=strawberry.ID(doc.target)),
        amount=Money(doc.minor, doc.currency),
        memo=doc.memo,
        state=TransferState(doc.state),
        reason=doc.reason or None,
        requested_at=moment(doc.requested_us),
        changed_at=moment(doc.changed_us),
        version=doc.version,
    )
