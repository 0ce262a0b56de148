"""What the graph keeps of events."""

from __future__ import annotations

import pytest

from eventkernel.codec import Unread
from eventkernel.errors import CorruptData
from eventkernel.events import DomainEvent, Record, RecordedEvent
from subgraphs.recommendations.events import FriendAdded, FriendRemoved, UserCreated, UserDeleted, UserUpdated
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc, evolve

ADDED = FriendAdded(users=("a", "b"))
REMOVED = FriendRemoved()
PAIR = ("a", "b")


def folded(stream: str, *events: DomainEvent) -> GraphDoc | None:
    doc: GraphDoc | None = None
    for version, event in enumerate(events, start=1):
        record = Record(
            log="any.x",
            partition=0,
            offset=10 * version,
            id=f"e{version}",
            type=str(event.__struct_config__.tag),
            time_us=1_000_000 * version,
            stream=stream,
            version=version,
            first_version=version,
            commit_size=1,
            command_id=f"c{version}",
            fingerprint="f",
        )
        doc = evolve(doc, RecordedEvent(event, record))
    return doc


def test_a_friendship_lasts_since_its_latest_beginning() -> None:
    stream = "friendship-a~b"
    assert folded(stream, ADDED) == FriendshipDoc(PAIR, 1_000_000, 10)
    assert folded(stream, ADDED, REMOVED) == FriendshipDoc(PAIR, 1_000_000, 10, ended=True)
    again = folded(stream, ADDED, REMOVED, ADDED)
    assert again == FriendshipDoc(PAIR, 3_000_000, 30)


def test_a_user_is_there_from_the_creation_to_the_deletion() -> None:
    assert folded("user-a", UserCreated()) == UserDoc("a", 1_000_000, 10)
    assert folded("user-a", UserCreated(), UserUpdated()) == UserDoc("a", 1_000_000, 10)
    assert folded("user-a", UserCreated(), UserUpdated(), UserDeleted()) == UserDoc("a", 1_000_000, 10, deleted=True)


def test_an_event_that_is_not_read_changes_nothing() -> None:
    assert folded("user-a", UserCreated(), Unread(), UserDeleted()) == UserDoc("a", 1_000_000, 10, deleted=True)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        ("friendship-a~b", [REMOVED]),
        ("friendship-a~b", [ADDED, UserCreated()]),
        ("user-a", [Unread()]),
        ("user-a", [UserUpdated()]),
        ("user-a", [UserDeleted()]),
        ("user-a", [UserCreated(), ADDED]),
        ("user-a", [UserCreated(), REMOVED]),
    ],
)
def test_what_cannot_be_is_refused(stream: str, events: list[DomainEvent]) -> None:
    with pytest.raises(CorruptData, match=stream):
        folded(stream, *events)


def test_an_event_of_no_known_kind_is_refused() -> None:
    class Opened(DomainEvent, frozen=True, tag="doors.Opened"):
        pass

    with pytest.raises(CorruptData, match=r"user-a has a doors\.Opened"):
        folded("user-a", UserCreated(), Opened())
