"""The graph of friends in SQLite: users have small numbers, and a user's friends lie next to each other.

A walk of two steps is two range scans of one clustered table, over integers; ids are looked up for what comes out. A
trigger counts every user's friends, so that what a question costs is known before it is asked.

Here are the tables and the questions about now; `sqlite_past.py` asks the same ones about then.

What is true now and what was true once are in tables of their own, so that the past costs the present nothing. A row of
`past_friends` is one friendship from its beginning to an end; a row of `friends` is one that lasts. Both hold every
friendship twice, once from each side. A user who is only known from a friendship has no version yet.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eventkernel.adapters.sqlite.build import SqliteViewBuild, json_list
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, State
from subgraphs.recommendations.adapters.sqlite_past import SqlitePastRecommendations
from subgraphs.recommendations.events import USER_STREAM_PREFIX
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc
from subgraphs.recommendations.views import RecommendationQuestions, Recommended, Two, checked_friends, refuse_beyond

_SCHEMA: Final = """
CREATE TABLE users (
    number         INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    shown          INTEGER NOT NULL DEFAULT 0,
    friends        INTEGER NOT NULL DEFAULT 0,
    created_us     INTEGER,
    created_offset INTEGER,
    deleted_us     INTEGER,
    deleted_offset INTEGER,
    version        INTEGER,
    time_us        INTEGER,
    log            TEXT,
    partition      INTEGER,
    offset         INTEGER
) STRICT;
CREATE TABLE friendships (
    stream       TEXT PRIMARY KEY,
    low          INTEGER NOT NULL,
    high         INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    since_us     INTEGER NOT NULL,
    since_offset INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    time_us      INTEGER NOT NULL,
    log          TEXT NOT NULL,
    partition    INTEGER NOT NULL,
    offset       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE friends (
    user         INTEGER NOT NULL,
    friend       INTEGER NOT NULL,
    since_us     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    since_offset INTEGER NOT NULL,
    PRIMARY KEY (user, friend)
) STRICT, WITHOUT ROWID;
CREATE TABLE past_friends (
    user         INTEGER NOT NULL,
    friend       INTEGER NOT NULL,
    since_us     INTEGER NOT NULL,
    until_us     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    since_offset INTEGER NOT NULL,
    until_offset INTEGER NOT NULL,
    PRIMARY KEY (user, friend, since_offset)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER friend_added AFTER INSERT ON friends BEGIN
    UPDATE users SET friends = friends + 1 WHERE number = new.user;
END;
CREATE TRIGGER friend_removed AFTER DELETE ON friends BEGIN
    UPDATE users SET friends = friends - 1 WHERE number = old.user;
END;
"""

_WRITES: Final = {
    "users": """
INSERT INTO users (id, shown, created_us, created_offset, deleted_us, deleted_offset, version, time_us, log, partition,
    offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET shown = excluded.shown, created_us = excluded.created_us,
    created_offset = excluded.created_offset, deleted_us = coalesce(deleted_us, excluded.deleted_us),
    deleted_offset = coalesce(deleted_offset, excluded.deleted_offset), version = excluded.version,
    time_us = excluded.time_us, log = excluded.log, partition = excluded.partition, offset = excluded.offset""",
    "known": "INSERT INTO users (id) VALUES (?), (?) ON CONFLICT DO NOTHING",
    "friendships": """
INSERT OR REPLACE INTO friendships VALUES (
    ?, (SELECT number FROM users WHERE id = ?), (SELECT number FROM users WHERE id = ?), ?, ?, ?, ?, ?, ?, ?, ?)""",
    # An upsert and no REPLACE: that would fire the trigger that counts friends for rows that were there.
    "friends": """
INSERT INTO friends VALUES (
    (SELECT number FROM users WHERE id = ?), (SELECT number FROM users WHERE id = ?), ?, ?, ?)
ON CONFLICT DO UPDATE SET since_us = excluded.since_us, since_offset = excluded.since_offset""",
    "unfriended": """
DELETE FROM friends
WHERE user = (SELECT number FROM users WHERE id = ?) AND friend = (SELECT number FROM users WHERE id = ?)""",
    "past_friends": """
WITH past AS (SELECT low, high, ? AS since_us, ? AS until_us, ? AS partition, ? AS since_offset, ? AS until_offset
    FROM friendships WHERE stream = ?)
INSERT OR REPLACE INTO past_friends SELECT * FROM past UNION ALL
SELECT high, low, since_us, until_us, partition, since_offset, until_offset FROM past""",
}

USERS: Final = """
SELECT id, created_us, created_offset, NOT shown FROM users
WHERE id IN (SELECT value FROM json_each(?)) AND version IS NOT NULL"""

NODES: Final = "SELECT id, number, friends FROM users WHERE id IN (SELECT value FROM json_each(?)) AND shown"

STEPS: Final = """
SELECT coalesce(sum(users.friends), 0) FROM friends CROSS JOIN users ON users.number = friends.friend
WHERE friends.user = ?"""

RECOMMENDED: Final = """
SELECT users.id, found.mutual
FROM (
    SELECT second.friend AS number, count(*) AS mutual
    FROM friends AS first
    CROSS JOIN users AS middle ON middle.number = first.friend AND middle.shown
    CROSS JOIN friends AS second ON second.user = middle.number
    WHERE first.user = :user
    GROUP BY second.friend
) AS found
CROSS JOIN users ON users.number = found.number AND users.shown
WHERE found.number <> :user
    AND NOT EXISTS (SELECT 1 FROM friends WHERE friends.user = :user AND friends.friend = found.number)
ORDER BY found.mutual DESC, users.id
LIMIT :limit"""

MUTUAL_FRIENDS: Final = """
SELECT users.id
FROM friends AS one
CROSS JOIN friends AS other ON other.user = :more AND other.friend = one.friend
CROSS JOIN users ON users.number = one.friend AND users.shown
WHERE one.user = :fewer
ORDER BY users.id
LIMIT :limit"""

FRIENDS_OF: Final = """
SELECT users.id FROM friends CROSS JOIN users ON users.number = friends.friend
WHERE friends.user = (SELECT number FROM users WHERE id = :user)
LIMIT :limit"""

_NO_LIMIT: Final = -1


@dataclass(frozen=True, slots=True)
class _Node:
    number: int
    friends: int


class SqliteRecommendationView(SqliteViewBuild[GraphDoc]):
    """One build of the graph as one SQLite file."""

    schema = _SCHEMA
    writes = _WRITES

    # The port `RecommendationView`. In SQLite a statement is no round trip (https://www.sqlite.org/np1queryprob.html):
    # a read of many answers is one statement per answer, on one snapshot.

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        def query(connection: sqlite3.Connection) -> dict[str, UserDoc]:
            rows = connection.execute(USERS, (json_list(ids),))
            return {user: UserDoc(user, us, offset, bool(deleted)) for user, us, offset, deleted in rows}

        return await self.read(query)

    async def recommended(self, ids: Sequence[str], limit: int, bound: int) -> Mapping[str, Sequence[Recommended]]:
        def query(connection: sqlite3.Connection) -> dict[str, Sequence[Recommended]]:
            nodes = _nodes(connection, ids)
            # Every friend has at least one friend, so that these numbers are bounds of the steps, too.
            refuse_beyond(bound, sum(node.friends for node in nodes.values()))
            refuse_beyond(bound, sum(_steps(connection, node) for node in nodes.values()))
            found: dict[str, Sequence[Recommended]] = dict.fromkeys(ids, ())
            for user, node in nodes.items():
                rows = connection.execute(RECOMMENDED, {"user": node.number, "limit": limit})
                found[user] = [Recommended(other, mutual) for other, mutual in rows]
            return found

        return await self.read(query)

    async def mutual_friends(self, twos: Sequence[Two], limit: int | None, bound: int) -> Mapping[Two, Sequence[str]]:
        def query(connection: sqlite3.Connection) -> dict[Two, Sequence[str]]:
            nodes = _nodes(connection, list({user for two in twos for user in two}))
            asked = [two for two in twos if two[0] != two[1] and two[0] in nodes and two[1] in nodes]
            refuse_beyond(bound, sum(min(nodes[one].friends, nodes[other].friends) for one, other in asked))
            found: dict[Two, Sequence[str]] = dict.fromkeys(twos, ())
            for two in asked:
                fewer, more = sorted((nodes[two[0]], nodes[two[1]]), key=lambda node: node.friends)
                rows = connection.execute(
                    MUTUAL_FRIENDS,
                    {
                        "fewer": fewer.number,
                        "more": more.number,
                        "limit": _NO_LIMIT if limit is None else limit,
                    },
                )
                found[two] = [user for (user,) in rows]
            return found

        return await self.read(query)

    async def friends_of(self, user: str, bound: int) -> Sequence[str]:
        def query(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(FRIENDS_OF, {"user": user, "limit": bound + 1})
            return [friend for (friend,) in rows]

        return checked_friends(await self.read(query), bound)

    def as_of(self, then: AsOf | None) -> RecommendationQuestions:
        return self if then is None else SqlitePastRecommendations(self.read, then)

    # What the machinery asks for

    def load_documents(self, connection: sqlite3.Connection, streams: Sequence[str]) -> Mapping[str, State[GraphDoc]]:
        return {
            **_load_users(connection, [s for s in streams if s.startswith(USER_STREAM_PREFIX)]),
            **_load_friendships(connection, [s for s in streams if not s.startswith(USER_STREAM_PREFIX)]),
        }

    def rows_of(self, change: Change[GraphDoc]) -> Rows[Sequence[object]]:
        last = change.states[-1]
        doc = last.doc
        if isinstance(doc, UserDoc):
            deletion = (last.time_us, last.offset) if doc.deleted else (None, None)
            yield "users", (doc.id, not doc.deleted, doc.created_us, doc.created_offset, *deletion, *_place(last))
            return
        if change.before is None:
            yield "known", doc.users
        yield "friendships", (change.stream, *doc.users, doc.ended, doc.since_us, doc.since_offset, *_place(last))
        for side in (doc.users, doc.users[::-1]):
            if doc.ended:
                yield "unfriended", side
            else:
                yield "friends", (*side, doc.since_us, last.partition, doc.since_offset)
        for state in change.states:
            if isinstance(state.doc, FriendshipDoc) and state.doc.ended:
                past = (state.doc.since_us, state.time_us, state.partition, state.doc.since_offset, state.offset)
                yield "past_friends", (*past, change.stream)


def _place(state: State[GraphDoc]) -> tuple[int, int, str, int, int]:
    return state.version, state.time_us, state.log, state.partition, state.offset


def _nodes(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, _Node]:
    """The nodes of the users among these who are shown."""
    rows = connection.execute(NODES, (json_list(ids),))
    return {user: _Node(number, friends) for user, number, friends in rows}


def _steps(connection: sqlite3.Connection, node: _Node) -> int:
    (steps,) = connection.execute(STEPS, (node.number,)).fetchone()
    return int(steps)


def _load_users(connection: sqlite3.Connection, streams: Sequence[str]) -> dict[str, State[GraphDoc]]:
    rows = connection.execute(
        "SELECT id, created_us, created_offset, NOT shown, version, time_us, log, partition, offset FROM users"
        " WHERE id IN (SELECT value FROM json_each(?)) AND version IS NOT NULL",
        (json_list([stream.removeprefix(USER_STREAM_PREFIX) for stream in streams]),),
    )
    return {
        USER_STREAM_PREFIX + user: State(
            version, time_us, log, partition, offset, UserDoc(user, created_us, created_offset, bool(deleted))
        )
        for user, created_us, created_offset, deleted, version, time_us, log, partition, offset in rows
    }


def _load_friendships(connection: sqlite3.Connection, streams: Sequence[str]) -> dict[str, State[GraphDoc]]:
    rows = connection.execute(
        "SELECT stream, low.id, high.id, since_us, since_offset, ended, f.version, f.time_us, f.log, f.partition,"
        " f.offset FROM friendships AS f JOIN users AS low ON low.number = f.low"
        " JOIN users AS high ON high.number = f.high WHERE stream IN (SELECT value FROM json_each(?))",
        (json_list(streams),),
    )
    return {
        stream: State(
            version, time_us, log, partition, offset, FriendshipDoc((low, high), since_us, since_offset, bool(ended))
        )
        for stream, low, high, since_us, since_offset, ended, version, time_us, log, partition, offset in rows
    }
