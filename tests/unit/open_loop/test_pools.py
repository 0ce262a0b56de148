"""What the variables of requests are drawn from."""

from __future__ import annotations

import random
from typing import Any

import pytest

from eventgraph.errors import StartError
from eventgraph.load.pools import KEPT, Pools
from eventgraph.load.workload import parsed

FILE = """
[pools]
colour = { values = ["red", "green", "blue"] }
number = { range = [1, 3] }
door = { operation = "install", path = "install.doors.id", before = 2 }

[operations.install]
document = "mutation ($input: Input!, $n: Int) { install(input: $input, n: $n) { doors { id } } }"
[operations.install.variables]
input = { colour = "$colour", key = "$unique", price = "$$5", sizes = ["$number", 7, true] }
n = "$number"

[operations.swap]
document = "mutation ($one: ID!, $other: ID!) { swap(one: $one, other: $other) }"
variables = { one = "$door", other = "$door" }
"""
WORKLOAD = parsed(FILE, None, "doors.toml")


def pools(seed: int = 1, run: str = "run") -> Pools:
    return Pools(WORKLOAD, random.Random(seed), run)


def installed(*ids: str) -> dict[str, Any]:
    return {"install": {"doors": [{"id": one} for one in ids]}}


def test_values_are_put_in_wherever_they_stand_and_all_else_stays_as_it_is() -> None:
    found = pools().draw("install").variables
    given = found["input"]
    assert given["colour"] in {"red", "green", "blue"}
    assert given["price"] == "$5"
    assert given["sizes"][1:] == [7, True]
    assert {found["n"], given["sizes"][0]} <= {1, 2, 3}
    assert given["key"] == "run-0"


def test_every_value_of_a_pool_comes_and_no_other() -> None:
    some = pools()
    drawn = [some.draw("install").variables for _ in range(300)]
    assert {one["input"]["colour"] for one in drawn} == {"red", "green", "blue"}
    assert {one["n"] for one in drawn} == {1, 2, 3}


def test_a_unique_text_is_in_no_other_request_of_this_run_or_another() -> None:
    some, others = pools(run="a"), pools(run="b")
    keys = [one.draw("install").variables["input"]["key"] for one in (some, others) for _ in range(100)]
    assert len(set(keys)) == 200


def test_the_same_seed_draws_the_same() -> None:
    def drawn(seed: int) -> list[object]:
        some = pools(seed)
        return [some.draw("install").variables for _ in range(20)]

    assert drawn(4) == drawn(4)
    assert drawn(4) != drawn(5)


def test_answers_fill_a_pool_also_out_of_lists() -> None:
    some = pools()
    some.collect("install", installed("a", "b"), "")
    some.collect("install", {"install": None}, "")
    some.collect("install", {"install": {"doors": [None, {"id": None}]}}, "")
    some.collect("swap", installed("c"), "")
    assert some.size("door") == 2
    assert some.feeds("install")
    assert not some.feeds("swap")


def test_two_values_of_one_request_are_different_where_there_are_two() -> None:
    some = pools()
    some.collect("install", installed("a", "b", "c", "d"), "")
    for _ in range(100):
        found = some.draw("swap").variables
        assert found["one"] != found["other"]


def test_with_one_value_both_are_that() -> None:
    some = pools()
    some.collect("install", installed("a"), "")
    assert some.draw("swap").variables == {"one": "a", "other": "a"}


def test_a_value_comes_with_the_bookmark_of_its_answer() -> None:
    some = pools()
    some.collect("install", installed("a"), "first")
    assert list(some.draw("swap").bookmarks) == ["first"]
    some.collect("install", installed("b"), "second")
    assert set(some.draw("swap").bookmarks) == {"first", "second"}
    assert list(some.draw("install").bookmarks) == []


def test_a_pool_keeps_the_newest_values() -> None:
    some = pools()
    some.collect("install", installed(*(f"old {number}" for number in range(KEPT))), "")
    some.collect("install", installed(*(f"new {number}" for number in range(KEPT))), "")
    assert some.size("door") == KEPT
    assert all(some.draw("swap").variables["one"].startswith("new") for _ in range(100))


def test_a_pool_that_is_empty_is_named() -> None:
    with pytest.raises(StartError, match="pool 'door' is empty"):
        pools().draw("swap")
