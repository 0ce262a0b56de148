"""The shop as its users have it: customers, their orders, and the copy that orders keeps of each customer."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from shop.system import SHOP
from tests.e2e.conftest import MODES
from tests.support.distributed import Engines, distributed_kith
from tests.support.kith import RunningKith, kith_up
from tests.support.shop import COPY, CUSTOMER, NOW, ORDER, REFERENCE, kept_of, place, save

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = """
    query ($customer: ID, $state: OrderState, $from: DateTime, $until: DateTime, $first: Int, $after: String) {
        orders(customerId: $customer, state: $state, placedFrom: $from, placedUntil: $until, first: $first,
               after: $after) {
            edges { node { id state placedAt } } pageInfo { hasNextPage endCursor }
        }
    }
"""
SHIP = "mutation ($id: ID!) { shipOrder(input: {id: $id}) { bookmark order { state version } } }"
CANCEL = "mutation ($id: ID!) { cancelOrder(input: {id: $id}) { bookmark order { state version } } }"


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[*MODES, pytest.param("distributed", marks=pytest.mark.engines)],
)
async def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningKith]:
    """A shop with data of its own; tests of one module share it and use customers of their own."""
    if request.param == "distributed":
        async with distributed_kith(shop_engines(request)) as running:
            yield running
        return
    folder = tmp_path_factory.mktemp(request.param)
    async with kith_up(folder / "data", *MODES[request.param], system="shop") as running:
        yield running


def shop_engines(request: pytest.FixtureRequest) -> Engines:
    return Engines(
        kafka=request.getfixturevalue("kafka_server"),
        mongodb=request.getfixturevalue("mongodb_server"),
        neo4j=None,
        name=f"test_{secrets.token_hex(6)}",
        system=SHOP,
    )


def somebody() -> dict[str, Any]:
    return {**REFERENCE, "id": f"c-{secrets.token_hex(6)}"}


async def test_the_reference_request_is_taken_as_it_is(shop: RunningKith) -> None:
    saved = (await save(shop, REFERENCE)).data["saveCustomer"]
    expected = {**kept_of(REFERENCE), "version": 1}
    assert saved["customer"] == expected
    found = await shop.ask(CUSTOMER, {"id": 123456}, bookmark=saved["bookmark"])
    assert found.data["customer"] == expected
    again = (await save(shop, REFERENCE)).data["saveCustomer"]
    assert again["version"] == 1


async def test_a_customer_without_an_id_gets_one_and_with_a_version_only_that_one_is_changed(shop: RunningKith) -> None:
    named = {"name": {"firstName": "Ada", "lastName": "Byron"}}
    saved = (await save(shop, named)).data["saveCustomer"]["customer"]
    assert (saved["version"], saved["addresses"], saved["creditCards"]) == (1, [], [])
    changed = {"id": saved["id"], "name": {"firstName": "Ada", "lastName": "Lovelace"}}
    assert (await save(shop, changed, expectedVersion=1)).data["saveCustomer"]["version"] == 2
    assert (await save(shop, named, id=saved["id"], expectedVersion=1)).codes == ["VERSION_CONFLICT"]
    assert (await save(shop, named, id=f"none-{saved['id']}", expectedVersion=1)).codes == ["NOT_FOUND"]


async def test_a_repetition_is_answered_alike_and_another_card_under_its_key_is_not_taken(shop: RunningKith) -> None:
    customer = somebody()
    first = await save(shop, customer, idempotencyKey=customer["id"])
    assert (await save(shop, customer, idempotencyKey=customer["id"])).data == first.data
    other = {**customer, "creditCards": customer["creditCards"][:1]}
    assert (await save(shop, other, idempotencyKey=customer["id"])).codes == ["IDEMPOTENCY_MISMATCH"]


async def test_an_order_has_the_customer_as_they_were_and_shows_them_as_they_are(shop: RunningKith) -> None:
    customer = somebody()
    await save(shop, {**customer, "addresses": []})
    saved = await save(shop, customer)
    placed = (await place(shop, customer["id"], saved.bookmark)).data["placeOrder"]
    order = placed["order"]
    assert order["customer"] == {**kept_of(customer), "version": 2}
    assert (order["state"], order["total"]) == ("PLACED", "3.98 USD")
    married = {**customer, "name": {"firstName": "John", "lastName": "Roe"}}
    changed = await save(shop, married)
    bookmark = await joined(shop, placed["bookmark"], changed.bookmark)
    found = (await shop.ask(NOW, {"id": order["id"]}, bookmark=bookmark)).data["order"]
    assert found == {
        "id": order["id"],
        "customer": {"name": {"lastName": "Doe"}},
        "currentCustomer": {"id": customer["id"], "name": {"lastName": "Roe"}},
    }
    copy = (await shop.ask(COPY, {"id": customer["id"]}, bookmark=bookmark)).data["orderCustomer"]
    assert (copy["version"], copy["name"]["lastName"]) == (3, "Roe")
    details = (await shop.ask(ORDER, {"id": order["id"]}, bookmark=bookmark)).data["order"]
    assert details["customer"] == order["customer"]
    assert details["lines"] == [{"description": "Blue widget", "quantity": 2, "price": "1.99 USD", "total": "3.98 USD"}]


async def joined(shop: RunningKith, *bookmarks: str) -> str:
    """The last bookmark, after the shop has shown what the others stand for."""
    for bookmark in bookmarks:
        assert not (await shop.ask("{ orders(first: 1) { edges { cursor } } }", bookmark=bookmark)).codes
    return bookmarks[-1]


async def test_orders_knows_no_customer_of_whom_it_has_not_read(shop: RunningKith) -> None:
    assert (await place(shop, f"nobody-{secrets.token_hex(4)}")).codes == ["NOT_FOUND"]


async def test_a_repeated_order_is_the_same_order_though_the_customer_has_changed(shop: RunningKith) -> None:
    customer = somebody()
    saved = await save(shop, customer)
    first = (await place(shop, customer["id"], saved.bookmark, idempotencyKey=customer["id"])).data["placeOrder"]
    changed = await save(shop, {**customer, "addresses": []})
    again = await place(shop, customer["id"], changed.bookmark, idempotencyKey=customer["id"])
    assert again.data["placeOrder"]["order"] == first["order"]


async def test_orders_are_listed_newest_first_by_customer_state_and_time(shop: RunningKith) -> None:
    customer = somebody()
    bookmark = (await save(shop, customer)).bookmark
    ids: list[str] = []
    for _ in range(5):
        placed = (await place(shop, customer["id"], bookmark)).data["placeOrder"]
        ids.append(placed["order"]["id"])
        bookmark = placed["bookmark"]
    assert (await shop.ask(SHIP, {"id": ids[1]})).data["shipOrder"]["order"] == {"state": "SHIPPED", "version": 2}
    done = await shop.ask(CANCEL, {"id": ids[3]})
    assert done.data["cancelOrder"]["order"] == {"state": "CANCELLED", "version": 2}
    assert (await shop.ask(CANCEL, {"id": ids[1]})).codes == ["ORDER_CLOSED"]
    bookmark = await joined(shop, bookmark, done.bookmark)

    async def page(**asked: Any) -> Any:
        return (await shop.ask(PAGE, {"customer": customer["id"], **asked}, bookmark=bookmark)).data["orders"]

    def listed(found: Any) -> list[int]:
        return [ids.index(edge["node"]["id"]) for edge in found["edges"]]

    everything = await page()
    assert listed(everything) == [4, 3, 2, 1, 0]
    assert listed(await page(state="PLACED")) == [4, 2, 0]
    assert listed(await page(state="CANCELLED")) == [3]
    first = await page(first=2, state="PLACED")
    assert (listed(first), first["pageInfo"]["hasNextPage"]) == ([4, 2], True)
    second = await page(first=2, state="PLACED", after=first["pageInfo"]["endCursor"])
    assert (listed(second), second["pageInfo"]["hasNextPage"]) == ([0], False)
    at = [edge["node"]["placedAt"] for edge in reversed(everything["edges"])]
    assert listed(await page(**{"from": at[1], "until": at[3]})) == [2, 1]
    later = (datetime.fromisoformat(at[3]) + timedelta(microseconds=1)).isoformat()
    bounded = await page(**{"from": at[1], "until": later, "first": 2})
    assert (listed(bounded), bounded["pageInfo"]["hasNextPage"]) == ([3, 2], True)
    last = await page(**{"from": at[1], "until": later, "after": bounded["pageInfo"]["endCursor"]})
    assert (listed(last), last["pageInfo"]["hasNextPage"]) == ([1], False)
    without = (await shop.ask(PAGE, {"until": later, "from": at[3]}, bookmark=bookmark)).data["orders"]
    assert [edge["node"]["id"] for edge in without["edges"]] == [ids[3]]


@pytest.mark.parametrize("moment", ["2026-01-01T00:00:00", "yesterday", 7, ""])
async def test_a_moment_without_its_offset_is_refused(shop: RunningKith, moment: object) -> None:
    assert (await shop.ask(PAGE, {"from": moment})).codes == ["INVALID_INPUT"]


async def test_a_customers_orders_hang_from_the_customer(shop: RunningKith) -> None:
    customer = somebody()
    saved = await save(shop, customer)
    placed = (await place(shop, customer["id"], saved.bookmark)).data["placeOrder"]
    query = "query ($id: ID!) { customer(id: $id) { name { lastName } orders { edges { node { id } } } } }"
    found = (await shop.ask(query, {"id": customer["id"]}, bookmark=placed["bookmark"])).data["customer"]
    assert found == {"name": {"lastName": "Doe"}, "orders": {"edges": [{"node": {"id": placed["order"]["id"]}}]}}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "lines: expected 1 to 100"),
        ([{"description": "a", "quantity": 0, "price": "1.00 USD"}], r"lines\[0\].quantity: expected 1 to"),
        (
            [
                {"description": "a", "quantity": 1, "price": "1.00 USD"},
                {"description": "b", "quantity": 1, "price": "1.00 EUR"},
            ],
            "one currency, found EUR, USD",
        ),
        ([{"description": "a", "quantity": 1, "price": "1.0 USD"}], "expected an amount like 12.50 USD"),
        ([{"description": "a", "quantity": 1_000_000, "price": "9999999999.00 USD"}], "expected at most"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(shop: RunningKith, lines: Any, told: str) -> None:
    customer = somebody()
    saved = await save(shop, customer)
    query = "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { version } }"
    refused = await shop.ask(query, {"input": {"customerId": customer["id"], "lines": lines}}, bookmark=saved.bookmark)
    assert refused.codes == ["INVALID_INPUT"]
    with pytest.raises(AssertionError, match=told):
        assert refused.data
