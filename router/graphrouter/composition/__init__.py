"""Composition: subgraph SDLs in, one supergraph SDL out, or every reason why not."""

from graphrouter.composition.compose import CompositionResult, compose
from graphrouter.composition.diagnostics import Code, CompositionError, Diagnostic, Severity
from graphrouter.composition.subgraph import SubgraphSdl

__all__ = [
    "Code",
    "CompositionError",
    "CompositionResult",
    "Diagnostic",
    "Severity",
    "SubgraphSdl",
    "compose",
]
