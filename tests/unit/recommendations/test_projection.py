"""What the graph keeps of events, as those who own them write them."""

from __future__ import annotations

import pytest

from eventkernel.errors import CorruptData
from eventkernel.events import DomainEvent, Record, RecordedEvent
from eventkernel.testing.projection_spec import ProjectionSpec
from eventkernel.writing.codec import Codec, Unread
from subgraphs.friends.domain import FriendAdded, FriendRemoved
from subgraphs.recommendations import events
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc, evolve, projection
from subgraphs.users import domain as users

PAIR = ("a", "b")
FRIENDSHIP = "friendship-a~b"
ADDED = FriendAdded(users=("a", "b"))
REMOVED = FriendRemoved(users=("a", "b"), reason="by hand")

READ_ADDED = events.FriendAdded(users=("a", "b"))

CREATED = users.UserCreated(first_name="Ada", last_name="Lovelace", username="ada")
UPDATED = users.UserUpdated(username_removed=True)
DELETED = users.UserDeleted()

START = 1_700_000_000_000_000
SECOND = 1_000_000


class UserPromoted(DomainEvent, frozen=True, tag="users.UserPromoted"):
    """What a later version of the users subgraph may write."""


@pytest.fixture
def spec() -> ProjectionSpec[GraphDoc]:
    written = (FriendAdded, FriendRemoved, users.UserCreated, users.UserUpdated, users.UserDeleted, UserPromoted)
    read = Codec(events.EVENT_TYPES, skip_others=True)
    return ProjectionSpec(projection, read, encoder=Codec(written))


def test_a_friendship_lasts_since_its_latest_beginning(spec: ProjectionSpec[GraphDoc]) -> None:
    assert spec.given(FRIENDSHIP, ADDED).then() == {FRIENDSHIP: FriendshipDoc(PAIR, START, 0)}
    assert spec.given(FRIENDSHIP, REMOVED).then() == {FRIENDSHIP: FriendshipDoc(PAIR, START, 0, ended=True)}
    again = spec.given(FRIENDSHIP, ADDED).then()[FRIENDSHIP]
    assert again == FriendshipDoc(PAIR, START + 2 * SECOND, 2)


def test_a_user_is_there_from_the_creation_to_the_deletion(spec: ProjectionSpec[GraphDoc]) -> None:
    assert spec.given("user-a", CREATED).then() == {"user-a": UserDoc("a", START, 0)}
    assert spec.given("user-a", UPDATED).then() == {"user-a": UserDoc("a", START, 0)}
    assert spec.given("user-a", DELETED).then() == {"user-a": UserDoc("a", START, 0, deleted=True)}


def test_an_event_that_is_not_read_changes_nothing(spec: ProjectionSpec[GraphDoc]) -> None:
    spec.given("user-a", CREATED, UserPromoted(), UPDATED)
    assert spec.then() == {"user-a": UserDoc("a", START, 0)}


def test_documents_do_not_depend_on_the_order_of_streams_and_on_repetitions(spec: ProjectionSpec[GraphDoc]) -> None:
    spec.given("user-a", CREATED).given("user-b", CREATED, DELETED).given(FRIENDSHIP, ADDED, REMOVED, ADDED)
    spec.given("friendship-a~c", FriendAdded(users=("a", "c")))
    assert spec.then() == {
        "user-a": UserDoc("a", START, 0),
        "user-b": UserDoc("b", START + SECOND, 1, deleted=True),
        FRIENDSHIP: FriendshipDoc(PAIR, START + 5 * SECOND, 5),
        "friendship-a~c": FriendshipDoc(("a", "c"), START + 6 * SECOND, 6),
    }


@pytest.mark.parametrize(
    ("stream", "happened"),
    [
        (FRIENDSHIP, [events.FriendRemoved(users=PAIR)]),
        (FRIENDSHIP, [READ_ADDED, events.UserCreated()]),
        ("user-a", [Unread()]),
        ("user-a", [events.UserUpdated()]),
        ("user-a", [events.UserDeleted()]),
        ("user-a", [events.UserCreated(), READ_ADDED]),
        ("user-a", [events.UserCreated(), events.FriendRemoved(users=PAIR)]),
    ],
)
def test_what_cannot_be_is_refused(stream: str, happened: list[DomainEvent]) -> None:
    *before, last = [RecordedEvent(event, _record(stream, version)) for version, event in enumerate(happened, start=1)]
    doc: GraphDoc | None = None
    for recorded in before:
        doc = evolve(doc, recorded)
    with pytest.raises(CorruptData, match=stream):
        evolve(doc, last)


def _record(stream: str, version: int) -> Record:
    return Record(
        log="any.x",
        partition=0,
        offset=version,
        id=f"e{version}",
        type="any",
        time_us=version,
        stream=stream,
        version=version,
        first_version=version,
        commit_size=1,
        command_id=f"c{version}",
        fingerprint="f",
    )
