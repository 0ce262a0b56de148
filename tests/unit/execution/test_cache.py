"""A cache keeps what was used last, within its entries and its weight, and counts what it does."""

from __future__ import annotations

from graphrouter.cache import LruCache


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: LruCache[int] = LruCache(2)
    for name, value in (("a", 1), ("b", 2)):
        cache.put(name, value)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.peek(name) for name in "abc"] == [1, None, 3]
    assert cache.statistics()["evictions"] == 1


def test_the_weight_is_that_of_what_is_kept() -> None:
    cache: LruCache[str] = LruCache(10, 10)
    cache.put("a", "old", weight=8)
    cache.put("a", "new", weight=3)
    cache.put("b", "b", weight=7)
    assert (cache.peek("a"), cache.peek("b"), cache.statistics()["weight"]) == ("new", "b", 10)
    cache.put("c", "c", weight=1)
    assert (cache.peek("a"), cache.peek("b"), cache.statistics()["weight"]) == (None, "b", 8)


def test_what_is_heavier_than_the_cache_is_not_kept_and_puts_nothing_out() -> None:
    cache: LruCache[str] = LruCache(10, 10)
    cache.put("a", "a", weight=10)
    cache.put("b", "b", weight=11)
    assert (cache.peek("a"), cache.peek("b")) == ("a", None)


def test_hits_and_misses_are_counted_and_second_looks_are_not() -> None:
    cache: LruCache[int] = LruCache(1)
    cache.get("a")
    cache.put("a", 1, seconds=0.5)
    cache.get("a")
    cache.peek("a")
    found = cache.statistics()
    assert (found["hits"], found["misses"], found["seconds"], found["entries"]) == (1, 1, 0.5, 1)
