"""The status of the running system: gathered from the subgraphs' workers and the router, also as JSON."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from eventgraph.serving.served import ProcessWorker, ServedSubgraph
from eventgraph.system import System
from eventkernel.errors import KernelError


class _Json(msgspec.Struct, frozen=True, rename="camel"):
    """Made from the kernel's statuses by their attributes."""


class PartitionLine(_Json, frozen=True):
    """How far a reader is in one partition of a log; `head` and `lag_events` are null where the log does not answer."""

    log: str
    partition: int
    checkpoint: int
    head: int | None
    lag_events: int | None
    lag_seconds: float


class ParkedLine(_Json, frozen=True):
    """A stream that waits: from which version on, why, and how many records."""

    stream: str
    log: str
    version: int
    reason: str
    waiting: int


class WaitingLine(_Json, frozen=True):
    """How many streams wait in a reader, and how many of their records."""

    streams: int = 0
    records: int = 0


class TroubleLine(_Json, frozen=True):
    """What is failing at this moment and being tried again."""

    doing: str
    error: str
    attempts: int


class BuildLine(_Json, frozen=True):
    """One build of a view."""

    build: str
    partitions: tuple[PartitionLine, ...]
    parked: tuple[ParkedLine, ...]
    troubles: tuple[TroubleLine, ...]
    events_folded: int
    parked_known: bool = True
    """False: the engine does not answer now, and what is parked is not known."""
    waiting: WaitingLine = WaitingLine()

    def progress(self) -> tuple[int, int]:
        """How many records are dealt with, of how many."""
        return sum(line.checkpoint for line in self.partitions), sum(line.head or 0 for line in self.partitions)


class ViewLine(_Json, frozen=True):
    """A view's live build, and the one that is being filled beside it."""

    view: str
    live: BuildLine | None
    filling: BuildLine | None
    troubles: tuple[TroubleLine, ...]
    rebuilds: int = 0
    """Builds that this process has filled and made live, the first one too."""
    readable: bool = True
    """False: it could not be asked how it is, and nothing of it is known but the trouble that says why."""


class ProcessLine(_Json, frozen=True):
    """A process manager."""

    name: str
    partitions: tuple[PartitionLine, ...]
    parked: tuple[ParkedLine, ...]
    troubles: tuple[TroubleLine, ...]
    reactions: int
    parked_known: bool = True
    """As a build's."""
    deadlines: int = 0
    """As the kernel's status has them."""
    overdue_seconds: float = 0.0
    waiting: WaitingLine = WaitingLine()


class SubgraphLine(_Json, frozen=True):
    name: str
    view: ViewLine
    processes: tuple[ProcessLine, ...]
    flaws: tuple[str, ...] = ()
    """In what the view is not what its logs say; as long as there is something, it answers nobody."""
    damage: tuple[str, ...] = ()
    """What is damaged in the logs that it reads."""
    remarks: tuple[str, ...] = ()
    """What the view has for an operator to know (`Documents.remarks`)."""


class CacheLine(_Json, frozen=True):
    """One of the router's caches since its start; `seconds` is what misses took."""

    entries: int
    weight: int
    hits: int
    misses: int
    evictions: int
    seconds: float


class SystemStatus(_Json, frozen=True):
    version: str
    process: int
    started: datetime
    data: str
    subgraphs: tuple[SubgraphLine, ...]
    caches: dict[str, CacheLine]

    def parked(self) -> Iterator[tuple[str, ParkedLine]]:
        """Every stream that waits, with the name of the view or process manager that it waits in."""
        for subgraph in self.subgraphs:
            for build in (subgraph.view.live,):
                yield from ((subgraph.view.view, line) for line in (build.parked if build else ()))
            for process in subgraph.processes:
                yield from ((process.name, line) for line in process.parked)

    def readers(self) -> Sequence[str]:
        """The names of all views and process managers."""
        views = [subgraph.view.view for subgraph in self.subgraphs]
        return [*views, *(process.name for subgraph in self.subgraphs for process in subgraph.processes)]


encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(SystemStatus).decode


class StatusSource:
    """Asks everything that runs in this process how it is."""

    def __init__(
        self,
        system: System,
        data: str,
        subgraphs: Sequence[ServedSubgraph],
        caches: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self.title = system.title
        self._version = system.version
        self._data = data
        self._subgraphs = subgraphs
        self._caches = caches
        self._started = datetime.now(UTC)

    async def status(self) -> SystemStatus:
        return SystemStatus(
            version=self._version,
            process=os.getpid(),
            started=self._started,
            data=self._data,
            subgraphs=tuple(await asyncio.gather(*map(line_for_people, self._subgraphs))),
            caches=msgspec.convert(dict(self._caches()), dict[str, CacheLine]),
        )


async def subgraph_line(subgraph: ServedSubgraph, *, listed: bool = True) -> SubgraphLine:
    """With `listed` unset what waits is counted, and not listed."""
    return SubgraphLine(
        name=subgraph.name,
        view=msgspec.convert(await subgraph.projector.status(listed=listed), ViewLine, from_attributes=True),
        processes=tuple(
            [
                msgspec.convert(await one.status(listed=listed), ProcessLine, from_attributes=True)
                for one in subgraph.processes
            ]
        ),
        flaws=tuple(subgraph.audit.flaws()),
        damage=tuple(subgraph.audit.damage()),
        remarks=tuple(await subgraph.remarks()),
    )


async def line_for_people(subgraph: ServedSubgraph) -> SubgraphLine:
    """The same, for people, who are told of what can be read although something cannot: a damaged file, say."""
    try:
        return await subgraph_line(subgraph)
    except KernelError:
        pass
    remarks: Sequence[str] = ()
    try:
        view = msgspec.convert(await subgraph.projector.status(), ViewLine, from_attributes=True)
        remarks = await subgraph.remarks()
    except KernelError as error:
        view = ViewLine(subgraph.name, None, None, (_unasked(error),), readable=False)
    return SubgraphLine(
        subgraph.name,
        view,
        tuple([await _process_for_people(process) for process in subgraph.processes]),
        tuple(subgraph.audit.flaws()),
        tuple(subgraph.audit.damage()),
        tuple(remarks),
    )


async def _process_for_people(process: ProcessWorker) -> ProcessLine:
    try:
        return msgspec.convert(await process.status(), ProcessLine, from_attributes=True)
    except KernelError as error:
        return ProcessLine(process.name, (), (), (_unasked(error),), 0, parked_known=False)


def _unasked(error: KernelError) -> TroubleLine:
    return TroubleLine("asking how it is", str(error), 1)
