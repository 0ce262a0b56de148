"""What the system has been asked to change, and what an answer may and must therefore show.

While many clients write at the same time, an answer has no one right content, but bounds. Every pair of people has a
version: 0 at first, 1 more with every change, so that two people are friends when it is odd. Two versions bound what
an answer may show of a pair:

- `asked`: the highest version that any request sent so far can have made. Nothing may be shown beyond it.
- `covered`: the highest version that the bookmark of this request covers, because an answer that led to the bookmark
  acknowledged or showed it. Nothing may be shown from before it.

Where both are equal, the pair's state is decided; where not, a pair that is friends at any version in between may be
shown as friends, and one that is not at any version in between may be missing. When all has settled, every bookmark
covers everything that was asked, every pair is decided, and the bounds are one exact answer.

Commands are decided on the log, not on a view: what they must answer does not depend on a bookmark. Two that are under
way at the same time may come in either order. The same pair may be added by several at once; whoever removes a
friendship has the pair to themselves (`FriendshipHistory.turn`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from kithgraph.load.network import Name

Pair = tuple[str, str]
"""Two people's ids in ascending order."""

NOT_THERE: Final = "NOT_FOUND"
THERE_ALREADY: Final = "ALREADY_EXISTS"
ONESELF: Final = "INVALID_INPUT"
TOO_COSTLY: Final = "TOO_COSTLY"
"""The codes of the refusals that can be predicted."""


def pair_of(one: str, other: str) -> Pair:
    return min(one, other), max(one, other)


@dataclass(frozen=True, slots=True)
class Expected:
    """How a request for a change may be answered."""

    codes: AbstractSet[str]
    """It may be refused with one of these."""
    version: int | None = None
    """It may make this version."""
    any_version: bool = False

    def allows(self, version: int) -> bool:
        return self.any_version or version == self.version

    def told(self) -> object:
        """For a person to read."""
        version = ["a change"] if self.any_version else [{"version": self.version}] if self.version else []
        return [*version, *self.codes]


@dataclass(slots=True)
class FriendshipHistory:
    """What is known of one pair."""

    asked: int = 0
    answered: int = 0
    """The highest version that was acknowledged."""
    settled: int = 0
    """The version that every bookmark covers by now."""
    adding: int = 0
    """How many requests to add it are under way."""
    lost: bool = False
    """A request about it had no answer in the end: nobody knows what the log holds."""
    friendship: str | None = None
    since: datetime | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def friends(self) -> bool:
        """Whether the latest acknowledged change made them friends."""
        return self.answered % 2 == 1

    def begin(self, *, adding: bool) -> None:
        """A request is about to be sent."""
        self.adding += adding
        if self.friends != adding:
            self.asked = max(self.asked, self.answered + 1)

    def expected(self, *, adding: bool) -> Expected:
        """What the answer to a request that was begun may be, judged when it is there."""
        refusal = {THERE_ALREADY if adding else NOT_THERE}
        if self.lost:
            return Expected(refusal, any_version=True)
        if self.friends == adding:
            return Expected(refusal)
        return Expected(refusal if self.adding > 1 else frozenset(), self.answered + 1)

    def end(self, *, adding: bool, version: int | None) -> None:
        """The answer is there, with the version that the request has made, if it was not refused."""
        self.adding -= adding
        if version is not None:
            self.answered = max(self.answered, version)
            self.asked = max(self.asked, version)


class History:
    """All people and all pairs that were asked for, over all clients."""

    def __init__(self) -> None:
        self.names: dict[str, Name] = {}
        self.strangers = False
        """Whether somebody may have been created in an answer that never came."""
        self._pairs: dict[str, dict[str, FriendshipHistory]] = {}

    def add_person(self, person: str, name: Name) -> None:
        self.names[person] = name
        self._pairs[person] = {}

    def pair(self, one: str, other: str) -> FriendshipHistory:
        found = self._pairs[one].get(other)
        if found is None:
            found = self._pairs[one][other] = self._pairs[other][one] = FriendshipHistory()
        return found

    def pairs_of(self, person: str) -> Iterable[tuple[str, FriendshipHistory]]:
        """Everybody with whom this person was ever asked to be friends."""
        return self._pairs[person].items()

    def settle(self) -> None:
        """From now on every bookmark covers everything that was acknowledged."""
        for pairs in self._pairs.values():
            for pair in pairs.values():
                pair.settled = pair.answered


class Coverage:
    """What one client's bookmark covers: the bounds of the next answer."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._people: set[str] = set()
        self._pairs: dict[Pair, int] = {}
        self._all_people = False

    def settle(self) -> None:
        """The bookmark is now the joined one, which covers everything that was acknowledged."""
        self._people.clear()
        self._pairs.clear()
        self._all_people = True

    def cover_person(self, person: str) -> None:
        if not self._all_people:
            self._people.add(person)

    def cover_pair(self, one: str, other: str, version: int) -> None:
        """The bookmark covers this change; without its people it would not be shown, so it covers these, too."""
        self.cover_person(one)
        self.cover_person(other)
        pair = pair_of(one, other)
        self._pairs[pair] = max(self._pairs.get(pair, 0), version)

    def covers_person(self, person: str) -> bool:
        return self._all_people or person in self._people

    def certain(self, person: str) -> set[str]:
        """Those who must be shown as this person's friends."""
        return {
            other
            for other, pair in self._history.pairs_of(person)
            if pair.asked % 2 == 1 and pair.asked == self._covered(person, other, pair) and not pair.lost
        }

    def possible(self, person: str) -> set[str]:
        """Those who may be shown as this person's friends."""
        return {
            other
            for other, pair in self._history.pairs_of(person)
            if pair.asked % 2 == 1 or pair.lost or pair.asked > self._covered(person, other, pair)
        }

    def saw(self, one: str, other: str, *, friends: bool) -> None:
        """An answer has shown them as friends, or not: with its bookmark nothing older may follow."""
        pair = self._history.pair(one, other)
        covered = self._covered(one, other, pair)
        if covered % 2 != friends and covered < pair.asked:
            self.cover_pair(one, other, covered + 1)

    def _covered(self, one: str, other: str, pair: FriendshipHistory) -> int:
        if not self._pairs:
            return pair.settled
        return max(pair.settled, self._pairs.get(pair_of(one, other), 0))
