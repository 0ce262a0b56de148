"""Each kind of answer against what it may and must show: a mismatch says what was expected and what was found.

`Coverage` gives two bounds of every person's friends, those who are certain and those who are possible. Where the two
are equal, which is always so when all has settled, what is expected is one exact answer of the `model`.

In between, recommendations are bounded in two ways. A row may only be of somebody who is not certain to be a friend,
with a number of mutual friends between those through certain friendships and those through possible ones. And whoever
is certainly no friend, with mutual friends through certain friendships alone, may only be missing if the page is full
of people who rank before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from kithgraph.load import model
from kithgraph.load.history import Coverage
from kithgraph.load.model import Friends, Recommended
from kithgraph.load.network import Name
from kithgraph.load.operations import People, Person, Recommendation, UserWithCount


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing in an answer that is not as it must be."""

    expected: object
    found: object


def first_names(names: Mapping[str, Name], people: Sequence[Person]) -> Iterator[Mismatch]:
    """Everybody has the name that they were created with."""
    for person in people:
        name = names.get(person.id)
        if name is not None and name.first != person.first_name:
            yield Mismatch({"id": person.id, "firstName": name.first}, {"firstName": person.first_name})


def person(names: Mapping[str, Name], asked_for: str, found: UserWithCount) -> Iterator[Mismatch]:
    """Who was asked for, with the names that they were created with."""
    name = names[asked_for]
    if (found.id, found.first_name, found.last_name) != (asked_for, name.first, name.last):
        yield Mismatch({"id": asked_for, "firstName": name.first, "lastName": name.last}, found)


def page(first: int, found: People) -> Iterator[Mismatch]:
    """A page has at most `first` edges, and exactly so many, and a cursor, if another one follows."""
    info = found.page_info
    if len(found.edges) > first or (info.has_next_page and (len(found.edges) < first or not info.end_cursor)):
        yield Mismatch({"edges": first}, {"edges": len(found.edges), "pageInfo": info})


def members(
    what: str, found: Sequence[str], certain: AbstractSet[str], possible: AbstractSet[str]
) -> Iterator[Mismatch]:
    """A list of ids in ascending order holds all who are certain and nobody who is not possible."""
    if not _ascending(found):
        yield Mismatch({what: "each once, in ascending order"}, {what: found})
    elif certain == possible:
        if found != sorted(certain):
            yield Mismatch({what: sorted(certain)}, {what: found})
    elif not certain <= set(found) <= possible:
        yield Mismatch({what: {"at least": sorted(certain), "at most": sorted(possible)}}, {what: found})


def number(what: str, found: int, least: int, most: int) -> Iterator[Mismatch]:
    if not least <= found <= most:
        expected = least if least == most else {"at least": least, "at most": most}
        yield Mismatch({what: expected}, {what: found})


def are_friends(coverage: Coverage, one: str, other: str, found: bool | None) -> Iterator[Mismatch]:
    allowed = {other in coverage.certain(one), other in coverage.possible(one)}
    if found not in allowed:
        yield Mismatch({"areFriends": min(allowed)}, {"areFriends": found})


def friend_count(coverage: Coverage, person: str, found: int) -> Iterator[Mismatch]:
    return number("friendCount", found, len(coverage.certain(person)), len(coverage.possible(person)))


def mutual_friends(coverage: Coverage, one: str, other: str, found: Sequence[Person]) -> Iterator[Mismatch]:
    certain = set(model.mutual_friends(coverage.certain, one, other))
    possible = set(model.mutual_friends(coverage.possible, one, other))
    return members("mutualFriends", [person.id for person in found], certain, possible)


def recommendations(coverage: Coverage, person: str, first: int, found: Sequence[Recommendation]) -> Iterator[Mismatch]:
    """The first so many rows of a person's recommendations."""
    certain, possible = cache(coverage.certain), cache(coverage.possible)
    own = certain(person)
    if own == possible(person) and all(certain(friend) == possible(friend) for friend in own):
        expected = [_row(row) for row in model.recommendations(certain, person)[:first]]
        rows = [_found_row(row) for row in found]
        if rows != expected:
            yield Mismatch({"recommendations": expected}, {"recommendations": rows})
    else:
        yield from _bounded(certain, possible, person, first, found)


def _bounded(
    certain: Friends, possible: Friends, person: str, first: int, found: Sequence[Recommendation]
) -> Iterator[Mismatch]:
    low = model.candidates(certain, person, certain(person), possible(person))
    high = model.candidates(possible, person, possible(person), certain(person))
    ranks = [(-row.mutual_friend_count, row.user.id) for row in found]
    if len(found) > first or not _ascending(ranks) or len({row.user.id for row in found}) != len(found):
        yield Mismatch(
            {"recommendations": f"at most {first}, each once, most mutual friends first, then by id"},
            {"recommendations": [_found_row(row) for row in found]},
        )
        return
    for row in found:
        yield from _row_between(row, low.get(row.user.id), high.get(row.user.id))
    shown = {row.user.id for row in found}
    for candidate, least in low.items():
        if candidate not in shown and (len(found) < first or ranks[-1:] > [model.rank(least)]):
            yield Mismatch({"recommendations, at least": _row(least)}, {"recommendations": sorted(shown)})


def _row_between(row: Recommendation, least: Recommended | None, most: Recommended | None) -> Iterator[Mismatch]:
    if most is None:
        yield Mismatch({"recommendations, not": row.user.id}, {"recommendations": _found_row(row)})
        return
    fewest: AbstractSet[str] = frozenset(least.mutual_friends if least else ())
    yield from number("mutualFriendCount", row.mutual_friend_count, max(1, len(fewest)), len(most.mutual_friends))
    found = [friend.id for friend in row.mutual_friends]
    yield from members("recommendations.mutualFriends", found, fewest, frozenset(most.mutual_friends))


def _row(row: Recommended) -> tuple[str, int, list[str]]:
    return row.person, len(row.mutual_friends), list(row.mutual_friends)


def _found_row(row: Recommendation) -> tuple[str, int, list[str]]:
    return row.user.id, row.mutual_friend_count, [friend.id for friend in row.mutual_friends]


def _ascending(values: Sequence[str] | Sequence[tuple[int, str]]) -> bool:
    return all(one < other for one, other in pairwise(values))  # type: ignore[operator]  # of one type, all of them
