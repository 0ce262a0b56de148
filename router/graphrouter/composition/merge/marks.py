"""Descriptions and the directives that may stand on any element, of one element from several subgraphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from graphrouter.composition.diagnostics import Code, Findings, by_what, listed
from graphrouter.composition.merge.costs import merge_cost
from graphrouter.composition.model import Applied, Marks
from graphrouter.supergraph.access import NO_ACCESS, Access


def merge_marks(coordinate: str, found: Sequence[tuple[str, Marks]], findings: Findings) -> Marks:
    """The first description and the first reason count, tags add up, hidden by one is hidden, the highest cost counts,
    and a caller must be allowed what any of them asks for.

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
        cost=merge_cost(coordinate, [(name, marks.cost) for name, marks in found], findings),
        applied=_merge_applied(coordinate, [(name, marks.applied) for name, marks in found], findings),
        access=_merge_access(marks.access for _, marks in found),
    )


def _merge_access(found: Iterable[Access]) -> Access:
    merged = NO_ACCESS
    for access in found:
        merged &= access
    return merged


def _merge_applied(
    coordinate: str, found: Sequence[tuple[str, tuple[Applied, ...]]], findings: Findings
) -> tuple[Applied, ...]:
    """Composed directives: a repeatable one adds up; of another, the arguments that most subgraphs give count."""
    everything = [(subgraph, applied) for subgraph, own in found for applied in own]
    once = {applied.name for _, applied in everything if not applied.repeatable}
    merged = dict.fromkeys(applied for _, applied in everything if applied.name not in once)
    for name in sorted(once):
        given = [(subgraph, applied) for subgraph, applied in everything if applied.name == name]
        (most, _), *_ = Counter(applied for _, applied in given).most_common()
        if len({applied for _, applied in given}) > 1:
            texts = by_what((subgraph, f"@{name}{applied.arguments}") for subgraph, applied in given)
            message = f'"{coordinate}" has different arguments: {texts}; {most} is used'
            code = Code.INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS
            findings.hint(code, message, coordinate, *(subgraph for subgraph, _ in given))
        merged[most] = None
    return tuple(merged)
