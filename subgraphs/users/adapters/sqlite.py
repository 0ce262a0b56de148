"""The users' view in SQLite: who there is now, who there was when, and the words that they are found by.

Here are the tables and the questions about now; `sqlite_past.py` asks the same ones about then.

`user` has one row per user, also deleted ones; `user_past` has the states before, each valid from `since` until `until`
(time and offset at both ends, the end excluded), so that any moment can be read from the two by their keys. `word` says
from which version until which the names had a word; `until_version` is null while they have it. `claim` tells usernames
that count as the same one, `skeleton` those that look alike without a claim that says so.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Final

from eventkernel.adapters.sqlite.build import SqliteViewBuild, json_list
from eventkernel.as_of import AsOf
from eventkernel.views import Change, State
from subgraphs.users.adapters.sqlite_past import SqlitePastUsers
from subgraphs.users.domain import id_of, stream_of, username_claim
from subgraphs.users.lookalikes import remark
from subgraphs.users.projection import UserDoc
from subgraphs.users.views import UserQuestions
from subgraphs.users.words import prefix_end, words

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
    skeleton     TEXT"""

_STATE: Final = (
    "version, since_us, since_offset, log, partition, first_name, last_name, username, claim, created_us, deleted, "
    "skeleton"
)
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
    id            TEXT NOT NULL,
    word          TEXT NOT NULL,
    since_version INTEGER NOT NULL,
    until_version INTEGER,
    PRIMARY KEY (id, word, since_version)
) STRICT, WITHOUT ROWID;
"""

    indexes = """
CREATE INDEX IF NOT EXISTS word_now ON word (word, id, until_version) WHERE until_version IS NULL;
CREATE INDEX IF NOT EXISTS word_past ON word (word, id, since_version, until_version) WHERE until_version IS NOT NULL;
CREATE INDEX IF NOT EXISTS user_claim ON user (claim) WHERE claim IS NOT NULL;
CREATE INDEX IF NOT EXISTS user_skeleton ON user (skeleton) WHERE skeleton IS NOT NULL;
CREATE INDEX IF NOT EXISTS user_past_claim ON user_past (claim) WHERE claim IS NOT NULL;
"""

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

    def write_changes(self, connection: sqlite3.Connection, changes: Sequence[Change[UserDoc]]) -> None:
        stored = self.stored(connection, [change.stream for change in changes])
        now: list[tuple[object, ...]] = []
        past: list[tuple[object, ...]] = []
        closed: list[tuple[int, str, str]] = []
        opened: list[tuple[str, str, int, int | None]] = []
        for change in changes:
            before = stored.get(change.stream)
            states = change.states if before is None else (before, *change.states)
            now.append(_state_row(states[-1]))
            past.extend(
                (*_state_row(state), following.time_us, following.offset) for state, following in pairwise(states)
            )
            _word_changes(before, change.states, closed, opened)
        marks = ", ".join("?" * len(now[0]))
        connection.executemany(f"INSERT OR REPLACE INTO user (id, {_STATE}) VALUES ({marks})", now)
        connection.executemany(
            f"INSERT INTO user_past (id, {_STATE}, until_us, until_offset) VALUES ({marks}, ?, ?)",
            past,
        )
        connection.executemany(
            "UPDATE word SET until_version = ? WHERE id = ? AND word = ? AND until_version IS NULL", closed
        )
        connection.executemany("INSERT INTO word VALUES (?, ?, ?, ?)", opened)


Query = tuple[str, list[object]]
"""A text and its parameters; the id to begin behind and the limit follow as the last two."""


def search_by_word(longest: str, others: Sequence[str]) -> Query:
    """All users with a word that begins with the longest prefix, by the index of words; then in order."""
    in_range, parameters = _in_range("word.word", longest)
    and_others, more = _has_words("word.id", others)
    return (
        f"SELECT {_DOC} FROM (SELECT DISTINCT word.id FROM word WHERE {in_range} AND word.until_version IS NULL"
        f"{and_others} AND word.id > ? ORDER BY word.id LIMIT ?) AS found"
        " CROSS JOIN user ON user.id = found.id ORDER BY found.id"
    ), parameters + more


def search_by_user(longest: str, others: Sequence[str]) -> Query:
    """One user after the other in order, until there are enough whose own words are right."""
    and_all, parameters = _has_words("user.id", [longest, *others])
    return f"SELECT {_DOC} FROM user WHERE deleted = 0{and_all} AND id > ? ORDER BY id LIMIT ?", parameters


def _has_words(user_id: str, prefixes: Sequence[str]) -> Query:
    conditions, parameters = "", list[object]()
    for prefix in prefixes:
        in_range, ends = _in_range("own.word", prefix)
        conditions += (
            f" AND EXISTS (SELECT 1 FROM word AS own WHERE own.id = {user_id} AND {in_range}"
            " AND own.until_version IS NULL)"
        )
        parameters += ends
    return conditions, parameters


def _count(connection: sqlite3.Connection, prefix: str, most: int) -> int:
    """How many words begin with a prefix, counted up to `most`."""
    in_range, parameters = _in_range("word", prefix)
    query = f"SELECT count(*) FROM (SELECT 1 FROM word WHERE {in_range} AND until_version IS NULL LIMIT ?)"
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
        doc.created_us, int(doc.deleted), doc.skeleton,
    )  # fmt: skip


def _word_changes(
    before: State[UserDoc] | None,
    states: Sequence[State[UserDoc]],
    closed: list[tuple[int, str, str]],
    opened: list[tuple[str, str, int, int | None]],
) -> None:
    """Words that are stored and end, and words that begin (and perhaps end within the same batch)."""
    stored = frozenset[str]() if before is None else _words_of(before.doc)
    begun: dict[str, int] = {}
    for state in states:
        user_id, version = state.doc.id, state.version
        wanted = _words_of(state.doc)
        closed.extend((version, user_id, word) for word in stored - wanted)
        opened.extend((user_id, word, begun.pop(word), version) for word in begun.keys() - wanted)
        stored &= wanted
        begun.update(dict.fromkeys(wanted - stored - begun.keys(), version))
    user_id = states[-1].doc.id
    opened.extend((user_id, word, since, None) for word, since in begun.items())


def _words_of(doc: UserDoc) -> frozenset[str]:
    return frozenset() if doc.deleted else words(f"{doc.first_name} {doc.last_name}")
