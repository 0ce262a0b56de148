"""What events mean to the orders' view: a document for each order, and a copy of each customer."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent
from eventkernel.reading.documents import Documents, Index
from eventkernel.reading.views import Projection
from shop.accounts.domain import CustomerChanged, CustomerCreated
from shop.customers import Customer
from shop.orders.domain import STREAM_PREFIX, Line, OrderCancelled, OrderPlaced, OrderShipped, State, state_after


class CustomerCopyDoc(Struct, frozen=True, tag="customer"):
    """A customer after the latest event of the accounts' log that was read."""

    id: str
    version: int
    customer: Customer


class OrderDoc(Struct, frozen=True, tag="order"):
    """An order after its latest event."""

    id: str
    version: int
    state: State
    customer_id: str
    customer_version: int
    customer: Customer
    """As they were when the order was placed."""
    currency: str
    lines: tuple[Line, ...]
    placed_us: int
    changed_us: int


OrdersDoc = CustomerCopyDoc | OrderDoc

ALL: Final = Index[OrdersDoc]("placed", by=lambda doc: doc.placed_us if isinstance(doc, OrderDoc) else None)
BY_STATE: Final = Index[OrdersDoc](
    "state", by=lambda doc: (doc.state.value, doc.placed_us) if isinstance(doc, OrderDoc) else None
)
BY_CUSTOMER: Final = Index[OrdersDoc](
    "customer", by=lambda doc: (doc.customer_id, doc.placed_us) if isinstance(doc, OrderDoc) else None
)
BY_CUSTOMER_AND_STATE: Final = Index[OrdersDoc](
    "customer_and_state",
    by=lambda doc: (doc.customer_id, doc.state.value, doc.placed_us) if isinstance(doc, OrderDoc) else None,
)

ORDERS: Final = Documents[OrdersDoc](
    CustomerCopyDoc | OrderDoc, indexes=(ALL, BY_STATE, BY_CUSTOMER, BY_CUSTOMER_AND_STATE)
)


def evolve(doc: OrdersDoc | None, recorded: RecordedEvent) -> OrdersDoc:
    record, event = recorded.record, recorded.event
    match event:
        case CustomerCreated() | CustomerChanged():
            return CustomerCopyDoc(event.customer_id, record.version, event.customer)
        case OrderPlaced():
            return OrderDoc(
                id=record.stream.removeprefix(STREAM_PREFIX),
                version=record.version,
                state=state_after(event),
                customer_id=event.customer_id,
                customer_version=event.customer_version,
                customer=event.customer,
                currency=event.currency,
                lines=event.lines,
                placed_us=record.time_us,
                changed_us=record.time_us,
            )
        case OrderShipped() | OrderCancelled() if isinstance(doc, OrderDoc):
            return replace(doc, state=state_after(event), version=record.version, changed_us=record.time_us)
        case _:
            raise CorruptData(f"{record.stream} has a {record.type}, which does not belong there")


def evolve_order(doc: OrderDoc | None, recorded: RecordedEvent) -> OrderDoc:
    """As `evolve`, for those who fold the stream of one order."""
    order = evolve(doc, recorded)
    if not isinstance(order, OrderDoc):
        raise CorruptData(f"{recorded.stream} is not an order's stream")
    return order


projection: Final[Projection[OrdersDoc]] = Projection(name="orders", shape=1, evolve=evolve)
