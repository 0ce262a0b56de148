"""What events mean to the graph of friends: a user's stream is a node, a friendship's stream is an edge.

The two kinds come from different logs in any order. An edge waits in the graph for the nodes at its ends; queries show
a user who has been created and not deleted, and nobody else.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent
from eventkernel.reading.views import Projection
from eventkernel.writing.codec import Unread
from subgraphs.recommendations.events import (
    USER_STREAM_PREFIX,
    FriendAdded,
    FriendRemoved,
    FriendshipEvent,
    UserCreated,
    UserDeleted,
    UserEvent,
    UserUpdated,
)


class UserDoc(Struct, frozen=True, gc=False):
    """A node: there since a moment, or deleted."""

    id: str
    created_us: int
    """Microseconds since 1970 UTC."""
    created_offset: int
    deleted: bool = False


class FriendshipDoc(Struct, frozen=True, gc=False):
    """An edge, since its latest beginning. One that has ended is a tombstone."""

    users: tuple[str, str]
    """The ids at its ends, in ascending order."""
    since_us: int
    """Microseconds since 1970 UTC of the latest beginning, and its offset in the log."""
    since_offset: int
    ended: bool = False


GraphDoc = UserDoc | FriendshipDoc


def evolve(doc: GraphDoc | None, recorded: RecordedEvent) -> GraphDoc:
    match recorded.event:
        case FriendAdded() | FriendRemoved() as event if not isinstance(doc, UserDoc):
            return _evolve_friendship(doc, event, recorded)
        case UserCreated() | UserUpdated() | UserDeleted() as event if not isinstance(doc, FriendshipDoc):
            return _evolve_user(doc, event, recorded)
        case Unread() if doc is not None:
            return doc
        case _:
            raise CorruptData(f"{recorded.stream} has a {recorded.record.type}, which does not belong there")


def _evolve_friendship(doc: FriendshipDoc | None, event: FriendshipEvent, recorded: RecordedEvent) -> FriendshipDoc:
    record = recorded.record
    if isinstance(event, FriendAdded):
        return FriendshipDoc(event.users, record.time_us, record.offset)
    if doc is None:
        raise CorruptData(f"{record.stream} does not begin with the friendship's beginning")
    return replace(doc, ended=True)


def _evolve_user(doc: UserDoc | None, event: UserEvent, recorded: RecordedEvent) -> UserDoc:
    record = recorded.record
    if isinstance(event, UserCreated):
        return UserDoc(record.stream.removeprefix(USER_STREAM_PREFIX), record.time_us, record.offset)
    if doc is None:
        raise CorruptData(f"{record.stream} does not begin with the user's creation")
    return replace(doc, deleted=True) if isinstance(event, UserDeleted) else doc


projection: Projection[GraphDoc] = Projection(name="recommendations", shape=1, evolve=evolve)
