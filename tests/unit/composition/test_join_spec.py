"""The supergraph's text."""

from __future__ import annotations

import pytest
from graphql import build_schema, validate_schema

from tests.unit.composition.composing import composed
from tests.unit.composition.test_codes import HINTS
from tests.unit.composition.test_satisfiability import ANSWERED


def test_a_small_supergraph_as_a_whole() -> None:
    text = composed(
        users='type Query { me: User } type User @key(fields: "id") { id: ID! }',
        reviews="""
            "A person"
            type User @key(fields: "id") { id: ID! "Newest first" reviews("At most" first: Int = 10): [String!]! }
        """,
    ).supergraph_sdl
    head, rest = text.split("directive @join__directive", 1)
    assert (
        head
        == """\
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.4", for: EXECUTION)
{
  query: Query
}

"""
    )
    assert (
        rest[rest.index("enum join__Graph") :]
        == '''\
enum join__Graph {
  REVIEWS @join__graph(name: "reviews", url: "http://reviews")
  USERS @join__graph(name: "users", url: "http://users")
}

type Query
  @join__type(graph: REVIEWS)
  @join__type(graph: USERS)
{
  me: User @join__field(graph: USERS)
}

"""A person"""
type User
  @join__type(graph: REVIEWS, key: "id")
  @join__type(graph: USERS, key: "id")
{
  id: ID!
  """Newest first"""
  reviews(
    """At most"""
    first: Int = 10
  ): [String!]! @join__field(graph: REVIEWS)
}
'''
    )


@pytest.mark.parametrize("subgraphs", [*ANSWERED.values(), *HINTS.values()], ids=[*ANSWERED, *HINTS])
def test_the_text_is_a_valid_schema(subgraphs: dict[str, str]) -> None:
    assert validate_schema(build_schema(composed(**subgraphs).supergraph_sdl)) == []
