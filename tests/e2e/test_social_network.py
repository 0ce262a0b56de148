"""What the people who call the API rely on, on a running system, in-process and behind HTTP ports."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from tests.support.incremental import merged
from tests.support.kith import Json, RunningKith

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = """mutation ($input: CreateUserInput!) {
    createUser(input: $input) { user { id firstName lastName username } version bookmark } }"""
UPDATE = """mutation ($input: UpdateUserInput!) {
    updateUser(input: $input) { user { id firstName username version } version bookmark } }"""
DELETE = "mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { version bookmark } }"
ADD = """mutation ($input: AddFriendInput!) {
    addFriend(input: $input) { friendship { id since users { id firstName } } version bookmark } }"""
REMOVE = "mutation ($input: RemoveFriendInput!) { removeFriend(input: $input) { version bookmark } }"
RECOMMENDATIONS = """query ($id: ID!) {
    recommendations(userId: $id, first: 10) { user { id firstName } mutualFriendCount mutualFriends { id } } }"""


async def create(kith: RunningKith, first_name: str = "Ada", **more: Json) -> tuple[str, str]:
    """A new user's id, and the bookmark."""
    answer = await kith.ask(CREATE, {"input": {"firstName": first_name, "lastName": "Lovelace", **more}})
    payload = answer.data["createUser"]
    return payload["user"]["id"], payload["bookmark"]


async def befriend(kith: RunningKith, user: str, friend: str, bookmark: str | None = None) -> str:
    """The bookmark of a new friendship."""
    answer = await kith.ask(ADD, {"input": {"userId": user, "friendId": friend}}, bookmark=bookmark)
    result: str = answer.data["addFriend"]["bookmark"]
    return result


async def network(kith: RunningKith, people: int, pairs: list[tuple[int, int]]) -> tuple[list[str], str]:
    """So many users with these friendships (counted from 1), and a bookmark that covers all of them."""
    ids, bookmark = [], ""
    for number in range(1, people + 1):
        user, bookmark = await create(kith, f"Person{number}")
        ids.append(user)
    for one, other in pairs:
        bookmark = await befriend(kith, ids[one - 1], ids[other - 1], bookmark)
    return ids, bookmark


async def test_the_known_answer(kith: RunningKith) -> None:
    ids, bookmark = await network(kith, 7, [(1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (3, 6), (4, 6), (4, 7)])
    answer = await kith.ask(RECOMMENDATIONS, {"id": ids[0]}, bookmark=bookmark)
    assert answer.data["recommendations"] == [
        {
            "user": {"id": ids[person - 1], "firstName": f"Person{person}"},
            "mutualFriendCount": len(between),
            "mutualFriends": [{"id": ids[friend - 1]} for friend in between],
        }
        for person, between in [(5, [2, 3]), (6, [3, 4]), (7, [4])]
    ]
    mutual = await kith.ask(
        "query ($a: ID!, $b: ID!) { mutualFriends(userId: $a, friendId: $b) { id } }",
        {"a": ids[0], "b": ids[5]},
        bookmark=bookmark,
    )
    assert mutual.data["mutualFriends"] == [{"id": ids[2]}, {"id": ids[3]}]


async def test_recommendations_may_come_later(kith: RunningKith) -> None:
    (one, *_), bookmark = await network(kith, 3, [(1, 2), (2, 3)])
    asked = "recommendations { user { id firstName } mutualFriends { id } }"
    whole = await kith.ask(
        f"query ($id: ID!) {{ user(id: $id) {{ firstName {asked} }} }}", {"id": one}, bookmark=bookmark
    )
    response = await kith.client.post(
        f"{kith.origin}/graphql",
        json={
            "query": f"query ($id: ID!) {{ user(id: $id) {{ firstName ... @defer {{ {asked} }} }} }}",
            "variables": {"id": one},
        },
        headers={"accept": "multipart/mixed", "bookmark": bookmark, "bookmark-timeout": "30"},
    )
    _, *parts, _ = response.content.split(b"\r\n---")
    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in parts]
    assert bodies[0]["data"] == {"user": {"firstName": "Person1"}}
    found = merged(body for body in bodies if body != {"hasNext": True})
    assert (found.data, found.errors) == (whole.data, [])
    assert found.data["user"]["recommendations"]


async def test_a_bookmark_shows_ones_own_writes_in_every_subgraph(kith: RunningKith) -> None:
    for _ in range(10):
        (one, other), bookmark = await network(kith, 2, [(1, 2)])
        answer = await kith.ask(
            """query ($a: ID!, $b: ID!) { user(id: $a) { firstName friendCount friends { edges { node { id } } }
            mutualFriends(with: $b) { id } recommendations { user { id } } } areFriends(userId: $a, friendId: $b) }""",
            {"a": one, "b": other},
            bookmark=bookmark,
        )
        assert answer.data == {
            "user": {
                "firstName": "Person1",
                "friendCount": 1,
                "friends": {"edges": [{"node": {"id": other}}]},
                "mutualFriends": [],
                "recommendations": [],
            },
            "areFriends": True,
        }
        assert answer.bookmark == answer.headers["bookmark"]


async def test_inside_one_operation_later_fetches_see_the_mutation(kith: RunningKith) -> None:
    for number in range(10):
        answer = await kith.ask(
            "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id firstName friendCount } } }",
            {"input": {"firstName": f"New{number}", "lastName": "Comer"}},
        )
        assert answer.data["createUser"]["user"]["friendCount"] == 0


async def test_a_repeated_mutation_has_one_effect_and_the_same_answer(kith: RunningKith) -> None:
    key = str(uuid.uuid4())
    request = {"input": {"firstName": "Grace", "lastName": "Hopper", "idempotencyKey": key}}
    first = (await kith.ask(CREATE, request)).data["createUser"]
    user = first["user"]["id"]
    await kith.ask(UPDATE, {"input": {"id": user, "firstName": "Admiral"}})
    again = (await kith.ask(CREATE, request)).data["createUser"]
    assert (again["user"], again["version"]) == (first["user"], first["version"])

    other, bookmark = await create(kith)
    add = {"input": {"userId": user, "friendId": other, "idempotencyKey": key}}
    friendship = (await kith.ask(ADD, add, bookmark=bookmark)).data["addFriend"]
    assert (await kith.ask(ADD, add)).data["addFriend"]["friendship"] == friendship["friendship"]

    request["input"]["firstName"] = "Somebody else"
    assert (await kith.ask(CREATE, request)).codes == ["IDEMPOTENCY_MISMATCH"]


async def test_many_at_once_with_one_key_make_one_user(kith: RunningKith) -> None:
    request = {"input": {"firstName": "Once", "lastName": "Only", "idempotencyKey": str(uuid.uuid4())}}
    answers = await asyncio.gather(*(kith.ask(CREATE, request) for _ in range(20)))
    assert len({answer.data["createUser"]["user"]["id"] for answer in answers}) == 1


async def test_refusals_have_their_codes(kith: RunningKith) -> None:
    (one, other), bookmark = await network(kith, 2, [(1, 2)])
    unknown = str(uuid.uuid4())

    async def codes(document: str, **given: Json) -> list[str]:
        return (await kith.ask(document, {"input": given}, bookmark=bookmark)).codes

    assert await codes(ADD, userId=one, friendId=one) == ["INVALID_INPUT"]
    assert await codes(ADD, userId=one, friendId=unknown) == ["NOT_FOUND"]
    assert await codes(ADD, userId=other, friendId=one) == ["ALREADY_EXISTS"]
    assert await codes(REMOVE, userId=one, friendId=unknown) == ["NOT_FOUND"]
    assert await codes(REMOVE, userId=one, friendId=other, expectedVersion=7) == ["VERSION_CONFLICT"]
    assert await codes(UPDATE, id=unknown, firstName="No") == ["NOT_FOUND"]
    assert await codes(UPDATE, id=one, firstName="No", expectedVersion=9) == ["VERSION_CONFLICT"]
    assert await codes(DELETE, id=unknown) == ["NOT_FOUND"]
    assert await codes(CREATE, firstName="", lastName="Lovelace") == ["INVALID_INPUT"]
    assert await codes(CREATE, firstName="x" * 10_000, lastName="Lovelace") == ["INVALID_INPUT"]


async def test_a_refused_mutation_has_a_bookmark_like_every_answer(kith: RunningKith) -> None:
    refused = await kith.ask(ADD, {"input": {"userId": "nobody", "friendId": "nobody"}})
    assert refused.codes == ["INVALID_INPUT"]
    assert refused.bookmark == refused.headers["bookmark"]
    assert (await kith.ask("{ users(first: 1) { edges { cursor } } }", bookmark=refused.bookmark)).codes == []


async def test_look_ups_of_the_unknown_are_null_and_everything_else_not_found(kith: RunningKith) -> None:
    unknown = str(uuid.uuid4())
    answer = await kith.ask(
        """query ($user: ID!, $friendship: ID!) {
        user(id: $user) { id } userByUsername(username: "nobody") { id } friendship(id: $friendship) { id } }""",
        {"user": unknown, "friendship": f"{unknown}~{uuid.uuid4()}"},
    )
    assert answer.data == {"user": None, "userByUsername": None, "friendship": None}
    assert (await kith.ask(RECOMMENDATIONS, {"id": unknown})).codes == ["NOT_FOUND"]


async def test_usernames_are_unique_whatever_their_case_and_free_again(kith: RunningKith) -> None:
    name = f"ada{uuid.uuid4().hex[:8]}"
    first, bookmark = await create(kith, username=name)
    taken = await kith.ask(CREATE, {"input": {"firstName": "A", "lastName": "B", "username": name.upper()}})
    assert taken.codes == ["USERNAME_TAKEN"]
    found = await kith.ask("query ($n: String!) { userByUsername(username: $n) { id } }", {"n": name.upper()})
    assert found.data == {"userByUsername": {"id": first}}
    await kith.ask(DELETE, {"input": {"id": first}}, bookmark=bookmark)
    second, _ = await create(kith, username=name.upper())
    found = await kith.ask("query ($n: String!) { userByUsername(username: $n) { id } }", {"n": name})
    assert found.data == {"userByUsername": {"id": second}}


async def test_every_page_of_users_holds_each_user_once(kith: RunningKith) -> None:
    ids, bookmark = await network(kith, 7, [])
    seen: list[str] = []
    after: str | None = None
    for _ in range(1000):
        answer = await kith.ask(
            """query ($after: String) { users(first: 3, after: $after) {
            edges { node { id } cursor } pageInfo { hasNextPage endCursor } } }""",
            {"after": after},
            bookmark=bookmark,
        )
        page = answer.data["users"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen))
    assert set(ids) <= set(seen)
    assert (await kith.ask("{ users(first: 1001) { edges { cursor } } }")).codes == ["INVALID_INPUT"]
    assert (await kith.ask('{ users(first: 1, after: "rubbish") { edges { cursor } } }')).codes == ["INVALID_INPUT"]


async def test_search_finds_by_prefixes_of_name_words_without_accents_or_case(kith: RunningKith) -> None:
    mark = "Z" + uuid.uuid4().hex[:10]
    user, bookmark = await create(kith, f"Jean-{mark} José")
    for text in (mark[:8].lower(), f"JOSE {mark}", f"lovel {mark[:5]}", "josé " + mark):
        answer = await kith.ask(
            "query ($text: String!) { searchUsers(text: $text) { edges { node { id } } } }",
            {"text": text},
            bookmark=bookmark,
        )
        assert [edge["node"]["id"] for edge in answer.data["searchUsers"]["edges"]] == [user], text


async def test_deleting_a_user_ends_friendships_and_recommendations(kith: RunningKith) -> None:
    ids, bookmark = await network(kith, 4, [(1, 2), (2, 3), (1, 4), (4, 3)])
    before = await kith.ask(RECOMMENDATIONS, {"id": ids[0]}, bookmark=bookmark)
    assert [row["mutualFriendCount"] for row in before.data["recommendations"]] == [2]
    deleted = await kith.ask(DELETE, {"input": {"id": ids[1]}}, bookmark=bookmark)
    bookmark = deleted.data["deleteUser"]["bookmark"]
    after = await kith.ask(
        "query ($id: ID!) { user(id: $id) { friendCount } recommendations(userId: $id) { mutualFriends { id } } }",
        {"id": ids[0]},
        bookmark=bookmark,
    )
    assert after.data == {"user": {"friendCount": 1}, "recommendations": [{"mutualFriends": [{"id": ids[3]}]}]}
    assert (await kith.ask(RECOMMENDATIONS, {"id": ids[1]}, bookmark=bookmark)).codes == ["NOT_FOUND"]
    again = await kith.ask(ADD, {"input": {"userId": ids[0], "friendId": ids[1]}}, bookmark=bookmark)
    assert again.codes == ["NOT_FOUND"]


async def test_a_friendship_added_while_its_user_is_deleted_does_not_stay(kith: RunningKith) -> None:
    for _ in range(10):
        (one, other), bookmark = await network(kith, 2, [])
        added, deleted = await asyncio.gather(
            # Only the friendship's own fields: a name of somebody who is gone by then would be an error beside it.
            kith.ask(ADD.replace("firstName", ""), {"input": {"userId": one, "friendId": other}}, bookmark=bookmark),
            kith.ask(DELETE, {"input": {"id": other}}, bookmark=bookmark),
        )
        assert deleted.codes == []
        assert added.codes in ([], ["NOT_FOUND"])
        answer = await kith.ask(
            "query ($id: ID!) { user(id: $id) { friendCount } }", {"id": one}, bookmark=deleted.bookmark
        )
        assert answer.data == {"user": {"friendCount": 0}}


async def test_a_friendship_removed_and_added_again_is_the_same_with_a_new_since(kith: RunningKith) -> None:
    (one, other), bookmark = await network(kith, 2, [])
    pair = {"userId": one, "friendId": other}
    first = (await kith.ask(ADD, {"input": pair}, bookmark=bookmark)).data["addFriend"]
    await kith.ask(REMOVE, {"input": pair})
    second = (await kith.ask(ADD, {"input": {"userId": other, "friendId": one}})).data["addFriend"]
    assert second["friendship"]["id"] == first["friendship"]["id"]
    assert second["friendship"]["since"] > first["friendship"]["since"]
    assert second["version"] == 3


async def test_a_bookmark_of_another_system_or_from_the_future_is_refused_at_once(kith: RunningKith) -> None:
    answer = await kith.ask("{ users(first: 1) { edges { cursor } } }", bookmark="gal1c2Vycy5hLzAB")
    assert set(answer.codes) == {"INVALID_INPUT"}
    answer = await kith.ask("{ users(first: 1) { edges { cursor } } }", bookmark="rubbish!")
    assert set(answer.codes) == {"INVALID_INPUT"}


async def test_a_field_repeated_beyond_measure_is_refused_by_name(kith: RunningKith) -> None:
    document = "{ users(first: 1) { edges { node { %s } } } }"
    assert (await kith.ask(document % ("id " * 250))).codes == []
    assert (await kith.ask(document % ("id " * 251))).codes == ["OPERATION_TOO_LARGE"]


async def test_a_bookmark_of_null_is_none(kith: RunningKith) -> None:
    response = await kith.client.post(
        f"{kith.origin}/graphql",
        json={"query": "{ users(first: 1) { edges { cursor } } }", "extensions": {"bookmark": None}},
    )
    assert "errors" not in response.json()


async def test_the_query_plan_comes_on_demand(kith: RunningKith) -> None:
    user, _ = await create(kith)
    answer = await kith.ask(RECOMMENDATIONS, {"id": user}, headers={"query-plan": "1"})
    assert "recommendations" in str(answer.body["extensions"]["queryPlan"])
    assert "queryPlan" not in (await kith.ask(RECOMMENDATIONS, {"id": user})).body.get("extensions", {})


async def test_health_says_what_is_live_and_ready(kith: RunningKith) -> None:
    for path in ("live", "ready"):
        response = await kith.client.get(f"{kith.origin}/health/{path}")
        assert response.status_code == 200, response.text
    assert {"users", "friends", "recommendations"} <= set(response.text.replace('"', " ").split())
