"""What friends reads of the users' events: that somebody came or left. Everything else in them is skipped."""

from __future__ import annotations

from typing import Final

from eventkernel.events import DomainEvent

USERS_LOG: Final = "users"
"""The name of the users' log."""
USER_STREAM_PREFIX: Final = "user-"


class UserCreated(DomainEvent, frozen=True, tag="users.UserCreated"):
    pass


class UserUpdated(DomainEvent, frozen=True, tag="users.UserUpdated"):
    pass


class UserDeleted(DomainEvent, frozen=True, tag="users.UserDeleted"):
    pass


UserEvent = UserCreated | UserUpdated | UserDeleted
EVENT_TYPES: Final = (UserCreated, UserUpdated, UserDeleted)
