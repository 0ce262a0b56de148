"""The users' view in MongoDB: who there is now, who there was when, and the words that they are found by.

Here are the questions about now; `mongodb_past.py` asks the same ones about then. What is in a document says
`mongodb_documents.py`.

    docs   {_id: "01K3…", version: 2, first_name: "Ada", last_name: "Lovelace", username: "ada", words: ["ada", …],
            created_us: …, since_us: …, since_offset: …, log: "users.3f9a", partition: 0, deleted: false}
    past   {_id: "01K3…/1", id: "01K3…", version: 1, …, until_us: …, until_offset: …}

`docs` has one document per user, also of deleted ones; `past` the states before, each valid from `since` until `until`
(time and offset at both ends, the end excluded), so that any moment can be read from the two by their keys. `claim`
tells usernames that count as the same one, `skeleton` those that look alike without a claim that says so. A deleted
user has no words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Final

from pymongo import IndexModel

from eventkernel.adapters.mongodb.build import Advance, Keep, MongoViewBuild
from eventkernel.adapters.mongodb.connection import Document
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, State
from subgraphs.users.adapters.mongodb_documents import (
    Pipeline,
    doc_of,
    document_of,
    having_words,
    past_document_of,
    with_word,
)
from subgraphs.users.adapters.mongodb_past import MongoPastUsers
from subgraphs.users.domain import id_of, stream_of
from subgraphs.users.lookalikes import remark
from subgraphs.users.projection import UserDoc
from subgraphs.users.views import UserQuestions

_WORDS: Final = IndexModel([("words", 1)], name="words")
_CLAIM: Final = IndexModel([("claim", 1)], name="claim", sparse=True)
_SKELETON: Final = IndexModel([("skeleton", 1)], name="skeleton", sparse=True)
_IDS: Final = IndexModel([("id", 1), ("version", 1)], name="id")


class MongoUserView(MongoViewBuild[UserDoc]):
    collections: ClassVar = {"docs": [_WORDS, _CLAIM, _SKELETON], "past": [_IDS, _WORDS, _CLAIM]}
    writes: ClassVar = {"past": Keep("past"), "now": Advance("docs")}

    many: ClassVar[int] = 4_000
    """A beginning that so many have is so common that a page is found sooner by trying one user after the other."""

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        return {doc.id: doc for doc in map(doc_of, await self.by_ids("docs", ids)) if not doc.deleted}

    async def page(self, after: str | None, limit: int) -> Sequence[UserDoc]:
        return await self._docs(page(after, limit)) if limit > 0 else []

    async def search(self, prefixes: Collection[str], after: str | None, limit: int) -> Sequence[UserDoc]:
        if limit <= 0:
            return []
        longest, *others = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
        counted = await self.ask("docs", count_of(longest, self.many))
        if counted and counted[0]["found"] >= self.many:
            return await self._docs(search_by_user([longest, *others], after, limit), hint="_id_")
        return await self._docs(search_by_word(longest, others, after, limit))

    async def of_username(self, claim: str) -> UserDoc | None:
        return next(iter(await self._docs(of_username(claim))), None)

    async def of_skeleton(self, skeleton: str) -> Sequence[UserDoc]:
        return await self._docs(of_skeleton(skeleton))

    async def remarks(self) -> Sequence[str]:
        return [remark(group["ids"]) for group in await self.ask("docs", LOOKALIKES)]

    def as_of(self, then: AsOf | None) -> UserQuestions:
        return self if then is None else MongoPastUsers(self.ask, self.collection_name("past"), then, self.many)

    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[UserDoc]]:
        documents = await self.by_ids("docs", [id_of(stream) for stream in streams])
        return {
            stream_of(document["_id"]): State(
                version=document["version"],
                time_us=document["since_us"],
                log=document["log"],
                partition=document["partition"],
                offset=document["since_offset"],
                doc=doc_of(document),
            )
            for document in documents
        }

    def rows_of(self, change: Change[UserDoc]) -> Rows[Document]:
        for state, following in pairwise(change.history):
            yield "past", past_document_of(state, following)
        last = change.states[-1]
        yield "now", {"_id": last.doc.id, **document_of(last)}

    async def _docs(self, pipeline: Pipeline, **options: str) -> list[UserDoc]:
        return [doc_of(document) for document in await self.ask("docs", pipeline, **options)]


def page(after: str | None, limit: int) -> Pipeline:
    return [{"$match": {"_id": {"$gt": after or ""}, "deleted": False}}, {"$sort": {"_id": 1}}, {"$limit": limit}]


def of_username(claim: str) -> Pipeline:
    return [{"$match": {"claim": claim}}]


def of_skeleton(skeleton: str) -> Pipeline:
    return [{"$match": {"skeleton": skeleton}}, {"$sort": {"_id": 1}}]


LOOKALIKES: Final[Pipeline] = [
    {"$match": {"skeleton": {"$gt": ""}}},
    {"$sort": {"_id": 1}},
    {"$group": {"_id": "$skeleton", "ids": {"$push": "$_id"}}},
    {"$match": {"ids.1": {"$exists": True}}},
    {"$sort": {"ids.0": 1}},
]


def count_of(prefix: str, most: int) -> Pipeline:
    """How many have a word with this beginning, counted up to `most`."""
    return [*with_word(prefix), {"$limit": most}, {"$group": {"_id": None, "found": {"$sum": 1}}}]


def search_by_word(longest: str, others: Sequence[str], after: str | None, limit: int) -> Pipeline:
    """All users with a word that begins with the longest prefix, by the index of words; then in order."""
    return [
        *with_word(longest),
        {"$match": {"_id": {"$gt": after or ""}, **having_words(others)}},
        {"$sort": {"_id": 1}},
        {"$limit": limit},
    ]


def search_by_user(prefixes: Sequence[str], after: str | None, limit: int) -> Pipeline:
    """One user after the other in order, until there are enough whose own words are right."""
    return [
        {"$match": {"_id": {"$gt": after or ""}, **having_words(prefixes)}},
        {"$sort": {"_id": 1}},
        {"$limit": limit},
    ]
