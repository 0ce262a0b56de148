"""A fourth subgraph in one file: users write posts. With graphql-core and Starlette, and no library for federation.

python posts.py [PORT]
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["graphql-core>=3.3", "starlette", "uvicorn"]
# ///

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import uvicorn
from graphql import GraphQLError, build_schema, graphql
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

# What this subgraph has to say. `User` belongs to another one: here it gets a field more, by its key.
SDL = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])

type Query {
  "What was written last."
  latestPosts(first: Int! = 10): [Post!]!
}

type Mutation {
  "Write a post."
  writePost(authorId: ID!, text: String!): Post
}

"Something that a user has written."
type Post @key(fields: "id") {
  id: ID!
  text: String!
  author: User
}

type User @key(fields: "id") {
  id: ID!
  "What the user has written, the latest first."
  posts: [Post!]!
}
"""

# What every subgraph has besides:
# https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec
MACHINERY = """
scalar _Any
union _Entity = Post | User
type _Service { sdl: String! }
extend type Query { _service: _Service!  _entities(representations: [_Any!]!): [_Entity]! }
"""

Object = dict[str, Any]
"""A GraphQL object: field names to values, or to functions that give the value."""

written: list[Object] = []
"""All posts, the oldest first, until the process ends: this is an example."""


def user(id: str) -> Object:
    """Whether there is such a user is not known here, and need not be: the subgraph that owns users says so."""
    return {"__typename": "User", "id": id, "posts": lambda _: [post for post in written[::-1] if post["by"] == id]}


def post(id: str) -> Object | None:
    return written[int(id)] if id.isdecimal() and int(id) < len(written) else None


def write_post(_: object, authorId: str, text: str) -> Object:  # noqa: N803 - GraphQL's name for it
    if not text:
        raise GraphQLError("expected a text, found none", extensions={"code": "INVALID_INPUT"})
    new: Object = {"__typename": "Post", "id": str(len(written)), "text": text, "by": authorId}
    new["author"] = lambda _: user(authorId)
    written.append(new)
    return new


def latest_posts(_: object, first: int) -> list[Object]:
    return written[::-1][: max(first, 0)]


def entities(_: object, representations: list[Mapping[str, str]]) -> list[Object | None]:
    """For each representation (a type's name and a key) the object, in their order: null where there is none."""
    find = {"User": user, "Post": post}
    return [find[one["__typename"]](one["id"]) for one in representations]


SCHEMA = build_schema(SDL + MACHINERY, assume_valid_sdl=True)  # the router knows the directives, graphql-core does not
ROOT = {
    "latestPosts": latest_posts,
    "writePost": write_post,
    "_service": {"sdl": SDL},
    "_entities": entities,
}


async def answer(request: Request) -> JSONResponse:
    asked = await request.json()
    result = await graphql(SCHEMA, asked["query"], ROOT, variable_values=asked.get("variables"))
    return JSONResponse(result.formatted)


app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]) if len(sys.argv) > 1 else 9004, log_level="warning")
