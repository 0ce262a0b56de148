"""What the Helm chart has to know of a system: its names, its logs, and the engine that keeps each view."""

from __future__ import annotations

from typing import Any

import msgspec

from eventgraph.system import Subgraph, System


def helm_values(system: System) -> str:
    """A file of values, in YAML, made from the declaration.

    Needs the drivers of the engines, because a view's class says which one keeps it.
    """
    values = {
        "system": {
            "name": system.name,
            "installation": system.mark,
            "subgraphs": {
                subgraph.name: {"log": subgraph.owns_log, "view": _engine(subgraph)} for subgraph in system.subgraphs
            },
        }
    }
    text = msgspec.yaml.encode(values, order=None).decode()
    return f"# {system.title}: made from its declaration by `{system.name} helm-values`.\n{text}"


def _engine(subgraph: Subgraph[Any]) -> str:
    from eventkernel.adapters.neo4j.build import Neo4jViewBuild  # noqa: PLC0415  # loads the driver

    return "neo4j" if issubclass(subgraph.view.distributed(), Neo4jViewBuild) else "mongodb"
