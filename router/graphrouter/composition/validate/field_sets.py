"""`@key`, `@requires` and `@provides` select fields that exist and that the directive may select."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.field_set import FieldSet, SelectedField, SelectedFragment, Selections
from graphrouter.composition.model import (
    CompositeType,
    EnumType,
    Field,
    InputType,
    InterfaceType,
    Subgraph,
    UnionType,
    named_type,
)
from graphrouter.composition.selected import is_external
from graphrouter.composition.values import Known, misfits_of_arguments


def check_field_sets(subgraph: Subgraph, findings: Findings) -> None:
    """Check all field sets of a subgraph."""
    for definition in subgraph.types.values():
        if not isinstance(definition, CompositeType):
            continue
        for key in definition.keys:
            check = _Check(subgraph, findings, "key", definition.name, key.fields)
            check.selections(definition.name, key.fields.selections, below_external=False)
        for field in definition.fields.values():
            _check_field(subgraph, definition, field, findings)


def _check_field(subgraph: Subgraph, parent: CompositeType, field: Field, findings: Findings) -> None:
    coordinate = f"{parent.name}.{field.name}"
    for kind, fields in (("requires", field.requires), ("provides", field.provides)):
        if fields is None:
            continue
        if isinstance(parent, InterfaceType):
            message = f'@{kind} is not allowed on "{coordinate}" of subgraph "{subgraph.name}", an interface\'s field'
            code = Code(f"{kind.upper()}_UNSUPPORTED_ON_INTERFACE")
            findings.error(code, message, coordinate, subgraph.name)
            continue
        start = parent.name if kind == "requires" else named_type(field.type)
        if kind == "provides" and subgraph.composite(start) is None and not subgraph.is_abstract(start):
            message = (
                f'@provides on "{coordinate}" of subgraph "{subgraph.name}", whose type "{field.type}" has no fields'
            )
            findings.error(Code.PROVIDES_ON_NON_OBJECT_FIELD, message, coordinate, subgraph.name)
            continue
        check = _Check(subgraph, findings, kind, coordinate, fields)
        check.selections(start, fields.selections, below_external=False)


@dataclass(frozen=True, slots=True)
class _Check:
    """Walks one field set; `kind` is the directive, `coordinate` where it stands."""

    subgraph: Subgraph
    findings: Findings
    kind: str
    coordinate: str
    fields: FieldSet

    def selections(self, parent: str, selections: Selections, *, below_external: bool) -> None:
        for selection in selections:
            if isinstance(selection, SelectedFragment):
                self._fragment(parent, selection, below_external=below_external)
            else:
                self._field(parent, selection, below_external=below_external)

    def _fragment(self, parent: str, fragment: SelectedFragment, *, below_external: bool) -> None:
        condition = fragment.type_condition or parent
        mine, theirs = (self._possible(name) for name in (parent, condition))
        if condition not in self.subgraph.types:
            self._invalid(f'it selects on the type "{condition}", which does not exist')
        elif not mine & theirs:
            self._invalid(f'it selects on the type "{condition}", which "{parent}" can never be')
        else:
            self.selections(condition, fragment.selections, below_external=below_external)

    def _possible(self, name: str) -> frozenset[str]:
        return self.subgraph.possible_types.get(name, frozenset({name}))

    def _field(self, parent: str, selected: SelectedField, *, below_external: bool) -> None:
        if selected.name == "__typename":
            return
        definition = self.subgraph.composite(parent)
        field = definition.fields.get(selected.name) if definition is not None else None
        if definition is None or field is None:
            self._invalid(f'it selects "{selected.name}", which "{parent}" does not have')
            return
        self._arguments(definition, field, selected)
        child = named_type(field.type)
        composite = self.subgraph.composite(child) is not None or self.subgraph.is_abstract(child)
        if self.kind == "key" and isinstance(self.subgraph.types.get(child), InterfaceType | UnionType):
            message = f'it selects "{parent}.{selected.name}", whose type "{child}" is an interface or a union'
            self._report(Code.KEY_FIELDS_SELECT_INVALID_TYPE, message)
        elif composite and not selected.selections:
            self._invalid(f'it has no selections for "{parent}.{selected.name}" of type "{field.type}"')
        elif selected.selections and not composite:
            self._invalid(
                f'it has selections for "{parent}.{selected.name}" of type "{field.type}", which has no fields'
            )
        elif selected.selections:
            external = below_external or is_external(self.subgraph.types, definition, field.name)
            self.selections(child, selected.selections, below_external=external)
        elif self.kind != "key" and not below_external and not is_external(self.subgraph.types, definition, field.name):
            message = f'it selects "{parent}.{selected.name}", which is not @external in this subgraph'
            self._report(Code(f"{self.kind.upper()}_FIELDS_MISSING_EXTERNAL"), message)

    def _arguments(self, parent: CompositeType, field: Field, selected: SelectedField) -> None:
        at = f"{parent.name}.{field.name}"
        if (field.arguments or field.contextual) and self.kind != "requires":
            self._report(Code(f"{self.kind.upper()}_FIELDS_HAS_ARGS"), f'it selects "{at}", which has arguments')
        else:
            for misfit in misfits_of_arguments(selected, at, field.arguments, self._known):
                self._invalid(misfit)

    def _known(self, name: str) -> Known:
        match self.subgraph.types.get(name):
            case EnumType(values=values):
                return tuple(values)
            case InputType(fields=fields):
                return fields
            case _:
                return None

    @property
    def _invalid(self) -> Callable[[str], None]:
        return lambda message: self._report(Code(f"{self.kind.upper()}_INVALID_FIELDS"), message)

    def _report(self, code: Code, message: str) -> None:
        where = f'on "{self.coordinate}" of subgraph "{self.subgraph.name}", @{self.kind}(fields: "{self.fields}")'
        self.findings.error(code, f"{where}: {message}", self.coordinate, self.subgraph.name)
