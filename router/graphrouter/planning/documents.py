"""Writes the documents that subgraphs are sent: compact text on one line.

Selections of one response key that differ in type cannot stand in one document, not even on object types that exclude
one another (https://spec.graphql.org/October2021/#SameResponseShape()); clients may ask for them all the same, because
a subgraph may be stricter than the supergraph. The first keeps its key; the others get an alias, and a rename brings
their values back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from graphrouter.planning.fetch_graph import Selected, SelectedField
from graphrouter.planning.plan import Condition, Key, Path, Rename
from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.selection import conditions_text


@dataclass(slots=True)
class Writer:
    """Writes the selections of one fetch; collects the variables and the renames that they need."""

    graph: QueryGraph
    subgraph: str
    variables: set[str] = field(default_factory=set[str])
    renames: list[Rename] = field(default_factory=list[Rename])
    _aliases: dict[int, str] = field(default_factory=dict[int, str])

    def write(self, selected: Selected) -> str:
        """The selection set in braces."""
        self._find_conflicts([selected], ())
        return self._selection_set(selected, frozenset())

    def agree(self, selections: list[Selected]) -> bool:
        """Whether all of these can stand beside one another, on whatever types, without any alias."""
        trial = Writer(self.graph, self.subgraph)
        trial._find_conflicts(selections, ())
        return not trial.renames

    def _selection_set(self, selected: Selected, around: frozenset[str]) -> str:
        parts = [
            self._field(key, one)
            for key, one in selected.fields.items()
            if not (key in around and one.below is None and id(one) not in self._aliases)
        ]
        leaves = around | {key for key, one in selected.fields.items() if one.below is None}
        for (on, conditions), below in selected.fragments.items():
            inner = self._selection_set(below, leaves)
            if inner != "{}":
                self.variables.update(condition.variable for condition in conditions)
                parts.append(_fragment(on, conditions, inner))
        return f"{{{_joined(parts)}}}"

    def _field(self, key: str, one: SelectedField) -> str:
        self.variables |= one.move.variables
        name = self._aliases.get(id(one), key)
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
        return "_:__typename" if known.is_interface_object else "__typename"

    def _find_conflicts(self, together: list[Selected], path: Path) -> None:
        """Alias what differs in shape among selections that end up on one place of the answer."""
        by_key: dict[str, list[SelectedField]] = {}
        for one in _with_fragments(together):
            for key, selected in one.fields.items():
                by_key.setdefault(key, []).append(selected)
        for key, fields in by_key.items():
            by_shape: dict[str, list[SelectedField]] = {}
            for selected in fields:
                by_shape.setdefault(self._shape(selected), []).append(selected)
            for number, same in enumerate(by_shape.values()):
                name = key if number == 0 else f"_{key}_{number}"
                below = [selected.below for selected in same if selected.below]
                if below:
                    step = Key(name, same[0].move.type_text.count("["))
                    self._find_conflicts(below, (*path, step))
                if number:
                    self._aliases.update((id(selected), name) for selected in same)
                    self.renames.append(Rename(path, name, key))

    def _shape(self, selected: SelectedField) -> str:
        """What has to be equal: lists and non-null marks, and the type itself where it is a leaf."""
        text = selected.move.type_text
        return "".join(mark for mark in text if mark in "[]!") if selected.below else text


def _with_fragments(together: Iterable[Selected]) -> Iterable[Selected]:
    for one in together:
        yield one
        yield from _with_fragments(one.fragments.values())


def _fragment(on: str | None, conditions: tuple[Condition, ...], inner: str) -> str:
    """One fragment, or several within one another: a directive can stand only once on each."""
    head: list[Condition] = []
    for condition in conditions:
        if any(other.wanted is condition.wanted for other in head):
            left = tuple(one for one in conditions if one not in head)
            inner = f"{{{_fragment(None, left, inner)}}}"
            break
        head.append(condition)
    return f"...{f'on {on}' if on else ''}{conditions_text(tuple(head))}{inner}"


def _joined(parts: list[str]) -> str:
    """The selections in one line; what ends with a brace needs no space after it."""
    text = ""
    for part in parts:
        text += part if not text or text.endswith("}") else f" {part}"
    return text
