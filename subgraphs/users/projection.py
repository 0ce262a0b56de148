"""What the users' events mean to the view: one document per user, kept as a tombstone after the deletion."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent, moment
from eventkernel.reading.views import Projection
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated, id_of
from subgraphs.users.usernames import UNICODE_VERSION, skeleton


class UserDoc(Struct, frozen=True, gc=False):
    """A user as clients see one. A tombstone has `deleted` and keeps no name."""

    id: str
    version: int
    first_name: str
    last_name: str
    username: str | None
    created_us: int
    updated_us: int
    """Microseconds since 1970 UTC of the first and of the latest event."""
    deleted: bool = False
    skeleton: str | None = None
    """Of a username whose look-alikes are not claimed, because it is older than the rule, or judged by other data."""

    @property
    def created_at(self) -> datetime:
        return moment(self.created_us)

    @property
    def updated_at(self) -> datetime:
        return moment(self.updated_us)


def evolve(doc: UserDoc | None, recorded: RecordedEvent) -> UserDoc:
    event, version, time_us = recorded.event, recorded.version, recorded.record.time_us
    if not isinstance(event, UserCreated | UserUpdated | UserDeleted):
        raise CorruptData(f"{recorded.stream} has an event of type {recorded.record.type}, which is not a user's")
    if isinstance(event, UserCreated):
        return UserDoc(
            id=id_of(recorded.stream),
            version=version,
            first_name=event.first_name,
            last_name=event.last_name,
            username=event.username,
            created_us=time_us,
            updated_us=time_us,
            skeleton=_unclaimed_skeleton(event),
        )
    if doc is None:
        raise CorruptData(f"{recorded.stream} does not begin with the user's creation")
    match event:
        case UserUpdated():
            return replace(
                doc,
                version=version,
                updated_us=time_us,
                first_name=doc.first_name if event.first_name is None else event.first_name,
                last_name=doc.last_name if event.last_name is None else event.last_name,
                username=None if event.username_removed else event.username or doc.username,
                skeleton=_unclaimed_skeleton(event) if event.username or event.username_removed else doc.skeleton,
            )
        case UserDeleted():
            return replace(
                doc,
                version=version,
                updated_us=time_us,
                first_name="",
                last_name="",
                username=None,
                deleted=True,
                skeleton=None,
            )
        case _:
            assert_never(event)


def _unclaimed_skeleton(event: UserCreated | UserUpdated) -> str | None:
    if event.username is None or event.username_unicode == UNICODE_VERSION:
        return None
    return skeleton(event.username)


projection: Projection[UserDoc] = Projection(name="users", shape=2, evolve=evolve)
