"""The friends' view in MongoDB: who is whose friend stands under the user, in the order in which pages are read.

Here are the documents and the questions about now; `mongodb_past.py` asks the same ones about then.

    users    {_id: "01K3…", version: 1, created_us: …, created_offset: …, deleted: false, …}
    friends  {_id: "01K3…~01K4…", user: "01K3…", friend: "01K4…", version: 3, since_us: …, ended: false, …}
    past     {_id: "01K3…~01K4…/17", user: "01K3…", friend: "01K4…", version: 1, since_us: …, until_us: …, …}

What is true now and what was true once are apart, so that the past costs the present little. A document of `past` is
one friendship from its beginning to an end, at the version that it had until then; one of `friends` is a friendship as
it stands, also when it has ended. Both are there twice, once from each side; the side of the lesser user is the
friendship itself, and is written last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from pymongo import IndexModel

from eventkernel.adapters.mongodb.build import Advance, Keep, MongoViewBuild
from eventkernel.adapters.mongodb.connection import Document
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, State
from subgraphs.friends.adapters.mongodb_past import MongoPastFriends
from subgraphs.friends.domain import BETWEEN, STREAM_PREFIX, Pair, id_of
from subgraphs.friends.events import USER_STREAM_PREFIX
from subgraphs.friends.projection import FriendsDoc, FriendshipDoc, UserDoc
from subgraphs.friends.views import Friend, FriendQuestions

Pipeline = list[Document]

_IN_ORDER: Final = IndexModel([("user", 1), ("ended", 1), ("friend", 1)], name="friends")
_PAST_IN_ORDER: Final = IndexModel([("user", 1), ("friend", 1)], name="friends")
_PAST_BY_ID: Final = IndexModel([("friendship", 1)], name="friendship", sparse=True)


class MongoFriendView(MongoViewBuild[FriendsDoc]):
    """One build of the friends' view."""

    collections: ClassVar = {"users": [], "friends": [_IN_ORDER], "past": [_PAST_IN_ORDER, _PAST_BY_ID]}
    writes: ClassVar = {
        "past": Keep("past"),
        "users": Advance("users"),
        "mirrored": Advance("friends"),
        "friendships": Advance("friends"),
    }

    # The port `FriendView`

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        return {user["_id"]: _user_doc(user) for user in await self.by_ids("users", ids)}

    async def friendships(self, pairs: Sequence[Pair]) -> Mapping[Pair, FriendshipDoc]:
        by_id = {pair.friendship_id: pair for pair in pairs}
        found = await self.ask("friends", friendships(list(by_id), self.collection_name("users")))
        return {by_id[document["_id"]]: _friendship_doc(document) for document in found}

    async def friends(self, user_ids: Sequence[str], after: str | None, limit: int) -> Mapping[str, Sequence[Friend]]:
        pages: dict[str, Sequence[Friend]] = dict.fromkeys(user_ids, ())
        if limit > 0:
            pipeline = pages_of(user_ids, after, limit, self.collection_name("friends"), self.collection_name("users"))
            for user in await self.ask("users", pipeline):
                pages[user["_id"]] = [Friend(friend["friend"], friend["since_us"]) for friend in user["friends"]]
        return {user: list(page) for user, page in pages.items()}

    async def friend_counts(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        pipeline = counts_of(user_ids, self.collection_name("friends"), self.collection_name("users"))
        counted = await self.ask("users", pipeline)
        return dict.fromkeys(user_ids, 0) | {user["_id"]: user["friends"][0]["count"] for user in counted}

    async def standing(self, user_id: str) -> Sequence[Pair]:
        return [Pair.of(user_id, document["friend"]) for document in await self.ask("friends", standing(user_id))]

    def as_of(self, then: AsOf | None) -> FriendQuestions:
        return self if then is None else MongoPastFriends(self.ask, self.collection_name, then)

    # What the machinery asks for

    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[FriendsDoc]]:
        users = [stream.removeprefix(USER_STREAM_PREFIX) for stream in streams if stream.startswith(USER_STREAM_PREFIX)]
        friendships = [id_of(stream) for stream in streams if stream.startswith(STREAM_PREFIX)]
        states: dict[str, State[FriendsDoc]] = {}
        for document in await self.by_ids("users", users):
            states[USER_STREAM_PREFIX + document["_id"]] = _state(document, _user_doc(document))
        for document in await self.by_ids("friends", friendships):
            states[STREAM_PREFIX + document["_id"]] = _state(document, _friendship_doc(document))
        return states

    def rows_of(self, change: Change[FriendsDoc]) -> Rows[Document]:
        last = change.states[-1]
        doc = last.doc
        if isinstance(doc, UserDoc):
            yield "users", _user_document(last, doc, _deletion(change))
        else:
            for document in _past(change):
                yield "past", document
            yield "mirrored", _side(last, doc, *reversed(doc.pair.users))
            yield "friendships", _side(last, doc, *doc.pair.users)


# Questions


def friendships(ids: Sequence[str], users: str) -> Pipeline:
    return [
        {"$match": {"_id": {"$in": list(ids)}}},
        {"$match": {"ended": False}},
        *_while_there("user", users),
        *_while_there("friend", users),
    ]


def pages_of(user_ids: Sequence[str], after: str | None, limit: int, friends: str, users: str) -> Pipeline:
    """Of `users`: each of these that is there, with a page of `friends`."""
    page: Pipeline = [
        {"$match": {"ended": False, "friend": {"$gt": after or ""}}},
        {"$sort": {"friend": 1}},
        *_while_there("friend", users),
        {"$limit": limit},
        {"$project": {"_id": 0, "friend": 1, "since_us": 1}},
    ]
    return [*_there(user_ids), _with_friends(friends, page)]


def counts_of(user_ids: Sequence[str], friends: str, users: str) -> Pipeline:
    """Of `users`: each of these that is there and has friends, with their count."""
    count: Pipeline = [
        {"$match": {"ended": False}},
        {"$project": {"_id": 0, "friend": 1}},
        *_while_there("friend", users),
        {"$group": {"_id": None, "count": {"$sum": 1}}},
    ]
    return [*_there(user_ids), _with_friends(friends, count), {"$match": {"friends": {"$ne": []}}}]


def standing(user_id: str) -> Pipeline:
    return [
        {"$match": {"user": user_id, "ended": False}},
        {"$sort": {"friend": 1}},
        {"$project": {"_id": 0, "friend": 1}},
    ]


def _there(user_ids: Sequence[str]) -> Pipeline:
    return [{"$match": {"_id": {"$in": list(user_ids)}}}, {"$match": {"deleted": False}}, {"$project": {"_id": 1}}]


def _with_friends(friends: str, pipeline: Pipeline) -> Document:
    lookup = {"from": friends, "localField": "_id", "foreignField": "user", "pipeline": pipeline, "as": "friends"}
    return {"$lookup": lookup}


def _while_there(field: str, users: str) -> Pipeline:
    """Only documents with a user in this field who is known and not deleted."""
    there: Pipeline = [{"$match": {"deleted": False}}, {"$project": {"_id": 1}}]
    found = f"{field}_there"
    lookup = {"from": users, "localField": field, "foreignField": "_id", "pipeline": there, "as": found}
    return [{"$lookup": lookup}, {"$match": {found: {"$ne": []}}}]


# Documents


def _user_doc(document: Document) -> UserDoc:
    return UserDoc(document["_id"], document["created_us"], document["created_offset"], document["deleted"])


def _friendship_doc(document: Document) -> FriendshipDoc:
    pair = Pair(document["user"], document["friend"])
    ended: bool = document["ended"]
    return FriendshipDoc(pair, document["version"], document["since_us"], document["since_offset"], ended)


def _state(document: Document, doc: FriendsDoc) -> State[FriendsDoc]:
    return State(
        version=document["version"],
        time_us=document["time_us"],
        log=document["log"],
        partition=document["partition"],
        offset=document["offset"],
        doc=doc,
    )


def _place(state: State[FriendsDoc]) -> Document:
    return {
        "version": state.version,
        "time_us": state.time_us,
        "log": state.log,
        "partition": state.partition,
        "offset": state.offset,
    }


def _deletion(change: Change[FriendsDoc]) -> State[FriendsDoc] | None:
    """The one of these states that was the user's first deleted one."""
    before = change.before
    if before is not None and isinstance(before.doc, UserDoc) and before.doc.deleted:
        return None
    return next((state for state in change.states if isinstance(state.doc, UserDoc) and state.doc.deleted), None)


def _user_document(state: State[FriendsDoc], doc: UserDoc, deletion: State[FriendsDoc] | None) -> Document:
    created = {"created_us": doc.created_us, "created_offset": doc.created_offset, "deleted": doc.deleted}
    # Where the deletion was stored before, it is not named, and stays.
    deleted = {"deleted_us": deletion.time_us, "deleted_offset": deletion.offset} if deletion else {}
    return {"_id": doc.id, **created, **deleted, **_place(state)}


def _side(state: State[FriendsDoc], doc: FriendshipDoc, user: str, friend: str) -> Document:
    return {
        "_id": _side_id(user, friend),
        "user": user,
        "friend": friend,
        "since_us": doc.since_us,
        "since_offset": doc.since_offset,
        "ended": doc.ended,
        **_place(state),
    }


def _side_id(user: str, friend: str) -> str:
    return f"{user}{BETWEEN}{friend}"


def _past(change: Change[FriendsDoc]) -> Iterable[Document]:
    """What has ended in this change, from both sides."""
    before = change.before
    lasting = before is None or (isinstance(before.doc, FriendshipDoc) and not before.doc.ended)
    for state in change.states:
        doc = state.doc
        if not isinstance(doc, FriendshipDoc):
            break
        if doc.ended and lasting:
            for user, friend in (doc.pair.users, doc.pair.users[::-1]):
                yield {
                    "_id": f"{_side_id(user, friend)}/{doc.since_offset}",
                    **({"friendship": doc.id} if user == doc.pair.low else {}),
                    "user": user,
                    "friend": friend,
                    "version": state.version - 1,
                    "since_us": doc.since_us,
                    "since_offset": doc.since_offset,
                    "until_us": state.time_us,
                    "until_offset": state.offset,
                    "log": state.log,
                    "partition": state.partition,
                }
        lasting = not doc.ended
