"""Field sets: the selections inside @key, @requires and @provides.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#fieldset
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from graphql import (
    FieldNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    parse,
    print_ast,
)


class InvalidFieldSet(ValueError):
    """The text is no field set; the message says why."""


class DirectiveInFieldSet(InvalidFieldSet):
    """The text applies a directive, which a field set may not."""


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field; a leaf has no selections. `arguments` are pairs of a name and the text of its value."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()
    selections: tuple[Selection, ...] = ()


@dataclass(frozen=True, slots=True)
class SelectedFragment:
    """An inline fragment; without a type condition it counts for every type."""

    type_condition: str | None
    selections: tuple[Selection, ...]


Selection: TypeAlias = SelectedField | SelectedFragment
Selections: TypeAlias = tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class FieldSet:
    """A parsed field set and the text that the author wrote."""

    text: str
    selections: Selections

    def __str__(self) -> str:
        return self.text


def parse_field_set(text: str) -> FieldSet:
    """Read a field set such as `id organization { id }`; raise InvalidFieldSet where it is none.

    Braces around the whole are tolerated and dropped.
    """
    stripped = text.strip()
    inner = stripped[1:-1].strip() if stripped.startswith("{") and stripped.endswith("}") else stripped
    try:
        document = parse("{" + inner + "\n}", no_location=True)
    except GraphQLSyntaxError as error:
        raise InvalidFieldSet(error.message) from error
    match document.definitions:
        case (OperationDefinitionNode(selection_set=selection_set),):
            return FieldSet(inner, _selections(selection_set))
        case _:
            raise InvalidFieldSet("it holds more than selections")


def _selections(node: SelectionSetNode) -> Selections:
    if not node.selections:
        raise InvalidFieldSet("it selects nothing")
    return tuple(_selection(child) for child in node.selections)


def _selection(node: SelectionNode) -> Selection:
    if node.directives:
        raise DirectiveInFieldSet(f"it applies the directive @{node.directives[0].name.value}")
    if isinstance(node, FieldNode):
        if node.alias is not None:
            raise InvalidFieldSet(f'it gives "{node.name.value}" the alias "{node.alias.value}"')
        arguments = tuple((argument.name.value, print_ast(argument.value)) for argument in node.arguments or ())
        return SelectedField(node.name.value, arguments, _selections(node.selection_set) if node.selection_set else ())
    if isinstance(node, InlineFragmentNode):
        condition = node.type_condition.name.value if node.type_condition else None
        return SelectedFragment(condition, _selections(node.selection_set))
    raise InvalidFieldSet("it spreads a named fragment")


def canonical(selections: Selections) -> Selections:
    """The same selections in one order, each field once: equal field sets are equal then."""
    merged: dict[tuple[str, object], Selection] = {}
    for selection in selections:
        if isinstance(selection, SelectedField):
            identity: tuple[str, object] = (selection.name, selection.arguments)
        else:
            identity = ("...", selection.type_condition)
        before = merged.get(identity)
        within = (*before.selections, *selection.selections) if before is not None else selection.selections
        merged[identity] = replace(selection, selections=canonical(within))
    return tuple(merged[identity] for identity in sorted(merged, key=str))


def print_selections(selections: Selections) -> str:
    """The text of selections, on one line."""
    parts: list[str] = []
    for selection in selections:
        nested = f" {{ {print_selections(selection.selections)} }}" if selection.selections else ""
        if isinstance(selection, SelectedField):
            arguments = ", ".join(f"{name}: {value}" for name, value in selection.arguments)
            parts.append(f"{selection.name}{f'({arguments})' if arguments else ''}{nested}")
        else:
            condition = f" on {selection.type_condition}" if selection.type_condition else ""
            parts.append(f"...{condition}{nested}")
    return " ".join(parts)
