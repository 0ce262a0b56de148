"""What a representation brings to its subgraph: a key that is resolved there, and what its fields require."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphql import FieldNode, InlineFragmentNode, SelectionSetNode

from graphrouter.planning.check.response import Context, Place, together
from graphrouter.planning.plan import EntityFetch, InputField, InputSelection
from graphrouter.supergraph import FieldSet, RequiredField


@dataclass(frozen=True, slots=True)
class Brought:
    """What one representation brings to its subgraph."""

    context: Context
    fetch: EntityFetch
    place: Place
    type_name: str
    given: tuple[InputSelection, ...]

    def check_present(self) -> None:
        """Every field must have been fetched for objects of this type, by something that this fetch waits for."""
        self._check_present(self.given, self.place, self.type_name)

    def _check_present(self, given: tuple[InputSelection, ...], place: Place, type_name: str) -> None:
        parts = _inputs_for(given, type_name)
        for name in {part.name for part in parts}:
            sources = sorted({part.source for part in parts if part.name == name})
            if len(sources) > 1:
                self._problem(f"the representation of {type_name} reads {name} from {' and '.join(sources)}")
        for part in parts:
            seen = self.context.seen(self.fetch, place, type_name, part.source)
            if not seen:
                self._problem(f"the representation reads {type_name}.{part.source}, not fetched yet")
            if any(known.name != part.name for known in seen):
                self._problem(f"the representation says {part.name}, and {part.source} is another field")
            below = [known.place for known in seen if known.place]
            if part.selections is not None and below:
                inner = together(below)
                for one in sorted(inner.types):
                    self._check_present(part.selections, inner, one)

    def _problem(self, text: str) -> None:
        self.context.problem(self.fetch, text)

    def has_key_of(self, typename: str) -> bool:
        """Whether the subgraph resolves one of the keys that are there: of the type, or of the object's own type."""
        names = [typename, self.type_name]
        return any(
            key.resolvable and self._covers(self.given, key.fields, self.type_name, self.place)
            for name in names
            if (known := self.context.supergraph.in_subgraph(name, self.fetch.subgraph))
            for key in known.keys
        )

    def covers(self, wanted: FieldSet) -> bool:
        """Whether all that is wanted is there."""
        return self._covers(self.given, wanted, self.type_name, self.place)

    def check_required(self, on: str, selections: SelectionSetNode) -> None:
        """What the fields at the top of the selections require has to be there."""
        known = self.context.supergraph.types[on][self.fetch.subgraph]
        for node in selections.selections:
            if isinstance(node, FieldNode):
                found = known.fields.get(node.name.value)
                if found and not self._covers(self.given, found.requires, self.type_name, self.place):
                    self._problem(f"{on}.{found.name} lacks what it requires")
            elif isinstance(node, InlineFragmentNode):
                self.check_required(node.type_condition.name.value if node.type_condition else on, node.selection_set)

    def _covers(self, given: tuple[InputSelection, ...], wanted: FieldSet, type_name: str, place: Place) -> bool:
        """Whether all that is wanted for an object of this type is given, with the right arguments."""
        for part in wanted:
            if not isinstance(part, RequiredField):
                types = self.context.possible(part.type_condition)
                if type_name in types and not self._covers(given, part.selections, type_name, place):
                    return False
                continue
            fields = [one for one in _inputs_for(given, type_name) if one.name == part.name]
            if not any(self._is(one, part, type_name, place) for one in fields):
                return False
        return True

    def _is(self, given: InputField, wanted: RequiredField, type_name: str, place: Place) -> bool:
        seen = [k for k in place.known(type_name, given.source) if k.arguments == wanted.arguments]
        if not seen:
            return False
        below = [known.place for known in seen if known.place]
        if not wanted.selections or not below:
            return True
        inner = together(below)
        return all(self._covers(given.selections or (), wanted.selections, one, inner) for one in inner.types)


def _inputs_for(given: tuple[InputSelection, ...], type_name: str) -> list[InputField]:
    """The fields of a representation of this type; what is given of one field in several parts is one."""
    found: dict[tuple[str, str], InputField] = {}
    for part in _fields_for(given, type_name):
        before = found.get((part.name, part.source))
        selections = part.selections
        if before is not None and before.selections is not None:
            selections = (*before.selections, *(part.selections or ()))
        found[part.name, part.source] = InputField(part.name, part.source, selections)
    return list(found.values())


def _fields_for(given: tuple[InputSelection, ...], type_name: str) -> Iterator[InputField]:
    for part in given:
        if isinstance(part, InputField):
            yield part
        elif type_name in part.types:
            yield from _fields_for(part.selections, type_name)
