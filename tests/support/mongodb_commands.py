"""Counts what is asked of MongoDB: the commands that name a collection, and the documents in their answers."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo import monitoring


@dataclass(slots=True)
class Asked:
    """What was asked of the collections whose names end in `of`."""

    of: str
    commands: int = 0
    documents: int = 0
    filters: list[Any] = field(default_factory=list[Any])
    """Of the finds, in order."""


class _Listener(monitoring.CommandListener):
    """Hears every client of this process; counts while somebody wants it."""

    def __init__(self) -> None:
        self.counts: list[Asked] = []
        self._under_way: dict[int, list[Asked]] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        collection = str(next(iter(event.command.values()), ""))
        asked = [count for count in self.counts if collection.endswith(count.of)]
        for count in asked:
            if "filter" in event.command:
                count.filters.append(event.command["filter"])
        if asked:
            self._under_way[event.request_id] = asked

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        reply: Any = event.reply
        cursor = reply.get("cursor", {})
        for count in self._under_way.pop(event.request_id, ()):
            count.commands += 1
            count.documents += len(cursor.get("firstBatch", ())) + len(cursor.get("nextBatch", ()))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._under_way.pop(event.request_id, None)


_LISTENER: Final = _Listener()
monitoring.register(_LISTENER)  # of clients that are made from now on


@contextmanager
def counted(of: str) -> Generator[Asked]:
    """Counts for as long as this is entered, of clients that were made after this module was imported."""
    asked = Asked(of)
    _LISTENER.counts.append(asked)
    try:
        yield asked
    finally:
        _LISTENER.counts.remove(asked)
