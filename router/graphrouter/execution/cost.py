"""What an operation costs, by the weights of `@cost` and `@listSize`: estimated before, and counted after.

https://specs.apollo.dev/cost/v0.1/, which takes its directives from https://ibm.github.io/graphql-specs/cost-spec.html.
Their one formula, as the routers that have it count:

    operation   10 for a mutation, and its fields
    field       how many values it has × (its weight, and the fields below) + its arguments
    argument    its weight, and for an input object that of each field that is given

A weight is that of the field or argument itself, or else of its type, or else 1 for objects and 0 for all others. The
estimate takes lists for as long as `@listSize` and its slicing arguments say; the count afterwards takes them as they
came. Of an abstract type the dearest object counts before, and the one that came after. What the router fetches for
itself (keys, `@requires`) is not counted: it is not what the client asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    is_abstract_type,
    is_leaf_type,
    value_from_ast_untyped,
)

from graphrouter.execution.estimate import (
    Count,
    Estimate,
    Evaluation,
    Selected,
    Variables,
    default_of,
    sum_of,
    unwrap,
    value_of,
)
from graphrouter.execution.merge import JsonObject
from graphrouter.json_text import Json
from graphrouter.limits import LimitExceeded
from graphrouter.supergraph import Supergraph

_MUTATION: Final = 10

_Given = bool | str
"""Whether an argument is given, or the variable that says so."""


@dataclass(frozen=True, slots=True)
class _OneOf:
    """A field of which exactly one slicing argument has to be given."""

    coordinate: str
    given: Mapping[str, _Given]

    @classmethod
    def of(cls, coordinate: str, field: GraphQLField, node: FieldNode, names: Sequence[str]) -> _OneOf:
        values = {argument.name.value: argument.value for argument in node.arguments or ()}
        given = {name: default_of(field.args[name]) is not None or _is_given(values.get(name)) for name in names}
        return cls(coordinate, given)

    def check(self, variables: Variables) -> None:
        found = [
            name
            for name, given in self.given.items()
            if (variables.get(given) is not None if isinstance(given, str) else given)
        ]
        if len(found) != 1:
            expected = f"{self.coordinate}: expected one of the arguments {', '.join(self.given)}"
            raise LimitExceeded("SLICING_ARGUMENT_REQUIRED", f"{expected}, found {' and '.join(found) or 'none'}")


@dataclass(frozen=True, slots=True)
class _Costing:
    """What a field adds to an object's cost: for each value, below each value, and for its arguments. `weight` is None
    where none is told."""

    key: str
    weight: int | None
    lists: int
    """How many lists a value is in. A list below them is a part of a scalar's value."""
    type_: Any
    sets: tuple[SelectionSetNode, ...]
    arguments: Count


class Cost(Estimate):
    """The cost of one operation, for given values of the variables in its `@skip` and `@include`."""

    def __init__(
        self,
        supergraph: Supergraph,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
        list_length: int,
        typename: str = "__typename",
    ) -> None:
        """`typename` is where the data have the types of objects, if the client calls another field `__typename`."""
        self._one_of: list[_OneOf] = []
        self._typename = typename
        self._costings: dict[object, list[_Costing]] = {}
        super().__init__(supergraph, operation, fragments, conditions, list_length, supergraph.costs)
        self._base = _MUTATION if operation.operation is OperationType.MUTATION else 0
        self._root = self._schema.get_root_type(operation.operation)
        self._set = operation.selection_set

    def of(self, variables: Variables) -> int:
        """The estimate."""
        return max(super().of(variables) + self._base, 0)

    def check(self, variables: Variables, most: int) -> None:
        """LimitExceeded where the operation may cost more than this, or does not say how long its lists are."""
        for one in self._one_of:
            one.check(variables)
        found = self.of(variables)
        if found > most:
            expected = f"an operation costs at most {most}, this one {found} by estimate"
            raise LimitExceeded("COST_ESTIMATED_TOO_EXPENSIVE", f"{expected}: ask for less")

    def count(self, data: JsonObject, variables: Variables) -> int:
        """What the operation has cost, by the data that came for it, before any null has bubbled."""
        if self._root is None:
            return self._base
        return max(self._base + self._of_object(self._root, (self._set,), data, Evaluation(variables)), 0)

    def _field(
        self, parent: Selected, nodes: list[FieldNode], page: Count | None, sized: frozenset[str] | None
    ) -> Count:
        name = nodes[0].name.value
        field = parent.fields.get(name)
        if field is None:
            return 0  # introspection
        told = self._list_sizes.get((parent.name, name))
        names = told.slicing_arguments if told is not None and told.require_one_slicing_argument else ()
        # One that is no argument, such as a path into an input, may be given in ways that are not known here.
        if names and all(one in field.args for one in names):
            self._one_of.append(_OneOf.of(f"{parent.name}.{name}", field, nodes[0], names))
        arguments = self._arguments(parent, field, nodes[0])
        return sum_of([super()._field(parent, nodes, page, sized), arguments])

    def _arguments(self, parent: Selected, field: GraphQLField, node: FieldNode) -> Count:
        parts: list[Count] = []
        for argument in node.arguments or ():
            name = argument.name.value
            coordinate = f"{parent.name}.{node.name.value}({name}:)"
            given = partial(self._given, coordinate, cast("Any", field.args[name]).type, argument.value)
            parts.append(given if _has_variables(argument.value) else given(Evaluation({})))
        return sum_of(parts)

    def _given(self, coordinate: str, type_: Any, value: ValueNode, now: Evaluation) -> int:
        return self._input(coordinate, type_, value_from_ast_untyped(value, dict(now.variables)))

    def _input(self, coordinate: str, type_: Any, value: Any) -> int:
        """What a value of an argument or an input field costs; a list costs like its argument, and each item, too."""
        if value is None or value is Undefined:
            return 0
        inner: Any = cast("Any", type_).of_type if isinstance(type_, GraphQLNonNull) else type_
        named = unwrap(inner)[1]
        weight = self._weights.get(coordinate, self._weights.get(named.name))
        if isinstance(inner, GraphQLList) and isinstance(value, list):
            items = cast("list[object]", value)
            return (weight or 0) + sum(self._input(coordinate, cast("Any", inner).of_type, item) for item in items)
        if isinstance(named, GraphQLInputObjectType) and isinstance(value, dict):
            given = [(name, one) for name, one in cast("dict[str, object]", value).items() if name in named.fields]
            fields = (self._input(f"{named.name}.{name}", named.fields[name].type, one) for name, one in given)
            return (1 if weight is None else weight) + sum(fields)
        return weight or 0

    def _of_object(self, type_: Selected, sets: tuple[SelectionSetNode, ...], data: JsonObject, now: Evaluation) -> int:
        """An object may stand at more positions than there are objects: it is counted once, and added at each."""
        key = (type_.name, *map(id, sets))
        place = (key, id(data))
        known = now.found.get(place)
        if known is not None:
            return known
        costings = self._costings.get(key)
        if costings is None:
            costings = self._costings[key] = self._made(type_, sets)
        total = 0
        for costing in costings:
            if costing.key in data:
                total += value_of(costing.arguments, now) + self._of_value(
                    costing, data[costing.key], costing.lists, now
                )
        now.found[place] = total
        return total

    def _of_value(self, costing: _Costing, value: Json, lists: int, now: Evaluation) -> int:
        if lists and value.__class__ is list:
            return sum(self._of_value(costing, item, lists - 1, now) for item in value)
        if value.__class__ is not dict or is_leaf_type(costing.type_):
            return costing.weight or 0
        type_ = costing.type_
        if is_abstract_type(type_):
            type_ = self._schema.type_map.get(str(value.get("__typename")), type_)
        weight = self._weight(type_.name, type_) if costing.weight is None else costing.weight
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            weight += self._of_object(type_, costing.sets, value, now)
        return weight

    def _made(self, type_: Selected, sets: tuple[SelectionSetNode, ...]) -> list[_Costing]:
        """The fields of an object that may cost something."""
        found: list[_Costing] = []
        for key, nodes in self._collector.fields(type_, sets).items():
            name = nodes[0].name.value
            field = type_.fields.get(name)
            if field is None:
                continue  # introspection
            lists, named = unwrap(field.type)
            weight = self._weights.get(f"{type_.name}.{name}", self._weights.get(named.name))
            arguments = self._arguments(type_, field, nodes[0])
            if weight or arguments or not is_leaf_type(named):
                below = tuple(node.selection_set for node in nodes if node.selection_set is not None)
                own = self._typename if key == "__typename" else key
                found.append(_Costing(own, weight, lists, named, below, arguments))
        return found


def _is_given(value: ValueNode | None) -> _Given:
    if isinstance(value, VariableNode):
        return value.name.value
    return value is not None and not isinstance(value, NullValueNode)


def _has_variables(value: ValueNode) -> bool:
    match value:
        case VariableNode():
            return True
        case ListValueNode():
            return any(map(_has_variables, value.values))
        case ObjectValueNode():
            return any(_has_variables(field.value) for field in value.fields)
        case _:
            return False
