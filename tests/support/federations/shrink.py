"""Makes a failing case small: takes away parts of the operation and of the subgraphs as long as it fails likewise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    Node,
    Visitor,
    VisitorAction,
    parse,
    print_ast,
    visit,
)
from graphql.language.visitor import REMOVE

from tests.support.federations.compare import Case, Difference, Federation, UnfitCaseError

REMOVABLE = ("field", "inline_fragment", "fragment_spread", "fragment_definition", "variable_definition", "argument")
REMOVABLE_IN_SCHEMAS = (
    "object_type_definition",
    "object_type_extension",
    "interface_type_definition",
    "union_type_definition",
    "enum_type_definition",
    "input_object_type_definition",
    "field_definition",
    "input_value_definition",
    "directive",
)


async def shrunk(case: Case, found: Difference, seconds: float = 60) -> tuple[Case, Difference]:
    """The smallest case found in so many seconds of computing, and what is wrong with it: likewise."""
    end = time.process_time() + seconds
    federation = Federation(case.documents)
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(case):
            if time.process_time() > end:
                return case, found
            try:
                same = smaller.documents == case.documents
                around = federation if same else Federation(smaller.documents)
                still = await around.difference(smaller)
            except (UnfitCaseError, GraphQLError, LookupError, TypeError, ValueError, StopIteration, RuntimeError):
                continue
            if still is not None and still.kind == found.kind:
                case, found, federation, progress = smaller, still, around, True
                break
    return case, found


def _smaller(case: Case) -> Iterator[Case]:
    for query in without_one_part(case.query, REMOVABLE):
        variables = {name: value for name, value in case.variables.items() if f"${name}" in query}
        yield replace(case, query=query, variables=variables)
    for name in case.documents:
        yield replace(case, documents={other: text for other, text in case.documents.items() if other != name})
    for name, text in case.documents.items():
        for less in without_one_part(text, REMOVABLE_IN_SCHEMAS):
            yield replace(case, documents={**case.documents, name: less})


def without_one_part(text: str, kinds: tuple[str, ...]) -> Iterator[str]:
    """The document with one node taken out, in turn each node of these kinds; the large ones first."""
    document = parse(text, no_location=True)
    nodes: list[tuple[int, Node]] = []

    class Collect(Visitor):
        def enter(self, node: Node, *_: Any) -> None:
            if node.kind in kinds:
                nodes.append((len(print_ast(node)), node))

    visit(document, Collect())
    for _, node in sorted(nodes, key=lambda one: -one[0]):
        yield print_ast(_without(document, node))


def _without(document: DocumentNode, gone: Node) -> DocumentNode:
    class Remove(Visitor):
        def enter(self, node: Node, *_: Any) -> VisitorAction:
            return REMOVE if node is gone else None

    found: DocumentNode = visit(document, Remove())
    return found
