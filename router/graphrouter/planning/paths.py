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
from the subgraph that it goes to (a re-entry). One with `@fromContext` likewise: the move takes the values along from
the nearest object further up that sets the context, and there they are had by the same walk again.

At the end there is one demand per leaf, with its alternatives: `choose.py` takes it from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graphrouter.planning.choose import cheapest
from graphrouter.planning.demands import AnyOf, Budget, Demands, Leaf
from graphrouter.planning.errors import UnreachableError
from graphrouter.planning.own_selections import OwnSelections
from graphrouter.planning.plan import Deferrals, Representation
from graphrouter.planning.query_graph import TYPENAME, EntityEdge, QueryGraph
from graphrouter.planning.selection import Field, Fragment, Operation, Selection, Selections
from graphrouter.planning.steps import Defer, Enter, EntityMove, FromAbove, Position, ReEnter, Step, closure
from graphrouter.planning.tails import Move, TailMoves, Tails, kept, nearer, under
from graphrouter.planning.unreachable import explain
from graphrouter.supergraph import ContextArgument, FieldInSubgraph, FieldSet
from graphrouter.supergraph.field_set import field_set_text

MAX_ALTERNATIVES = 8


def find_paths(graph: QueryGraph, operation: Operation, budget: Budget) -> Demands:
    """All demands of an operation; UnreachableError naming a field that nothing answers."""
    return _Walk(graph, operation, budget).run()


class _Failure(NamedTuple):
    """What could not be had, from which tails; `at` says where it is selected."""

    type_name: str
    name: str
    tails: Tails
    at: tuple[int, ...]


class _Walk:
    def __init__(self, graph: QueryGraph, operation: Operation, budget: Budget) -> None:
        self._graph = graph
        self._supergraph = graph.supergraph
        self._operation = operation
        self._budget = budget
        self._tails = TailMoves(graph, _context_prefix(graph, operation))
        self._own = OwnSelections(graph)
        self._root = Position()
        self._entered: dict[int, Tails] = {}
        self._reached: dict[Tails, Tails] = {}
        self._reaching: dict[Step, list[Step]] = {}
        self._moving: set[tuple[str, str, str]] = set()
        self._refusals = 0
        self._at: list[int] = []
        self._failed: _Failure | None = None
        _occupy(self._root, operation.selections)

    def run(self) -> Demands:
        if self._operation.kind == "query":
            found = self._walk(self._operation.selections, self._enter(0))
        else:
            found = self._one_by_one()
        if found is None:
            failed = self._failed or _Failure(self._operation.root_type, TYPENAME, self._enter(0), ())
            raise UnreachableError(explain(self._graph, failed.type_name, failed.name, failed.tails), failed.at)
        return found

    def _enter(self, order: int) -> Tails:
        if order not in self._entered:
            self._entered[order] = self._enter_anew(order)
        return self._entered[order]

    def _enter_anew(self, order: int) -> Tails:
        root = self._operation.root_type
        return tuple(
            Step(
                None,
                Enter(order),
                subgraph,
                root,
                static=root,
                types=frozenset((root,)),
                position=self._root,
            )
            for subgraph in self._supergraph.types[root]
        )

    def _one_by_one(self) -> Demands | None:
        """Each root field from one subgraph alone: it must not happen twice."""
        demands: list[Leaf | AnyOf] = []
        for order, selection in enumerate(self._operation.selections):
            if not any(_root_fields(selection)):
                continue
            self._at.append(order)
            options = [
                option for tail in self._enter(order) if (option := self._selection(selection, (tail,))) is not None
            ]
            self._at.pop()
            if not options:
                return None
            demands.append(AnyOf(tuple(options)))
        return tuple(demands)

    # Selections

    def _walk(self, selections: Selections, tails: Tails) -> Demands | None:
        """The demands of all selections from these tails; None if one of them cannot be met."""
        demands: list[Leaf | AnyOf] = []
        for number, selection in enumerate(selections):
            self._at.append(number)
            found = self._selection(selection, tails)
            self._at.pop()
            if found is None:
                return None
            demands += found
        return tuple(demands)

    def _selection(self, selection: Selection, tails: Tails) -> Demands | None:
        self._budget.spend()
        return self._field(selection, tails) if isinstance(selection, Field) else self._fragment(selection, tails)

    def _fail(self, name: str, tails: Tails) -> None:
        """Note what could not be had, and where: the first one since something could."""
        if self._failed is None:
            self._failed = _Failure(tails[0].static, name, tails, tuple(self._at))

    def _field(self, field: Field, tails: Tails) -> Demands | None:
        if field.name.startswith("__") and tails[0].position is self._root:
            return ()  # the router answers introspection itself
        if field.name == TYPENAME:
            return self._typename(field, tails)
        moves = self._moves(field, tails)
        found = self._follow(field, moves) if moves else None
        if found is None and self._supergraph.is_abstract(tails[0].static):
            found = self._expand(field, tails)
        if found is None:
            self._fail(field.name, tails)
        else:
            self._failed = None
        return found

    def _moves(self, field: Field, tails: Tails) -> list[Move]:
        """Every tail on which the field is given, with the field as that subgraph has it."""
        moves = self._tails.giving(field.name, tails)
        here = {tail.subgraph for tail, _ in moves}
        elsewhere = self._graph.resolvers(tails[0].static, field.name) - here
        if not moves or (field.selections and elsewhere):
            if elsewhere:
                reached = self._tails.giving(field.name, self._reach(tails))
                moves += [(tail, found) for tail, found in reached if tail.subgraph in elsewhere]
            moves += self._requiring(field, tails)
        elif near := nearer(tails, moves):
            moves += self._tails.giving(field.name, self._reach(near))
        return moves

    def _typename(self, field: Field, tails: Tails) -> Demands | None:
        """`__typename`, from any subgraph that knows the object types (an interface object's does not)."""
        telling = self._telling(tails)
        if not telling:
            self._fail(TYPENAME, tails)
            return None
        return (self._leaf([self._tails.leaf(field, tail, None) for tail in telling]),)

    def _telling(self, tails: Tails) -> Tails:
        """The tails that can tell the types of their objects; what these reach, if there are none."""
        telling = tuple(tail for tail in tails if not self._tails.is_interface_object(tail))
        return telling or tuple(tail for tail in self._reach(tails) if not self._tails.is_interface_object(tail))

    def _follow(self, field: Field, moves: list[Move]) -> Demands | None:
        """The demands of a field and all below it, on these direct moves."""
        if not field.selections:
            return (self._leaf([self._tails.leaf(field, *move) for move in moves]),)
        children = self._tails.children(field, moves)
        below = self._walk(field.selections, children)
        if below == ():
            return (self._leaf(list(children)),)
        return below

    def _leaf(self, steps: list[Step]) -> Leaf:
        ordered = sorted(dict.fromkeys(steps), key=lambda step: step.total)
        return Leaf(tuple(ordered[:MAX_ALTERNATIVES]))

    # Fragments

    def _fragment(self, fragment: Fragment, tails: Tails) -> Demands | None:
        if fragment.deferrals:
            return self._walk(fragment.selections, tuple(self._defer(tail, fragment.deferrals) for tail in tails))
        if fragment.conditions or fragment.directives:
            tails = tuple(under(tail, fragment.conditions, fragment.directives) for tail in tails)
        on = fragment.type_condition
        if on is None or on == tails[0].static:
            return self._walk(fragment.selections, tails)
        telling = self._telling(tails)
        if not telling:
            self._fail(f"... on {on}", tails)
            return None
        narrowed = self._tails.narrow_all(telling, on)
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

    def _expand(self, field: Field, tails: Tails) -> Demands | None:
        """An abstract type's field, taken from its object types: for all of them on the same tail."""
        telling = self._telling(tails)
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
            found = self._field(field, (self._tails.narrow(tail, name),))
            if found is None:
                return None
            demands += found
        return tuple(demands)

    def _defer(self, tail: Step, deferrals: Deferrals) -> Step:
        """The same objects, later: looked up once more in the same subgraph where it has a key for them, so that what
        is not deferred does not wait; else what is deferred comes along with the rest."""
        found = self._key_again(tail)
        steps, representation = found or ((), None)
        return tail.next(
            ("defer", deferrals),
            lambda: Step(
                tail,
                Defer(deferrals, representation),
                tail.subgraph,
                tail.type_name,
                static=tail.static,
                types=tail.types,
                position=tail.position,
                provided=() if representation else tail.provided,
                requires=steps,
            ),
        )

    def _key_again(self, tail: Step) -> tuple[Tails, Representation] | None:
        """How the objects are looked up in the subgraph where they stand, and the steps to their key."""
        if tail.provided or self._tails.is_interface_object(tail):
            return None
        for edge in self._graph.edges(tail.static):
            if (edge.type_name, edge.subgraph) != (tail.type_name, tail.subgraph) or edge.key is None:
                continue
            if not tail.types <= edge.sources:
                continue
            steps = self._meet(edge.key.fields, (tail,), (edge.type_name, edge.subgraph, edge.key.text))
            if steps is not None and all(step.subgraph == tail.subgraph for step in steps):
                inputs = self._own.inputs(edge.key.fields, tail.static, tail.position)
                return steps, Representation(edge.typename, inputs)
        return None

    # Moves

    def _reach(self, tails: Tails) -> Tails:
        """The tails that entity moves reach from these, on the same objects."""
        if tails in self._reached:
            return self._reached[tails]
        refusals = self._refusals
        found = kept([step for tail in tails for step in self._reach_from(tail)])
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
            steps = [(edge, self._hop((tail,), edge)) for edge in left]
            new = [(edge, step) for edge, step in steps if step]
            growing = bool(new)
            found += [step for _, step in new]
            reached = {(edge.type_name, edge.subgraph) for edge, _ in new}
            left = [edge for edge in left if (edge.type_name, edge.subgraph) not in reached]
        del self._reaching[tail]
        return list(kept(found))

    def _reach_together(self, tails: Tails, found: Tails) -> Tails:
        """What no tail reaches alone, and all of them together do: a key of fields from several subgraphs."""
        known = {(step.type_name, step.subgraph) for step in (*tails, *found)}
        growing = True
        while growing:
            growing = False
            for edge in self._graph.edges(tails[0].static):
                if (edge.type_name, edge.subgraph) in known or not self._leads_away(edge, tails[0]):
                    continue
                if step := self._hop((*tails, *found), edge):
                    growing = True
                    known.add((edge.type_name, edge.subgraph))
                    found = (*found, step)
        return found

    def _leads_away(self, edge: EntityEdge, tail: Step) -> bool:
        if (edge.type_name, edge.subgraph) == (tail.type_name, tail.subgraph):
            return False
        return self._tails.is_interface_object(tail) or tail.types <= edge.sources

    def _requiring(self, field: Field, tails: Tails) -> list[Move]:
        """The tails on which a field with `@requires` is given: its subgraph is entered with what it requires."""
        moves: list[Move] = []
        for edge in self._graph.edges(tails[0].static):
            found = self._graph.known(edge.type_name, edge.subgraph).fields.get(field.name)
            if found is None or not found.resolvable or found.is_plain:
                continue
            if any(step.subgraph == edge.subgraph for step, _ in moves):
                continue
            steps = [step for tail in tails if (step := self._hop((tail,), edge, found))]
            if not steps and (together := self._hop(tails, edge, found)):
                steps = [together]
            moves += [(step, found) for step in steps]
        return moves

    def _hop(self, tails: Tails, edge: EntityEdge, field: FieldInSubgraph | None = None) -> Step | None:
        """The entity move from these tails (from the first, with what the others know), if its needs can be met.

        `field` is one that needs more than the key.
        """
        self._budget.spend()
        tail = tails[0]
        if edge.key is None:
            return self._re_enter(tail, edge)
        blind = self._tails.is_interface_object(tail)
        if blind and edge.typename is None and edge.key.text not in self._own_keys(edge):
            return None  # the representation would have to name the object type
        requires, contexts = (field.requires, field.contexts) if field else ((), ())
        needs = (*edge.key.fields, *requires)
        guard = (edge.type_name, edge.subgraph, f"{edge.key.text} {requires}")
        if requires and isinstance(tail.move, Defer):  # only the key is had before
            steps = self._meet(edge.key.fields, tails, guard)
            more = self._meet(requires, tails, guard, sources=tails)
            steps = None if steps is None or more is None else (*steps, *more)
        else:
            steps = self._meet(needs, tails, guard)
        brought = self._bring(contexts, tail) if steps is not None else None
        if steps is None or brought is None:
            return None
        from_above, above = brought
        typename = edge.typename or (edge.type_name if blind else None)
        inputs = self._own.inputs(needs, tail.static, tail.position)
        types = self._tails.types(edge.type_name, edge.subgraph)
        return tail.next(
            ("entity", edge.type_name, edge.subgraph, edge.key.text, requires, contexts),
            lambda: Step(
                tail,
                EntityMove(
                    Representation(typename, inputs), field_set_text(needs), bool(requires or contexts), from_above
                ),
                edge.subgraph,
                edge.type_name,
                static=tail.static,
                types=types if blind else tail.types & types,
                position=tail.position,
                requires=(*steps, *above),
            ),
        )

    def _bring(self, arguments: tuple[ContextArgument, ...], tail: Step) -> tuple[tuple[FromAbove, ...], Tails] | None:
        """What these arguments take from around the tail's objects, and the steps that fetch it; None if they can't."""
        found: list[FromAbove] = []
        steps: list[Step] = []
        for value in dict.fromkeys(argument.value for argument in arguments):
            above = self._setter(value.context, tail)
            guard = ("context", value.context, f"{id(above)} {value.selections}")
            fetched = self._meet(value.selections, self._on(above), guard) if above else None
            if above is None or fetched is None:
                return None
            inputs = self._own.inputs(value.selections, above.static, above.position)
            found.append(FromAbove(self._tails.context_variable(value), value.type, above, inputs))
            steps += fetched
        return tuple(found), tuple(steps)

    def _on(self, step: Step) -> Tails:
        """The step; for the root of a query the entries to all subgraphs, each of which is as good a start."""
        while isinstance(step.move, Defer) and step.parent:
            step = step.parent
        at_root = step.parent is None and self._operation.kind == "query"
        return (step, *(other for other in self._enter(0) if other is not step)) if at_root else (step,)

    def _setter(self, context: str, tail: Step) -> Step | None:
        """The nearest step around these objects that sets a context.

        None also where only some of the object types there do: then it must be asked for each of them by itself.
        """
        setters = self._supergraph.contexts[context]
        nearest = next((step for step in tail.around() if step.types & setters), None)
        return nearest if nearest and nearest.types <= setters else None

    def _meet(
        self, needs: FieldSet, tails: Tails, guard: tuple[str, str, str], sources: Tails | None = None
    ) -> Tails | None:
        """The paths that fetch a representation's fields; also from the objects' earlier subgraphs on the same path."""
        if guard in self._moving:
            self._refusals += 1
            return None
        self._moving.add(guard)
        failed = self._failed
        if sources is None:
            sources = tuple(dict.fromkeys(step for tail in tails for step in tail.same_objects()))
        demands = self._walk(self._own.selections(needs, tails[0].position), sources)
        self._moving.discard(guard)
        self._failed = failed
        return None if demands is None else cheapest(demands, closure(tails[0]))

    def _own_keys(self, edge: EntityEdge) -> set[str]:
        return {key.text for key in self._graph.known(edge.type_name, edge.subgraph).keys if key.resolvable}

    def _re_enter(self, tail: Step, edge: EntityEdge) -> Step | None:
        if tail.parent is None:
            return None
        return tail.next(
            ("re-enter", edge.subgraph),
            lambda: Step(
                tail,
                ReEnter(),
                edge.subgraph,
                edge.type_name,
                static=tail.static,
                types=edge.sources,
                position=tail.position,
            ),
        )


def _context_prefix(graph: QueryGraph, operation: Operation) -> str:
    """What the names of variables for contexts begin with: nothing else in any document looks like it."""
    prefix = "context_"
    if graph.context_values:
        text = str(operation)
        while f"${prefix}" in text or f"${prefix}" in graph.supergraph.sdl:
            prefix = f"_{prefix}"
    return prefix


def _occupy(position: Position, selections: Selections) -> None:
    """Note which response keys the client uses."""
    for selection in selections:
        if isinstance(selection, Fragment):
            _occupy(position, selection.selections)
            continue
        uses = position.client.setdefault(selection.response_key, set())
        uses.add((selection.name, f"{selection.arguments}{selection.directives}"))
        if selection.selections:
            _occupy(position.child(selection.response_key), selection.selections)


def _root_fields(selection: Selection) -> Iterator[Field]:
    """What is left of a mutation's root field, which stands by itself, when introspection is set apart."""
    if isinstance(selection, Fragment):
        for inner in selection.selections:
            yield from _root_fields(inner)
    elif not selection.name.startswith("__"):
        yield selection
