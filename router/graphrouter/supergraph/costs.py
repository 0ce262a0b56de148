"""`@cost` and `@listSize`: what the subgraphs tell of the work behind fields. https://specs.apollo.dev/cost/v0.1/"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import (
    Node,
    TypeDefinitionNode,
    value_from_ast_untyped,
)

from graphrouter.supergraph.features import Feature, directive_of
from graphrouter.supergraph.model import ListSize, SupergraphError


def read_costs(definitions: Iterable[TypeDefinitionNode], features: tuple[Feature, ...]) -> dict[str, int]:
    """The weights of all elements that have one, by schema coordinate."""
    name = directive_of(features, "cost", "cost")
    found: dict[str, int] = {}
    for coordinate, node in _elements(definitions) if name else ():
        for arguments in _applied(node, name):
            found[coordinate] = _integer(arguments.get("weight"), f"{coordinate}: @{name}(weight:)")
    return found


def read_list_sizes(
    definitions: Iterable[TypeDefinitionNode], features: tuple[Feature, ...]
) -> dict[tuple[str, str], ListSize]:
    """What is told of the lengths of lists, by type and field."""
    name = directive_of(features, "cost", "listSize")
    found: dict[tuple[str, str], ListSize] = {}
    for definition in definitions if name else ():
        for field in getattr(definition, "fields", None) or ():
            for arguments in _applied(field, name):
                coordinate = f"{definition.name.value}.{field.name.value}"
                assumed = arguments.get("assumedSize")
                found[definition.name.value, field.name.value] = ListSize(
                    None if assumed is None else _integer(assumed, f"{coordinate}: @{name}(assumedSize:)"),
                    tuple(dict.fromkeys(map(str, arguments.get("slicingArguments") or ()))),
                    tuple(dict.fromkeys(map(str, arguments.get("sizedFields") or ()))),
                    arguments.get("requireOneSlicingArgument") is not False,
                )
    return found


def _elements(definitions: Iterable[TypeDefinitionNode]) -> Iterator[tuple[str, Node]]:
    for definition in definitions:
        yield definition.name.value, definition
        for field in getattr(definition, "fields", None) or ():
            coordinate = f"{definition.name.value}.{field.name.value}"
            yield coordinate, field
            for argument in getattr(field, "arguments", None) or ():
                yield f"{coordinate}({argument.name.value}:)", argument


def _applied(node: Any, directive: str | None) -> Iterator[dict[str, Any]]:
    for applied in node.directives or ():
        if applied.name.value == directive:
            yield {a.name.value: value_from_ast_untyped(a.value) for a in applied.arguments or ()}


def _integer(value: object, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise SupergraphError("INVALID_SUPERGRAPH", f"{what}: expected an integer, found {str(value)[:50]}.")
