"""`@listSize` and `@cost` of one element from several subgraphs: the dearest reading. https://specs.apollo.dev/cost/v0.1/"""

from __future__ import annotations

from collections.abc import Sequence

from graphrouter.composition.diagnostics import Code, Findings, listed
from graphrouter.supergraph.model import ListSize


def merge_list_size(
    coordinate: str, found: Sequence[tuple[str, ListSize | None]], findings: Findings
) -> ListSize | None:
    """The longest assumed list, all slicing arguments and sized fields; `found` holds pairs (subgraph, its own)."""
    told = [(subgraph, size) for subgraph, size in found if size is not None]
    if not told:
        return None
    sizes = [size for _, size in told]
    if len(set(sizes)) > 1:
        _hint_at_merged(coordinate, "@listSize", [subgraph for subgraph, _ in told], findings)
    return ListSize(
        max((size.assumed_size for size in sizes if size.assumed_size is not None), default=None),
        tuple(dict.fromkeys(name for size in sizes for name in size.slicing_arguments)),
        tuple(dict.fromkeys(name for size in sizes for name in size.sized_fields)),
        all(size.require_one_slicing_argument for size in sizes),
    )


def merge_cost(coordinate: str, found: Sequence[tuple[str, int | None]], findings: Findings) -> int | None:
    """The highest weight; `found` holds pairs (subgraph, its own)."""
    told = [(subgraph, cost) for subgraph, cost in found if cost is not None]
    if len({cost for _, cost in told}) > 1:
        _hint_at_merged(coordinate, "@cost", [subgraph for subgraph, _ in told], findings)
    return max((cost for _, cost in told), default=None)


def _hint_at_merged(coordinate: str, directive: str, subgraphs: Sequence[str], findings: Findings) -> None:
    """Tell that the supergraph's arguments are made of several."""
    message = f'"{coordinate}" has {directive} with different arguments in {listed(subgraphs)}; they are merged'
    findings.hint(Code.MERGED_NON_REPEATABLE_DIRECTIVE_ARGUMENTS, message, coordinate, *subgraphs)
