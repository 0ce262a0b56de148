"""What an operation may cost before any work is done for it: counted on the syntax tree, fragments spread out.

Codes: TOO_MANY_TOKENS, TOO_DEEP, TOO_MANY_FIELDS, TOO_MANY_ALIASES, TOO_MANY_ROOT_FIELDS, TOO_MANY_INTROSPECTIONS,
FRAGMENT_CYCLE, OPERATION_TOO_LARGE for too many fields under one response key, TOO_MANY_OBJECTS (see
`execution/estimate.py`), COST_ESTIMATED_TOO_EXPENSIVE, SLICING_ARGUMENT_REQUIRED (see `execution/cost.py`); in the
server REQUEST_TOO_LARGE, and REQUEST_TIMEOUT for what took too long after all. Each fragment is counted once and its
numbers are added wherever it is spread, so that a "fragment bomb" (fragments that double one another) costs nothing to
refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one request, with their defaults."""

    body_bytes: int = 1024 * 1024
    """Bytes of the HTTP request's body, or of the query string."""
    tokens: int = 15_000
    """Lexical tokens of the document."""
    depth: int = 60
    """Fields inside fields."""
    fields: int = 10_000
    """Fields of an operation, each counted as often as its fragment is spread."""
    aliases: int = 300
    """Fields with an alias, counted likewise."""
    root_fields: int = 100
    """Fields of the root type in one operation, counted likewise."""
    introspections: int = 20
    """`__schema` and `__type` in one operation, counted likewise."""
    repeats: int = 250
    """Fields that meet under one response key, counted likewise: validation compares each of them with each other."""
    seconds: float = 60.0
    """From the request's arrival to its answer; what is not there by then is null, with an error."""
    objects: int = 100_000
    """Objects of a response, over all levels and at all positions: estimated before anything is asked from the pages
    that are asked for, and counted as they are made."""
    list_length: int = 3
    """What the estimate takes a list for, of whose length nothing is known."""
    cost: int | None = None
    """What an operation may cost by its estimate, by the weights of `@cost` and `@listSize`; without it, anything."""
    errors: int = 100
    """Errors listed in one response."""


class LimitExceeded(Exception):
    """An operation over a limit: `code` says which, the message what was allowed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Cost:
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    root_fields: int = 0
    introspections: int = 0
    meeting: dict[str, int] = field(default_factory=dict[str, int])
    """For each response key how many fields meet under it, or under one key further down."""

    @property
    def repeats(self) -> int:
        return max(self.meeting.values(), default=0)

    def meet(self, key: str, count: int) -> None:
        self.meeting[key] = self.meeting.get(key, 0) + count


INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})

# Fragments within fragments, and inline ones, deepen the recursion of this and every later walk, but not the response.
_MAX_NESTING = 100


def check_document(document: DocumentNode, limits: Limits) -> None:
    """LimitExceeded where an operation of the document goes over a limit, or its fragments go in a circle."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    counter = _Counter(fragments, limits)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            counter.refuse_excess(counter.cost(definition.selection_set, 0))
    for name in fragments:
        counter.fragment(name, 0)


class _Counter:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], limits: Limits) -> None:
        self._fragments = fragments
        self._limits = limits
        self._known: dict[str, _Cost] = {}
        self._open: set[str] = set()

    def cost(self, selection_set: SelectionSetNode, nesting: int) -> _Cost:
        if nesting > max(_MAX_NESTING, self._limits.depth):
            raise LimitExceeded("TOO_DEEP", f"the selections are nested more than {nesting - 1} levels deep")
        total = _Cost()
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                self._add_field(total, selection, nesting)
                continue
            if isinstance(selection, FragmentSpreadNode):
                part = self.fragment(selection.name.value, nesting + 1)
            elif isinstance(selection, InlineFragmentNode):
                part = self.cost(selection.selection_set, nesting + 1)
            else:
                raise TypeError(f"unknown kind of selection: {selection.kind}")
            total.depth = max(total.depth, part.depth)
            total.fields += part.fields
            total.aliases += part.aliases
            total.root_fields += part.root_fields
            total.introspections += part.introspections
            for key, count in part.meeting.items():
                total.meet(key, count)
        return total

    def _add_field(self, total: _Cost, node: FieldNode, nesting: int) -> None:
        total.fields += 1
        total.root_fields += 1
        total.aliases += node.alias is not None
        total.introspections += node.name.value in INTROSPECTION_FIELDS
        depth, repeats = 1, 1
        if node.selection_set is not None:
            below = self.cost(node.selection_set, nesting + 1)
            depth += below.depth
            total.fields += below.fields
            total.aliases += below.aliases
            total.introspections += below.introspections
            repeats = max(1, below.repeats)
        total.meet((node.alias or node.name).value, repeats)
        total.depth = max(total.depth, depth)

    def fragment(self, name: str, nesting: int) -> _Cost:
        fragment = self._fragments.get(name)
        if fragment is None:
            return _Cost()  # validation tells of it
        if name not in self._known:
            if name in self._open:
                raise LimitExceeded("FRAGMENT_CYCLE", f"the fragment {name} contains itself")
            self._open.add(name)
            self._known[name] = self.cost(fragment.selection_set, nesting)
            self._open.discard(name)
        return self._known[name]

    def refuse_excess(self, cost: _Cost) -> None:
        limits = self._limits
        for code, what, found, allowed in (
            ("TOO_DEEP", "levels of fields", cost.depth, limits.depth),
            ("TOO_MANY_ROOT_FIELDS", "root fields", cost.root_fields, limits.root_fields),
            ("TOO_MANY_ALIASES", "aliases", cost.aliases, limits.aliases),
            ("TOO_MANY_INTROSPECTIONS", "introspections", cost.introspections, limits.introspections),
            ("TOO_MANY_FIELDS", "fields", cost.fields, limits.fields),
            ("OPERATION_TOO_LARGE", "fields under one response key", cost.repeats, limits.repeats),
        ):
            if found > allowed:
                raise LimitExceeded(code, f"an operation has at most {allowed} {what}, found {found}")


def syntax_code(message: str) -> str:
    """The code of what graphql-core's parser refused: it tells what it gave up for in the message alone."""
    if "contains more than" in message:
        return "TOO_MANY_TOKENS"
    return "TOO_DEEP" if "nested too deeply" in message else "GRAPHQL_PARSE_FAILED"
