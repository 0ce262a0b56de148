"""What an answer may and must show while others write."""

from __future__ import annotations

import pytest

from kithgraph.load.history import Coverage, History
from kithgraph.load.network import Name


@pytest.fixture
def history() -> History:
    history = History()
    for person in "abc":
        history.add_person(person, Name(person, person))
    return history


def change(history: History, coverage: Coverage | None, *, adding: bool) -> None:
    """A change of the pair a and b that is acknowledged to whoever has this coverage."""
    pair = history.pair("a", "b")
    pair.begin(adding=adding)
    pair.end(adding=adding, version=pair.answered + 1)
    if coverage is not None:
        coverage.cover_pair("a", "b", pair.answered)


def bounds(coverage: Coverage) -> tuple[set[str], set[str]]:
    return coverage.certain("a"), coverage.possible("a")


def test_a_friendship_is_possible_for_everybody_from_the_moment_that_it_is_asked_for(history: History) -> None:
    history.pair("a", "b").begin(adding=True)
    assert bounds(Coverage(history)) == (set(), {"b"})


def test_a_friendship_is_certain_for_whom_it_was_acknowledged_and_possible_for_others(history: History) -> None:
    writer, other = Coverage(history), Coverage(history)
    change(history, writer, adding=True)
    assert bounds(writer) == ({"b"}, {"b"})
    assert bounds(other) == (set(), {"b"})
    assert writer.covers_person("a")
    assert not other.covers_person("a")


def test_while_a_friendship_is_being_ended_it_is_possible_and_not_certain(history: History) -> None:
    writer = Coverage(history)
    change(history, writer, adding=True)
    history.pair("a", "b").begin(adding=False)
    assert bounds(writer) == (set(), {"b"})


def test_a_friendship_that_was_ended_is_impossible_for_who_ended_it_and_possible_for_who_did_not_see_it(
    history: History,
) -> None:
    one, other = Coverage(history), Coverage(history)
    change(history, one, adding=True)
    change(history, other, adding=False)
    assert bounds(other) == (set(), set())
    assert bounds(one) == (set(), {"b"})


def test_what_was_seen_must_be_seen_again(history: History) -> None:
    reader = Coverage(history)
    change(history, None, adding=True)
    reader.saw("a", "b", friends=True)
    assert bounds(reader) == ({"b"}, {"b"})
    change(history, None, adding=False)
    assert bounds(reader) == (set(), {"b"})
    reader.saw("a", "b", friends=False)
    assert bounds(reader) == (set(), set())


def test_what_was_not_seen_yet_may_still_come(history: History) -> None:
    reader = Coverage(history)
    change(history, None, adding=True)
    reader.saw("a", "b", friends=False)
    assert bounds(reader) == (set(), {"b"})


def test_when_all_has_settled_everything_acknowledged_is_certain_for_everybody(history: History) -> None:
    reader = Coverage(history)
    change(history, None, adding=True)
    history.settle()
    reader.settle()
    assert bounds(reader) == ({"b"}, {"b"})
    assert reader.covers_person("c")


def test_a_pair_whose_answer_was_lost_is_possible_and_never_certain(history: History) -> None:
    reader = Coverage(history)
    pair = history.pair("a", "b")
    pair.begin(adding=True)
    pair.end(adding=True, version=None)
    pair.lost = True
    history.settle()
    reader.settle()
    assert bounds(reader) == (set(), {"b"})
    assert pair.expected(adding=True).allows(1)
    assert pair.expected(adding=True).codes == {"ALREADY_EXISTS"}


def test_of_two_that_add_the_same_pair_only_the_last_one_to_be_answered_can_no_longer_be_refused(
    history: History,
) -> None:
    pair = history.pair("a", "b")
    pair.begin(adding=True)
    pair.begin(adding=True)
    assert pair.expected(adding=True).codes == {"ALREADY_EXISTS"}
    assert pair.expected(adding=True).allows(1)
    pair.end(adding=True, version=None)
    assert pair.expected(adding=True).codes == set()
    pair.end(adding=True, version=1)
    pair.begin(adding=True)
    assert pair.expected(adding=True).codes == {"ALREADY_EXISTS"}
    assert not pair.expected(adding=True).allows(2)


def test_the_end_of_what_is_not_there_is_refused(history: History) -> None:
    pair = history.pair("a", "b")
    pair.begin(adding=False)
    assert pair.expected(adding=False).codes == {"NOT_FOUND"}
    assert pair.asked == 0
