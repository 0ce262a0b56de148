"""What clients send of a customer is checked, and brought into one form."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry

from eventkernel.errors import InvalidInput
from shop.accounts.given import (
    AddressInput,
    ContactInput,
    CreditCardInput,
    PersonNameInput,
    SaveCustomerInput,
    chosen_id,
    customer_of,
)
from shop.cards import Brand, CardNumber, named_in
from shop.customers import AddressType, Card, CardType, Contact, Customer, Name

NAME = PersonNameInput(first_name=" Ada ", last_name="Byron", title="", suffix=None)


def card(**more: Any) -> CreditCardInput:
    fields: dict[str, Any] = {"expiration": "6/19", "name_on_card": "Ada Byron", **more}
    return CreditCardInput(type=CardType.PRIMARY, number=CardNumber(Brand.VISA, "1111"), **fields)


def address(**more: Any) -> AddressInput:
    fields: dict[str, Any] = {"address1": "1 Oak", "city": "Sunrise", "state": "CA", "postal_code": "12345", **more}
    return AddressInput(type=AddressType.BILLING, **fields)


def customer(**more: Any) -> Customer:
    return customer_of(SaveCustomerInput(name=NAME, **more))


def test_texts_are_trimmed_and_empty_ones_that_may_be_missing_are_none() -> None:
    assert customer() == Customer(Name("Ada", "Byron"), Contact())
    assert customer(addresses=[address(address2=" ", description="Home ")]).addresses[0].address2 is None
    assert customer(addresses=[address(address2=" ", description="Home ")]).addresses[0].description == "Home"


@pytest.mark.parametrize(
    ("given", "kept"), [("6/19", "6/19"), ("06/19", "6/19"), (" 12/30 ", "12/30"), ("10/05", "10/05")]
)
def test_a_month_has_one_spelling(given: str, kept: str) -> None:
    expected = Card(CardType.PRIMARY, Brand.VISA, "1111", kept, "Ada Byron")
    assert customer(credit_cards=[card(expiration=given)]).cards == (expected,)


@pytest.mark.parametrize("expiration", ["0/19", "13/19", "6/2019", "6-19", "6/1", "", "٦/١٩"])
def test_another_text_is_no_month(expiration: str) -> None:
    with pytest.raises(InvalidInput, match=r"creditCards\[1\].expiration: expected month and year"):
        customer(credit_cards=[card(), card(expiration=expiration)])


@pytest.mark.parametrize("email", ["ada", "ada@", "@example.com", "a b@example.com", "a@b@c"])
def test_what_is_no_address_of_a_mailbox_is_refused(email: str) -> None:
    with pytest.raises(InvalidInput, match=r"contact.email: expected a text like"):
        customer(contact=ContactInput(email=email))


def test_lists_end_somewhere() -> None:
    assert len(customer(addresses=[address()] * 20, credit_cards=[card()] * 20).addresses) == 20
    with pytest.raises(InvalidInput, match="addresses: expected at most 20, found 21"):
        customer(addresses=[address()] * 21)
    with pytest.raises(InvalidInput, match="creditCards: expected at most 20, found 21"):
        customer(credit_cards=[card()] * 21)


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        (
            "name.middleName",
            {"name": PersonNameInput(first_name="A", last_name="B", middle_name="4111 1111 1111 1111")},
        ),
        ("contact.secondaryPhone", {"contact": ContactInput(secondary_phone="4111111111111111")}),
        (r"addresses\[0\].address2", {"addresses": [address(address2="4111-1111-1111-1111")]}),
        (r"addresses\[0\].state", {"addresses": [address(state="1 4111 1111 1111 1111 9")]}),
        (r"addresses\[0\].city", {"addresses": [address(city="4111111111111111")]}),
        (r"creditCards\[0\].nameOnCard", {"credit_cards": [card(name_on_card="4111111111111111")]}),
        (r"creditCards\[0\].description", {"credit_cards": [card(description="no 4111111111111111")]}),
    ],
)
def test_no_text_takes_a_cards_number_in(place: str, sent: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"name": NAME, **sent}
    with pytest.raises(InvalidInput, match=f"{place}: expected no card number") as refused:
        customer_of(SaveCustomerInput(**fields))
    assert "1111" not in str(refused.value)


@pytest.mark.parametrize("phone", ["+49 151 00000004", "+55 11 90000-0002", "+49 (151) 0000 0004"])
def test_a_phone_number_with_its_country_is_taken_whatever_its_digits_are(phone: str) -> None:
    assert named_in(phone)
    assert customer(contact=ContactInput(primary_phone=phone)).contact == Contact(primary_phone=phone)
    with pytest.raises(InvalidInput, match=r"contact.primaryPhone: expected no card number"):
        customer(contact=ContactInput(primary_phone="+4111 1111 1111 1111"))


@pytest.mark.parametrize(
    "number", ["4111111111111111", "4111-1111-1111-1111", "c.4111.1111.1111.1111", "4111 1111 1111 1111"]
)
def test_nor_does_an_id(number: str) -> None:
    with pytest.raises(InvalidInput, match=r"^id: expected") as refused:
        chosen_id(SaveCustomerInput(name=NAME, id=strawberry.ID(number)))
    assert "1111" not in str(refused.value)


def test_an_id_that_the_server_has_drawn_is_taken_whatever_its_digits_are() -> None:
    drawn = "0198a4c1-4111-7000-8000-6abcdef01234"
    assert named_in(drawn), "4111700080006"
    assert chosen_id(SaveCustomerInput(name=NAME, id=strawberry.ID(drawn))) == drawn


def test_an_id_may_be_chosen() -> None:
    assert chosen_id(SaveCustomerInput(name=NAME, id=strawberry.ID("123456"))) == "123456"
    assert chosen_id(SaveCustomerInput(name=NAME)) is None
