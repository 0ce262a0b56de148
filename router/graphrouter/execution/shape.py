"""The last step: the client's response, in the client's order, out of the merged data.

An operation is compiled once into Python functions, one per selection set and object type, that each build their part
of the response as one dict display. Per field, the generated code does what cannot be left out: read the value, and
compare its class with the one that the type asks for. A null, or anything else unexpected, fails that comparison and
only then calls into `ShapeErrors`. For `user { id name friends { name } }`:

    def f1(v, p, e):                                  # v: merged data, p: its position, e: ShapeErrors
        if v.__class__ is not dict: return e.no_object(v, p)
        a0 = v.get('id')
        if a0.__class__ is not str:                   # ID!
            a0 = e.leaf(ID, a0, p, 'id')
            if a0 is None: return None                # the null bubbles to this object
        a1 = v.get('name')
        if a1.__class__ is not str and a1 is not None: a1 = e.nullable_leaf(String, a1, p, 'name')
        a2 = v.get('friends')
        if a2 is not None: a2 = l2(a2, (p, 'friends'), e)
        return {'id': a0, 'name': a1, 'friends': a2}

A function that returns None has told `e` why; its caller lets the null bubble where the schema has none
(https://spec.graphql.org/October2021/#sec-Handling-Field-Errors). Positions are linked tuples `(parent, step)`: made
per object, never per field, and unrolled only for an error.

`@skip` and `@include` are decided at compile time: there is one compiled shape per combination of values of the
variables that occur in them (see `pipeline.py`). The only text that comes from outside and enters the source are
GraphQL names, and those as string literals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLAbstractType,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    is_abstract_type,
    is_leaf_type,
    is_object_type,
)

from graphrouter.execution.collect import FieldCollector
from graphrouter.execution.errors import INVALID_VALUE, ResponseErrors, error_object
from graphrouter.execution.merge import JsonObject

Position: TypeAlias = Any
"""`(position of the parent, response key or index)`, None at the root; recursive, which type checkers cannot follow."""

OutputType: TypeAlias = Any
"""Any type of a field; graphql-core's wrappers are generic in a way that strict checkers cannot follow."""

Shape: TypeAlias = Callable[[JsonObject, Position, "ShapeErrors"], JsonObject | None]


class Leaf:
    """What the values of one scalar or enum look like in JSON."""

    __slots__ = ("_type", "classes", "hidden", "values")

    def __init__(self, type_: GraphQLScalarType | GraphQLEnumType, hidden: frozenset[str]) -> None:
        self._type = type_
        self.hidden = hidden
        self.values: frozenset[str] | None = None
        self.classes: frozenset[type] | None = _CLASSES.get(type_.name)
        if isinstance(type_, GraphQLEnumType):
            self.values = frozenset(type_.values)
            self.classes = frozenset({str})

    def coerce(self, value: object) -> object:
        """The value as the type writes it; GraphQLError where it cannot be one.

        https://spec.graphql.org/October2021/#sec-Scalars.Result-Coercion-and-Serialization
        """
        if self.values is not None:
            if value.__class__ is str and value in self.values:
                return value
            raise GraphQLError(f"a value that the enum {self._type.name} does not have")
        if self.classes is None or value.__class__ in self.classes:
            return value
        try:
            return self._type.coerce_output_value(value)
        except (GraphQLError, TypeError, ValueError) as error:
            raise GraphQLError(f"a value that is no {self._type.name}") from error


_CLASSES: Mapping[str, frozenset[type]] = {
    "String": frozenset({str}),
    "ID": frozenset({str}),
    "Int": frozenset({int}),
    "Float": frozenset({float, int}),
    "Boolean": frozenset({bool}),
}


class ShapeErrors:
    """What a shape met that does not fit, in one response."""

    __slots__ = ("_invalid", "_nulls", "failed")

    def __init__(self) -> None:
        self.failed = False
        self._nulls: list[list[str | int]] = []
        self._invalid: list[tuple[list[str | int], str]] = []

    def leaf(self, leaf: Leaf, value: object, parent: Position, step: str | int) -> object:
        """A value of an unexpected class at a non-null leaf: what it is coerced to, or None after noting why."""
        if value is None or (value.__class__ is str and value in leaf.hidden):
            self.null(parent, step)
            return None
        return self.nullable_leaf(leaf, value, parent, step)

    def nullable_leaf(self, leaf: Leaf, value: object, parent: Position, step: str | int) -> object:
        """The same at a nullable leaf, where nothing is said about null, nor about a value hidden from clients."""
        if value is None or (value.__class__ is str and value in leaf.hidden):
            return None
        try:
            return leaf.coerce(value)
        except GraphQLError as error:
            self._note_invalid((parent, step), error.message)
            return None

    def leaves(self, leaf: Leaf, values: list[object], position: Position, nullable: bool) -> list[object] | None:
        """A list of leaves with at least one value of an unexpected class."""
        check = self.nullable_leaf if nullable else self.leaf
        result = [check(leaf, value, position, index) for index, value in enumerate(values)]
        return result if nullable or None not in result else None

    def null(self, parent: Position, step: str | int) -> None:
        """Null where the schema has none."""
        self.failed = True
        self._nulls.append(_path((parent, step)))

    def no_object(self, value: object, position: Position) -> None:
        if value is None:
            self.null(*position)
        else:
            self._note_invalid(position, "a value that is no object")

    def no_list(self, value: object, position: Position) -> None:
        if value is None:
            self.null(*position)
        else:
            self._note_invalid(position, "a value that is no list")

    def no_type(self, is_hidden: bool, nullable: bool, position: Position) -> None:
        """An object whose type is unknown, not possible at its place, or hidden from clients, for whom it is null."""
        if not is_hidden:
            self._note_invalid(position, "an object of a type that is not possible here")
        elif not nullable:
            self.null(*position)

    def _note_invalid(self, position: Position, found: str) -> None:
        self.failed = True
        self._invalid.append((_path(position), found))

    def tell(self, errors: ResponseErrors) -> None:
        for path, found in self._invalid:
            errors.add(error_object(f"a subgraph gave {found}", INVALID_VALUE, path=path))
        errors.add_nulls(self._nulls)


def _path(position: Position) -> list[str | int]:
    path: list[str | int] = []
    while position is not None:
        position, step = position
        path.append(step)
    path.reverse()
    return path


def compile_shape(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    conditions: Mapping[str, bool],
    complete_schema: GraphQLSchema | None = None,
) -> Shape:
    """The shape of an operation's response, given the values of the variables in its `@skip` and `@include`.

    `schema` is what clients see. What only `complete_schema` has, enum values and object types, is hidden: in an answer
    it stands for null. Anything that neither has is an error.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        raise GraphQLError(f"the schema has no {operation.operation.value} type")
    compiler = _Compiler(schema, complete_schema or schema, FieldCollector(schema, fragments, conditions))
    entry = compiler.object_function(root, (operation.selection_set,))
    return compiler.function(entry)


def _unwrap(type_: OutputType) -> tuple[bool, OutputType]:
    """Whether a type is nullable, and the type without its non-null mark."""
    if isinstance(type_, GraphQLNonNull):
        return False, cast("Any", type_).of_type
    return True, type_


class _Compiler:
    """Writes the functions of one operation. Each is written once: `_written` knows them by what they depend on."""

    def __init__(self, schema: GraphQLSchema, complete: GraphQLSchema, collector: FieldCollector) -> None:
        self._schema = schema
        self._complete = complete
        self._collector = collector
        self._lines: list[str] = []
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
        return cast("Shape", self._names[entry])

    def _name(self, prefix: str) -> str:
        return f"{prefix}{len(self._written)}"

    def object_function(
        self, type_: GraphQLObjectType | GraphQLInterfaceType, sets: tuple[SelectionSetNode, ...]
    ) -> str:
        key = (type_.name, *map(id, sets))
        if key in self._written:
            return self._written[key]
        name = self._written[key] = self._name("f")
        body = [f"def {name}(v, p, e):", " if v.__class__ is not dict: return e.no_object(v, p)"]
        entries: list[str] = []
        for number, (response_key, nodes) in enumerate(self._collector.fields(type_, sets).items()):
            literal = repr(response_key)
            field_name = nodes[0].name.value
            if field_name == "__typename":
                entries.append(f"{literal}: {type_.name!r}")
            elif field_name in ("__schema", "__type"):
                # Shaped by graphql-core already: see `introspection.py`.
                entries.append(f"{literal}: v.get({literal})")
            else:
                variable = f"a{number}"
                body.append(f" {variable} = v.get({literal})")
                body += self._check(variable, literal, type_.fields[field_name].type, nodes)
                entries.append(f"{literal}: {variable}")
        body.append(f" return {{{', '.join(entries)}}}")
        self._lines += body
        return name

    def _check(self, variable: str, key: str, type_: OutputType, nodes: list[FieldNode]) -> Iterable[str]:
        """The lines that complete the value in `variable`, read under `key`."""
        nullable, inner = _unwrap(type_)
        if is_leaf_type(inner):
            return self._check_leaf(variable, key, inner, nullable)
        call = f"{variable} = {self._completer(inner, nodes, nullable)}({variable}, (p, {key}), e)"
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
        if leaf.classes is None:
            return [] if nullable else [f" if {variable} is None: return e.null(p, {key})"]
        wrong = " and ".join(f"{variable}.__class__ is not {c.__name__}" for c in sorted(leaf.classes, key=repr))
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
            self._names[f"{name}_classes_or_null"] = (leaf.classes or frozenset()) | {type(None)}
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

    def _abstract_function(self, type_: GraphQLAbstractType, sets: tuple[SelectionSetNode, ...], nullable: bool) -> str:
        key = ("abstract", type_.name, nullable, *map(id, sets))
        if key in self._written:
            return self._written[key]
        name = self._written[key] = self._name("d")
        possible = self._schema.get_possible_types(type_)
        self._names[f"{name}_types"] = {}
        self._dispatch.append((f"{name}_types", {t.name: self.object_function(t, sets) for t in possible}))
        self._lines += [
            f"def {name}(v, p, e):",
            " if v.__class__ is not dict: return e.no_object(v, p)",
            " t = v.get('__typename')",
            f" f = {name}_types.get(t)",
            " if f is None:",
            f"  if t in objects: return e.no_type(t in hidden, {nullable}, p)",
            f"  f = {self._untyped_function(type_, sets)}",
            f"  if f is None: return e.no_type(False, {nullable}, p)",
            " return f(v, p, e)",
        ]
        return name

    def _untyped_function(self, type_: GraphQLAbstractType, sets: tuple[SelectionSetNode, ...]) -> str | None:
        """For objects known only as the interface (the subgraph has it as an interface object).

        There is one where the selection is the same for every type that they may have, and does not ask which it is.
        """
        if not isinstance(type_, GraphQLInterfaceType):
            return None
        types: list[GraphQLObjectType | GraphQLInterfaceType] = [*self._schema.get_possible_types(type_)] or [type_]
        first, *others = [self._collector.fields(t, sets) for t in types]
        names = {node.name.value for nodes in first.values() for node in nodes}
        if "__typename" in names or any(fields != first for fields in others):
            return None
        return self.object_function(types[0], sets)

    def _list_function(self, item: OutputType, nodes: list[FieldNode]) -> str:
        key = ("list", str(item), *(id(node) for node in nodes))
        if key in self._written:
            return self._written[key]
        name = self._written[key] = self._name("l")
        nullable, inner = _unwrap(item)
        body = [f"def {name}(v, p, e):", " if v.__class__ is not list: return e.no_list(v, p)"]
        if is_leaf_type(inner):
            body += self._leaf_items(inner, nullable)
        elif nullable:
            complete = self._completer(inner, nodes, True)
            body.append(f" return [None if i is None else {complete}(i, (p, n), e) for n, i in enumerate(v)]")
        else:
            complete = self._completer(inner, nodes, False)
            body += [
                f" r = [{complete}(i, (p, n), e) for n, i in enumerate(v)]",
                " return None if e.failed and None in r else r",
            ]
        self._lines += body
        return name

    def _leaf_items(self, type_: GraphQLScalarType | GraphQLEnumType, nullable: bool) -> Iterable[str]:
        name, leaf = self._leaf(type_)
        if leaf.classes is None:
            fits = "True" if nullable else "None not in v"
        else:
            suffix = "_or_null" if nullable else ""
            fits = f"set(map(type, v)) <= {name}_classes{suffix}"
            if leaf.values is not None:
                fits += f" and {name}_values{suffix}.issuperset(v)"
        return [f" if {fits}: return v", f" return e.leaves({name}, v, p, {nullable})"]
