"""Union types: all members of all subgraphs."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, listed
from graphrouter.composition.merge.composite import contexts
from graphrouter.composition.merge.context import MergeContext, Sources, each
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merged import JoinType, MergedUnion
from graphrouter.composition.model import UnionType


def merge_union(context: MergeContext, name: str, sources: Sources[UnionType]) -> MergedUnion:
    """Merge one union."""
    members: dict[str, list[str]] = {}
    for source in sources:
        for member in source.element.members:
            members.setdefault(member, []).append(source.subgraph)
    for member, having in members.items():
        lacking = [source.subgraph for source in sources if source.subgraph not in having]
        if lacking:
            message = f'union "{name}" has the member "{member}" in {listed(having)}, but not in {listed(lacking)}'
            context.findings.hint(Code.INCONSISTENT_UNION_MEMBER, message, name, *having, *lacking)
    return MergedUnion(
        name,
        merge_marks(name, each(sources, lambda definition: definition.marks), context.findings),
        tuple(JoinType(source.subgraph) for source in sources),
        {member: tuple(having) for member, having in members.items()},
        contexts(sources),
    )
