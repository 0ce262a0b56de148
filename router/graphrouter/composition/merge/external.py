"""`@external` fields checked against the subgraphs that resolve them."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code
from graphrouter.composition.merge.context import MergeContext, Source, Sources
from graphrouter.composition.merged import MergedField
from graphrouter.composition.model import Field


def check_externals(
    context: MergeContext, parent: str, merged: MergedField, externals: Sources[Field], *, same_type: bool
) -> None:
    """An external field must have the type of the supergraph, and arguments that take what the router gives.

    `same_type` tells that all subgraphs that resolve the field agree on its type. Where they do not, the external one
    may be narrower. Nothing that is merged may stand on it: it would be lost, and what it hides would be shown.
    """
    for source in externals:
        _check_external(context, parent, merged, source, same_type=same_type)
        coordinate = f"{parent}.{merged.name}"
        for name in (*source.element.marks.names, *(["@listSize"] if source.element.list_size else [])):
            message = f'"{coordinate}" has {name} in subgraph "{source.subgraph}", where it is @external:'
            message += " it belongs on the field of a subgraph that resolves it"
            code = Code.MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL
            context.findings.error(code, message, coordinate, source.subgraph)


def _check_external(
    context: MergeContext, parent: str, merged: MergedField, source: Source[Field], *, same_type: bool
) -> None:
    coordinate = f"{parent}.{merged.name}"
    where = f'in subgraph "{source.subgraph}", where it is @external'
    report = context.findings.error
    narrower = not same_type and context.is_subtype(source.element.type, merged.type)
    if merged.type != source.element.type and not narrower:
        message = f'"{coordinate}" has the type "{source.element.type}" {where}, but elsewhere "{merged.type}"'
        report(Code.EXTERNAL_TYPE_MISMATCH, message, coordinate, source.subgraph)
    for name, argument in merged.arguments.items():
        at = f"{coordinate}({name}:)"
        external = source.element.arguments.get(name)
        if external is None:
            report(Code.EXTERNAL_ARGUMENT_MISSING, f'argument "{at}" is missing {where}', at, source.subgraph)
        elif not context.is_subtype(argument.type, external.type):
            message = f'argument "{at}" has the type "{external.type}" {where}, but elsewhere "{argument.type}"'
            report(Code.EXTERNAL_ARGUMENT_TYPE_MISMATCH, message, at, source.subgraph)
        elif external.default != argument.default:
            found, elsewhere = external.default or "none", argument.default or "none"
            message = f'argument "{at}" has the default value {found} {where}, but elsewhere {elsewhere}'
            report(Code.EXTERNAL_ARGUMENT_DEFAULT_MISMATCH, message, at, source.subgraph)
