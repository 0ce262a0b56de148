"""What events mean to the friends' view: a document per friendship, and one per user, as far as friends needs users.

Friendships and users are on different logs and come in any order: queries join the two kinds of documents, and show a
friendship only while both of its users are there.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent, moment
from eventkernel.reading.views import Projection
from eventkernel.writing.codec import Unread
from subgraphs.friends.domain import FriendAdded, FriendRemoved, Pair, id_of
from subgraphs.friends.events import USER_STREAM_PREFIX, UserCreated, UserDeleted, UserEvent, UserUpdated


class UserDoc(Struct, frozen=True, gc=False):
    """A user as friends knows one: there since a moment, or deleted."""

    id: str
    created_us: int
    """Microseconds since 1970 UTC."""
    created_offset: int
    deleted: bool = False


class FriendshipDoc(Struct, frozen=True, gc=False):
    """A friendship since its latest beginning. One that has ended is a tombstone."""

    pair: Pair
    version: int
    since_us: int
    """Microseconds since 1970 UTC of the latest beginning, and its offset in the log."""
    since_offset: int
    ended: bool = False

    @property
    def id(self) -> str:
        return self.pair.friendship_id

    @property
    def since(self) -> datetime:
        return moment(self.since_us)


FriendsDoc = UserDoc | FriendshipDoc


def evolve(doc: FriendsDoc | None, recorded: RecordedEvent) -> FriendsDoc:
    match recorded.event:
        case FriendAdded() | FriendRemoved() if not isinstance(doc, UserDoc):
            return evolve_friendship(doc, recorded)
        case UserCreated() | UserUpdated() | UserDeleted() as event if not isinstance(doc, FriendshipDoc):
            return _evolve_user(doc, event, recorded)
        case Unread() if doc is not None:
            return doc
        case _:
            raise CorruptData(f"{recorded.stream} has a {recorded.record.type}, which does not belong there")


def evolve_friendship(doc: FriendshipDoc | None, recorded: RecordedEvent) -> FriendshipDoc:
    """As `evolve`, for those who fold the stream of one friendship."""
    record = recorded.record
    if isinstance(recorded.event, FriendAdded):
        pair = Pair.of_friendship(id_of(record.stream))
        if pair is None:
            raise CorruptData(f"{record.stream} is not a friendship's stream")
        return FriendshipDoc(pair, record.version, record.time_us, record.offset)
    if doc is None:
        raise CorruptData(f"{record.stream} does not begin with the friendship's beginning")
    return replace(doc, version=record.version, ended=True)


def _evolve_user(doc: UserDoc | None, event: UserEvent, recorded: RecordedEvent) -> UserDoc:
    record = recorded.record
    if isinstance(event, UserCreated):
        return UserDoc(record.stream.removeprefix(USER_STREAM_PREFIX), record.time_us, record.offset)
    if doc is None:
        raise CorruptData(f"{record.stream} does not begin with the user's creation")
    return replace(doc, deleted=True) if isinstance(event, UserDeleted) else doc


projection: Projection[FriendsDoc] = Projection(name="friends", shape=1, evolve=evolve)
