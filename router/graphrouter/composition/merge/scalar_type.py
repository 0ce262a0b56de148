"""Custom scalars."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, by_what
from graphrouter.composition.merge.context import MergeContext, Sources, each
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merged import JoinType, MergedScalar
from graphrouter.composition.model import ScalarType


def merge_scalar(context: MergeContext, name: str, sources: Sources[ScalarType]) -> MergedScalar:
    """Merge one scalar; the first URL of @specifiedBy counts."""
    urls = [(subgraph, url) for subgraph, url in each(sources, lambda scalar: scalar.specified_by) if url]
    if len({url for _, url in urls}) > 1:
        found = by_what((subgraph, f'"{url}"') for subgraph, url in urls)
        message = f'scalar "{name}" has different URLs in @specifiedBy, the first is used: {found}'
        code = Code.INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS
        context.findings.hint(code, message, name, *(subgraph for subgraph, _ in urls))
    return MergedScalar(
        name,
        merge_marks(name, each(sources, lambda definition: definition.marks), context.findings),
        tuple(JoinType(source.subgraph) for source in sources),
        urls[0][1] if urls else None,
    )
