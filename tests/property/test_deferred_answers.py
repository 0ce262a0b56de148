"""The parts of an answer, put together, are the answer that comes at once, over random federations.

Fragments of random operations are deferred at random, with and without conditions. What is pending is compared with
graphql-core, which executes the same operation in parts over one schema.
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
    InlineFragmentNode,
    NameNode,
    Node,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    Visitor,
    experimental_execute_incrementally,
    parse,
    print_ast,
    visit,
)
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from graphrouter.pipeline.deferring import deferred_fragments
from graphrouter.planning.check import check
from graphrouter.planning.render import render
from graphrouter.request import GraphQLRequest, StreamProgress
from tests.support.federations.compare import Federation, UnfitCaseError
from tests.support.federations.documents import random_documents
from tests.support.federations.operations import Operation, random_operation
from tests.support.incremental import Merged, differences, merged


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
    document = visit(parse(operation.text), _Deferring(random, operation))
    query = print_ast(document)
    whole = await around.router.execute(query, operation.variables)
    if whole.refused:
        met["not valid"] += 1
        return
    _check_plan(around, document, operation)
    request = GraphQLRequest(query, operation.variables)
    bodies = [part.body() async for part in around.router.stream(request) if not isinstance(part, StreamProgress)]
    found = merged(bodies)
    met.update({"operations": 1, "in parts": len(bodies) > 1, "failed fragments": bool(found.failed)})
    shown = f"{query}\n{operation.variables}\n{bodies}"
    assert differences(found, whole.data) == [], shown
    if not whole.errors:
        assert found.errors == [], shown
        # What is announced later depends on what has come before, where fragments have fields in common.
        expected = await _by_the_reference(around, document, operation)
        assert found.pending == expected.pending, shown
        met["compared with the reference"] += 1


def _check_plan(around: Federation, document: DocumentNode, operation: Operation) -> None:
    deferred = deferred_fragments(document)
    if deferred is None:
        return
    chosen = deferred.with_numbers(deferred.chosen(operation.variables))
    plan = around.router.planner.plan(chosen)
    problems = check(plan, chosen, around.supergraph)
    assert not problems, "\n".join([*problems, print_ast(document), render(plan)])


async def _by_the_reference(around: Federation, document: DocumentNode, operation: Operation) -> Merged:
    """What graphql-core gives, over one schema."""
    known = around.monolith.to_kwargs()
    known["directives"] = (*around.monolith.directives, GraphQLDeferDirective)
    result: Any = experimental_execute_incrementally(
        GraphQLSchema(**known), document, variable_values=operation.variables
    )
    if hasattr(result, "__await__"):
        result = await result
    if isinstance(result, ExecutionResult):
        return merged([dict(result.formatted)])
    first, others = result
    return merged([first.formatted, *[part.formatted async for part in others]])


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
