"""What a customer's account is: created with the first data that come for an id, and changed by all later ones.

Each event carries the customer whole, so that others can keep a copy from the log alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, assert_never

from eventkernel.decider import Decider
from eventkernel.events import DomainEvent, Personal
from shop.customers import ERASED, Customer

LOG: Final = "accounts"
STREAM_PREFIX: Final = "customer-"


class CustomerCreated(DomainEvent, frozen=True, tag="accounts.CustomerCreated"):
    customer_id: str
    customer: Annotated[Customer, Personal(person="customer_id")] = ERASED


class CustomerChanged(DomainEvent, frozen=True, tag="accounts.CustomerChanged"):
    customer_id: str
    customer: Annotated[Customer, Personal(person="customer_id")] = ERASED


CustomerEvent = CustomerCreated | CustomerChanged
EVENT_TYPES: Final = (CustomerCreated, CustomerChanged)


@dataclass(frozen=True, slots=True)
class SaveCustomer:
    """Create the customer, or replace what is known of them."""

    customer_id: str
    customer: Customer


CustomerState = Customer | None


def decide(command: SaveCustomer, state: CustomerState) -> Sequence[CustomerEvent]:
    if state is None:
        return [CustomerCreated(customer_id=command.customer_id, customer=command.customer)]
    if state == command.customer:
        return []
    return [CustomerChanged(customer_id=command.customer_id, customer=command.customer)]


def evolve(state: CustomerState, event: CustomerEvent) -> CustomerState:
    del state
    match event:
        case CustomerCreated() | CustomerChanged():
            return event.customer
        case _:
            assert_never(event)


def _initial() -> CustomerState:
    return None


decider: Decider[CustomerState, SaveCustomer, CustomerEvent] = Decider(_initial, decide, evolve)
