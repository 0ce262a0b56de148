"""What the view keeps of a user's events."""

from __future__ import annotations

import pytest

from eventkernel.errors import CorruptData
from eventkernel.events import DomainEvent, Record, RecordedEvent
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated
from subgraphs.users.projection import UserDoc, evolve

CREATED = UserCreated(first_name="Ada", last_name="Lovelace", username="ada")


def folded(*events: DomainEvent) -> UserDoc | None:
    doc: UserDoc | None = None
    for version, event in enumerate(events, start=1):
        record = Record(
            log="users.x",
            partition=0,
            offset=version,
            id=f"e{version}",
            type="any",
            time_us=1_000_000 * version,
            stream="user-u1",
            version=version,
            first_version=version,
            commit_size=1,
            command_id=f"c{version}",
            fingerprint="f",
        )
        doc = evolve(doc, RecordedEvent(event, record))
    return doc


def test_a_created_user_has_names_times_and_version_one() -> None:
    assert folded(CREATED) == UserDoc("u1", 1, "Ada", "Lovelace", "ada", 1_000_000, 1_000_000)


def test_an_update_changes_what_it_names_and_keeps_the_time_of_creation() -> None:
    assert folded(CREATED, UserUpdated(first_name="Augusta")) == UserDoc(
        "u1", 2, "Augusta", "Lovelace", "ada", 1_000_000, 2_000_000
    )
    assert folded(CREATED, UserUpdated(username_removed=True)) == UserDoc(
        "u1", 2, "Ada", "Lovelace", None, 1_000_000, 2_000_000
    )


def test_a_deleted_user_leaves_a_tombstone_without_names() -> None:
    assert folded(CREATED, UserDeleted()) == UserDoc("u1", 2, "", "", None, 1_000_000, 2_000_000, deleted=True)


def test_a_stream_that_does_not_begin_with_a_creation_is_refused() -> None:
    with pytest.raises(CorruptData, match="user-u1"):
        folded(UserDeleted())


def test_an_event_that_is_no_users_is_refused() -> None:
    class Opened(DomainEvent, frozen=True, tag="doors.Opened"):
        pass

    with pytest.raises(CorruptData, match="no user's"):
        folded(Opened())
