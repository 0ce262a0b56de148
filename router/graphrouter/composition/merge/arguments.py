"""Arguments of a field: those that every subgraph knows stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphrouter.composition.diagnostics import Code, by_what, listed
from graphrouter.composition.merge.context import MergeContext, Source, Sources, each
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merge.type_reference import merge_input_type
from graphrouter.composition.model import InputValue


def merge_arguments(
    context: MergeContext, owner: str, sources: Sequence[tuple[str, Mapping[str, InputValue]]]
) -> dict[str, InputValue]:
    """Merge the arguments of the field (or directive) `owner`; `sources` holds pairs (subgraph, its arguments).

    An argument that some subgraph lacks is dropped, for the router could not pass it on; if one of the others needs
    it, that is an error.
    """
    merged: dict[str, InputValue] = {}
    for name in dict.fromkeys(name for _, arguments in sources for name in arguments):
        having = [Source(subgraph, arguments[name]) for subgraph, arguments in sources if name in arguments]
        lacking = [subgraph for subgraph, arguments in sources if name not in arguments]
        coordinate = f"{owner}({name}:)"
        if not lacking:
            merged[name] = merge_input_value(
                context,
                coordinate,
                having,
                Code.FIELD_ARGUMENT_TYPE_MISMATCH,
                Code.FIELD_ARGUMENT_DEFAULT_MISMATCH,
            )
            continue
        everybody = [subgraph for subgraph, _ in sources]
        needing = [source.subgraph for source in having if source.element.required]
        if needing:
            message = f'argument "{coordinate}" is required in {listed(needing)}, but missing in {listed(lacking)}'
            code = Code.REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH
            context.findings.error(code, message, coordinate, *everybody)
        else:
            names = [source.subgraph for source in having]
            message = f'argument "{coordinate}" is dropped: {listed(names)} defines it, {listed(lacking)} does not'
            context.findings.hint(Code.INCONSISTENT_ARGUMENT_PRESENCE, message, coordinate, *everybody)
    return merged


def merge_input_value(
    context: MergeContext, coordinate: str, sources: Sources[InputValue], type_mismatch: Code, default_mismatch: Code
) -> InputValue:
    """An argument or input field that all these subgraphs define: the narrowest type, one default or none."""
    type_ref = merge_input_type(context, coordinate, each(sources, lambda value: value.type), type_mismatch)
    defaults = each(sources, lambda value: value.default)
    names = [subgraph for subgraph, _ in defaults]
    default = defaults[0][1]
    if len({text for _, text in defaults}) > 1:
        found = by_what((name, text if text is not None else "none") for name, text in defaults)
        message = f'"{coordinate}" has different default values: {found}'
        if any(text is None for _, text in defaults):
            hint = f"{message}; the supergraph has none"
            context.findings.hint(Code.INCONSISTENT_DEFAULT_VALUE_PRESENCE, hint, coordinate, *names)
        if len({text for _, text in defaults if text is not None}) > 1:
            context.findings.error(default_mismatch, message, coordinate, *names)
        default = None
    marks = merge_marks(coordinate, each(sources, lambda value: value.marks), context.findings)
    return InputValue(sources[0].element.name, type_ref, default, marks)
