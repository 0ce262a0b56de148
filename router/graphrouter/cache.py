"""A bounded cache that forgets what was used longest ago, and counts what it does."""

from __future__ import annotations

import threading
from collections import OrderedDict
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


class LruCache(Generic[Value]):
    """At most `entries` values whose weights sum up to at most `weight` (both at least 1). Threads may share it."""

    def __init__(self, entries: int, weight: int | None = None) -> None:
        self._limit = entries
        self._weight_limit = weight
        self._values: OrderedDict[object, tuple[Value, int]] = OrderedDict()
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
            self._values.move_to_end(key)
            return found[0]

    def peek(self, key: object) -> Value | None:
        """The value, uncounted: for a second look after a miss."""
        with self._lock:
            found = self._values.get(key)
            return None if found is None else found[0]

    def put(self, key: object, value: Value, *, weight: int = 1, seconds: float = 0.0) -> None:
        """Keeps a value; `seconds` is how long it took to make. A value heavier than the whole cache is not kept."""
        with self._lock:
            self._seconds += seconds
            if self._weight_limit is not None and weight > self._weight_limit:
                return
            self._weight += weight - self._values.get(key, (None, 0))[1]
            self._values[key] = (value, weight)
            self._values.move_to_end(key)
            while len(self._values) > self._limit or (
                self._weight_limit is not None and self._weight > self._weight_limit
            ):
                _, (_, lost) = self._values.popitem(last=False)
                self._weight -= lost
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
