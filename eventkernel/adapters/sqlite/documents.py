"""Document views in SQLite: what a declaration becomes as tables, and how these are written.

    doc   key   version  since_us  …  deleted  doc                        in_author          has_title
          01K3  2        …            0        {"author":"ada","title":…  2ada 1800…01K3…    ["hello","world"]
    past  01K3  1        …  until_us  until_offset

`doc` has one row per document, also of deleted ones; `past` has the states before, each valid from `since` until
`until` (time and offset at both ends, the end excluded), so that any moment can be read from the two by their keys. A
state carries its document as JSON, its place in each index (`in_…`, null where it is not in it), its places in each
index of several (`at_…`, a JSON array) and its words (`has_…`, a JSON array). `word_…` leads from a word to the keys of
the documents that have it, `past_word_…` to those with a state in `past` that had it; `place_…` leads from a place to
the document that stands there, `past_place_…` to the states in `past` that did. These tables follow from the states.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import msgspec

from eventkernel.adapters.sqlite.build import SqliteViewBuild, json_list
from eventkernel.adapters.sqlite.build_snapshot import BuildSnapshot
from eventkernel.adapters.sqlite.document_questions import SqliteQuestions, place_column, places_column, words_column
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.documents import Documents, MultiIndex, Words
from eventkernel.reading.views import Change, Doc, State
from eventkernel.reading.words import words

_LOAD: Final = (
    "SELECT key, version, since_us, since_offset, log, partition, doc FROM doc"
    " WHERE key IN (SELECT value FROM json_each(?))"
)

_encode: Final = msgspec.json.Encoder().encode


class SqliteDocuments(SqliteViewBuild[Doc], SqliteQuestions[Doc]):
    """One build of a document view; `sqlite_documents` makes the class of a declaration's builds."""

    documents: ClassVar[Documents[Any]]  # a class variable cannot name the class's type parameter

    many_words: ClassVar[int] = 4_000
    """A beginning with so many words is so common that a page is found sooner by trying one document after another."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "documents" in cls.__dict__:
            cls._lay_out(cls.documents)

    @classmethod
    def _lay_out(cls, documents: Documents[Any]) -> None:
        ordered = [place_column(index) for index in documents.placing]
        multiplied = [places_column(index) for index in documents.multiplying]
        worded = [words_column(index) for index in documents.wording]
        state = "".join(
            [
                "key TEXT NOT NULL, version INTEGER NOT NULL, since_us INTEGER NOT NULL, since_offset INTEGER NOT NULL,"
                " log TEXT NOT NULL, partition INTEGER NOT NULL, deleted INTEGER NOT NULL, doc TEXT NOT NULL",
                *(f", {column} TEXT" for column in ordered),
                *(f", {column} TEXT NOT NULL" for column in (*multiplied, *worded)),
            ]
        )
        tables = [
            f"-- {json.dumps(documents.layout)}",
            f"CREATE TABLE doc ({state}, PRIMARY KEY (key)) STRICT, WITHOUT ROWID;",
            f"CREATE TABLE past ({state}, until_us INTEGER NOT NULL, until_offset INTEGER NOT NULL,"
            " PRIMARY KEY (key, version)) STRICT, WITHOUT ROWID;",
        ]
        derived: list[str] = []
        for column, multiple in zip(multiplied, documents.multiplying, strict=True):
            tables += [
                f"CREATE TABLE place_{multiple.name} (place TEXT NOT NULL PRIMARY KEY, key TEXT NOT NULL)"
                " STRICT, WITHOUT ROWID;",
                f"CREATE TABLE past_place_{multiple.name} (place TEXT NOT NULL, version INTEGER NOT NULL,"
                " key TEXT NOT NULL, PRIMARY KEY (place, version)) STRICT, WITHOUT ROWID;",
            ]
            derived += [
                f"INSERT INTO place_{multiple.name} SELECT value, doc.key"
                f" FROM doc, json_each(doc.{column}) ORDER BY 1;",
                f"INSERT INTO past_place_{multiple.name} SELECT value, past.version, past.key"
                f" FROM past, json_each(past.{column}) ORDER BY 1, 2;",
            ]
        for column, index in zip(worded, documents.wording, strict=True):
            for states, table in (("doc", f"word_{index.name}"), ("past", f"past_word_{index.name}")):
                tables.append(
                    f"CREATE TABLE {table} (word TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (word, key))"
                    " STRICT, WITHOUT ROWID;"
                )
                derived.append(
                    f"INSERT INTO {table} SELECT DISTINCT value, {states}.key FROM {states},"
                    f" json_each({states}.{column}) ORDER BY 1, 2;"
                )
        cls.schema = "\n".join(tables)
        cls.derived = "\n".join(derived)
        cls.indexes = "\n".join(
            f"CREATE INDEX IF NOT EXISTS {table}_{column} ON {table} ({column}) WHERE {column} IS NOT NULL;"
            for column in ordered
            for table in ("doc", "past")
        )
        marks = ", ".join("?" * (8 + len(ordered) + len(multiplied) + len(worded)))
        cls.writes = {
            "doc": f"INSERT OR REPLACE INTO doc VALUES ({marks})",
            "past": f"INSERT INTO past VALUES ({marks}, ?, ?)",
            **{name: sql for index in documents.multiplying for name, sql in _place_writes(index).items()},
            **{name: sql for index in documents.wording for name, sql in _word_writes(index).items()},
        }

    def __init__(self, file: Path, readers: int) -> None:
        SqliteViewBuild.__init__(self, file, readers)  # pyright: ignore[reportUnknownMemberType]  # of any document
        SqliteQuestions.__init__(self, self.read, self.documents, None, self.many_words)  # pyright: ignore[reportUnknownMemberType]
        self._decode = msgspec.json.Decoder(self.documents.doc_type).decode

    def as_of(self, then: AsOf | None) -> SqliteQuestions[Doc]:
        return self if then is None else SqliteQuestions(self.read, self.documents, then, self.many_words)

    def remarks_of(self, connection: sqlite3.Connection) -> Sequence[str]:
        return [
            line
            for remarks in self.documents.remarks
            for line in remarks.of(one.doc for one in self.all_of(connection, remarks.index))
        ]

    def load_documents(self, connection: sqlite3.Connection, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        key_of, stream_of, decode = self.documents.key_of, self.documents.stream_of, self._decode
        rows = connection.execute(_LOAD, (json_list([key_of(stream) for stream in streams]),))
        return {
            stream_of(key): State(version, since_us, log, partition, since_offset, decode(doc))
            for key, version, since_us, since_offset, log, partition, doc in rows
        }

    def rows_of(self, change: Change[Doc]) -> Rows[Sequence[object]]:
        key, history = self.documents.key_of(change.stream), change.history
        yield "doc", self._row(key, history[-1])
        for state, following in pairwise(history):
            yield "past", (*self._row(key, state), following.time_us, following.offset)
        if not self.filling:
            for number, multiple in enumerate(self.documents.multiplying):
                yield from self._place_rows(multiple.name, number, key, change)
            for number, index in enumerate(self.documents.wording):
                yield from self._word_rows(index.name, number, key, change)

    def _row(self, key: str, state: State[Doc]) -> tuple[object, ...]:
        doc, documents = state.doc, self.documents
        deleted = documents.deleted(doc)
        return (
            key, state.version, state.time_us, state.offset, state.log, state.partition, deleted, _encode(doc).decode(),
            *documents.places(doc, key), *[_encode(places).decode() for places in documents.many_places(doc, key)],
            *[_listed(text) for text in documents.texts(doc)],
        )  # fmt: skip

    def _place_rows(self, name: str, number: int, key: str, change: Change[Doc]) -> Rows[Sequence[object]]:
        """What `derived` would make of the states, after this change to the stored one."""
        history = change.history
        there = [self.documents.many_places(state.doc, key)[number] for state in history]
        before = set[str]() if change.before is None else set(there[0])
        for place in before.difference(there[-1]):
            yield f"place_gone_{name}", (place,)
        for place in there[-1]:
            if place not in before:
                yield f"place_{name}", (place, key)
        for state, places in zip(history[:-1], there[:-1], strict=True):
            for place in places:
                yield f"past_place_{name}", (place, state.version, key)

    def _word_rows(self, name: str, number: int, key: str, change: Change[Doc]) -> Rows[tuple[str, str]]:
        """What `derived` would make of the states, after this change to the stored one."""
        before = frozenset[str]() if change.before is None else words(self.documents.texts(change.before.doc)[number])
        *earlier, last = (words(self.documents.texts(state.doc)[number]) for state in change.states)
        for word in before - last:
            yield f"word_gone_{name}", (word, key)
        for word in last - before:
            yield f"word_{name}", (word, key)
        for word in before.union(*earlier):
            yield f"past_word_{name}", (word, key)


def _place_writes(index: MultiIndex[Any]) -> Mapping[str, str]:
    return {
        f"place_gone_{index.name}": f"DELETE FROM place_{index.name} WHERE place = ?",
        f"place_{index.name}": f"INSERT INTO place_{index.name} VALUES (?, ?)",
        f"past_place_{index.name}": f"INSERT INTO past_place_{index.name} VALUES (?, ?, ?)",
    }


def _word_writes(index: Words[Any]) -> Mapping[str, str]:
    return {
        f"word_gone_{index.name}": f"DELETE FROM word_{index.name} WHERE word = ? AND key = ?",
        f"word_{index.name}": f"INSERT INTO word_{index.name} VALUES (?, ?)",
        f"past_word_{index.name}": f"INSERT OR IGNORE INTO past_word_{index.name} VALUES (?, ?)",
    }


@cache
def sqlite_documents(documents: Documents[Doc]) -> type[SqliteDocuments[Doc]]:
    """The class of the builds of a view of this declaration, for `SqliteView.open`."""
    made = type("SqliteDocumentsOf", (SqliteDocuments,), {"documents": documents})
    return cast("type[SqliteDocuments[Doc]]", made)


def snapshot_as_kept(file: Path, build_type: type[SqliteDocuments[Any]]) -> BuildSnapshot[Any]:
    """A build of these documents as it is at one moment, whatever fields and indexes they had when it was filled.

    Raises:
        CannotOpen: it has no documents.
        Unavailable, CorruptData: it cannot be read.
    """
    snapshot = BuildSnapshot(file, sqlite_documents(build_type.documents.as_kept), any_tables=True)
    try:
        snapshot.check_loading()
    except BaseException:
        snapshot.close()
        raise
    return snapshot


@lru_cache(16_384)  # names come again and again
def _listed(text: str) -> str:
    return _encode(sorted(words(text))).decode()
