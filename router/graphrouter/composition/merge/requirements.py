"""`@requires` with arguments, held against the supergraph: the router asks other subgraphs with these arguments."""

from __future__ import annotations

from collections.abc import Callable, Collection

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.field_set import FieldSet, SelectedField, Selections
from graphrouter.composition.merged import MergedComposite, MergedEnum, MergedInput, Supergraph
from graphrouter.composition.model import CompositeType, Subgraph, named_type
from graphrouter.composition.values import Known, misfits_of_arguments


def check_requirements(subgraphs: Collection[Subgraph], supergraph: Supergraph, findings: Findings) -> None:
    """Report arguments that the supergraph's field does not have, or has of another type, or that it misses."""

    def known(name: str) -> Known:
        match supergraph.types.get(name):
            case MergedEnum(values=values):
                return tuple(values)
            case MergedInput(fields=fields):
                return {name: field.value for name, field in fields.items()}
            case _:
                return None

    for subgraph in subgraphs:
        for definition in subgraph.types.values():
            for field in definition.fields.values() if isinstance(definition, CompositeType) else ():
                if field.requires is not None:
                    at = f"{definition.name}.{field.name}"
                    for misfit in _misfits(supergraph, definition.name, field.requires.selections, known):
                        _report(subgraph, at, field.requires, misfit, findings)


def _misfits(supergraph: Supergraph, parent: str, selections: Selections, known: Callable[[str], Known]) -> list[str]:
    definition = supergraph.types.get(parent)
    found: list[str] = []
    for selection in selections:
        if not isinstance(selection, SelectedField):
            found += _misfits(supergraph, selection.type_condition or parent, selection.selections, known)
        elif isinstance(definition, MergedComposite) and selection.name in definition.fields:
            field = definition.fields[selection.name]
            found += misfits_of_arguments(selection, f"{parent}.{field.name}", field.arguments, known)
            found += _misfits(supergraph, named_type(field.type), selection.selections, known)
    return found


def _report(subgraph: Subgraph, coordinate: str, requires: FieldSet, misfit: str, findings: Findings) -> None:
    where = f'on "{coordinate}" of subgraph "{subgraph.name}", @requires(fields: "{requires}")'
    message = f"{where}: in the supergraph, {misfit}"
    findings.error(Code.REQUIRES_INVALID_FIELDS, message, coordinate, subgraph.name)
