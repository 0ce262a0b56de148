"""What ends the friendships of deleted users: the process manager's reactions.

A deletion and a new friendship with the same user are on different logs and have no order. So each of the two events
looks for the other one: a deletion ends all friendships that stand, a new friendship is ended where it finds a
deletion. The view has stored the event before its reaction looks, so that of two simultaneous ones at least the second
finds the first (`eventkernel/reacting/process.py` has the argument).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eventkernel.events import Record
from eventkernel.reacting.reactions import Reactions, Send, send
from subgraphs.friends.domain import FriendAdded, Pair, Reason, RemoveFriend
from subgraphs.friends.events import USER_STREAM_PREFIX, UserDeleted
from subgraphs.friends.friendships import FRIENDSHIPS
from subgraphs.friends.views import FriendView


async def _standing(_event: UserDeleted, record: Record, view: FriendView) -> Sequence[Pair]:
    return await view.standing(record.stream.removeprefix(USER_STREAM_PREFIX))


def _end_all(_event: UserDeleted, _record: Record, standing: Sequence[Pair]) -> Sequence[Send]:
    return [_end(pair) for pair in standing]


async def _with_somebody_deleted(event: FriendAdded, _record: Record, view: FriendView) -> bool:
    known = await view.users(event.users)
    return any(user.deleted for user in known.values())


def _end_at_once(event: FriendAdded, _record: Record, with_somebody_deleted: bool) -> Sequence[Send]:
    return [_end(Pair(*event.users))] if with_somebody_deleted else []


def _end(pair: Pair) -> Send:
    """One that has ended already is refused, and the others are none the worse for it: so it was when 0.1.0 ended it,
    whose commands had other ids."""
    return send(FRIENDSHIPS, pair.friendship_id, RemoveFriend(pair, Reason.USER_DELETED))


ENDINGS: Final = (
    Reactions[FriendView]("friends-endings")
    .on(UserDeleted, _end_all, reading=_standing)
    .on(FriendAdded, _end_at_once, reading=_with_somebody_deleted)
)

NAME: Final = ENDINGS.name
