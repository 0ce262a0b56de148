"""What a client sends is told back in errors only as far as it cannot be a secret's neighbour."""

from __future__ import annotations

import pytest
from graphql import build_schema, get_variable_values, parse, validate
from graphql.language import OperationDefinitionNode

from graphrouter.request import clipped

SCHEMA = build_schema(
    """
    type Query { pay(card: Card, cards: [Card!], text: String, count: Int, sure: Boolean, kind: Kind): String }
    enum Kind { DEBIT }
    input Card { number: String!, holder: String! }
    """
)
SECRET = "4111111111111111"


@pytest.mark.parametrize(
    "literal",
    [
        f'card: {{ number: "{SECRET}" }}',
        f'card: {{ number: "{SECRET}", holder: "Ada", more: 1 }}',
        f'cards: [{{ number: "{SECRET}" }}]',
        f'text: {{ number: "{SECRET}" }}',
        f'text: ["{SECRET}"]',
        f'card: ["{SECRET}"]',
        f'card: {{ number: "{SECRET}", note: "{"long " * 40}" }}',
        f"text: {SECRET}",
        f"card: {SECRET}",
        f'count: "{SECRET}"',
        f'count: "a value: {SECRET}"',
        f'sure: "{SECRET}"',
        f"kind: {SECRET}",
    ],
)
def test_nothing_is_told_of_a_literal_that_is_not_of_its_type(literal: str) -> None:
    errors = validate(SCHEMA, parse(f"{{ pay({literal}) }}"))
    assert errors
    assert any(SECRET in error.message for error in errors), "graphql-core tells nothing that could be left out"
    assert not [error.message for error in errors if SECRET in clipped(error.message)]


@pytest.mark.parametrize(
    "value",
    [
        {"card": {"number": SECRET}},
        {"card": {"number": SECRET, "holder": "Ada", "more": 1}},
        {"cards": [{"number": SECRET}]},
        {"text": {"number": SECRET}},
        {"text": [SECRET]},
        {"card": [SECRET]},
        {"text": int(SECRET)},
        {"card": int(SECRET)},
        {"count": SECRET},
        {"count": f"a value: {SECRET}"},
        {"sure": SECRET},
        {"kind": int(SECRET)},
        {"kind": SECRET},
        {"kind": f"{SECRET}' does not exist in 'Kind' enum."},
        {"kind": f"line\n{SECRET}"},
    ],
)
def test_nor_of_the_value_of_a_variable(value: dict[str, object]) -> None:
    document = parse(
        "query ($card: Card, $cards: [Card!], $text: String, $count: Int, $sure: Boolean, $kind: Kind) "
        "{ pay(card: $card, cards: $cards, text: $text, count: $count, sure: $sure, kind: $kind) }"
    )
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    errors = get_variable_values(SCHEMA, operation.variable_definitions or (), value)
    assert isinstance(errors, list)
    assert any(SECRET in error.message for error in errors), "graphql-core tells nothing that could be left out"
    assert not [error.message for error in errors if SECRET in clipped(error.message)]


def test_what_was_expected_is_still_told() -> None:
    message = clipped("Expected value of type 'Card' to include required field 'holder', found: { number: \"1\" }.")
    assert message == "Expected value of type 'Card' to include required field 'holder', found: …"
    assert clipped("String cannot represent a non string value: 7") == "String cannot represent a non string value: …"
    assert clipped("Value 'RED' does not exist in 'Colour' enum.") == "Value 'RED' does not exist in 'Colour' enum."
    assert clipped("Value '4 2' does not exist in 'Colour' enum.") == "Value … does not exist in 'Colour' enum."
