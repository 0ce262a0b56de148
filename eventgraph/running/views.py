"""Who keeps a subgraph's view on SQLite, seen as what every such build is."""

from __future__ import annotations

from typing import Any, TypeGuard

from eventgraph.system import Subgraph
from eventkernel.adapters.sqlite.views import SqliteViewBuild


def sqlite_build(subgraph: Subgraph[Any]) -> type[SqliteViewBuild[Any]]:
    """
    Raises:
        TypeError: its declaration names something else.
    """
    build = subgraph.view.embedded()
    if not _is_sqlites(build):
        raise TypeError(f"{subgraph.name}: expected a SqliteViewBuild in the embedded mode, found {build.__name__}")
    return build


def _is_sqlites(build: type[object]) -> TypeGuard[type[SqliteViewBuild[Any]]]:
    return issubclass(build, SqliteViewBuild)


def sqlite_identity(subgraph: Subgraph[Any], logs: list[str]) -> str:
    """What a build of it says that it is, filled from the logs of these ids."""
    return sqlite_build(subgraph).identity(subgraph.projection.shape, logs)
