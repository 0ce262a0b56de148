"""Types that are extended must be defined somewhere."""

from __future__ import annotations

from collections.abc import Collection

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import ROOT_TYPES, Subgraph


def check_bases(subgraphs: Collection[Subgraph], findings: Findings) -> None:
    """Report each type that is only extended, in every subgraph that has it; a root type needs no definition."""
    defined = {name for subgraph in subgraphs for name in subgraph.types if name not in subgraph.extensions}
    for subgraph in subgraphs:
        for name in sorted(subgraph.extensions - defined - set(ROOT_TYPES)):
            message = f'subgraph "{subgraph.name}" extends "{name}", which no subgraph defines'
            findings.error(Code.EXTENSION_WITH_NO_BASE, message, name, subgraph.name)
