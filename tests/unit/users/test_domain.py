"""What users may do, as given – when – then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eventkernel.errors import NotFound
from subgraphs.users.domain import (
    CreateUser,
    DeleteUser,
    UpdateUser,
    UserCommand,
    UserCreated,
    UserDeleted,
    UserEvent,
    UserUpdated,
    claims,
    decider,
    lookalike_claim,
    username_claim,
)
from subgraphs.users.usernames import UNICODE_VERSION

ADA = UserCreated(first_name="Ada", last_name="Lovelace", username="Ada", username_unicode=UNICODE_VERSION)
OF_BEFORE = UserCreated(first_name="Ada", last_name="Lovelace", username="Ada")
"""Without a claim of look-alikes, as in 0.1.0."""


def after(given: Sequence[UserEvent], command: UserCommand) -> Sequence[UserEvent]:
    return decider.decide(command, decider.fold(given))


def held(given: Sequence[UserEvent]) -> frozenset[str]:
    return claims(decider.fold(given))


def test_a_user_is_created_with_names_and_a_username() -> None:
    assert after([], CreateUser("Ada", "Lovelace", "Ada")) == [ADA]


def test_a_user_is_created_once() -> None:
    with pytest.raises(AssertionError):
        after([ADA], CreateUser("Ada", "Lovelace"))


def test_an_update_tells_what_has_changed_and_nothing_else() -> None:
    assert after([ADA], UpdateUser(first_name="Augusta", last_name="Lovelace")) == [UserUpdated(first_name="Augusta")]
    assert after([ADA], UpdateUser(username="countess")) == [
        UserUpdated(username="countess", username_unicode=UNICODE_VERSION)
    ]


def test_an_update_to_what_is_there_already_changes_nothing() -> None:
    assert after([ADA], UpdateUser()) == []
    assert after([ADA], UpdateUser(first_name="Ada", last_name="Lovelace", username="Ada")) == []


def test_a_username_is_taken_away_once() -> None:
    assert after([ADA], UpdateUser(username=None)) == [UserUpdated(username_removed=True)]
    assert after([ADA, UserUpdated(username_removed=True)], UpdateUser(username=None)) == []


def test_a_username_may_change_its_case() -> None:
    assert after([ADA], UpdateUser(username="ada")) == [UserUpdated(username="ada", username_unicode=UNICODE_VERSION)]


@pytest.mark.parametrize("given", [[], [ADA, UserDeleted()]], ids=["never created", "deleted"])
@pytest.mark.parametrize("command", [UpdateUser(first_name="Augusta"), UpdateUser(), DeleteUser()], ids=repr)
def test_whoever_is_not_there_can_be_neither_changed_nor_deleted(given: list[UserEvent], command: UserCommand) -> None:
    with pytest.raises(NotFound):
        after(given, command)


def test_a_user_is_deleted() -> None:
    assert after([ADA], DeleteUser()) == [UserDeleted()]


def test_a_user_claims_the_username_in_any_case_and_what_looks_like_it() -> None:
    assert held([ADA]) == {"username:ada", lookalike_claim("ada")}
    assert held([ADA, UserUpdated(username="ADA", username_unicode=UNICODE_VERSION)]) == held([ADA])


def test_a_username_that_was_judged_by_no_data_or_by_others_claims_itself_only() -> None:
    assert held([OF_BEFORE]) == {"username:ada"}
    assert held([OF_BEFORE, UserUpdated(first_name="Augusta")]) == {"username:ada"}
    assert held([UserCreated(first_name="A", last_name="B", username="ada", username_unicode="1.0.0")]) == {
        "username:ada"
    }
    assert held([OF_BEFORE, UserUpdated(username="ADA", username_unicode=UNICODE_VERSION)]) == held([ADA])


def test_no_claim_is_too_long_for_a_log() -> None:
    assert len(lookalike_claim("\u102a" * 50)) <= 200


def test_a_claim_is_given_up_with_the_username_and_with_the_user() -> None:
    assert held([]) == frozenset()
    countess = UserUpdated(username="countess", username_unicode=UNICODE_VERSION)
    assert held([ADA, countess]) == {"username:countess", lookalike_claim("countess")}
    assert held([ADA, UserUpdated(username_removed=True)]) == frozenset()
    assert held([ADA, UserDeleted()]) == frozenset()


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "STRASSE"), ("ﬁlippo", "Filippo"), ("ＡＤＡ", "ada"), ("é", "e\u0301")]
)
def test_usernames_that_differ_in_case_or_form_only_are_one(one: str, other: str) -> None:
    assert username_claim(one) == username_claim(other)


def test_usernames_with_other_accents_are_others() -> None:
    assert username_claim("jose") != username_claim("josé")
