"""The questions of document views in MongoDB, about now and about then, as aggregations of one collection or two.

A document's state of then is the one in `docs` if that had begun, and otherwise the one in `past` that was valid, of
which there is one at most. Every question about then reads the two, in this order, and merges them: a state that moves
from the one to the other meanwhile is met twice, and not missed. Both are looked for by key or place; among the states
of one document all are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias

import msgspec

from eventkernel.adapters.mongodb.as_of import MongoAsOf
from eventkernel.adapters.mongodb.connection import Document
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.documents import Documents, Index, MultiIndex, Placed, Unique, Value, Words, placed, span
from eventkernel.reading.views import Doc
from eventkernel.reading.words import prefix_end

Pipeline: TypeAlias = list[Document]
Find: TypeAlias = Callable[[str], Pipeline]
"""Stages, for documents whose key is the field of this name."""


def place_field(index: Index[Doc] | Unique[Doc]) -> str:
    return f"in_{index.name}"


def places_field(index: MultiIndex[Doc]) -> str:
    return f"at_{index.name}"


def words_field(index: Words[Doc]) -> str:
    return f"has_{index.name}"


class Ask(Protocol):
    """`MongoViewBuild.ask`, of the build that is asked."""

    async def __call__(self, collection: str, pipeline: Sequence[Document], **options: Any) -> list[Document]: ...


class Pipelines:
    """The questions about a past, or about now, as aggregations of `docs`; `past` is what that collection is called."""

    def __init__(self, then: AsOf | None, past: str) -> None:
        self._past = past
        line = None if then is None else MongoAsOf(then)
        self._begun: Document | None = None if line is None else line.begun()
        self._valid: Document = {} if line is None else line.valid()

    def many(self, keys: Sequence[str]) -> Pipeline:
        return self._rows(lambda key: [{"$match": {key: {"$in": list(keys)}, "deleted": False}}])

    def page_by_key(self, after: str | None, limit: int, *, descending: bool) -> Pipeline:
        behind = {} if after is None else {"$lt" if descending else "$gt": after}
        condition = behind or {"$gt": ""}
        return self._in_order(lambda key: [{"$match": {key: condition, "deleted": False}}], None, limit, descending)

    def page(self, field: str, low: str, high: str, limit: int | None, *, descending: bool) -> Pipeline:
        return self._in_order(lambda _: [{"$match": {field: {"$gt": low, "$lt": high}}}], field, limit, descending)

    def page_of_many(self, field: str, low: str, high: str, limit: int, *, descending: bool) -> Pipeline:
        """As `page`, with the place in the stead of all places of a document."""
        return self._in_order(lambda _: _standing(field, low, high), field, limit, descending)

    def count_of_many(self, field: str, low: str, high: str) -> Pipeline:
        each: Pipeline = [{"$group": {"_id": f"${field}"}}]  # a state that is met in both counts once
        return [
            *self._rows(lambda _: _standing(field, low, high)),
            *each,
            {"$group": {"_id": None, "found": {"$sum": 1}}},
        ]

    def having(self, field: str, place: str) -> Pipeline:
        return self._rows(lambda _: [{"$match": {field: place}}])

    def count(self, field: str | None, low: str, high: str) -> Pipeline:
        condition: Document = {"deleted": False} if field is None else {field: {"$gt": low, "$lt": high}}
        counted: Pipeline = [{"$group": {"_id": None, "found": {"$sum": 1}}}]
        if self._begun is None:
            return [{"$match": condition}, *counted]
        # A state that is met in both counts once.
        each: Pipeline = [{"$group": {"_id": {"$ifNull": ["$key", "$_id"]}}}]
        return [*self._rows(lambda _: [{"$match": condition}]), *each, *counted]

    def count_words(self, field: str, prefix: str, most: int) -> Pipeline:
        """How many states have a word with this beginning, counted up to `most`."""
        found: Pipeline = [*_with_word(field, prefix), {"$project": {"_id": 1}}, {"$limit": most}]
        past: Pipeline = [] if self._begun is None else [{"$unionWith": {"coll": self._past, "pipeline": found}}]
        return [*found, *past, {"$group": {"_id": None, "found": {"$sum": 1}}}]

    def search_by_key(self, field: str, prefixes: Sequence[str], after: str | None, limit: int) -> Pipeline:
        """One document after the other in order, until there are enough that have words of all these beginnings."""
        having = _having_words(field, prefixes)
        return self._in_order(lambda key: [{"$match": {key: {"$gt": after or ""}, **having}}], None, limit)

    def search_by_word(self, field: str, prefixes: Sequence[str], after: str | None, limit: int) -> Pipeline:
        """All states with a word that has the first of these beginnings, by the indexes of words; then in order."""
        found, having = _with_word(field, prefixes[0]), _having_words(field, prefixes[1:])
        return self._in_order(lambda key: [*found, {"$match": {key: {"$gt": after or ""}, **having}}], None, limit)

    def _in_order(self, find: Find, field: str | None, limit: int | None, descending: bool = False) -> Pipeline:
        def first(key: str) -> Pipeline:
            some: Pipeline = [] if limit is None else [{"$limit": limit}]
            return [{"$sort": {field or key: -1 if descending else 1}}, *some]

        return self._rows(find, first)

    def _rows(self, find: Find, first: Find = lambda _: []) -> Pipeline:
        """Documents of `docs` that had begun, and then documents of `past` that were valid."""
        if self._begun is None:
            return [*find("_id"), *first("_id")]
        now: Pipeline = [*find("_id"), {"$match": self._begun}, *first("_id")]
        past: Pipeline = [*find("key"), {"$match": self._valid}, *first("key")]
        return [*now, {"$unionWith": {"coll": self._past, "pipeline": past}}]


def _standing(field: str, low: str, high: str) -> Pipeline:
    """A document for each of the places of a document that lie in a range."""
    within = {"$gt": low, "$lt": high}
    # The first condition is true of more, and is there for SecantusDB: see `_with_word`.
    return [
        {"$match": {field: within}},
        {"$match": {field: {"$elemMatch": within}}},
        {"$unwind": f"${field}"},
        {"$match": {field: within}},
    ]


def _having_words(field: str, prefixes: Sequence[str]) -> Document:
    """The condition that every prefix begins some word."""
    begun = [{field: {"$elemMatch": _in_range(prefix)}} for prefix in prefixes]
    return {"$and": begun} if begun else {}


def _in_range(prefix: str) -> Document:
    """The words with this beginning, in the order of their bytes."""
    end = prefix_end(prefix)
    return {"$gte": prefix} if end is None else {"$gte": prefix, "$lt": end}


def _with_word(field: str, prefix: str) -> Pipeline:
    # The first condition is true of more: some word is past the range's beginning and some, perhaps another, before
    # its end. It is there for SecantusDB, which takes an index for it and for `$elemMatch` none; MongoDB would not
    # need it.
    return [{"$match": {field: _in_range(prefix)}}, {"$match": _having_words(field, [prefix])}]


class MongoQuestions(Generic[Doc]):
    """The port `DocumentQuestions`."""

    def __init__(self, ask: Ask, past: str, documents: Documents[Doc], then: AsOf | None, many_words: int) -> None:
        """`ask` asks the build, whose collection `past` is called so; a beginning that so many have is a common one."""
        self._ask_build = ask
        self._of = documents
        self._many_words = many_words
        self._about_now = then is None
        self._pipelines = Pipelines(then, past)

    async def many(self, keys: Sequence[str]) -> Mapping[str, Doc]:
        found = self._latest(await self._ask_build("docs", self._pipelines.many(keys)))
        return {key: self.doc_of(document) for key, document in found.items()}

    async def page(
        self,
        by: Index[Doc] | MultiIndex[Doc] | None = None,
        *,
        where: tuple[Value, ...] = (),
        after: str | None = None,
        limit: int,
        descending: bool = False,
    ) -> Sequence[Placed[Doc]]:
        if limit <= 0:
            return []
        if by is None:
            pipeline = self._pipelines.page_by_key(after, limit, descending=descending)
            return self._placed(await self._ask_build("docs", pipeline), None, limit, descending)
        within = span(where, after, descending=descending)
        if isinstance(by, MultiIndex):
            field = self._many_field(by)
            pipeline = self._pipelines.page_of_many(field, within.low, within.high, limit, descending=descending)
            # A state that is met in both collections stands at the same places.
            found = {document[field]: document for document in await self._ask_build("docs", pipeline)}
            return [Placed(place, self.doc_of(found[place])) for place in sorted(found, reverse=descending)[:limit]]
        field = self._field(by)
        pipeline = self._pipelines.page(field, within.low, within.high, limit, descending=descending)
        return self._placed(await self._ask_build("docs", pipeline), field, limit, descending)

    async def one(self, by: Unique[Doc], *values: Value) -> Doc | None:
        pipeline = self._pipelines.having(self._field(by), placed(values))
        found = self._latest(await self._ask_build("docs", pipeline))
        latest = max(found, key=lambda key: (found[key]["since_us"], key), default=None)
        return None if latest is None else self.doc_of(found[latest])

    async def count(self, by: Index[Doc] | MultiIndex[Doc] | None = None, *, where: tuple[Value, ...] = ()) -> int:
        within = span(where, None, descending=False)
        if isinstance(by, MultiIndex):
            pipeline = self._pipelines.count_of_many(self._many_field(by), within.low, within.high)
        else:
            pipeline = self._pipelines.count(None if by is None else self._field(by), within.low, within.high)
        counted = await self._ask_build("docs", pipeline)
        return int(counted[0]["found"]) if counted else 0

    async def search(
        self, by: Words[Doc], prefixes: Collection[str], *, after: str | None = None, limit: int
    ) -> Sequence[Placed[Doc]]:
        self._of.check(by)
        if limit <= 0:
            return []
        field, pipelines = words_field(by), self._pipelines
        ordered = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
        counted = await self._ask_build("docs", pipelines.count_words(field, ordered[0], self._many_words))
        if counted and counted[0]["found"] >= self._many_words:
            hint = {"hint": "_id_"} if self._about_now else {}
            found = await self._ask_build("docs", pipelines.search_by_key(field, ordered, after, limit), **hint)
        else:
            found = await self._ask_build("docs", pipelines.search_by_word(field, ordered, after, limit))
        return self._placed(found, None, limit, descending=False)

    async def all_of(self, by: Index[Doc]) -> list[Doc]:
        """Every document of an index, in its order."""
        within = span((), None, descending=False)
        pipeline = self._pipelines.page(self._field(by), within.low, within.high, None, descending=False)
        return [self.doc_of(document) for document in await self._ask_build("docs", pipeline)]

    def doc_of(self, document: Document) -> Doc:
        doc: Doc = msgspec.convert(document["doc"], self._of.doc_type, str_keys=True)
        return doc

    def _placed(
        self, documents: Iterable[Document], field: str | None, limit: int, descending: bool
    ) -> list[Placed[Doc]]:
        found = [
            Placed(key if field is None else document[field], self.doc_of(document))
            for key, document in self._latest(documents).items()
        ]
        return sorted(found, key=lambda one: one.place, reverse=descending)[:limit]

    def _latest(self, documents: Iterable[Document]) -> dict[str, Document]:
        """Each document by its key; the later state of those that were met in both collections."""
        latest: dict[str, Document] = {}
        for document in documents:
            key: str = document["key"] if "key" in document else document["_id"]
            if key not in latest or document["version"] > latest[key]["version"]:
                latest[key] = document
        return latest

    def _many_field(self, index: MultiIndex[Doc]) -> str:
        self._of.check(index)
        return places_field(index)

    def _field(self, index: Index[Doc] | Unique[Doc]) -> str:
        self._of.check(index)
        return place_field(index)
