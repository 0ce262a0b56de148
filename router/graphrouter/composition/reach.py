"""From where an object's fields can be fetched: the closure of a place under entity moves.

A `Place` is a subgraph at which one object can be asked for fields: because the subgraph returned it, or because the
router entered it through `_entities` with a key. From a place the router moves to every other subgraph where a
resolvable `@key` of the object's type can be filled with fields that it can get already, perhaps by way of still other
places; a field with `@requires` counts when what it requires can be got the same way and its subgraph can be entered
again. All that is monotone: knowing more never makes less reachable. So each closure is the least set that is closed
under these moves, and a requirement that needs itself stays unmet, as it must.

Selections of keys and requirements may be nested, so that the closure of one place reads those of others, even in
circles (two types may each have the other's key in their own). Therefore all closures grow together: a worklist holds
the closures whose inputs grew, each re-reads what it depends on, and the work ends when nothing grows. A closure is
computed once for a supergraph, whatever the number of paths that lead to its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from graphrouter.composition.field_set import SelectedField, Selections
from graphrouter.composition.merged import Merged, MergedComposite, MergedUnion
from graphrouter.composition.model import (
    CompositeType,
    Field,
    InterfaceType,
    Key,
    ObjectType,
    Subgraph,
    UnionType,
    named_type,
    setters,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A subgraph that can be asked about an object, which it knows as `type`.

    `type` is the object's own type, or the interface object that stands for it. `provided` is what a `@provides` on
    the way here promised beyond what the subgraph always resolves.
    """

    subgraph: str
    type: str
    provided: Selections = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """What a subgraph returns for a field: a declared type, and the promises for it."""

    subgraph: str
    type: str
    provided: Selections = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A way into a subgraph: the representation is sent as `name` with the key's fields, and leads to `place`."""

    name: str
    key: Key
    place: Place


@dataclass(slots=True)
class Closure:
    """All places from which fields of an object can be got, and the fields there whose requirements are met."""

    places: dict[Place, None]
    met: set[tuple[Place, str]] = field(default_factory=set[tuple[Place, str]])

    def size(self) -> int:
        """Grows whenever the closure does."""
        return len(self.places) + len(self.met)


@dataclass(frozen=True, slots=True)
class Setter:
    """An object that sets a context: its type and its places."""

    runtime: str
    tails: tuple[Place, ...]


Around: TypeAlias = Mapping[tuple[str, str], Setter]
"""For each context, by its subgraph and name, the nearest object around that sets it."""


class Reach:
    """Answers, for one supergraph and one choice of override labels, what can be got from where."""

    def __init__(self, merged: Merged, labels_on: frozenset[str]) -> None:
        self._merged = merged
        self._labels_on = labels_on
        self._subgraphs = {subgraph.name: subgraph for subgraph in merged.subgraphs}
        self._setters = {
            (subgraph.name, name): setters(subgraph.types, name)
            for subgraph in merged.subgraphs
            for definition in subgraph.types.values()
            for name in (definition.contexts if isinstance(definition, CompositeType | UnionType) else ())
        }
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._closures: dict[tuple[Place, str], Closure] = {}
        self._readers: dict[tuple[Place, str], set[tuple[Place, str]]] = {}
        self._grown: deque[tuple[Place, str]] = deque()

    def closure(self, tails: Iterable[Place], runtime: str) -> Closure:
        """The places reachable from any of `tails` for an object of the type `runtime`, in a stable order."""
        found = Closure({})
        for tail in tails:
            self._register((tail, runtime))
        self._grow_all()
        for tail in tails:
            part = self._closures[tail, runtime]
            found.places |= part.places
            found.met |= part.met
        return found

    def entries(self, runtime: str) -> tuple[Entry, ...]:
        """Every resolvable key by which an object of this type can be entered somewhere."""
        if runtime not in self._entries:
            self._entries[runtime] = tuple(self._find_entries(runtime))
        return self._entries[runtime]

    def runtime_types(self, type_name: str) -> tuple[str, ...]:
        """The object types behind a type of the supergraph; an interface that nothing implements stands for itself."""
        possible = self._merged.supergraph.possible_types.get(type_name)
        return tuple(sorted(possible)) if possible else (type_name,)

    def roots(self, root: str) -> tuple[Place, ...]:
        """The places of a root type: all subgraphs that have it."""
        known = (s for s in self._merged.subgraphs if root in s.types or root == "Query")
        return tuple(Place(subgraph.name, root) for subgraph in known)

    def definition(self, place: Place, name: str) -> Field | None:
        """The field as the place's subgraph defines it."""
        parent = self._subgraphs[place.subgraph].composite(place.type)
        return parent.fields.get(name) if parent is not None else None

    def taken_over_by(self, place: Place, name: str) -> str | None:
        """The subgraph that resolves the place's field instead, where an override says so."""
        overrides = self._merged.overrides
        takeover = overrides.of((place.type, name), place.subgraph)
        if takeover is not None and (takeover.label is None or takeover.label in self._labels_on):
            return takeover.by
        own = overrides.by((place.type, name), place.subgraph)
        if own is not None and own.label is not None and own.label not in self._labels_on:
            return own.source
        return None

    def resolves(self, place: Place, name: str) -> bool:
        """Whether the place's subgraph resolves the field, its requirements aside; not by what is around the object."""
        definition = self.definition(place, name)
        if definition is None or definition.contextual or self.taken_over_by(place, name) is not None:
            return False
        return not definition.external or self._promised(place, name) is not None

    def resolvers(self, closure: Closure, name: str) -> list[Place]:
        """The places of the closure that resolve the field, requirements included."""
        return [
            place
            for place in closure.places
            if self.resolves(place, name) and (not self._has_requirement(place, name) or (place, name) in closure.met)
        ]

    def resolvers_within(self, around: Around, closure: Closure, runtime: str, name: str) -> list[Place]:
        """The places that resolve the field with what the objects around this one have for it (`@fromContext`)."""
        return [place for place in closure.places if self._resolves_within(around, closure, runtime, place, name)]

    def _resolves_within(self, around: Around, closure: Closure, runtime: str, place: Place, name: str) -> bool:
        definition = self.definition(place, name)
        if definition is None or not definition.contextual or definition.external:
            return False
        if self.taken_over_by(place, name) is not None or not self._can_enter_again(place, closure, runtime, None):
            return False
        if definition.requires is not None and (place, name) not in closure.met:
            return False
        for argument in definition.contextual:
            setter = around.get((place.subgraph, argument.context or ""))
            if setter is None or argument.selection is None:
                return False
            if self.missing(argument.selection.selections, setter.tails, setter.runtime) is not None:
                return False
        return True

    def within(self, around: Around, runtime: str, tails: tuple[Place, ...]) -> Around:
        """What is around the objects in one of this type: what is around itself, and the contexts that it sets."""
        found = {key: Setter(runtime, tails) for key, setters in self._setters.items() if runtime in setters}
        return {**around, **found} if found else around

    def returned(self, place: Place, name: str) -> tuple[Returned, ...]:
        """What the place's field returns; the root of queries can be asked of every subgraph again."""
        definition = self.definition(place, name)
        if definition is None:
            return ()
        type_name = named_type(definition.type)
        if type_name == "Query":
            return tuple(Returned(root.subgraph, root.type) for root in self.roots("Query"))
        promised = self._promised(place, name) or ()
        provides = definition.provides.selections if definition.provides is not None else ()
        return (Returned(place.subgraph, type_name, (*promised, *(p for p in provides if p not in promised))),)

    def as_type(self, returned: Returned, runtime: str) -> Place | None:
        """The place where an object of the type `runtime` is, if it can be what was returned."""
        subgraph = self._subgraphs[returned.subgraph]
        possible = subgraph.possible_types.get(returned.type, frozenset({returned.type}))
        if runtime in possible:
            return Place(returned.subgraph, runtime, returned.provided)
        for name in sorted(possible):
            definition = subgraph.types.get(name)
            stands = isinstance(definition, ObjectType) and definition.interface_object
            if stands and runtime in self._merged.supergraph.possible_types.get(name, frozenset()):
                return Place(returned.subgraph, name, returned.provided)
        return None

    def children(self, resolvers: Iterable[Place], name: str, type_name: str) -> list[tuple[str, tuple[Place, ...]]]:
        """The objects that a field of the supergraph's type `type_name` leads to: each runtime type and its places.

        Subgraphs that share a field return the same value: of a union, only the members that all of them can return
        come, unless they have none in common. For an interface every implementation counts that one of them knows.
        """
        returned = [item for place in resolvers for item in self.returned(place, name)]
        found: list[tuple[str, tuple[Place, ...]]] = []
        common: list[tuple[str, tuple[Place, ...]]] = []
        for runtime in self.runtime_types(type_name):
            places = [place for item in returned if (place := self.as_type(item, runtime)) is not None]
            if places:
                found.append((runtime, tuple(dict.fromkeys(places))))
            if places and len(places) == len(returned):
                common.append(found[-1])
        is_union = isinstance(self._merged.supergraph.types.get(type_name), MergedUnion)
        return common if is_union and common else found

    def missing(self, selections: Selections, tails: Iterable[Place], runtime: str) -> str | None:
        """The first field of the selections, as a dotted path, that cannot be got; None where all can."""
        return self._missing(selections, self.closure(tails, runtime), runtime, None)

    def names_known(self, closure: Closure, runtime: str) -> frozenset[str]:
        """The names by which the router can send the object: its own once a subgraph has told it, and those above."""
        known = {place.type for place in closure.places}
        if runtime in known:
            merged = self._merged.supergraph
            known.update(name for name, possible in merged.possible_types.items() if runtime in possible)
        return frozenset(known)

    def _find_entries(self, runtime: str) -> Iterator[Entry]:
        above = {name for name, possible in self._merged.supergraph.possible_types.items() if runtime in possible}
        for subgraph in self._merged.subgraphs:
            for name in sorted({runtime} | above):
                place = self._entered(subgraph, name, runtime)
                definition = subgraph.composite(name)
                if place is not None and definition is not None:
                    yield from (Entry(name, key, place) for key in definition.keys if key.resolvable)

    def _entered(self, subgraph: Subgraph, name: str, runtime: str) -> Place | None:
        match subgraph.types.get(name):
            case ObjectType():
                return Place(subgraph.name, name)
            case InterfaceType() if runtime in subgraph.possible_types[name]:
                return Place(subgraph.name, runtime)
            case _:
                return None

    def _promised(self, place: Place, name: str) -> Selections | None:
        """The selections that `@provides` promised below the field; None where it did not promise the field."""
        found: list[Selections] = [
            selected.selections for selected in self._fields_for(place, place.provided) if selected.name == name
        ]
        return tuple(selection for part in found for selection in part) if found else None

    def _fields_for(self, place: Place, selections: Selections) -> Iterator[SelectedField]:
        subgraph = self._subgraphs[place.subgraph]
        for selection in selections:
            if isinstance(selection, SelectedField):
                yield selection
            elif selection.type_condition in {None, place.type} or place.type in subgraph.possible_types.get(
                selection.type_condition or "", frozenset()
            ):
                yield from self._fields_for(place, selection.selections)

    def _register(self, key: tuple[Place, str]) -> None:
        if key not in self._closures:
            self._closures[key] = Closure({key[0]: None})
            self._readers[key] = set()
            self._grown.append(key)

    def _grow_all(self) -> None:
        while self._grown:
            key = self._grown.popleft()
            closure = self._closures[key]
            size = closure.size()
            self._grow(closure, key)
            if closure.size() > size:
                self._grown.append(key)
                self._grown.extend(self._readers[key])

    def _grow(self, closure: Closure, key: tuple[Place, str]) -> None:
        """One round: every entry and every requirement that can be met with what the closure has."""
        runtime = key[1]
        known = self.names_known(closure, runtime)
        for entry in self.entries(runtime):
            if entry.place in closure.places or entry.name not in known:
                continue
            if self._missing(entry.key.fields.selections, closure, runtime, key) is None:
                closure.places[entry.place] = None
        for place in list(closure.places):
            for name, requires in self._requirements(place):
                if (place, name) in closure.met or self.taken_over_by(place, name) is not None:
                    continue
                entered = self._can_enter_again(place, closure, runtime, key)
                if entered and self._missing(requires, closure, runtime, key) is None:
                    closure.met.add((place, name))

    def _has_requirement(self, place: Place, name: str) -> bool:
        definition = self.definition(place, name)
        return definition is not None and definition.requires is not None

    def _requirements(self, place: Place) -> Iterator[tuple[str, Selections]]:
        parent = self._subgraphs[place.subgraph].composite(place.type)
        for definition in parent.fields.values() if parent is not None else ():
            if definition.requires is not None:
                yield definition.name, definition.requires.selections

    def _can_enter_again(self, place: Place, closure: Closure, runtime: str, key: tuple[Place, str] | None) -> bool:
        known = self.names_known(closure, runtime)
        return any(
            self._missing(entry.key.fields.selections, closure, runtime, key) is None
            for entry in self.entries(runtime)
            if (entry.place.subgraph, entry.place.type) == (place.subgraph, place.type) and entry.name in known
        )

    def _missing(
        self, selections: Selections, closure: Closure, runtime: str, reader: tuple[Place, str] | None
    ) -> str | None:
        """The first field that cannot be got; closures that were read call `reader` back when they grow."""
        for selection in selections:
            if not isinstance(selection, SelectedField):
                condition = selection.type_condition
                possible = self._merged.supergraph.possible_types.get(condition or "", frozenset())
                applies = condition is None or condition == runtime or runtime in possible
                missing = self._missing(selection.selections, closure, runtime, reader) if applies else None
            elif selection.name == "__typename":
                missing = None
            else:
                missing = self._missing_field(selection, closure, runtime, reader)
            if missing is not None:
                return missing
        return None

    def _missing_field(
        self, selected: SelectedField, closure: Closure, runtime: str, reader: tuple[Place, str] | None
    ) -> str | None:
        resolvers = self.resolvers(closure, selected.name)
        if not resolvers:
            return selected.name
        if not selected.selections:
            return None
        parent = self._merged.supergraph.types[runtime]
        if not isinstance(parent, MergedComposite) or selected.name not in parent.fields:
            return selected.name
        type_name = named_type(parent.fields[selected.name].type)
        for child, tails in self.children(resolvers, selected.name, type_name):
            missing = self._missing(selected.selections, self._read(tails, child, reader), child, reader)
            if missing is not None:
                return f"{selected.name}.{missing}"
        return None

    def _read(self, tails: Iterable[Place], runtime: str, reader: tuple[Place, str] | None) -> Closure:
        """The closures of the tails as far as they have grown."""
        if reader is None:
            return self.closure(tails, runtime)
        found = Closure({})
        for tail in tails:
            self._register((tail, runtime))
            self._readers[tail, runtime].add(reader)
            part = self._closures[tail, runtime]
            found.places |= part.places
            found.met |= part.met
        return found
