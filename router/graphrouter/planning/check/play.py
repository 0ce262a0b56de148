"""Plays the fetches of a plan over an abstract response."""

from __future__ import annotations

from graphql import FieldNode, InlineFragmentNode, SelectionSetNode, VariableNode

from graphrouter.planning.check.brought import Brought
from graphrouter.planning.check.response import Context, Place
from graphrouter.planning.check.syntax import TYPENAME, response_key, sent_operation
from graphrouter.planning.check.writer import Spot, Writer
from graphrouter.planning.plan import ContextInput, EntityFetch, EntityGroup, Fetch, Key, Path, RootFetch, Target
from graphrouter.supergraph import ContextValue


def play(context: Context) -> Place:
    """The root of the response after all fetches; what is wrong with them is noted in the context."""
    player = _Player(context)
    for fetch in context.plan.fetches:
        if context.holds(fetch.conditions):
            if isinstance(fetch, RootFetch):
                player.play_root(fetch)
            else:
                player.play_entities(fetch)
    return player.root


class _Player:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._supergraph = context.supergraph
        self.root = Place(frozenset((context.supergraph.roots[context.plan.kind],)))

    def play_root(self, fetch: RootFetch) -> None:
        """The fields of a root type, at the root or where a field returns it."""
        selections = sent_operation(fetch.document).selection_set
        writer = Writer(self._context, fetch, fetch.renames)
        for place, types in self._walk(fetch, fetch.path):
            writer.write(Spot(place, types, self._supergraph.roots[fetch.kind]), selections)

    def play_entities(self, fetch: EntityFetch) -> None:
        """The entities of each group, at each of its targets."""
        by_alias = {
            response_key(node): node
            for node in sent_operation(fetch.document).selection_set.selections
            if isinstance(node, FieldNode)
        }
        for group in fetch.groups:
            node = by_alias.get(group.alias)
            if node is None or node.name.value != "_entities" or node.selection_set is None:
                self._context.problem(fetch, f"the document has no _entities field {group.alias}")
                continue
            for target in group.targets:
                if self._context.holds(target.conditions):
                    for place, types in self._walk(fetch, target.path):
                        for type_name in sorted(types):
                            self._look_up(fetch, group, target, Spot(place, types, type_name), node.selection_set)

    def _look_up(
        self, fetch: EntityFetch, group: EntityGroup, target: Target, spot: Spot, selections: SelectionSetNode
    ) -> None:
        """Objects of one type at one place."""
        place, type_name = spot.place, spot.type_name
        typename = target.representation.typename or type_name
        if target.representation.typename is None and not self._knows_type(fetch, place, type_name):
            self._context.problem(fetch, f"the representation of {type_name} needs its __typename")
        brought = Brought(self._context, fetch, place, type_name, target.representation.selections)
        brought.check_present()
        if type_name not in self._context.possible(typename):
            self._context.problem(fetch, f"{type_name} is not a {typename}")
            return
        if not brought.has_key_of(typename):
            self._context.problem(fetch, f"no resolvable key of {typename} in the representation of {type_name}")
        writer = Writer(self._context, fetch, group.renames)
        for fragment in selections.selections:
            if isinstance(fragment, InlineFragmentNode) and fragment.type_condition:
                on = fragment.type_condition.name.value
                if type_name in self._context.possible(on):
                    brought.check_required(on, fragment.selection_set)
                    self._check_contexts(fetch, group, target, on, fragment.selection_set)
                    writer.write(Spot(place, frozenset((type_name,)), on), fragment.selection_set)

    def _check_contexts(
        self, fetch: EntityFetch, group: EntityGroup, target: Target, on: str, selections: SelectionSetNode
    ) -> None:
        """Every argument that takes its value from a context must get it from the nearest object that sets it."""
        given = target.representation.contexts
        if [one.type for one in given] != [type_text for _, type_text in group.contexts]:
            self._context.problem(fetch, f"{group.alias} takes other values of contexts than its place has")
            return
        inputs = {name: one for (name, _), one in zip(group.contexts, given, strict=True)}
        known = self._supergraph.types[on][fetch.subgraph]
        for node in selections.selections:
            if isinstance(node, InlineFragmentNode):
                inner = node.type_condition.name.value if node.type_condition else on
                self._check_contexts(fetch, group, target, inner, node.selection_set)
            elif isinstance(node, FieldNode) and (found := known.fields.get(node.name.value)):
                values = {a.name.value: a.value for a in node.arguments or ()}
                for argument in found.contexts:
                    value = values.get(argument.name)
                    one = inputs.get(value.name.value) if isinstance(value, VariableNode) else None
                    where = f"{on}.{found.name}({argument.name}:)"
                    if one is None or one.type != argument.value.type:
                        self._context.problem(fetch, f"{where} does not take its value from a context")
                    else:
                        self._check_nearest(fetch, target.path, one, argument.value, where)

    def _check_nearest(
        self, fetch: EntityFetch, path: Path, given: ContextInput, value: ContextValue, where: str
    ) -> None:
        setters = self._supergraph.contexts[value.context]
        for steps in reversed([number for number, step in enumerate(path) if isinstance(step, Key)]):
            around = [(place, types) for place, types in self._walk(fetch, path[:steps]) if types & setters]
            if not around:
                continue
            if steps != given.steps or any(not types <= setters for _, types in around):
                self._context.problem(fetch, f"{where} takes its value from elsewhere than the nearest {value.context}")
            for place, types in around:
                for type_name in sorted(types & setters):
                    brought = Brought(self._context, fetch, place, type_name, given.selections)
                    brought.check_present()
                    if not brought.covers(value.selections):
                        self._context.problem(fetch, f"{where} takes another value of {value.context}")
            return
        self._context.problem(fetch, f"{where}: nothing around sets {value.context}")

    def _walk(self, fetch: Fetch, path: Path) -> list[tuple[Place, frozenset[str]]]:
        """The places on a path, each with the types that count; each step must have been fetched before."""
        found = [(self.root, self.root.types)]
        for step in path:
            if isinstance(step, Key):
                found = self._below(fetch, found, step.name)
                if not found:
                    self._context.problem(fetch, f"nothing that it waits for has fetched {step.name} on its path")
            else:
                for place, types in found:
                    for type_name in sorted(types):
                        if len(place.types) > 1 and not self._knows_type(fetch, place, type_name):
                            text = f"its path asks for the type of {type_name}, which is not fetched"
                            self._context.problem(fetch, text)
                found = [(place, types & step.types) for place, types in found if types & step.types]
        return found

    def _below(
        self, fetch: Fetch, places: list[tuple[Place, frozenset[str]]], key: str
    ) -> list[tuple[Place, frozenset[str]]]:
        found: dict[int, Place] = {}
        for place, types in places:
            for type_name in sorted(types):
                for known in self._context.seen(fetch, place, type_name, key):
                    if known.place:
                        found[id(known.place)] = known.place
        return [(place, place.types) for place in found.values()]

    def _knows_type(self, fetch: Fetch, place: Place, type_name: str) -> bool:
        return bool(self._context.seen(fetch, place, type_name, TYPENAME))
