"""Between two subgraphs nothing that may be missing is non-null.

Each subgraph knows of a deletion at its own moment. What one of them has nothing to say of must not take away what
others gave: in a list of users one who is being deleted is null, or has nulls, and the others are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from graphql import (
    FieldDefinitionNode,
    ListTypeNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    TypeNode,
    parse,
)

from subgraphs.friends.schema import schema as friends
from subgraphs.recommendations.schema import schema as recommendations

HOMES: Mapping[str, str] = {"User": "users"}
"""The entities that several subgraphs speak of, and which of them says whether they are there."""

GUESTS = {"friends": friends.as_str(), "recommendations": recommendations.as_str()}


def fields(sdl: str) -> Iterator[tuple[str, FieldDefinitionNode]]:
    for node in parse(sdl).definitions:
        if isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode):
            for field in node.fields or ():
                yield node.name.value, field


def non_null_entities(wanted: TypeNode) -> bool:
    """Whether an entity of somebody else stands there, or in a list there, as if it could not be missing."""
    if isinstance(wanted, NonNullTypeNode):
        return isinstance(wanted.type, ListTypeNode | NonNullTypeNode) or wanted.type.name.value in HOMES
    return isinstance(wanted, ListTypeNode) and non_null_entities(wanted.type)


def leads_to_an_entity(wanted: TypeNode) -> bool:
    while isinstance(wanted, NonNullTypeNode | ListTypeNode):
        wanted = wanted.type
    return wanted.name.value in HOMES  # type: ignore[attr-defined]  # a named type is left


@pytest.mark.parametrize("name", GUESTS)
def test_what_a_subgraph_adds_to_an_entity_of_another_may_be_missing(name: str) -> None:
    added = [
        (owner, field.name.value)
        for owner, field in fields(GUESTS[name])
        if owner in HOMES and field.name.value != "id" and isinstance(field.type, NonNullTypeNode)
    ]
    assert added == []


@pytest.mark.parametrize("name", GUESTS)
def test_an_entity_of_another_subgraph_may_be_missing_wherever_it_is_led_to(name: str) -> None:
    led = [field for _, field in fields(GUESTS[name]) if leads_to_an_entity(field.type)]
    assert led
    assert [field.name.value for field in led if non_null_entities(field.type)] == []
