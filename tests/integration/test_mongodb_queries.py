"""The questions of the views in MongoDB go by indexes, as the server's own plans say.

A plan shows what a question begins with. How the documents that a `$lookup` or a `$unionWith` adds are found stands in
no plan of SecantusDB; a plan of MongoDB has it, under `indexesUsed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from eventkernel.adapters.mongodb.connection import Database, Document
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.reading.as_of import Moment
from infra.local import MongodbAddress
from subgraphs.friends.adapters import mongodb as friends
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.adapters.mongodb_past import PastPipelines as PastFriendPipelines
from subgraphs.users.adapters import mongodb as users
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.adapters.mongodb_past import PastPipelines as PastUserPipelines
from tests.support.mongodb_views import database_of

THEN = PastUserPipelines(Moment(1), "past")
FRIENDS_THEN = PastFriendPipelines(Moment(1), str)

OF_USERS = {
    "users": ("docs", [{"$match": {"_id": {"$in": ["a", "b"]}}}], "_id_"),
    "a page": ("docs", users.page("a", 10), "_id_"),
    "how common a beginning is": ("docs", users.count_of("lo", 10), "words"),
    "a search by a rare beginning": ("docs", users.search_by_word("love", ["ad"], "a", 10), "words"),
    "a search by a common beginning": ("docs", users.search_by_user(["love", "ad"], "a", 10), "_id_"),
    "of a username": ("docs", users.of_username("username:ada"), "claim"),
    "users of then": ("docs", THEN.users(["a", "b"]), "_id_"),
    "a page of then": ("docs", THEN.page("a", 10), "_id_"),
    "a search of then by a rare beginning": ("docs", THEN.search_by_word(["love", "ad"], "a", 10), "words"),
    "of a username then": ("docs", THEN.of_username("username:ada"), "claim"),
}

OF_FRIENDS = {
    "friendships": ("friends", friends.friendships(["a~b"], "users"), "_id_"),
    "pages": ("users", friends.pages_of(["a", "b"], "c", 10, "friends", "users"), "_id_"),
    "counts": ("users", friends.counts_of(["a", "b"], "friends", "users"), "_id_"),
    "standing": ("friends", friends.standing("a"), "friends"),
    "what a page looks up": ("friends", [{"$match": {"user": "a", "ended": False, "friend": {"$gt": "c"}}}], "friends"),
    "friendships of then": ("friends", FRIENDS_THEN.friendships(["a~b"]), "_id_"),
    "pages of then": ("users", FRIENDS_THEN.pages_of(["a", "b"], "c", 10), "_id_"),
    "what a page of then looks up": ("past", [{"$match": {"user": "a", "friend": {"$gt": "c"}}}], "friends"),
    "what friendships of then look up": ("past", [{"$match": {"friendship": {"$in": ["a~b"]}}}], "friendship"),
}


@pytest.fixture
async def database(mongodb_server: MongodbAddress, engine_name: str) -> AsyncIterator[Database]:
    async with database_of(mongodb_server.url, engine_name) as database:
        yield database


async def indexes_of(database: Database, collection: str, pipeline: list[Document]) -> set[str]:
    """The indexes that the server says an aggregation goes by; `everything` where it looks at all documents."""
    command = {"aggregate": collection, "pipeline": pipeline, "cursor": {}}
    plan = await database.command("explain", command, verbosity="queryPlanner")
    found: set[str] = set()
    for stage in _stages(_without_rejected(plan)):
        if stage["stage"] in {"IDHACK", "EXPRESS_IXSCAN", "CLUSTERED_IXSCAN"}:
            found.add("_id_")
        elif stage["stage"] == "IXSCAN":
            found.add(stage["indexName"])
        elif stage["stage"] == "COLLSCAN":
            found.add("everything")
    return found


def _without_rejected(plan: Any) -> Any:
    if isinstance(plan, dict):
        return {name: _without_rejected(part) for name, part in plan.items() if name != "rejectedPlans"}
    return [_without_rejected(part) for part in plan] if isinstance(plan, list) else plan


def _stages(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan
        for part in plan.values():
            yield from _stages(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from _stages(part)


async def goes_by(database: Database, collection: str, pipeline: list[Document], index: str) -> bool:
    found = await indexes_of(database, collection, pipeline)
    if found == {"everything"} and "secantusVersion" in await database.client.server_info():
        # SecantusDB has no index of `_id` for ranges, where MongoDB goes along it.
        return index == "_id_" and "$gt" in str(pipeline[0])
    return found == {index}


@pytest.mark.parametrize("question", OF_USERS)
async def test_questions_about_users_go_by_indexes(database: Database, question: str) -> None:
    view = await MongoView.open(database, "users", MongoUserView, shape=1, logs=["users.x"])
    build = await view.create()
    collection, pipeline, index = OF_USERS[question]
    await database[build.collection_name(collection)].insert_one({"_id": "x", "words": ["a", "b"]})
    assert await goes_by(database, build.collection_name(collection), pipeline, index)
    await view.aclose()


@pytest.mark.parametrize("question", OF_FRIENDS)
async def test_questions_about_friends_go_by_indexes(database: Database, question: str) -> None:
    view = await MongoView.open(database, "friends", MongoFriendView, shape=1, logs=["users.x"])
    build = await view.create()
    collection, pipeline, index = OF_FRIENDS[question]
    await database[build.collection_name(collection)].insert_one({"_id": "x"})
    assert await goes_by(database, build.collection_name(collection), pipeline, index)
    await view.aclose()
