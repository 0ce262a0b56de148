"""What the view keeps of a user's events, however they are delivered."""

from __future__ import annotations

import pytest

from eventkernel.events import DomainEvent
from eventkernel.testing.projection_spec import ProjectionSpec
from eventkernel.writing.codec import Codec
from subgraphs.users.domain import EVENT_TYPES, UserCreated, UserDeleted, UserUpdated, stream_of
from subgraphs.users.projection import UserDoc, projection
from subgraphs.users.usernames import UNICODE_VERSION

CREATED = UserCreated(first_name="Ada", last_name="Lovelace", username="ada", username_unicode=UNICODE_VERSION)
START = 1_700_000_000_000_000


def spec() -> ProjectionSpec[UserDoc]:
    return ProjectionSpec(projection, Codec(EVENT_TYPES))


def folded(*events: DomainEvent) -> UserDoc:
    """The document of the user u1; each event is a second after the one before."""
    return spec().given(stream_of("u1"), *events).then()[stream_of("u1")]


def test_a_created_user_has_names_times_and_version_one() -> None:
    assert folded(CREATED) == UserDoc("u1", 1, "Ada", "Lovelace", "ada", START, START)


def test_an_update_changes_what_it_names_and_keeps_the_time_of_creation() -> None:
    later = START + 1_000_000
    assert folded(CREATED, UserUpdated(first_name="Augusta")) == UserDoc(
        "u1", 2, "Augusta", "Lovelace", "ada", START, later
    )
    assert folded(
        CREATED, UserUpdated(last_name="King", username="countess", username_unicode=UNICODE_VERSION)
    ) == UserDoc("u1", 2, "Ada", "King", "countess", START, later)
    assert folded(CREATED, UserUpdated(username_removed=True)) == UserDoc(
        "u1", 2, "Ada", "Lovelace", None, START, later
    )


def test_a_deleted_user_leaves_a_tombstone_without_names() -> None:
    assert folded(CREATED, UserDeleted()) == UserDoc("u1", 2, "", "", None, START, START + 1_000_000, deleted=True)


def test_a_username_that_is_older_than_the_rule_has_a_skeleton_until_it_changes() -> None:
    of_before = UserCreated(first_name="Ada", last_name="Lovelace", username="Marna")
    renamed = UserUpdated(username="ada", username_unicode=UNICODE_VERSION)
    assert folded(of_before).skeleton == "rnarna"
    assert folded(of_before, UserUpdated(first_name="Augusta")).skeleton == "rnarna"
    assert folded(of_before, UserUpdated(username="mary")).skeleton == "rnary"
    assert folded(of_before, renamed).skeleton is None
    assert folded(of_before, UserUpdated(username_removed=True)).skeleton is None
    assert folded(of_before, UserDeleted()).skeleton is None
    assert folded(CREATED, UserUpdated(username="mary", username_unicode="1.0.0")).skeleton == "rnary"


def test_users_do_not_meddle_with_each_other() -> None:
    ada, grace = stream_of("u1"), stream_of("u2")
    users = spec().given(ada, CREATED).given(grace, UserCreated(first_name="Grace", last_name="Hopper"))
    users.given(ada, UserUpdated(first_name="Augusta")).given(grace, UserDeleted()).given(ada, UserDeleted())
    documents = users.then()
    assert {stream: (doc.id, doc.version, doc.deleted) for stream, doc in documents.items()} == {
        ada: ("u1", 3, True),
        grace: ("u2", 2, True),
    }


def test_a_stream_that_does_not_begin_with_a_creation_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"user-u1 parks"):
        folded(UserDeleted())


def test_an_event_that_is_no_users_is_refused() -> None:
    class Opened(DomainEvent, frozen=True, tag="doors.Opened"):
        pass

    both = Codec([*EVENT_TYPES, Opened])
    with pytest.raises(AssertionError, match=r"user-u1 parks"):
        ProjectionSpec(projection, both).given(stream_of("u1"), CREATED, Opened()).then()
