"""What an operation defers, fragments (`@defer`) and the rest of lists (`@stream`), for the values of its variables.

An operation is prepared without these directives, which is how it is answered as a whole. Where it may come in parts,
it is prepared once more for each choice of what is deferred: the directives get numbers for labels, by which plan and
shape know them, and those that defer nothing go. Only queries come in parts: a mutation, whose fields are there only
once it has happened, is answered as a whole, and so is each message of a subscription.

https://github.com/graphql/graphql-spec/pull/1110
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, TypeVar, cast

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    NameNode,
    Node,
    StringValueNode,
    VariableNode,
    Visitor,
    visit,
)

from graphrouter.execution.errors import error_object
from graphrouter.planning.plan import STREAM
from graphrouter.request import RequestRefused

AnyNode = TypeVar("AnyNode", bound=Node)
AnySelection = TypeVar("AnySelection", FieldNode, InlineFragmentNode, FragmentSpreadNode)

Choice: TypeAlias = tuple[int | None, ...]
"""For each directive how many items of the list are there at once, 0 for a fragment; None where nothing is deferred."""

_Count: TypeAlias = int | str
"""A variable's name where the variable says how many."""

_EXPECTED: Final = "initialCount is expected to be at least 0"


@dataclass(frozen=True, slots=True)
class Deferred:
    """The `@defer` and `@stream` of an operation, by number: under which conditions each holds, how many items are
    there at once, and what the client calls it. `names` are the directives that mean this."""

    document: DocumentNode
    names: frozenset[str]
    conditions: tuple[bool | str, ...]
    """A variable's name where the variable decides."""
    counts: tuple[_Count, ...]
    labels: tuple[str | None, ...]

    def chosen(self, variables: Mapping[str, object]) -> Choice:
        """What is deferred; a variable that has no value leaves it at that.

        Raises:
            RequestRefused: a list cannot have so many items.
        """
        counts = [one if isinstance(one, int) else _counted(one, variables) for one in self.counts]
        holds = [one if isinstance(one, bool) else variables.get(one, True) is True for one in self.conditions]
        return tuple(count if held else None for count, held in zip(counts, holds, strict=True))

    def with_numbers(self, chosen: Choice) -> DocumentNode:
        """The document, in which the labels are numbers, and where only what is chosen is deferred."""
        return cast("DocumentNode", visit(self.document, _Relabelling(self.names, enumerate(chosen))))


def deferred(document: DocumentNode, names: frozenset[str]) -> Deferred | None:
    """What a document of one operation defers by directives of these names; None if nothing.

    Raises:
        RequestRefused: a list cannot have as many items as are to be there at once.
    """
    finder = _Finder(names)
    visit(document, finder)
    if not finder.found:
        return None
    return Deferred(
        document,
        names,
        tuple(_condition(one) for one in finder.found),
        tuple(_count(one) for one in finder.found),
        tuple(_label(one) for one in finder.found),
    )


def at_once(node: AnyNode, names: frozenset[str]) -> AnyNode:
    """The same, in which nothing is deferred by directives of these names."""
    return cast("AnyNode", visit(node, _Relabelling(names, iter(()))))


class _Finder(Visitor):
    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self._names = names
        self.found: list[DirectiveNode] = []

    def enter_directive(self, node: DirectiveNode, *_: Node | object) -> None:
        if node.name.value in self._names:
            self.found.append(node)


class _Relabelling(Visitor):
    def __init__(self, names: frozenset[str], chosen: Iterator[tuple[int, int | None]]) -> None:
        super().__init__()
        self._names = names
        self._chosen = chosen

    def enter_field(self, node: FieldNode, *_: Node | object) -> FieldNode | None:
        return self._relabelled(node)

    def enter_inline_fragment(self, node: InlineFragmentNode, *_: Node | object) -> InlineFragmentNode | None:
        return self._relabelled(node)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Node | object) -> FragmentSpreadNode | None:
        return self._relabelled(node)

    def _relabelled(self, node: AnySelection) -> AnySelection | None:
        if not any(directive.name.value in self._names for directive in node.directives or ()):
            return None
        directives: list[DirectiveNode] = []
        for directive in node.directives or ():
            if directive.name.value not in self._names:
                directives.append(directive)
                continue
            number, count = next(self._chosen, (0, None))
            if count is not None:
                label = ArgumentNode(name=NameNode(value="label"), value=StringValueNode(value=str(number)))
                first = ArgumentNode(name=NameNode(value="initialCount"), value=IntValueNode(value=str(count)))
                arguments = (label, first) if directive.name.value == STREAM else (label,)
                directives.append(replace(directive, arguments=arguments))
        return replace(node, directives=tuple(directives))


def _argument(node: DirectiveNode, name: str) -> Node | None:
    return next((one.value for one in node.arguments or () if one.name.value == name), None)


def _condition(node: DirectiveNode) -> bool | str:
    value = _argument(node, "if")
    if isinstance(value, VariableNode):
        return value.name.value
    return value.value if isinstance(value, BooleanValueNode) else value is None


def _count(node: DirectiveNode) -> _Count:
    value = _argument(node, "initialCount")
    if isinstance(value, VariableNode):
        return value.name.value
    count = 0 if value is None else int(value.value) if isinstance(value, IntValueNode) else None
    if count is None or count < 0:
        found = "null" if count is None else count
        raise RequestRefused(error_object(f"@stream: {_EXPECTED}, found {found}.", "GRAPHQL_VALIDATION_FAILED"))
    return count


def _counted(name: str, variables: Mapping[str, object]) -> int:
    value = variables.get(name, 0)
    if not isinstance(value, int | float) or value < 0:
        found = "null" if value is None else value
        raise RequestRefused(error_object(f"Variable '${name}': {_EXPECTED}, found {found}.", "INVALID_VARIABLES"))
    return int(value)


def _label(node: DirectiveNode) -> str | None:
    value = _argument(node, "label")
    return value.value if isinstance(value, StringValueNode) else None
