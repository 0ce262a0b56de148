"""What a subgraph is to those who serve and operate it: a name, an ASGI app, and work that runs beside the requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp

from eventgraph.serving.metrics import SubgraphMetrics
from eventgraph.serving.readiness import Readiness
from eventkernel.events import Record
from eventkernel.reacting.process import ProcessStatus, ReactionStatus
from eventkernel.reading.projector import ProjectorStatus, Showing
from eventkernel.writing.store import EventStore


class Worker(Protocol):
    """Runs beside the requests: a projector, a process manager."""

    async def run(self) -> None:
        """Works until it is cancelled. Deals with what can go wrong by itself; what it raises is a defect."""
        ...


class ViewWorker(Worker, Protocol):
    """Keeps the subgraph's view: what those who operate the system ask of a `Projector`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def rebuild(self) -> str: ...
    async def retry(self, stream: str) -> None: ...
    async def skip(self, stream: str, reason: str) -> None: ...
    async def status(self, *, listed: bool = True) -> ProjectorStatus: ...
    async def showing(self, record: Record) -> Showing: ...


class ProcessWorker(Worker, Protocol):
    """Reacts to events: what those who operate the system ask of a `ProcessManager`."""

    name: str

    async def retry(self, stream: str) -> None: ...
    async def skip(self, stream: str, reason: str) -> None: ...
    async def react_again(self, records: Sequence[Record]) -> None: ...
    async def status(self, *, listed: bool = True) -> ProcessStatus: ...
    async def reaction_to(self, record: Record) -> ReactionStatus | None: ...


class ViewAudit(Worker, Protocol):
    """Compares the view with the logs, in every process that answers from it: what an `Audit` is asked."""

    def flaws(self) -> Sequence[str]: ...
    def damage(self) -> Sequence[str]: ...


async def _no_remarks() -> Sequence[str]:
    return ()


async def _ready() -> Readiness:
    return Readiness()


def _nothing(_record: Record) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ServedSubgraph:
    """One subgraph, ready to be served.

    The app has no lifespan of its own: who serves it decides whether its workers run in this process (`running`) or in
    another one.
    """

    name: str
    app: ASGIApp
    sdl: str
    """The schema with its Federation directives, as `_service { sdl }` gives it."""
    projector: ViewWorker
    audit: ViewAudit
    processes: Sequence[ProcessWorker] = ()
    store: EventStore | None = None
    """Where its commands go; None: it takes none."""
    readiness: Callable[[], Awaitable[Readiness]] = _ready
    """Whether it can do its work, as its health tells it."""
    remarks: Callable[[], Awaitable[Sequence[str]]] = _no_remarks
    """What the view has for an operator to know, as `ViewBuild.remarks`; nothing while it does not answer."""
    metrics: SubgraphMetrics | None = None
    """What is counted; None: nothing."""
    reads: Callable[[Record], bool] = _nothing
    """Whether a record is of a log and of a type that the view is filled from."""

    @property
    def workers(self) -> Sequence[Worker]:
        return (self.audit, self.projector, *self.processes)


@asynccontextmanager
async def running(workers: Sequence[Worker]) -> AsyncGenerator[None]:
    """Runs the workers for as long as the block lasts.

    One that fails ends the block with a group of its exception; what the block itself raises comes out as it is.
    """
    raised: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker.run()) for worker in workers]
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised again below, outside of the group
            raised = error
        finally:
            for task in tasks:
                task.cancel()
    if raised is not None:
        raise raised
