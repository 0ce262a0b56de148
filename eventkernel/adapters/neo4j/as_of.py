"""A line through a log in Cypher: which nodes and relationships of a view were valid then.

They say from when until when they are valid, as `since_us` and `since_offset`, `until_us` and `until_offset` (or other
words than since and until), and which `partition` the offsets are of. An end belongs to what comes after it; what lasts
has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from eventkernel.events import log_name
from eventkernel.reading.as_of import AsOf, Moment


class CypherAsOf:
    """Conditions on what comes from the log of this name, and the parameters that stand in them."""

    def __init__(self, as_of: AsOf, log: str) -> None:
        self._then = f"${log}_then"
        self._by_time = isinstance(as_of, Moment)
        if isinstance(as_of, Moment):
            self.parameters: Mapping[str, int | list[int]] = {f"{log}_then": as_of.time_us}
            return
        ends = {partition.number: end for partition, end in as_of.items() if log_name(partition.log) == log}
        # By the partition's number; of one that is not named nothing had happened.
        self.parameters = {f"{log}_then": [ends.get(number, 0) for number in range(max(ends, default=-1) + 1)]}

    def begun(self, what: str, begin: str = "since") -> str:
        """Its `begin` had happened. Not true where there is none."""
        if self._by_time:
            return f"{what}.{begin}_us <= {self._then}"
        return f"{what}.{begin}_offset < {self._end(what)}"

    def not_ended(self, what: str, end: str = "until") -> str:
        """Its `end` had not happened, or there is none."""
        if self._by_time:
            return f"coalesce({what}.{end}_us > {self._then}, true)"
        return f"coalesce({what}.{end}_offset >= {self._end(what)}, true)"

    def valid(self, what: str) -> str:
        """From `since` on, and before `until`."""
        return f"{self.begun(what)} AND {self.not_ended(what)}"

    def _end(self, what: str) -> str:
        return f"coalesce({self._then}[{what}.partition], 0)"
