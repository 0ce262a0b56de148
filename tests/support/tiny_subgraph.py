"""A federated subgraph in one small file, written with graphql-core alone: an ASGI app that notes what it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import graphql

_MACHINERY = """
    scalar _Any
    type _Service {{ sdl: String }}
    union _Entity = {entities}
    extend type Query {{ _service: _Service! _entities(representations: [_Any!]!): [_Entity]! }}
"""


class TinySubgraph:
    """`root` gives values (or functions of `info` and arguments) for the root fields of `sdl`; `entities` gives, by
    type name, the function from a representation to the entity, a dict, or None.

    `requests` are the GraphQL requests so far; `events` what the server told the app of its life.
    """

    def __init__(
        self,
        sdl: str,
        root: Mapping[str, Any],
        entities: Mapping[str, Callable[[dict[str, Any]], dict[str, Any] | None]],
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.events: list[str] = []
        self._entities = entities
        self._root = {**root, "_service": {"sdl": sdl}, "_entities": self._find}
        machinery = _MACHINERY.format(entities=" | ".join(entities))
        self._schema = graphql.build_schema(sdl + machinery, assume_valid_sdl=True)

    def _find(self, _info: Any, representations: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
        found = [self._entities[one["__typename"]](one) for one in representations]
        return [
            entity and {"__typename": one["__typename"], **entity}
            for one, entity in zip(representations, found, strict=True)
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                self.events.append(event)
                await send({"type": f"lifespan.{event}.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["method"] == "GET":
            await self._respond(send, {"status": "ready"})
            return
        request = json.loads(body)
        self.requests.append(request)
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        result = graphql.graphql_sync(
            self._schema, request["query"], self._root, variable_values=request.get("variables")
        )
        await self._respond(send, result.formatted)

    async def _respond(self, send: Any, content: Any) -> None:
        body = json.dumps(content).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
_USERS = {"1": "Ada", "2": "Grace"}
_REVIEWS = [("first", "1"), ("second", "2"), ("third", "1")]


def users_subgraph() -> TinySubgraph:
    def user(id: str) -> dict[str, Any] | None:
        return {"id": id, "name": _USERS[id]} if id in _USERS else None

    return TinySubgraph(
        _LINK + 'type Query { me: User user(id: ID!): User } type User @key(fields: "id") { id: ID! name: String! }',
        {"me": user("1"), "user": lambda _info, id: user(id)},
        {"User": lambda one: user(one["id"])},
    )


def reviews_subgraph() -> TinySubgraph:
    users: dict[str, dict[str, Any]] = {id: {"id": id, "reviews": []} for id in _USERS}
    reviews = [{"body": body, "author": users[author]} for body, author in _REVIEWS]
    for (_, author), review in zip(_REVIEWS, reviews, strict=True):
        users[author]["reviews"].append(review)
    return TinySubgraph(
        _LINK + "type Query { reviews: [Review!]! }\ntype Review { body: String! author: User! }\n"
        'type User @key(fields: "id") { id: ID! reviews: [Review!]! }',
        {"reviews": reviews},
        {"User": lambda one: users.get(one["id"])},
    )
