"""The reference page of a system's graph, in Markdown: every operation and every type, as the schema describes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias, cast

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLType,
    GraphQLUnionType,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    print_ast,
)
from graphql.utilities.get_default_value_ast import get_default_value_ast

_Fields: TypeAlias = Mapping[str, GraphQLField] | Mapping[str, GraphQLInputField] | Mapping[str, GraphQLArgument]

_KINDS: Final[Mapping[str, type[GraphQLNamedType]]] = {
    "object": GraphQLObjectType,
    "interface": GraphQLInterfaceType,
    "union": GraphQLUnionType,
    "input": GraphQLInputObjectType,
    "enum": GraphQLEnumType,
    "scalar": GraphQLScalarType,
}


def page(title: str, schema: GraphQLSchema) -> str:
    """The page of a schema, as clients see it, under this title."""
    return "\n".join(_lines(title, schema)).rstrip() + "\n"


def _lines(title: str, schema: GraphQLSchema) -> Iterator[str]:
    yield f"# {title}: reference"
    yield ""
    yield "Generated from the schema by the command `schema`. A type that ends with `!` is never null."
    roots = {"Queries": schema.query_type, "Mutations": schema.mutation_type, "Subscriptions": schema.subscription_type}
    for heading, root in roots.items():
        if root is not None:
            yield from ("", f"## {heading}", "", *_words(root.description))
            for name, field in root.fields.items():
                yield from ("", f"### {name}", "", *_words(field.description), "", f"Gives {_link(type_of(field))}.")
                yield from _table("Argument", field.args)
    named = [kind for _, kind in sorted(schema.type_map.items()) if _is_told(kind) and kind not in roots.values()]
    for heading, kind in _KINDS.items():
        found = [one for one in named if isinstance(one, kind)]
        if found:
            yield from ("", f"## Types: {heading}s")
            for one in found:
                yield from ("", f"### {one.name} ({heading})", "", *_words(one.description), *_body(schema, one))


def _body(schema: GraphQLSchema, kind: GraphQLNamedType) -> Iterator[str]:
    match kind:
        case GraphQLObjectType() | GraphQLInterfaceType():
            if kind.interfaces:
                yield from ("", f"Implements {', '.join(_link(one) for one in kind.interfaces)}.")
            yield from _table("Field", kind.fields)
            for name, field in kind.fields.items():
                if field.args:
                    yield from ("", f"Arguments of `{name}`:", *_table("Argument", field.args))
        case GraphQLInputObjectType():
            yield from _table("Field", kind.fields)
        case GraphQLEnumType():
            yield from ("", "| Value | |", "| --- | --- |")
            yield from (f"| `{name}` | {_cell(value.description)} |" for name, value in kind.values.items())
        case GraphQLUnionType():
            yield from ("", f"One of {', '.join(_link(one) for one in schema.get_possible_types(kind))}.")
        case GraphQLScalarType() if kind.specified_by_url:
            yield from ("", f"Specified by <{kind.specified_by_url}>.")
        case _:
            pass


def _table(heading: str, fields: _Fields) -> Iterator[str]:
    if not fields:
        return
    yield from ("", f"| {heading} | Type | |", "| --- | --- | --- |")
    for name, field in fields.items():
        words = [_cell(field.description)]
        if not isinstance(field, GraphQLField) and (default := get_default_value_ast(field)):
            words.append(f"By default `{print_ast(default)}`.")
        if field.deprecation_reason is not None:
            words.append(f"**Deprecated**: {_cell(field.deprecation_reason)}")
        yield f"| `{name}` | {_link(type_of(field))} | {' '.join(word for word in words if word)} |"


def type_of(field: GraphQLField | GraphQLInputField | GraphQLArgument) -> GraphQLType:
    """A field's type, which the library types in part only."""
    return cast("GraphQLType", field.type)  # pyright: ignore[reportUnknownMemberType]


def _link(kind: GraphQLType) -> str:
    """A type as it is written, with its name linked to where it is described."""
    named = get_named_type(kind)
    if not _is_told(named):
        return f"`{kind}`"
    before, _, behind = str(kind).partition(named.name)
    link = f"[{named.name}](#{named.name.lower()}-{_kind_of(named)})"
    return f"{_escaped(before)}{link}{_escaped(behind)}"


def _kind_of(named: GraphQLNamedType) -> str:
    """It stands in the heading: an operation may have the name of a type."""
    return next(word for word, kind in _KINDS.items() if isinstance(named, kind))


def _is_told(kind: GraphQLNamedType) -> bool:
    return not (is_introspection_type(kind) or is_specified_scalar_type(kind))


def _words(description: str | None) -> list[str]:
    return [] if description is None else [_escaped_words(description)]


def _cell(description: str | None) -> str:
    return " ".join(_escaped_words(description or "").split()).replace("|", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]])", r"\\\1", text)


def _escaped_words(text: str) -> str:
    """Text as Markdown shows it: code stays as it is, elsewhere `<` begins no tag."""
    parts = text.split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))
