"""The port of the users' view: the questions that the subgraph asks of it, whatever database answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from eventkernel.reading.as_of import AsOf
from eventkernel.reading.views import ViewBuild
from subgraphs.users.projection import UserDoc


class UserQuestions(Protocol):
    """What is asked of the view, about now or about then. Deleted users are in no answer. Ids are ordered by their
    code points."""

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        """Those of these users that exist, by id, in one read."""
        ...

    async def page(self, after: str | None, limit: int) -> Sequence[UserDoc]:
        """The first `limit` users after an id (from the first one on without it), ordered by id."""
        ...

    async def search(self, prefixes: Collection[str], after: str | None, limit: int) -> Sequence[UserDoc]:
        """Like `page`, of the users for whom every prefix (at least one) is the beginning of a word of their names.

        Words are as `words.words` makes them; prefixes are words, too.
        """
        ...

    async def of_username(self, claim: str) -> UserDoc | None:
        """The user whose username has this claim (`domain.username_claim`)."""
        ...


class UserView(UserQuestions, ViewBuild[UserDoc], Protocol):
    """One build of the view; asked itself, it answers about now."""

    async def of_skeleton(self, skeleton: str) -> Sequence[UserDoc]:
        """The users with this skeleton whose username holds no claim on it (`UserDoc.skeleton`), ordered by id."""
        ...

    def as_of(self, then: AsOf | None) -> UserQuestions:
        """The same questions about then (about now without it), on this build. What they answer is what a fold of the
        log up to then gives, if the build has all of it."""
        ...
