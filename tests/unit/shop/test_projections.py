"""What events make of the shop's views, whatever the delivery."""

from __future__ import annotations

from msgspec.structs import replace

from eventkernel.testing.projection_spec import ProjectionSpec
from eventkernel.writing.codec import Codec
from shop.accounts import domain as accounts
from shop.accounts import projection as accounts_projection
from shop.accounts.domain import CustomerChanged, CustomerCreated
from shop.accounts.projection import CustomerDoc
from shop.customers import ERASED
from shop.orders import domain as orders
from shop.orders import projection as orders_projection
from shop.orders.domain import Line, OrderCancelled, OrderPlaced, OrderShipped, State
from shop.orders.projection import (
    ALL,
    BY_CUSTOMER,
    BY_CUSTOMER_AND_STATE,
    BY_STATE,
    CustomerCopyDoc,
    OrderDoc,
)
from tests.unit.shop.people import JOHN, MARY

AT = 1_700_000_000_000_000
LINES = (Line("Blue widget", 2, 199),)
PLACED = OrderPlaced(customer_id="1", customer_version=1, customer=JOHN, currency="USD", lines=LINES)
BOTH = Codec([*accounts.EVENT_TYPES, *orders.EVENT_TYPES])


def test_a_customer_is_as_their_latest_event_says() -> None:
    spec = ProjectionSpec(accounts_projection.projection, Codec(accounts.EVENT_TYPES))
    spec.given("customer-1", CustomerCreated(customer_id="1", customer=JOHN), time_us=AT)
    spec.given("customer-2", CustomerCreated(customer_id="2", customer=MARY), time_us=AT)
    spec.given("customer-1", CustomerChanged(customer_id="1", customer=MARY), time_us=AT + 5)
    assert spec.then() == {
        "customer-1": CustomerDoc("1", 2, MARY, AT, AT + 5),
        "customer-2": CustomerDoc("2", 1, MARY, AT, AT),
    }


def test_an_order_has_the_customer_of_its_placing_and_the_copy_goes_on() -> None:
    spec = ProjectionSpec(orders_projection.projection, BOTH)
    spec.given("customer-1", CustomerCreated(customer_id="1", customer=JOHN), log="accounts")
    spec.given("order-a", PLACED, time_us=AT, log="orders")
    spec.given("customer-1", CustomerChanged(customer_id="1", customer=MARY), log="accounts")
    spec.given("order-a", OrderShipped(), time_us=AT + 7, log="orders")
    spec.given("order-b", PLACED, OrderCancelled(), time_us=AT, log="orders")
    found = spec.then()
    assert found["customer-1"] == CustomerCopyDoc("1", 2, MARY)
    order = OrderDoc("a", 2, State.SHIPPED, "1", 1, JOHN, "USD", LINES, AT, AT + 7)
    assert found["order-a"] == order
    assert found["order-b"] == replace(order, id="b", state=State.CANCELLED, changed_us=AT)


def test_orders_are_found_by_what_they_are_filtered_by_and_customers_are_no_orders() -> None:
    order = OrderDoc("a", 1, State.PLACED, "1", 1, JOHN, "USD", LINES, AT, AT)
    copy = CustomerCopyDoc("1", 1, JOHN)
    for index, values in (
        (ALL, AT),
        (BY_STATE, ("PLACED", AT)),
        (BY_CUSTOMER, ("1", AT)),
        (BY_CUSTOMER_AND_STATE, ("1", "PLACED", AT)),
    ):
        assert index.by(order) == values
        assert index.by(copy) is None


def test_nothing_personal_is_left_of_a_customer_whose_data_are_erased() -> None:
    assert ERASED.name.first_name == ERASED.name.last_name == ""
    assert (ERASED.addresses, ERASED.cards, ERASED.contact.email) == ((), (), None)
