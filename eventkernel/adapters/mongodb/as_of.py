"""A line through a log as conditions on documents: which of a view's documents were valid then.

A document says from when until when it is valid, as `since_us` and `since_offset`, `until_us` and `until_offset` (or
other words than since and until), and which `partition` of which `log` the offsets are of. An end belongs to what comes
after it.
"""

from __future__ import annotations

from eventkernel.adapters.mongodb.connection import Document
from eventkernel.events import log_name
from eventkernel.reading.as_of import AsOf, Moment


class MongoAsOf:
    """Conditions on documents that come from the log of this name; without a name from any, whose id is their `log`."""

    def __init__(self, as_of: AsOf, log: str | None = None) -> None:
        self._moment = as_of if isinstance(as_of, Moment) else None
        self._ends: list[tuple[Document, int]] = []
        if not isinstance(as_of, Moment):
            ends = [(place, end) for place, end in as_of.items() if log is None or log_name(place.log) == log]
            self._ends = [
                ({"partition": place.number} if log else {"log": place.log, "partition": place.number}, end)
                for place, end in ends
            ]

    def begun(self, begin: str = "since") -> Document:
        """The document's `begin` had happened. Not true where it has none."""
        if self._moment is not None:
            return {f"{begin}_us": {"$lte": self._moment.time_us}}
        if not self._ends:
            return {"_id": {"$in": []}}
        return {"$or": [{**place, f"{begin}_offset": {"$lt": end}} for place, end in self._ends]}

    def not_ended(self, end: str = "until") -> Document:
        """The document's `end` had not happened, and there is one."""
        if self._moment is not None:
            return {f"{end}_us": {"$gt": self._moment.time_us}}
        elsewhere = {"$nor": [place for place, _ in self._ends]} if self._ends else {}
        return {
            "$or": [
                {**elsewhere, f"{end}_offset": {"$gte": 0}},
                *({**place, f"{end}_offset": {"$gte": least}} for place, least in self._ends),
            ]
        }

    def valid(self) -> Document:
        """From `since` on, and before `until`."""
        return {"$and": [self.begun(), self.not_ended()]}
