"""Descriptions, @deprecated, @inaccessible and @tag of one element from several subgraphs."""

from __future__ import annotations

from collections.abc import Sequence

from graphrouter.composition.diagnostics import Code, Findings, listed
from graphrouter.composition.model import Marks


def merge_marks(coordinate: str, found: Sequence[tuple[str, Marks]], findings: Findings) -> Marks:
    """The first description and the first reason count, tags add up, hidden by one is hidden.

    `found` holds pairs (subgraph, its marks).
    """
    descriptions = [(subgraph, marks.description) for subgraph, marks in found if marks.description]
    reasons = [(subgraph, marks.deprecated) for subgraph, marks in found if marks.deprecated is not None]
    if len({text for _, text in descriptions}) > 1:
        message = f'"{coordinate}" has different descriptions in {listed(name for name, _ in descriptions)}'
        used = f'that of subgraph "{descriptions[0][0]}" is used'
        findings.hint(
            Code.INCONSISTENT_DESCRIPTION, f"{message}; {used}", coordinate, *(name for name, _ in descriptions)
        )
    if len({reason for _, reason in reasons}) > 1:
        message = f'"{coordinate}" is deprecated for different reasons in {listed(name for name, _ in reasons)}'
        used = f'that of subgraph "{reasons[0][0]}" is used'
        code = Code.INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS
        findings.hint(code, f"{message}; {used}", coordinate, *(name for name, _ in reasons))
    return Marks(
        description=descriptions[0][1] if descriptions else None,
        inaccessible=any(marks.inaccessible for _, marks in found),
        tags=tuple(sorted({tag for _, marks in found for tag in marks.tags})),
        deprecated=reasons[0][1] if reasons else None,
    )
