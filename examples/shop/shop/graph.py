"""What both schemas of the shop share: a customer's data as types, and the scalars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import strawberry
from graphql import GraphQLError
from msgspec import structs
from strawberry.types.scalar import ScalarDefinition, scalar

from eventgraph.serving.inputs import kind_of
from eventkernel.errors import InvalidInput
from shop import customers
from shop.cards import Brand, CardNumber, kept
from shop.money import Money

# Whoever declares a type with one of these takes it from here, where the schema's words for it are.
AddressType: TypeAlias = customers.AddressType
CardType: TypeAlias = customers.CardType
strawberry.enum(AddressType, description="What an address is for.")
strawberry.enum(CardType, description="Which card is asked for first.")
strawberry.enum(Brand, name="CardBrand", description="Who stands behind a card, by the beginning of its number.")


@strawberry.federation.type(shareable=True, description="A person's name.")
class PersonName:
    title: str | None = strawberry.field(description="Such as `Ms.`.")
    first_name: str = strawberry.field(description="The given name.")
    middle_name: str | None = strawberry.field(description="Further given names, or an initial.")
    last_name: str = strawberry.field(description="The family name.")
    suffix: str | None = strawberry.field(description="Such as `Jr.`.")


@strawberry.federation.type(shareable=True, description="How a customer can be reached.")
class Contact:
    primary_phone: str | None = strawberry.field(description="The number to call first.")
    secondary_phone: str | None = strawberry.field(description="The number to call then.")
    email: str | None = strawberry.field(description="The address of their mailbox.")


@strawberry.federation.type(shareable=True, description="An address of a customer.")
class Address:
    type: AddressType = strawberry.field(description="What it is for.")
    description: str | None = strawberry.field(description="What the customer calls it.")
    address1: str = strawberry.field(description="Its first line.")
    address2: str | None = strawberry.field(description="Its second line.")
    city: str = strawberry.field(description="The city.")
    state: str = strawberry.field(description="The state or region.")
    postal_code: str = strawberry.field(description="The postal code.")


@strawberry.federation.type(shareable=True, description="A customer's card. Nobody here knows its number.")
class CreditCard:
    type: CardType = strawberry.field(description="Which card is asked for first.")
    description: str | None = strawberry.field(description="What the customer calls it.")
    brand: Brand = strawberry.field(description="Who stands behind it.")
    last_four: str = strawberry.field(description="The last four digits of its number.")
    expiration: str = strawberry.field(description="The last month in which it is good: `6/19`.")
    name_on_card: str = strawberry.field(description="The name that is printed on it.")


def name_of(customer: customers.Customer) -> PersonName:
    return PersonName(**structs.asdict(customer.name))


def contact_of(customer: customers.Customer) -> Contact:
    return Contact(**structs.asdict(customer.contact))


def addresses_of(customer: customers.Customer) -> list[Address]:
    return [Address(**structs.asdict(address)) for address in customer.addresses]


def cards_of(customer: customers.Customer) -> list[CreditCard]:
    return [CreditCard(**structs.asdict(card)) for card in customer.cards]


def _number(value: object) -> CardNumber:
    # An error of another kind would be told with the value beside it.
    if not isinstance(value, str):
        raise GraphQLError("CardNumber: expected a text, found " + kind_of(value))
    try:
        return kept(value)
    except InvalidInput as refused:
        raise GraphQLError(f"CardNumber: {refused}") from None


def _money(value: object) -> Money:
    if not isinstance(value, str):
        raise InvalidInput(f"expected an amount as a text like 12.50 USD, found {kind_of(value)}")
    return Money.of_text(value)


def _never(value: object) -> object:
    raise AssertionError(f"the number of a card is in no answer, found a {type(value).__name__}")


CARD_NUMBER: Final = scalar(
    name="CardNumber",
    description="The number of a card, 12 to 19 digits, with spaces or hyphens between them or without. It is only "
    "ever sent, and goes no further: the brand and the last four digits are kept.",
    serialize=_never,
    parse_value=_number,
)
MONEY: Final = scalar(
    name="Money",
    description="An exact amount with its currency (ISO 4217) and two digits behind the point: `12.50 USD`. Never a "
    "number.",
    serialize=str,
    parse_value=_money,
)
ACCOUNTS_SCALARS: Final[Mapping[object, ScalarDefinition]] = {CardNumber: CARD_NUMBER}
ORDERS_SCALARS: Final[Mapping[object, ScalarDefinition]] = {Money: MONEY}
