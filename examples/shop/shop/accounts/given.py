"""A customer as a client sends one: the input types, and what they are brought into."""

from __future__ import annotations

import re
from typing import Final

import strawberry

from eventgraph.serving import inputs
from eventgraph.serving.inherited import inherits
from eventgraph.serving.mutations import VersionedInput
from eventkernel.errors import InvalidInput
from shop.cards import CardNumber, without_number
from shop.customers import Address, Card, Contact, Customer, Name
from shop.graph import AddressType, CardType

TEXT_LIMIT: Final = 100
EMAIL_LIMIT: Final = 254
LIST_LIMIT: Final = 20
"""How many addresses, and how many cards, a customer has at most."""

_EXPIRATION: Final = re.compile(r"(?:0?([1-9])|(1[0-2]))/([0-9]{2})", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_INTERNATIONAL: Final = re.compile(r"\+(?:[^0-9A-Za-z]{0,3}[0-9]){1,15}", re.ASCII)
"""A phone number with its country: 15 digits at most (https://www.itu.int/rec/T-REC-E.164). Many have the
digits of a card's number: one in ten of those that begin with +49 1 or +55."""
_DRAWN: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A UUID of version 7, as the server draws ids. Some have digits side by side that could be a card's number."""
_TEXT: Final = f"1 to {TEXT_LIMIT} characters."


@strawberry.input(description="A person's name.")
class PersonNameInput:
    title: str | None = strawberry.field(default=strawberry.UNSET, description=f"Such as `Ms.`: {_TEXT}")
    first_name: str = strawberry.field(description=f"The given name, {_TEXT}")
    middle_name: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"Further given names, or an initial: {_TEXT}"
    )
    last_name: str = strawberry.field(description=f"The family name, {_TEXT}")
    suffix: str | None = strawberry.field(default=strawberry.UNSET, description=f"Such as `Jr.`: {_TEXT}")


@strawberry.input(description="How a customer can be reached.")
class ContactInput:
    primary_phone: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"The number to call first, {_TEXT}"
    )
    secondary_phone: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"The number to call then, {_TEXT}"
    )
    email: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"The address of their mailbox, at most {EMAIL_LIMIT} characters."
    )


@strawberry.input(description="An address of a customer.")
class AddressInput:
    type: AddressType = strawberry.field(description="What it is for.")
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"What the customer calls it, {_TEXT}"
    )
    address1: str = strawberry.field(description=f"Its first line, {_TEXT}")
    address2: str | None = strawberry.field(default=strawberry.UNSET, description=f"Its second line, {_TEXT}")
    city: str = strawberry.field(description=f"The city, {_TEXT}")
    state: str = strawberry.field(description=f"The state or region, {_TEXT}")
    postal_code: str = strawberry.field(description=f"The postal code, {_TEXT}")


@strawberry.input(description="A customer's card.")
class CreditCardInput:
    type: CardType = strawberry.field(description="Which card is asked for first.")
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"What the customer calls it, {_TEXT}"
    )
    number: CardNumber = strawberry.field(description="Its number. Only the brand and the last four digits are kept.")
    expiration: str = strawberry.field(description="The last month in which it is good: `6/19`.")
    name_on_card: str = strawberry.field(description=f"The name that is printed on it, {_TEXT}")


@inherits()
@strawberry.input(
    description="A customer, whole: what is left out is not known of them. No text holds the number of a card."
)
class SaveCustomerInput(VersionedInput):
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="The customer's id, which the client may choose; without one, the server draws an id.",
    )
    name: PersonNameInput = strawberry.field(description="Their name.")
    contact: ContactInput | None = strawberry.field(
        default=strawberry.UNSET, description="How they can be reached; null: nothing is known of it."
    )
    addresses: list[AddressInput] | None = strawberry.field(
        default=strawberry.UNSET, description=f"Their addresses, at most {LIST_LIMIT}."
    )
    credit_cards: list[CreditCardInput] | None = strawberry.field(
        default=strawberry.UNSET, description=f"Their cards, at most {LIST_LIMIT}."
    )


def chosen_id(given: SaveCustomerInput) -> str | None:
    """The id that the client has chosen, if it has.

    Raises:
        InvalidInput: it is no id, or holds the number of a card.
    """
    chosen = inputs.given(given.id)
    if chosen is None:
        return None
    identifier = inputs.identifier("id", chosen)
    return identifier if _DRAWN.fullmatch(identifier) else without_number("id", identifier)


def customer_of(given: SaveCustomerInput) -> Customer:
    """
    Raises:
        InvalidInput: something in it is not as it says.
    """
    return Customer(
        name=_name(given.name),
        contact=_contact(inputs.given(given.contact)),
        addresses=tuple(
            _address(f"addresses[{number}]", one) for number, one in enumerate(_few("addresses", given.addresses))
        ),
        cards=tuple(
            _card(f"creditCards[{number}]", one) for number, one in enumerate(_few("creditCards", given.credit_cards))
        ),
    )


def _few(field: str, given: list[inputs.Value] | None) -> list[inputs.Value]:
    found = inputs.given(given) or []
    if len(found) > LIST_LIMIT:
        raise InvalidInput(f"{field}: expected at most {LIST_LIMIT}, found {len(found)}")
    return found


def _name(given: PersonNameInput) -> Name:
    return Name(
        first_name=_text("name.firstName", given.first_name),
        last_name=_text("name.lastName", given.last_name),
        title=_optional("name.title", given.title),
        middle_name=_optional("name.middleName", given.middle_name),
        suffix=_optional("name.suffix", given.suffix),
    )


def _contact(given: ContactInput | None) -> Contact:
    if given is None:
        return Contact()
    email = _optional("contact.email", given.email, EMAIL_LIMIT)
    if email is not None and _EMAIL.fullmatch(email) is None:
        raise InvalidInput("contact.email: expected a text like ada@example.com, found another one")
    return Contact(
        primary_phone=_phone("contact.primaryPhone", given.primary_phone),
        secondary_phone=_phone("contact.secondaryPhone", given.secondary_phone),
        email=email,
    )


def _address(place: str, given: AddressInput) -> Address:
    return Address(
        type=given.type,
        address1=_text(f"{place}.address1", given.address1),
        city=_text(f"{place}.city", given.city),
        state=_text(f"{place}.state", given.state),
        postal_code=_text(f"{place}.postalCode", given.postal_code),
        description=_optional(f"{place}.description", given.description),
        address2=_optional(f"{place}.address2", given.address2),
    )


def _card(place: str, given: CreditCardInput) -> Card:
    expiration = _EXPIRATION.fullmatch(given.expiration.strip())
    if expiration is None:
        raise InvalidInput(f"{place}.expiration: expected month and year like 6/19, found another text")
    return Card(
        type=given.type,
        brand=given.number.brand,
        last_four=given.number.last_four,
        expiration=f"{expiration[1] or expiration[2]}/{expiration[3]}",
        name_on_card=_text(f"{place}.nameOnCard", given.name_on_card),
        description=_optional(f"{place}.description", given.description),
    )


def _phone(field: str, given: str | None) -> str | None:
    text = inputs.given(given)
    if text is None or not text.strip():
        return None
    clean = inputs.text(field, text, limit=TEXT_LIMIT)
    return clean if _INTERNATIONAL.fullmatch(clean) else without_number(field, clean)


def _text(field: str, given: str, limit: int = TEXT_LIMIT) -> str:
    return without_number(field, inputs.text(field, given, limit=limit))


def _optional(field: str, given: str | None, limit: int = TEXT_LIMIT) -> str | None:
    """None for what was left out, and for an empty text, which forms send in its place."""
    text = inputs.given(given)
    return None if text is None or not text.strip() else _text(field, text, limit)
