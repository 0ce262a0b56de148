"""The users of then in MongoDB: the questions of the view about the past, answered from validity intervals.

A user's state of then is the document of `docs` if that had begun, and otherwise the one of `past` that was valid, of
which there is one at most. Every question reads the two, in this order, and merges them: a state that moves from the
one to the other meanwhile is met twice, and not missed. Both are looked for by key; among the states of one user all
are looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from eventkernel.adapters.mongodb.as_of import MongoAsOf
from eventkernel.adapters.mongodb.connection import Document
from eventkernel.reading.as_of import AsOf
from subgraphs.users.adapters.mongodb_documents import Pipeline, doc_of, having_words, with_word
from subgraphs.users.projection import UserDoc

LOG: Final = "users"
"""The name of the log that the view is built from."""


class Ask(Protocol):
    """`MongoViewBuild.ask`, of the build whose past is asked for."""

    async def __call__(self, collection: str, pipeline: Sequence[Document], **options: Any) -> list[Document]: ...


class PastPipelines:
    """The questions about a past, as aggregations of `docs`; `past` is what that collection is called."""

    def __init__(self, then: AsOf, past: str) -> None:
        line = MongoAsOf(then, LOG)
        self._past = past
        self._now = {"$match": {**line.begun(), "deleted": False}}
        self._then = {"$match": {**line.valid(), "deleted": False}}

    def users(self, ids: Sequence[str]) -> Pipeline:
        condition = {"$in": list(ids)}
        return self._both([{"$match": {"_id": condition}}], [{"$match": {"id": condition}}])

    def of_username(self, claim: str) -> Pipeline:
        condition = {"$match": {"claim": claim}}
        return self._both([condition], [condition])

    def page(self, after: str | None, limit: int) -> Pipeline:
        return self._in_order([], [], after, limit)

    def search_by_user(self, prefixes: Sequence[str], after: str | None, limit: int) -> Pipeline:
        """One user after the other in order, until there are enough who had words of all these beginnings."""
        return self._in_order([], [{"$match": having_words(prefixes)}], after, limit)

    def search_by_word(self, prefixes: Sequence[str], after: str | None, limit: int) -> Pipeline:
        """All states with a word that has the first of these beginnings, by the indexes of words; then in order."""
        return self._in_order(with_word(prefixes[0]), [{"$match": having_words(prefixes)}], after, limit)

    def count_of(self, prefix: str, most: int) -> Pipeline:
        """How many states, of now and of before, have a word with this beginning, counted up to `most`."""
        found: Pipeline = [*with_word(prefix), {"$project": {"_id": 1}}, {"$limit": most}]
        return [
            *found,
            {"$unionWith": {"coll": self._past, "pipeline": found}},
            {"$group": {"_id": None, "found": {"$sum": 1}}},
        ]

    def _in_order(self, found: Pipeline, had: Pipeline, after: str | None, limit: int) -> Pipeline:
        behind = {"$gt": after or ""}
        return self._both(
            [*found, {"$match": {"_id": behind}}, *had],
            [*found, {"$match": {"id": behind}}, *had],
            now_first=[{"$sort": {"_id": 1}}, {"$limit": limit}],
            past_first=[{"$sort": {"id": 1}}, {"$limit": limit}],
        )

    def _both(self, now: Pipeline, past: Pipeline, now_first: Pipeline = [], past_first: Pipeline = []) -> Pipeline:  # noqa: B006
        """Documents of `docs` that had begun, and then documents of `past` that were valid."""
        then: Pipeline = [*past, self._then, *past_first]
        return [*now, self._now, *now_first, {"$unionWith": {"coll": self._past, "pipeline": then}}]


class MongoPastUsers:
    """The port `UserQuestions`, about then."""

    def __init__(self, ask: Ask, past: str, then: AsOf, many: int) -> None:
        """`ask` asks the build; a beginning that `many` have is a common one."""
        self._ask = ask
        self._many = many
        self._pipelines = PastPipelines(then, past)

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        found = _merged(await self._ask("docs", self._pipelines.users(ids)))
        return {doc.id: doc for doc in found}

    async def page(self, after: str | None, limit: int) -> Sequence[UserDoc]:
        if limit <= 0:
            return []
        return _merged(await self._ask("docs", self._pipelines.page(after, limit)))[:limit]

    async def search(self, prefixes: Collection[str], after: str | None, limit: int) -> Sequence[UserDoc]:
        if limit <= 0:
            return []
        ordered = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
        counted = await self._ask("docs", self._pipelines.count_of(ordered[0], self._many))
        common = counted and counted[0]["found"] >= self._many
        search = self._pipelines.search_by_user if common else self._pipelines.search_by_word
        return _merged(await self._ask("docs", search(ordered, after, limit)))[:limit]

    async def of_username(self, claim: str) -> UserDoc | None:
        found = _merged(await self._ask("docs", self._pipelines.of_username(claim)))
        return max(found, key=lambda doc: doc.updated_us, default=None)


def _merged(documents: Iterable[Document]) -> list[UserDoc]:
    """Each user once, in the order of ids; the later state of those that were met in both."""
    latest: dict[str, UserDoc] = {}
    for doc in map(doc_of, documents):
        if doc.id not in latest or doc.version > latest[doc.id].version:
            latest[doc.id] = doc
    return [latest[user_id] for user_id in sorted(latest)]
