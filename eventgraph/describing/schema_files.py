"""The generated files of a system: schema.graphql, reference.md and postman.json for clients, supergraph.graphql for
routers, asyncapi.json for those who read the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphql import print_schema

from eventgraph.describing import asyncapi, postman, reference
from eventgraph.system import ROUTER_PORT, System
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.supergraph import read_supergraph


def supergraph_sdl(system: System, urls: Mapping[str, str]) -> str:
    """The supergraph of the system's subgraphs, found at these URLs."""
    return compose(
        [
            SubgraphSdl(name=subgraph.name, url=urls[subgraph.name], sdl=subgraph.api().schema.as_str())
            for subgraph in system.subgraphs
        ]
    ).supergraph_sdl


def texts(system: System) -> Mapping[str, str]:
    """The files' texts by their names."""
    supergraph = supergraph_sdl(system, system.urls)
    api = read_supergraph(supergraph).with_defer().api_schema
    origin = f"http://127.0.0.1:{ROUTER_PORT}"
    return {
        "schema.graphql": print_schema(api).rstrip() + "\n",
        "reference.md": reference.page(system.title, api),
        "postman.json": postman.collection(system.title, api, system.examples(), origin),
        "supergraph.graphql": supergraph.rstrip() + "\n",
        "asyncapi.json": asyncapi.document(system),
    }


def write(system: System, folder: Path) -> Sequence[Path]:
    found = texts(system)
    for name, text in found.items():
        (folder / name).write_text(text)
    return [folder / name for name in found]


def stale(system: System, folder: Path) -> Sequence[Path]:
    """Those files that are missing or differ from what the system's declaration gives now."""
    return [
        folder / name
        for name, text in texts(system).items()
        if not (folder / name).exists() or (folder / name).read_text() != text
    ]
