"""Counts of latencies in buckets that grow with them, as HdrHistogram's: any percentile, to a thousandth of its value.

http://hdrhistogram.org/. Up to 2,047 µs there is a bucket for every microsecond, above 1,024 for every power of two.
Only buckets with something in them are kept, so that a run can have a histogram for each of its seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Final

_BITS: Final = 11
_EXACT: Final = 1 << _BITS


@dataclass(slots=True)
class Histogram:
    """Latencies in seconds, kept as whole microseconds."""

    counts: dict[int, int] = field(default_factory=dict[int, int])
    """By the greatest number of microseconds that falls into the bucket."""
    total: int = 0
    most: int = 0
    """Microseconds."""
    sum: int = 0
    """Microseconds."""

    def add(self, latency: float) -> None:
        """Count one; less than nothing is nothing."""
        microseconds = max(0, round(latency * 1e6))
        bucket = microseconds
        if microseconds >= _EXACT:
            bucket |= (1 << (microseconds.bit_length() - _BITS)) - 1
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1
        self.sum += microseconds
        self.most = max(self.most, microseconds)

    def merge(self, other: Histogram) -> None:
        """Count all that another one has counted."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total += other.total
        self.sum += other.sum
        self.most = max(self.most, other.most)

    @property
    def greatest(self) -> float:
        """Seconds; 0 where nothing was counted."""
        return self.most / 1e6

    @property
    def mean(self) -> float:
        """Seconds; 0 where nothing was counted."""
        return self.sum / self.total / 1e6 if self.total else 0.0

    def percentile(self, share: float) -> float:
        """The least number of seconds, to a thousandth, that this share of all do not exceed (nearest rank); 0 where
        nothing was counted."""
        rank, seen = max(1, ceil(share * self.total - 1e-9)), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return min(bucket, self.most) / 1e6
        return 0.0

    def steps(self) -> Iterator[tuple[float, float]]:
        """Every bucket's seconds, with the share of all that do not exceed them; ascending."""
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            yield min(bucket, self.most) / 1e6, seen / self.total
