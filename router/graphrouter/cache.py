"""A bounded cache that forgets what was used longest ago, and counts what it does."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypedDict, TypeVar

Value = TypeVar("Value")


class CacheStatistics(TypedDict):
    """Since the start, except for what is there now. Times are of the work that misses made, in seconds."""

    entries: int
    weight: int
    hits: int
    misses: int
    evictions: int
    seconds: float


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    weight: int
    uses: int


class LruCache(Generic[Value]):
    """At most `entries` values whose weights sum up to at most `weight` (both at least 1). Threads may share it."""

    def __init__(self, entries: int, weight: int | None = None) -> None:
        self._limit = entries
        self._weight_limit = weight
        self._values: OrderedDict[object, _Entry[Value]] = OrderedDict()
        self._weight = 0
        self._hits = self._misses = self._evictions = 0
        self._seconds = 0.0
        self._lock = threading.Lock()

    def get(self, key: object) -> Value | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                self._misses += 1
                return None
            self._hits += 1
            found.uses += 1
            self._values.move_to_end(key)
            return found.value

    def peek(self, key: object) -> Value | None:
        """The value, uncounted: for a second look after a miss."""
        with self._lock:
            found = self._values.get(key)
            return None if found is None else found.value

    def most_used(self) -> list[tuple[object, Value]]:
        """Keys and values, those that were asked for most often first; of equals, the one used last first."""
        with self._lock:
            entries = [(entry.uses, place, key, entry.value) for place, (key, entry) in enumerate(self._values.items())]
        entries.sort(key=lambda entry: entry[:2], reverse=True)
        return [(key, value) for _, _, key, value in entries]

    def put(self, key: object, value: Value, *, weight: int = 1, seconds: float = 0.0) -> None:
        """Keeps a value; `seconds` is how long it took to make. A value heavier than the whole cache is not kept."""
        with self._lock:
            self._seconds += seconds
            if self._weight_limit is not None and weight > self._weight_limit:
                return
            former = self._values.get(key)
            self._weight += weight - (former.weight if former else 0)
            self._values[key] = _Entry(value, weight, former.uses if former else 0)
            self._values.move_to_end(key)
            while len(self._values) > self._limit or (
                self._weight_limit is not None and self._weight > self._weight_limit
            ):
                _, lost = self._values.popitem(last=False)
                self._weight -= lost.weight
                self._evictions += 1

    def statistics(self) -> CacheStatistics:
        return {
            "entries": len(self._values),
            "weight": self._weight,
            "hits": self._hits,
            "misses": self._misses,
            "evictions": self._evictions,
            "seconds": self._seconds,
        }
