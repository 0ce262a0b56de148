"""Who keeps a subgraph's view on SQLite, seen as what every such build is."""

from __future__ import annotations

from typing import Any

from eventgraph.system import Subgraph
from eventkernel.adapters.sqlite.views import SqliteViewBuild


def sqlite_build(subgraph: Subgraph[Any]) -> type[SqliteViewBuild[Any]]:
    """
    Raises:
        TypeError: its declaration names something else.
    """
    found: type[Any] = subgraph.view.embedded()
    if not issubclass(found, SqliteViewBuild):
        raise TypeError(f"{subgraph.name}: expected a SqliteViewBuild in the embedded mode, found {found.__name__}")
    build: type[SqliteViewBuild[Any]] = found
    return build


def sqlite_identity(subgraph: Subgraph[Any], logs: list[str]) -> str:
    """What a build of it says that it is, filled from the logs of these ids."""
    return sqlite_build(subgraph).identity(subgraph.projection.shape, logs)
