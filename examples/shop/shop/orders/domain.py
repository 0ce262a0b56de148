"""What an order is: placed for a customer as they were then, and shipped or cancelled after that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final, assert_never

from msgspec import Struct

from eventkernel.decider import Decider
from eventkernel.errors import NotFound, Refusal
from eventkernel.events import DomainEvent, Personal
from shop.customers import ERASED, Customer

LOG: Final = "orders"
STREAM_PREFIX: Final = "order-"


class State(StrEnum):
    PLACED = "PLACED"
    SHIPPED = "SHIPPED"
    CANCELLED = "CANCELLED"


class Line(Struct, frozen=True):
    """So many of one thing."""

    description: str
    quantity: int
    cents: int
    """The price of one."""


class OrderPlaced(DomainEvent, frozen=True, tag="orders.OrderPlaced"):
    customer_id: str
    customer_version: int
    """The version of the customer that `customer` is."""
    currency: str
    lines: tuple[Line, ...]
    customer: Annotated[Customer, Personal(person="customer_id")] = ERASED
    """As they were when the order was placed."""


class OrderShipped(DomainEvent, frozen=True, tag="orders.OrderShipped"):
    pass


class OrderCancelled(DomainEvent, frozen=True, tag="orders.OrderCancelled"):
    pass


OrderEvent = OrderPlaced | OrderShipped | OrderCancelled
EVENT_TYPES: Final = (OrderPlaced, OrderShipped, OrderCancelled)


class OrderClosed(Refusal):
    """An order was shipped and cannot be cancelled, or was cancelled and cannot be shipped."""

    code = "ORDER_CLOSED"
    remembered: ClassVar = ()


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    customer_id: str
    customer_version: int
    customer: Customer
    currency: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ShipOrder:
    pass


@dataclass(frozen=True, slots=True)
class CancelOrder:
    pass


OrderCommand = PlaceOrder | ShipOrder | CancelOrder
OrderState = State | None


def decide(command: OrderCommand, state: OrderState) -> Sequence[OrderEvent]:
    match command:
        case PlaceOrder():
            if state is not None:
                raise AssertionError("an order's id was drawn twice")
            return [
                OrderPlaced(
                    customer_id=command.customer_id,
                    customer_version=command.customer_version,
                    customer=command.customer,
                    currency=command.currency,
                    lines=command.lines,
                )
            ]
        case ShipOrder():
            return [OrderShipped()] if _goes_to(State.SHIPPED, state) else []
        case CancelOrder():
            return [OrderCancelled()] if _goes_to(State.CANCELLED, state) else []
        case _:
            assert_never(command)


def evolve(state: OrderState, event: OrderEvent) -> OrderState:
    del state
    return state_after(event)


def state_after(event: OrderEvent) -> State:
    match event:
        case OrderPlaced():
            return State.PLACED
        case OrderShipped():
            return State.SHIPPED
        case OrderCancelled():
            return State.CANCELLED
        case _:
            assert_never(event)


def _goes_to(wanted: State, state: OrderState) -> bool:
    """Whether there is something to do to get there."""
    if state is None:
        raise NotFound("there is no such order")
    if state not in {State.PLACED, wanted}:
        raise OrderClosed(f"expected an order in the state PLACED, found one that is {state}")
    return state is State.PLACED


def _initial() -> OrderState:
    return None


decider: Decider[OrderState, OrderCommand, OrderEvent] = Decider(_initial, decide, evolve)
