"""A Postman collection of a system, which Bruno, Insomnia and others import too: its examples, and every operation.

https://schema.getpostman.com/json/collection/v2.1.0/docs/index.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, cast

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
    parse,
)

from eventgraph.describing.reference import type_of

_SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_KEEP_BOOKMARK: Final = (
    'if (pm.response.headers.get("content-type").startsWith("text/event-stream")) return;',
    "const answer = pm.response.json();",
    "if (answer.extensions && answer.extensions.bookmark) {",
    '  pm.collectionVariables.set("bookmark", answer.extensions.bookmark);',
    "}",
)
"""Each request shows what the ones before have done: the collection keeps the last answer's bookmark."""


class Prepared(Protocol):
    """A prepared operation, as the playground has it."""

    @property
    def title(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def variables(self) -> Mapping[str, object]: ...


def collection(title: str, schema: GraphQLSchema, examples: Sequence[Prepared], origin: str) -> str:
    """The collection of a schema, as clients see it, as JSON. `origin` is where the system is by default."""
    folders = [
        _folder("Examples", [_request(one.title, one.query, one.variables) for one in examples]),
        _folder("Queries", list(_operations("query", schema.query_type))),
        _folder("Mutations", list(_operations("mutation", schema.mutation_type))),
        _folder("Subscriptions", list(_operations("subscription", schema.subscription_type))),
    ]
    document = {
        "info": {"name": title, "schema": _SCHEMA},
        "item": [folder for folder in folders if folder["item"]],
        "variable": [{"key": "origin", "value": origin}, {"key": "bookmark", "value": ""}],
        "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": list(_KEEP_BOOKMARK)}}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _folder(name: str, items: Sequence[object]) -> dict[str, Any]:
    return {"name": name, "item": list(items)}


def _request(name: str, query: str, variables: Mapping[str, object]) -> dict[str, Any]:
    operations = (one for one in parse(query).definitions if isinstance(one, OperationDefinitionNode))
    subscribes = any(one.operation is OperationType.SUBSCRIPTION for one in operations)
    return {
        "name": name,
        "request": {
            "method": "POST",
            "url": "{{origin}}/graphql",
            "header": [
                {"key": "content-type", "value": "application/json"},
                {"key": "bookmark", "value": "{{bookmark}}"},
                *([{"key": "accept", "value": "text/event-stream"}] if subscribes else []),
            ],
            "body": {
                "mode": "graphql",
                "graphql": {"query": query, "variables": json.dumps(variables, indent=2, ensure_ascii=False)},
            },
        },
    }


def _operations(kind: str, root: GraphQLObjectType | None) -> Iterator[dict[str, Any]]:
    for name, field in root.fields.items() if root is not None else ():
        definitions = ", ".join(f"${argument}: {of.type}" for argument, of in field.args.items())
        values = ", ".join(f"{argument}: ${argument}" for argument in field.args)
        head = f"{kind} {name[0].upper()}{name[1:]}" + (f"({definitions})" if definitions else "")
        asked = name + (f"({values})" if values else "")
        lines = [f"{head} {{", *_selected(asked, field, 1, ()), "}"]
        sent = {argument: _sample(type_of(of)) for argument, of in field.args.items() if is_required_argument(of)}
        yield _request(name, "\n".join(lines), sent)


def _selected(asked: str, field: GraphQLField, level: int, above: tuple[GraphQLNamedType, ...]) -> Iterator[str]:
    """A field with all below it that takes no arguments, no type within itself."""
    kind, indent = get_named_type(type_of(field)), "  " * level
    if is_leaf_type(kind):
        yield indent + asked
        return
    inner: list[str] = []
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        for name, child in kind.fields.items():
            if not child.args and get_named_type(type_of(child)) not in (*above, kind):
                inner += _selected(name, child, level + 1, (*above, kind))
    yield from (f"{indent}{asked} {{", *(inner or [f"{indent}  __typename"]), f"{indent}}}")


def _sample(kind: GraphQLType) -> object:
    """A value of the type's form, to be replaced: inputs with what they require."""
    inner = cast("GraphQLType", kind.of_type) if isinstance(kind, GraphQLNonNull) else kind  # pyright: ignore[reportUnknownMemberType]
    if isinstance(inner, GraphQLList):
        return []
    if isinstance(inner, GraphQLInputObjectType):
        return {name: _sample(type_of(field)) for name, field in inner.fields.items() if is_required_input_field(field)}
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    if isinstance(inner, GraphQLScalarType):
        return {"Int": 1, "Float": 1.0, "Boolean": True}.get(inner.name, inner.name.lower())
    return None
