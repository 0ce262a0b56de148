"""The generated files at the repository's top: schema.graphql for clients, supergraph.graphql for routers, and
asyncapi.json for those who read the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from graphql import print_schema

from eventgraph.describing import asyncapi
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.supergraph import read_supergraph
from subgraphs.friends.schema import schema as friends_schema
from subgraphs.recommendations.schema import schema as recommendations_schema
from subgraphs.users.schema import schema as users_schema

URLS: Final = {
    "users": "http://127.0.0.1:9001/graphql",
    "friends": "http://127.0.0.1:9002/graphql",
    "recommendations": "http://127.0.0.1:9003/graphql",
}
"""Where `kith up --http` puts the subgraphs."""


def supergraph_sdl(urls: Mapping[str, str] = URLS) -> str:
    """The supergraph of the three subgraphs, found at these URLs."""
    schemas = {"users": users_schema, "friends": friends_schema, "recommendations": recommendations_schema}
    return compose(
        [SubgraphSdl(name=name, url=urls[name], sdl=schema.as_str()) for name, schema in schemas.items()]
    ).supergraph_sdl


def texts() -> Mapping[str, str]:
    """The files' texts by their names."""
    supergraph = supergraph_sdl()
    api = print_schema(read_supergraph(supergraph).api_schema)
    return {
        "schema.graphql": api.rstrip() + "\n",
        "supergraph.graphql": supergraph.rstrip() + "\n",
        "asyncapi.json": asyncapi.document(),
    }


def write(folder: Path) -> Sequence[Path]:
    for name, text in texts().items():
        (folder / name).write_text(text)
    return [folder / name for name in texts()]


def stale(folder: Path) -> Sequence[Path]:
    """Those files that are missing or differ from what the subgraphs' schemas give now."""
    return [
        folder / name
        for name, text in texts().items()
        if not (folder / name).exists() or (folder / name).read_text() != text
    ]
