"""Answers between bounds: everything that a right system may show is accepted, and what it may not is a mismatch."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kithgraph.load import compare, model
from kithgraph.load.history import Coverage, History
from kithgraph.load.model import Recommended
from kithgraph.load.network import Name
from kithgraph.load.operations import Id, Person, Recommendation

PEOPLE = "abcdefg"
Pairs = AbstractSet[tuple[str, str]]
PAIRS = list(combinations(PEOPLE, 2))


def coverage_of(certain: Pairs, undecided: Pairs) -> Coverage:
    """Bounds in which these pairs are friends for certain, and these may be."""
    history = History()
    for person in PEOPLE:
        history.add_person(person, Name(person, person))
    coverage = Coverage(history)
    for one, other in certain | undecided:
        pair = history.pair(one, other)
        pair.begin(adding=True)
        pair.end(adding=True, version=1)
        if (one, other) in certain:
            coverage.cover_pair(one, other, 1)
    return coverage


def friends_in(pairs: Pairs) -> model.Friends:
    return lambda person: {other for pair in pairs if person in pair for other in pair if other != person}


def row(person: str, *mutual: str, count: int | None = None) -> Recommendation:
    return Recommendation(
        Person(person, person), len(mutual) if count is None else count, [Id(id=friend) for friend in mutual]
    )


def answered(rows: Sequence[Recommended]) -> list[Recommendation]:
    return [
        Recommendation(
            Person(row.person, row.person), len(row.mutual_friends), [Id(id=it) for it in row.mutual_friends]
        )
        for row in rows
    ]


@given(
    certain=st.sets(st.sampled_from(PAIRS)),
    undecided=st.sets(st.sampled_from(PAIRS)),
    coin=st.sets(st.sampled_from(PAIRS)),
    first=st.integers(1, 7),
)
def test_whatever_is_shown_between_the_bounds_is_accepted(
    certain: set[tuple[str, str]], undecided: set[tuple[str, str]], coin: set[tuple[str, str]], first: int
) -> None:
    coverage = coverage_of(certain, undecided - certain)
    friends = friends_in(certain | (undecided & coin))
    rows = answered(model.recommendations(friends, "a")[:first])
    assert list(compare.recommendations(coverage, "a", first, rows)) == []
    shown = sorted(friends("a"))
    assert list(compare.members("friends", shown, coverage.certain("a"), coverage.possible("a"))) == []
    assert list(compare.friend_count(coverage, "a", len(shown))) == []
    assert list(compare.are_friends(coverage, "a", "b", "b" in shown)) == []
    mutual = [Person(person, person) for person in model.mutual_friends(friends, "a", "b")]
    assert list(compare.mutual_friends(coverage, "a", "b", mutual)) == []


@given(certain=st.sets(st.sampled_from(PAIRS)), shown=st.sets(st.sampled_from(PAIRS)), first=st.integers(1, 7))
def test_where_all_is_decided_only_the_one_right_answer_is_accepted(
    certain: set[tuple[str, str]], shown: set[tuple[str, str]], first: int
) -> None:
    coverage = coverage_of(certain, set())
    right = model.recommendations(friends_in(certain), "a")[:first]
    found = model.recommendations(friends_in(shown), "a")[:first]
    assert (list(compare.recommendations(coverage, "a", first, answered(found))) == []) is (right == found)


UNDECIDED = {("a", "d"), ("d", "f")}
CERTAIN = {("a", "b"), ("a", "c"), ("b", "e"), ("c", "e"), ("c", "f")}
"""e shares b and c with a; f shares c, and perhaps d; d is perhaps a friend, and shares nobody for certain."""


@pytest.mark.parametrize(
    "rows",
    [
        [row("e", "b", "c"), row("f", "c")],
        [row("e", "b", "c"), row("f", "c", "d")],
        [row("e", "b", "c"), row("f", "c", count=2)],
    ],
)
def test_undecided_recommendations_that_may_be_shown(rows: list[Recommendation]) -> None:
    assert list(compare.recommendations(coverage_of(CERTAIN, UNDECIDED), "a", 10, rows)) == []


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ([row("e", "b", "c")], 10),
        ([row("f", "c", "d")], 1),
        ([row("f", "c")], 1),
        ([], 10),
        ([row("f", "c"), row("e", "b", "c")], 10),
        ([row("e", "b", "c"), row("f", "c")], 1),
        ([row("e", "b", "c"), row("e", "b", "c"), row("f", "c")], 10),
        ([row("e", "b"), row("f", "c")], 10),
        ([row("e", "b", "c", "d"), row("f", "c")], 10),
        ([row("e", "b", "c", count=3), row("f", "c")], 10),
        ([row("e", "c", "b"), row("f", "c")], 10),
        ([row("e", "b", "c"), row("b", "c"), row("f", "c")], 10),
        ([row("e", "b", "c"), row("f", "c"), row("g", "c")], 10),
        ([row("e", "b", "c"), row("a", "c"), row("f", "c")], 10),
    ],
)
def test_undecided_recommendations_that_may_not_be_shown(rows: list[Recommendation], first: int) -> None:
    assert list(compare.recommendations(coverage_of(CERTAIN, UNDECIDED), "a", first, rows))
