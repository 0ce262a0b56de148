"""Apollo Client puts an answer in parts together, in both formats, as it comes at once: the social network's answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.kith import kith_up
from tests.support.npm import Absent, npm_packages

SHIPPED = Path(__file__).parent / "apollo_client"
CREATE = """mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } bookmark } }"""
BEFRIEND = """mutation ($input: AddFriendInput!) { addFriend(input: $input) { bookmark } }"""
WHOLE = """query ($id: ID!) { user(id: $id) { id firstName friendCount
  recommendations { user { id firstName } mutualFriendCount mutualFriends { id username } } } }"""
IN_PARTS = """query ($id: ID!) { user(id: $id) { id firstName
  ... @defer(label: "count") { friendCount }
  ... @defer(label: "recommended") {
    recommendations @stream(initialCount: 1, label: "more") {
      user { id ... @defer(label: "name") { firstName } } mutualFriendCount mutualFriends { ...M @defer }
    }
  } } }
fragment M on User { id username }"""

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]


def without_typenames(value: Any) -> Any:
    """The data without what Apollo Client adds to each selection set."""
    if isinstance(value, dict):
        return {key: without_typenames(one) for key, one in value.items() if key != "__typename"}
    return [without_typenames(one) for one in value] if isinstance(value, list) else value


async def test_apollo_client_reads_both_formats(tmp_path: Path) -> None:
    try:
        packages = npm_packages("apollo-client", SHIPPED, "defer.js")
    except Absent as absent:
        pytest.skip(str(absent))
    async with kith_up(tmp_path / "data") as kith:
        ids: list[str] = []
        for name in ("Ada", "Alan", "Grace", "Edsger", "Barbara"):
            created = await kith.ask(CREATE, {"input": {"firstName": name, "lastName": "L", "username": name.lower()}})
            ids.append(created.data["createUser"]["user"]["id"])
        bookmark = ""
        for one, other in ((0, 1), (1, 2), (1, 3), (1, 4)):
            pair = {"userId": ids[one], "friendId": ids[other]}
            befriended = await kith.ask(BEFRIEND, {"input": pair}, bookmark=bookmark or None)
            bookmark = befriended.data["addFriend"]["bookmark"]
        whole = await kith.ask(WHOLE, {"id": ids[0]}, bookmark=bookmark)
        assert len(whole.data["user"]["recommendations"]) == 3
        process = await asyncio.create_subprocess_exec(
            *("node", "defer.js", f"{kith.origin}/graphql", IN_PARTS, json.dumps({"id": ids[0]})),
            cwd=packages,
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        assert process.returncode == 0
    found: dict[str, dict[str, Any]] = json.loads(printed)
    assert {name: one["mediaType"].split("; ")[0::2] for name, one in found.items()} == {
        "20220824": ["multipart/mixed", "deferSpec=20220824"],
        "current": ["multipart/mixed", "incrementalSpec=v0.2"],
    }
    for client in found.values():
        assert without_typenames(client["data"]) == whole.data
