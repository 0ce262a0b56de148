"""What a supergraph says, without the directives that say it: types, and what each subgraph knows of them.

The model knows nothing of Apollo's directives, so that another front end may fill it. `join_spec.py` is the reader of
the join specification (https://specs.apollo.dev/join/v0.3/).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal, TypeAlias

from graphql import GraphQLDeferDirective, GraphQLSchema, GraphQLStreamDirective, specified_directives

from graphrouter.supergraph.access import Access
from graphrouter.supergraph.field_set import FieldSet

EXECUTABLE_LOCATIONS = frozenset(
    {
        "QUERY",
        "MUTATION",
        "SUBSCRIPTION",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION",
    }
)
"""https://spec.graphql.org/draft/#ExecutableDirectiveLocation"""

_DEFERRING: Final = (GraphQLDeferDirective, GraphQLStreamDirective)

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
class OverrideLabel:
    """What a label decides about a field of one subgraph: while it is on, the field is taken over, or given away.

    Of the two subgraphs of a labelled `@override`, the one that has the directive takes the field over.
    https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#override
    """

    name: str
    takes_over: bool


@dataclass(frozen=True, slots=True)
class ContextValue:
    """What an object further up has for the fields below it: one leaf of the nearest object that sets the context.

    `type` is the text of the type that the value is declared with where it is used.
    https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/use-contexts
    """

    context: str
    selections: FieldSet
    type: str


@dataclass(frozen=True, slots=True)
class ContextArgument:
    """An argument that clients do not know: the router gives it a value from around the field's object."""

    name: str
    value: ContextValue


@dataclass(frozen=True, slots=True)
class FieldInSubgraph:
    """A field as one subgraph has it.

    `type` is the text of its type there, `named_type` that type without lists and non-null marks. `resolvable` is
    false where the subgraph only mentions the field (external), or does not have it to give (overridden): another
    subgraph has taken it over, or the `label` under which it takes the field over is not on.
    """

    name: str
    type: str
    named_type: str
    resolvable: bool = True
    external: bool = False
    overridden: bool = False
    requires: FieldSet = ()
    provides: FieldSet = ()
    contexts: tuple[ContextArgument, ...] = ()
    label: OverrideLabel | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the field is given for the asking: without other fields' values and without a context's."""
        return not (self.requires or self.contexts)

    def with_labels(self, on: Collection[str]) -> FieldInSubgraph:
        """The field while these labels, and no others, are on."""
        if self.label is None:
            return self
        lost = (self.label.name in on) != self.label.takes_over
        return replace(self, overridden=lost, resolvable=not (lost or self.external))


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

    def with_labels(self, on: Collection[str]) -> TypeInSubgraph:
        """The type while these labels, and no others, are on."""
        if all(field.label is None for field in self.fields.values()):
            return self
        return replace(self, fields={name: field.with_labels(on) for name, field in self.fields.items()})

    @property
    def is_abstract(self) -> bool:
        """Whether this subgraph can tell several object types behind it apart."""
        return self.kind in {"interface", "union"} and not self.is_interface_object


@dataclass(frozen=True, slots=True)
class ListSize:
    """How long a list gets, as `@listSize` tells. https://specs.apollo.dev/cost/v0.1/

    `slicing_arguments` are the field's arguments that give the length. Without `sized_fields` the field itself is the
    list, with them these fields of its type are. `assumed_size` counts where no slicing argument is given. With
    `require_one_slicing_argument` a caller has to give exactly one of them.
    """

    assumed_size: int | None = None
    slicing_arguments: tuple[str, ...] = ()
    sized_fields: tuple[str, ...] = ()
    require_one_slicing_argument: bool = True


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may see which type, by its name, and which field, by its type and name; what everybody may see is not here.

    What a field needs has in it what its type needs.
    """

    types: Mapping[str, Access] = field(default_factory=dict[str, Access])
    fields: Mapping[tuple[str, str], Access] = field(default_factory=dict[tuple[str, str], Access])

    def __bool__(self) -> bool:
        return bool(self.types or self.fields)


@dataclass(frozen=True)
class Supergraph:
    """All subgraphs as one graph.

    `schema` is the complete schema, `api_schema` what clients see of it. `types` gives, per type and subgraph, what
    that subgraph knows of the type; `field_types` the named type of each field, by type and field; `contexts`, per
    context, the object types that set it. `labels_on` are the labels of `@override` that count as on; when read, none
    is. `costs` are the weights of `@cost`, by schema coordinate (`Book`, `Book.pages`, `Book.pages(first:)`),
    `list_sizes` what `@listSize` tells, by type and field; `access` says who may see what.
    """

    sdl: str
    subgraphs: Mapping[str, SubgraphInfo]
    schema: GraphQLSchema
    api_schema: GraphQLSchema
    types: Mapping[str, Mapping[str, TypeInSubgraph]]
    kinds: Mapping[str, TypeKind]
    field_types: Mapping[tuple[str, str], str]
    contexts: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    labels_on: frozenset[str] = frozenset()
    costs: Mapping[str, int] = field(default_factory=dict[str, int])
    list_sizes: Mapping[tuple[str, str], ListSize] = field(default_factory=dict[tuple[str, str], ListSize])
    access: AccessRules = field(default_factory=AccessRules)

    def with_defer(self) -> Supergraph:
        """The supergraph whose clients may defer fragments and stream lists. Where it has a directive of one of these
        names, that is left as it is."""
        own = {directive.name for directive in self.api_schema.directives}
        added = [directive for directive in _DEFERRING if directive.name not in own]
        if not added:
            return self
        known = self.api_schema.to_kwargs()
        known["directives"] = (*self.api_schema.directives, *added)
        return replace(self, api_schema=GraphQLSchema(**known))

    @cached_property
    def deferring_directives(self) -> frozenset[str]:
        """The directives by which clients may have something later; one of the subgraphs that has such a name means
        something else."""
        return frozenset(one.name for one in self.api_schema.directives if any(one is known for known in _DEFERRING))

    def with_labels(self, on: frozenset[str]) -> Supergraph:
        """The supergraph while these labels, and no others, are on."""
        if on == self.labels_on:
            return self
        types = {
            name: {graph: known.with_labels(on) for graph, known in by_graph.items()}
            for name, by_graph in self.types.items()
        }
        return replace(self, types=types, labels_on=on)

    @cached_property
    def labels(self) -> Mapping[str, frozenset[str]]:
        """The labels of `@override` that there are, each with the names of the fields that it switches."""
        found: dict[str, set[str]] = {}
        for by_graph in self.types.values():
            for known in by_graph.values():
                for name, here in known.fields.items():
                    if here.label is not None:
                        found.setdefault(here.label.name, set()).add(name)
        return {label: frozenset(names) for label, names in sorted(found.items())}

    @cached_property
    def executable_directives(self) -> Mapping[str, frozenset[str]]:
        """The directives that operations may carry beside GraphQL's own, each with its executable locations.

        Every subgraph of a supergraph that was composed here understands them.
        """
        own = {directive.name for directive in specified_directives}
        own |= self.deferring_directives
        found = {
            directive.name: frozenset(location.name for location in directive.locations) & EXECUTABLE_LOCATIONS
            for directive in self.api_schema.directives
            if directive.name not in own
        }
        return {name: locations for name, locations in found.items() if locations}

    @cached_property
    def field_names(self) -> frozenset[str]:
        """The names of all fields of all types."""
        return frozenset(name for _, name in self.field_types)

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
