"""The fetch graph: which fetches the chosen paths come to, what each selects, and which others it waits for.

Every entry, entity move and re-entry on a chosen path begins a fetch; the field moves after it become its selections.
A fetch waits for the one whose objects it starts from, and for those that fetch what its representations need.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from graphrouter.planning.plan import (
    AT_ONCE,
    NO_DIRECTIVES,
    Condition,
    ContextInput,
    Deferral,
    Deferrals,
    Directives,
    Key,
    OperationKind,
    Path,
    Representation,
    Stream,
    Streams,
    TypeIs,
    outermost,
)
from graphrouter.planning.query_graph import TYPENAME, QueryGraph
from graphrouter.planning.selection import deferrals_text
from graphrouter.planning.steps import Defer, Enter, EntityMove, FieldMove, Narrow, ReEnter, Step, Under

TYPENAME_MOVE = FieldMove(TYPENAME, TYPENAME, "", "", frozenset(), True, "String!")


@dataclass(slots=True)
class SelectedField:
    """A field that a fetch selects, with its selections; `below` is None for a leaf."""

    move: FieldMove
    below: Selected | None


@dataclass(frozen=True, slots=True)
class FragmentHead:
    """What stands before the selections of a fragment."""

    on: str | None
    conditions: tuple[Condition, ...] = ()
    directives: Directives = NO_DIRECTIVES


@dataclass(slots=True)
class Selected:
    """What a fetch selects on one kind of object; fields go by `FieldMove.key`.

    `type_name` is the type in the fetch's subgraph.
    """

    type_name: str
    fields: dict[str, SelectedField] = field(default_factory=dict[str, SelectedField])
    fragments: dict[FragmentHead, Selected] = field(default_factory=dict[FragmentHead, "Selected"])

    def fragment(
        self, type_name: str | None, conditions: tuple[Condition, ...] = (), directives: Directives = NO_DIRECTIVES
    ) -> Selected:
        """The selections of a fragment; the ones here, where it narrows nothing and says nothing."""
        on = None if type_name == self.type_name else type_name
        if on is None and not conditions and not directives:
            return self
        return self.fragments.setdefault(FragmentHead(on, conditions, directives), Selected(on or self.type_name))

    def merge(self, other: Selected) -> None:
        """Take over all that the other selects."""
        for key, theirs in other.fields.items():
            mine = self.fields.setdefault(key, theirs)
            if mine is not theirs and mine.below and theirs.below:
                mine.below.merge(theirs.below)
        for head, theirs_below in other.fragments.items():
            self.fragment(head.on, head.conditions, head.directives).merge(theirs_below)


@dataclass(slots=True, eq=False)
class Fetch:
    """One fetch of the graph. `order` is that of the mutation's root field that it belongs to.

    `representation` is None for the fields of a root type. `has_requirements` tells an entity move that brings along
    required fields from one by the key alone. `depth` is the number of fetches that have to come before, `deferrals`
    are the deferred fragments that it is made for.
    """

    id: int
    subgraph: str
    order: int
    path: Path
    conditions: tuple[Condition, ...]
    selected: Selected
    representation: Representation | None = None
    has_requirements: bool = False
    depends_on: set[Fetch] = field(default_factory=set["Fetch"])
    depth: int = 0
    deferrals: Deferrals = AT_ONCE

    @property
    def entity(self) -> Representation:
        """The representation of an entity fetch; ValueError for the fields of a root type."""
        if self.representation is None:
            raise ValueError(f"Fetch {self.id} is of a root type.")
        return self.representation

    def ancestors(self) -> set[Fetch]:
        """All fetches that have to come before this one."""
        found: set[Fetch] = set()
        waiting = list(self.depends_on)
        while waiting:
            fetch = waiting.pop()
            if fetch not in found:
                found.add(fetch)
                waiting.extend(fetch.depends_on)
        return found


@dataclass(slots=True)
class FetchGraph:
    """The fetches of an operation, and its lists whose rest comes later."""

    kind: OperationKind
    fetches: list[Fetch]
    streams: Streams = field(default_factory=dict[tuple[str, ...], Stream])

    def dependents(self, fetch: Fetch) -> list[Fetch]:
        """The fetches that wait for this one directly."""
        return [other for other in self.fetches if fetch in other.depends_on]

    def replace(self, fetch: Fetch, by: Fetch) -> None:
        """Remove a fetch whose work another one does."""
        self.fetches.remove(fetch)
        for other in self.fetches:
            if fetch in other.depends_on:
                other.depends_on.discard(fetch)
                if other is not by:
                    other.depends_on.add(by)

    def __str__(self) -> str:
        return "".join(_lines(self.fetches))


def build_fetch_graph(graph: QueryGraph, kind: OperationKind, leaves: Iterable[Step]) -> FetchGraph:
    """The fetches that the chosen paths come to."""
    builder = _Builder(graph)
    for leaf in leaves:
        place = builder.place(leaf)
        builder.needed.append((place.fetch, place.deferrals))
    if builder.defers:
        builder.mark()
    return FetchGraph(kind, builder.fetches)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a step has come to: its fetch, the selections there, the path and conditions from the operation's root.

    `directives` are those of the fragments that these objects' fields stand in. `deferrals` are the fragments that what
    is fetched from here on is deferred by, `known` is the fetch after which the objects are known, where it is another.
    """

    fetch: Fetch
    selected: Selected
    path: Path
    conditions: tuple[Condition, ...]
    directives: tuple[Directives, ...] = ()
    deferrals: Deferrals = AT_ONCE
    known: Fetch | None = None


class _Builder:
    def __init__(self, graph: QueryGraph) -> None:
        self._graph = graph
        self._places: dict[Step, _Place] = {}
        self._roots: dict[tuple[int, str, Deferrals], _Place] = {}
        self.fetches: list[Fetch] = []
        self.needed: list[tuple[Fetch, Deferrals]] = []
        """Which fetch brings something, or the objects that a deferred fragment stands on, and what that comes with."""
        self.defers = False

    def mark(self) -> None:
        """Mark each fetch with the outermost fragments that it is made for: what only a deferred field requires, or
        its key, is not waited for before."""
        needs: dict[Fetch, set[Deferrals]] = {}
        for fetch, deferrals in self.needed:
            for one in (fetch, *fetch.ancestors()):
                needs.setdefault(one, set()).add(deferrals)
        for fetch, found in needs.items():
            fetch.deferrals = AT_ONCE if AT_ONCE in found else outermost(frozenset[Deferral]().union(*found))

    def place(self, step: Step) -> _Place:
        """The step's place; everything that the step needs is placed before."""
        found = self._places.get(step)
        if found is None:
            found = self._places[step] = self._make(step)
        return found

    def _make(self, step: Step) -> _Place:
        move = step.move
        if step.parent is None or isinstance(move, Enter):
            return self._root(step, move.order if isinstance(move, Enter) else 0)
        before = self.place(step.parent)
        match move:
            case FieldMove():
                return self._field(step, move, before)
            case Narrow():
                types = self._graph.supergraph.possible_types[move.type_condition]
                path = before.path
                if self._graph.supergraph.is_abstract(step.parent.static):
                    path = (*path, TypeIs(types))
                return replace(before, selected=before.selected.fragment(move.type_condition), path=path)
            case Under():
                conditions = tuple(dict.fromkeys((*before.conditions, *move.conditions)))
                inner = before.selected.fragment(None, move.conditions, move.directives)
                directives = (*before.directives, move.directives) if move.directives else before.directives
                return replace(before, selected=inner, conditions=conditions, directives=directives)
            case Defer():
                return self._deferred(step, move, before)
            case EntityMove() | ReEnter():
                return self._next_fetch(step, before)

    def _root(self, step: Step, order: int, deferrals: Deferrals = AT_ONCE) -> _Place:
        key = (order, step.subgraph, deferrals)
        if key not in self._roots:
            fetch = self._add(step, order, (), (), deferrals)
            self._roots[key] = _Place(fetch, fetch.selected, (), (), deferrals=deferrals)
        return self._roots[key]

    def _add(
        self, step: Step, order: int, path: Path, conditions: tuple[Condition, ...], deferrals: Deferrals
    ) -> Fetch:
        fetch = Fetch(
            len(self.fetches), step.subgraph, order, path, conditions, Selected(step.type_name), deferrals=deferrals
        )
        self.fetches.append(fetch)
        return fetch

    def _deferred(self, step: Step, move: Defer, before: _Place) -> _Place:
        """The same objects in a fetch of their own, where they have a key or are the root; else in the same fetch."""
        self.defers = True
        fetch = before.fetch
        if not before.path and fetch.representation is None:
            root = self._root(step, fetch.order, move.deferrals)
            selected = root.selected.fragment(None, before.conditions)
            for directives in before.directives:
                selected = selected.fragment(None, (), directives)
            return replace(root, selected=selected, conditions=before.conditions, directives=before.directives)
        known = before.known or fetch
        self.needed.append((known, before.deferrals))
        if move.representation is None:
            return replace(before, deferrals=move.deferrals)
        again = self._add(step, fetch.order, before.path, before.conditions, move.deferrals)
        again.representation = move.representation
        again.depends_on.add(known)
        again.depends_on.update(self.place(leaf).fetch for leaf in step.requires)
        selected = again.selected
        for directives in before.directives:
            selected = selected.fragment(None, (), directives)
        return replace(before, fetch=again, selected=selected, deferrals=move.deferrals, known=known)

    def _field(self, step: Step, move: FieldMove, before: _Place) -> _Place:
        if move.is_leaf:
            before.selected.fields.setdefault(move.key, SelectedField(move, None))
            return before
        new = Selected(step.type_name)
        below = before.selected.fields.setdefault(move.key, SelectedField(move, new)).below or new
        self._tell_type(step, below)
        key = Key(move.response_key, move.type_text.count("["))
        return _Place(before.fetch, below, (*before.path, key), before.conditions, deferrals=before.deferrals)

    def _tell_type(self, step: Step, selected: Selected) -> None:
        """Where objects of several types can be, their type is always asked for, if the subgraph knows it."""
        if self._graph.supergraph.is_abstract(step.static) and not self._is_interface_object(step):
            selected.fields.setdefault(TYPENAME, SelectedField(TYPENAME_MOVE, None))

    def _is_interface_object(self, step: Step) -> bool:
        return self._graph.known(step.type_name, step.subgraph).is_interface_object

    def _next_fetch(self, step: Step, before: _Place) -> _Place:
        fetch = self._add(step, before.fetch.order, before.path, before.conditions, before.deferrals)
        fetch.depends_on.add(before.known or before.fetch)
        fetch.depends_on.update(self.place(leaf).fetch for leaf in step.requires)
        if isinstance(step.move, EntityMove):
            fetch.representation = replace(
                step.move.representation,
                contexts=tuple(
                    ContextInput(one.variable, one.type_text, len(self.place(one.step).path), one.selections)
                    for one in step.move.from_above
                ),
            )
            fetch.has_requirements = step.move.has_requirements
            if step.parent and self._is_interface_object(step.parent):
                self._tell_type(step, fetch.selected)
        selected = fetch.selected
        for directives in before.directives:
            selected = selected.fragment(None, (), directives)
        return replace(before, fetch=fetch, selected=selected, known=None)


def _lines(fetches: list[Fetch]) -> Iterator[str]:
    for fetch in fetches:
        waits = ", ".join(str(other.id) for other in sorted(fetch.depends_on, key=lambda one: one.id))
        path = path_text(fetch.path)
        when = f"{f' after {waits}' if waits else ''}{deferrals_text(fetch.deferrals)}"
        yield f"{fetch.id} {fetch.subgraph}{f' at {path}' if path else ''}{when}\n"
        yield from _selected_lines(fetch.selected, 1)


def _selected_lines(selected: Selected, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for one in selected.fields.values():
        yield f"{indent}{one.move}\n"
        if one.below:
            yield from _selected_lines(one.below, depth + 1)
    for head, below in selected.fragments.items():
        on = f" on {head.on}" if head.on else ""
        yield f"{indent}...{on} {Under(head.conditions, head.directives)}".rstrip() + "\n"
        yield from _selected_lines(below, depth + 1)


def path_text(path: Path) -> str:
    """`products.@.review|[Book]`: response keys, `@` for each list, and the types that objects are narrowed to. Of a
    list that comes in two parts, `@[:5]` are the first items and `@[5:]` the others."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, Key):
            parts += [part.name, *["@"] * part.lists]
            if part.slice:
                parts[-part.lists] += str(part.slice)
        elif parts:
            parts[-1] += f"|[{','.join(sorted(part.types))}]"
    return ".".join(parts)
