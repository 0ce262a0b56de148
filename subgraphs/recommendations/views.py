"""The port of the graph of friends: the questions that recommendations asks of it, whatever database answers.

Answers are exact. What an exact answer costs is known before the work is done, from the numbers of friends of the
users that it begins with; where that is more than a bound, there is no answer but `TooCostly`. The cost is counted in
steps from friend to friend, the same on every adapter. Each friendship that lasts is a step, also one with a user who
is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from eventkernel.errors import TooCostly
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.views import ViewBuild
from subgraphs.recommendations.projection import GraphDoc, UserDoc

Two = tuple[str, str]
"""The ids of two users."""


def refuse_beyond(bound: int, steps: int) -> None:
    """Raises TooCostly where there are more steps than the bound."""
    if steps > bound:
        found = f"found at least {steps}"
        raise TooCostly(f"expected at most {bound} steps from friend to friend in one request, {found}")


def checked_friends(friends: Sequence[str], bound: int) -> Sequence[str]:
    """The friends of one user; raises TooCostly where there are more than the bound."""
    if len(friends) > bound:
        raise TooCostly(f"expected a user with at most {bound} friends, found one with more")
    return friends


@dataclass(frozen=True, slots=True)
class Recommended:
    """A user who is not a friend yet, and how many friends the two share (at least one)."""

    id: str
    mutual_friends: int


class RecommendationQuestions(Protocol):
    """What is asked of the graph, about now or about then.

    Users are shown who are known and not deleted; nobody else is in an answer or counted in one. Ids are ordered by
    their code points. Every method is one read, however many it is asked for.
    """

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        """Those of these users that the view has heard of, deleted ones too, by id."""
        ...

    async def recommended(self, ids: Sequence[str], limit: int, bound: int) -> Mapping[str, Sequence[Recommended]]:
        """For each user the first `limit` others who share friends and are not friends with them.

        Most mutual friends first, and of equally many the least id first.

        Raises:
            TooCostly: the friends of these users have more than `bound` friends, counted as often as met.
        """
        ...

    async def mutual_friends(self, twos: Sequence[Two], limit: int | None, bound: int) -> Mapping[Two, Sequence[str]]:
        """For each two users the first `limit` friends that they share (all of them without it), ordered by id.

        One user twice has no mutual friends.

        Raises:
            TooCostly: whoever has fewer friends of each two, together they have more than `bound`.
        """
        ...

    async def friends_of(self, user: str, bound: int) -> Sequence[str]:
        """Everybody whom this user is friends with, shown or not, in any order; nobody for one who is not known.

        Raises:
            TooCostly: the user has more than `bound` friends.
        """
        ...


class RecommendationView(RecommendationQuestions, ViewBuild[GraphDoc], Protocol):
    """One build of the graph; asked itself, it answers about now."""

    def as_of(self, then: AsOf | None) -> RecommendationQuestions:
        """The same questions about then (about now without it), on this build. What they answer is what a fold of both
        logs up to then gives, if the build has all of it."""
        ...
