"""What users may do, as given – when – then."""

from __future__ import annotations

import pytest

from eventkernel.errors import NotFound
from eventkernel.testing.decider_spec import DeciderSpec
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


NOBODY = DeciderSpec(decider, claims)
ADA_IS_THERE = NOBODY.given(ADA)


def test_a_user_is_created_with_names_and_a_username() -> None:
    NOBODY.when(CreateUser("Ada", "Lovelace", "Ada")).then(ADA)


def test_a_user_is_created_once() -> None:
    with pytest.raises(AssertionError, match="drawn twice"):
        ADA_IS_THERE.when(CreateUser("Ada", "Lovelace")).refused()


def test_an_update_tells_what_has_changed_and_nothing_else() -> None:
    augusta = UpdateUser(first_name="Augusta", last_name="Lovelace")
    ADA_IS_THERE.when(augusta).then(UserUpdated(first_name="Augusta"))
    countess = UserUpdated(username="countess", username_unicode=UNICODE_VERSION)
    ADA_IS_THERE.when(UpdateUser(username="countess")).then(countess)


def test_an_update_to_what_is_there_already_changes_nothing() -> None:
    ADA_IS_THERE.when(UpdateUser()).then()
    ADA_IS_THERE.when(UpdateUser(first_name="Ada", last_name="Lovelace", username="Ada")).then()


def test_a_username_is_taken_away_once() -> None:
    away = UpdateUser(username=None)
    ADA_IS_THERE.when(away).then(UserUpdated(username_removed=True)).when(away).then()


def test_a_username_may_change_its_case() -> None:
    ada = UserUpdated(username="ada", username_unicode=UNICODE_VERSION)
    ADA_IS_THERE.when(UpdateUser(username="ada")).then(ada)


@pytest.mark.parametrize("given", [[], [ADA, UserDeleted()]], ids=["never created", "deleted"])
@pytest.mark.parametrize("command", [UpdateUser(first_name="Augusta"), UpdateUser(), DeleteUser()], ids=repr)
def test_whoever_is_not_there_can_be_neither_changed_nor_deleted(given: list[UserEvent], command: UserCommand) -> None:
    NOBODY.given(*given).when(command).refused(NotFound)


def test_a_user_is_deleted() -> None:
    ADA_IS_THERE.when(DeleteUser()).then(UserDeleted())


ADAS = ("username:ada", lookalike_claim("ada"))


def test_a_user_claims_the_username_in_any_case_and_what_looks_like_it() -> None:
    ADA_IS_THERE.claiming(*ADAS)
    ADA_IS_THERE.given(UserUpdated(username="ADA", username_unicode=UNICODE_VERSION)).claiming(*ADAS)


def test_a_username_that_was_judged_by_no_data_or_by_others_claims_itself_only() -> None:
    NOBODY.given(OF_BEFORE).claiming("username:ada")
    NOBODY.given(OF_BEFORE, UserUpdated(first_name="Augusta")).claiming("username:ada")
    others = UserCreated(first_name="A", last_name="B", username="ada", username_unicode="1.0.0")
    NOBODY.given(others).claiming("username:ada")
    NOBODY.given(OF_BEFORE, UserUpdated(username="ADA", username_unicode=UNICODE_VERSION)).claiming(*ADAS)


def test_no_claim_is_too_long_for_a_log() -> None:
    assert len(lookalike_claim("\u102a" * 50)) <= 200


def test_a_claim_is_given_up_with_the_username_and_with_the_user() -> None:
    NOBODY.claiming()
    countess = UserUpdated(username="countess", username_unicode=UNICODE_VERSION)
    ADA_IS_THERE.given(countess).claiming("username:countess", lookalike_claim("countess"))
    ADA_IS_THERE.given(UserUpdated(username_removed=True)).claiming()
    ADA_IS_THERE.given(UserDeleted()).claiming()


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "STRASSE"), ("ﬁlippo", "Filippo"), ("ＡＤＡ", "ada"), ("é", "e\u0301")]
)
def test_usernames_that_differ_in_case_or_form_only_are_one(one: str, other: str) -> None:
    assert username_claim(one) == username_claim(other)


def test_usernames_with_other_accents_are_others() -> None:
    assert username_claim("jose") != username_claim("josé")
