"""The shop's rules: customers are created or changed whole; orders are placed, then shipped or cancelled."""

from __future__ import annotations

from msgspec.structs import replace

from eventkernel.errors import NotFound
from eventkernel.testing.decider_spec import DeciderSpec
from shop.accounts.domain import CustomerChanged, CustomerCreated, SaveCustomer
from shop.accounts.subgraph import CUSTOMER
from shop.customers import Name
from shop.orders.domain import CancelOrder, Line, OrderCancelled, OrderClosed, OrderPlaced, OrderShipped, PlaceOrder
from shop.orders.domain import ShipOrder as Ship
from shop.orders.subgraph import ORDER
from tests.unit.shop.people import JOHN, MARY

CREATED = CustomerCreated(customer_id="1", customer=JOHN)
LINES = (Line("Blue widget", 2, 199),)
PLACED = OrderPlaced(customer_id="1", customer_version=3, customer=JOHN, currency="USD", lines=LINES)
customer = DeciderSpec.of(CUSTOMER)
order = DeciderSpec.of(ORDER)


def test_the_first_data_of_an_id_create_a_customer_and_later_ones_change_them() -> None:
    customer.when(SaveCustomer("1", JOHN)).then(CREATED)
    moved = replace(JOHN, addresses=())
    changed = (
        customer.given(CREATED).when(SaveCustomer("1", moved)).then(CustomerChanged(customer_id="1", customer=moved))
    )
    changed.when(SaveCustomer("1", JOHN)).then(CustomerChanged(customer_id="1", customer=JOHN))


def test_the_same_data_again_change_nothing() -> None:
    customer.given(CREATED).when(SaveCustomer("1", JOHN)).then()
    renamed = replace(JOHN, name=Name("John", "Roe"))
    customer.given(CREATED, CustomerChanged(customer_id="1", customer=renamed)).when(SaveCustomer("1", renamed)).then()


def test_an_order_keeps_the_customer_as_they_were() -> None:
    order.when(PlaceOrder("1", 3, JOHN, "USD", LINES)).then(PLACED)
    assert PLACED.customer != MARY


def test_a_placed_order_is_shipped_or_cancelled_once() -> None:
    shipped = order.given(PLACED).when(Ship()).then(OrderShipped())
    shipped.when(Ship()).then()
    shipped.when(CancelOrder()).refused(OrderClosed, "SHIPPED")
    cancelled = order.given(PLACED).when(CancelOrder()).then(OrderCancelled())
    cancelled.when(CancelOrder()).then()
    cancelled.when(Ship()).refused(OrderClosed, "CANCELLED")


def test_what_was_never_placed_is_not_found() -> None:
    order.when(Ship()).refused(NotFound, "no such order")
    order.when(CancelOrder()).refused(NotFound, "no such order")
