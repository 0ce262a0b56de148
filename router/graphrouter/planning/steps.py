"""Steps of the walk: a trie in which a path is known by its last step, and paths share what they have in common.

A step belongs to one subgraph and stands on objects of one type. Because steps are interned (asking a step twice for
the same move gives the same next step), the cost of any set of paths together is the sum over the union of their steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from graphrouter.planning.plan import NO_DIRECTIVES, Condition, Deferrals, Directives, InputSelection, Representation
from graphrouter.supergraph import FieldSet

REQUEST_COST = 1000
"""What another fetch costs, in fields."""

WAITING_COST = 20
"""What a fetch costs more for each one that has to come before it: of equally many requests, few in a row."""


@dataclass(frozen=True, slots=True)
class Enter:
    """Into a root type. `order` tells a mutation's fields apart; it is 0 for all fields of a query."""

    order: int

    def __str__(self) -> str:
        return "enter"


@dataclass(frozen=True, slots=True)
class FieldMove:
    """Along a field of the current objects."""

    response_key: str
    name: str
    arguments: str
    directives: str
    variables: frozenset[str]
    is_leaf: bool
    type_text: str

    @property
    def key(self) -> str:
        """What tells selections of one place apart: the response key, and the directives, where there are any."""
        return f"{self.response_key}{self.directives}"

    def __str__(self) -> str:
        alias = "" if self.response_key == self.name else f"{self.response_key}:"
        return f"{alias}{self.name}{self.arguments}"


@dataclass(frozen=True, slots=True)
class Narrow:
    """To those objects that are of this type."""

    type_condition: str

    def __str__(self) -> str:
        return f"on {self.type_condition}"


@dataclass(frozen=True, slots=True)
class Under:
    """Into selections that count only where these conditions hold, and about which these directives say something."""

    conditions: tuple[Condition, ...]
    directives: Directives = NO_DIRECTIVES

    def __str__(self) -> str:
        conditions = " ".join(f"{'if' if c.wanted else 'unless'} ${c.variable}" for c in self.conditions)
        return f"{conditions}{self.directives}".strip()


@dataclass(frozen=True, slots=True)
class Defer:
    """Into selections that may come later: the same objects, looked up once more where there is a `representation`."""

    deferrals: Deferrals
    representation: Representation | None

    def __str__(self) -> str:
        return "defer"


@dataclass(frozen=True, slots=True)
class FromAbove:
    """A value that a move takes along from an object further up: on which step that object stands, and how it is read.

    `variable` is the name under which fields take it as an argument, `type_text` its type.
    """

    variable: str
    type_text: str
    step: Step
    selections: tuple[InputSelection, ...]


@dataclass(frozen=True, slots=True)
class EntityMove:
    """To another subgraph (or the same again) that looks the objects up by their representation."""

    representation: Representation
    needs: str
    has_requirements: bool
    from_above: tuple[FromAbove, ...] = ()

    def __str__(self) -> str:
        above = "".join(f" ${one.variable}" for one in self.from_above)
        return f"entity({self.needs}{above})"


@dataclass(frozen=True, slots=True)
class ReEnter:
    """From an object of a root type into the root of another subgraph."""

    def __str__(self) -> str:
        return "re-enter"


Move: TypeAlias = Enter | FieldMove | Narrow | Under | Defer | EntityMove | ReEnter


class Position:
    """A place of the response, by response keys alone: it keeps the planner's own selections off the client's keys.

    `client` has what the client selects here: response key to (field name, arguments and directives), for all object
    types together.
    """

    __slots__ = ("_children", "_own", "client")

    def __init__(self) -> None:
        self.client: dict[str, set[tuple[str, str]]] = {}
        self._own: dict[tuple[str, str], str] = {}
        self._children: dict[str, Position] = {}

    def child(self, response_key: str) -> Position:
        """The place below a response key."""
        if response_key not in self._children:
            self._children[response_key] = Position()
        return self._children[response_key]

    def key_for(self, name: str, arguments: str) -> str:
        """The response key under which the planner selects this field: its name, where that is free."""
        wanted = (name, arguments)
        if wanted not in self._own:
            taken = self._own.values()
            key, count = name, 0
            while key in taken or self.client.get(key, {wanted}) != {wanted}:
                count += 1
                key = f"_{name}_{count}"
            self._own[wanted] = key
        return self._own[wanted]


class Step:
    """One step of a path. `types` are the object types that its objects can be of, in its subgraph.

    `type_name` is the type in the step's subgraph, `static` the type that the supergraph gives the place. `provided`
    are the fields that a `@provides` on the way brings along. `requires` are the steps that fetch what a move's
    representation needs. `cost` is the step's own, `total` that of the path with all that it requires; `requests`
    counts those that come one after the other up to here.
    """

    __slots__ = (
        "_next",
        "cost",
        "move",
        "parent",
        "position",
        "provided",
        "requests",
        "requires",
        "static",
        "subgraph",
        "total",
        "type_name",
        "types",
    )

    def __init__(  # noqa: PLR0913 - a step is all of this, and steps are made in few places
        self,
        parent: Step | None,
        move: Move,
        subgraph: str,
        type_name: str,
        *,
        static: str,
        types: frozenset[str],
        position: Position,
        provided: FieldSet = (),
        requires: tuple[Step, ...] = (),
    ) -> None:
        self.parent = parent
        self.move = move
        self.subgraph = subgraph
        self.type_name = type_name
        self.static = static
        self.types = types
        self.position = position
        self.provided = provided
        self.requires = requires
        before = max((step.requests for step in (*requires, parent) if step), default=0)
        is_request = not isinstance(move, FieldMove | Narrow | Under | Defer)
        self.requests: int = before + is_request
        self.cost: int = REQUEST_COST + WAITING_COST * before if is_request else int(isinstance(move, FieldMove))
        self.total: int = self.cost + self._detours() + (parent.total if parent else 0)
        self._next: dict[object, Step] = {}

    def next(self, key: object, make: Callable[[], Step]) -> Step:
        """The step that this move leads to, made at the first time."""
        found = self._next.get(key)
        if found is None:
            found = self._next[key] = make()
        return found

    def path(self) -> Iterator[Step]:
        """This step and those before it, the last first."""
        step: Step | None = self
        while step:
            yield step
            step = step.parent

    def same_objects(self) -> Iterator[Step]:
        """This step and those before it that stand on the same objects in other subgraphs, or before they are deferred.

        What is had before needs not be had once more later.
        """
        step = self
        if not isinstance(step.move, Defer):
            yield step
        while isinstance(step.move, EntityMove | Defer) and step.parent:
            step = step.parent
            if not isinstance(step.move, Defer):
                yield step

    def around(self) -> Iterator[Step]:
        """For each object that this step's objects are in, the last step that stands on it; the nearest comes first."""
        return (step.parent for step in self.path() if isinstance(step.move, FieldMove) and step.parent)

    def _detours(self) -> int:
        """What the requirements cost beyond the path itself."""
        if not self.requires:
            return 0
        seen = closure(self.parent) if self.parent else set[Step]()
        return cost_of(self.requires, seen)

    def __str__(self) -> str:
        steps = [f"{step.move}@{step.subgraph}" for step in self.path()]
        return " > ".join(reversed(steps))

    __repr__ = __str__


def closure(step: Step) -> set[Step]:
    """All steps of a path with all that it requires."""
    found: set[Step] = set()
    cost_of([step], found)
    return found


def cost_of(steps: tuple[Step, ...] | list[Step], taken: set[Step]) -> int:
    """What these paths, with all that they require, cost on top of the steps taken; they are taken then."""
    cost = 0
    waiting = list(steps)
    while waiting:
        step: Step | None = waiting.pop()
        while step and step not in taken:
            taken.add(step)
            cost += step.cost
            waiting.extend(step.requires)
            step = step.parent
    return cost
