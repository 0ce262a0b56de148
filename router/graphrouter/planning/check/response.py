"""The abstract response: what is known of each place of it, without any data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from graphrouter.planning.plan import Condition, Fetch, QueryPlan
from graphrouter.supergraph import Supergraph


@dataclass(slots=True, eq=False)
class Known:
    """A field that has been fetched: which one, by which fetch, and what is below it."""

    name: str
    arguments: str
    fetch: int
    place: Place | None


@dataclass(slots=True, eq=False)
class Place:
    """The objects at one place of the response: their possible object types, and per type what is known of them."""

    types: frozenset[str]
    fields: dict[tuple[str, str], list[Known]] = field(default_factory=dict[tuple[str, str], list[Known]])

    def known(self, type_name: str, key: str) -> list[Known]:
        """What is known of objects of one type under a response key."""
        return self.fields.get((type_name, key), [])

    def add(self, type_name: str, key: str, known: Known) -> None:
        """Note a field of the objects of one type."""
        self.fields.setdefault((type_name, key), []).append(known)


def together(places: list[Place]) -> Place:
    """One place for what several fetches know of the same objects."""
    if len(places) == 1:
        return Place(places[0].types, places[0].fields)
    types = places[0].types.intersection(*(place.types for place in places[1:]))
    merged = Place(types or places[0].types)
    for place in places:
        for key, known in place.fields.items():
            merged.fields.setdefault(key, []).extend(known)
    return merged


def ancestors(plan: QueryPlan, fetch: Fetch) -> set[int]:
    """The numbers of all fetches that come before this one for certain."""
    by_id = {one.id: one for one in plan.fetches}
    found: set[int] = set()
    waiting = list(fetch.depends_on)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += by_id[number].depends_on
    return found


@dataclass(slots=True)
class Context:
    """What all parts of the check share: one choice of the conditions' variables, and what has been found wrong."""

    plan: QueryPlan
    supergraph: Supergraph
    variables: dict[str, bool]
    problems: list[str] = field(default_factory=list[str])

    def problem(self, fetch: Fetch, text: str) -> None:
        """Note what is wrong with a fetch."""
        self.problems.append(f"fetch {fetch.id} to {fetch.subgraph}: {text}")

    def holds(self, conditions: Iterable[Condition | bool]) -> bool:
        """Whether all conditions hold for this choice."""
        return all(
            c if isinstance(c, bool) else self.variables.get(c.variable, c.wanted) is c.wanted for c in conditions
        )

    def possible(self, type_name: str) -> frozenset[str]:
        """The object types behind a type; an interface that nothing implements counts as one itself.

        Its objects come from subgraphs that have it as an interface object.
        """
        return self.supergraph.possible_types.get(type_name) or frozenset((type_name,))

    def seen(self, fetch: Fetch, place: Place, type_name: str, key: str) -> list[Known]:
        """What is known under a response key from fetches that this one waits for."""
        before = ancestors(self.plan, fetch)
        return [known for known in place.known(type_name, key) if known.fetch in before]
