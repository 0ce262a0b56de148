"""The recommendations subgraph as a whole: its ASGI app over both logs and the graph in SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.social import Social, at_work

RECOMMENDATIONS = """query ($id: ID!, $first: Int) { recommendations(userId: $id, first: $first) {
  user { id } mutualFriendCount mutualFriends { id } } }"""
MUTUAL = "query ($a: ID!, $b: ID!) { mutualFriends(userId: $a, friendId: $b) { id } }"
ENTITIES = """query ($r: [_Any!]!) { _entities(representations: $r) { ... on User {
  id recommendations { user { id } mutualFriends { id } } mutualFriends(with: "5") { id } } } }"""

KNOWN = [("1", "2"), ("1", "3"), ("1", "4"), ("2", "5"), ("3", "5"), ("3", "6"), ("4", "6"), ("4", "7")]


@pytest.fixture
async def social(tmp_path: Path) -> AsyncIterator[Social]:
    async with at_work(tmp_path) as social:
        await social.create(*"1234567")
        await social.befriend(KNOWN)
        yield social


async def test_the_known_answer(social: Social) -> None:
    answer = await social.recommendations.data(RECOMMENDATIONS, {"id": "1"})
    assert answer == [
        {"user": {"id": other}, "mutualFriendCount": len(between), "mutualFriends": [{"id": user} for user in between]}
        for other, between in [("5", "23"), ("6", "34"), ("7", "4")]
    ]
    assert await social.recommendations.data(MUTUAL, {"a": "1", "b": "6"}) == [{"id": "3"}, {"id": "4"}]


async def test_the_first_recommendations_and_the_first_mutual_friends_can_be_had_alone(social: Social) -> None:
    answer = await social.recommendations.data(RECOMMENDATIONS, {"id": "1", "first": 2})
    assert [row["user"]["id"] for row in answer] == ["5", "6"]
    assert await social.recommendations.data(RECOMMENDATIONS, {"id": "1", "first": 0}) == []
    first_friend = "{ recommendations(userId: 1, first: 1) { mutualFriendCount mutualFriends(first: 1) { id } } }"
    assert await social.recommendations.data(first_friend) == [{"mutualFriendCount": 2, "mutualFriends": [{"id": "2"}]}]


@pytest.mark.parametrize("first", [-1, 101])
async def test_more_than_a_hundred_recommendations_are_refused(social: Social, first: int) -> None:
    assert await social.recommendations.codes(RECOMMENDATIONS, {"id": "1", "first": first}) == ["INVALID_INPUT"]


async def test_an_unknown_and_a_deleted_user_are_not_found(social: Social) -> None:
    await social.delete("7")
    for user in ("8", "7"):
        assert await social.recommendations.codes(RECOMMENDATIONS, {"id": user}) == ["NOT_FOUND"]
        assert await social.recommendations.codes(MUTUAL, {"a": "1", "b": user}) == ["NOT_FOUND"]
        assert await social.recommendations.codes(MUTUAL, {"a": user, "b": "1"}) == ["NOT_FOUND"]
    assert await social.recommendations.codes(RECOMMENDATIONS, {"id": "not an id"}) == ["INVALID_INPUT"]


async def test_a_deleted_user_is_no_recommendation_and_no_mutual_friend(social: Social) -> None:
    await social.delete("3")
    answer = await social.recommendations.data(RECOMMENDATIONS, {"id": "1"})
    assert [(row["user"]["id"], row["mutualFriendCount"], row["mutualFriends"]) for row in answer] == [
        ("5", 1, [{"id": "2"}]),
        ("6", 1, [{"id": "4"}]),
        ("7", 1, [{"id": "4"}]),
    ]
    await social.delete("6")
    answer = await social.recommendations.data(RECOMMENDATIONS, {"id": "1"})
    assert [row["user"]["id"] for row in answer] == ["5", "7"]


async def test_a_user_shares_no_friends_with_themselves(social: Social) -> None:
    assert await social.recommendations.data(MUTUAL, {"a": "1", "b": "1"}) == []


async def test_entities_are_answered_in_their_order_and_deleted_ones_are_null(social: Social) -> None:
    await social.delete("4")
    asked = [{"__typename": "User", "id": user} for user in ("6", "4", "unknown", "1")]
    answer = await social.recommendations.data(ENTITIES, {"r": asked})
    assert answer[1:3] == [None, {"id": "unknown", "recommendations": [], "mutualFriends": []}]
    assert answer[3] == {
        "id": "1",
        "recommendations": [
            {"user": {"id": "5"}, "mutualFriends": [{"id": "2"}, {"id": "3"}]},
            {"user": {"id": "6"}, "mutualFriends": [{"id": "3"}]},
        ],
        "mutualFriends": [{"id": "2"}, {"id": "3"}],
    }
    assert [row["user"]["id"] for row in answer[0]["recommendations"]] == ["1", "5"]


async def test_many_entities_are_three_reads(social: Social, monkeypatch: pytest.MonkeyPatch) -> None:
    view = social.recommendations_view.live()
    reads: list[object] = []
    read = view.read

    async def counted(query: object) -> object:
        reads.append(query)
        return await read(query)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(view, "read", counted)
    only_recommended = ENTITIES.replace('mutualFriends(with: "5") { id }', "")
    await social.recommendations.data(only_recommended, {"r": [{"__typename": "User", "id": u} for u in "1234567"]})
    assert len(reads) == 3  # who is deleted, the recommendations, the mutual friends of all of them


async def test_what_would_take_too_much_work_is_too_costly(social: Social, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subgraphs.recommendations.schema.STEPS_LIMIT", 5)
    assert await social.recommendations.codes(RECOMMENDATIONS, {"id": "1"}) == ["TOO_COSTLY"]
    answer = await social.recommendations.ask(ENTITIES, {"r": [{"__typename": "User", "id": "1"}]})
    assert answer["data"]["_entities"] == [
        {"id": "1", "recommendations": None, "mutualFriends": [{"id": "2"}, {"id": "3"}]}
    ]
    assert answer["errors"][0]["extensions"]["code"] == "TOO_COSTLY"


async def test_more_mutual_friends_than_an_answer_may_have_are_asked_for_in_part(
    social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subgraphs.recommendations.schema.MUTUAL_FRIENDS_LIMIT", 3)
    answer = await social.recommendations.ask(RECOMMENDATIONS, {"id": "1"})
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"TOO_COSTLY"}
    assert [row["mutualFriendCount"] for row in answer["data"]["recommendations"]] == [2, 2, 1]
    in_part = RECOMMENDATIONS.replace("mutualFriends {", "mutualFriends(first: 1) {")
    answer = await social.recommendations.data(in_part, {"id": "1"})
    assert [row["mutualFriends"] for row in answer] == [[{"id": "2"}], [{"id": "3"}], [{"id": "4"}]]
