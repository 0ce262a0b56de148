"""The planner's own selections: what a representation needs is fetched like anything else, and read back from there."""

from __future__ import annotations

from graphrouter.planning.plan import InputField, InputFragment, InputSelection
from graphrouter.planning.query_graph import TYPENAME, QueryGraph
from graphrouter.planning.selection import Field, Fragment, Selection, Selections
from graphrouter.planning.steps import Position
from graphrouter.supergraph import FieldSet, RequiredField, RequiredFragment


class OwnSelections:
    """Field sets as selections, under response keys that leave the client's alone; and as a representation's inputs."""

    def __init__(self, graph: QueryGraph) -> None:
        self._graph = graph
        self._made: dict[tuple[Position, FieldSet], Selections] = {}

    def selections(self, fields: FieldSet, position: Position) -> Selections:
        """What has to be selected at a position."""
        key = (position, fields)
        if key not in self._made:
            self._made[key] = tuple(self._selection(part, position) for part in fields)
        return self._made[key]

    def _selection(self, part: RequiredField | RequiredFragment, position: Position) -> Selection:
        if isinstance(part, RequiredFragment):
            return Fragment(part.type_condition, (), self.selections(part.selections, position))
        key = position.key_for(part.name, part.arguments)
        below = self.selections(part.selections, position.child(key)) if part.selections else ()
        return Field(key, part.name, part.arguments, selections=below)

    def inputs(self, fields: FieldSet, parent: str, position: Position) -> tuple[InputSelection, ...]:
        """How the representation is read from the response; equal fields of key and requirement become one."""
        found: dict[object, InputSelection] = {}
        for part in fields:
            if isinstance(part, RequiredFragment):
                types = self._graph.supergraph.possible_types[part.type_condition]
                inner = self.inputs(part.selections, part.type_condition, position)
                if self._graph.supergraph.possible_types[parent] <= types:
                    found.update((selection, selection) for selection in inner)
                elif types & self._graph.supergraph.possible_types[parent]:
                    found[part] = InputFragment(types, inner)
            else:
                found[part.name] = self._input(part, parent, position, found.get(part.name))
        return tuple(found.values())

    def _input(self, part: RequiredField, parent: str, position: Position, before: InputSelection | None) -> InputField:
        key = position.key_for(part.name, part.arguments)
        if not part.selections:
            return InputField(part.name, key)
        static = self._graph.field_type(parent, part.name)
        below = self.inputs(part.selections, static, position.child(key))
        if self._graph.supergraph.is_abstract(static):
            below = (InputField(TYPENAME, TYPENAME), *below)
        if isinstance(before, InputField) and before.selections:
            below = tuple(dict.fromkeys((*before.selections, *below)))
        return InputField(part.name, key, below)
