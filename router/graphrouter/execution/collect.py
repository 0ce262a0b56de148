"""Which fields a selection set asks of an object type, in the order of the response, with conditions decided.

https://spec.graphql.org/October2021/#sec-Field-Collection
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    SelectionSetNode,
    VariableNode,
    Visitor,
    is_abstract_type,
    visit,
)


class FieldCollector:
    """Collects fields for given values of the variables in `@skip` and `@include`."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._conditions = conditions

    def fields(
        self, type_: GraphQLObjectType | GraphQLInterfaceType, sets: Iterable[SelectionSetNode]
    ) -> dict[str, list[FieldNode]]:
        """Response key → the field nodes that are merged under it, for objects of this type."""
        collected: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for selection_set in sets:
            for node in self._walk(type_, selection_set, spread):
                key = node.alias.value if node.alias else node.name.value
                collected.setdefault(key, []).append(node)
        return collected

    def _walk(
        self, type_: GraphQLObjectType | GraphQLInterfaceType, selection_set: SelectionSetNode, spread: set[str]
    ) -> Iterator[FieldNode]:
        for selection in selection_set.selections:
            if not self._included(selection.directives):
                continue
            if isinstance(selection, FieldNode):
                yield selection
                continue
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in spread:
                    continue
                spread.add(name)
                fragment = self._fragments[name]
                condition, inner = fragment.type_condition.name.value, fragment.selection_set
            elif isinstance(selection, InlineFragmentNode):
                node = selection.type_condition
                condition, inner = node.name.value if node else type_.name, selection.selection_set
            else:
                raise TypeError(f"unknown kind of selection: {selection.kind}")
            if self._applies(condition, type_):
                yield from self._walk(type_, inner, spread)

    def _applies(self, condition: str, type_: GraphQLObjectType | GraphQLInterfaceType) -> bool:
        if condition == type_.name:
            return True
        named = self._schema.type_map.get(condition)
        return (
            isinstance(named, GraphQLAbstractType)
            and is_abstract_type(named)
            and self._schema.is_sub_type(named, type_)
        )

    def _included(self, directives: Iterable[Node] | None) -> bool:
        for name, value in condition_values(directives):
            holds = value.value if isinstance(value, BooleanValueNode) else self._conditions[value.name.value]
            if holds is not (name == "include"):
                return False
        return True


def condition_values(
    directives: Iterable[Node] | None,
) -> Iterator[tuple[str, BooleanValueNode | VariableNode]]:
    """`(skip or include, its argument)` for each of these directives on a selection."""
    for directive in directives or ():
        name = directive.name.value  # type: ignore[attr-defined]
        if name in ("skip", "include"):
            yield name, directive.arguments[0].value  # type: ignore[attr-defined]


def condition_variables(document: DocumentNode) -> tuple[str, ...]:
    """The variables that occur in `@skip` and `@include`, sorted."""
    found: set[str] = set()

    class Finder(Visitor):
        def enter_directive(self, node: Node, *_: object) -> None:
            found.update(value.name.value for _, value in condition_values([node]) if isinstance(value, VariableNode))

    visit(document, Finder())
    return tuple(sorted(found))
