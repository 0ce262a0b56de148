"""One form for all the ways to write an operation."""

from __future__ import annotations

from textwrap import dedent

import pytest
from graphql import parse, validate

from graphrouter.planning.planner import QueryPlanner
from tests.support.supergraphs import supergraph

GRAPH = supergraph(
    """
    type Query @t(A) { x(a: Int, b: [Int]): X node: Node either: Either }
    interface Node @t(A) { id: ID! n: Int }
    type X implements Node @i(A, interface: "Node") @t(A) { id: ID! n: Int x: X node: Node }
    type Y implements Node @i(A, interface: "Node") @t(A) { id: ID! n: Int y: Int }
    type Z @t(A) { z: Int }
    union Either @t(A) = X | Z
    """,
    "A",
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("{ x { ...F } } fragment F on X { id n }", "query { x { id n } }"),
        ("{ x { id } x { n } }", "query { x { id n } }"),
        ("{ x { ... on Node { id } ... on X { n } ... { id } } }", "query { x { id n } }"),
        ("{ node { id ... on X { id n } } }", "query { node { id ... on X { n } } }"),
        ("{ node { ... on Node { id } } }", "query { node { id } }"),
        ("{ node { ... on X { ... on Node { ... on Y { y } id } } } }", "query { node { ... on X { id } } }"),
        ("{ either { ... on Node { id } } }", "query { either { ... on Node { id } } }"),
        ("{ x { id @skip(if: true) n @include(if: true) } }", "query { x { n } }"),
        ("{ x { n @skip(if: true) } }", "query { x { __typename } }"),
        ("{ x(b: [1, 2], a: 1) { n } }", "query { x(a:1,b:[1, 2]) { n } }"),
        ("{ x { x { id } } x { x { n } } }", "query { x { x { id n } } }"),
        (
            "query ($v: Boolean!) { x { id @include(if: $v) n @include(if: $v) } }",
            "query($v:Boolean!) { x { ... @include(if:$v) { id n } } }",
        ),
        (
            "query ($v: Boolean!) { x @include(if: $v) { id @include(if: $v) n @skip(if: $v) } }",
            "query($v:Boolean!) { ... @include(if:$v) { x { id } } }",
        ),
        ("query ($v: Boolean!) { x { id ... @skip(if: $v) { id } } }", "query($v:Boolean!) { x { id } }"),
        (
            "query ($v: Boolean!, $w: Boolean!) { x { ... @skip(if: $v) { ... @include(if: $w) { id } } } }",
            "query($v:Boolean!,$w:Boolean!) { x { ... @skip(if:$v) @include(if:$w) { id } } }",
        ),
        ("query Named { a: x { b: n } }", "query Named { a: x { b: n } }"),
    ],
)
def test_an_operation_has_one_form(text: str, normal: str) -> None:
    document = parse(text)
    assert validate(GRAPH.api_schema, document) == []
    assert " ".join(str(QueryPlanner(GRAPH).normalize(document)).split()) == normal


def test_the_form_is_printed_over_several_lines() -> None:
    document = parse("{ node { ... on X { x { id } } } }")
    assert str(QueryPlanner(GRAPH).normalize(document)) == dedent(
        """\
        query {
          node {
            ... on X {
              x {
                id
              }
            }
          }
        }
        """
    )
