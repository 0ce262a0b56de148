"""The users' view in SQLite: who there is now, who there was when, and the words that they are found by.

Here are the tables and the questions about now; `sqlite_past.py` asks the same ones about then.

`user` has one row per user, also deleted ones; `user_past` has the states before, each valid from `since` until `until`
(time and offset at both ends, the end excluded), so that any moment can be read from the two by their keys. Each state
carries the words of its names, as a JSON array. `word` leads from a word to the users whose names have it, `past_word`
to those with a state in `user_past` that had it; both follow from the states. `claim` tells usernames that count as the
same one, `skeleton` those that look alike without a claim that says so.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final

from eventkernel.adapters.sqlite.build import SqliteViewBuild, json_list
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, State
from eventkernel.reading.words import prefix_end, words
from subgraphs.users.adapters.sqlite_past import SqlitePastUsers, beginning
from subgraphs.users.domain import id_of, stream_of, username_claim
from subgraphs.users.lookalikes import remark
from subgraphs.users.projection import UserDoc
from subgraphs.users.views import UserQuestions

_STATE_COLUMNS: Final = """
    version      INTEGER NOT NULL,
    since_us     INTEGER NOT NULL,
    since_offset INTEGER NOT NULL,
    log          TEXT NOT NULL,
    partition    INTEGER NOT NULL,
    first_name   TEXT NOT NULL,
    last_name    TEXT NOT NULL,
    username     TEXT,
    claim        TEXT,
    created_us   INTEGER NOT NULL,
    deleted      INTEGER NOT NULL,
    skeleton     TEXT,
    words        TEXT NOT NULL"""

_STATE: Final = (
    "version, since_us, since_offset, log, partition, first_name, last_name, username, claim, created_us, deleted, "
    "skeleton, words"
)
_MARKS: Final = ", ".join("?" * (1 + len(_STATE.split(","))))
_LOADED: Final = (
    "version, since_us, since_offset, log, partition, first_name, last_name, username, created_us, deleted, skeleton"
)
_DOC: Final = "user.id, version, first_name, last_name, username, created_us, since_us, deleted, skeleton"

_ONE: Final = f"SELECT {_DOC} FROM user WHERE id = ? AND deleted = 0"
_MANY: Final = f"SELECT {_DOC} FROM user WHERE id IN (SELECT value FROM json_each(?)) AND deleted = 0"
_PAGE: Final = f"SELECT {_DOC} FROM user WHERE id > ? AND deleted = 0 ORDER BY id LIMIT ?"
_OF_USERNAME: Final = f"SELECT {_DOC} FROM user WHERE claim = ?"
_OF_SKELETON: Final = f"SELECT {_DOC} FROM user WHERE skeleton = ? ORDER BY id"
_LOOKALIKES: Final = """
SELECT json_group_array(id) FROM (SELECT id, skeleton FROM user WHERE skeleton IS NOT NULL ORDER BY id)
GROUP BY skeleton HAVING count(*) > 1 ORDER BY min(id)"""

_Row = tuple[str, int, str, str, str | None, int, int, int, str | None]


class SqliteUserView(SqliteViewBuild[UserDoc]):
    schema = f"""
CREATE TABLE user (
    id           TEXT NOT NULL PRIMARY KEY,{_STATE_COLUMNS}
) STRICT, WITHOUT ROWID;
CREATE TABLE user_past (
    id           TEXT NOT NULL,{_STATE_COLUMNS},
    until_us     INTEGER NOT NULL,
    until_offset INTEGER NOT NULL,
    PRIMARY KEY (id, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE word (
    word TEXT NOT NULL,
    id   TEXT NOT NULL,
    PRIMARY KEY (word, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE past_word (
    word TEXT NOT NULL,
    id   TEXT NOT NULL,
    PRIMARY KEY (word, id)
) STRICT, WITHOUT ROWID;
"""

    derived = """
INSERT INTO word SELECT value, user.id FROM user, json_each(user.words) ORDER BY 1, 2;
INSERT INTO past_word SELECT DISTINCT value, user_past.id FROM user_past, json_each(user_past.words) ORDER BY 1, 2;
"""

    indexes = """
CREATE INDEX IF NOT EXISTS user_claim ON user (claim) WHERE claim IS NOT NULL;
CREATE INDEX IF NOT EXISTS user_skeleton ON user (skeleton) WHERE skeleton IS NOT NULL;
CREATE INDEX IF NOT EXISTS user_past_claim ON user_past (claim) WHERE claim IS NOT NULL;
"""

    writes: ClassVar[Mapping[str, str]] = {
        "user": f"INSERT OR REPLACE INTO user (id, {_STATE}) VALUES ({_MARKS})",
        "user_past": f"INSERT INTO user_past (id, {_STATE}, until_us, until_offset) VALUES ({_MARKS}, ?, ?)",
        "word_gone": "DELETE FROM word WHERE word = ? AND id = ?",
        "word": "INSERT INTO word VALUES (?, ?)",
        "past_word": "INSERT OR IGNORE INTO past_word VALUES (?, ?)",
    }

    many: ClassVar[int] = 4_000
    """A beginning with so many words is so common that a page is found sooner by trying one user after the other."""

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        if len(ids) == 1:
            docs = await self.read(lambda connection: _docs(connection, _ONE, (ids[0],)))
        else:
            docs = await self.read(lambda connection: _docs(connection, _MANY, (json_list(ids),)))
        return {doc.id: doc for doc in docs}

    async def page(self, after: str | None, limit: int) -> Sequence[UserDoc]:
        return await self.read(lambda connection: _docs(connection, _PAGE, (after or "", limit)))

    async def search(self, prefixes: Collection[str], after: str | None, limit: int) -> Sequence[UserDoc]:
        def found(connection: sqlite3.Connection) -> list[UserDoc]:
            longest, *others = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
            rare = _count(connection, longest, self.many) < self.many
            query, parameters = search_by_word(longest, others) if rare else search_by_user(longest, others)
            return _docs(connection, query, [*parameters, after or "", limit])

        return await self.read(found)

    async def of_username(self, claim: str) -> UserDoc | None:
        return next(iter(await self.read(lambda connection: _docs(connection, _OF_USERNAME, (claim,)))), None)

    async def of_skeleton(self, skeleton: str) -> Sequence[UserDoc]:
        return await self.read(lambda connection: _docs(connection, _OF_SKELETON, (skeleton,)))

    def remarks_of(self, connection: sqlite3.Connection) -> Sequence[str]:
        return [remark(json.loads(ids)) for (ids,) in connection.execute(_LOOKALIKES)]

    def as_of(self, then: AsOf | None) -> UserQuestions:
        return self if then is None else SqlitePastUsers(self.read, then, self.many)

    def load_documents(self, connection: sqlite3.Connection, streams: Sequence[str]) -> Mapping[str, State[UserDoc]]:
        query = f"SELECT id, {_LOADED} FROM user WHERE id IN (SELECT value FROM json_each(?))"
        rows = connection.execute(query, (json_list([id_of(stream) for stream in streams]),))
        return {
            stream_of(user_id): State(
                version=version,
                time_us=since_us,
                log=log,
                partition=partition,
                offset=offset,
                doc=UserDoc(
                    user_id, version, first_name, last_name, username, created_us, since_us, bool(deleted), skeleton
                ),
            )
            for (
                user_id, version, since_us, offset, log, partition,
                first_name, last_name, username, created_us, deleted, skeleton,
            ) in rows
        }  # fmt: skip

    def rows_of(self, change: Change[UserDoc]) -> Rows[Sequence[object]]:
        yield "user", _state_row(change.states[-1])
        for state, following in pairwise(change.history):
            yield "user_past", (*_state_row(state), following.time_us, following.offset)
        if not self.filling:
            yield from _word_rows(change)


Query = tuple[str, list[object]]
"""A text and its parameters; the id to begin behind and the limit follow as the last two."""


def search_by_word(longest: str, others: Sequence[str]) -> Query:
    """All users with a word that begins with the longest prefix, by the index of words; then in order."""
    in_range, parameters = _in_range("word", longest)
    and_others, more = _has_words(others)
    return (
        f"SELECT {_DOC} FROM (SELECT DISTINCT id FROM word WHERE {in_range}) AS found"
        f" CROSS JOIN user ON user.id = found.id WHERE deleted = 0{and_others} AND user.id > ? ORDER BY user.id LIMIT ?"
    ), parameters + more


def search_by_user(longest: str, others: Sequence[str]) -> Query:
    """One user after the other in order, until there are enough whose own words are right."""
    and_all, parameters = _has_words([longest, *others])
    return f"SELECT {_DOC} FROM user WHERE deleted = 0{and_all} AND id > ? ORDER BY id LIMIT ?", parameters


def _has_words(prefixes: Sequence[str]) -> Query:
    return " AND instr(words, ?)" * len(prefixes), [beginning(prefix) for prefix in prefixes]


def _count(connection: sqlite3.Connection, prefix: str, most: int) -> int:
    """How many words begin with a prefix, counted up to `most`."""
    in_range, parameters = _in_range("word", prefix)
    query = f"SELECT count(*) FROM (SELECT 1 FROM word WHERE {in_range} LIMIT ?)"
    return int(connection.execute(query, [*parameters, most]).fetchone()[0])


def _in_range(column: str, prefix: str) -> Query:
    end = prefix_end(prefix)
    if end is None:
        return f"{column} >= ?", [prefix]
    return f"{column} >= ? AND {column} < ?", [prefix, end]


def _docs(connection: sqlite3.Connection, query: str, parameters: Sequence[object]) -> list[UserDoc]:
    rows: list[_Row] = connection.execute(query, parameters).fetchall()
    return [UserDoc(*row[:-2], deleted=bool(row[-2]), skeleton=row[-1]) for row in rows]


def _state_row(state: State[UserDoc]) -> tuple[object, ...]:
    doc = state.doc
    return (
        doc.id, state.version, state.time_us, state.offset, state.log, state.partition,
        doc.first_name, doc.last_name, doc.username, None if doc.username is None else username_claim(doc.username),
        doc.created_us, int(doc.deleted), doc.skeleton, "[]" if doc.deleted else _listed(_names(doc)),
    )  # fmt: skip


def _word_rows(change: Change[UserDoc]) -> Rows[tuple[str, str]]:
    """What `derived` would make of the states, after this change to the stored one."""
    before = frozenset[str]() if change.before is None else _words_of(change.before.doc)
    *earlier, last = (_words_of(state.doc) for state in change.states)
    user_id = change.states[-1].doc.id
    for word in before - last:
        yield "word_gone", (word, user_id)
    for word in last - before:
        yield "word", (word, user_id)
    for word in before.union(*earlier):
        yield "past_word", (word, user_id)


def _words_of(doc: UserDoc) -> frozenset[str]:
    return frozenset() if doc.deleted else words(_names(doc))


def _names(doc: UserDoc) -> str:
    return f"{doc.first_name} {doc.last_name}"


@lru_cache(16_384)  # names come again and again
def _listed(names: str) -> str:
    return json.dumps(sorted(words(names)), ensure_ascii=False)
