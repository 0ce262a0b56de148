"""Which fragments of an operation are deferred, for the values that its variables have.

An operation is prepared without `@defer`, which is how it is answered as a whole. Where it may come in parts, it is
prepared once more for each choice of fragments that are deferred: their `@defer` get numbers for labels, by which plan
and shape know them, the others go. Only queries come in parts: a mutation, whose fields are there only once it has
happened, is answered as a whole, and so is each message of a subscription.

https://github.com/graphql/graphql-spec/pull/1110
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NameNode,
    Node,
    StringValueNode,
    VariableNode,
    Visitor,
    visit,
)

from graphrouter.planning.plan import DEFER

AnyNode = TypeVar("AnyNode", bound=Node)
AnyFragment = TypeVar("AnyFragment", InlineFragmentNode, FragmentSpreadNode)


@dataclass(frozen=True, slots=True)
class DeferredFragments:
    """The `@defer` of an operation: under which conditions each holds, and what the client calls it, by number."""

    document: DocumentNode
    conditions: tuple[bool | str, ...]
    """A variable's name where the variable decides."""
    labels: tuple[str | None, ...]

    def chosen(self, variables: Mapping[str, object]) -> tuple[bool, ...]:
        """Which of them are deferred; a variable that has no value leaves it at that."""
        return tuple(one if isinstance(one, bool) else variables.get(one, True) is True for one in self.conditions)

    def with_numbers(self, chosen: tuple[bool, ...]) -> DocumentNode:
        """The document, in which the labels are numbers, and where only what is chosen is deferred."""
        numbers = (str(number) if is_chosen else None for number, is_chosen in enumerate(chosen))
        return cast("DocumentNode", visit(self.document, _Relabelling(numbers)))


def deferred_fragments(document: DocumentNode) -> DeferredFragments | None:
    """What a document of one operation defers; None if nothing."""
    finder = _Finder()
    visit(document, finder)
    if not finder.found:
        return None
    conditions = tuple(_condition(one) for one in finder.found)
    return DeferredFragments(document, conditions, tuple(_label(one) for one in finder.found))


def without_defer(node: AnyNode) -> AnyNode:
    """The same, in which nothing is deferred."""
    return cast("AnyNode", visit(node, _Relabelling(iter(()))))


class _Finder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[DirectiveNode] = []

    def enter_directive(self, node: DirectiveNode, *_: Node | object) -> None:
        if node.name.value == DEFER:
            self.found.append(node)


class _Relabelling(Visitor):
    def __init__(self, numbers: Iterator[str | None]) -> None:
        super().__init__()
        self._numbers = numbers

    def enter_inline_fragment(self, node: InlineFragmentNode, *_: Node | object) -> InlineFragmentNode | None:
        return self._relabelled(node)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Node | object) -> FragmentSpreadNode | None:
        return self._relabelled(node)

    def _relabelled(self, node: AnyFragment) -> AnyFragment | None:
        if not any(directive.name.value == DEFER for directive in node.directives or ()):
            return None
        directives: list[DirectiveNode] = []
        for directive in node.directives or ():
            if directive.name.value != DEFER:
                directives.append(directive)
            elif (number := next(self._numbers, None)) is not None:
                label = ArgumentNode(name=NameNode(value="label"), value=StringValueNode(value=number))
                directives.append(replace(directive, arguments=(label,)))
        return replace(node, directives=tuple(directives))


def _argument(node: DirectiveNode, name: str) -> Node | None:
    return next((one.value for one in node.arguments or () if one.name.value == name), None)


def _condition(node: DirectiveNode) -> bool | str:
    value = _argument(node, "if")
    if isinstance(value, VariableNode):
        return value.name.value
    return value.value if isinstance(value, BooleanValueNode) else value is None


def _label(node: DirectiveNode) -> str | None:
    value = _argument(node, "label")
    return value.value if isinstance(value, StringValueNode) else None
