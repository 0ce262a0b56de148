"""A subgraph as an ASGI app, out of a schema and plain values: graphql-core, and federation's two fields by hand."""
# ruff: noqa: INP001 - the example is run from its own folder

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphql import build_schema, graphql
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MACHINERY = """
scalar _Any
union _Entity = {entities}
type _Service {{ sdl: String! }}
extend type Query {{ _service: _Service!  _entities(representations: [_Any!]!): [_Entity]! }}
"""


def subgraph(
    sdl_file: Path, root: Mapping[str, Any], entities: Mapping[str, Callable[[str], Mapping[str, Any] | None]]
) -> Starlette:
    """`root` has the values of the root fields, `entities`, by type name, the functions from an id to the entity."""

    def find(_: object, representations: list[Mapping[str, str]]) -> list[Mapping[str, Any] | None]:
        found = [entities[one["__typename"]](one["id"]) for one in representations]
        return [
            entity and {"__typename": one["__typename"], **entity}
            for one, entity in zip(representations, found, strict=True)
        ]

    async def answer(request: Request) -> JSONResponse:
        asked = await request.json()
        result = await graphql(schema, asked["query"], values, variable_values=asked.get("variables"))
        return JSONResponse(result.formatted)

    sdl = sdl_file.read_text()
    schema = build_schema(sdl + MACHINERY.format(entities=" | ".join(entities)), assume_valid_sdl=True)
    values = {**root, "_service": {"sdl": sdl}, "_entities": find}
    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])])
