"""Reads the operation asked for: named fragments are put in place, what literals skip is left out.

`@skip` and `@include` with a variable stay, as conditions: the plan holds for all values of the variables. Other
directives stay where subgraphs can be sent them: a named fragment becomes an inline one, and keeps those of its spreads
that may stand there; what stands on its definition goes with the definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    print_ast,
)

from graphrouter.planning.errors import PlanningError
from graphrouter.planning.names import Names, data_key, draw_names
from graphrouter.planning.plan import (
    DEFER,
    NO_DIRECTIVES,
    STREAM,
    Condition,
    Deferral,
    Deferrals,
    Directives,
    OperationKind,
    Stream,
)
from graphrouter.planning.selection import (
    Field,
    Fragment,
    Operation,
    Selection,
    Selections,
    Variable,
)
from graphrouter.supergraph import Supergraph
from graphrouter.supergraph.field_set import arguments_text

Conditions = tuple[Condition, ...]
Allowed = Mapping[str, frozenset[str]]
"""The locations of each directive that subgraphs know."""

_KINDS: tuple[OperationKind, ...] = ("query", "mutation", "subscription")


def read_operation(
    document: DocumentNode, name: str | None, supergraph: Supergraph, max_selections: int, max_depth: int
) -> Operation:
    """The operation of that name (the only one, if there is no name)."""
    node = _asked_for(document, name)
    kind: OperationKind = node.operation.value
    root_type = supergraph.roots.get(kind)
    if root_type is None:
        raise PlanningError("UNKNOWN_OPERATION", f"The schema has no {kind} type.")
    variables = [definition.variable.name.value for definition in node.variable_definitions or ()]
    names = draw_names(document, variables, supergraph)
    allowed = supergraph.executable_directives
    reader = _Reader(document, names, allowed, max_selections, max_depth)
    return Operation(
        kind=kind,
        name=node.name.value if node.name else None,
        root_type=root_type,
        variables={
            definition.variable.name.value: Variable(
                definition.variable.name.value,
                f"${definition.variable.name.value}:{print_ast(definition.type)}"
                + (f"={print_ast(definition.default_value)}" if definition.default_value else "")
                + _directives(definition.directives, allowed, "VARIABLE_DEFINITION").text,
            )
            for definition in node.variable_definitions or ()
        },
        selections=reader.selections(node.selection_set.selections),
        names=names,
        directives={kind: _directives(node.directives, allowed, kind.upper()) for kind in _KINDS},
    )


def _asked_for(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    found = [node for node in operations if name is None or (node.name and node.name.value == name)]
    if len(found) == 1:
        return found[0]
    if name is None:
        raise PlanningError(
            "UNKNOWN_OPERATION", f"Expected the name of one operation of {len(operations)}, found none."
        )
    raise PlanningError("UNKNOWN_OPERATION", f"The document has no operation named {name!r}.")


class _Reader:
    """Reads selections; each named fragment once. `size` counts what the selections come to, written out."""

    def __init__(
        self, document: DocumentNode, names: Names, allowed: Allowed, max_selections: int, max_depth: int
    ) -> None:
        self._names = names
        self._allowed = allowed
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._read: dict[str, tuple[Selections, int, int]] = {}
        self._max = max_selections
        self._max_depth = max_depth
        self._size = 0
        self._deepest = 0

    def selections(self, nodes: Iterable[SelectionNode], depth: int = 0) -> Selections:
        """The selections at a depth, counted from 0 at the root."""
        self._reach(depth)
        return tuple(selection for node in nodes for selection in self._selection(node, depth + 1))

    def _selection(self, node: SelectionNode, below: int) -> Iterator[Selection]:
        conditions = _conditions(node.directives or ())
        if conditions is None:
            return
        self._count(1)
        match node:
            case FieldNode():
                inner = self.selections(node.selection_set.selections, below) if node.selection_set else ()
                field = _field(node, inner, self._names, self._allowed)
                yield Fragment(None, conditions, (field,)) if conditions else field
            case InlineFragmentNode():
                on = node.type_condition.name.value if node.type_condition else None
                inner = self.selections(node.selection_set.selections, below)
                yield Fragment(on, conditions, inner, self._kept(node), self._deferrals(node))
            case FragmentSpreadNode():
                on = self._fragments[node.name.value].type_condition.name.value
                named = self._named(node.name.value, below)
                yield Fragment(on, conditions, named, self._kept(node), self._deferrals(node))
            case _:
                raise TypeError(f"Expected a selection, found {node.kind}.")

    def _kept(self, node: SelectionNode) -> Directives:
        return _directives(node.directives, self._allowed, "INLINE_FRAGMENT")

    def _deferrals(self, node: SelectionNode) -> Deferrals:
        """Where it stands is found when all fragments are in place (`place_deferrals`)."""
        labels = (
            argument.value.value
            for directive in node.directives or ()
            if directive.name.value == DEFER and DEFER not in self._allowed
            for argument in directive.arguments or ()
            if isinstance(argument.value, StringValueNode) and argument.value.value.isdecimal()
        )
        return frozenset(Deferral(int(label)) for label in labels)

    def _named(self, name: str, depth: int) -> Selections:
        if name in self._read:
            selections, size, levels = self._read[name]
            self._count(size)
            self._reach(depth + levels)
            return selections
        size_before, deepest_before, self._deepest = self._size, self._deepest, depth
        selections = self.selections(self._fragments[name].selection_set.selections, depth)
        self._read[name] = selections, self._size - size_before, self._deepest - depth
        self._deepest = max(self._deepest, deepest_before)
        return selections

    def _reach(self, depth: int) -> None:
        self._deepest = max(self._deepest, depth)
        if depth > self._max_depth:
            raise PlanningError(
                "OPERATION_TOO_LARGE", f"The operation is deeper than {self._max_depth} levels, fragments written out."
            )

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._max:
            raise PlanningError(
                "OPERATION_TOO_LARGE", f"The operation has more than {self._max} selections, fragments written out."
            )


def _conditions(directives: Iterable[DirectiveNode]) -> Conditions | None:
    """The conditions with a variable; None if a literal leaves the selection out."""
    found: list[Condition] = []
    for directive in directives:
        if directive.name.value in {"skip", "include"}:
            wanted = directive.name.value == "include"
            for value in (argument.value for argument in directive.arguments or ()):
                if isinstance(value, BooleanValueNode) and value.value != wanted:
                    return None
                if isinstance(value, VariableNode):
                    found.append(Condition(value.name.value, wanted))
    return tuple(found)


def _directives(nodes: Iterable[DirectiveNode] | None, allowed: Allowed, location: str) -> Directives:
    """The directives that subgraphs can be sent at this location."""
    kept = [node for node in nodes or () if location in allowed.get(node.name.value, ())]
    if not kept:
        return NO_DIRECTIVES
    values = [argument.value for node in kept for argument in node.arguments or ()]
    variables = frozenset(name for value in values for name in _variables(value))
    return Directives("".join(f" {print_ast(node)}" for node in kept), variables)


def _field(node: FieldNode, selections: Selections, names: Names, allowed: Allowed) -> Field:
    directives = _directives(node.directives, allowed, "FIELD")
    values = [argument.value for argument in node.arguments or ()]
    return Field(
        response_key=data_key(node, names.typename),
        name=node.name.value,
        arguments=arguments_text(node),
        directives=directives.text,
        variables=directives.variables.union(name for value in values for name in _variables(value)),
        selections=selections,
        stream=None if STREAM in allowed else _stream(node),
    )


def _stream(node: FieldNode) -> Stream | None:
    for directive in node.directives or ():
        if directive.name.value == STREAM:
            values = {argument.name.value: argument.value for argument in directive.arguments or ()}
            label, count = values.get("label"), values.get("initialCount")
            if isinstance(label, StringValueNode) and label.value.isdecimal() and isinstance(count, IntValueNode):
                return Stream(int(label.value), int(count.value))
    return None


def _variables(value: ValueNode) -> Iterator[str]:
    if isinstance(value, VariableNode):
        yield value.name.value
    for inner in getattr(value, "values", None) or ():
        yield from _variables(inner)
    for field in getattr(value, "fields", None) or ():
        yield from _variables(field.value)
