"""The shape of a response that comes in several parts: what is there at once, and below it what is deferred.

Which of its fields an object has at once is known with its type. A field that is asked for at once and in a deferred
fragment is there at once; one of several deferred fragments belongs to all of them and comes with the first
(https://github.com/graphql/graphql-spec/pull/1110). So the function for objects of one type is compiled as ever
(`shape.py`) for the fields that are there at once, and for each set of deferred fragments there is one more, with the
fields that belong to these. Where the first one has made an object, it notes the data that the others make theirs of.

Of a list whose rest comes later, the function for what is there at once makes the first items, and notes the list.
One more function makes the others. What belongs to deferred fragments around the list is there with them.

Nodes of the operation are copied for each place and each set of fragments that they are met in: so whatever is written
once per node is written once for each of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
)

from graphrouter.execution.collect import FieldCollector
from graphrouter.execution.denied import Denied
from graphrouter.execution.merge import JsonObject
from graphrouter.execution.misfits import Position, ShapeErrors
from graphrouter.execution.output_types import OutputType
from graphrouter.execution.shape import Composite, Fields, Shape, ShapeCompiler
from graphrouter.json_text import Json
from graphrouter.planning.plan import (
    AT_ONCE,
    DEFER,
    STREAM,
    Deferral,
    Deferrals,
    Stream,
    Streams,
    outermost,
)

DeferredPart: TypeAlias = "Callable[[Any, Position, ShapeErrors], JsonObject | list[Json] | None]"
"""Makes the fields of an object, or items of a list, of the data of the object or of the whole list."""


@dataclass(frozen=True, slots=True)
class DeferredShape:
    """The fields of an object that belong to these deferred fragments; or with `first`, the items of a list from this
    index on.

    `objects` is how many objects there are in each, not counting those in lists.
    """

    deferrals: Deferrals
    shape: DeferredPart
    objects: int
    first: int | None = None


@dataclass(frozen=True, slots=True)
class ShapeInParts:
    """What is there at once, and by number what is deferred below its objects (`ShapeErrors.deferred`)."""

    at_once: Shape
    deferred: tuple[DeferredShape, ...]


def compile_in_parts(  # noqa: PLR0913 - as `compile_shape`
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    conditions: Mapping[str, bool],
    complete_schema: GraphQLSchema,
    *,
    typename_key: str,
    introspection: list[list[FieldNode]],
    denied: Denied,
    streams: Streams,
) -> ShapeInParts:
    """As `compile_shape`, for an operation whose `@defer` have numbers for labels, and whose `streams` are known."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        raise GraphQLError(f"the schema has no {operation.operation.value} type")
    collector = _Collector(schema, fragments, conditions, typename_key, denied)
    compiler = _Compiler(schema, complete_schema, collector, streams)
    compiler.typename_key = typename_key
    compiler.introspection = introspection
    compiler.denied = Denied(collector.denied, denied.types)
    entry = compiler.object_function(root, (operation.selection_set,))
    return compiler.in_parts(entry)


@dataclass(frozen=True, slots=True)
class _Where:
    """Where a selection set is met: below which response keys, in which deferred fragment, and with what it comes."""

    path: tuple[str, ...] = ()
    deferral: Deferral | None = None
    comes_with: Deferrals = AT_ONCE

    @property
    def is_in_rest(self) -> bool:
        """Whether it is in the rest of a list, where nothing is streamed again."""
        around = self.deferral
        return around is not None and STREAM in (around.directive, *(one.directive for one in around.around()))


_AT_THE_ROOT = _Where()


class _Collector(FieldCollector):
    """Collects fields by the deferred fragments that they come with."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
        typename_key: str,
        denied: Denied,
    ) -> None:
        super().__init__(schema, fragments, conditions)
        self._typename_key = typename_key
        self._denied_nodes = denied.nodes
        self.denied: set[int] = set()
        """The copies of nodes that are denied."""
        self._copies: dict[object, FieldNode] = {}
        self._where: dict[int, _Where] = {}
        self._where_fields: dict[int, _Where] = {}

    def where(self, node: FieldNode) -> _Where:
        """Where a copy of a field's node is met."""
        return self._where_fields[id(node)]

    def in_rest(self, nodes: Iterable[FieldNode], rest: Deferral) -> list[FieldNode]:
        """The nodes of a list's field, for the rest of the list."""
        where = _Where(rest.path, rest, frozenset((rest,)))
        return [self._copy(node, where) for node in nodes]

    def by_deferrals(
        self, type_: Composite, sets: Iterable[SelectionSetNode]
    ) -> tuple[Fields, dict[Deferrals, Fields]]:
        """The fields that are there with the object, and those of deferred fragments."""
        found: dict[str, list[tuple[FieldNode, Deferral | None]]] = {}
        visited: set[tuple[str, Deferral | None]] = set()
        where = _AT_THE_ROOT
        for selection_set in sets:
            where = self._where.get(id(selection_set), _AT_THE_ROOT)
            for node, deferral in self._nodes(type_, selection_set, where.path, where.deferral, visited):
                found.setdefault((node.alias or node.name).value, []).append((node, deferral))
        here: Fields = {}
        deferred: dict[Deferrals, Fields] = {}
        for key, nodes in found.items():
            comes_with = _comes_with([deferral for _, deferral in nodes])
            fields = here if comes_with == where.comes_with else deferred.setdefault(comes_with, {})
            name = nodes[0][0].name.value
            step = self._typename_key if key == "__typename" and name != "__typename" else key
            path = (*where.path, step)
            fields[key] = [self._copy(node, _Where(path, deferral, comes_with)) for node, deferral in nodes]
        return here, deferred

    def fields(self, type_: Composite, sets: Iterable[SelectionSetNode]) -> Fields:
        return self.by_deferrals(type_, sets)[0]

    def _nodes(
        self,
        type_: Composite,
        selection_set: SelectionSetNode,
        path: tuple[str, ...],
        around: Deferral | None,
        visited: set[tuple[str, Deferral | None]],
    ) -> Iterator[tuple[FieldNode, Deferral | None]]:
        for node in selection_set.selections:
            if not self._included(node.directives):
                continue
            if isinstance(node, FieldNode):
                yield node, around
                continue
            deferral = _deferral(node, path, around)
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if (name, None) in visited or (name, deferral) in visited:
                    continue
                visited.add((name, deferral))
                fragment = self._fragments[name]
                condition, inner = fragment.type_condition.name.value, fragment.selection_set
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition.name.value if node.type_condition else type_.name
                inner = node.selection_set
            else:
                raise TypeError(f"unknown kind of selection: {node.kind}")
            if self._applies(condition, type_):
                yield from self._nodes(type_, inner, path, deferral, visited)

    def _copy(self, node: FieldNode, where: _Where) -> FieldNode:
        key = (id(node), where)
        found = self._copies.get(key)
        if found is None:
            inner = replace(node.selection_set) if node.selection_set else None
            found = self._copies[key] = replace(node, selection_set=inner)
            self._where_fields[id(found)] = where
            if inner is not None:
                self._where[id(inner)] = where
            if id(node) in self._denied_nodes:
                self.denied.add(id(found))
        return found


class _Compiler(ShapeCompiler):
    def __init__(self, schema: GraphQLSchema, complete: GraphQLSchema, collector: _Collector, streams: Streams) -> None:
        super().__init__(schema, complete, collector, shared=False)
        self._by_deferrals = collector.by_deferrals
        self._nodes = collector
        self._streams = streams
        self._deferred: list[tuple[Deferrals, str, int | None]] = []

    def in_parts(self, entry: str) -> ShapeInParts:
        at_once = self.function(entry)
        return ShapeInParts(
            at_once,
            tuple(
                DeferredShape(
                    deferrals, self.named(name), 0 if first is not None else self._weights[name].objects, first
                )
                for deferrals, name, first in self._deferred
            ),
        )

    def object_function(self, type_: Composite, sets: tuple[SelectionSetNode, ...], own_name: str = "") -> str:
        own_name = own_name or repr(type_.name)
        here, deferred = self._by_deferrals(type_, sets)
        if not deferred:
            return self._object_function(type_, here, own_name)

        def note() -> Iterator[str]:
            for deferrals, fields in deferred.items():
                name = self._object_function(type_, fields, own_name)
                yield f" e.deferred.append(({len(self._deferred)}, v, p))"
                self._deferred.append((deferrals, name, None))

        ids = (id(node) for fields in deferred.values() for nodes in fields.values() for node in nodes)
        return self._object_function(type_, here, own_name, note, type_.name, *ids)

    def _field_completer(self, type_: OutputType, nodes: list[FieldNode], nullable: bool) -> str:
        where = self._nodes.where(nodes[0])
        stream = self._streams.get(where.path)
        if stream is None or where.is_in_rest or not isinstance(type_, GraphQLList):
            return self._completer(type_, nodes, nullable)
        return self._stream_function(cast("Any", type_).of_type, nodes, stream)

    def _stream_function(self, item: OutputType, nodes: list[FieldNode], stream: Stream) -> str:
        """The function for a list whose rest comes later."""
        key = ("stream", *map(id, nodes))
        if key not in self._written:
            first = stream.initial_count
            rest = Deferral(stream.number, self._nodes.where(nodes[0]).path, directive=STREAM)
            at_once = self._list_function(item, nodes)
            later = self._list_function(item, self._nodes.in_rest(nodes, rest), first)
            name = self._written[key] = self._name("s")
            self._lines += [
                f"def {name}(v, p, e):",
                f" if v.__class__ is list and len(v) > {first}:",
                f"  e.deferred.append(({len(self._deferred)}, v, p))",
                f"  v = v[:{first}]",
                f" return {at_once}(v, p, e)",
            ]
            self._deferred.append((frozenset((rest,)), later, first))
        return self._written[key]

    def _all_fields(self, type_: Composite, sets: tuple[SelectionSetNode, ...]) -> Fields:
        here, deferred = self._by_deferrals(type_, sets)
        more = {
            f"{key} @defer{sorted(one.number for one in deferrals)}": nodes
            for deferrals, fields in deferred.items()
            for key, nodes in fields.items()
        }
        return here | more


def _deferral(
    node: FragmentSpreadNode | InlineFragmentNode | object, path: tuple[str, ...], around: Deferral | None
) -> Deferral | None:
    for directive in getattr(node, "directives", None) or ():
        if directive.name.value == DEFER:
            (label,) = (argument.value for argument in directive.arguments)
            if isinstance(label, StringValueNode):
                return Deferral(int(label.value), path, around)
    return around


def _comes_with(deferrals: Sequence[Deferral | None]) -> Deferrals:
    """What a field comes with: with nothing where it is asked for at once, and not with what is deferred in a fragment
    that it comes with."""
    return AT_ONCE if None in deferrals else outermost(one for one in deferrals if one is not None)
