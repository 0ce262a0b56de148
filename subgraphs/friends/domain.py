"""What a friendship is: symmetric, one aggregate for every two users, begun and ended any number of times.

The two users' ids in ascending order are the friendship's id, so (a, b) and (b, a) are the same one, and its stream
decides every race between them. Whether users exist is known outside of the stream: it comes with the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from eventkernel.decider import Decider
from eventkernel.errors import AlreadyExists, InvalidInput, NotFound
from eventkernel.events import DomainEvent

STREAM_PREFIX: Final = "friendship-"
BETWEEN: Final = "~"
"""Stands between two users' ids, which do not contain it."""


class FriendAdded(DomainEvent, frozen=True, tag="friends.FriendAdded"):
    users: tuple[str, str]
    """The two users' ids in ascending order."""


class FriendRemoved(DomainEvent, frozen=True, tag="friends.FriendRemoved"):
    users: tuple[str, str]
    reason: str
    """A `Reason`, or one that later versions know."""


FriendshipEvent = FriendAdded | FriendRemoved
EVENT_TYPES: Final = (FriendAdded, FriendRemoved)


class Reason(StrEnum):
    """Why a friendship has ended."""

    BY_HAND = "by hand"
    USER_DELETED = "user deleted"


class Pair(NamedTuple):
    """Two different users, in ascending order of their ids (by code points)."""

    low: str
    high: str

    @classmethod
    def of(cls, user_id: str, friend_id: str) -> Pair:
        if user_id == friend_id:
            raise InvalidInput("friendId: expected another user than userId, found the same")
        return cls(min(user_id, friend_id), max(user_id, friend_id))

    @classmethod
    def of_friendship(cls, friendship_id: str) -> Pair | None:
        """The pair of a friendship's id; None for a text that is no such id."""
        low, between, high = friendship_id.partition(BETWEEN)
        if not (between and low < high) or not low or BETWEEN in high:
            return None
        return cls(low, high)

    @property
    def friendship_id(self) -> str:
        return f"{self.low}{BETWEEN}{self.high}"

    @property
    def stream(self) -> str:
        return STREAM_PREFIX + self.friendship_id

    @property
    def users(self) -> tuple[str, str]:
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class AddFriend:
    pair: Pair
    missing: tuple[str, ...] = ()
    """Those of the two who are no users, or no longer."""


@dataclass(frozen=True, slots=True)
class RemoveFriend:
    pair: Pair
    reason: Reason


FriendshipCommand = AddFriend | RemoveFriend

FriendshipState = bool
"""Whether the two are friends."""


def id_of(stream: str) -> str:
    return stream.removeprefix(STREAM_PREFIX)


def decide(command: FriendshipCommand, state: FriendshipState) -> Sequence[FriendshipEvent]:
    match command:
        case AddFriend(pair, missing):
            if missing:
                raise NotFound(f"there is no user {' and no user '.join(missing)}")
            if state:
                raise AlreadyExists(f"{pair.low} and {pair.high} are friends already")
            return [FriendAdded(users=pair.users)]
        case RemoveFriend(pair, reason):
            if not state:
                raise NotFound(f"{pair.low} and {pair.high} are not friends")
            return [FriendRemoved(users=pair.users, reason=reason.value)]
        case _:
            assert_never(command)


def evolve(_state: FriendshipState, event: FriendshipEvent) -> FriendshipState:
    match event:
        case FriendAdded():
            return True
        case FriendRemoved():
            return False
        case _:
            assert_never(event)


def _initial() -> FriendshipState:
    return False


decider: Decider[FriendshipState, FriendshipCommand, FriendshipEvent] = Decider(_initial, decide, evolve)
