"""`@external` fields checked against the subgraphs that resolve them."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code
from graphrouter.composition.merge.context import MergeContext, Source, Sources
from graphrouter.composition.merged import MergedField
from graphrouter.composition.model import Field


def check_externals(context: MergeContext, parent: str, merged: MergedField, externals: Sources[Field]) -> None:
    """An external field must have a type and arguments that fit those of the supergraph."""
    for source in externals:
        _check_external(context, parent, merged, source)


def _check_external(context: MergeContext, parent: str, merged: MergedField, source: Source[Field]) -> None:
    coordinate = f"{parent}.{merged.name}"
    where = f'in subgraph "{source.subgraph}", where it is @external'
    report = context.findings.error
    if not context.is_subtype(merged.type, source.element.type):
        message = f'"{coordinate}" has the type "{source.element.type}" {where}, but elsewhere "{merged.type}"'
        report(Code.EXTERNAL_TYPE_MISMATCH, message, coordinate, source.subgraph)
    for name, argument in merged.arguments.items():
        at = f"{coordinate}({name}:)"
        external = source.element.arguments.get(name)
        if external is None:
            report(Code.EXTERNAL_ARGUMENT_MISSING, f'argument "{at}" is missing {where}', at, source.subgraph)
        elif not context.is_subtype(external.type, argument.type) and not context.is_subtype(
            argument.type, external.type
        ):
            message = f'argument "{at}" has the type "{external.type}" {where}, but elsewhere "{argument.type}"'
            report(Code.EXTERNAL_ARGUMENT_TYPE_MISMATCH, message, at, source.subgraph)
        elif external.default != argument.default:
            found, elsewhere = external.default or "none", argument.default or "none"
            message = f'argument "{at}" has the default value {found} {where}, but elsewhere {elsewhere}'
            report(Code.EXTERNAL_ARGUMENT_DEFAULT_MISMATCH, message, at, source.subgraph)
