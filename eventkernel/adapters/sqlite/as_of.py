"""A line through a log in SQL: which rows of a view were valid then.

A view's rows say from when until when they are valid, as `since_us` and `since_offset`, `until_us` and `until_offset`
(or other words than since and until), and which `partition` the offsets are of. An end belongs to what comes after it.
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
    """Conditions on rows that come from the log of this name, and the parameters that stand in them."""

    def __init__(self, as_of: AsOf, log: str) -> None:
        self._by_time = isinstance(as_of, Moment)
        if isinstance(as_of, Moment):
            self.parameters: Mapping[str, int] = {f"{log}_then": as_of.time_us}
            self._then = f":{log}_then"
            return
        ends = {partition.number: end for partition, end in as_of.items() if log_name(partition.log) == log}
        self.parameters = {f"{log}_before_{number}": end for number, end in ends.items()}
        self._ends = " ".join(f"WHEN {number} THEN :{log}_before_{number}" for number in sorted(ends))

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
        return f"CASE {row}.partition {self._ends} ELSE 0 END" if self._ends else "0"
