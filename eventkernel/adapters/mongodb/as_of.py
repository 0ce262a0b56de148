"""A line through a log as conditions on documents: which of a view's documents were valid then.

A document says from when until when it is valid, as `since_us` and `since_offset`, `until_us` and `until_offset` (or
other words than since and until), and which `partition` the offsets are of. An end belongs to what comes after it.
"""

from __future__ import annotations

from eventkernel.adapters.mongodb.connection import Document
from eventkernel.events import log_name
from eventkernel.reading.as_of import AsOf, Moment


class MongoAsOf:
    """Conditions on documents that come from the log of this name."""

    def __init__(self, as_of: AsOf, log: str) -> None:
        self._moment = as_of if isinstance(as_of, Moment) else None
        self._ends: dict[int, int] = {}
        if not isinstance(as_of, Moment):
            self._ends = {p.number: end for p, end in as_of.items() if log_name(p.log) == log}

    def begun(self, begin: str = "since") -> Document:
        """The document's `begin` had happened. Not true where it has none."""
        if self._moment is not None:
            return {f"{begin}_us": {"$lte": self._moment.time_us}}
        if not self._ends:
            return {"_id": {"$in": []}}
        return {
            "$or": [{"partition": number, f"{begin}_offset": {"$lt": end}} for number, end in self._ends.items()]
        }  # fmt: skip

    def not_ended(self, end: str = "until") -> Document:
        """The document's `end` had not happened, and there is one."""
        if self._moment is not None:
            return {f"{end}_us": {"$gt": self._moment.time_us}}
        return {
            "$or": [
                {"partition": {"$nin": list(self._ends)}, f"{end}_offset": {"$gte": 0}},
                *({"partition": number, f"{end}_offset": {"$gte": least}} for number, least in self._ends.items()),
            ]
        }

    def valid(self) -> Document:
        """From `since` on, and before `until`."""
        return {"$and": [self.begun(), self.not_ended()]}
