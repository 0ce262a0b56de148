"""The port of the friends' view: the questions that the subgraph asks of it, whatever database answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from eventkernel.events import moment
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.views import ViewBuild
from subgraphs.friends.domain import Pair
from subgraphs.friends.projection import FriendsDoc, FriendshipDoc, UserDoc


@dataclass(frozen=True, slots=True)
class Friend:
    """A user's friend, and since when (microseconds since 1970 UTC)."""

    id: str
    since_us: int

    @property
    def since(self) -> datetime:
        return moment(self.since_us)


class FriendQuestions(Protocol):
    """What is asked of the view, about now or about then.

    A friendship is shown while it lasts and both of its users are known and not deleted. Ids are ordered by their code
    points. Every method is one read, however many it is asked for.
    """

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        """Those of these users that the view has heard of, deleted ones too, by id."""
        ...

    async def friendships(self, pairs: Sequence[Pair]) -> Mapping[Pair, FriendshipDoc]:
        """Those of these friendships that are shown."""
        ...

    async def friends(self, user_ids: Sequence[str], after: str | None, limit: int) -> Mapping[str, Sequence[Friend]]:
        """Of each user the first `limit` friends after an id (from the first one on without it), ordered by id.

        Users without friends have an empty list.
        """
        ...

    async def friend_counts(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """How many friends each of these users has."""
        ...


class FriendView(FriendQuestions, ViewBuild[FriendsDoc], Protocol):
    """One build of the view; asked itself, it answers about now. Only `standing` looks behind what is shown."""

    def as_of(self, then: AsOf | None) -> FriendQuestions:
        """The same questions about then (about now without it), on this build. What they answer is what a fold of both
        logs up to then gives, if the build has all of it."""
        ...

    async def standing(self, user_id: str) -> Sequence[Pair]:
        """All friendships of a user that have not ended, shown or not, ordered by id of the other user."""
        ...
