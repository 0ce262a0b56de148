"""`@context` and `@fromContext`: each argument takes one value, of its own type, from types of the same subgraph.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/use-contexts
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.field_set import SelectedField, SelectedFragment, Selections
from graphrouter.composition.model import (
    CompositeType,
    ContextArgument,
    Field,
    InterfaceType,
    ListOf,
    Named,
    NonNull,
    ObjectType,
    Subgraph,
    TypeRef,
    UnionType,
    named_type,
    setters,
)

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9]*$")


def check_contexts(subgraph: Subgraph, findings: Findings) -> None:
    """Check the names of contexts, and every argument that takes its value from one."""
    for definition in subgraph.types.values():
        for name in definition.contexts if isinstance(definition, CompositeType | UnionType) else ():
            if not _NAME.match(name):
                message = f'"{definition.name}" of subgraph "{subgraph.name}" sets the context "{name}"'
                message += ", but a context's name has letters and digits only"
                findings.error(Code.CONTEXT_NAME_INVALID, message, definition.name, subgraph.name)
    for definition in subgraph.types.values():
        if not isinstance(definition, CompositeType):
            continue
        for field in definition.fields.values():
            for argument in field.contextual:
                _Check(subgraph, findings, definition, field, argument).run()


@dataclass(frozen=True, slots=True)
class _Check:
    """Checks one argument with `@fromContext`."""

    subgraph: Subgraph
    findings: Findings
    parent: CompositeType
    field: Field
    argument: ContextArgument

    def run(self) -> None:
        argument, parent = self.argument, self.parent
        if not isinstance(parent, ObjectType) or self._asked_by_interface():
            self._report(Code.CONTEXT_INVALID_SELECTION, "a field of an interface cannot take arguments from a context")
        elif argument.default is not None:
            self._report(Code.CONTEXT_INVALID_SELECTION, "an argument from a context cannot have a default value")
        elif argument.context is None:
            self._report(Code.NO_CONTEXT_IN_SELECTION, 'it names no context, as in "$context { field }"')
        elif argument.selection is None:
            code = Code.CONTEXT_INVALID_SELECTION if "{" in argument.text else Code.NO_CONTEXT_IN_SELECTION
            self._report(code, 'it selects no field, as in "$context { field }"')
        elif not (types := setters(self.subgraph.types, argument.context)):
            self._report(Code.CONTEXT_NOT_SET, f'no type of this subgraph sets the context "{argument.context}"')
        elif not any(key.resolvable for key in parent.keys):
            self._report(Code.CONTEXT_NO_RESOLVABLE_KEY, f'"{parent.name}" has no resolvable @key here')
        else:
            for name in sorted(types):
                self._check_selected(name, argument.selection.selections)

    def _asked_by_interface(self) -> bool:
        above = (self.subgraph.types.get(name) for name in self.parent.interfaces)
        return any(isinstance(one, InterfaceType) and self.field.name in one.fields for one in above)

    def _check_selected(self, type_name: str, selections: Selections) -> None:
        """For objects of this type, exactly one leaf must come out, of the argument's type."""
        wanted = self.argument.type
        try:
            found = self._only_leaf(type_name, selections)
        except LookupError as missing:
            self._report(Code.CONTEXT_INVALID_SELECTION, str(missing.args[0]))
            return
        if not _goes_into(found, wanted):
            text = f'what it selects of "{type_name}" is of type "{found}", the argument of type "{wanted}"'
            self._report(Code.CONTEXT_INVALID_SELECTION, text)

    def _leaves(self, type_name: str, selections: Selections) -> Iterator[TypeRef]:
        """The types of the leaves; LookupError where something cannot be selected."""
        for selection in selections:
            if isinstance(selection, SelectedFragment):
                if self._applies(selection, type_name):
                    yield from self._leaves(type_name, selection.selections)
                continue
            yield from self._leaf(type_name, selection)

    def _leaf(self, type_name: str, selected: SelectedField) -> Iterator[TypeRef]:
        parent = self.subgraph.composite(type_name)
        definition = parent.fields.get(selected.name) if parent is not None else None
        if definition is None:
            raise LookupError(f'it selects "{selected.name}", which "{type_name}" does not have')
        if definition.arguments or definition.contextual:
            raise LookupError(f'it selects "{type_name}.{selected.name}", which has arguments')
        inner = named_type(definition.type)
        composite = self.subgraph.composite(inner) is not None or self.subgraph.is_abstract(inner)
        if composite is not bool(selected.selections):
            raise LookupError(f'it must end at a leaf; "{type_name}.{selected.name}" is of type "{definition.type}"')
        if not composite:
            yield definition.type
            return
        found = [self._only_leaf(name, selected.selections) for name in sorted(self._possible(inner))]
        types = [_within(definition.type, leaf) for leaf in found]
        # The one that tells most: where all of them fit, any does.
        yield next((one for one in types if not _goes_into(one, self.argument.type)), types[0])

    def _only_leaf(self, type_name: str, selections: Selections) -> TypeRef:
        found = list(self._leaves(type_name, selections))
        if len(found) != 1:
            raise LookupError(f'it selects {len(found)} fields of "{type_name}", not one')
        return found[0]

    def _possible(self, type_name: str) -> frozenset[str]:
        return self.subgraph.possible_types.get(type_name) or frozenset((type_name,))

    def _applies(self, fragment: SelectedFragment, type_name: str) -> bool:
        on = fragment.type_condition
        if on is not None and on not in self.subgraph.types:
            raise LookupError(f'it selects on the type "{on}", which does not exist')
        return on is None or on == type_name or type_name in self.subgraph.possible_types.get(on, frozenset())

    def _report(self, code: Code, message: str) -> None:
        coordinate = f"{self.parent.name}.{self.field.name}({self.argument.name}:)"
        where = f'on "{coordinate}" of subgraph "{self.subgraph.name}", @fromContext(field: "{self.argument.text}")'
        self.findings.error(code, f"{where}: {message}", coordinate, self.subgraph.name)


def _within(outer: TypeRef, leaf: TypeRef) -> TypeRef:
    """The type of a leaf below a field: in the field's lists, and null where the field may be."""
    match outer:
        case NonNull(of=ListOf(of=inner)):
            return NonNull(ListOf(_within(inner, leaf)))
        case NonNull():
            return leaf
        case ListOf(of=inner):
            return ListOf(_within(inner, leaf))
        case Named():
            return leaf.of if isinstance(leaf, NonNull) else leaf


def _goes_into(value: TypeRef, argument: TypeRef) -> bool:
    """Whether each value of the first type can be given to an argument of the second one."""
    match value, argument:
        case NonNull(of=given), NonNull(of=wanted):
            return _goes_into(given, wanted)
        case NonNull(of=given), _:
            return _goes_into(given, argument)
        case ListOf(of=given), ListOf(of=wanted):
            return _goes_into(given, wanted)
        case Named(), Named():
            return value == argument
        case _:
            return False
