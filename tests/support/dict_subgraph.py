"""A subgraph of dicts and functions, executed by graphql-core: it validates what it is asked, and keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import graphql

from graphrouter import GraphRouter, RouterOptions
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.supergraph import read_supergraph
from graphrouter.transport import SubgraphRequest, SubgraphResponse

LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
  import: ["@key", "@requires", "@external", "@shareable", "@provides", "@interfaceObject", "@inaccessible"])
"""

Entities = Mapping[str, Callable[[dict[str, Any]], dict[str, Any] | Exception | None]]


class DictSubgraph:
    """`root` gives the values of the root fields, `entities` by type name what a representation stands for.

    A value may be a function of `info` and the arguments, or an exception. `documents` and `variables` are what was
    asked; while `down` is true, no answer comes.
    """

    def __init__(self, sdl: str, root: Mapping[str, Any] | None = None, entities: Entities | None = None) -> None:
        self.sdl = LINK + sdl
        self.documents: list[str] = []
        self.variables: list[dict[str, Any]] = []
        self.down = False
        machinery = "\nscalar _Any type _Service { sdl: String } extend type Query { _service: _Service }"
        if entities:
            types = [name for name in entities if f"interface {name}" not in sdl]
            machinery += f"\nunion _Entity = {' | '.join(types)}"
            machinery += " extend type Query { _entities(representations: [_Any!]!): [_Entity]! }"
        own = sdl if "type Query" in sdl else f"{sdl} type Query {{ _nothing: Int }}"
        self._schema = graphql.build_schema(own + machinery, assume_valid_sdl=True)
        self._root: dict[str, Any] = {**(root or {}), "_entities": self._find}
        self._entities = entities or {}

    def _find(self, _info: Any, representations: list[dict[str, Any]]) -> list[Any]:
        found = [(one, self._entities[one["__typename"]](one)) for one in representations]
        return [
            {"__typename": one["__typename"], **entity} if isinstance(entity, dict) else entity for one, entity in found
        ]

    async def start(self) -> None:
        """Nothing to prepare."""

    async def aclose(self) -> None:
        """Nothing is open."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        asked = json.loads(request.body)
        self.documents.append(asked["query"])
        self.variables.append(asked.get("variables", {}))
        if self.down:
            return SubgraphResponse(503, {}, b"")
        document = graphql.parse(asked["query"])
        errors = graphql.validate(self._schema, document)
        if errors:
            answer: dict[str, Any] = {"errors": [{"message": error.message} for error in errors]}
        else:
            result = await graphql.graphql(
                self._schema, asked["query"], self._root, variable_values=asked.get("variables")
            )
            answer = dict(result.formatted)
        return SubgraphResponse(200, {}, json.dumps(answer).encode())


def router_over(subgraphs: Mapping[str, DictSubgraph], options: RouterOptions | None = None) -> GraphRouter:
    """A router over these subgraphs, composed."""
    composed = compose([SubgraphSdl(name, "", one.sdl) for name, one in subgraphs.items()])
    return GraphRouter(read_supergraph(composed.supergraph_sdl), subgraphs, options)
