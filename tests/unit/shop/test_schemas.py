"""Both schemas read as if one person had written them, and neither takes from the other what it has given."""

from __future__ import annotations

import pytest
from graphql import NonNullTypeNode

from shop.accounts.schema import schema as accounts
from shop.orders.schema import schema as orders
from tests.unit.eventgraph.test_nullability import fields
from tests.unit.serving.test_schemas import descriptions

SCHEMAS = {"accounts": accounts.compiled, "orders": orders.compiled}


@pytest.mark.parametrize("name", SCHEMAS)
def test_everything_is_described_in_a_sentence(name: str) -> None:
    # Of enums' values the names say it all.
    told = {coordinate: text for coordinate, text in descriptions(SCHEMAS[name]) if not coordinate.isupper()}
    values = {
        f"{kind.name}.{value}"
        for kind in SCHEMAS[name].type_map.values()
        for value in getattr(kind, "values", None) or ()
    }
    assert [one for one, text in told.items() if one not in values and not (text or "").endswith(".")] == []


def test_what_both_have_they_describe_alike() -> None:
    said: dict[str, set[str | None]] = {}
    for schema in SCHEMAS.values():
        for coordinate, text in descriptions(schema):
            said.setdefault(coordinate, set()).add(text)
    assert {coordinate: texts for coordinate, texts in said.items() if len(texts) > 1} == {}


def test_what_orders_says_of_accounts_customers_may_be_missing() -> None:
    found = {(owner, field.name.value): field.type for owner, field in fields(orders.as_str())}
    added = {name: kind for (owner, name), kind in found.items() if owner == "Customer" and name != "id"}
    assert set(added) == {"orders"}
    assert not isinstance(added["orders"], NonNullTypeNode)
    assert not isinstance(found["Order", "currentCustomer"], NonNullTypeNode)


def test_the_number_of_a_card_is_in_no_answer() -> None:
    """The scalar stands where a number is sent, and nowhere else."""
    for schema in (accounts, orders):
        assert [one for one in fields(schema.as_str()) if "number" in one[1].name.value.lower()] == []
    assert "number: CardNumber!" in accounts.as_str()
    assert "CardNumber" not in orders.as_str()
