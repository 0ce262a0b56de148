"""The friendships of then in SQLite: the questions of the view about the past, answered from validity intervals.

Two users were friends then if the friendship that lasts had begun, or if one of the ended ones was valid: never both.
So every question is a walk through `friends` and the same walk through `past_friends`, merged in the order of ids.
"""

# The texts are put together from constants of this module and of `SqlAsOf` only.

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from eventkernel.adapters.sqlite.as_of import Read, SqlAsOf
from eventkernel.adapters.sqlite.build import json_list
from eventkernel.reading.as_of import AsOf
from subgraphs.friends.domain import Pair
from subgraphs.friends.events import USERS_LOG
from subgraphs.friends.projection import FriendshipDoc, UserDoc
from subgraphs.friends.views import Friend

FRIENDS_LOG: Final = "friends"
"""The name of the log that friendships come from."""


class PastQueries:
    """The texts of the questions about a past; `parameters` are those of the line itself."""

    def __init__(self, as_of: AsOf) -> None:
        users, friends = SqlAsOf(as_of, USERS_LOG), SqlAsOf(as_of, FRIENDS_LOG)
        self.parameters = {**users.parameters, **friends.parameters}
        self._users = users
        self._friends = friends

    def users(self) -> str:
        """Parameter `ids`."""
        return (
            f"SELECT id, created_us, created_offset, NOT ({self._there('users')}) FROM users"
            f" WHERE id IN (SELECT value FROM json_each(:ids)) AND {self._users.begun('users', 'created')}"
        )

    def friendships(self) -> str:
        """Parameter `pairs`: id, lesser and greater user of each."""
        low, high = "json_extract(asked.value, '$[1]')", "json_extract(asked.value, '$[2]')"
        both = (
            f" JOIN users AS low ON low.id = {low} AND {self._there('low')}"
            f" JOIN users AS high ON high.id = {high} AND {self._there('high')}"
        )
        found = (
            "SELECT json_extract(asked.value, '$[0]'), f.version, f.since_us, f.since_offset"
            " FROM json_each(:pairs) AS asked"
        )
        return (
            f"{found} CROSS JOIN friendships AS f ON f.id = json_extract(asked.value, '$[0]') AND NOT f.ended"
            f" AND {self._friends.begun('f')}{both} UNION ALL"
            f" {found} CROSS JOIN past_friends AS f ON f.user = {low} AND f.friend = {high}"
            f" AND {self._friends.valid('f')}{both}"
        )

    def friends(self) -> str:
        """Parameters `user`, `after`, `limit`."""
        self_there = f"EXISTS (SELECT 1 FROM users AS self WHERE self.id = :user AND {self._there('self')})"
        return " UNION ALL ".join(
            f"SELECT f.friend, f.since_us FROM {table} AS f CROSS JOIN users ON users.id = f.friend"
            f" AND {self._there('users')} WHERE f.user = :user AND f.friend > :after AND {were} AND {self_there}"
            for table, were in self._tables("f")
        ) + " ORDER BY 1 LIMIT :limit"  # fmt: skip

    def friend_counts(self) -> str:
        """Parameter `ids`."""
        counts = " + ".join(
            f"(SELECT count(*) FROM {table} AS f CROSS JOIN users ON users.id = f.friend AND {self._there('users')}"
            f" WHERE f.user = self.id AND {were})"
            for table, were in self._tables("f")
        )
        return (
            f"SELECT self.id, {counts} FROM users AS self"
            f" WHERE self.id IN (SELECT value FROM json_each(:ids)) AND {self._there('self')}"
        )

    def _tables(self, row: str) -> Sequence[tuple[str, str]]:
        return ("friends", self._friends.begun(row)), ("past_friends", self._friends.valid(row))

    def _there(self, row: str) -> str:
        """The user in this row was created and not deleted."""
        users = self._users
        return f"{users.begun(row, 'created')} AND ({row}.deleted_us IS NULL OR {users.not_ended(row, 'deleted')})"


class SqlitePastFriends:
    """The port `FriendQuestions`, about then."""

    def __init__(self, read: Read, then: AsOf) -> None:
        self._read = read
        self._queries = PastQueries(then)

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        rows = await self._rows(self._queries.users(), {"ids": json_list(ids)})
        return {user: UserDoc(user, us, offset, bool(deleted)) for user, us, offset, deleted in rows}

    async def friendships(self, pairs: Sequence[Pair]) -> Mapping[Pair, FriendshipDoc]:
        by_id = {pair.friendship_id: pair for pair in pairs}
        asked = json.dumps([(friendship, pair.low, pair.high) for friendship, pair in by_id.items()])
        rows = await self._rows(self._queries.friendships(), {"pairs": asked})
        return {by_id[friendship]: FriendshipDoc(by_id[friendship], *place) for friendship, *place in rows}

    async def friends(self, user_ids: Sequence[str], after: str | None, limit: int) -> Mapping[str, Sequence[Friend]]:
        text = self._queries.friends()
        asked = {**self._queries.parameters, "after": after or "", "limit": limit}

        def query(connection: sqlite3.Connection) -> dict[str, Sequence[Friend]]:
            return {
                user: [Friend(*row) for row in connection.execute(text, {**asked, "user": user})] for user in user_ids
            }

        return await self._read(query)

    async def friend_counts(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        counted = await self._rows(self._queries.friend_counts(), {"ids": json_list(user_ids)})
        return dict.fromkeys(user_ids, 0) | {user: int(count) for user, count in counted}

    async def _rows(self, text: str, parameters: Mapping[str, str]) -> Sequence[tuple[Any, ...]]:
        asked = {**self._queries.parameters, **parameters}
        return await self._read(lambda connection: connection.execute(text, asked).fetchall())
