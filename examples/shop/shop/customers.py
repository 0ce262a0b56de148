"""A customer's data, as the accounts' events carry them and as orders keeps them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from shop.cards import Brand


class AddressType(StrEnum):
    BILLING = "BILLING"
    SHIPPING = "SHIPPING"


class CardType(StrEnum):
    PRIMARY = "PRIMARY"
    ALTERNATE = "ALTERNATE"


class Name(Struct, frozen=True):
    first_name: str
    last_name: str
    title: str | None = None
    middle_name: str | None = None
    suffix: str | None = None


class Contact(Struct, frozen=True):
    primary_phone: str | None = None
    secondary_phone: str | None = None
    email: str | None = None


class Address(Struct, frozen=True):
    type: AddressType
    address1: str
    city: str
    state: str
    postal_code: str
    description: str | None = None
    address2: str | None = None


class Card(Struct, frozen=True):
    """A card, without its number."""

    type: CardType
    brand: Brand
    last_four: str
    expiration: str
    """Month and year: `6/19`."""
    name_on_card: str
    description: str | None = None


class Customer(Struct, frozen=True):
    """Who a customer is, at one version."""

    name: Name
    contact: Contact
    addresses: tuple[Address, ...] = ()
    cards: tuple[Card, ...] = ()


ERASED = Customer(Name("", ""), Contact())
"""What is left of a customer whose data were erased."""
