"""The friends' view in SQLite: who is whose friend lies next to each other, in the order in which pages are read.

Here are the tables and the questions about now; `sqlite_past.py` asks the same ones about then.

What is true now and what was true once are in tables of their own, so that the past costs the present nothing. A row of
`past_friends` is one friendship from its beginning to an end, at the version that it had until then; a row of `friends`
is one that lasts. Both hold every friendship twice, once from each side.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from eventkernel.adapters.sqlite.build import SqliteViewBuild, json_list
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, State
from subgraphs.friends.adapters.sqlite_past import SqlitePastFriends
from subgraphs.friends.domain import BETWEEN, STREAM_PREFIX, Pair, id_of
from subgraphs.friends.events import USER_STREAM_PREFIX
from subgraphs.friends.projection import FriendsDoc, FriendshipDoc, UserDoc
from subgraphs.friends.views import Friend, FriendQuestions

_STATE: Final = """
    version   INTEGER NOT NULL,
    time_us   INTEGER NOT NULL,
    log       TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset    INTEGER NOT NULL"""

_SCHEMA: Final = f"""
CREATE TABLE users (
    id             TEXT PRIMARY KEY,
    shown          INTEGER NOT NULL,
    created_us     INTEGER NOT NULL,
    created_offset INTEGER NOT NULL,
    deleted_us     INTEGER,
    deleted_offset INTEGER,{_STATE}
) STRICT, WITHOUT ROWID;
CREATE TABLE friendships (
    id           TEXT PRIMARY KEY,
    ended        INTEGER NOT NULL,
    since_us     INTEGER NOT NULL,
    since_offset INTEGER NOT NULL,{_STATE}
) STRICT, WITHOUT ROWID;
CREATE TABLE friends (
    user         TEXT NOT NULL,
    friend       TEXT NOT NULL,
    since_us     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    since_offset INTEGER NOT NULL,
    PRIMARY KEY (user, friend)
) STRICT, WITHOUT ROWID;
CREATE TABLE past_friends (
    user         TEXT NOT NULL,
    friend       TEXT NOT NULL,
    since_us     INTEGER NOT NULL,
    until_us     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    since_offset INTEGER NOT NULL,
    until_offset INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    PRIMARY KEY (user, friend, since_offset)
) STRICT, WITHOUT ROWID;
"""

_LOW: Final = f"substr(id, 1, instr(id, '{BETWEEN}') - 1)"
_HIGH: Final = f"substr(id, instr(id, '{BETWEEN}') + 1)"
_SIDES: Final = " UNION ALL ".join(
    f"SELECT {user}, {friend}, since_us, partition, since_offset FROM friendships WHERE NOT ended"
    for user, friend in ((_LOW, _HIGH), (_HIGH, _LOW))
)

_WRITES: Final = {
    "users": (
        "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " shown = excluded.shown, deleted_us = coalesce(deleted_us, excluded.deleted_us),"
        " deleted_offset = coalesce(deleted_offset, excluded.deleted_offset), version = excluded.version,"
        " time_us = excluded.time_us, log = excluded.log, partition = excluded.partition, offset = excluded.offset"
    ),
    "friendships": "INSERT OR REPLACE INTO friendships VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "friends": "INSERT OR REPLACE INTO friends VALUES (?, ?, ?, ?, ?)",
    "unfriended": "DELETE FROM friends WHERE user = ? AND friend = ?",
    "past_friends": "INSERT OR REPLACE INTO past_friends VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
}

USERS: Final = """
SELECT id, created_us, created_offset, NOT shown FROM users WHERE id IN (SELECT value FROM json_each(?))"""

FRIENDSHIPS: Final = """
SELECT friendships.id, friendships.version, friendships.since_us, friendships.since_offset
FROM json_each(?) AS asked
CROSS JOIN friendships ON friendships.id = json_extract(asked.value, '$[0]') AND NOT friendships.ended
JOIN users AS low ON low.id = json_extract(asked.value, '$[1]') AND low.shown
JOIN users AS high ON high.id = json_extract(asked.value, '$[2]') AND high.shown"""

FRIENDS: Final = """
SELECT friends.friend, friends.since_us
FROM friends JOIN users ON users.id = friends.friend AND users.shown
WHERE friends.user = :user AND friends.friend > :after
    AND EXISTS (SELECT 1 FROM users AS self WHERE self.id = :user AND self.shown)
ORDER BY friends.friend LIMIT :limit"""

FRIEND_COUNTS: Final = """
SELECT self.id, (
    SELECT count(*) FROM friends CROSS JOIN users ON users.id = friends.friend AND users.shown
    WHERE friends.user = self.id
)
FROM users AS self
WHERE self.id IN (SELECT value FROM json_each(?)) AND self.shown"""

STANDING: Final = "SELECT friend FROM friends WHERE user = ? ORDER BY friend"


class SqliteFriendView(SqliteViewBuild[FriendsDoc]):
    """One build of the friends' view as one SQLite file."""

    schema = _SCHEMA
    derived = f"INSERT INTO friends {_SIDES} ORDER BY 1, 2"
    writes = _WRITES

    # The port `FriendView`

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        def query(connection: sqlite3.Connection) -> dict[str, UserDoc]:
            rows = connection.execute(USERS, (json_list(ids),))
            return {user: UserDoc(user, us, offset, bool(deleted)) for user, us, offset, deleted in rows}

        return await self.read(query)

    async def friendships(self, pairs: Sequence[Pair]) -> Mapping[Pair, FriendshipDoc]:
        by_id = {pair.friendship_id: pair for pair in pairs}
        asked = json.dumps([(friendship, pair.low, pair.high) for friendship, pair in by_id.items()])

        def query(connection: sqlite3.Connection) -> dict[Pair, FriendshipDoc]:
            rows = connection.execute(FRIENDSHIPS, (asked,))
            return {
                by_id[friendship]: FriendshipDoc(by_id[friendship], version, since_us, since_offset)
                for friendship, version, since_us, since_offset in rows
            }

        return await self.read(query)

    async def friends(self, user_ids: Sequence[str], after: str | None, limit: int) -> Mapping[str, Sequence[Friend]]:
        # A statement per user inside of one read: each stops after its page, and in SQLite a statement is no round
        # trip (https://www.sqlite.org/np1queryprob.html). A window function would count through everybody's friends.
        def query(connection: sqlite3.Connection) -> dict[str, Sequence[Friend]]:
            return {
                user: [
                    Friend(friend, since_us)
                    for friend, since_us in connection.execute(
                        FRIENDS, {"user": user, "after": after or "", "limit": limit}
                    )
                ]
                for user in user_ids
            }

        return await self.read(query)

    async def friend_counts(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        def query(connection: sqlite3.Connection) -> dict[str, int]:
            counted: list[tuple[str, int]] = connection.execute(FRIEND_COUNTS, (json_list(user_ids),)).fetchall()
            return dict.fromkeys(user_ids, 0) | dict(counted)

        return await self.read(query)

    async def standing(self, user_id: str) -> Sequence[Pair]:
        def query(connection: sqlite3.Connection) -> list[Pair]:
            return [Pair.of(user_id, friend) for (friend,) in connection.execute(STANDING, (user_id,))]

        return await self.read(query)

    def as_of(self, then: AsOf | None) -> FriendQuestions:
        return self if then is None else SqlitePastFriends(self.read, then)

    # What the machinery asks for

    def load_documents(self, connection: sqlite3.Connection, streams: Sequence[str]) -> Mapping[str, State[FriendsDoc]]:
        return {
            **_load_users(connection, [s for s in streams if s.startswith(USER_STREAM_PREFIX)]),
            **_load_friendships(connection, [s for s in streams if s.startswith(STREAM_PREFIX)]),
        }

    def rows_of(self, change: Change[FriendsDoc]) -> Rows[Sequence[object]]:
        last = change.states[-1]
        doc = last.doc
        if isinstance(doc, UserDoc):
            deletion = (last.time_us, last.offset) if doc.deleted else (None, None)
            yield "users", (doc.id, not doc.deleted, doc.created_us, doc.created_offset, *deletion, *_place(last))
            return
        yield "friendships", (doc.id, doc.ended, doc.since_us, doc.since_offset, *_place(last))
        sides = (doc.pair.low, doc.pair.high), (doc.pair.high, doc.pair.low)
        if not self.filling:
            for side in sides:
                if doc.ended:
                    yield "unfriended", side
                else:
                    yield "friends", (*side, doc.since_us, last.partition, doc.since_offset)
        for s in change.states:
            if isinstance(s.doc, FriendshipDoc) and s.doc.ended:
                until = (s.doc.since_us, s.time_us, s.partition, s.doc.since_offset, s.offset, s.version - 1)
                for side in sides:
                    yield "past_friends", (*side, *until)


def _load_users(connection: sqlite3.Connection, streams: Sequence[str]) -> dict[str, State[FriendsDoc]]:
    rows = connection.execute(
        "SELECT id, created_us, created_offset, NOT shown, version, time_us, log, partition, offset FROM users"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (json_list([stream.removeprefix(USER_STREAM_PREFIX) for stream in streams]),),
    )
    return {
        USER_STREAM_PREFIX + user: State(
            version, time_us, log, partition, offset, UserDoc(user, created_us, created_offset, bool(deleted))
        )
        for user, created_us, created_offset, deleted, version, time_us, log, partition, offset in rows
    }


def _load_friendships(connection: sqlite3.Connection, streams: Sequence[str]) -> dict[str, State[FriendsDoc]]:
    rows = connection.execute(
        "SELECT id, since_us, since_offset, ended, version, time_us, log, partition, offset FROM friendships"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (json_list([id_of(stream) for stream in streams]),),
    )
    states: dict[str, State[FriendsDoc]] = {}
    for friendship, since_us, since_offset, ended, version, time_us, log, partition, offset in rows:
        pair = Pair(*friendship.split(BETWEEN))
        doc = FriendshipDoc(pair, version, since_us, since_offset, bool(ended))
        states[pair.stream] = State(version, time_us, log, partition, offset, doc)
    return states


def _place(state: State[FriendsDoc]) -> tuple[int, int, str, int, int]:
    return state.version, state.time_us, state.log, state.partition, state.offset
