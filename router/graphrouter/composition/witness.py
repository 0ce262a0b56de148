"""The witness: a query that the supergraph allows and that nobody can answer, complete enough to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphrouter.composition.merged import (
    MergedComposite,
    MergedEnum,
    MergedField,
    MergedInput,
    MergedType,
    Supergraph,
)
from graphrouter.composition.model import InputValue, ListOf, NonNull, TypeRef, named_type

_SAMPLES = {"Int": "1", "Float": "1.5", "Boolean": "true", "ID": '"an id"', "String": '"a string"'}


@dataclass(frozen=True, slots=True)
class Step:
    """A field of the object type `parent`; `before` is the path to that object."""

    parent: str
    field: str
    before: Step | None = None

    @property
    def root(self) -> str:
        """The root type that the path starts from."""
        step = self
        while step.before is not None:
            step = step.before
        return step.parent


def witness_query(supergraph: Supergraph, last: Step) -> str:
    """An operation that selects the last field of the path, with sample values for required arguments."""
    steps: list[Step] = []
    step: Step | None = last
    while step is not None:
        steps.insert(0, step)
        step = step.before
    opening = "{" if last.root == "Query" else f"{last.root.lower()} {{"
    lines, depth, declared = [opening], 1, last.root
    for at in steps:
        if declared != at.parent:
            lines.append(f"{'  ' * depth}... on {at.parent} {{")
            depth += 1
        field = _field(supergraph.types, at)
        declared = named_type(field.type)
        composite = isinstance(supergraph.types.get(declared), MergedComposite) or declared in supergraph.possible_types
        lines.append(f"{'  ' * depth}{at.field}{_arguments(supergraph.types, field)}{' {' if composite else ''}")
        if composite:
            depth += 1
            if at is last:
                lines.append(f"{'  ' * depth}__typename")
    lines += [f"{'  ' * left}}}" for left in range(depth - 1, -1, -1)]
    return "\n".join(lines)


def _field(types: Mapping[str, MergedType], step: Step) -> MergedField:
    parent = types[step.parent]
    if not isinstance(parent, MergedComposite):
        raise TypeError(f"{step.parent} has no fields")
    return parent.fields[step.field]


def _arguments(types: Mapping[str, MergedType], field: MergedField) -> str:
    given = _values(types, [argument for argument in field.arguments.values() if argument.required])
    return f"({given})" if given else ""


def _values(types: Mapping[str, MergedType], required: list[InputValue]) -> str:
    return ", ".join(f"{value.name}: {_sample(types, value.type)}" for value in required)


def _sample(types: Mapping[str, MergedType], type_ref: TypeRef) -> str:
    if isinstance(type_ref, NonNull):
        type_ref = type_ref.of
    if isinstance(type_ref, ListOf):
        return "[]"
    match types.get(named_type(type_ref)):
        case MergedEnum(values=known):
            return next((name for name, value in known.items() if not value.marks.inaccessible), "null")
        case MergedInput(fields=fields, one_of=one_of):
            values = [field.value for field in fields.values()]
            chosen = values[:1] if one_of else [value for value in values if value.required]
            return f"{{{_values(types, chosen)}}}"
        case _:
            return _SAMPLES.get(named_type(type_ref), '"a value"')
