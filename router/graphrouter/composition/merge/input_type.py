"""Input object types: the fields that every subgraph knows."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, listed
from graphrouter.composition.merge.arguments import merge_input_value
from graphrouter.composition.merge.context import MergeContext, Source, Sources, each
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merged import JoinField, JoinType, MergedInput, MergedInputField
from graphrouter.composition.model import InputType, InputValue


def merge_input(context: MergeContext, name: str, sources: Sources[InputType]) -> MergedInput:
    """Merge one input type; where one subgraph wants exactly one field (@oneOf), the supergraph does."""
    everybody = [source.subgraph for source in sources]
    fields: dict[str, MergedInputField] = {}
    for field in dict.fromkeys(field for source in sources for field in source.element.fields):
        found = [Source(s.subgraph, s.element.fields[field]) for s in sources if field in s.element.fields]
        lacking = [name for name in everybody if name not in {source.subgraph for source in found}]
        hidden = any(source.element.marks.inaccessible for source in found)
        if lacking and not hidden:
            _report_lacking(context, f"{name}.{field}", found, lacking)
        else:
            fields[field] = _merge_input_field(context, f"{name}.{field}", found, everywhere=not lacking)
    if not fields:
        message = f'{listed(everybody)} have no field of the input type "{name}" in common'
        context.findings.error(Code.EMPTY_MERGED_INPUT_TYPE, message, name, *everybody)
    return MergedInput(
        name,
        merge_marks(name, each(sources, lambda definition: definition.marks), context.findings),
        tuple(JoinType(subgraph) for subgraph in everybody),
        fields,
        any(source.element.one_of for source in sources),
    )


def _merge_input_field(
    context: MergeContext, coordinate: str, found: Sources[InputValue], *, everywhere: bool
) -> MergedInputField:
    value = merge_input_value(context, coordinate, found, Code.FIELD_TYPE_MISMATCH, Code.INPUT_FIELD_DEFAULT_MISMATCH)
    types = {source.element.type for source in found}
    if everywhere and len(types) == 1:
        return MergedInputField(value)
    joins = (JoinField(s.subgraph, type=s.element.type if len(types) > 1 else None) for s in found)
    return MergedInputField(value, tuple(joins))


def _report_lacking(context: MergeContext, coordinate: str, found: Sources[InputValue], lacking: list[str]) -> None:
    """The field is dropped, for not every subgraph would take it; that is an error where one needs it."""
    names = [source.subgraph for source in found]
    needing = [source.subgraph for source in found if source.element.required]
    if needing:
        message = f'input field "{coordinate}" is required in {listed(needing)}, but missing in {listed(lacking)}'
        code = Code.REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH
        context.findings.error(code, message, coordinate, *names, *lacking)
    else:
        message = f'input field "{coordinate}" is dropped: {listed(names)} defines it, {listed(lacking)} does not'
        context.findings.hint(Code.INCONSISTENT_INPUT_OBJECT_FIELD, message, coordinate, *names, *lacking)
