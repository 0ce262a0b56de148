"""The shop's requests, as clients send them."""

from __future__ import annotations

from typing import Any

from tests.support.kith import Answer, RunningKith

CARD_NUMBER = "4111 1111 1111 1111"

REFERENCE: dict[str, Any] = {
    "id": 123456,
    "name": {"title": "Mr.", "firstName": "John", "middleName": "S.", "lastName": "Doe", "suffix": "Jr."},
    "contact": {
        "primaryPhone": "555-666-7777",
        "secondaryPhone": "555-444-9898",
        "email": "john.doe@example.com",
    },
    "addresses": [
        {
            "type": "BILLING",
            "description": "Where the bills go",
            "address1": "123 Oak Street",
            "address2": None,
            "city": "Sunrise",
            "state": "CA",
            "postalCode": "12345-6789",
        },
        {
            "type": "SHIPPING",
            "description": "Home",
            "address1": "456 Pine Road",
            "address2": "Back door",
            "city": "Sunset",
            "state": "CA",
            "postalCode": "12345-9876",
        },
    ],
    "creditCards": [
        {
            "type": "PRIMARY",
            "description": "Mine",
            "number": CARD_NUMBER,
            "expiration": "6/19",
            "nameOnCard": "John S. Doe",
        },
        {
            "type": "ALTERNATE",
            "description": "The company's",
            "number": "9999-8888-7777-6666",
            "expiration": "10/21",
            "nameOnCard": "John Doe",
        },
    ],
}
"""A customer with every field of the request that the shop takes as it is; the last digit of the second card's number
is no check digit, as in samples."""

_DATA = """
    name { title firstName middleName lastName suffix }
    contact { primaryPhone secondaryPhone email }
    addresses { type description address1 address2 city state postalCode }
    creditCards { type description brand lastFour expiration nameOnCard }
"""
SAVE = f"""
    mutation ($input: SaveCustomerInput!) {{
        saveCustomer(input: $input) {{ version bookmark customer {{ id version {_DATA} }} }}
    }}
"""
CUSTOMER = f"query ($id: ID!) {{ customer(id: $id) {{ id version {_DATA} }} }}"
COPY = f"query ($id: ID!) {{ orderCustomer(id: $id) {{ id version {_DATA} }} }}"
PLACE = f"""
    mutation ($input: PlaceOrderInput!) {{
        placeOrder(input: $input) {{ bookmark order {{ id state total customer {{ id version {_DATA} }} }} }}
    }}
"""
ORDER = f"""
    query ($id: ID!) {{
        order(id: $id) {{ id state version total lines {{ description quantity price total }}
            customer {{ id version {_DATA} }} }}
    }}
"""
NOW = """
    query ($id: ID!) {
        order(id: $id) { id customer { name { lastName } } currentCustomer { id name { lastName } } }
    }
"""


def kept_of(customer: dict[str, Any]) -> dict[str, Any]:
    """What is answered of a customer that was sent, with the cards of `REFERENCE`."""
    brands = {"1111": "VISA", "6666": "OTHER"}
    cards = [{**card} for card in customer["creditCards"]]
    for card in cards:
        card["lastFour"] = card.pop("number")[-4:]
        card["brand"] = brands[card["lastFour"]]
    return {**customer, "id": str(customer["id"]), "creditCards": cards}


async def save(shop: RunningKith, customer: dict[str, Any], **more: Any) -> Answer:
    return await shop.ask(SAVE, {"input": {**customer, **more}})


async def place(
    shop: RunningKith, customer: object, bookmark: str | None = None, lines: Any = None, **more: Any
) -> Answer:
    lines = lines or [{"description": "Blue widget", "quantity": 2, "price": "1.99 USD"}]
    return await shop.ask(PLACE, {"input": {"customerId": customer, "lines": lines, **more}}, bookmark=bookmark)
