"""Document views in MongoDB: what a declaration becomes as collections, and how these are written.

    docs  {_id: "01K3…", version: 2, doc: {author: "ada", title: …}, in_author: "2ada 1800…01K3…", has_title: ["hello"],
           deleted: false, since_us: …, since_offset: …, log: "posts.3f9a", partition: 0}
    past  {_id: "01K3…/1", key: "01K3…", version: 1, …, until_us: …, until_offset: …}

`docs` has one document per stream, also of deleted ones; `past` has the states before, each valid from `since` until
`until` (time and offset at both ends, the end excluded), so that any moment can be read from the two by their keys. A
state has its place in each index (`in_…`, absent where it is not in it), its places in those of several (`at_…`) and
its words (`has_…`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, cast

import msgspec
from pymongo import IndexModel

from eventkernel.adapters.mongodb.build import Advance, Keep, MongoViewBuild, Watch
from eventkernel.adapters.mongodb.build_list import BuildList, BuildState
from eventkernel.adapters.mongodb.connection import Database, Document
from eventkernel.adapters.mongodb.document_questions import MongoQuestions, place_field, places_field, words_field
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.documents import Documents
from eventkernel.reading.views import Change, Doc, State
from eventkernel.reading.words import words


class MongoDocuments(MongoViewBuild[Doc], MongoQuestions[Doc]):
    """One build of a document view; `mongodb_documents` makes the class of a declaration's builds."""

    documents: ClassVar[Documents[Any]]  # a class variable cannot name the class's type parameter

    many_words: ClassVar[int] = 4_000
    """A beginning that so many have is so common that a page is found sooner by trying one document after another."""

    writes: ClassVar = {"past": Keep("past"), "now": Advance("docs")}

    _places: ClassVar[Sequence[str]]
    _many_places: ClassVar[Sequence[str]]
    _words: ClassVar[Sequence[str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "documents" in cls.__dict__:
            cls._lay_out(cls.documents)

    @classmethod
    def _lay_out(cls, documents: Documents[Any]) -> None:
        cls._places = [place_field(index) for index in documents.placing]
        cls.fields = documents.layout
        cls._many_places = [places_field(index) for index in documents.multiplying]
        cls._words = [words_field(index) for index in documents.wording]
        indexes = [IndexModel([(name, 1)], name=name, sparse=True) for name in cls._places]
        indexes += [IndexModel([(name, 1)], name=name) for name in (*cls._many_places, *cls._words)]
        cls.collections = {"docs": indexes, "past": [IndexModel([("key", 1), ("version", 1)], name="key"), *indexes]}

    def __init__(self, database: Database, builds: BuildList, watch: Watch, state: BuildState) -> None:
        MongoViewBuild.__init__(self, database, builds, watch, state)  # pyright: ignore[reportUnknownMemberType]  # of any document
        MongoQuestions.__init__(self, self.ask, self.collection_name("past"), self.documents, None, self.many_words)  # pyright: ignore[reportUnknownMemberType]

    def as_of(self, then: AsOf | None) -> MongoQuestions[Doc]:
        if then is None:
            return self
        return MongoQuestions(self.ask, self.collection_name("past"), self.documents, then, self.many_words)

    async def remarks(self) -> Sequence[str]:
        found: list[str] = []
        for remarks in self.documents.remarks:
            found += remarks.of(await self.all_of(remarks.index))
        return found

    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        found = await self.by_ids("docs", [self.documents.key_of(stream) for stream in streams])
        return {
            self.documents.stream_of(document["_id"]): State(
                version=document["version"],
                time_us=document["since_us"],
                log=document["log"],
                partition=document["partition"],
                offset=document["since_offset"],
                doc=self.doc_of(document),
            )
            for document in found
        }

    def rows_of(self, change: Change[Doc]) -> Rows[Document]:
        key, history = self.documents.key_of(change.stream), change.history
        for state, following in pairwise(history):
            yield "past", self._past_document(key, state, following)
        yield "now", {"_id": key, **self._document(key, history[-1])}

    def _document(self, key: str, state: State[Doc]) -> Document:
        doc = state.doc
        return {
            "version": state.version,
            "doc": msgspec.to_builtins(doc, str_keys=True),
            **dict(zip(self._places, self.documents.places(doc, key), strict=True)),
            **dict(zip(self._many_places, self.documents.many_places(doc, key), strict=True)),
            **{name: sorted(words(text)) for name, text in zip(self._words, self.documents.texts(doc), strict=True)},
            "deleted": self.documents.deleted(doc),
            "since_us": state.time_us,
            "since_offset": state.offset,
            "log": state.log,
            "partition": state.partition,
        }

    def _past_document(self, key: str, state: State[Doc], following: State[Doc]) -> Document:
        there = {name: value for name, value in self._document(key, state).items() if value is not None}
        until = {"until_us": following.time_us, "until_offset": following.offset}
        return {"_id": f"{key}/{state.version}", "key": key, **there, **until}


@cache
def mongodb_documents(documents: Documents[Doc]) -> type[MongoDocuments[Doc]]:
    """The class of the builds of a view of this declaration, for `MongoView.open`."""
    made = type("MongoDocumentsOf", (MongoDocuments,), {"documents": documents})
    return cast("type[MongoDocuments[Doc]]", made)


def mongodb_documents_as_kept(build_type: type[MongoDocuments[Any]]) -> type[MongoDocuments[Any]]:
    """The class of builds that give these documents as names and values, whatever fields and indexes they had when they
    were filled."""

    class AsKept(MongoDocuments[Any]):
        documents = build_type.documents.as_kept

        def doc_of(self, document: Document) -> Any:
            return msgspec.to_builtins(document["doc"], enc_hook=int)  # of BSON's class for numbers of 64 bits

    return AsKept
