"""The parts of an answer, put together, are the answer that comes at once, over random federations.

Fragments of random operations are deferred and lists are streamed at random, with and without conditions. What is
pending is compared with graphql-core, which executes the same operation in parts over one schema.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentSpreadNode,
    GraphQLDeferDirective,
    GraphQLSchema,
    GraphQLStreamDirective,
    InlineFragmentNode,
    IntValueNode,
    NameNode,
    Node,
    SelectionSetNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    experimental_execute_incrementally,
    get_nullable_type,
    is_list_type,
    parse,
    print_ast,
    visit,
)
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from graphrouter.pipeline.deferring import deferred
from graphrouter.planning.check import check
from graphrouter.planning.render import render
from graphrouter.request import GraphQLRequest, StreamProgress
from tests.support.federations.compare import Federation, UnfitCaseError
from tests.support.federations.documents import random_documents
from tests.support.federations.operations import Operation, random_operation
from tests.support.incremental import Merged, Place, at, differences, merged


@pytest.mark.timeout(600)
@settings(max_examples=15, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(min_value=0, max_value=2**32))
async def test_the_parts_put_together_are_the_answer_that_comes_at_once(seed: int) -> None:
    for feature in await compared(seed, operations=3):
        event(feature)


async def compared(seed: int, operations: int) -> Counter[str]:
    """What has come up in operations over the federation of this seed."""
    random = Random(seed)
    documents, _ = random_documents(random)
    met: Counter[str] = Counter()
    try:
        around = Federation(documents)
    except UnfitCaseError:
        return met
    try:
        for number in range(operations):
            operation = random_operation(random, around.monolith, number)
            if operation.text.startswith("query"):
                await _compared(around, operation, random, met)
    finally:
        await around.aclose()
    return met


async def _compared(around: Federation, operation: Operation, random: Random, met: Counter[str]) -> None:
    document = parse(operation.text)
    if random.random() < 0.6:
        types = TypeInfo(around.monolith)
        document = visit(document, TypeInfoVisitor(types, _Streaming(random, operation, types)))
    if random.random() < 0.6 or document == parse(operation.text):
        document = visit(document, _Deferring(random, operation))
    query = print_ast(document)
    whole = await around.router.execute(query, operation.variables)
    if whole.refused:
        met["not valid"] += 1
        return
    met["fetches for a rest"] += _check_plan(around, document, operation)
    request = GraphQLRequest(query, operation.variables)
    bodies = [part.body() async for part in around.router.stream(request) if not isinstance(part, StreamProgress)]
    found = merged(bodies)
    met.update({"operations": 1, "in parts": len(bodies) > 1, "failed": bool(found.failed)})
    met["items later"] += bool(found.lists)
    shown = f"{query}\n{operation.variables}\n{bodies}"
    assert differences(found, whole.data) == [], shown
    if not whole.errors:
        assert found.errors == [], shown
        # What is announced later depends on what has come before, where fragments have fields in common.
        expected = await _by_the_reference(around, document, operation)
        # graphql-core announces the rest of a list before it knows whether there is one.
        none = {
            one for one in expected.pending if isinstance(at(whole.data, one[0]), list) and one[0] not in expected.lists
        }
        missing = expected.pending - none - found.pending
        assert found.pending <= expected.pending, shown
        assert not missing or _is_torn(document, missing), shown
        met["lists that are streamed for some types only"] += bool(missing)
        met["compared with the reference"] += 1


def _check_plan(around: Federation, document: DocumentNode, operation: Operation) -> int:
    """How many of the plan's fetches are for the rest of a list."""
    found = deferred(document, around.router.supergraph.deferring_directives)
    if found is None:
        return 0
    chosen = found.with_numbers(found.chosen(operation.variables))
    plan = around.router.planner.plan(chosen)
    problems = check(plan, chosen, around.supergraph)
    assert not problems, "\n".join([*problems, print_ast(document), render(plan)])
    return sum(any(one.directive == "stream" for one in fetch.deferrals) for fetch in plan.fetches)


async def _by_the_reference(around: Federation, document: DocumentNode, operation: Operation) -> Merged:
    """What graphql-core gives, over one schema."""
    known = around.monolith.to_kwargs()
    known["directives"] = (*around.monolith.directives, GraphQLDeferDirective, GraphQLStreamDirective)
    result: Any = experimental_execute_incrementally(
        GraphQLSchema(**known), document, variable_values=operation.variables
    )
    if hasattr(result, "__await__"):
        result = await result
    if isinstance(result, ExecutionResult):
        return merged([dict(result.formatted)])
    first, others = result
    return merged([first.formatted, *[part.formatted async for part in others]])


def _is_torn(document: DocumentNode, missing: set[tuple[Place, str | None]]) -> bool:
    """Whether the lists that are missing are asked for without `@stream`, too, under a type condition."""
    streamed: dict[str, set[bool]] = {}

    class Finder(Visitor):
        def enter_field(self, node: FieldNode, *_: Node | object) -> None:
            has = any(one.name.value == "stream" for one in node.directives or ())
            streamed.setdefault((node.alias or node.name).value, set()).add(has)

    visit(document, Finder())
    keys = [next(step for step in reversed(place) if isinstance(step, str)) for place, _ in missing]
    return all(len(streamed.get(key, ())) == 2 for key in keys)


class _Streaming(Visitor):
    """Streams some lists. Fields that are merged with such a one are not valid, so there are none too many."""

    def __init__(self, random: Random, operation: Operation, types: TypeInfo) -> None:
        super().__init__()
        self._random = random
        self._conditions = sorted({"t", "f"} & operation.declared)
        self._types = types

    def leave_field(self, node: FieldNode, *_: Node | object) -> FieldNode | None:
        if not is_list_type(get_nullable_type(self._types.get_type())) or self._random.random() < 0.4:
            return None
        arguments: list[ArgumentNode] = []
        if count := self._random.choice((0, 1, 1, 2)):
            arguments.append(_argument("initialCount", IntValueNode(value=str(count))))
        if self._conditions and self._random.random() < 0.2:
            condition = VariableNode(name=NameNode(value=self._random.choice(self._conditions)))
            arguments.append(_argument("if", condition))
        directive = DirectiveNode(name=NameNode(value="stream"), arguments=tuple(arguments))
        return replace(node, directives=(*(node.directives or ()), directive))


class _Deferring(Visitor):
    """Defers some of the fragments that there are, and some fields, in fragments of their own."""

    def __init__(self, random: Random, operation: Operation) -> None:
        super().__init__()
        self._random = random
        self._conditions = sorted({"t", "f"} & operation.declared)
        self._labels = 0

    def leave_selection_set(self, node: SelectionSetNode, *_: Node | object) -> SelectionSetNode:
        fields = [one for one in node.selections if isinstance(one, FieldNode)]
        chosen = [one for one in fields if self._random.random() < 0.25]
        if not chosen:
            return node
        kept = [one for one in node.selections if one not in chosen or self._random.random() < 0.15]
        inner = SelectionSetNode(selections=tuple(chosen))
        deferred = InlineFragmentNode(type_condition=None, directives=(self._directive(),), selection_set=inner)
        return replace(node, selections=(*kept, deferred))

    def leave_inline_fragment(self, node: InlineFragmentNode, *_: Node | object) -> InlineFragmentNode:
        return replace(node, directives=self._maybe(node.directives))

    def leave_fragment_spread(self, node: FragmentSpreadNode, *_: Node | object) -> FragmentSpreadNode:
        return replace(node, directives=self._maybe(node.directives))

    def _maybe(self, directives: tuple[DirectiveNode, ...] | None) -> tuple[DirectiveNode, ...]:
        known = directives or ()
        if any(one.name.value == "defer" for one in known) or self._random.random() < 0.5:
            return known
        return (*known, self._directive())

    def _directive(self) -> DirectiveNode:
        arguments: list[ArgumentNode] = []
        if self._random.random() < 0.7:
            self._labels += 1
            arguments.append(_argument("label", StringValueNode(value=f"l{self._labels}")))
        if self._random.random() < 0.2:
            arguments.append(_argument("if", BooleanValueNode(value=self._random.random() < 0.5)))
        elif self._conditions and self._random.random() < 0.3:
            name = self._random.choice(self._conditions)
            arguments.append(_argument("if", VariableNode(name=NameNode(value=name))))
        return DirectiveNode(name=NameNode(value="defer"), arguments=tuple(arguments))


def _argument(name: str, value: Any) -> ArgumentNode:
    return ArgumentNode(name=NameNode(value=name), value=value)
