"""Types that are extended must be defined somewhere."""

from __future__ import annotations

from collections.abc import Collection

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import ROOT_TYPES, Subgraph


def check_bases(subgraphs: Collection[Subgraph], findings: Findings) -> None:
    """Report each type that is only extended, in every subgraph that has it; a root type needs no definition."""
    for subgraph in subgraphs:
        elsewhere = {name for other in subgraphs if other is not subgraph for name in other.definitions}
        for name in sorted(subgraph.extensions - elsewhere - set(ROOT_TYPES)):
            message = f'subgraph "{subgraph.name}" extends "{name}", which no other subgraph defines'
            findings.error(Code.EXTENSION_WITH_NO_BASE, message, name, subgraph.name)
