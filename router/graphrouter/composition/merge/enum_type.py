"""Enum types: how they merge depends on where they are used.

A value that a client may receive must be in the supergraph, a value that a client may send must be known to every
subgraph. So an enum in output has all values, an enum in input those that all subgraphs have, and an enum in both must
be the same everywhere. A value that is @inaccessible is exempt: no client sees it.
"""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, listed
from graphrouter.composition.merge.context import MergeContext, Sources, each
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merge.usage import Usage
from graphrouter.composition.merged import JoinType, MergedEnum, MergedEnumValue
from graphrouter.composition.model import EnumType


def merge_enum(context: MergeContext, name: str, sources: Sources[EnumType], usage: Usage) -> MergedEnum:
    """Merge one enum; an enum that nobody uses counts as output."""
    values: dict[str, MergedEnumValue] = {}
    for value in dict.fromkeys(value for source in sources for value in source.element.values):
        found = [(s.subgraph, s.element.values[value]) for s in sources if value in s.element.values]
        having = tuple(subgraph for subgraph, _ in found)
        lacking = [source.subgraph for source in sources if source.subgraph not in having]
        marks = merge_marks(f"{name}.{value}", found, context.findings)
        kept = True
        if lacking and not marks.inaccessible:
            kept = _report(context, f"{name}.{value}", having, lacking, usage)
        if kept:
            values[value] = MergedEnumValue(value, marks, having)
    if not values:
        message = f'enum "{name}" is used as input, and {listed(s.subgraph for s in sources)} have no value in common'
        names = [source.subgraph for source in sources]
        context.findings.error(Code.EMPTY_MERGED_ENUM_TYPE, message, name, *names)
    return MergedEnum(
        name,
        merge_marks(name, each(sources, lambda definition: definition.marks), context.findings),
        tuple(JoinType(source.subgraph) for source in sources),
        values,
    )


def _report(context: MergeContext, coordinate: str, having: tuple[str, ...], lacking: list[str], usage: Usage) -> bool:
    """Tell of a value that some subgraphs lack; the answer is whether it stays."""
    message = f'enum value "{coordinate}" is defined in {listed(having)}, but not in {listed(lacking)}'
    if usage.input and usage.output:
        because = f'the enum is used in input ("{usage.input}") and in output ("{usage.output}")'
        code = Code.ENUM_VALUE_MISMATCH
        context.findings.error(code, f"{message}, and {because}", coordinate, *having, *lacking)
        return True
    if usage.input:
        code, effect = Code.INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM, "is not in the supergraph"
    else:
        code, effect = Code.INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM, "is in the supergraph"
    context.findings.hint(code, f"{message}; it {effect}", coordinate, *having, *lacking)
    return not usage.input
