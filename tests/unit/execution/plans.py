"""Tiny constructors for hand-made plans, and subgraphs that answer from a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import orjson
from graphql import OperationDefinitionNode, build_schema, parse

from graphrouter import GraphRouter, RouterOptions
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.execution.errors import ResponseErrors
from graphrouter.execution.execute import Execution, SubgraphSettings
from graphrouter.execution.misfits import ShapeErrors
from graphrouter.execution.prepare import PreparedPlan
from graphrouter.execution.shape import compile_shape
from graphrouter.planning.plan import (
    EntityFetch,
    EntityGroup,
    Fetch,
    InputField,
    Key,
    Path,
    QueryPlan,
    Representation,
    RootFetch,
    Target,
    TypeIs,
)
from graphrouter.supergraph import read_supergraph
from graphrouter.transport import SubgraphRequest, SubgraphResponse

Answer = Any
"""JSON; or bytes, a response, or an exception; or a function of the request's JSON that gives one of these."""


def path(text: str) -> Path:
    """`users.friends`, `node|User,Admin.name`: keys with dots, type conditions after a bar."""
    steps: list[Key | TypeIs] = []
    for part in filter(None, text.split(".")):
        key, _, types = part.partition("|")
        steps.append(Key(key))
        if types:
            steps.append(TypeIs(frozenset(types.split(","))))
    return tuple(steps)


def root(number: int, subgraph: str, document: str, **options: Any) -> RootFetch:
    options = {"kind": "query", "operation_name": None, "variables": (), **options}
    return RootFetch(id=number, subgraph=subgraph, document=document, **options)


def by_key(*names: str, typename: str | None = None) -> Representation:
    return Representation(typename, tuple(InputField(name, name) for name in names))


def target(at: str, representation: Representation | None = None, **options: Any) -> Target:
    return Target(path(at), representation or by_key("id"), **options)


def entities(
    number: int, subgraph: str, *targets: Target, after: tuple[int, ...] = (0,), **options: Any
) -> EntityFetch:
    group = EntityGroup("_entities", "representations", targets, options.pop("renames", ()))
    document = "query($representations:[_Any!]!){_entities(representations:$representations){...on T{x}}}"
    options = {"operation_name": None, "variables": (), **options}
    return EntityFetch(number, subgraph, document, groups=(group,), depends_on=after, **options)


class Scripted:
    """A subgraph that answers its n-th request with the n-th answer, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[dict[str, Any]] = []
        self.raw: list[SubgraphRequest] = []
        self._answers = list(answers)

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        self.raw.append(request)
        self.requests.append(json.loads(request.body))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            answer = answer(self.requests[-1])
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, SubgraphResponse):
            return answer
        return SubgraphResponse(200, {}, answer if isinstance(answer, bytes) else orjson.dumps(answer))

    @property
    def representations(self) -> list[Any]:
        return [request["variables"]["representations"] for request in self.requests]


async def execute(
    fetches: tuple[Fetch, ...],
    subgraphs: Mapping[str, Scripted],
    *,
    variables: Mapping[str, object] | None = None,
    kind: Any = "query",
    bookmark: str = "",
) -> Execution:
    execution = Execution(
        plan=PreparedPlan.of(QueryPlan(kind, fetches)),
        settings=SubgraphSettings(subgraphs, frozenset({"User", "Review", "Admin"})),
        variables=variables or {},
        headers=(),
        deadline=asyncio.get_running_loop().time() + 5,
        bookmark=bookmark,
        errors=ResponseErrors(),
    )
    await execution.run()
    return execution


LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
  import: ["@key", "@requires", "@external", "@shareable", "@interfaceObject"])
"""


def routed(options: RouterOptions | None = None, /, **subgraphs: tuple[str, Scripted]) -> GraphRouter:
    """A router over subgraphs that are a schema and a script each."""
    sdls = [
        SubgraphSdl(name=name, url="", sdl=sdl if "@link" in sdl else LINK + sdl)
        for name, (sdl, _) in subgraphs.items()
    ]
    supergraph = read_supergraph(compose(sdls).supergraph_sdl)
    return GraphRouter(supergraph, {name: script for name, (_, script) in subgraphs.items()}, options)


def shaped(execution: Execution, schema: str, operation: str) -> tuple[Any, list[Any]]:
    """The response's data and errors, for an operation without fragments or conditions."""
    node = parse(operation).definitions[0]
    assert isinstance(node, OperationDefinitionNode)
    found = ShapeErrors()
    data = compile_shape(build_schema(schema), node, {}, {})(execution.data, None, found)
    found.tell(execution.errors)
    return data, execution.errors.as_list()
