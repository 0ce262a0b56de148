"""A line through a log in SQL: which rows of a view were valid then.

A view's rows say from when until when they are valid, as `since_us` and `since_offset`, `until_us` and `until_offset`
(or other words than since and until), and which `partition` of which `log` the offsets are of. An end belongs to what
comes after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from eventkernel.events import log_name
from eventkernel.reading.as_of import AsOf, Moment

T = TypeVar("T")


class Read(Protocol):
    """`SqliteViewBuild.read`, of the build whose past is asked for."""

    async def __call__(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


class SqlAsOf:
    """Conditions on rows that come from the log of this name, and the parameters that stand in them.

    Without a name the rows may come from any log, whose id stands in their `log`.
    """

    def __init__(self, as_of: AsOf, log: str | None = None) -> None:
        self._by_time = isinstance(as_of, Moment)
        prefix = log or "any"
        if isinstance(as_of, Moment):
            self.parameters: Mapping[str, str | int] = {f"{prefix}_then": as_of.time_us}
            self._then = f":{prefix}_then"
            return
        ends = sorted((place, end) for place, end in as_of.items() if log is None or log_name(place.log) == log)
        self.parameters = {f"{prefix}_before_{number}": end for number, (_, end) in enumerate(ends)}
        if log is None:
            logs = sorted({place.log for place, _ in ends})
            self.parameters |= {f"any_log_{number}": name for number, name in enumerate(logs)}
            these = [f"{{0}}.log = :any_log_{logs.index(place.log)} AND " for place, _ in ends]
        else:
            these = [""] * len(ends)
        self._ends = " ".join(
            f"WHEN {this}{{0}}.partition = {place.number} THEN :{prefix}_before_{number}"
            for number, (this, (place, _)) in enumerate(zip(these, ends, strict=True))
        )

    def begun(self, row: str, begin: str = "since") -> str:
        """The row's `begin` had happened. Not true where it is null."""
        if self._by_time:
            return f"{row}.{begin}_us <= {self._then}"
        return f"{row}.{begin}_offset < {self._end(row)}"

    def not_ended(self, row: str, end: str = "until") -> str:
        """The row's `end` had not happened, and there is one."""
        if self._by_time:
            return f"{row}.{end}_us > {self._then}"
        return f"{row}.{end}_offset >= {self._end(row)}"

    def valid(self, row: str) -> str:
        """From `since` on, and before `until`."""
        return f"{self.begun(row)} AND {self.not_ended(row)}"

    def _end(self, row: str) -> str:
        return f"CASE {self._ends.format(row)} ELSE 0 END" if self._ends else "0"
