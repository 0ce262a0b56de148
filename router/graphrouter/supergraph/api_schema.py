"""What clients see: the supergraph without its machinery and without what is inaccessible.

https://specs.apollo.dev/inaccessible/v0.2/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    ExecutableDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    Node,
    ObjectTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    UnionTypeDefinitionNode,
    build_ast_schema,
)

from graphrouter.supergraph.model import EXECUTABLE_LOCATIONS, SupergraphError

_BUILT_IN = frozenset(("deprecated", "specifiedBy", "oneOf"))
AnyNode = TypeVar("AnyNode", bound=Node)
Hidden = Callable[[Node], bool]


def build_schemas(
    document: DocumentNode, prefixes: Iterable[str], inaccessible: str | None
) -> tuple[GraphQLSchema, GraphQLSchema]:
    """The complete schema, and the one for clients: without what `@inaccessible` hides.

    `prefixes` are the names of the machinery (`join`, `link`): the definitions `join__Graph`, `@link` go.
    """
    known = tuple(prefixes)
    full = [_stripped(node, _nothing) for node in document.definitions if not _is_machinery(node, known)]

    def hidden(node: Node) -> bool:
        return inaccessible is not None and any(
            directive.name.value == inaccessible for directive in getattr(node, "directives", None) or ()
        )

    gone = {node.name.value for node in document.definitions if isinstance(node, TypeDefinitionNode) and hidden(node)}
    visible = [
        _without_references(_stripped(node, hidden), gone)
        for node in document.definitions
        if not _is_machinery(node, known) and not hidden(node)
    ]
    return _build(full, "supergraph"), _build(visible, "API")


def _build(definitions: list[DefinitionNode], which: str) -> GraphQLSchema:
    try:
        return build_ast_schema(DocumentNode(definitions=tuple(definitions)))
    except (GraphQLError, TypeError) as error:
        raise SupergraphError("INVALID_SUPERGRAPH", f"The {which} schema is not valid: {error}") from error


def _nothing(_node: Node) -> bool:
    return False


def _is_machinery(node: DefinitionNode, prefixes: tuple[str, ...]) -> bool:
    if isinstance(node, ExecutableDefinitionNode):
        return True
    if isinstance(node, DirectiveDefinitionNode):
        return EXECUTABLE_LOCATIONS.isdisjoint(location.value for location in node.locations)
    name = node.name.value if isinstance(node, TypeDefinitionNode) else ""
    return any(name.startswith(f"{prefix}__") for prefix in prefixes)


def _stripped(node: AnyNode, hidden: Hidden) -> AnyNode:
    """The node without hidden parts and without directives that only the machinery reads."""
    changes: dict[str, Any] = {}
    for key in {"directives", "fields", "arguments", "values"}.intersection(node.keys):
        parts: tuple[Node, ...] = getattr(node, key) or ()
        if key == "directives":
            changes[key] = tuple(d for d in parts if isinstance(d, DirectiveNode) and d.name.value in _BUILT_IN)
        else:
            changes[key] = tuple(_stripped(part, hidden) for part in parts if not hidden(part))
    return _changed(node, changes)


def _without_references(node: AnyNode, gone: set[str]) -> AnyNode:
    """The definition without mention of hidden interfaces, union members, and fields of hidden types."""
    if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
        return _changed(
            node,
            {
                "interfaces": _others(node.interfaces, gone),
                "fields": tuple(
                    _changed(f, {"arguments": tuple(a for a in f.arguments or () if _named(a.type) not in gone)})
                    for f in node.fields or ()
                    if _named(f.type) not in gone
                ),
            },
        )
    if isinstance(node, UnionTypeDefinitionNode):
        return _changed(node, {"types": _others(node.types, gone)})
    if isinstance(node, InputObjectTypeDefinitionNode):
        return _changed(node, {"fields": tuple(f for f in node.fields or () if _named(f.type) not in gone)})
    if isinstance(node, SchemaDefinitionNode):
        operations = tuple(o for o in node.operation_types or () if o.type.name.value not in gone)
        return _changed(node, {"operation_types": operations})
    if isinstance(node, EnumTypeDefinitionNode):
        return node
    return node


def _others(nodes: Iterable[NamedTypeNode] | None, gone: set[str]) -> tuple[NamedTypeNode, ...]:
    return tuple(node for node in nodes or () if node.name.value not in gone)


def _named(node: Node) -> str:
    while not isinstance(node, NamedTypeNode):
        node = node.type  # type: ignore[attr-defined] # a list or non-null type has one
    return node.name.value


def _changed(node: AnyNode, changes: dict[str, Any]) -> AnyNode:
    values = {key: getattr(node, key) for key in node.keys} | changes
    return type(node)(**values)
