"""Reading the live views of a data folder from outside, also while another process fills them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventgraph.errors import StartError
from eventgraph.running.views import sqlite_build
from eventgraph.system import System
from eventkernel.adapters.sqlite.build_check import live_build
from eventkernel.adapters.sqlite.build_snapshot import BuildSnapshot
from eventkernel.adapters.sqlite.documents import SqliteDocuments, snapshot_as_kept
from eventkernel.adapters.sqlite.views import SqliteViewBuild
from eventkernel.errors import CannotOpen
from eventkernel.events import Position
from eventkernel.reading.views import ParkedRecord, State


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A build at one moment, as `LiveView` has it."""

    file: BuildSnapshot[Any]
    as_kept: bool

    @property
    def position(self) -> Position:
        return self.file.position

    @property
    def parked(self) -> Sequence[ParkedRecord]:
        return self.file.waiting

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Any]]:
        return await self.file.peek(streams)


@asynccontextmanager
async def snapshot_of(system: System, data: Path, view: str) -> AsyncGenerator[_Snapshot]:
    """
    Raises:
        StartError: the view has no live build.
        CannotOpen: it has other tables than this release's, and they are not those of declared documents.
    """
    live = live_build(data / "views" / view)
    if live is None or not live.exists():
        raise StartError(f"the view {view} has no live build to compare with: `{system.name} up` fills one")
    snapshot, as_kept = _opened(live, sqlite_build(system.subgraph(view)))
    with snapshot:
        yield _Snapshot(snapshot, as_kept)


def _opened(live: Path, build: type[SqliteViewBuild[Any]]) -> tuple[BuildSnapshot[Any], bool]:
    """The build with this release's documents, or as they are kept where they had other fields or indexes."""
    try:
        return BuildSnapshot(live, build), False
    except CannotOpen:
        if not issubclass(build, SqliteDocuments):
            raise
        return snapshot_as_kept(live, build), True
