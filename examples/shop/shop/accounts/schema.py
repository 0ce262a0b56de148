"""The accounts' part of the graph: customers, as they are now and as they came to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, cast

import strawberry
import uuid6
from msgspec import to_builtins
from strawberry.types import Info

from eventgraph.serving import connections, history, inputs
from eventgraph.serving.federation import MUTATION, QUERY, FederatedSchema, Representation, field, key_of
from eventgraph.serving.inherited import inherits
from eventgraph.serving.mutations import Mutations, Payload
from eventgraph.serving.request import Request
from eventkernel.events import moment
from eventkernel.reading.documents import DocumentQuestions
from shop.accounts.domain import STREAM_PREFIX, CustomerEvent, CustomerState, SaveCustomer
from shop.accounts.given import SaveCustomerInput, chosen_id, customer_of
from shop.accounts.projection import BY_NAME, NAMES, CustomerDoc, evolve
from shop.graph import (
    ACCOUNTS_SCALARS,
    Address,
    Contact,
    CreditCard,
    PersonName,
    addresses_of,
    cards_of,
    contact_of,
    name_of,
)

SEARCH_LIMIT: Final = 100
PAGES_LIMIT: Final = 20_000
"""How many customers all pages of one request have at most together."""

CustomerMutations = Mutations[CustomerState, SaveCustomer, CustomerEvent]
AccountsRequest = Request[DocumentQuestions[CustomerDoc], CustomerMutations]
AccountsInfo = Info[AccountsRequest, None]

First = Annotated[int | None, connections.how_many("customers")]
_BY_NAME: Final = "customers by name"
_BY_ID: Final = "customers"


@inherits(own_last=True, types="`accounts.CustomerCreated` or `accounts.CustomerChanged`")
@strawberry.type(description="Something that happened to a customer.")
class CustomerChange(history.HistoryEvent):
    pass


@inherits(item="event", list="history")
@strawberry.type(description="An event's place in a customer's history.")
class CustomerChangeEdge(connections.Edge):
    node: CustomerChange = strawberry.field(description="The event.")


@inherits(list="history")
@strawberry.type(description="A page of a customer's history.")
class CustomerChangeConnection(connections.Connection):
    edges: list[CustomerChangeEdge] = strawberry.field(description="The events of this page, oldest first.")


@strawberry.federation.type(keys=["id"], description="Somebody who buys here.")
class Customer:
    id: strawberry.ID = strawberry.field(description="The customer's id.")
    name: PersonName = strawberry.field(description="Their name.")
    contact: Contact = strawberry.field(description="How they can be reached.")
    addresses: list[Address] = strawberry.field(description="Their addresses.")
    credit_cards: list[CreditCard] = strawberry.field(description="Their cards.")
    created_at: datetime = strawberry.field(description="When they became a customer.")
    changed_at: datetime = strawberry.field(description="When they were changed last.")
    version: int = strawberry.field(
        description="The number of the customer's latest change; the first is number 1. For `expectedVersion`."
    )

    @field("How the customer came to be as they are here: the events up to `version`, oldest first.")
    async def history(
        self, info: AccountsInfo, first: history.First = inputs.PAGE_DEFAULT, after: history.After = strawberry.UNSET
    ) -> CustomerChangeConnection | None:
        stream = STREAM_PREFIX + self.id
        page, _ = await history.history(info.context, info.context.writes, stream, self.version, first, after)
        edges = [
            CustomerChangeEdge(node=CustomerChange(recorded=one), cursor=cursor)
            for one, cursor in zip(page.nodes, page.cursors, strict=True)
        ]
        return CustomerChangeConnection(edges=edges, page_info=page.info)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[Customer | None]:
        request: AccountsRequest = info.context
        docs = await request.loader(_load_customers).load_many([key_of(one) for one in representations])
        return [None if doc is None else _customer(doc) for doc in docs]


@inherits(item="customer", list="list")
@strawberry.type(description="A customer's place in a list of customers.")
class CustomerEdge(connections.Edge):
    node: Customer = strawberry.field(description="The customer.")


@inherits(list="list")
@strawberry.type(description="A page of a list of customers.")
class CustomerConnection(connections.Connection):
    edges: list[CustomerEdge] = strawberry.field(description="The customers of this page, in the order of the list.")


@inherits(item="customer")
@strawberry.type(description="A customer was created or changed.")
class SaveCustomerPayload(Payload):
    customer: Customer = strawberry.field(description="The customer as this change has made them.")


@strawberry.type(description=QUERY)
class Query:
    @field("The customer with this id; null if there is none.")
    async def customer(
        self,
        info: AccountsInfo,
        customer_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The customer's id.")],
    ) -> Customer | None:
        doc = await info.context.loader(_load_customers).load(inputs.identifier("id", customer_id))
        return None if doc is None else _customer(doc)

    @field("All customers, in the order of their family names.")
    async def customers(
        self, info: AccountsInfo, first: First = inputs.PAGE_DEFAULT, after: connections.After = strawberry.UNSET
    ) -> CustomerConnection | None:
        asked = connections.asked(_BY_NAME, first, after)
        info.context.spend("customers in pages", asked.size, PAGES_LIMIT)
        found = await (await info.context.view()).page(BY_NAME, after=asked.behind, limit=asked.limit)
        return asked.of_documents(CustomerConnection, CustomerEdge, found, _customer)

    @field(
        "The customers for whom every word of a text is the beginning of a word of their names, whatever case and "
        "accents; in the order of their ids."
    )
    async def search_customers(
        self,
        info: AccountsInfo,
        text: Annotated[str, strawberry.argument(description=f"Beginnings of words, 1 to {SEARCH_LIMIT} characters.")],
        first: First = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> CustomerConnection | None:
        beginnings = inputs.beginnings("text", text, limit=SEARCH_LIMIT)
        asked = connections.asked(_BY_ID, first, after)
        info.context.spend("customers in pages", asked.size, PAGES_LIMIT)
        found = await (await info.context.view()).search(NAMES, beginnings, after=asked.behind, limit=asked.limit)
        return asked.of_documents(CustomerConnection, CustomerEdge, found, _customer)


@strawberry.type(description=MUTATION)
class Mutation:
    @field(
        "Create a customer, or replace all that is known of one. Of a card's number only the brand and the last four "
        "digits are kept. The same data again change nothing. With `expectedVersion` only an existing customer is "
        "changed: NOT_FOUND if there is none."
    )
    async def save_customer(
        self,
        info: AccountsInfo,
        given: Annotated[SaveCustomerInput, strawberry.argument(name="input", description="The customer.")],
    ) -> SaveCustomerPayload | None:
        chosen = chosen_id(given)
        customer_id = chosen or str(uuid6.uuid7())
        customer = customer_of(given)
        content = cast("dict[str, object]", to_builtins(customer))
        done = await info.context.writes.run(
            info.context,
            SaveCustomer(customer_id, customer),
            stream=STREAM_PREFIX + customer_id,
            mutation="saveCustomer",
            content={**content, "id": chosen},
            key=given.idempotency_key,
            expected_version=given.expected_version,
        )
        return SaveCustomerPayload(done=done, customer=_customer(done.fold(evolve)))


schema: Final = FederatedSchema(query=Query, mutation=Mutation, scalars=ACCOUNTS_SCALARS)


async def _load_customers(view: DocumentQuestions[CustomerDoc], ids: Sequence[str]) -> Sequence[CustomerDoc | None]:
    found = await view.many(ids)
    return [found.get(customer) for customer in ids]


def _customer(doc: CustomerDoc) -> Customer:
    return Customer(
        id=strawberry.ID(doc.id),
        name=name_of(doc.customer),
        contact=contact_of(doc.customer),
        addresses=addresses_of(doc.customer),
        credit_cards=cards_of(doc.customer),
        created_at=moment(doc.created_us),
        changed_at=moment(doc.changed_us),
        version=doc.version,
    )
