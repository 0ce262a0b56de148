"""The walk: for every selection of an operation, the paths through the query graph on which it can be had.

The walk goes down the selections with *tails*: the steps on which the objects of the current place can be found, one or
a few per subgraph. For a field it takes

1. each tail whose subgraph has the field to give (a direct move);
2. where there is none, or the field has selections of its own that another subgraph might serve better: the tails that
   entity moves reach from these (`_reach`), and the ones of subgraphs that have the field but require others first;
3. where there is still none and the place is of an abstract type: each object type by itself (`_expand`).

`_reach` is a fixpoint. It starts with one tail, tries every entity edge whose key can be had from what is reached so
far, and ends when nothing new comes. So a key that is in reach by way of a third subgraph only is found, and a loop of
keys that need one another is not. The fields of a key are had by the same walk, with the planner's own selections.

A field with `@requires` is an entity move as well, whose representation has the required fields besides the key, also
from the subgraph that it goes to (a re-entry).

At the end there is one demand per leaf, with its alternatives: `choose.py` takes it from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from graphrouter.planning.choose import cheapest
from graphrouter.planning.demands import AnyOf, Budget, Demands, Leaf
from graphrouter.planning.errors import PlanningError
from graphrouter.planning.plan import (
    Condition,
    InputField,
    InputFragment,
    InputSelection,
    Representation,
)
from graphrouter.planning.query_graph import TYPENAME, EntityEdge, QueryGraph
from graphrouter.planning.selection import Field, Fragment, Operation, Selection, Selections
from graphrouter.planning.steps import REQUEST_COST, Enter, EntityMove, FieldMove, Narrow, Position, ReEnter, Step, Under, closure
from graphrouter.planning.unreachable import explain
from graphrouter.supergraph import FieldInSubgraph, FieldSet, RequiredField, RequiredFragment
from graphrouter.supergraph.field_set import field_set_text

KEPT_PER_SUBGRAPH = 3
MAX_ALTERNATIVES = 8

Tails: TypeAlias = tuple[Step, ...]


def find_paths(graph: QueryGraph, operation: Operation, budget: Budget) -> Demands:
    """All demands of an operation; PlanningError naming a field that nothing answers."""
    return _Walk(graph, operation, budget).run()


class _Walk:
    def __init__(self, graph: QueryGraph, operation: Operation, budget: Budget) -> None:
        self._graph = graph
        self._supergraph = graph.supergraph
        self._operation = operation
        self._budget = budget
        self._root = Position()
        self._reached: dict[Tails, Tails] = {}
        self._reaching: dict[Step, list[Step]] = {}
        self._moving: set[tuple[str, str, str]] = set()
        self._refusals = 0
        self._failed: tuple[str, str, Tails] | None = None
        self._own: dict[tuple[Position, FieldSet], Selections] = {}
        _occupy(self._root, operation.selections)

    def run(self) -> Demands:
        if self._operation.kind == "query":
            found = self._walk(self._operation.selections, self._enter(0))
        else:
            found = self._one_by_one()
        if found is None:
            assert self._failed is not None
            raise PlanningError("UNREACHABLE_FIELD", explain(self._graph, *self._failed))
        return found

    def _enter(self, order: int) -> Tails:
        root = self._operation.root_type
        return tuple(
            Step(None, Enter(order), subgraph, root, root, frozenset((root,)), self._root)
            for subgraph in self._supergraph.types[root]
        )

    def _one_by_one(self) -> Demands | None:
        """Each root field from one subgraph alone: it must not happen twice."""
        demands: list[Leaf | AnyOf] = []
        for order, selection in enumerate(_root_fields(self._operation.selections, ())):
            options = [
                option for tail in self._enter(order) if (option := self._walk((selection,), (tail,))) is not None
            ]
            if not options:
                return None
            demands.append(AnyOf(tuple(options)))
        return tuple(demands)

    # Selections

    def _walk(self, selections: Selections, tails: Tails) -> Demands | None:
        """The demands of all selections from these tails; None if one of them cannot be met."""
        demands: list[Leaf | AnyOf] = []
        for selection in selections:
            self._budget.spend()
            found = (
                self._field(selection, tails)
                if isinstance(selection, Field)
                else self._fragment(selection, tails)
            )
            if found is None:
                return None
            demands += found
        return tuple(demands)

    def _field(self, field: Field, tails: Tails) -> Demands | None:
        if field.name.startswith("__") and tails[0].parent is None:
            return ()  # the router answers introspection itself
        if field.name == TYPENAME:
            return self._typename(field, tails)
        moves = self._moves(field, tails)
        found = self._follow(field, moves) if moves else None
        if found is None and self._supergraph.is_abstract(tails[0].static):
            found = self._expand(field, tails)
        if found is None and self._failed is None:
            self._failed = (tails[0].static, field.name, tails)
        if found is not None:
            self._failed = None
        return found

    def _moves(self, field: Field, tails: Tails) -> list[tuple[Step, FieldInSubgraph]]:
        """Every tail on which the field is given, with the field as that subgraph has it."""
        moves = self._giving(field, tails)
        here = {tail.subgraph for tail, _ in moves}
        elsewhere = self._graph.resolvers(tails[0].static, field.name) - here
        if not moves or (field.selections and elsewhere):
            if elsewhere:
                moves += [move for move in self._giving(field, self._reach(tails)) if move[0].subgraph in elsewhere]
            moves += self._requiring(field, tails)
        elif near := _nearer(tails, moves):
            moves += self._giving(field, self._reach(near))
        return moves

    def _giving(self, field: Field, tails: Tails) -> list[tuple[Step, FieldInSubgraph]]:
        return [(tail, found) for tail in tails if (found := self._direct(tail, field.name))]

    def _typename(self, field: Field, tails: Tails) -> Demands | None:
        """`__typename`, from any subgraph that knows the object types (an interface object's does not)."""
        telling = [tail for tail in tails if not self._is_interface_object(tail)]
        telling = telling or [tail for tail in self._reach(tails) if not self._is_interface_object(tail)]
        if not telling:
            self._failed = self._failed or (tails[0].static, TYPENAME, tails)
            return None
        move = FieldMove(field.response_key, TYPENAME, "", field.directives, field.variables, True, "String!")
        return (self._leaf([self._leaf_step(tail, move) for tail in telling]),)

    def _follow(self, field: Field, moves: list[tuple[Step, FieldInSubgraph]]) -> Demands | None:
        """The demands of a field and all below it, on these direct moves."""
        if not field.selections:
            return (
                self._leaf([self._leaf_step(tail, _field_move(field, found)) for tail, found in moves]),
            )
        children = self._children(field, moves)
        below = self._walk(field.selections, children)
        if below == ():
            return (self._leaf(list(children)),)
        return below

    def _leaf_step(self, tail: Step, move: FieldMove) -> Step:
        return tail.next(
            ("field", move.response_key),
            lambda: Step(tail, move, tail.subgraph, "", "", frozenset(), tail.position),
        )

    def _leaf(self, steps: list[Step]) -> Leaf:
        ordered = sorted(dict.fromkeys(steps), key=lambda step: step.total)
        return Leaf(tuple(ordered[:MAX_ALTERNATIVES]))

    def _children(self, field: Field, moves: list[tuple[Step, FieldInSubgraph]]) -> Tails:
        """The tails below a field. Those of a union are narrowed to the members that all of them know."""
        static = self._graph.field_type(moves[0][0].static, field.name)
        common: frozenset[str] | None = None
        if self._supergraph.kinds[static] == "union":
            known = [self._types(found.named_type, tail.subgraph) for tail, found in moves]
            common = frozenset.intersection(*known)
        steps = [self._child(field, tail, found, static, common) for tail, found in moves]
        return _kept(steps)

    def _child(
        self, field: Field, tail: Step, found: FieldInSubgraph, static: str, common: frozenset[str] | None
    ) -> Step:
        types = self._types(found.named_type, tail.subgraph)
        narrowed = types & common if common else types
        return tail.next(
            ("field", field.response_key, narrowed),
            lambda: Step(
                tail,
                _field_move(field, found),
                tail.subgraph,
                found.named_type,
                static,
                narrowed,
                tail.position.child(field.response_key),
                provided=(*_provided_below(tail.provided, field.name), *found.provides),
            ),
        )

    def _types(self, type_name: str, subgraph: str) -> frozenset[str]:
        """The object types behind a type in a subgraph."""
        known = self._graph.known(type_name, subgraph)
        return self._supergraph.possible_types[type_name] if known.is_interface_object else known.possible_types

    # Fragments

    def _fragment(self, fragment: Fragment, tails: Tails) -> Demands | None:
        if fragment.conditions:
            conditions = fragment.conditions
            tails = tuple(_under(tail, conditions) for tail in tails)
        on = fragment.type_condition
        if on is None or on == tails[0].static:
            return self._walk(fragment.selections, tails)
        narrowed = self._narrow_all(tails, on)
        if narrowed is None:
            self._failed = self._failed or (tails[0].static, f"... on {on}", tails)
            return None
        if isinstance(narrowed, frozenset):
            return self._for_each(fragment, tails, narrowed)
        return self._walk(fragment.selections, narrowed) if narrowed else ()

    def _for_each(self, fragment: Fragment, tails: Tails, types: frozenset[str]) -> Demands | None:
        """A fragment on an abstract type that a subgraph sees otherwise: once for each object type."""
        demands: list[Leaf | AnyOf] = []
        for name in sorted(types):
            found = self._fragment(Fragment(name, (), fragment.selections), tails)
            if found is None:
                return None
            demands += found
        return tuple(demands)

    def _narrow_all(self, tails: Tails, on: str) -> Tails | frozenset[str] | None:
        """The tails on objects of that type; none of them where there are no such objects.

        The object types instead, where a subgraph does not see the abstract type as the supergraph does. None where
        nobody can tell which type the objects are of.
        """
        telling = [tail for tail in tails if not self._is_interface_object(tail)]
        telling = telling or [tail for tail in self._reach(tails) if not self._is_interface_object(tail)]
        if not telling:
            return None
        possible = self._supergraph.possible_types[on]
        matching = [tail for tail in telling if tail.types & possible]
        if self._supergraph.is_abstract(on):
            if any(len(tail.types) > 1 and not self._agrees(tail, on) for tail in matching):
                return frozenset(name for tail in matching for name in tail.types & possible)
        return _kept([self._narrow(tail, on) for tail in matching])

    def _agrees(self, tail: Step, on: str) -> bool:
        """Whether the tail's subgraph counts the same of its objects to an abstract type as the supergraph does."""
        known = self._supergraph.in_subgraph(on, tail.subgraph)
        if known is None or not known.is_abstract:
            return False
        return known.possible_types & tail.types == self._supergraph.possible_types[on] & tail.types

    def _narrow(self, tail: Step, on: str) -> Step:
        types = tail.types & self._supergraph.possible_types[on]
        known = self._graph.known(tail.type_name, tail.subgraph)
        # A tail on one object type stays on it: the subgraph may not even know the abstract type asked for.
        name = on if known.is_abstract and on in self._supergraph.types else tail.type_name
        if known.is_abstract and self._supergraph.is_abstract(on) and not self._agrees(tail, on):
            (name,) = types
        static = on if known.is_abstract or not self._supergraph.is_abstract(on) else tail.type_name
        return tail.next(
            ("narrow", on),
            lambda: Step(
                tail,
                Narrow(name),
                tail.subgraph,
                name,
                name if name != on else static,
                types,
                tail.position,
                provided=tuple(self._provided_on(tail.provided, types)),
            ),
        )

    def _provided_on(self, provided: FieldSet, types: frozenset[str]) -> Iterator[RequiredField | RequiredFragment]:
        for part in provided:
            if isinstance(part, RequiredField):
                yield part
            elif types <= self._supergraph.possible_types[part.type_condition]:
                yield from self._provided_on(part.selections, types)

    def _expand(self, field: Field, tails: Tails) -> Demands | None:
        """An abstract type's field, taken from its object types: for all of them on the same tail."""
        telling = [tail for tail in tails if not self._is_interface_object(tail)]
        telling = telling or [tail for tail in self._reach(tails) if not self._is_interface_object(tail)]
        options = [option for tail in telling if (option := self._expand_on(field, tail)) is not None]
        if not options:
            return None
        return options[0] if len(options) == 1 else (AnyOf(tuple(options)),)

    def _expand_on(self, field: Field, tail: Step) -> Demands | None:
        if not tail.types:
            return None
        demands: list[Leaf | AnyOf] = []
        for name in sorted(tail.types):
            if tail.type_name == name:
                return None  # an object type by itself: it has been tried
            self._budget.spend()
            found = self._field(field, (self._narrow(tail, name),))
            if found is None:
                return None
            demands += found
        return tuple(demands)

    # Moves

    def _direct(self, tail: Step, name: str) -> FieldInSubgraph | None:
        """The field, if the tail's subgraph gives it."""
        known = self._graph.known(tail.type_name, tail.subgraph)
        found = known.fields.get(name)
        if found is None:
            return None
        if any(isinstance(part, RequiredField) and part.name == name for part in tail.provided):
            return found
        if known.is_abstract and tail.provided:
            uniform = found.resolvable and all(
                self._graph.field(possible, tail.subgraph, name)
                or self._is_provided(tail.provided, possible, name)
                for possible in tail.types
            )
            return found if uniform else None
        return self._graph.field(tail.type_name, tail.subgraph, name)

    def _is_provided(self, provided: FieldSet, possible: str, name: str) -> bool:
        here = self._provided_on(provided, frozenset((possible,)))
        return any(isinstance(part, RequiredField) and part.name == name for part in here)

    def _is_interface_object(self, tail: Step) -> bool:
        return self._graph.known(tail.type_name, tail.subgraph).is_interface_object

    def _reach(self, tails: Tails) -> Tails:
        """The tails that entity moves reach from these, on the same objects."""
        if tails in self._reached:
            return self._reached[tails]
        refusals = self._refusals
        found = _kept([step for tail in tails for step in self._reach_from(tail)])
        if len(tails) > 1:
            found = self._reach_together(tails, found)
        if refusals == self._refusals:
            self._reached[tails] = found
        return found

    def _reach_from(self, tail: Step) -> list[Step]:
        """The fixpoint from one tail. While it is being sought, what is known of it serves those who ask."""
        if tail in self._reaching:
            self._refusals += 1
            return self._reaching[tail]
        found: list[Step] = []
        self._reaching[tail] = found
        left = [edge for edge in self._graph.edges(tail.static) if self._leads_away(edge, tail)]
        growing = True
        while growing and left:
            steps = [(edge, self._hop((tail,), edge, ())) for edge in left]
            new = [(edge, step) for edge, step in steps if step]
            growing = bool(new)
            found += [step for _, step in new]
            reached = {(edge.type_name, edge.subgraph) for edge, _ in new}
            left = [edge for edge in left if (edge.type_name, edge.subgraph) not in reached]
        del self._reaching[tail]
        return list(_kept(found))

    def _reach_together(self, tails: Tails, found: Tails) -> Tails:
        """What no tail reaches alone, and all of them together do: a key of fields from several subgraphs."""
        known = {(step.type_name, step.subgraph) for step in (*tails, *found)}
        growing = True
        while growing:
            growing = False
            for edge in self._graph.edges(tails[0].static):
                if (edge.type_name, edge.subgraph) not in known and self._leads_away(edge, tails[0]):
                    if step := self._hop((*tails, *found), edge, ()):
                        growing = True
                        known.add((edge.type_name, edge.subgraph))
                        found = (*found, step)
        return found

    def _leads_away(self, edge: EntityEdge, tail: Step) -> bool:
        if (edge.type_name, edge.subgraph) == (tail.type_name, tail.subgraph):
            return False
        return self._is_interface_object(tail) or tail.types <= edge.sources

    def _requiring(self, field: Field, tails: Tails) -> list[tuple[Step, FieldInSubgraph]]:
        """The tails on which a field with `@requires` is given: its subgraph is entered with what it requires."""
        moves: list[tuple[Step, FieldInSubgraph]] = []
        for edge in self._graph.edges(tails[0].static):
            found = self._graph.known(edge.type_name, edge.subgraph).fields.get(field.name)
            if found is None or not found.resolvable or not found.requires:
                continue
            if any(step.subgraph == edge.subgraph for step, _ in moves):
                continue
            steps = [self._hop((tail,), edge, found.requires) for tail in tails]
            moves += [(step, found) for step in steps if step]
        return moves

    def _hop(self, tails: Tails, edge: EntityEdge, requires: FieldSet) -> Step | None:
        """The entity move from these tails (from the first, with what the others know), if its needs can be met."""
        self._budget.spend()
        tail = tails[0]
        if edge.key is None:
            return self._re_enter(tail, edge)
        from_interface_object = self._is_interface_object(tail)
        if from_interface_object and edge.typename is None and edge.key.text not in self._own_keys(edge):
            return None  # the representation would have to name the object type
        guard = (edge.type_name, edge.subgraph, f"{edge.key.text} {requires}")
        if guard in self._moving:
            self._refusals += 1
            return None
        self._moving.add(guard)
        failed = self._failed
        needs = (*edge.key.fields, *requires)
        sources = tuple(dict.fromkeys(step for one in tails for step in one.same_objects()))
        demands = self._walk(self._selections(needs, tail.position), sources)
        self._moving.discard(guard)
        self._failed = failed
        if demands is None:
            return None
        steps = cheapest(demands, closure(tail))
        typename = edge.typename or (edge.type_name if from_interface_object else None)
        inputs = self._inputs(needs, tail.static, tail.position)
        return tail.next(
            ("entity", edge.type_name, edge.subgraph, edge.key.text, requires),
            lambda: Step(
                tail,
                EntityMove(Representation(typename, inputs), field_set_text(needs), bool(requires)),
                edge.subgraph,
                edge.type_name,
                tail.static,
                tail.types & self._types(edge.type_name, edge.subgraph)
                if not from_interface_object
                else self._types(edge.type_name, edge.subgraph),
                tail.position,
                requires=steps,
            ),
        )

    def _own_keys(self, edge: EntityEdge) -> set[str]:
        return {key.text for key in self._graph.known(edge.type_name, edge.subgraph).keys if key.resolvable}

    def _re_enter(self, tail: Step, edge: EntityEdge) -> Step | None:
        if tail.parent is None:
            return None
        return tail.next(
            ("re-enter", edge.subgraph),
            lambda: Step(
                tail, ReEnter(), edge.subgraph, edge.type_name, tail.static, edge.sources, tail.position
            ),
        )

    # The planner's own selections

    def _selections(self, fields: FieldSet, position: Position) -> Selections:
        """A field set as selections, under response keys that leave the client's alone."""
        key = (position, fields)
        if key not in self._own:
            self._own[key] = tuple(self._selection(part, position) for part in fields)
        return self._own[key]

    def _selection(self, part: RequiredField | RequiredFragment, position: Position) -> Selection:
        if isinstance(part, RequiredFragment):
            return Fragment(part.type_condition, (), self._selections(part.selections, position))
        key = position.key_for(part.name, part.arguments)
        below = self._selections(part.selections, position.child(key)) if part.selections else ()
        return Field(key, part.name, part.arguments, selections=below)

    def _inputs(self, fields: FieldSet, parent: str, position: Position) -> tuple[InputSelection, ...]:
        """How a representation is read from the response; equal fields of key and requirement become one."""
        found: dict[object, InputSelection] = {}
        for part in fields:
            if isinstance(part, RequiredFragment):
                types = self._supergraph.possible_types[part.type_condition]
                inner = self._inputs(part.selections, part.type_condition, position)
                found[part] = InputFragment(types, inner)
                continue
            key = position.key_for(part.name, part.arguments)
            below: tuple[InputSelection, ...] | None = None
            if part.selections:
                static = self._graph.field_type(parent, part.name)
                below = self._inputs(part.selections, static, position.child(key))
                if self._supergraph.is_abstract(static):
                    below = (InputField(TYPENAME, TYPENAME), *below)
            before = found.get(part.name)
            if isinstance(before, InputField) and before.selections and below:
                below = tuple(dict.fromkeys((*before.selections, *below)))
            found[part.name] = InputField(part.name, key, below)
        return tuple(found.values())


def _occupy(position: Position, selections: Selections) -> None:
    """Note which response keys the client uses."""
    for selection in selections:
        if isinstance(selection, Fragment):
            _occupy(position, selection.selections)
            continue
        uses = position.client.setdefault(selection.response_key, set())
        uses.add((selection.name, selection.arguments))
        if selection.selections:
            _occupy(position.child(selection.response_key), selection.selections)


def _root_fields(selections: Selections, conditions: tuple[Condition, ...]) -> Iterator[Selection]:
    """Every root field by itself, within its conditions, in the client's order."""
    for selection in selections:
        if isinstance(selection, Fragment):
            yield from _root_fields(selection.selections, (*conditions, *selection.conditions))
        elif not selection.name.startswith("__"):
            yield Fragment(None, conditions, (selection,)) if conditions else selection


def _under(tail: Step, conditions: tuple[Condition, ...]) -> Step:
    return tail.next(
        ("under", conditions),
        lambda: Step(
            tail,
            Under(conditions),
            tail.subgraph,
            tail.type_name,
            tail.static,
            tail.types,
            tail.position,
            provided=tail.provided,
        ),
    )


def _field_move(field: Field, found: FieldInSubgraph) -> FieldMove:
    return FieldMove(
        field.response_key,
        field.name,
        field.arguments,
        field.directives,
        field.variables,
        not field.selections,
        found.type,
    )


def _provided_below(provided: FieldSet, name: str) -> Iterator[RequiredField | RequiredFragment]:
    for part in provided:
        if isinstance(part, RequiredField) and part.name == name:
            yield from part.selections


def _nearer(tails: Tails, moves: list[tuple[Step, FieldInSubgraph]]) -> Tails:
    """The tails from which a request more costs no more than the cheapest of the moves."""
    cheapest_move = min(tail.total for tail, _ in moves)
    return tuple(tail for tail in tails if tail.total + REQUEST_COST <= cheapest_move)


def _kept(steps: Iterable[Step]) -> Tails:
    """The cheapest few per type and subgraph, the cheapest of all first."""
    by_place: dict[tuple[str, str], list[Step]] = {}
    for step in sorted(dict.fromkeys(steps), key=lambda step: step.total):
        by_place.setdefault((step.type_name, step.subgraph), []).append(step)
    return tuple(
        sorted(
            (step for place in by_place.values() for step in place[:KEPT_PER_SUBGRAPH]), key=lambda step: step.total
        )
    )
