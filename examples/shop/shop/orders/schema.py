"""The orders' part of the graph: orders, the copies of customers, and a customer's orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Annotated, Any, Final

import strawberry
import uuid6
from strawberry.types import Info

from eventgraph.serving import connections, inputs
from eventgraph.serving.federation import MUTATION, QUERY, FederatedSchema, Representation, field, key_of
from eventgraph.serving.inherited import inherits
from eventgraph.serving.mutations import Done, KeyedInput, Mutations, Payload, VersionedInput
from eventgraph.serving.request import Request
from eventkernel.errors import InvalidInput, NotFound
from eventkernel.events import moment
from eventkernel.reading.documents import DocumentQuestions, Index, Value, placed
from shop import customers
from shop.accounts.domain import STREAM_PREFIX as CUSTOMER_STREAM_PREFIX
from shop.cards import without_number
from shop.customers import ERASED
from shop.graph import (
    ORDERS_SCALARS,
    Address,
    Contact,
    CreditCard,
    PersonName,
    addresses_of,
    cards_of,
    contact_of,
    name_of,
)
from shop.money import MOST_CENTS, Money
from shop.orders.domain import (
    STREAM_PREFIX,
    CancelOrder,
    Line,
    OrderCommand,
    OrderEvent,
    OrderState,
    PlaceOrder,
    ShipOrder,
    State,
)
from shop.orders.projection import (
    ALL,
    BY_CUSTOMER,
    BY_CUSTOMER_AND_STATE,
    BY_STATE,
    CustomerCopyDoc,
    OrderDoc,
    OrdersDoc,
    evolve_order,
)

DESCRIPTION_LIMIT: Final = 200
LINES_LIMIT: Final = 100
QUANTITY_LIMIT: Final = 1_000_000
PAGES_LIMIT: Final = 20_000
"""How many orders all pages of one request have at most together."""

OrderMutations = Mutations[OrderState, OrderCommand, OrderEvent]
OrdersRequest = Request[DocumentQuestions[OrdersDoc], OrderMutations]
OrdersInfo = Info[OrdersRequest, None]

First = Annotated[int | None, connections.how_many("orders")]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

strawberry.enum(State, name="OrderState", description="How far an order is.")


@strawberry.type(description="A customer as orders knows them from the accounts' log, at one version.")
class OrderCustomer:
    id: strawberry.ID = strawberry.field(description="The customer's id.")
    version: int = strawberry.field(description="The version of the customer that this is.")
    name: PersonName = strawberry.field(description="Their name.")
    contact: Contact = strawberry.field(description="How they could be reached.")
    addresses: list[Address] = strawberry.field(description="Their addresses.")
    credit_cards: list[CreditCard] = strawberry.field(description="Their cards.")


@strawberry.type(description="So many of one thing.")
class OrderLine:
    description: str = strawberry.field(description="What it is.")
    quantity: int = strawberry.field(description="How many of it.")
    price: Money = strawberry.field(description="The price of one.")
    total: Money = strawberry.field(description="The price of all.")


@strawberry.federation.type(keys=["id"], description="Somebody who buys here.")
class Customer:
    id: strawberry.ID = strawberry.field(description="The customer's id.")

    @field("The customer's orders, newest first.")
    async def orders(
        self, info: OrdersInfo, first: First = inputs.PAGE_DEFAULT, after: connections.After = strawberry.UNSET
    ) -> OrderConnection | None:
        return await _page(info, Filter(BY_CUSTOMER, (self.id,)), first, after)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[Customer | None]:
        del info
        return [Customer(id=strawberry.ID(key_of(representation))) for representation in representations]


@strawberry.federation.type(keys=["id"], description="What a customer has ordered.")
class Order:
    id: strawberry.ID = strawberry.field(description="The order's id, made by the server.")
    state: State = strawberry.field(description="How far it is.")
    customer: OrderCustomer = strawberry.field(description="The customer as they were when the order was placed.")
    current_customer: Customer | None = strawberry.field(
        description="The customer as they are now, by accounts; null where accounts does not answer."
    )
    lines: list[OrderLine] = strawberry.field(description="What was ordered.")
    total: Money = strawberry.field(description="What all of it costs.")
    placed_at: datetime = strawberry.field(description="When it was placed.")
    changed_at: datetime = strawberry.field(description="When something happened to it last.")
    version: int = strawberry.field(
        description="The number of the order's latest change; the first is number 1. For `expectedVersion`."
    )

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[Order | None]:
        request: OrdersRequest = info.context
        docs = await request.loader(_load_orders).load_many([key_of(one) for one in representations])
        return [None if doc is None else _order(doc) for doc in docs]


@inherits(item="order", list="list")
@strawberry.type(description="An order's place in a list of orders.")
class OrderEdge(connections.Edge):
    node: Order = strawberry.field(description="The order.")


@inherits(list="list")
@strawberry.type(description="A page of a list of orders.")
class OrderConnection(connections.Connection):
    edges: list[OrderEdge] = strawberry.field(description="The orders of this page, newest first.")


@strawberry.input(description="So many of one thing.")
class OrderLineInput:
    description: str = strawberry.field(description=f"What it is, 1 to {DESCRIPTION_LIMIT} characters.")
    quantity: int = strawberry.field(description=f"How many of it, 1 to {QUANTITY_LIMIT}.")
    price: Money = strawberry.field(description="The price of one.")


@inherits()
@strawberry.input(description="An order to place.")
class PlaceOrderInput(KeyedInput):
    customer_id: strawberry.ID = strawberry.field(description="The id of the customer who orders.")
    lines: list[OrderLineInput] = strawberry.field(
        description=f"What is ordered: 1 to {LINES_LIMIT} lines, all prices in one currency."
    )


@inherits()
@strawberry.input(description="An order to ship.")
class ShipOrderInput(VersionedInput):
    id: strawberry.ID = strawberry.field(description="The order's id.")


@inherits()
@strawberry.input(description="An order to cancel.")
class CancelOrderInput(VersionedInput):
    id: strawberry.ID = strawberry.field(description="The order's id.")


@inherits(item="order")
@strawberry.type(description="An order was placed.")
class PlaceOrderPayload(Payload):
    order: Order = strawberry.field(description="The order as this change has made it.")


@inherits(item="order")
@strawberry.type(description="An order was shipped.")
class ShipOrderPayload(Payload):
    order: Order = strawberry.field(description="The order as this change has made it.")


@inherits(item="order")
@strawberry.type(description="An order was cancelled.")
class CancelOrderPayload(Payload):
    order: Order = strawberry.field(description="The order as this change has made it.")


@strawberry.type(description=QUERY)
class Query:
    @field("The order with this id; null if there is none.")
    async def order(
        self,
        info: OrdersInfo,
        order_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The order's id.")],
    ) -> Order | None:
        doc = await info.context.loader(_load_orders).load(inputs.identifier("id", order_id))
        return None if doc is None else _order(doc)

    @field("The orders that fit all that is asked for, newest first.")
    async def orders(
        self,
        info: OrdersInfo,
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only those of this customer.")
        ] = strawberry.UNSET,
        state: Annotated[
            State | None, strawberry.argument(description="Only those that are so far.")
        ] = strawberry.UNSET,
        placed_from: Annotated[
            datetime | None, strawberry.argument(description="Only those that were placed then or later.")
        ] = strawberry.UNSET,
        placed_until: Annotated[
            datetime | None, strawberry.argument(description="Only those that were placed before then.")
        ] = strawberry.UNSET,
        first: First = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> OrderConnection | None:
        customer, so_far = inputs.given(customer_id), inputs.given(state)
        where: tuple[Value, ...] = ()
        if customer is not None:
            where += (inputs.identifier("customerId", customer),)
        if so_far is not None:
            where += (so_far.value,)
        if customer is None:
            index = ALL if so_far is None else BY_STATE
        else:
            index = BY_CUSTOMER if so_far is None else BY_CUSTOMER_AND_STATE
        return await _page(info, Filter(index, where, _us(placed_from), _us(placed_until)), first, after)

    @field(
        "A customer as orders knows them, from its own copy of the accounts' log; null for one of whom it has not read."
    )
    async def order_customer(
        self,
        info: OrdersInfo,
        customer_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The customer's id.")],
    ) -> OrderCustomer | None:
        doc = await info.context.loader(_load_customers).load(inputs.identifier("id", customer_id))
        return None if doc is None else _order_customer(doc.id, doc.version, doc.customer)


@strawberry.type(description=MUTATION)
class Mutation:
    @field(
        "Place an order. It keeps the customer as orders knows them now. NOT_FOUND if orders knows no such customer: "
        "send the bookmark of the change that has made them."
    )
    async def place_order(
        self,
        info: OrdersInfo,
        given: Annotated[PlaceOrderInput, strawberry.argument(name="input", description="The order to place.")],
    ) -> PlaceOrderPayload | None:
        customer_id = inputs.identifier("customerId", given.customer_id)
        currency, lines = _lines(given.lines)
        found = await info.context.loader(_load_customers).load(customer_id)
        if found is None:
            # A repetition is answered with what was done, whatever this view has read by now.
            if not await info.context.writes.knows(info.context, given.idempotency_key):
                raise NotFound("customerId: expected a customer whom orders has read of, found none")
            found = CustomerCopyDoc(customer_id, 0, ERASED)
        done = await info.context.writes.run(
            info.context,
            PlaceOrder(customer_id, found.version, found.customer, currency, lines),
            stream=STREAM_PREFIX + str(uuid6.uuid7()),
            mutation="placeOrder",
            content={
                "customerId": customer_id,
                "currency": currency,
                "lines": [[line.description, line.quantity, line.cents] for line in lines],
            },
            key=given.idempotency_key,
        )
        return PlaceOrderPayload(done=done, order=_order(done.fold(evolve_order)))

    @field("Ship an order. ORDER_CLOSED if it was cancelled; to ship it again changes nothing.")
    async def ship_order(
        self,
        info: OrdersInfo,
        given: Annotated[ShipOrderInput, strawberry.argument(name="input", description="The order to ship.")],
    ) -> ShipOrderPayload | None:
        done = await _close(info, "shipOrder", ShipOrder(), given)
        return ShipOrderPayload(done=done, order=_order(done.fold(evolve_order)))

    @field("Cancel an order. ORDER_CLOSED if it was shipped; to cancel it again changes nothing.")
    async def cancel_order(
        self,
        info: OrdersInfo,
        given: Annotated[CancelOrderInput, strawberry.argument(name="input", description="The order to cancel.")],
    ) -> CancelOrderPayload | None:
        done = await _close(info, "cancelOrder", CancelOrder(), given)
        return CancelOrderPayload(done=done, order=_order(done.fold(evolve_order)))


schema: Final = FederatedSchema(query=Query, mutation=Mutation, types=[Customer], scalars=ORDERS_SCALARS)


async def _close(
    info: OrdersInfo, mutation: str, command: ShipOrder | CancelOrder, given: ShipOrderInput | CancelOrderInput
) -> Done:
    order_id = inputs.identifier("id", given.id)
    return await info.context.writes.run(
        info.context,
        command,
        stream=STREAM_PREFIX + order_id,
        mutation=mutation,
        content={"id": order_id},
        key=given.idempotency_key,
        expected_version=given.expected_version,
    )


async def _load_orders(view: DocumentQuestions[OrdersDoc], ids: Sequence[str]) -> Sequence[OrderDoc | None]:
    found = await view.many([STREAM_PREFIX + order for order in ids])
    docs = [found.get(STREAM_PREFIX + order) for order in ids]
    return [doc if isinstance(doc, OrderDoc) else None for doc in docs]


async def _load_customers(view: DocumentQuestions[OrdersDoc], ids: Sequence[str]) -> Sequence[CustomerCopyDoc | None]:
    found = await view.many([CUSTOMER_STREAM_PREFIX + customer for customer in ids])
    docs = [found.get(CUSTOMER_STREAM_PREFIX + customer) for customer in ids]
    return [doc if isinstance(doc, CustomerCopyDoc) else None for doc in docs]


def _lines(given: Sequence[OrderLineInput]) -> tuple[str, tuple[Line, ...]]:
    """The currency of an order, and its lines."""
    if not 1 <= len(given) <= LINES_LIMIT:
        raise InvalidInput(f"lines: expected 1 to {LINES_LIMIT}, found {len(given)}")
    if len(currencies := {line.price.currency for line in given}) > 1:
        raise InvalidInput(f"lines: expected prices in one currency, found {', '.join(sorted(currencies))}")
    lines: list[Line] = []
    for number, line in enumerate(given):
        place = f"lines[{number}]"
        if not 1 <= line.quantity <= QUANTITY_LIMIT:
            raise InvalidInput(f"{place}.quantity: expected 1 to {QUANTITY_LIMIT}, found {line.quantity}")
        description = f"{place}.description"
        text = without_number(description, inputs.text(description, line.description, limit=DESCRIPTION_LIMIT))
        lines.append(Line(text, line.quantity, line.price.cents))
    if _worth(lines) > MOST_CENTS:
        raise InvalidInput(f"lines: expected at most {Money(MOST_CENTS, given[0].price.currency)} together, found more")
    return given[0].price.currency, tuple(lines)


def _worth(lines: Sequence[Line]) -> int:
    return sum(line.quantity * line.cents for line in lines)


def _us(given: datetime | None) -> int | None:
    when = inputs.given(given)
    return None if when is None else (when - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders: those at some values of an index, which sorts by the moment of placing behind them."""

    index: Index[OrdersDoc]
    where: tuple[Value, ...]
    from_us: int | None = None
    until_us: int | None = None


async def _page(info: OrdersInfo, wanted: Filter, first: int | None, after: str | None) -> OrderConnection:
    """A page of orders, newest first."""
    asked = connections.asked(f"orders by {wanted.index.name}", first, after)
    behind = asked.behind
    if wanted.until_us is not None:
        until = placed((*wanted.where, wanted.until_us))  # below the place of every order of that moment
        behind = until if behind is None else min(behind, until)
    info.context.spend("orders in pages", asked.size, PAGES_LIMIT)
    view = await info.context.view()
    found = await view.page(wanted.index, where=wanted.where, after=behind, limit=asked.limit, descending=True)
    orders = [(one.place, one.doc) for one in found if isinstance(one.doc, OrderDoc)]
    if (least := wanted.from_us) is not None:
        orders = list(takewhile(lambda one: one[1].placed_us >= least, orders))
    return asked.connection(OrderConnection, OrderEdge, orders, key=lambda one: one[0], node=lambda one: _order(one[1]))


def _order_customer(customer_id: str, version: int, customer: customers.Customer) -> OrderCustomer:
    return OrderCustomer(
        id=strawberry.ID(customer_id),
        version=version,
        name=name_of(customer),
        contact=contact_of(customer),
        addresses=addresses_of(customer),
        credit_cards=cards_of(customer),
    )


def _order(doc: OrderDoc) -> Order:
    return Order(
        id=strawberry.ID(doc.id),
        state=doc.state,
        customer=_order_customer(doc.customer_id, doc.customer_version, doc.customer),
        current_customer=Customer(id=strawberry.ID(doc.customer_id)),
        lines=[
            OrderLine(
                description=line.description,
                quantity=line.quantity,
                price=Money(line.cents, doc.currency),
                total=Money(line.quantity * line.cents, doc.currency),
            )
            for line in doc.lines
        ],
        total=Money(_worth(doc.lines), doc.currency),
        placed_at=moment(doc.placed_us),
        changed_at=moment(doc.changed_us),
        version=doc.version,
    )
