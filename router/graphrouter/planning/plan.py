"""The query plan: which requests go to which subgraph, what each of them waits for, and where its answer goes.

A plan is a graph of fetches, not a tree of waves: each fetch names the fetches whose data it reads, and starts as
soon as those have arrived. `tree()` (see `render.py`) derives the field's usual Sequence/Parallel/Flatten picture of it
for people; the executor works on the graph.

All types are frozen: a plan is made once, cached, and executed by any number of requests at the same time. Everything
that can be prepared is prepared here: documents are complete texts, so that executing a fetch writes no GraphQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

OperationKind: TypeAlias = Literal["query", "mutation", "subscription"]


@dataclass(frozen=True, slots=True)
class Slice:
    """Some items of a list: the first `count` of them, or where `rest` is true those after them."""

    count: int
    rest: bool = False

    def of(self, length: int) -> range:
        """The indices of these items in a list of a length."""
        return range(length)[self.count :] if self.rest else range(length)[: self.count]

    def __str__(self) -> str:
        return f"[{self.count}:]" if self.rest else f"[:{self.count}]"


@dataclass(frozen=True, slots=True)
class Key:
    """Step into the object's field with this response key; every list met on the way is spread over its items.

    `lists` says for readers how many lists are within one another there; it makes no difference to what a path means.
    Where there is a `slice`, the field has a list, and only these of its items are meant.
    """

    name: str
    lists: int = field(default=0, compare=False)
    slice: Slice | None = None


@dataclass(frozen=True, slots=True)
class TypeIs:
    """Go on only with objects whose `__typename` is one of these (object type names of the supergraph)."""

    types: frozenset[str]


PathStep: TypeAlias = Key | TypeIs
Path: TypeAlias = tuple[PathStep, ...]
"""From the root of the response to the objects that a fetch reads and extends."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`@include(if: $variable)` where `wanted` is true, `@skip(if: $variable)` where it is false."""

    variable: str
    wanted: bool


DEFER: Final = "defer"
STREAM: Final = "stream"


@dataclass(frozen=True, slots=True)
class Deferral:
    """A place of an operation at which a fragment is deferred, or the rest of a list.

    `number` is that of its directive, which has it for its label (`pipeline/deferring.py`); `path` are the response
    keys that lead to the objects with the fragment, or to the list. `parent` is the deferral that a fragment stands in;
    a list has none, as what its rest comes after is known where the list is. A named fragment may put one directive at
    several places.
    """

    number: int
    path: tuple[str, ...] = ()
    parent: Deferral | None = None
    directive: Literal["defer", "stream"] = DEFER

    def around(self) -> Iterator[Deferral]:
        """The deferrals that it stands in, the nearest first."""
        deferral = self.parent
        while deferral is not None:
            yield deferral
            deferral = deferral.parent


Deferrals: TypeAlias = frozenset[Deferral]
"""What belongs to several deferred fragments comes with the first of them."""

AT_ONCE: Deferrals = frozenset()
"""What is not deferred."""


def outermost(deferrals: Iterable[Deferral]) -> Deferrals:
    """Those that stand in none of the others: what comes with one of them is there for the ones inside."""
    found = frozenset(deferrals)
    return frozenset(one for one in found if found.isdisjoint(one.around()))


@dataclass(frozen=True, slots=True)
class Stream:
    """A `@stream` of an operation: its number, and how many items of the list are there at once."""

    number: int
    initial_count: int


Streams: TypeAlias = Mapping[tuple[str, ...], Stream]
"""By the response keys that lead to the list. It holds for every list there, whatever the types around it."""


@dataclass(frozen=True, slots=True)
class Directives:
    """Directives that subgraphs are sent: canonical text, each with a space before it, and the variables in it."""

    text: str = ""
    variables: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text


NO_DIRECTIVES = Directives()


@dataclass(frozen=True, slots=True)
class InputField:
    """One field of a representation: read from the response key `source`, written as `name`.

    The two differ where the value was fetched under an alias (the same field is required with different arguments).
    `selections` is None for a leaf; objects and lists of objects are copied field by field.
    """

    name: str
    source: str
    selections: tuple[InputSelection, ...] | None = None


@dataclass(frozen=True, slots=True)
class InputFragment:
    """Selections of a representation that count only where the object's `__typename` is one of `types`."""

    types: frozenset[str]
    selections: tuple[InputSelection, ...]


InputSelection: TypeAlias = InputField | InputFragment


@dataclass(frozen=True, slots=True)
class ContextInput:
    """A value from further up, which fields of the entity take as an argument, by the name of a variable.

    The first `steps` steps of the target's path lead to the object that has the value; it is the one leaf of
    `selections` there. `type` is the variable's type.
    """

    variable: str
    type: str
    steps: int
    selections: tuple[InputSelection, ...]


@dataclass(frozen=True, slots=True)
class Representation:
    """How an object met on a path becomes the representation of an entity.

    `typename` is what the subgraph is told as `__typename`: a constant where it knows the entity by another name (an
    interface object, or the interface behind it), else None, and the object's own `__typename` is sent.
    """

    typename: str | None
    selections: tuple[InputSelection, ...]
    contexts: tuple[ContextInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A place of the response whose objects one entity fetch extends.

    The objects found on `path` are those to look up; where `conditions` do not hold, none of them is.
    """

    path: Path
    representation: Representation
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Rename:
    """After a fetch: give the value under `alias` its response key back, on the objects at `path` below the fetch's.

    Two selections of one response key that differ in type between object types cannot stand in one document; the
    planner fetches one of them under an alias. A path goes by the keys of the document. Renames are done in their
    order: what is inside comes first. Objects without the alias are left as they are.
    """

    path: Path
    alias: str
    name: str


@dataclass(frozen=True, slots=True)
class EntityGroup:
    """One `_entities` field of an entity fetch: equal selections on any number of places share it.

    `alias` is its response key, `variable` the name of its list of representations, without the dollar sign;
    `selections` is the text of its selection set, `variables` are the client's variables in it. `contexts` are those
    that hold a value from a context: pairs of a name, without the dollar sign, and a type. Objects for which these
    values differ cannot be asked for in one field: the document is then written with as many as it takes, `numbered`.
    """

    alias: str
    variable: str
    targets: tuple[Target, ...]
    renames: tuple[Rename, ...] = ()
    selections: str = ""
    contexts: tuple[tuple[str, str], ...] = ()
    variables: frozenset[str] = frozenset()

    def named(self, alias: str, variable: str, suffix: str) -> EntityGroup:
        """The same field under other names; the suffix is for the variables of contexts."""
        selections = self.selections
        for name, _ in self.contexts:
            selections = re.sub(rf"\${name}\b", f"${name}{suffix}", selections)
        contexts = tuple((f"{name}{suffix}", type_text) for name, type_text in self.contexts)
        return replace(self, alias=alias, variable=variable, selections=selections, contexts=contexts)

    def numbered(self, number: int) -> EntityGroup:
        """The same field once more in the same document."""
        return self.named(f"{self.alias}_{number}", f"{self.variable}_{number}", f"_{number}")


@dataclass(frozen=True, slots=True)
class RootFetch:
    """Fields of a root type, asked of one subgraph.

    `path` is where the answer's data are merged: empty, except where a field inside the operation returns a root type.
    `deferrals` are the deferred fragments that it is made for.
    """

    id: int
    subgraph: str
    kind: OperationKind
    document: str
    operation_name: str | None
    variables: tuple[str, ...]
    depends_on: tuple[int, ...] = ()
    path: Path = ()
    conditions: tuple[Condition, ...] = ()
    renames: tuple[Rename, ...] = ()
    deferrals: Deferrals = AT_ONCE


@dataclass(frozen=True, slots=True)
class EntityFetch:
    """Fields of entities, looked up by their representations, asked of one subgraph in one request.

    `variables` are the client's variables that `document` uses, apart from the representations of the groups;
    `definitions` are their declarations, `directives` stand on the operation. A group that finds no object sends an
    empty list; where no group finds any, there is no request.
    """

    id: int
    subgraph: str
    document: str
    operation_name: str | None
    variables: tuple[str, ...]
    groups: tuple[EntityGroup, ...]
    depends_on: tuple[int, ...] = ()
    conditions: tuple[Condition, ...] = ()
    definitions: tuple[str, ...] = ()
    directives: Directives = NO_DIRECTIVES
    deferrals: Deferrals = AT_ONCE


def entity_document(groups: Iterable[EntityGroup], definitions: Iterable[str], directives: Directives) -> str:
    """The text that asks for these groups, with these declarations of the client's variables, and its directives."""
    declared: list[str] = []
    fields: list[str] = []
    for group in groups:
        declared.append(f"${group.variable}:[_Any!]!")
        declared += [f"${name}:{type_text}" for name, type_text in group.contexts]
        alias = "" if group.alias == "_entities" else f"{group.alias}:"
        fields.append(f"{alias}_entities(representations:${group.variable}){group.selections}")
    return f"query({','.join([*declared, *definitions])}){directives}{{{''.join(fields)}}}"


Fetch: TypeAlias = RootFetch | EntityFetch


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that nobody can answer: where the conditions hold, it is asked for, and the operation is refused."""

    conditions: tuple[Condition, ...]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """The fetches of one operation, each after all that it depends on. No fetch: everything is introspection.

    A mutation's root fields happen in the order of the client's fields: a root fetch waits for every fetch that belongs
    to the root fields before, so that a root field's whole sub-tree completes before the next root field starts.

    Objects of an abstract type have their `__typename` in the merged data wherever the client asks for it or has a
    fragment that depends on it; where only the interface's own fields are asked for, it may be missing. Another field
    that the client calls `__typename` is in the merged data under the key `typename`. Where one of the `refusals`
    holds, nothing is to be fetched. `streams` are the lists whose rest comes later.
    """

    kind: OperationKind
    fetches: tuple[Fetch, ...]
    typename: str = "_typename"
    refusals: tuple[Refusal, ...] = ()
    streams: Streams = field(default_factory=dict[tuple[str, ...], Stream])
