"""Rebuilds that were ordered at the console: they go on while nobody looks, and whoever looks sees how far they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec

from eventgraph.console.orders import Orders
from eventgraph.console.status import line_for_people
from eventgraph.serving.served import ServedSubgraph
from eventkernel.errors import KernelError, NotFound, Unavailable

_log = logging.getLogger(__name__)


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the last rebuild of a view has ended. `error` says why it has changed nothing."""

    at: str
    build: str = ""
    error: str = ""


class RebuildLine(msgspec.Struct, frozen=True, rename="camel"):
    """One view. While a build is being filled, `done` of `total` records are in it; `running` where it was ordered
    here, and so can be cancelled here."""

    view: str
    live: str | None
    records: int
    filling: str | None
    done: int
    total: int
    running: bool
    outcome: Outcome | None
    unreadable: str = ""
    """Why nothing is known of the view."""


class Rebuilds:
    """At most one of each view."""

    def __init__(self, subgraphs: Sequence[ServedSubgraph]) -> None:
        self._subgraphs = subgraphs
        self._orders = Orders(subgraphs)
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._outcomes: dict[str, Outcome] = {}

    def start(self, view: str) -> None:
        """Returns at once.

        Raises:
            NotFound: there is no such view.
            InvalidInput: it is a process manager.
            Unavailable: it is being rebuilt already.
        """
        subgraph = self._orders.view(view)
        if view in self._running:
            raise Unavailable(f"the view {view} is being rebuilt already")
        self._outcomes.pop(view, None)
        task = asyncio.create_task(_rebuild(subgraph), name=f"rebuild {view}")
        task.add_done_callback(partial(self._ended, view))
        self._running[view] = task

    def cancel(self, view: str) -> None:
        """The live build stays as it is.

        Raises:
            NotFound: no rebuild of this view was ordered here that still goes on.
        """
        if view not in self._running:
            raise NotFound(f"no rebuild of the view {view[:100]!r} goes on that was ordered here")
        self._running[view].cancel()

    async def lines(self) -> Sequence[RebuildLine]:
        return [await self._line(subgraph) for subgraph in self._subgraphs]

    async def aclose(self) -> None:
        """Cancels those that go on."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, view: str, task: asyncio.Task[Outcome]) -> None:
        """A callback of the task: one that is cancelled before it has begun runs nothing of its own."""
        del self._running[view]
        self._outcomes[view] = Outcome(_now(), error="it was cancelled") if task.cancelled() else task.result()

    async def _line(self, subgraph: ServedSubgraph) -> RebuildLine:
        # First: whoever reads that it has ended reads the build that it has made live.
        running, outcome = subgraph.name in self._running, self._outcomes.get(subgraph.name)
        view = (await line_for_people(subgraph)).view
        done, total = (0, 0) if view.filling is None else view.filling.progress()
        return RebuildLine(
            view=subgraph.name,
            live=None if view.live is None else view.live.build,
            records=0 if view.live is None else view.live.progress()[0],
            filling=None if view.filling is None else view.filling.build,
            done=done,
            total=total,
            running=running,
            outcome=outcome,
            unreadable="" if view.readable else view.troubles[0].error,
        )


async def _rebuild(subgraph: ServedSubgraph) -> Outcome:
    try:
        return Outcome(_now(), build=await subgraph.projector.rebuild())
    except KernelError as error:
        return Outcome(_now(), error=str(error))
    except Exception:  # noqa: BLE001  # whoever looks is told that it has ended
        _log.exception("the view %s could not be rebuilt", subgraph.name)
        return Outcome(_now(), error="something unexpected happened; the log says what")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
