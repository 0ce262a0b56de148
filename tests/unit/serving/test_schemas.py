"""The three schemas read as if one person had written them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
)

from eventgraph.serving.federation import FederatedSchema
from subgraphs.friends.schema import schema as friends
from subgraphs.recommendations.schema import schema as recommendations
from subgraphs.users.schema import schema as users

SCHEMAS = {"users": users.compiled, "friends": friends.compiled, "recommendations": recommendations.compiled}

MACHINERY = ("_", "link__", "federation__")


def descriptions(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Every coordinate of a schema's own (https://spec.graphql.org/draft/#sec-Schema-Coordinates) and what it says."""
    for name, kind in schema.type_map.items():
        if name.startswith(MACHINERY) or name in {"FieldSet", "String", "Int", "Boolean", "ID", "Float"}:
            continue
        yield name, kind.description
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                if field_name.startswith("_"):
                    continue
                yield f"{name}.{field_name}", field.description
                for argument_name, argument in getattr(field, "args", {}).items():
                    yield f"{name}.{field_name}({argument_name}:)", argument.description
        elif isinstance(kind, GraphQLEnumType):
            for value_name, value in kind.values.items():
                yield f"{name}.{value_name}", value.description


@pytest.mark.parametrize("name", SCHEMAS)
def test_everything_is_described_in_a_sentence(name: str) -> None:
    assert [coordinate for coordinate, text in descriptions(SCHEMAS[name]) if not text or not text.endswith(".")] == []


def test_what_several_subgraphs_have_they_describe_alike() -> None:
    said: dict[str, set[str | None]] = {}
    for schema in SCHEMAS.values():
        for coordinate, text in descriptions(schema):
            said.setdefault(coordinate, set()).add(text)
    assert {coordinate: texts for coordinate, texts in said.items() if len(texts) > 1} == {}


@pytest.mark.parametrize("name", ["users", "friends"])
def test_every_mutation_takes_one_input_with_a_key_and_gives_version_bookmark_and_key(name: str) -> None:
    mutation = SCHEMAS[name].mutation_type
    assert mutation is not None
    for field_name, field in mutation.fields.items():
        assert list(field.args) == ["input"], field_name
        required = field.args["input"].type
        assert isinstance(required, GraphQLNonNull), field_name
        given, payload = required.of_type, field.type
        assert isinstance(given, GraphQLInputObjectType)
        assert isinstance(payload, GraphQLObjectType), f"{field_name} must be nullable, so that others may succeed"
        assert str(given.fields["idempotencyKey"].type) == "String"
        found = {part: str(payload.fields[part].type) for part in ("version", "bookmark", "idempotencyKey")}
        assert found == {"version": "Int!", "bookmark": "String!", "idempotencyKey": "String!"}
        assert ("expectedVersion" in given.fields) is not field_name.startswith(("create", "add")), field_name


@pytest.mark.parametrize("schema", [users, friends, recommendations], ids=list(SCHEMAS))
def test_no_default_of_null_stands_in_a_schema(schema: FederatedSchema) -> None:
    assert "= null" not in schema.as_str()
