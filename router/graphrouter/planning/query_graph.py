"""The query graph: from each (type, subgraph) which fields can be had there, and to which subgraphs an entity can move.

Nodes are pairs of a type and a subgraph. There are three kinds of edges:

- a *field* leads from (type, subgraph) to its own type in the same subgraph, where that subgraph resolves it;
- an *entity move* leads from a type, wherever its objects were found, to (type, subgraph) where one of its keys can be
  looked up. The key's fields must be had before. For an object type, the interfaces that it implements count too,
  where a subgraph has them as interface objects. For an interface, a key that all its object types share counts as its
  own: its objects can be looked up together;
- a *re-entry* leads from the root type of queries to the same type in any subgraph, and needs nothing. For mutations
  there is none: which subgraph acts is settled where the operation begins, and nothing is done twice.

Nothing here depends on an operation: it is made once per supergraph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from graphrouter.supergraph import ContextValue, FieldInSubgraph, Key, Supergraph, TypeInSubgraph

TYPENAME = "__typename"


@dataclass(frozen=True, slots=True)
class EntityEdge:
    """A move to `type_name` in `subgraph`, by a key; without a key it is a re-entry into the root of queries.

    `typename` is what the subgraph is told, where that is not the object's own type. `sources` are the object types
    for which the move holds.
    """

    type_name: str
    subgraph: str
    key: Key | None
    typename: str | None
    sources: frozenset[str]

    def __str__(self) -> str:
        return f"{self.type_name}/{self.subgraph} by {self.key.text if self.key else 'nothing'}"


class QueryGraph:
    """What the walk asks of a supergraph, looked up in constant time."""

    def __init__(self, supergraph: Supergraph) -> None:
        self.supergraph = supergraph
        self._edges: dict[str, tuple[EntityEdge, ...]] = {}
        self._resolvers: dict[tuple[str, str], frozenset[str]] = {}
        self._uniform: dict[tuple[str, str, str], bool] = {}

    def known(self, type_name: str, subgraph: str) -> TypeInSubgraph:
        """The type as the subgraph has it; KeyError if it has none."""
        return self.supergraph.types[type_name][subgraph]

    def field_type(self, type_name: str, field: str) -> str:
        """The named type of a field in the supergraph.

        An interface need not have the fields of the key that all its object types share: then theirs counts.
        """
        known = self.supergraph.field_types
        if (type_name, field) in known:
            return known[type_name, field]
        possible = sorted(self.supergraph.possible_types[type_name])
        return next(known[name, field] for name in possible if (name, field) in known)

    def is_composite(self, type_name: str) -> bool:
        """Whether objects are behind this type."""
        return self.supergraph.kinds.get(type_name) in {"object", "interface", "union"}

    def field(self, type_name: str, subgraph: str, field: str) -> FieldInSubgraph | None:
        """The field, if the subgraph resolves it on every object of that type without asking for more."""
        known = self.known(type_name, subgraph)
        found = known.fields.get(field)
        if found is None or not found.resolvable or not found.is_plain:
            return None
        if known.is_abstract and not self._is_uniform(known, subgraph, field):
            return None
        return found

    def _is_uniform(self, known: TypeInSubgraph, subgraph: str, field: str) -> bool:
        """Whether all object types behind an interface have the field there, for the asking."""
        key = (known.name, subgraph, field)
        if key not in self._uniform:
            self._uniform[key] = all(
                self.field(possible, subgraph, field) is not None for possible in known.possible_types
            )
        return self._uniform[key]

    def resolvers(self, type_name: str, field: str) -> frozenset[str]:
        """The subgraphs that have this field of this type to give, in whatever way it is reached."""
        key = (type_name, field)
        if key not in self._resolvers:
            self._resolvers[key] = frozenset(self._find_resolvers(type_name, field))
        return self._resolvers[key]

    def _find_resolvers(self, type_name: str, field: str) -> Iterator[str]:
        for subgraph, known in self.supergraph.types.get(type_name, {}).items():
            if (found := known.fields.get(field)) and found.resolvable:
                yield subgraph
        for interface in self.interfaces[type_name]:
            for subgraph, known in self.supergraph.types[interface].items():
                if known.is_interface_object and (found := known.fields.get(field)) and found.resolvable:
                    yield subgraph

    @cached_property
    def interfaces(self) -> Mapping[str, tuple[str, ...]]:
        """The interfaces of each composite type, in the supergraph."""
        return {
            name: tuple(
                interface.name for interface in getattr(self.supergraph.schema.type_map[name], "interfaces", ())
            )
            for name in self.supergraph.possible_types
        }

    @cached_property
    def context_values(self) -> Mapping[ContextValue, int]:
        """All values that fields take from contexts, numbered."""
        values = (
            argument.value
            for by_subgraph in self.supergraph.types.values()
            for known in by_subgraph.values()
            for field in known.fields.values()
            for argument in field.contexts
        )
        return {value: number for number, value in enumerate(dict.fromkeys(values))}

    def edges(self, type_name: str) -> tuple[EntityEdge, ...]:
        """The moves for objects of a type, whichever subgraph they were found in."""
        if type_name not in self._edges:
            self._edges[type_name] = tuple(self._find_edges(type_name))
        return self._edges[type_name]

    def _find_edges(self, type_name: str) -> Iterator[EntityEdge]:
        possible = self.supergraph.possible_types[type_name]
        abstract = self.supergraph.is_abstract(type_name)
        for subgraph, known in self.supergraph.types[type_name].items():
            if type_name == self.supergraph.roots.get("query"):
                yield EntityEdge(type_name, subgraph, None, None, possible)
            for key in known.keys:
                if key.resolvable and (known.possible_types or not known.is_abstract):
                    constant = type_name if known.is_interface_object or not abstract else None
                    yield EntityEdge(type_name, subgraph, key, constant, possible)
            if known.is_abstract and known.kind == "interface":
                yield from self._shared_keys(known, subgraph, possible)
        for interface in self.interfaces[type_name]:
            for subgraph, known in self.supergraph.types[interface].items():
                if known.is_interface_object:
                    for key in known.keys:
                        if key.resolvable:
                            yield EntityEdge(interface, subgraph, key, interface, possible)

    def _shared_keys(self, interface: TypeInSubgraph, subgraph: str, possible: frozenset[str]) -> Iterator[EntityEdge]:
        """Keys by which every object type behind an interface can be looked up, though the interface has no key."""
        own = {key.text for key in interface.keys if key.resolvable}
        by_text: dict[str, tuple[Key, set[str]]] = {}
        for name in interface.possible_types:
            for key in self.known(name, subgraph).keys:
                if key.resolvable and key.text not in own:
                    by_text.setdefault(key.text, (key, set()))[1].add(name)
        for key, names in by_text.values():
            if len(names) > 1 and names & possible:
                yield EntityEdge(interface.name, subgraph, key, None, frozenset(names))

    def __str__(self) -> str:
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for kind, name in self.supergraph.roots.items():
            for subgraph in self.supergraph.types.get(name, {}):
                yield f"root({kind}) -> {name}/{subgraph}\n"
        for name, by_subgraph in sorted(self.supergraph.types.items()):
            for subgraph, known in by_subgraph.items():
                for field in known.fields.values():
                    if field.resolvable and self.supergraph.kinds[name] in {"object", "interface"}:
                        target = field.named_type
                        end = f"{target}/{subgraph}" if self.is_composite(target) else target
                        yield f"{name}/{subgraph} -{field.name}-> {end}\n"
            for edge in self.edges(name) if self.is_composite(name) else ():
                yield f"{name} => {edge}\n"
