"""What an operator orders of views and process managers: to try again what waits, to leave it out, to fill anew."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from eventgraph.serving.served import ProcessWorker, ServedSubgraph
from eventkernel.errors import InvalidInput, NotFound
from eventkernel.events import log_name
from eventkernel.writing.store import EventStore

_SHOWN = 100


class Order(msgspec.Struct, frozen=True):
    """`view` is the name of a view, or of a process manager."""

    view: str
    stream: str = ""
    reason: str = ""
    log: str = ""
    tag: str = ""
    version: int = 0
    """Of the record that the person has seen; 0: whichever waits."""


class Orders:
    """Carries them out, on the subgraphs of this process."""

    def __init__(self, subgraphs: Sequence[ServedSubgraph]) -> None:
        self._subgraphs = subgraphs

    async def retry(self, order: Order) -> None:
        """
        Raises:
            NotFound: there is no such view, or nothing of the stream waits in it.
        """
        worker = self.worker(order.view)
        await (worker.projector if isinstance(worker, ServedSubgraph) else worker).retry(order.stream)

    async def skip(self, order: Order) -> None:
        """
        Raises:
            NotFound: as for `retry`.
            InvalidInput: there is no reason.
        """
        worker = self.worker(order.view)
        check_reason(order.reason, "the record shall have no effect")
        await (worker.projector if isinstance(worker, ServedSubgraph) else worker).skip(order.stream, order.reason)

    def view(self, name: str) -> ServedSubgraph:
        """
        Raises:
            NotFound: there is no such view.
            InvalidInput: it is a process manager.
        """
        worker = self.worker(name)
        if not isinstance(worker, ServedSubgraph):
            raise InvalidInput(f"{name} is a process manager: only views can be rebuilt")
        return worker

    def store(self, log: str) -> EventStore:
        """
        Raises:
            NotFound: there is no log of this name.
        """
        stores = self.stores
        if log not in stores:
            raise NotFound(f"there is no log {log[:_SHOWN]!r}, only {', '.join(stores)}")
        return stores[log]

    @property
    def stores(self) -> dict[str, EventStore]:
        """By the names of the logs."""
        return {log_name(one.store.log): one.store for one in self._subgraphs if one.store is not None}

    def worker(self, name: str) -> ServedSubgraph | ProcessWorker:
        """The subgraph of the view, or the process manager, of this name; NotFound where there is none."""
        known: list[str] = []
        for subgraph in self._subgraphs:
            if subgraph.name == name:
                return subgraph
            for process in subgraph.processes:
                if process.name == name:
                    return process
            known += [subgraph.name, *(process.name for process in subgraph.processes)]
        raise NotFound(f"there is no view {name[:_SHOWN]!r}, only {', '.join(known)}")


def check_reason(reason: str, why: str) -> None:
    """Raises InvalidInput where there is none."""
    if not reason.strip():
        raise InvalidInput(f"reason: expected why {why}, found nothing")
