"""What the checker reads of GraphQL documents: fragments, conditions, the variables that these ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    parse,
)

from graphrouter.planning.plan import Condition

TYPENAME = "__typename"

Fragments: TypeAlias = Mapping[str, FragmentDefinitionNode]


def operation_of(document: DocumentNode, name: str | None = None) -> OperationDefinitionNode:
    """The operation of that name; the first one, without a name."""
    return next(
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) and (name is None or (node.name and node.name.value == name))
    )


def sent_operation(text: str) -> OperationDefinitionNode:
    """The one operation of a document that a subgraph is sent."""
    return operation_of(parse(text))


def fragments_of(document: DocumentNode) -> Fragments:
    """The named fragments of a document."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def body_of(node: SelectionNode, fragments: Fragments) -> InlineFragmentNode | FragmentDefinitionNode:
    """What a selection that is not a field stands for."""
    if isinstance(node, FragmentSpreadNode):
        return fragments[node.name.value]
    if isinstance(node, InlineFragmentNode):
        return node
    raise TypeError(f"Expected a fragment, found {node.kind}.")


def without_arguments(node: FieldNode, names: set[str]) -> FieldNode:
    """The field without the arguments of these names."""
    kept = tuple(argument for argument in node.arguments or () if argument.name.value not in names)
    return FieldNode(alias=node.alias, name=node.name, arguments=kept, selection_set=node.selection_set)


def response_key(node: FieldNode) -> str:
    """The alias of a field, or its name."""
    return (node.alias or node.name).value


def data_key(node: FieldNode, typename: str) -> str:
    """Where the plan puts a client's field: under its response key, except what is another field's `__typename`."""
    key = response_key(node)
    return typename if key == TYPENAME and node.name.value != TYPENAME else key


def condition_variables(document: DocumentNode) -> set[str]:
    """The variables that `@skip` and `@include` ask for."""
    found: set[str] = set()
    waiting: list[SelectionSetNode] = [
        node.selection_set
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while waiting:
        for selection in waiting.pop().selections:
            found |= {c.variable for c in conditions_of(selection.directives or ()) if isinstance(c, Condition)}
            if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                waiting.append(selection.selection_set)
    return found


def conditions_of(directives: Iterable[DirectiveNode]) -> Iterator[Condition | bool]:
    """Conditions with a variable; a truth value for each with a literal."""
    for directive in directives:
        if directive.name.value in {"skip", "include"}:
            wanted = directive.name.value == "include"
            for value in (argument.value for argument in directive.arguments or ()):
                if isinstance(value, VariableNode):
                    yield Condition(value.name.value, wanted)
                elif isinstance(value, BooleanValueNode):
                    yield value.value is wanted
