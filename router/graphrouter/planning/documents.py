"""Writes the documents that subgraphs are sent: compact text on one line.

Selections of one response key that differ in type cannot stand in one document, not even on object types that exclude
one another (https://spec.graphql.org/October2021/#SameResponseShape()); clients may ask for them all the same, because
a subgraph may be stricter than the supergraph. The first keeps its key; the others get an alias, and a rename brings
their values back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from graphrouter.planning.fetch_graph import FragmentHead, Selected, SelectedField
from graphrouter.planning.names import Names, unused
from graphrouter.planning.plan import Condition, Key, Path, Rename
from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.selection import conditions_text


@dataclass(slots=True)
class Writer:
    """Writes the selections of one fetch; collects the variables and the renames that they need."""

    graph: QueryGraph
    subgraph: str
    names: Names
    variables: set[str] = field(default_factory=set[str])
    renames: list[Rename] = field(default_factory=list[Rename])
    _aliases: dict[int, str] = field(default_factory=dict[int, str])
    _taken: set[str] = field(default_factory=set[str])
    _drawn: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])

    def write(self, selected: Selected) -> str:
        """The selection set in braces."""
        self._taken.update(_response_keys([selected]))
        self._find_conflicts([selected], ())
        return self._selection_set(selected, frozenset())

    def agree(self, selections: list[Selected]) -> bool:
        """Whether all of these can stand beside one another, on whatever types, without any alias."""
        trial = Writer(self.graph, self.subgraph, self.names)
        trial._find_conflicts(selections, ())
        return not trial.renames

    def _selection_set(self, selected: Selected, around: frozenset[str]) -> str:
        parts = [
            self._field(one)
            for key, one in selected.fields.items()
            if not (key in around and one.below is None and id(one) not in self._aliases)
        ]
        leaves = around | {key for key, one in selected.fields.items() if one.below is None}
        for head, below in selected.fragments.items():
            inner = self._selection_set(below, frozenset() if head.directives else leaves)
            if inner != "{}":
                self.variables |= {condition.variable for condition in head.conditions} | head.directives.variables
                parts.append(_fragment(head, inner))
        return f"{{{_joined(parts)}}}"

    def _field(self, one: SelectedField) -> str:
        self.variables |= one.move.variables
        name = self._aliases.get(id(one), one.move.response_key)
        alias = "" if name == one.move.name else f"{name}:"
        below = ""
        if one.below:
            below = self._selection_set(one.below, frozenset())
            if below == "{}":
                below = f"{{{self._anything(one.below)}}}"
        return f"{alias}{one.move.name}{one.move.arguments}{one.move.directives}{below}"

    def _anything(self, selected: Selected) -> str:
        """A field that is always there; an interface object's type name must not be taken for the objects' own."""
        known = self.graph.known(selected.type_name, self.subgraph)
        return f"{self.names.nothing}:__typename" if known.is_interface_object else "__typename"

    def _find_conflicts(self, together: list[Selected], path: Path) -> None:
        """Alias what differs in shape among selections that end up on one place of the answer."""
        by_key: dict[str, list[SelectedField]] = {}
        for one in _with_fragments(together):
            for selected in one.fields.values():
                by_key.setdefault(selected.move.response_key, []).append(selected)
        for key, fields in by_key.items():
            by_shape: dict[str, list[SelectedField]] = {}
            for selected in fields:
                by_shape.setdefault(self._shape(selected), []).append(selected)
            for number, same in enumerate(by_shape.values()):
                name = key if number == 0 else self._alias(key, number)
                below = [selected.below for selected in same if selected.below]
                if below:
                    step = Key(name, same[0].move.type_text.count("["))
                    self._find_conflicts(below, (*path, step))
                if number:
                    self._aliases.update((id(selected), name) for selected in same)
                    self.renames.append(Rename(path, name, key))

    def _alias(self, key: str, number: int) -> str:
        """What stands for this key alone in the whole document: paths of errors are read back by it."""
        if (key, number) not in self._drawn:
            self._drawn[key, number] = name = unused(f"_{key}_{number}", self._taken)
            self._taken.add(name)
        return self._drawn[key, number]

    def _shape(self, selected: SelectedField) -> str:
        """What has to be equal: lists and non-null marks, and the type itself where it is a leaf."""
        text = selected.move.type_text
        return "".join(mark for mark in text if mark in "[]!") if selected.below else text


def _response_keys(together: Iterable[Selected]) -> Iterator[str]:
    for one in _with_fragments(together):
        for selected in one.fields.values():
            yield selected.move.response_key
            if selected.below:
                yield from _response_keys([selected.below])


def _with_fragments(together: Iterable[Selected]) -> Iterable[Selected]:
    for one in together:
        yield one
        yield from _with_fragments(one.fragments.values())


def _fragment(head: FragmentHead, inner: str) -> str:
    """One fragment, or several within one another: `@include` and `@skip` can stand only once on each."""
    outer: list[Condition] = []
    for condition in head.conditions:
        if any(other.wanted is condition.wanted for other in outer):
            left = tuple(one for one in head.conditions if one not in outer)
            inner = f"{{{_fragment(FragmentHead(None, left), inner)}}}"
            break
        outer.append(condition)
    return f"...{f'on {head.on}' if head.on else ''}{conditions_text(tuple(outer))}{head.directives}{inner}"


def _joined(parts: list[str]) -> str:
    """The selections in one line; what ends with a brace needs no space after it."""
    text = ""
    for part in parts:
        text += part if not text or text.endswith("}") else f" {part}"
    return text
