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
