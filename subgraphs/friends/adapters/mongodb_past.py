"""The friendships of then in MongoDB: the questions of the view about the past, answered from validity intervals.

Two users were friends then if the friendship that lasts had begun, or if one of the ended ones was valid. So every
question is a walk through `friends`, and after it the same walk through `past`, merged in the order of ids: one that
ends meanwhile is met twice, and not missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from eventkernel.adapters.mongodb.as_of import MongoAsOf
from eventkernel.adapters.mongodb.connection import Document
from eventkernel.reading.as_of import AsOf
from subgraphs.friends.domain import Pair
from subgraphs.friends.events import USERS_LOG
from subgraphs.friends.projection import FriendshipDoc, UserDoc
from subgraphs.friends.views import Friend

FRIENDS_LOG: Final = "friends"
"""The name of the log that friendships come from."""

Pipeline = list[Document]


class Ask(Protocol):
    """`MongoViewBuild.ask`, of the build whose past is asked for."""

    async def __call__(self, collection: str, pipeline: Sequence[Document], **options: Any) -> list[Document]: ...


class PastPipelines:
    """The questions about a past; `name` says what a collection of the build is called."""

    def __init__(self, then: AsOf, name: Callable[[str], str]) -> None:
        users, friends = MongoAsOf(then, USERS_LOG), MongoAsOf(then, FRIENDS_LOG)
        self._name = name
        self.created: Document = users.begun("created")
        self._there: Document = {"$and": [self.created, {"$or": [{"deleted": False}, users.not_ended("deleted")]}]}
        self._lasting: Pipeline = [{"$match": {"ended": False}}, {"$match": friends.begun()}]
        self._valid: Pipeline = [{"$match": friends.valid()}]

    def users(self, ids: Sequence[str]) -> Pipeline:
        """Of `users`: those who were known, with `was_there`."""
        there: Pipeline = [{"$match": self._there}, {"$project": {"_id": 1}}]
        return [{"$match": {"_id": {"$in": list(ids)}}}, {"$match": self.created}, self._look_up("_id", there, "there")]

    def friendships(self, ids: Sequence[str]) -> Pipeline:
        """Of `friends`, and then of `past`."""
        both = [*self._while_there("user"), *self._while_there("friend")]
        asked = {"$in": list(ids)}
        then: Pipeline = [{"$match": {"friendship": asked}}, *self._valid, *both]
        return [
            {"$match": {"_id": asked}},
            *self._lasting,
            *both,
            {"$unionWith": {"coll": self._name("past"), "pipeline": then}},
        ]

    def pages_of(self, user_ids: Sequence[str], after: str | None, limit: int) -> Pipeline:
        """Of `users`: each of these who was there, with a page of `lasting` and one of `ended` friends."""
        behind: Pipeline = [{"$match": {"friend": {"$gt": after or ""}}}]
        first: Pipeline = [
            {"$sort": {"friend": 1}},
            *self._while_there("friend"),
            {"$limit": limit},
            {"$project": {"_id": 0, "friend": 1, "since_us": 1}},
        ]
        return self._with_friends(user_ids, behind, first)

    def counts_of(self, user_ids: Sequence[str]) -> Pipeline:
        """Of `users`: each of these who was there, with the `count` of friends."""
        only: Document = {"$project": {"_id": 0, "friend": 1}}
        friend: Pipeline = [only, *self._while_there("friend"), only]
        ids = [{"$map": {"input": f"${met}", "in": "$$this.friend"}} for met in ("lasting", "ended")]
        different = {"$size": {"$setUnion": ids}}
        return [*self._with_friends(user_ids, [], friend), {"$project": {"count": different}}]

    def _with_friends(self, user_ids: Sequence[str], found: Pipeline, then: Pipeline) -> Pipeline:
        def friends(collection: str, valid: Pipeline, name: str) -> Document:
            lookup = {"from": self._name(collection), "localField": "_id", "foreignField": "user", "as": name}
            return {"$lookup": {**lookup, "pipeline": [*found, *valid, *then]}}

        return [
            {"$match": {"_id": {"$in": list(user_ids)}}},
            {"$match": self._there},
            {"$project": {"_id": 1}},
            friends("friends", self._lasting, "lasting"),
            friends("past", self._valid, "ended"),
        ]

    def _while_there(self, field: str) -> Pipeline:
        """Only documents with a user in this field who was created and not deleted."""
        there: Pipeline = [{"$match": self._there}, {"$project": {"_id": 1}}]
        found = f"{field}_there"
        return [self._look_up(field, there, found), {"$match": {found: {"$ne": []}}}]

    def _look_up(self, field: str, pipeline: Pipeline, found: str) -> Document:
        lookup = {"from": self._name("users"), "localField": field, "foreignField": "_id", "as": found}
        return {"$lookup": {**lookup, "pipeline": pipeline}}


class MongoPastFriends:
    """The port `FriendQuestions`, about then."""

    def __init__(self, ask: Ask, name: Callable[[str], str], then: AsOf) -> None:
        self._ask = ask
        self._pipelines = PastPipelines(then, name)

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        found = await self._ask("users", self._pipelines.users(ids))
        return {
            user["_id"]: UserDoc(user["_id"], user["created_us"], user["created_offset"], deleted=not user["there"])
            for user in found
        }

    async def friendships(self, pairs: Sequence[Pair]) -> Mapping[Pair, FriendshipDoc]:
        by_users = {pair.users: pair for pair in pairs}
        found = await self._ask("friends", self._pipelines.friendships([pair.friendship_id for pair in pairs]))
        docs = [
            FriendshipDoc(
                by_users[document["user"], document["friend"]],
                document["version"],
                document["since_us"],
                document["since_offset"],
            )
            for document in found
        ]
        return {doc.pair: doc for doc in docs}

    async def friends(self, user_ids: Sequence[str], after: str | None, limit: int) -> Mapping[str, Sequence[Friend]]:
        pages: dict[str, Sequence[Friend]] = {user: [] for user in user_ids}
        if limit > 0:
            for user in await self._ask("users", self._pipelines.pages_of(user_ids, after, limit)):
                met = {friend["friend"]: friend["since_us"] for friend in (*user["lasting"], *user["ended"])}
                pages[user["_id"]] = [Friend(friend, met[friend]) for friend in sorted(met)][:limit]
        return pages

    async def friend_counts(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        counted = await self._ask("users", self._pipelines.counts_of(user_ids))
        return dict.fromkeys(user_ids, 0) | {user["_id"]: int(user["count"]) for user in counted}
