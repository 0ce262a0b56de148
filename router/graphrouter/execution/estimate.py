"""How many objects an operation may give, estimated from its pages before anything is asked.

A list counts as long as the page that was asked for: the field's slicing argument (as `@listSize` names them, else
`first`, `last` or `limit`), its default, or `@listSize(assumedSize:)`; a list of which nothing is known counts as a
configured length. A page is often asked of a connection: then it is the length of the lists right below it. Lists in
lists multiply. What an abstract type may be counts as the most that one of its types gives.

What depends on no variable is a number; the rest is a function of the variables, put together once per operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
    is_leaf_type,
)

from graphrouter.execution.collect import FieldCollector
from graphrouter.limits import LimitExceeded
from graphrouter.supergraph import Supergraph
from graphrouter.supergraph.model import ListSize

Variables: TypeAlias = Mapping[str, object]


@dataclass(slots=True)
class Evaluation:
    """Counts for these values of the variables. Many paths lead to one count, which is evaluated once."""

    variables: Variables
    found: dict[object, int] = field(default_factory=dict[object, int])


Count: TypeAlias = int | Callable[[Evaluation], int]

_PAGE_ARGUMENTS: Final = ("first", "last", "limit")

NOTHING_WEIGHED: Final[Mapping[str, int]] = {}

Selected: TypeAlias = GraphQLObjectType | GraphQLInterfaceType


class Estimate:
    """The estimate for one operation and given values of the variables in its `@skip` and `@include`."""

    def __init__(
        self,
        supergraph: Supergraph,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
        list_length: int,
        weights: Mapping[str, int] = NOTHING_WEIGHED,
    ) -> None:
        """`weights` are those of fields and types, by their coordinates; without one an object weighs 1, others 0."""
        self._weights = weights
        self._schema = supergraph.api_schema
        self._list_sizes = supergraph.list_sizes
        self._collector = FieldCollector(self._schema, fragments, conditions)
        self._list_length = list_length
        self._known: dict[object, Count] = {}
        root = self._schema.get_root_type(operation.operation)
        self._count: Count = self._below(root, (operation.selection_set,), None, None) if root else 0

    def of(self, variables: Variables) -> int:
        return value_of(self._count, Evaluation(variables))

    def check(self, variables: Variables, most: int) -> None:
        """LimitExceeded where there may be more objects than this."""
        found = self.of(variables)
        if found > most:
            raise LimitExceeded(
                "TOO_MANY_OBJECTS",
                f"an operation has at most {most} objects, its pages may give {found}: ask for smaller pages",
            )

    def _below(
        self,
        type_: Selected,
        sets: tuple[SelectionSetNode, ...],
        page: Count | None,
        sized: frozenset[str] | None,
    ) -> Count:
        """The objects below one object. `page` is the length of its lists, of the `sized` ones where any are named."""
        key = (type_.name, *map(id, sets), page if isinstance(page, int | None) else id(page), sized)
        if key not in self._known:
            fields = self._collector.fields(type_, sets).values()
            parts = [self._field(type_, nodes, page, sized) for nodes in fields]
            self._known[key] = sum_of(parts)
        return self._known[key]

    def _field(
        self, parent: Selected, nodes: list[FieldNode], page: Count | None, sized: frozenset[str] | None
    ) -> Count:
        name = nodes[0].name.value
        field = parent.fields.get(name)
        if field is None:
            return 0  # introspection
        levels, named = unwrap(field.type)
        told = self._list_sizes.get((parent.name, name))
        own = self._page(field, nodes[0], told)
        weight = self._weight(f"{parent.name}.{name}", named)
        if not weight and is_leaf_type(named):
            return 0
        sets = tuple(node.selection_set for node in nodes if node.selection_set is not None)
        if levels and not (told and told.sized_fields):
            length = own if own is not None else page if sized is None or name in sized else None
            below = self._of_type(named, sets, None, None)
        else:
            length = self._list_length if levels else 1
            below = self._of_type(
                named, sets, own, frozenset(told.sized_fields) if told and told.sized_fields else None
            )
        length = self._list_length if length is None else length
        return _product(length, self._list_length ** max(levels - 1, 0), sum_of([weight, below]))

    def _weight(self, coordinate: str, type_: Any) -> int:
        """What each value of a field counts, without what is below it: of an abstract type, the most that may come."""
        if (weight := self._weights.get(coordinate)) is not None:
            return weight
        if is_abstract_type(type_):
            return max((self._weight(one.name, one) for one in self._schema.get_possible_types(type_)), default=1)
        return self._weights.get(type_.name, 0 if is_leaf_type(type_) else 1)

    def _of_type(
        self, type_: Any, sets: tuple[SelectionSetNode, ...], page: Count | None, sized: frozenset[str] | None
    ) -> Count:
        if is_leaf_type(type_):
            return 0
        if not is_abstract_type(type_):
            return self._below(type_, sets, page, sized)
        return _most([self._below(possible, sets, page, sized) for possible in self._schema.get_possible_types(type_)])

    def _page(self, field: GraphQLField, node: FieldNode, told: ListSize | None) -> Count | None:
        """The length that the field's arguments give; None where they give none."""
        names = told.slicing_arguments if told is not None else _PAGE_ARGUMENTS
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        pages: list[Count] = []
        for name in names:
            argument = field.args.get(name)
            if argument is None or unwrap(cast("Any", argument).type) != (0, GraphQLInt):
                continue
            value = given.get(name)
            default = default_of(argument)
            if isinstance(value, IntValueNode):
                pages.append(max(int(value.value), 0))
            elif isinstance(value, VariableNode):
                assumed = told.assumed_size if told is not None else None
                fallback = next(size for size in (default, assumed, self._list_length) if size is not None)
                pages.append(_variable(value.name.value, fallback))
            elif value is None and default is not None:
                pages.append(max(default, 0))
        if pages:
            return _most(pages)
        return told.assumed_size if told is not None else None


def default_of(argument: GraphQLArgument) -> int | None:
    literal = argument.ast_node.default_value if argument.ast_node is not None else None
    return int(literal.value) if isinstance(literal, IntValueNode) else None


def unwrap(type_: Any) -> tuple[int, Any]:
    """How many lists a type is inside one another, and of what."""
    levels = 0
    while isinstance(type_, GraphQLList | GraphQLNonNull):
        levels += isinstance(type_, GraphQLList)
        type_ = cast("Any", type_).of_type
    return levels, type_


def value_of(count: Count, evaluation: Evaluation) -> int:
    return count if isinstance(count, int) else count(evaluation)


def _variable(name: str, fallback: int) -> Count:
    def length(evaluation: Evaluation) -> int:
        given = evaluation.variables.get(name)  # an Int, which JSON may write as 5.0 or 5e0
        return max(int(given), 0) if isinstance(given, int | float) else fallback

    return length


def _combined(counts: Iterable[Count], combine: Callable[[Iterable[int]], int]) -> Count:
    parts = list(counts)
    if all(isinstance(part, int) for part in parts):
        return combine(cast("list[int]", parts))

    def evaluate(evaluation: Evaluation) -> int:
        found = evaluation.found.get(id(parts))
        if found is None:
            values = [part if isinstance(part, int) else part(evaluation) for part in parts]
            found = evaluation.found[id(parts)] = combine(values)
        return found

    return evaluate


def sum_of(counts: Iterable[Count]) -> Count:
    varying = [count for count in counts if not isinstance(count, int)]
    constant = sum(count for count in counts if isinstance(count, int))
    return _combined([constant, *varying], sum) if varying else constant


def _most(counts: Iterable[Count]) -> Count:
    return _combined(counts, lambda found: max(found, default=0))


def _product(*counts: Count) -> Count:
    def multiply(found: Iterable[int]) -> int:
        product = 1
        for factor in found:
            product *= factor
        return product

    return _combined(counts, multiply)
