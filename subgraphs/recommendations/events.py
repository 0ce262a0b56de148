"""What recommendations reads of the users' and the friends' events. Everything else in them is skipped."""

from __future__ import annotations

from typing import Final

from eventkernel.events import DomainEvent

USERS_LOG: Final = "users"
FRIENDS_LOG: Final = "friends"
"""The names of the logs."""
USER_STREAM_PREFIX: Final = "user-"


class UserCreated(DomainEvent, frozen=True, tag="users.UserCreated"):
    pass


class UserUpdated(DomainEvent, frozen=True, tag="users.UserUpdated"):
    pass


class UserDeleted(DomainEvent, frozen=True, tag="users.UserDeleted"):
    pass


class FriendAdded(DomainEvent, frozen=True, tag="friends.FriendAdded"):
    users: tuple[str, str]
    """The two users' ids in ascending order."""


class FriendRemoved(DomainEvent, frozen=True, tag="friends.FriendRemoved"):
    users: tuple[str, str]
    """As above."""


UserEvent = UserCreated | UserUpdated | UserDeleted
FriendshipEvent = FriendAdded | FriendRemoved
USER_EVENTS: Final = (UserCreated, UserUpdated, UserDeleted)
FRIENDSHIP_EVENTS: Final = (FriendAdded, FriendRemoved)
EVENT_TYPES: Final = (*USER_EVENTS, *FRIENDSHIP_EVENTS)
