"""All rules for one subgraph, in order."""

from __future__ import annotations

from dataclasses import dataclass

from graphrouter.composition.diagnostics import Findings
from graphrouter.composition.model import Subgraph
from graphrouter.composition.subgraph import Expanded
from graphrouter.composition.validate.access import check_access
from graphrouter.composition.validate.contexts import check_contexts
from graphrouter.composition.validate.costs import check_costs
from graphrouter.composition.validate.externals import check_externals
from graphrouter.composition.validate.field_sets import check_field_sets
from graphrouter.composition.validate.interface_objects import check_interface_objects
from graphrouter.composition.validate.interfaces import check_interfaces
from graphrouter.composition.validate.tags import check_tags


@dataclass(frozen=True, slots=True)
class Validated:
    """Subgraphs of which each is right by itself."""

    subgraphs: tuple[Subgraph, ...]


def validate(expanded: Expanded, findings: Findings) -> Validated:
    """Check every subgraph against every rule."""
    for subgraph in expanded.subgraphs:
        check_field_sets(subgraph, findings)
        check_contexts(subgraph, findings)
        check_externals(subgraph, findings)
        check_interfaces(subgraph, findings)
        check_interface_objects(subgraph, findings)
        check_tags(subgraph, findings)
        check_costs(subgraph, findings)
        check_access(subgraph, findings)
    return Validated(expanded.subgraphs)
