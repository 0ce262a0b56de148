"""Composition: the texts of subgraphs → one supergraph, in phases of which each is the next one's input.

Initial (texts) → Expanded (schemas, everything implied made explicit) → Validated (each right by itself) → Merged (one
supergraph beside them) → Satisfiable (every query that it allows can be answered) → text of the join specification.
A phase collects all of its findings before composition stops.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphrouter.composition.diagnostics import Diagnostic, Findings
from graphrouter.composition.join_spec import print_supergraph
from graphrouter.composition.merge import merge
from graphrouter.composition.satisfiability import prove_satisfiable
from graphrouter.composition.subgraph import Initial, SubgraphSdl, expand
from graphrouter.composition.validate import validate


@dataclass(frozen=True, slots=True)
class CompositionResult:
    """The supergraph's SDL (join specification) and what composition noticed that is no error."""

    supergraph_sdl: str
    hints: tuple[Diagnostic, ...]


def compose(subgraphs: Iterable[SubgraphSdl]) -> CompositionResult:
    """Compose subgraphs into a supergraph; raise CompositionError with all diagnostics where they do not fit.

    The order of the subgraphs has no meaning, and the same subgraphs give the same text.
    """
    findings = Findings()

    initial = Initial.of(subgraphs, findings)
    findings.stop_on_errors()

    expanded = expand(initial, findings)
    findings.stop_on_errors()

    validated = validate(expanded, findings)
    findings.stop_on_errors()

    merged = merge(validated, findings)
    findings.stop_on_errors()

    satisfiable = prove_satisfiable(merged, findings)
    findings.stop_on_errors()

    return CompositionResult(print_supergraph(satisfiable.merged), findings.hints)
