"""A document without what its caller may not see: what is not in it is not planned, and so not fetched.

The positions of what was taken out stay known by their nodes: the response has null there, and an error. A field is
judged by the type that it is selected on, a fragment by its type condition. A selection set that would become empty
asks for `__typename`, so that the object that it belongs to is still there or not.

Objects behind a union are known only when they have come: what is selected of a type that must not be seen is taken
out, and an object of such a type is null in the response (`execution/shape.py`).

What the router has fetched on its own account, keys and what other fields require, is not looked at here: composition
lets a field require only what needs no more than the field itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from graphql import (
    REMOVE,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    NameNode,
    Node,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    print_ast,
    separate_operations,
    visit,
)

from graphrouter.execution.denied import Denied
from graphrouter.supergraph import Access, Supergraph


def rules_of(document: DocumentNode, supergraph: Supergraph) -> tuple[Access, ...]:
    """The rules that the fields and types of a valid document are under, each once."""
    if not supergraph.access:
        return ()
    walk = _Rules(supergraph)
    visit(document, TypeInfoVisitor(walk.types, walk))
    return tuple(walk.found)


@dataclass(frozen=True, slots=True)
class Restricted:
    """What is left of a document, and what is not."""

    document: DocumentNode
    denied: Denied


def restricted(document: DocumentNode, supergraph: Supergraph, rules: Collection[Access]) -> Restricted:
    """A document of one operation without what is under any of these rules."""
    types = frozenset(name for name, access in supergraph.access.types.items() if access in rules)
    text, placeholder = print_ast(document), "_"
    while f"{placeholder}:" in text:
        placeholder += "_"
    walk = _Restriction(supergraph, rules, types, placeholder)
    left = visit(document, TypeInfoVisitor(walk.types, walk))
    (own,) = separate_operations(left).values()
    return Restricted(own, Denied(frozenset(walk.nodes), types))


class _Rules(Visitor):
    def __init__(self, supergraph: Supergraph) -> None:
        super().__init__()
        self.types = TypeInfo(supergraph.api_schema)
        self.found: dict[Access, None] = {}
        self._supergraph = supergraph

    def _meet(self, access: Access | None) -> None:
        if access is not None:
            self.found[access] = None

    def enter_field(self, node: FieldNode, *_: Node | object) -> None:
        self._meet(_field_access(self._supergraph, self.types, node))
        for name in _behind(self._supergraph, self.types, node):
            self._meet(self._supergraph.access.types.get(name))

    def enter_inline_fragment(self, node: InlineFragmentNode, *_: Node | object) -> None:
        if node.type_condition is not None:
            self._meet(self._supergraph.access.types.get(node.type_condition.name.value))

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Node | object) -> None:
        self._meet(self._supergraph.access.types.get(node.type_condition.name.value))


def _field_access(supergraph: Supergraph, types: TypeInfo, node: FieldNode) -> Access | None:
    parent = types.get_parent_type()
    return None if parent is None else supergraph.access.fields.get((parent.name, node.name.value))


def _behind(supergraph: Supergraph, types: TypeInfo, node: FieldNode) -> Iterator[str]:
    """The object types behind the field that is being looked at, where it is of an abstract type."""
    parent = types.get_parent_type()
    named = None if parent is None else supergraph.field_types.get((parent.name, node.name.value))
    if named is not None and supergraph.kinds.get(named) in {"interface", "union"}:
        yield from supergraph.possible_types[named]


class _Restriction(Visitor):
    def __init__(
        self, supergraph: Supergraph, rules: Collection[Access], denied_types: frozenset[str], placeholder: str
    ) -> None:
        super().__init__()
        self.types = TypeInfo(supergraph.api_schema)
        self.nodes: set[int] = set()
        self._supergraph = supergraph
        self._rules = rules
        self._denied_types = denied_types
        self._placeholder = placeholder

    def enter_field(self, node: FieldNode, *_: Node | object) -> object:
        if _field_access(self._supergraph, self.types, node) not in self._rules:
            return None
        self.nodes.add(id(node))
        return REMOVE

    def enter_inline_fragment(self, node: InlineFragmentNode, *_: Node | object) -> object:
        if node.type_condition is None or node.type_condition.name.value not in self._denied_types:
            return None
        self._deny_below(node)
        return REMOVE

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Node | object) -> object:
        if node.type_condition.name.value not in self._denied_types:
            return None
        self._deny_below(node)
        return FragmentDefinitionNode(
            name=node.name,
            type_condition=node.type_condition,
            directives=node.directives,
            variable_definitions=node.variable_definitions,
            selection_set=self._nothing(),
        )

    def leave_selection_set(self, node: SelectionSetNode, *_: Node | object) -> object:
        return None if node.selections else self._nothing()

    def _nothing(self) -> SelectionSetNode:
        typename = FieldNode(
            alias=NameNode(value=self._placeholder),
            name=NameNode(value="__typename"),
            arguments=(),
            directives=(),
        )
        return SelectionSetNode(selections=(typename,))

    def _deny_below(self, node: Node) -> None:
        nodes = self.nodes

        class Fields(Visitor):
            def enter_field(self, node: FieldNode, *_: Node | object) -> None:
                nodes.add(id(node))

        visit(node, Fields())
