"""Runs a query plan in the plainest way: one fetch after the other, and the response shaped by reading the operation.

It is the tests' own reading of what a plan means, written to be seen to be right rather than fast.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    get_directive_values,
    is_leaf_type,
    specified_directives,
)
from graphql.execution.values import get_variable_values

from graphrouter.planning.plan import (
    Condition,
    EntityFetch,
    InputField,
    InputSelection,
    Key,
    Path,
    QueryPlan,
    Rename,
    RootFetch,
)

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Sends `{query, variables}` to the subgraph of that name."""

INCLUDE, SKIP = (next(d for d in specified_directives if d.name == name) for name in ("include", "skip"))


async def run_plan(
    plan: QueryPlan,
    document: DocumentNode,
    schema: GraphQLSchema,
    ask: Ask,
    *,
    variables: Mapping[str, Any] | None = None,
    operation_name: str | None = None,
) -> dict[str, Any]:
    """The response that the plan gives, shaped for a client of `schema`."""
    operation = next(
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        and (operation_name is None or (node.name and node.name.value == operation_name))
    )
    coerced = get_variable_values(schema, operation.variable_definitions or (), dict(variables or {}))
    if isinstance(coerced, list):
        return {"data": None, "errors": [{"message": error.message} for error in coerced]}
    run = _Run(ask, coerced.coerced)
    refused = [one.message for one in plan.refusals if run.holds(one.conditions)]
    if refused:
        return {"data": None, "errors": [{"message": message} for message in refused]}
    for fetch in plan.fetches:
        if run.holds(fetch.conditions):
            await (run.root(fetch) if isinstance(fetch, RootFetch) else run.entities(fetch))
    shape = _Shape(schema, document, coerced, run.errors, plan.typename)
    data = shape.operation(operation, run.data)
    return {"data": data, "errors": run.errors} if run.errors else {"data": data}


class _Run:
    def __init__(self, ask: Ask, variables: dict[str, Any]) -> None:
        self._ask = ask
        self._variables = variables
        self.data: dict[str, Any] = {}
        self.errors: list[Any] = []

    def holds(self, conditions: tuple[Condition, ...]) -> bool:
        return all(bool(self._variables[c.variable]) is c.wanted for c in conditions)

    async def root(self, fetch: RootFetch) -> None:
        places = list(objects(self.data, fetch.path))
        if not places:
            return
        answer = await self._send(fetch.subgraph, fetch.document, fetch.variables, {})
        for place in places:
            rename(answer, fetch.renames)
            merge(place, answer)

    async def entities(self, fetch: EntityFetch) -> None:
        if any(group.contexts for group in fetch.groups):
            await self._one_by_one(fetch)
            return
        places: dict[str, list[dict[str, Any]]] = {}
        sent: dict[str, list[Any]] = {}
        for group in fetch.groups:
            for target in group.targets:
                for place in objects(self.data, target.path) if self.holds(target.conditions) else ():
                    representation = read(place, target.representation.selections)
                    if representation is None:
                        continue
                    typename = target.representation.typename or place["__typename"]
                    places.setdefault(group.alias, []).append(place)
                    sent.setdefault(group.variable, []).append({"__typename": typename, **representation})
        if not places:
            return
        empty: dict[str, list[Any]] = {group.variable: [] for group in fetch.groups}
        answer = await self._send(fetch.subgraph, fetch.document, fetch.variables, empty | sent)
        for group in fetch.groups:
            for place, entity in zip(places.get(group.alias, ()), answer.get(group.alias) or (), strict=False):
                if entity is not None:
                    rename(entity, group.renames)
                    merge(place, entity)

    async def _one_by_one(self, fetch: EntityFetch) -> None:
        """Each object in a request of its own, with the values that its fields take from around it."""
        empty: dict[str, Any] = {group.variable: [] for group in fetch.groups}
        empty |= {name: None for group in fetch.groups for name, _ in group.contexts}
        for group in fetch.groups:
            for target in group.targets:
                wanted = target.representation
                for around in lineages(self.data, target.path) if self.holds(target.conditions) else ():
                    representation = read(around[-1], wanted.selections)
                    if representation is None:
                        continue
                    typename = wanted.typename or around[-1]["__typename"]
                    mine: dict[str, Any] = {group.variable: [{"__typename": typename, **representation}]}
                    for (name, _), one in zip(group.contexts, wanted.contexts, strict=True):
                        mine[name] = only_leaf(around[one.steps], one.selections)
                    answer = await self._send(fetch.subgraph, fetch.document, fetch.variables, empty | mine)
                    entity = (answer.get(group.alias) or [None])[0]
                    if entity is not None:
                        rename(entity, group.renames)
                        merge(around[-1], entity)

    async def _send(self, subgraph: str, query: str, names: tuple[str, ...], more: dict[str, Any]) -> dict[str, Any]:
        variables = {name: self._variables[name] for name in names if name in self._variables} | more
        answer = await self._ask(subgraph, {"query": query, "variables": variables})
        self.errors += answer.get("errors") or ()
        return dict(answer.get("data") or {})


def objects(data: Any, path: Path) -> Iterator[dict[str, Any]]:
    """The objects on a path."""
    if isinstance(data, list):
        for item in data:
            yield from objects(item, path)
    elif data is not None and not path:
        yield data
    elif data is not None:
        step, rest = path[0], path[1:]
        if isinstance(step, Key):
            yield from objects(data.get(step.name), rest)
        elif data["__typename"] in step.types:
            yield from objects(data, rest)


def lineages(data: Any, path: Path) -> Iterator[list[dict[str, Any]]]:
    """For each object on a path, all objects on the way: the root, and the one after each step."""
    if isinstance(data, list):
        for item in data:
            yield from lineages(item, path)
    elif data is not None and not path:
        yield [data]
    elif data is not None:
        step, rest = path[0], path[1:]
        if isinstance(step, Key):
            yield from ([data, *after] for after in lineages(data.get(step.name), rest))
        elif data["__typename"] in step.types:
            yield from ([data, *after] for after in lineages(data, rest))


def only_leaf(value: Any, selections: tuple[InputSelection, ...]) -> Any:
    """The one leaf that is selected of an object; of a list of objects, the list of theirs."""
    if value is None:
        return None
    if isinstance(value, list):
        return [only_leaf(item, selections) for item in value]
    for selection in selections:
        if not isinstance(selection, InputField):
            if value["__typename"] in selection.types:
                return only_leaf(value, selection.selections)
        elif selection.name != "__typename":
            below = value[selection.source]
            return below if selection.selections is None else only_leaf(below, selection.selections)
    return None


def read(place: dict[str, Any], selections: tuple[InputSelection, ...]) -> dict[str, Any] | None:
    """The representation's fields; None if one of them is missing."""
    found: dict[str, Any] = {}
    for selection in selections:
        if not isinstance(selection, InputField):
            if place["__typename"] in selection.types:
                inner = read(place, selection.selections)
                if inner is None:
                    return None
                found |= inner
            continue
        if selection.source not in place:
            return None
        found[selection.name] = _value(place[selection.source], selection)
    return found


def _value(value: Any, selection: InputField) -> Any:
    if value is None or selection.selections is None:
        return value
    if isinstance(value, list):
        return [_value(item, selection) for item in value]
    return read(value, selection.selections)


def merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    """Deep merge; lists item by item."""
    for key, value in new.items():
        into[key] = _merged(into[key], value) if key in into else value


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        merge(old, new)
        return old
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_merged(*pair) for pair in zip(old, new, strict=True)]
    return old if new is None else new


def rename(answer: Any, renames: tuple[Rename, ...]) -> None:
    for one in renames:
        for place in objects(answer, one.path):
            if one.alias in place:
                place[one.name] = place.pop(one.alias)


class NullError(Exception):
    """A null that the type does not allow."""


class _Shape:
    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Any, errors: list[Any], typename: str
    ) -> None:
        self._typename = typename
        self._schema = schema
        self._variables = variables
        self._errors = errors
        self._fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}

    def operation(self, operation: OperationDefinitionNode, data: dict[str, Any]) -> Any:
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        try:
            return self._object(root, [operation.selection_set.selections], data)
        except NullError:
            return None

    def _object(
        self, parent: GraphQLObjectType | GraphQLInterfaceType, sets: list[Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        fields: dict[str, list[FieldNode]] = {}
        for selections in sets:
            self._collect(parent, selections, fields)
        result: dict[str, Any] = {}
        for key, nodes in fields.items():
            if nodes[0].name.value == "__typename":
                result[key] = parent.name
                continue
            field_type = parent.fields[nodes[0].name.value].type
            source = self._typename if key == "__typename" else key
            result[key] = self._value(field_type, nodes, data.get(source))
        return result

    def _value(self, type_: Any, nodes: list[FieldNode], value: Any) -> Any:
        if isinstance(type_, GraphQLNonNull):
            inner = self._value(type_.of_type, nodes, value)
            if inner is None:
                if not self._errors:
                    self._errors.append({"message": f"{nodes[0].name.value} is null"})
                raise NullError
            return inner
        try:
            return self._nullable(type_, nodes, value)
        except NullError:
            return None

    def _nullable(self, type_: Any, nodes: list[FieldNode], value: Any) -> Any:
        if value is None:
            return None
        if isinstance(type_, GraphQLList):
            return [self._value(type_.of_type, nodes, item) for item in value]
        if isinstance(type_, GraphQLEnumType) and value not in type_.values:
            return None  # a value that clients do not know
        if is_leaf_type(type_):
            return value
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType) and "__typename" in value:
            found = self._schema.type_map.get(value["__typename"])
            if not isinstance(found, GraphQLObjectType):
                self._errors.append({"message": "the object is of a type that clients do not know"})
                return None
            type_ = found
        assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        # Of an interface nobody may have asked which type it is: then only its own fields count.
        return self._object(type_, [node.selection_set.selections for node in nodes if node.selection_set], value)

    def _collect(
        self,
        parent: GraphQLObjectType | GraphQLInterfaceType,
        selections: tuple[SelectionNode, ...],
        into: dict[str, list[FieldNode]],
    ) -> None:
        for node in selections:
            if self._skipped(node):
                continue
            if isinstance(node, FieldNode):
                into.setdefault((node.alias or node.name).value, []).append(node)
                continue
            fragment = self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)
            condition = fragment.type_condition
            on = self._schema.type_map[condition.name.value] if condition else parent
            if on is parent or (
                isinstance(on, GraphQLInterfaceType | GraphQLUnionType) and self._schema.is_sub_type(on, parent)
            ):
                self._collect(parent, fragment.selection_set.selections, into)

    def _skipped(self, node: SelectionNode) -> bool:
        skip = get_directive_values(SKIP, node, self._variables)
        include = get_directive_values(INCLUDE, node, self._variables)
        return bool(_argument(skip, False)) or not _argument(include, True)


def _argument(values: Any, default: bool) -> bool:
    if values is None:
        return default
    values = getattr(values, "coerced", values)
    return bool(values["if"])
