"""What a supergraph says, without the directives that say it: types, and what each subgraph knows of them.

The model knows nothing of Apollo's directives, so that another front end may fill it. `join_spec.py` is the reader of
the join specification (https://specs.apollo.dev/join/v0.3/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from graphql import GraphQLSchema

from graphrouter.supergraph.field_set import FieldSet

TypeKind: TypeAlias = Literal["object", "interface", "union", "enum", "input", "scalar"]
RootKind: TypeAlias = Literal["query", "mutation", "subscription"]


class SupergraphError(Exception):
    """A supergraph that this router does not read; `code` is stable, the message names the element."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class SubgraphInfo:
    """A subgraph's name, as people know it, and where it is reached (empty if the supergraph does not say)."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class OverrideInfo:
    """A field taken over from another subgraph; with a label, only where the label is active."""

    from_subgraph: str
    label: str | None


@dataclass(frozen=True, slots=True)
class FieldInSubgraph:
    """A field as one subgraph has it.

    `type` is the text of its type there, `named_type` that type without lists and non-null marks. `resolvable` is
    false where the subgraph only mentions the field (external), or has lost it to another (overridden).
    """

    name: str
    type: str
    named_type: str
    resolvable: bool = True
    external: bool = False
    overridden: bool = False
    requires: FieldSet = ()
    provides: FieldSet = ()
    override: OverrideInfo | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """Fields by which a subgraph's entities are known; with `resolvable` false they cannot be looked up there."""

    fields: FieldSet
    text: str
    resolvable: bool = True


@dataclass(frozen=True, slots=True)
class TypeInSubgraph:
    """A type as one subgraph has it.

    `possible_types` are the object types behind an abstract type there (an object type is its own only one).
    An interface object is an interface of the supergraph that this subgraph has as an object type.
    """

    name: str
    kind: TypeKind
    keys: tuple[Key, ...] = ()
    fields: Mapping[str, FieldInSubgraph] = field(default_factory=dict[str, FieldInSubgraph])
    interfaces: frozenset[str] = frozenset()
    possible_types: frozenset[str] = frozenset()
    enum_values: frozenset[str] = frozenset()
    is_interface_object: bool = False

    @property
    def is_abstract(self) -> bool:
        """Whether this subgraph can tell several object types behind it apart."""
        return self.kind in {"interface", "union"} and not self.is_interface_object


@dataclass(frozen=True)
class Supergraph:
    """All subgraphs as one graph.

    `schema` is the complete schema, `api_schema` what clients see of it. `types` gives, per type and subgraph, what
    that subgraph knows of the type; `field_types` the named type of each field, by type and field.
    """

    sdl: str
    subgraphs: Mapping[str, SubgraphInfo]
    schema: GraphQLSchema
    api_schema: GraphQLSchema
    types: Mapping[str, Mapping[str, TypeInSubgraph]]
    kinds: Mapping[str, TypeKind]
    field_types: Mapping[tuple[str, str], str]

    @staticmethod
    def parse(sdl: str) -> Supergraph:
        """Read a supergraph in the join specification's text; SupergraphError where it cannot be served."""
        from graphrouter.supergraph.join_spec import (  # noqa: PLC0415 - the reader builds this model
            read_supergraph,
        )

        return read_supergraph(sdl)

    @cached_property
    def roots(self) -> Mapping[RootKind, str]:
        """The names of the root types that there are."""
        roots = {
            "query": self.schema.query_type,
            "mutation": self.schema.mutation_type,
            "subscription": self.schema.subscription_type,
        }
        return {kind: root.name for kind, root in roots.items() if root}  # type: ignore[misc] # the keys are literals

    @cached_property
    def possible_types(self) -> Mapping[str, frozenset[str]]:
        """The object types behind each composite type of the supergraph."""
        found: dict[str, frozenset[str]] = {}
        for name, kind in self.kinds.items():
            if kind == "object":
                found[name] = frozenset((name,))
            elif kind in {"interface", "union"}:
                abstract = self.schema.type_map[name]
                found[name] = frozenset(
                    possible.name
                    for possible in self.schema.get_possible_types(abstract)  # type: ignore[arg-type] # abstract by its kind
                )
        return found

    def in_subgraph(self, type_name: str, subgraph: str) -> TypeInSubgraph | None:
        """The type as the subgraph has it, if it has it."""
        return self.types.get(type_name, {}).get(subgraph)

    def is_abstract(self, type_name: str) -> bool:
        """Whether the supergraph's type is an interface or a union."""
        return self.kinds[type_name] in {"interface", "union"}
