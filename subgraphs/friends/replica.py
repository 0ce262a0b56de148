"""Who is a user, by the friends' own replica of the users: as fresh as a refusal needs it.

A user whom the replica has not heard of may have been created a moment ago. So before anybody is told that there is no
such user, the replica catches up to the end of the users' log. Where it cannot, nobody knows, and the answer is
UNAVAILABLE. A user whom the replica knows may have been deleted a moment ago: that is not waited for, because then the
process manager ends what has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventkernel.bookmark import Bookmark, WrittenStream
from eventkernel.errors import OutOfDate, Unavailable
from eventkernel.store import LogReader
from subgraphs.friends.events import USER_STREAM_PREFIX
from subgraphs.friends.views import FriendView
from subgraphs.serving.request import Request


async def missing_users(request: Request[FriendView, Any], users_log: LogReader, ids: Sequence[str]) -> tuple[str, ...]:
    """Those of these who are no users, or no longer. The request's answer is then at least as far as what was read.

    Raises:
        Unavailable: the replica does not get to the end of the users' log in time, or one of these is parked.
    """
    view = request.view
    known = await view.users(ids)
    unknown = [user for user in ids if user not in known]
    if unknown:
        head = await users_log.head()
        # Nobody here knows which partition the user would be in, so the name stands for every one.
        streams = {WrittenStream(*partition, USER_STREAM_PREFIX + user): 1 for partition in head for user in unknown}
        try:
            view = await request.catch_up(Bookmark(head, streams))
        except OutOfDate as late:
            raise Unavailable(f"whether there is a user {unknown[0]} cannot be told now: {late}") from late
        known = await view.users(ids)
    request.join(Bookmark((await view.checkpoint()).position))
    return tuple(user for user in ids if user not in known or known[user].deleted)
