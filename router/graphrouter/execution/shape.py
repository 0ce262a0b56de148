"""The last step: the client's response, in the client's order, out of the merged data.

An operation is compiled once into Python functions, one per selection set and object type, that each build their part
of the response as one dict display. Per field, the generated code does what cannot be left out: read the value, and
compare its class with the one that the type asks for. A null, or anything else unexpected, fails that comparison and
only then calls into `ShapeErrors`. For `user { id name orders { total } }`:

    def f1(v, p, e):                                  # v: merged data, p: its position, e: ShapeErrors
        if v.__class__ is not dict: return e.no_object(v, p)
        try: a0, a1, a2 = g1(v)                       # an itemgetter
        except KeyError: a0, a1, a2 = map(v.get, k1)
        if a0.__class__ is not str:                   # ID!
            a0 = e.leaf(ID, a0, p, 'id')
            if a0 is None: return None                # the null bubbles to this object
        if a1.__class__ is not str and a1 is not None: a1 = e.nullable_leaf(String, a1, p, 'name')
        if a2 is not None: a2 = l2(a2, (p, 'orders'), e)
        return {'id': a0, 'name': a1, 'orders': a2}

A function that returns None has told `e` why; its caller lets the null bubble where the schema has none
(https://spec.graphql.org/October2021/#sec-Handling-Field-Errors). Positions are linked tuples `(parent, step)`: made
per object, never per field, and unrolled only for an error.

Where the executor has made equal objects one (see `sharing.py`), a second version of the code keeps what it builds in
the object that it builds it from, under the function's number, which no key of JSON is, and takes it from there for the
object's other positions:

    r = v.get(1)
    if r is not None:                                 # `return r` where it has no lists
        r, c = r                                      # with what its lists count
        e.objects += c
        if e.objects > e.max_objects: e.refuse()
        return r
    c = e.objects
    …
    r = {'id': a0, 'name': a1, 'orders': a2}
    if not e.failed: v[1] = r, e.objects - c          # an error is told at each position
    return r

The objects of the response are counted as they are made, at every position: a list counts its items, each with the
objects in its fields. Too many of them end the shape with `LimitExceeded`.

`@skip` and `@include` are decided at compile time: there is one compiled shape per combination of values of the
variables that occur in them (see `pipeline.py`). The only text that comes from outside and enters the source are
GraphQL names, and those as string literals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeAlias, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLAbstractType,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_object_type,
)

from graphrouter.execution.collect import FieldCollector
from graphrouter.execution.denied import NOTHING_DENIED, Denied
from graphrouter.execution.merge import JsonObject
from graphrouter.execution.misfits import Leaf, Position, ShapeErrors
from graphrouter.execution.output_types import OutputType, unwrapped

Shape: TypeAlias = Callable[[JsonObject, Position, ShapeErrors], JsonObject | None]


def compile_shape(  # noqa: PLR0913 - what a shape depends on
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    conditions: Mapping[str, bool],
    complete_schema: GraphQLSchema | None = None,
    *,
    shared: bool = False,
    typename_key: str = "__typename",
    introspection: list[list[FieldNode]] | None = None,
    denied: Denied = NOTHING_DENIED,
) -> Shape:
    """The shape of an operation's response, given the values of the variables in its `@skip` and `@include`.

    `schema` is what clients see. What only `complete_schema` has, enum values and object types, is hidden: in an answer
    it stands for null. Anything that neither has is an error. With `shared`, an object of the data that stands at
    several positions is shaped once; the data are written to. `typename_key` is where the data have other fields that
    the client calls `__typename`. `introspection` gets the selections of `__schema` and `__type`, in the order in which
    the shape looks for their answers in `ShapeErrors.introspected`. What is `denied` is not looked at: it is null, with
    an error.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        raise GraphQLError(f"the schema has no {operation.operation.value} type")
    compiler = ShapeCompiler(schema, complete_schema or schema, FieldCollector(schema, fragments, conditions), shared)
    compiler.typename_key = typename_key
    compiler.introspection = introspection if introspection is not None else []
    compiler.denied = denied
    entry = compiler.object_function(root, (operation.selection_set,))
    return compiler.function(entry)


@dataclass(frozen=True, slots=True)
class _Weight:
    """What an object counts beside itself: the objects in its fields, and in theirs; lists count by themselves."""

    objects: int = 0
    has_lists: bool = False

    def __add__(self, other: _Weight) -> _Weight:
        return _Weight(self.objects + other.objects, self.has_lists or other.has_lists)


def _count(objects: str, indent: str) -> Iterable[str]:
    """The lines that count so many objects more, and refuse what is too many before it is made."""
    return [f"{indent}e.objects += {objects}", f"{indent}if e.objects > e.max_objects: e.refuse()"]


_ONE_DIGIT: Final = 2**30
"""Integers below it are one digit to CPython, which compares them several times faster than longer ones."""


def _is_within(variable: str, bounds: tuple[float, float]) -> str:
    least, greatest = bounds
    within = f"{least!r} <= {variable} <= {greatest!r}"
    return f"({-_ONE_DIGIT} < {variable} < {_ONE_DIGIT} or {within})" if isinstance(least, int) else within


def _by_likelihood(class_: type) -> tuple[bool, str]:
    return class_ is not str, class_.__name__


Composite: TypeAlias = GraphQLObjectType | GraphQLInterfaceType
Fields: TypeAlias = dict[str, list[FieldNode]]
"""Response key → the field nodes that are merged under it."""


class ShapeCompiler:
    """Writes the functions of one operation. Each is written once: `_written` knows them by what they depend on."""

    def __init__(self, schema: GraphQLSchema, complete: GraphQLSchema, collector: FieldCollector, shared: bool) -> None:
        self.typename_key = "__typename"
        self.introspection: list[list[FieldNode]] = []
        self.denied = NOTHING_DENIED
        self._schema = schema
        self._shared = shared
        self._complete = complete
        self._collector = collector
        self._lines: list[str] = []
        self._weights: dict[str, _Weight] = {}
        objects = frozenset(name for name, type_ in complete.type_map.items() if is_object_type(type_))
        self._names: dict[str, object] = {"objects": objects, "hidden": objects - schema.type_map.keys()}
        self._written: dict[object, str] = {}
        # Filled in when all functions exist: for each abstract type's table, which function serves which type name.
        self._dispatch: list[tuple[str, dict[str, str]]] = []

    def function(self, entry: str) -> Shape:
        source = "\n".join(self._lines)
        exec(compile(source, "<shape of an operation>", "exec"), self._names)  # noqa: S102 - written above, see the essay
        for name, functions in self._dispatch:
            table = cast("dict[str, object]", self._names[name])
            table.update({type_name: self._names[written] for type_name, written in functions.items()})
        return self.named(entry)

    def named(self, name: str) -> Shape:
        """A function that was written, once `function` has run."""
        return cast("Shape", self._names[name])

    def _name(self, prefix: str) -> str:
        return f"{prefix}{len(self._written)}"

    def object_function(self, type_: Composite, sets: tuple[SelectionSetNode, ...], own_name: str = "") -> str:
        """The function for objects of one type. Types with the same fields share it: an interface may have many.

        `own_name` is the source of the value of `__typename`; where it is empty, the type's name.
        """
        return self._object_function(type_, self._collector.fields(type_, sets), own_name or repr(type_.name))

    def _object_function(
        self, type_: Composite, fields: Fields, own_name: str, more: Callable[[], Iterable[str]] = tuple, *key: object
    ) -> str:
        """The function for these fields. `more` gives the lines for what is deferred, which `key` tells apart."""
        key = ("object", *key, *(self._signature(type_, name, nodes, own_name) for name, nodes in fields.items()))
        if key in self._written:
            return self._written[key]
        name = self._written[key] = self._name("f")
        body = [f"def {name}(v, p, e):", " if v.__class__ is not dict: return e.no_object(v, p)"]
        number = int(name[1:])
        entries: list[str] = []
        read: dict[str, str] = {}
        checks: list[str] = []
        weight = _Weight()
        for place, (response_key, all_nodes) in enumerate(fields.items()):
            literal = repr(response_key)
            field_name = all_nodes[0].name.value
            nodes = self.denied.allowed(all_nodes) if self.denied.nodes else all_nodes
            if not nodes:
                variable = f"a{place}"
                checks.append(f" {variable} = e.deny(p, {literal})")
                if not unwrapped(type_.fields[field_name].type)[0]:
                    checks.append(" return None")
                entries.append(f"{literal}: {variable}")
                continue
            if field_name == "__typename":
                entries.append(f"{literal}: {own_name}")
            elif field_name in ("__schema", "__type"):
                # Shaped by graphql-core already: see `introspection.py`.
                entries.append(f"{literal}: e.introspected[{len(self.introspection)}]")
                self.introspection.append(nodes)
            else:
                variable = f"a{place}"
                field_type = type_.fields[field_name].type
                read[variable] = self.typename_key if response_key == "__typename" else response_key
                checks += self._check(variable, literal, field_type, nodes)
                weight += self._weight_of(field_type, nodes)
                entries.append(f"{literal}: {variable}")
        shaped = f"{{{', '.join(entries)}}}"
        self._weights[name] = weight
        checks = [*self._reads(number, read), *checks]
        if self._shared:
            body += self._shared_body(number, checks, shaped, weight)
        else:
            body += [*checks, *more(), f" return {shaped}"]
        self._lines += body
        return name

    def _reads(self, number: int, keys: Mapping[str, str]) -> Iterable[str]:
        """The lines that read the value under each key into its variable: in one call, where all keys are there."""
        if len(keys) < 2:
            return [f" {variable} = v.get({key!r})" for variable, key in keys.items()]
        self._names[f"g{number}"] = itemgetter(*keys.values())
        self._names[f"k{number}"] = tuple(keys.values())
        variables = ", ".join(keys)
        return [f" try: {variables} = g{number}(v)", f" except KeyError: {variables} = map(v.get, k{number})"]

    @staticmethod
    def _shared_body(number: int, checks: Iterable[str], shaped: str, weight: _Weight) -> Iterable[str]:
        """The object is shaped once. Where it has lists, what they count is kept for the next position."""
        if not weight.has_lists:
            start = [f" r = v.get({number})", " if r is not None: return r"]
            return [*start, *checks, f" r = {shaped}", f" if not e.failed: v[{number}] = r", " return r"]
        again = [" if r is not None:", "  r, c = r", *_count("c", "  "), "  return r"]
        start = [f" r = v.get({number})", *again, " c = e.objects"]
        kept = f" if not e.failed: v[{number}] = r, e.objects - c"
        return [*start, *checks, f" r = {shaped}", kept, " return r"]

    def _weight_of(self, type_: OutputType, nodes: list[FieldNode]) -> _Weight:
        """What a field's value counts."""
        inner = unwrapped(type_)[1]
        if isinstance(inner, GraphQLList):
            return _Weight(0, not is_leaf_type(get_named_type(cast("Any", inner))))
        if is_leaf_type(inner):
            return _Weight()
        return _Weight(1) + self._weights[self._completer(inner, nodes, True)]

    @staticmethod
    def _signature(type_: Composite, response_key: str, nodes: list[FieldNode], own_name: str) -> object:
        """Everything that the code for one field depends on."""
        name = nodes[0].name.value
        what = own_name if name == "__typename" else str(type_.fields[name].type) if name in type_.fields else name
        return (response_key, what, *map(id, nodes))

    def _check(self, variable: str, key: str, type_: OutputType, nodes: list[FieldNode]) -> Iterable[str]:
        """The lines that complete the value in `variable`, read under `key`."""
        nullable, inner = unwrapped(type_)
        if is_leaf_type(inner):
            return self._check_leaf(variable, key, inner, nullable)
        call = f"{variable} = {self._field_completer(inner, nodes, nullable)}({variable}, (p, {key}), e)"
        if nullable:
            return [f" if {variable} is not None: {call}"]
        return [
            f" if {variable} is None: return e.null(p, {key})",
            f" {call}",
            f" if {variable} is None: return None",
        ]

    def _check_leaf(
        self, variable: str, key: str, type_: GraphQLScalarType | GraphQLEnumType, nullable: bool
    ) -> Iterable[str]:
        leaf_name, leaf = self._leaf(type_)
        wrong = " and ".join(
            f"{variable}.__class__ is not {c.__name__}" for c in sorted(leaf.classes, key=_by_likelihood)
        )
        if leaf.bounds is not None:
            wrong = f"({wrong} or not {_is_within(variable, leaf.bounds)})"
        if leaf.values is not None:
            wrong = f"({wrong} or {variable} not in {leaf_name}_values)"
        arguments = f"({leaf_name}, {variable}, p, {key})"
        if nullable:
            return [f" if {wrong} and {variable} is not None: {variable} = e.nullable_leaf{arguments}"]
        return [f" if {wrong}:", f"  {variable} = e.leaf{arguments}", f"  if {variable} is None: return None"]

    def _leaf(self, type_: GraphQLScalarType | GraphQLEnumType) -> tuple[str, Leaf]:
        key = ("leaf", type_.name)
        if key not in self._written:
            name = self._written[key] = self._name("t")
            leaf = Leaf(type_, self._hidden_values(type_))
            self._names[name] = leaf
            self._names[f"{name}_values"] = leaf.values
            self._names[f"{name}_classes"] = leaf.classes
            self._names[f"{name}_classes_or_null"] = leaf.classes | {type(None)}
            self._names[f"{name}_values_or_null"] = (leaf.values or frozenset()) | {None}
        name = self._written[key]
        return name, cast("Leaf", self._names[name])

    def _hidden_values(self, type_: GraphQLScalarType | GraphQLEnumType) -> frozenset[str]:
        complete = self._complete.type_map.get(type_.name)
        if isinstance(type_, GraphQLEnumType) and isinstance(complete, GraphQLEnumType):
            return frozenset(complete.values.keys() - type_.values.keys())
        return frozenset()

    def _completer(self, type_: OutputType, nodes: list[FieldNode], nullable: bool) -> str:
        """The name of the function `(value, position, errors)` for a type, given without its non-null mark."""
        if isinstance(type_, GraphQLList):
            return self._list_function(cast("Any", type_).of_type, nodes)
        sets = tuple(node.selection_set for node in nodes if node.selection_set is not None)
        if is_object_type(type_):
            return self.object_function(type_, sets)
        if is_abstract_type(type_):
            return self._abstract_function(type_, sets, nullable)
        raise AssertionError(f"{type_} is no output type")

    def _field_completer(self, type_: OutputType, nodes: list[FieldNode], nullable: bool) -> str:
        """The same for the type of a field."""
        return self._completer(type_, nodes, nullable)

    def _abstract_function(self, type_: GraphQLAbstractType, sets: tuple[SelectionSetNode, ...], nullable: bool) -> str:
        key = ("abstract", type_.name, nullable, *map(id, sets))
        if key in self._written:
            return self._written[key]
        name = self._written[key] = self._name("d")
        self._names[f"{name}_types"] = {}
        functions = self._functions(type_, sets)
        untyped = self._untyped_function(type_, sets)
        possible = [self._weights[one] for one in (*functions.values(), untyped) if one is not None]
        self._weights[name] = _Weight(
            max((one.objects for one in possible), default=0), any(one.has_lists for one in possible)
        )
        self._dispatch.append((f"{name}_types", functions))
        self._lines += [
            f"def {name}(v, p, e):",
            " if v.__class__ is not dict: return e.no_object(v, p)",
            " t = v.get('__typename')",
            f" if t.__class__ is not str and t is not None: return e.no_type(False, {nullable}, p)",
            f" f = {name}_types.get(t)",
            " if f is None:",
            f"  if t in objects: return e.no_type(t in hidden, {nullable}, p)",
            f"  f = {untyped}",
            f"  if f is None: return e.no_type(False, {nullable}, p)",
            " return f(v, p, e)",
        ]
        return name

    def _functions(self, type_: GraphQLAbstractType, sets: tuple[SelectionSetNode, ...]) -> dict[str, str]:
        """The function's name for each type that an object may have; there, the data say which one it is."""
        own_name = "v['__typename']"
        return {
            t.name: self._denying_function() if t.name in self.denied.types else self.object_function(t, sets, own_name)
            for t in self._schema.get_possible_types(type_)
        }

    def _denying_function(self) -> str:
        """The function for objects of a type that the caller may not see."""
        if "denied" not in self._written:
            name = self._written["denied"] = self._name("n")
            self._weights[name] = _Weight()
            self._lines += [f"def {name}(v, p, e):", " return e.deny(*p)"]
        return self._written["denied"]

    def _untyped_function(self, type_: GraphQLAbstractType, sets: tuple[SelectionSetNode, ...]) -> str | None:
        """For objects known only as the interface (the subgraph has it as an interface object).

        There is one where the selection is the same for every type that they may have, and does not ask which it is.
        """
        if not isinstance(type_, GraphQLInterfaceType):
            return None
        types: list[Composite] = [*self._schema.get_possible_types(type_)] or [type_]
        first, *others = [self._all_fields(t, sets) for t in types]
        names = {node.name.value for nodes in first.values() for node in nodes}
        if "__typename" in names or any(fields != first for fields in others):
            return None
        return self.object_function(types[0], sets)

    def _all_fields(self, type_: Composite, sets: tuple[SelectionSetNode, ...]) -> Fields:
        """All that is selected of a type."""
        return self._collector.fields(type_, sets)

    def _list_function(self, item: OutputType, nodes: list[FieldNode], start: int = 0) -> str:
        """The function for a list, or for its items from `start` on."""
        key = ("list", str(item), start, *(id(node) for node in nodes))
        if key in self._written:
            return self._written[key]
        name = self._written[key] = self._name("l")
        nullable, inner = unwrapped(item)
        body = [f"def {name}(v, p, e):", " if v.__class__ is not list: return e.no_list(v, p)"]
        numbered = "enumerate(v)"
        if start:
            body.append(f" v = v[{start}:]")
            numbered = f"enumerate(v, {start})"
        if is_leaf_type(inner):
            body += self._leaf_items(inner, nullable, start)
        elif nullable:
            complete = self._completer(inner, nodes, True)
            body += self._count_items(complete)
            body.append(f" return [None if i is None else {complete}(i, (p, n), e) for n, i in {numbered}]")
        else:
            complete = self._completer(inner, nodes, False)
            body += [
                *self._count_items(complete),
                f" r = [{complete}(i, (p, n), e) for n, i in {numbered}]",
                " return None if e.failed and None in r else r",
            ]
        self._lines += body
        return name

    def _count_items(self, complete: str) -> Iterable[str]:
        """The lines that count a list's items, with the objects that each has in fields, not in lists."""
        each = 1 + self._weights.get(complete, _Weight()).objects
        return _count("len(v)" if each == 1 else f"{each} * len(v)", " ")

    def _leaf_items(self, type_: GraphQLScalarType | GraphQLEnumType, nullable: bool, start: int) -> Iterable[str]:
        name, leaf = self._leaf(type_)
        suffix = "_or_null" if nullable and leaf.bounds is None else ""
        fits = f"set(map(type, v)) <= {name}_classes{suffix}"
        if leaf.values is not None:
            fits += f" and {name}_values{suffix}.issuperset(v)"
        if leaf.bounds is not None:
            least, greatest = leaf.bounds
            fits += f" and (not v or {least!r} <= min(v) and max(v) <= {greatest!r})"
        return [f" if {fits}: return v", f" return e.leaves({name}, v, p, {nullable}, {start})"]
