"""The rules of friendships: given events, when a command, then events or a refusal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eventkernel.errors import AlreadyExists, InvalidInput, NotFound
from eventkernel.testing.decider_spec import DeciderSpec
from subgraphs.friends.domain import (
    AddFriend,
    FriendAdded,
    FriendRemoved,
    FriendshipEvent,
    Pair,
    Reason,
    RemoveFriend,
    decider,
    id_of,
)

PAIR = Pair("a", "b")
ADDED = FriendAdded(users=("a", "b"))
REMOVED = FriendRemoved(users=("a", "b"), reason="by hand")
ADD = AddFriend(PAIR)
REMOVE = RemoveFriend(PAIR, Reason.BY_HAND)


PAIRS = DeciderSpec(decider)


def test_two_users_become_friends_once() -> None:
    PAIRS.when(ADD).then(ADDED).when(ADD).refused(AlreadyExists, "a and b are friends already")


def test_a_friendship_ends_for_a_reason() -> None:
    PAIRS.given(ADDED).when(REMOVE).then(REMOVED)
    ended = FriendRemoved(users=("a", "b"), reason="user deleted")
    PAIRS.given(ADDED).when(RemoveFriend(PAIR, Reason.USER_DELETED)).then(ended)


@pytest.mark.parametrize("given", [(), (ADDED, REMOVED), (ADDED, REMOVED, ADDED, REMOVED)])
def test_what_is_no_friendship_does_not_end(given: Sequence[FriendshipEvent]) -> None:
    PAIRS.given(*given).when(REMOVE).refused(NotFound, "a and b are not friends")


def test_after_the_end_two_users_can_become_friends_again() -> None:
    PAIRS.given(ADDED, REMOVED).when(ADD).then(ADDED).when(REMOVE).then(REMOVED)


@pytest.mark.parametrize("given", [(), (ADDED,), (ADDED, REMOVED)])
def test_nobody_becomes_friends_with_somebody_who_is_no_user(given: Sequence[FriendshipEvent]) -> None:
    PAIRS.given(*given).when(AddFriend(PAIR, missing=("b",))).refused(NotFound, "no user b")
    PAIRS.given(*given).when(AddFriend(PAIR, missing=("a", "b"))).refused(NotFound, "no user a and no user b")


def test_a_pair_is_the_same_either_way_round() -> None:
    assert Pair.of("b", "a") == Pair.of("a", "b") == PAIR
    assert (PAIR.friendship_id, PAIR.stream, PAIR.users) == ("a~b", "friendship-a~b", ("a", "b"))
    assert Pair.of_friendship(id_of(PAIR.stream)) == PAIR


def test_nobody_is_a_pair_alone() -> None:
    with pytest.raises(InvalidInput, match="friendId: expected another user than userId"):
        Pair.of("a", "a")


@pytest.mark.parametrize("text", ["", "a", "~", "a~", "~b", "b~a", "a~a", "a~b~c", "a~~b"])
def test_other_texts_are_no_ids_of_friendships(text: str) -> None:
    assert Pair.of_friendship(text) is None
