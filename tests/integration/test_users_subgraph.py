"""The users subgraph as a whole: its ASGI app over a log and a view in SQLite."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventgraph.ports import Adapters
from eventgraph.serving.served import running
from eventgraph.serving.wiring import served
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import ManualClock
from eventkernel.errors import Unavailable
from eventkernel.events import EncodedEvent, Position
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import command_id, fingerprint
from eventkernel.writing.store import ClaimHolder, Commit
from graphrouter.http.actors import Actor, ActorKeys
from infra.patience import seconds
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.domain import EVENT_TYPES, UserCreated, stream_of, username_claim
from subgraphs.users.projection import projection
from subgraphs.users.subgraph import USERS as DECLARED

CREATE = """
mutation ($input: CreateUserInput!) {
  createUser(input: $input) {
    user { id firstName lastName username createdAt updatedAt version } version bookmark idempotencyKey
  }
}"""
UPDATE = """
mutation ($input: UpdateUserInput!) {
  updateUser(input: $input) {
    user { id firstName lastName username createdAt updatedAt version } version bookmark idempotencyKey
  }
}"""
DELETE = """
mutation ($input: DeleteUserInput!) {
  deleteUser(input: $input) { deletedUserId version bookmark idempotencyKey }
}"""
USER = "query ($id: ID!) { user(id: $id) { id firstName lastName username createdAt updatedAt version } }"
BY_USERNAME = "query ($username: String!) { userByUsername(username: $username) { id firstName } }"
USERS = """
query ($first: Int, $after: String) {
  users(first: $first, after: $after) {
    edges { node { firstName } cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
SEARCH = """
query ($text: String!, $first: Int, $after: String) {
  searchUsers(text: $text, first: $first, after: $after) {
    edges { node { firstName } cursor } pageInfo { hasNextPage }
  }
}"""
ENTITIES = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { id firstName } } }"


@dataclass
class Users:
    """A client that sends the bookmark that it got last, as clients are told to."""

    client: httpx.AsyncClient
    store: SqliteEventStore
    clock: ManualClock
    bookmark: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, query: str, **variables: object) -> dict[str, Any]:
        sent = {**self.headers, **({"Bookmark": self.bookmark} if self.bookmark else {})}
        response = await self.client.post("/graphql", json={"query": query, "variables": variables}, headers=sent)
        answer: dict[str, Any] = response.json()
        self.bookmark = response.headers.get("bookmark", self.bookmark)
        return answer

    async def data(self, query: str, **variables: object) -> Any:
        answer = await self.ask(query, **variables)
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    async def code(self, query: str, **variables: object) -> str:
        answer = await self.ask(query, **variables)
        (error,) = answer["errors"]
        return str(error["extensions"]["code"])

    async def create(self, first_name: str = "Ada", last_name: str = "Lovelace", **more: object) -> Any:
        return await self.data(CREATE, input={"firstName": first_name, "lastName": last_name, **more})

    async def created_before(self, username: str, key: str) -> str:
        """The id of somebody who was created by 0.1.0: without a claim of what looks like the username."""
        user_id = f"before-{key}"
        event = UserCreated(first_name="Of", last_name="Before", username=username)
        await self.store.append(
            stream_of(user_id),
            [Codec(EVENT_TYPES).encode(event, stream_of(user_id))],
            expected_version=0,
            command_id=command_id("anonymous", key),
            fingerprint=fingerprint(
                "createUser",
                {
                    "firstName": "Of",
                    "lastName": "Before",
                    "username": username,
                    "expectedVersion": None,
                    "idempotencyKey": key,
                },
            ),
            claims=frozenset({username_claim(username)}),
        )
        return user_id

    async def names(self, query: str, **variables: object) -> list[str]:
        return [edge["node"]["firstName"] for edge in (await self.data(query, **variables))["edges"]]


ACTORS = ActorKeys.drawn()


def asked_by(name: str, *scopes: str) -> dict[str, str]:
    """The header by which a router tells who asks."""
    return {"Actor": ACTORS.sign(Actor(name, frozenset(scopes)), 600)}


@asynccontextmanager
async def serving(folder: Path, *, projecting: bool = True, actors: ActorKeys | None = None) -> AsyncGenerator[Users]:
    clock = ManualClock()
    store = await SqliteEventStore.open(folder / "users.sqlite", name="users", clock=clock)
    view = await SqliteView.open(folder / "views", SqliteUserView, shape=projection.shape, logs=[store.log])
    adapters = Adapters(view, {"users": store}, ["users", "friends"], store=store, clock=clock)
    subgraph = served(DECLARED, adapters, actors)
    try:
        if not projecting:
            await view.switch((await view.create()).name)
        async with running(subgraph.workers if projecting else []):
            await view.ready(timeout=seconds(10))
            transport = httpx.ASGITransport(subgraph.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://users") as client:
                yield Users(client, store, clock)
    finally:
        await view.aclose()
        await store.aclose()


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Users]:
    """Where routers say who asks."""
    async with serving(tmp_path, actors=ACTORS) as client:
        yield client


@pytest.fixture
async def users(tmp_path: Path) -> AsyncIterator[Users]:
    async with serving(tmp_path) as client:
        yield client


# Creating and reading


async def test_a_created_user_is_answered_and_then_read(users: Users) -> None:
    created = await users.create("Ada", "Lovelace", username="ada", idempotencyKey="k1")
    user = created["user"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", user["id"])
    assert user == {
        "id": user["id"],
        "firstName": "Ada",
        "lastName": "Lovelace",
        "username": "ada",
        "createdAt": "2023-11-14T22:13:20.000000Z",
        "updatedAt": "2023-11-14T22:13:20.000000Z",
        "version": 1,
    }
    assert (created["version"], created["idempotencyKey"]) == (1, "k1")
    assert created["bookmark"] == users.bookmark
    assert await users.data(USER, id=user["id"]) == user


async def test_names_are_trimmed_and_normalised(users: Users) -> None:
    created = await users.create("  Jose\u0301 ", "\u00a0Ñandú")
    assert (created["user"]["firstName"], created["user"]["lastName"]) == ("José", "Ñandú")


@pytest.mark.parametrize(
    "given",
    [
        {"firstName": ""},
        {"lastName": "  "},
        {"firstName": "x" * 101},
        {"firstName": "a\nb"},
        {"username": ""},
        {"username": "a b"},
        {"username": "x" * 51},
        {"username": "ada@example.org"},
        {"idempotencyKey": ""},
        {"idempotencyKey": "x" * 129},
    ],
    ids=str,
)
async def test_what_is_no_name_is_refused_by_its_field(users: Users, given: dict[str, str]) -> None:
    answer = await users.ask(CREATE, input={"firstName": "Ada", "lastName": "Lovelace", **given})
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["message"].startswith(f"{next(iter(given))}: expected")
    assert answer["data"] == {"createUser": None}


async def test_an_unknown_user_is_null(users: Users) -> None:
    assert await users.data(USER, id="nobody") is None
    assert await users.data(BY_USERNAME, username="nobody") is None
    assert await users.code(USER, id="no body") == "INVALID_INPUT"


async def test_one_of_several_mutations_in_a_request_may_fail_alone(users: Users) -> None:
    answer = await users.ask(
        'mutation { a: createUser(input: {firstName: "A", lastName: "A", username: "a"}) { user { firstName } }'
        ' b: createUser(input: {firstName: "B", lastName: "B", username: "A"}) { user { firstName } }'
        ' c: createUser(input: {firstName: "C", lastName: "C"}) { user { firstName } } }'
    )
    assert answer["data"] == {"a": {"user": {"firstName": "A"}}, "b": None, "c": {"user": {"firstName": "C"}}}
    assert [error["path"] for error in answer["errors"]] == [["b"]]
    assert await users.names(USERS) == ["A", "C"]


# Usernames


async def test_a_username_belongs_to_one_user_whatever_its_case(users: Users) -> None:
    created = await users.create(username="Ada")
    given = {"firstName": "Ada", "lastName": "Byron", "username": "ADA"}
    assert await users.code(CREATE, input=given) == "USERNAME_TAKEN"
    assert await users.data(BY_USERNAME, username="aDA") == {"id": created["user"]["id"], "firstName": "Ada"}


async def test_a_key_that_was_refused_is_refused_for_ever(users: Users) -> None:
    holder = (await users.create("Ada", username="ada"))["user"]
    given = {"firstName": "Eve", "lastName": "X", "username": "ada", "idempotencyKey": "k1"}
    assert await users.code(CREATE, input=given) == "USERNAME_TAKEN"
    await users.data(DELETE, input={"id": holder["id"]})
    assert await users.code(CREATE, input=given) == "USERNAME_TAKEN"
    assert await users.code(CREATE, input={**given, "firstName": "Eva"}) == "IDEMPOTENCY_MISMATCH"
    assert (await users.data(CREATE, input={**given, "idempotencyKey": "k2"}))["user"]["username"] == "ada"


async def test_an_attempt_that_comes_back_after_its_key_was_refused_makes_no_user(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs before its append; meanwhile another attempt is refused, and the name is free again."""
    given = {"firstName": "Eve", "lastName": "X", "username": "ada", "idempotencyKey": "k1"}
    append, hanging, go_on = users.store.append, asyncio.Event(), asyncio.Event()

    async def hang(*of: Any, **more: Any) -> Commit:
        monkeypatch.undo()
        hanging.set()
        await go_on.wait()
        return await append(*of, **more)

    monkeypatch.setattr(users.store, "append", hang)
    first = asyncio.create_task(users.code(CREATE, input=given))
    await hanging.wait()
    holder = (await users.create("Ada", username="ada"))["user"]
    assert await users.code(CREATE, input=given) == "USERNAME_TAKEN"
    await users.data(DELETE, input={"id": holder["id"]})
    go_on.set()
    assert await first == "USERNAME_TAKEN"
    assert await users.store.find_claim("username:ada") is None


async def test_a_look_up_by_username_waits_for_the_user_even_without_a_bookmark(users: Users) -> None:
    for number in range(20):
        await users.create(f"User {number}", username=f"user-{number}")
        users.bookmark = ""
        assert (await users.data(BY_USERNAME, username=f"user-{number}"))["firstName"] == f"User {number}"


async def test_a_look_up_by_a_new_username_waits_for_the_change_that_gave_it(users: Users) -> None:
    user_id = (await users.create())["user"]["id"]
    for number in range(20):
        await users.data(UPDATE, input={"id": user_id, "username": f"user-{number}"})
        users.bookmark = ""
        assert (await users.data(BY_USERNAME, username=f"user-{number}"))["id"] == user_id


async def test_whoever_has_given_a_username_up_is_not_found_by_it(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = (await users.create(username="ada"))["user"]["id"]
    holder = await users.store.find_claim(username_claim("ada"))
    for username in ("countess", None):
        await users.data(UPDATE, input={"id": user_id, "username": username})
        await users.data(USER, id=user_id)

        async def a_moment_ago(_claim: str) -> ClaimHolder | None:
            return holder

        with monkeypatch.context() as patched:
            patched.setattr(users.store, "find_claim", a_moment_ago)
            assert await users.data(BY_USERNAME, username="ada") is None


async def test_a_username_is_free_again_when_it_was_given_up(users: Users) -> None:
    ada = (await users.create(username="ada"))["user"]
    await users.data(UPDATE, input={"id": ada["id"], "username": None})
    assert await users.data(BY_USERNAME, username="ada") is None
    other = (await users.create("Adele", username="ada"))["user"]
    await users.data(DELETE, input={"id": other["id"]})
    assert (await users.data(UPDATE, input={"id": ada["id"], "username": "ada"}))["user"]["username"] == "ada"


async def test_of_many_who_want_a_username_at_once_one_gets_it(users: Users) -> None:
    given = {"firstName": "Ada", "lastName": "Lovelace", "username": "ada"}
    answers = await asyncio.gather(*(users.ask(CREATE, input=given) for _ in range(20)))
    codes = sorted(answer["errors"][0]["extensions"]["code"] if "errors" in answer else "" for answer in answers)
    assert codes == ["", *["USERNAME_TAKEN"] * 19]


# Updating


async def test_an_update_changes_what_is_given_and_nothing_else(users: Users) -> None:
    user = (await users.create(username="ada"))["user"]
    users.clock.advance(1)
    updated = await users.data(UPDATE, input={"id": user["id"], "firstName": "Augusta"})
    expected = {**user, "firstName": "Augusta", "version": 2, "updatedAt": "2023-11-14T22:13:21.000000Z"}
    assert (updated["user"], updated["version"]) == (expected, 2)
    assert await users.data(USER, id=user["id"]) == expected


async def test_an_update_to_what_is_there_changes_nothing_and_is_remembered(users: Users) -> None:
    user = (await users.create())["user"]
    given = {"id": user["id"], "firstName": "Ada", "idempotencyKey": "k2"}
    assert (await users.data(UPDATE, input=given))["version"] == 1
    assert (await users.data(UPDATE, input=given))["user"] == user
    assert await users.code(UPDATE, input={**given, "firstName": "Augusta"}) == "IDEMPOTENCY_MISMATCH"


async def test_null_takes_a_username_away_and_is_no_name(users: Users) -> None:
    user = (await users.create(username="ada"))["user"]
    assert (await users.data(UPDATE, input={"id": user["id"], "username": None}))["user"]["username"] is None
    assert await users.code(UPDATE, input={"id": user["id"], "firstName": None}) == "INVALID_INPUT"


async def test_an_update_of_another_version_than_expected_is_refused(users: Users) -> None:
    user = (await users.create())["user"]
    given = {"id": user["id"], "firstName": "Augusta", "expectedVersion": 2}
    answer = await users.ask(UPDATE, input=given)
    assert answer["errors"][0]["extensions"] == {"code": "VERSION_CONFLICT", "expected": 2, "found": 1}
    assert (await users.data(UPDATE, input={**given, "expectedVersion": 1}))["version"] == 2
    assert await users.code(UPDATE, input={**given, "expectedVersion": 0}) == "INVALID_INPUT"


async def test_whoever_is_not_there_can_be_neither_changed_nor_deleted(users: Users) -> None:
    user = (await users.create())["user"]
    await users.data(DELETE, input={"id": user["id"]})
    for user_id in ("nobody", user["id"]):
        assert await users.code(UPDATE, input={"id": user_id, "firstName": "A"}) == "NOT_FOUND"
        assert await users.code(DELETE, input={"id": user_id}) == "NOT_FOUND"
    assert await users.code(UPDATE, input={"id": "nobody", "expectedVersion": 1}) == "NOT_FOUND"


# Deleting


async def test_a_deleted_user_is_in_no_answer(users: Users) -> None:
    user = (await users.create(username="ada"))["user"]
    deleted = await users.data(DELETE, input={"id": user["id"], "expectedVersion": 1})
    assert (deleted["deletedUserId"], deleted["version"]) == (user["id"], 2)
    assert await users.data(USER, id=user["id"]) is None
    assert await users.data(BY_USERNAME, username="ada") is None
    assert await users.names(USERS) == []
    assert await users.names(SEARCH, text="ada") == []
    assert await users.data(ENTITIES, r=[{"__typename": "User", "id": user["id"]}]) == [None]


# Commands sent again


async def test_a_retried_command_gives_the_first_answer(users: Users) -> None:
    given = {"firstName": "Ada", "lastName": "Lovelace", "username": "ada", "idempotencyKey": "k1"}
    first = await users.data(CREATE, input=given)
    user_id = first["user"]["id"]
    await users.data(UPDATE, input={"id": user_id, "firstName": "Augusta"})
    again = await users.data(CREATE, input=given)
    assert {**again, "bookmark": ""} == {**first, "bookmark": ""}
    assert await users.names(USERS) == ["Augusta"]


async def test_a_delete_sent_again_is_answered_again(users: Users) -> None:
    user = (await users.create())["user"]
    given = {"id": user["id"], "idempotencyKey": "k2"}
    first = await users.data(DELETE, input=given)
    assert await users.data(DELETE, input=given) == first


async def test_one_key_is_for_one_command(users: Users) -> None:
    await users.create(idempotencyKey="k1")
    given = {"firstName": "Grace", "lastName": "Hopper", "idempotencyKey": "k1"}
    assert await users.code(CREATE, input=given) == "IDEMPOTENCY_MISMATCH"


async def test_another_expected_version_is_another_command(users: Users) -> None:
    given = {"id": (await users.create())["user"]["id"], "firstName": "Augusta", "idempotencyKey": "k2"}
    await users.data(UPDATE, input=given)
    assert await users.code(UPDATE, input={**given, "expectedVersion": 1}) == "IDEMPOTENCY_MISMATCH"


async def test_callers_do_not_meet_each_others_keys(known: Users) -> None:
    known.headers = asked_by("somebody", "users:write")
    first = await known.create(idempotencyKey="k1")
    known.headers = asked_by("another", "users:write")
    second = await known.create("Grace", "Hopper", idempotencyKey="k1")
    assert second["user"]["id"] != first["user"]["id"]
    assert (await known.create("Grace", "Hopper", idempotencyKey="k1"))["user"]["id"] == second["user"]["id"]


async def test_keys_of_callers_who_are_not_known_name_the_commands_that_they_always_did(users: Users) -> None:
    user_id = (await users.create(idempotencyKey="k1"))["user"]["id"]
    found = await users.store.find_command(command_id("anonymous", "k1"))
    assert found is not None
    assert found.stream == stream_of(user_id)


async def test_the_user_who_asks_changes_themselves_only(known: Users) -> None:
    known.headers = asked_by("office", "users:write")
    ada, eve = [(await known.create(name))["user"]["id"] for name in ("Ada", "Eve")]
    known.headers = asked_by(eve, "users:read")
    change = {"id": ada, "firstName": "Mallory"}
    assert await known.code(UPDATE, input=change) == "FORBIDDEN"
    assert await known.code(DELETE, input={"id": ada}) == "FORBIDDEN"
    assert await known.code(CREATE, input={"firstName": "A", "lastName": "B"}) == "FORBIDDEN"
    assert (await known.data(UPDATE, input={"id": eve, "firstName": "Eva"}))["user"]["firstName"] == "Eva"
    known.headers = {}
    assert await known.code(UPDATE, input=change) == "FORBIDDEN"
    known.headers = asked_by("office", "users:write")
    assert (await known.data(UPDATE, input={**change, "firstName": "Ada B."}))["user"]["firstName"] == "Ada B."
    known.headers = asked_by(eve)
    assert (await known.data(DELETE, input={"id": eve}))["deletedUserId"] == eve
    assert [record.actor for record in await known.store.read_stream(stream_of(ada))] == ["office", "office"]
    assert [record.actor for record in await known.store.read_stream(stream_of(eve))] == ["office", eve, eve]


async def test_what_is_forbidden_is_no_answer_to_an_idempotency_key(known: Users) -> None:
    given = {"firstName": "Ada", "lastName": "Lovelace", "idempotencyKey": "k1"}
    known.headers = asked_by("office")
    assert await known.code(CREATE, input=given) == "FORBIDDEN"
    known.headers = asked_by("office", "users:write")
    assert (await known.data(CREATE, input=given))["version"] == 1


async def test_me_is_the_user_who_asks(known: Users) -> None:
    known.headers = asked_by("office", "users:write")
    ada = (await known.create())["user"]["id"]
    assert await known.data("{ me { id } }") is None
    known.headers = asked_by(ada)
    assert await known.data("{ me { id firstName } }") == {"id": ada, "firstName": "Ada"}
    known.headers = {}
    assert await known.data("{ me { id } }") is None


async def test_the_server_draws_a_key_that_works(users: Users) -> None:
    first = await users.create()
    again = await users.create(idempotencyKey=first["idempotencyKey"])
    assert again["user"] == first["user"]


async def test_one_command_sent_many_times_at_once_is_done_once(users: Users) -> None:
    answers = await asyncio.gather(*(users.create(idempotencyKey="k1") for _ in range(20)))
    assert len({answer["user"]["id"] for answer in answers}) == 1
    assert await users.names(USERS) == ["Ada"]


# Lists


async def test_users_are_listed_in_the_order_of_their_creation_page_by_page(users: Users) -> None:
    for name in "ABCDE":
        await users.create(name)
    page = await users.data(USERS, first=2)
    assert [edge["node"]["firstName"] for edge in page["edges"]] == ["A", "B"]
    assert page["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": page["edges"][0]["cursor"],
        "endCursor": page["edges"][1]["cursor"],
    }
    second = await users.data(USERS, first=2, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["firstName"] for edge in second["edges"]] == ["C", "D"]
    assert second["pageInfo"]["hasPreviousPage"] is True
    last = await users.data(USERS, first=2, after=second["pageInfo"]["endCursor"])
    assert ([edge["node"]["firstName"] for edge in last["edges"]], last["pageInfo"]["hasNextPage"]) == (["E"], False)


async def test_a_page_goes_on_behind_a_user_who_was_deleted(users: Users) -> None:
    made = [(await users.create(name))["user"]["id"] for name in "ABC"]
    cursor = (await users.data(USERS, first=2))["pageInfo"]["endCursor"]
    await users.data(DELETE, input={"id": made[1]})
    assert await users.names(USERS, after=cursor) == ["C"]


async def test_a_page_is_of_twenty_users_unless_asked_otherwise(users: Users) -> None:
    await asyncio.gather(*(users.create(f"U{number}") for number in range(25)))
    users.bookmark = Bookmark(await users.store.head()).encode()
    assert len(await users.names(USERS)) == 20
    assert len(await users.names(USERS, first=None)) == 20
    assert await users.names(USERS, first=0) == []
    assert await users.names(USERS, after="") == await users.names(USERS)  # as generated clients ask


@pytest.mark.parametrize("variables", [{"first": -1}, {"first": 1001}, {"after": "x"}], ids=str)
async def test_a_page_that_cannot_be_is_refused(users: Users, variables: dict[str, object]) -> None:
    assert await users.code(USERS, **variables) == "INVALID_INPUT"


async def test_users_are_found_by_beginnings_of_the_words_of_their_names(users: Users) -> None:
    for first, last in (("Ada", "Lovelace"), ("Adèle", "Lévy-Dubois"), ("Grace", "Hopper"), ("Åse", "Ådland")):
        await users.create(first, last)
    for text, expected in {
        "ad": ["Ada", "Adèle", "Åse"],
        "AD lo": ["Ada"],
        "dub ADE": ["Adèle"],
        "levy": ["Adèle"],
        "åd": ["Ada", "Adèle", "Åse"],
        "hopper, grace": ["Grace"],
        "ace": [],
        "grace hopperx": [],
    }.items():
        assert await users.names(SEARCH, text=text) == expected, text
    page = await users.data(SEARCH, text="ad", first=2)
    assert page["pageInfo"]["hasNextPage"] is True
    assert await users.names(SEARCH, text="ad", first=2, after=page["edges"][1]["cursor"]) == ["Åse"]
    for text in ("", " ", "!?", "x" * 101):
        assert await users.code(SEARCH, text=text) == "INVALID_INPUT"


async def test_a_changed_name_is_found_by_its_new_words_only(users: Users) -> None:
    user = (await users.create("Ada", "Byron"))["user"]
    await users.data(UPDATE, input={"id": user["id"], "lastName": "Lovelace"})
    assert await users.names(SEARCH, text="lovelace") == ["Ada"]
    assert await users.names(SEARCH, text="byron") == []


# Federation


async def test_entities_are_answered_in_their_order(users: Users) -> None:
    made = [(await users.create(name))["user"]["id"] for name in "AB"]
    representations = [{"__typename": "User", "id": i} for i in (made[1], "nobody", made[0], made[1])]
    found = await users.data(ENTITIES, r=representations)
    assert [None if user is None else user["firstName"] for user in found] == ["B", None, "A", "B"]


# Bookmarks


async def test_whoever_sends_the_bookmark_of_a_mutation_reads_it(users: Users) -> None:
    user_id = (await users.create())["user"]["id"]
    for number in range(30):
        await users.data(UPDATE, input={"id": user_id, "firstName": f"Ada {number}"})
        assert (await users.data(USER, id=user_id))["firstName"] == f"Ada {number}"


async def test_a_bookmark_of_another_log_is_known_by_name_only(users: Users) -> None:
    users.bookmark = Bookmark(Position.of("friends.whatever", 0, 1000)).encode()
    await users.create()
    for log in ("users.other", "nothing.x"):
        users.bookmark = Bookmark(Position.of(log, 0, 1)).encode()
        assert await users.code(USERS) == "INVALID_INPUT"


async def test_a_bookmark_past_the_end_of_the_log_is_refused(users: Users) -> None:
    users.bookmark = Bookmark(Position.of(users.store.log, 0, 1000)).encode()
    assert await users.code(USERS) == "INVALID_INPUT"


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [("anna", "\u0430nna"), ("paypal", "PaypaI"), ("mary", "rnary"), ("user1", "userl"), ("Zo\u00eb", "zoe\u0308")],
)
async def test_a_username_that_looks_like_another_is_taken(users: Users, taken: str, wanted: str) -> None:
    first = (await users.create(username=taken))["user"]["id"]
    assert await users.code(CREATE, input={"firstName": "A", "lastName": "B", "username": wanted}) == "USERNAME_TAKEN"
    other = (await users.create())["user"]["id"]
    assert await users.code(UPDATE, input={"id": other, "username": wanted}) == "USERNAME_TAKEN"
    await users.data(UPDATE, input={"id": first, "username": wanted})
    await users.data(UPDATE, input={"id": first, "username": None})
    assert (await users.data(UPDATE, input={"id": other, "username": wanted}))["user"]["username"]


@pytest.mark.parametrize(
    "username",
    ["Anna\u034f", "Anna\ufe0f", "Anna\u061c", "An\u00adna", "\ufb01lippo", "\u2128", "\u13a0nna", "\u0149ab"],
)
async def test_a_new_username_has_what_unicode_allows_in_identifiers(users: Users, username: str) -> None:
    given = {"firstName": "A", "lastName": "B", "username": username}
    assert await users.code(CREATE, input=given) == "INVALID_INPUT"
    user_id = (await users.create())["user"]["id"]
    assert await users.code(UPDATE, input={"id": user_id, "username": username}) == "INVALID_INPUT"


@pytest.mark.parametrize(
    "username", ["Zo\u00eb", "\u540d\u524d", "\u0430\u043d\u043d\u0430", "\u0905\u0928\u0940\u0924\u093e", "o_-.9"]
)
async def test_usernames_of_every_living_script_are_let_in(users: Users, username: str) -> None:
    assert (await users.create(username=username))["user"]["username"] == username


async def test_usernames_of_before_the_rule_are_kept_and_keep_others_from_looking_like_them(users: Users) -> None:
    one = await users.created_before("Anna\u034f", "one")
    other = await users.created_before("\u0410nna", "other")
    given = {"firstName": "A", "lastName": "B", "username": "anna"}
    assert await users.code(CREATE, input=given) == "USERNAME_TAKEN"
    # What they have they keep, whatever else changes, and may be found by.
    changed = await users.data(UPDATE, input={"id": one, "firstName": "Of old", "username": "Anna\u034f"})
    assert (changed["user"]["username"], changed["version"]) == ("Anna\u034f", 2)
    assert (await users.data(UPDATE, input={"id": other, "lastName": "Old"}))["user"]["username"] == "\u0410nna"
    assert (await users.data(BY_USERNAME, username="anna\u034f"))["id"] == one
    # The same command is answered as it was.
    again = {"firstName": "Of", "lastName": "Before", "username": "\u0410nna", "idempotencyKey": "other"}
    assert (await users.data(CREATE, input=again))["user"]["id"] == other
    # Once they are given up, the name is free, for one.
    await users.data(UPDATE, input={"id": one, "username": None})
    assert await users.code(CREATE, input=given) == "USERNAME_TAKEN"
    await users.data(DELETE, input={"id": other})
    assert (await users.data(CREATE, input=given))["user"]["username"] == "anna"
    assert await users.code(UPDATE, input={"id": one, "username": "\u0410nna"}) == "USERNAME_TAKEN"


async def test_a_view_that_does_not_get_there_in_time_is_out_of_date(tmp_path: Path) -> None:
    async with serving(tmp_path, projecting=False) as users:
        user_id = (await users.create())["user"]["id"]
        await users.created_before("ada", "k")
        users.headers = {"Bookmark-Timeout": "0.01"}
        assert await users.code(USER, id=user_id) == "OUT_OF_DATE"
        assert await users.code(UPDATE, input={"id": user_id, "firstName": "Augusta"}) == "OUT_OF_DATE"
        users.bookmark = ""
        assert await users.data(USER, id=user_id) is None
        assert await users.code(BY_USERNAME, username="ada") == "OUT_OF_DATE"


async def test_a_user_whose_events_cannot_be_read_is_out_of_date_for_whoever_wrote_them_only(users: Users) -> None:
    ada, grace = [(await users.create(name))["user"]["id"] for name in ("Ada", "Grace")]
    broken = EncodedEvent("users.UserUpdated", 1, b'{"first_name": 1}')
    commit = await users.store.append(
        stream_of(ada), [broken], expected_version=1, command_id="c", fingerprint="f", claims=frozenset()
    )
    users.bookmark = Bookmark.of_commit(commit).encode()
    assert await users.code(USER, id=ada) == "OUT_OF_DATE"
    users.bookmark = Bookmark(commit.position).encode()
    assert (await users.data(USER, id=grace))["firstName"] == "Grace"
    ready = (await users.client.get("/health/ready")).json()
    assert (ready["status"], ready["warnings"]) == ("ready", ["parked streams in the view views: 1"])


async def test_a_log_that_does_not_answer_is_unavailable(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object, **_more: object) -> None:
        raise Unavailable("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(users.store, "append", fail)
        given = {"firstName": "Ada", "lastName": "Lovelace", "idempotencyKey": "k1"}
        assert await users.code(CREATE, input=given) == "UNAVAILABLE"
    assert (await users.data(CREATE, input=given))["version"] == 1


async def test_who_did_it_and_within_what_stands_on_the_log(known: Users) -> None:
    users = known
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    users.headers = {
        **asked_by("somebody", "users:write"),
        "Correlation-Id": "c1",
        "traceparent": trace,
        "tracestate": "a=b",
    }
    user_id = (await users.create())["user"]["id"]
    (record,) = await users.store.read_stream(stream_of(user_id))
    assert (record.actor, record.correlation) == ("somebody", "c1")
    assert (record.traceparent, record.tracestate) == (trace, "a=b")
    assert (record.type, record.schema_version) == ("users.UserCreated", 1)


# Starting again


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    given = {"firstName": "Ada", "lastName": "Lovelace", "username": "ada", "idempotencyKey": "k1"}
    async with serving(tmp_path) as users:
        created = await users.data(CREATE, input=given)
        bookmark = users.bookmark
    async with serving(tmp_path) as users:
        users.bookmark = bookmark
        assert await users.data(USER, id=created["user"]["id"]) == created["user"]
        assert (await users.data(CREATE, input=given))["user"] == created["user"]
        assert await users.code(CREATE, input={**given, "idempotencyKey": "k2"}) == "USERNAME_TAKEN"
        assert (await users.client.get("/health/ready")).json()["status"] == "ready"


async def test_pages_of_users_are_bounded_by_their_sizes_before_they_are_read(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    await users.create()
    both = """query ($first: Int) { users(first: $first) { edges { node { id } } }
        searchUsers(text: "ada", first: 3) { edges { node { id } } } }"""
    monkeypatch.setattr("subgraphs.users.schema.USERS_LIMIT", 5)
    assert "errors" not in await users.ask(both, first=2)
    answer = await users.ask(both, first=3)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"TOO_COSTLY"}


async def test_events_that_are_read_for_histories_count_together(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await users.create()
    histories = "{ users { edges { node { history(first: 1) { edges { node { version } } } } } } }"
    monkeypatch.setattr("eventgraph.serving.history.EVENTS_LIMIT", 3)
    assert "errors" not in await users.ask(histories)
    monkeypatch.setattr("eventgraph.serving.history.EVENTS_LIMIT", 2)
    assert [error["extensions"]["code"] for error in (await users.ask(histories))["errors"]] == ["TOO_COSTLY"]
