"""What a user is: the events of one user's life, the commands, and the rules between them.

One stream per user, `user-<id>`. A user without events does not exist; a deleted one stays deleted. The username is
unique among all users, whatever its case: the stream claims it while it has it, and its skeleton, so that no other
username looks like it. Usernames of before the rule of look-alikes claim only themselves.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Final, Literal, assert_never

from eventkernel.decider import Decider
from eventkernel.errors import NotFound, Refusal
from eventkernel.events import DomainEvent, Personal
from subgraphs.users.usernames import UNICODE_VERSION, skeleton

STREAM_PREFIX: Final = "user-"


class UserCreated(DomainEvent, frozen=True, tag="users.UserCreated"):
    first_name: Annotated[str, Personal()]
    last_name: Annotated[str, Personal()]
    username: Annotated[str | None, Personal()] = None
    username_unicode: str | None = None
    """The version of Unicode's data that the username was judged by, with its skeleton claimed; None: by none."""


class UserUpdated(DomainEvent, frozen=True, tag="users.UserUpdated"):
    """What has changed; None stands for what has not."""

    first_name: Annotated[str | None, Personal()] = None
    last_name: Annotated[str | None, Personal()] = None
    username: Annotated[str | None, Personal()] = None
    username_removed: bool = False
    username_unicode: str | None = None
    """As in `UserCreated`, of a username that has changed."""


class UserDeleted(DomainEvent, frozen=True, tag="users.UserDeleted"):
    pass


UserEvent = UserCreated | UserUpdated | UserDeleted
EVENT_TYPES: Final = (UserCreated, UserUpdated, UserDeleted)


class Unchanged(Enum):
    """What an update says of a field that it leaves as it is."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class CreateUser:
    first_name: str
    last_name: str
    username: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateUser:
    first_name: str | Literal[Unchanged.UNCHANGED] = UNCHANGED
    last_name: str | Literal[Unchanged.UNCHANGED] = UNCHANGED
    username: str | Literal[Unchanged.UNCHANGED] | None = UNCHANGED


@dataclass(frozen=True, slots=True)
class DeleteUser:
    pass


UserCommand = CreateUser | UpdateUser | DeleteUser


class UsernameTaken(Refusal):
    code = "USERNAME_TAKEN"


@dataclass(frozen=True, slots=True)
class User:
    """A user as the rules see one. None in its place: there is no user (yet)."""

    first_name: str
    last_name: str
    username: str | None
    deleted: bool = False
    username_unicode: str | None = None


UserState = User | None


def stream_of(user_id: str) -> str:
    return STREAM_PREFIX + user_id


def id_of(stream: str) -> str:
    return stream.removeprefix(STREAM_PREFIX)


def username_claim(username: str) -> str:
    """The claim of a username: equal for usernames that differ in case or compatibility forms only."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold())
    return f"username:{folded}"


def lookalike_claim(username: str) -> str:
    """The claim of all usernames that look like this one. A digest: a skeleton may be too long for a claim."""
    return f"lookalike:{hashlib.sha256(skeleton(username).encode()).hexdigest()}"


def claims(state: UserState) -> frozenset[str]:
    """What a user's stream holds."""
    if state is None or state.deleted or state.username is None:
        return frozenset()
    username = frozenset({username_claim(state.username)})
    # Of one that was judged by other data, or by none, the view knows the skeleton: it may not be the only one.
    return username | {lookalike_claim(state.username)} if state.username_unicode == UNICODE_VERSION else username


def decide(command: UserCommand, state: UserState) -> Sequence[UserEvent]:
    match command:
        case CreateUser():
            if state is not None:
                raise AssertionError("a user's id was drawn twice")
            return [
                UserCreated(
                    first_name=command.first_name,
                    last_name=command.last_name,
                    username=command.username,
                    username_unicode=None if command.username is None else UNICODE_VERSION,
                )
            ]
        case UpdateUser():
            event = _changes(command, _existing(state))
            return [] if event == UserUpdated() else [event]
        case DeleteUser():
            _existing(state)
            return [UserDeleted()]
        case _:
            assert_never(command)


def evolve(state: UserState, event: UserEvent) -> UserState:
    match event:
        case UserCreated():
            return User(event.first_name, event.last_name, event.username, username_unicode=event.username_unicode)
        case UserUpdated():
            user = _existing(state)
            return User(
                first_name=user.first_name if event.first_name is None else event.first_name,
                last_name=user.last_name if event.last_name is None else event.last_name,
                username=None if event.username_removed else event.username or user.username,
                username_unicode=event.username_unicode if event.username else user.username_unicode,
            )
        case UserDeleted():
            return replace(_existing(state), deleted=True)
        case _:
            assert_never(event)


def _initial() -> UserState:
    return None


decider: Decider[UserState, UserCommand, UserEvent] = Decider(_initial, decide, evolve)


def _existing(state: UserState) -> User:
    if state is None or state.deleted:
        raise NotFound("there is no such user")
    return state


def _changes(command: UpdateUser, user: User) -> UserUpdated:
    username = None if command.username is None else _changed(command.username, user.username)
    return UserUpdated(
        first_name=_changed(command.first_name, user.first_name),
        last_name=_changed(command.last_name, user.last_name),
        username=username,
        username_removed=command.username is None and user.username is not None,
        username_unicode=None if username is None else UNICODE_VERSION,
    )


def _changed(wanted: str | Literal[Unchanged.UNCHANGED], now: str | None) -> str | None:
    return None if wanted is UNCHANGED or wanted == now else wanted
