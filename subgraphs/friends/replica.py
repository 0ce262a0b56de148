"""Who is a user, by the friends' own replica of the users: as fresh as a refusal needs it.

A user whom the replica has not heard of may have been created a moment ago. So before anybody is told that there is no
such user, the replica catches up to the end of the users' log. Where it cannot, nobody knows, and the answer is
UNAVAILABLE. A user whom the replica knows may have been deleted a moment ago: that is not waited for, because then the
process manager ends what has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eventgraph.serving.request import NO_BOOKMARK, Request
from eventkernel.errors import OutOfDate, Unavailable
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.gate import BookmarkGate
from eventkernel.writing.store import LogReader
from subgraphs.friends.events import USER_STREAM_PREFIX
from subgraphs.friends.views import FriendQuestions, FriendView


@dataclass(frozen=True, slots=True)
class UserReplica:
    """The users in the friends' view, and the log that they come from."""

    users_log: LogReader
    gate: BookmarkGate[FriendView]

    async def missing(self, request: Request[FriendQuestions, Any], ids: Sequence[str]) -> tuple[str, ...]:
        """Those of these who are no users, or no longer. The request's bookmark then covers what was read.

        Raises:
            Unavailable: the replica does not get to the end of the users' log in time, or one of these is parked.
        """
        view = await self.gate.wait(NO_BOOKMARK, request.timeout)  # the request has waited for its own bookmark
        known = await view.users(ids)
        unknown = [user for user in ids if user not in known]
        if unknown:
            for user in unknown:
                view = await self._caught_up(user, request.timeout)
            known = await view.users(ids)
        request.join(Bookmark((await view.shown()).position))  # others may be in the midst of a save to this view
        return tuple(user for user in ids if user not in known or known[user].deleted)

    async def _caught_up(self, user: str, timeout: float) -> FriendView:
        try:
            return await self.gate.caught_up(self.users_log, USER_STREAM_PREFIX + user, timeout)
        except OutOfDate as late:
            raise Unavailable(f"whether there is a user {user} cannot be told now: {late}") from late
