"""The supergraph as the planner and the executor see it: one model, read from the join specification's text."""

from graphrouter.supergraph.access import Access
from graphrouter.supergraph.field_set import FieldSet, RequiredField, RequiredFragment, parse_field_set
from graphrouter.supergraph.join_spec import read_supergraph
from graphrouter.supergraph.model import (
    AccessRules,
    ContextArgument,
    ContextValue,
    FieldInSubgraph,
    Key,
    ListSize,
    OverrideLabel,
    SubgraphInfo,
    Supergraph,
    SupergraphError,
    TypeInSubgraph,
    TypeKind,
)

__all__ = [
    "Access",
    "AccessRules",
    "ContextArgument",
    "ContextValue",
    "FieldInSubgraph",
    "FieldSet",
    "Key",
    "ListSize",
    "OverrideLabel",
    "RequiredField",
    "RequiredFragment",
    "SubgraphInfo",
    "Supergraph",
    "SupergraphError",
    "TypeInSubgraph",
    "TypeKind",
    "parse_field_set",
    "read_supergraph",
]
