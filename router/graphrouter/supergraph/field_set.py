"""Field sets: the selections that a key, a requirement or a provided field is written as, `id owner { id }`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from graphql import (
    FieldNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    parse,
    print_ast,
)


@dataclass(frozen=True, slots=True)
class RequiredField:
    """One field, with its arguments as canonical text (`(currency:"USD")`, empty if there are none)."""

    name: str
    arguments: str = ""
    selections: FieldSet = ()


@dataclass(frozen=True, slots=True)
class RequiredFragment:
    """Fields that count only for objects of one type."""

    type_condition: str
    selections: FieldSet


FieldSet: TypeAlias = tuple[RequiredField | RequiredFragment, ...]


def parse_field_set(text: str) -> FieldSet:
    """Read `id owner { id }`, with or without its outer braces; GraphQLError where it is neither."""
    stripped = text.strip()
    document = parse(stripped if stripped.startswith("{") else f"{{{stripped}}}", no_location=True)
    operation = document.definitions[0]
    if len(document.definitions) != 1 or not isinstance(operation, OperationDefinitionNode):
        raise _not_a_field_set(text)
    return _selections(operation.selection_set.selections, text)


def _selections(nodes: Iterable[SelectionNode], text: str) -> FieldSet:
    return tuple(_selection(node, text) for node in nodes)


def _selection(node: SelectionNode, text: str) -> RequiredField | RequiredFragment:
    if isinstance(node, FieldNode) and node.alias is None:
        inner = node.selection_set.selections if node.selection_set else ()
        return RequiredField(node.name.value, arguments_text(node), _selections(inner, text))
    if isinstance(node, InlineFragmentNode) and node.type_condition:
        return RequiredFragment(node.type_condition.name.value, _selections(node.selection_set.selections, text))
    raise _not_a_field_set(text)


def arguments_text(node: FieldNode) -> str:
    """The arguments of a field in one canonical line, sorted by name: equal texts mean equal arguments."""
    if not node.arguments:
        return ""
    parts = sorted((argument.name.value, print_ast(argument.value)) for argument in node.arguments)
    return f"({','.join(f'{name}:{value}' for name, value in parts)})"


def field_set_text(selections: FieldSet) -> str:
    """The canonical text of a field set: sorted, so that equal sets have equal texts."""
    return " ".join(sorted(_text(selection) for selection in selections))


def _text(selection: RequiredField | RequiredFragment) -> str:
    inner = f"{{{field_set_text(selection.selections)}}}" if selection.selections else ""
    if isinstance(selection, RequiredFragment):
        return f"... on {selection.type_condition}{inner}"
    return f"{selection.name}{selection.arguments}{inner}"


def _not_a_field_set(text: str) -> GraphQLError:
    return GraphQLError(f"Expected a field set such as `id owner {{ id }}`, found {text!r}.")
