"""What one subgraph hides no client sees, wherever it stands: refused, or hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from graphql import (
    ConstDirectiveNode,
    DocumentNode,
    GraphQLEnumType,
    GraphQLSchema,
    NameNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    parse,
    print_ast,
)

from graphrouter.composition import CompositionError, SubgraphSdl, compose
from graphrouter.supergraph import read_supergraph
from tests.support.mutated_subgraphs import SETS
from tests.unit.composition.composing import composed

HIDDEN = ConstDirectiveNode(name=NameNode(value="federation__inaccessible"))


def hidden_once(document: DocumentNode) -> Iterator[tuple[str, DocumentNode]]:
    """The document with each of its elements hidden, one at a time, and the coordinate of that element."""
    for index, definition in enumerate(document.definitions):
        if isinstance(definition, TypeDefinitionNode | TypeExtensionNode):
            for coordinate, changed in changes(definition, definition.name.value):
                definitions = (*document.definitions[:index], changed, *document.definitions[index + 1 :])
                yield coordinate, DocumentNode(definitions=definitions)


def changes(node: Any, coordinate: str) -> Iterator[tuple[str, Any]]:
    """The node hidden, and the node with each of its parts hidden."""
    yield coordinate, replace(node, directives=(*(node.directives or ()), HIDDEN))
    for key in ("fields", "values", "arguments"):
        parts = getattr(node, key, None) or ()
        for index, part in enumerate(parts):
            name = part.name.value
            below = f"{coordinate}({name}:)" if key == "arguments" else f"{coordinate}.{name}"
            for at, changed in changes(part, below):
                yield at, replace(node, **{key: (*parts[:index], changed, *parts[index + 1 :])})


def is_seen(schema: GraphQLSchema, coordinate: str) -> bool:
    """Whether clients see the element."""
    path, _, argument = coordinate.removesuffix(":)").partition("(")
    name, _, part = path.partition(".")
    definition: Any = schema.type_map.get({"Root": "Query"}.get(name, name))
    if definition is None or not part:
        return definition is not None
    found = (definition.values if isinstance(definition, GraphQLEnumType) else definition.fields).get(part)
    return found is not None and (not argument or argument in found.args)


@pytest.mark.parametrize(
    ("name", "subgraph"),
    [(name, subgraph) for name, subgraphs in SETS.items() if name != "federation 1" for subgraph in subgraphs],
)
def test_an_element_that_is_hidden_in_one_subgraph_is_never_seen(name: str, subgraph: str) -> None:
    shown = read_supergraph(compose(sdls(SETS[name])).supergraph_sdl).api_schema
    tried = refused = 0
    for coordinate, document in hidden_once(parse(SETS[name][subgraph], no_location=True)):
        tried += 1
        try:
            result = compose(sdls({**SETS[name], subgraph: print_ast(document)}))
        except CompositionError:
            refused += 1
            continue
        assert not is_seen(read_supergraph(result.supergraph_sdl).api_schema, coordinate), coordinate
        assert is_seen(shown, coordinate) or "inaccessible" in SETS[name][subgraph] or "Context" in SETS[name][subgraph]
    assert refused < tried


def sdls(subgraphs: Any) -> list[SubgraphSdl]:
    return [SubgraphSdl(name, "", sdl) for name, sdl in subgraphs.items()]


def test_what_hides_an_interfaces_field_hides_what_its_interface_object_gives_the_implementation() -> None:
    result = composed(
        a="""
            type Query { i: I x: X } interface I @key(fields: "id") { id: ID! secret: Int @inaccessible }
            type X implements I @key(fields: "id") {
              id: ID! secret: Int @external n: Int @requires(fields: "secret")
            }
        """,
        b='type I @interfaceObject @key(fields: "id") { id: ID! secret: Int }',
    )
    schema = read_supergraph(result.supergraph_sdl).api_schema
    assert is_seen(schema, "X.n")
    assert not is_seen(schema, "X.secret")
    assert not is_seen(schema, "I.secret")
