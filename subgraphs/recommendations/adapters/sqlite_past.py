"""The graph of then in SQLite: the questions of the view about the past, answered from validity intervals.

Two users were friends then if the friendship that lasts had begun, or if one of the ended ones was valid: never both.
So a step from friend to friend is one through `friends` or one through `past_friends`, and a walk of two steps is four
walks. What a walk looks at is counted before it is walked: a user's rows in both tables, valid then or not.
"""

# The texts are put together from constants of this module and of `SqlAsOf` only.

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eventkernel.adapters.sqlite.as_of import Read, SqlAsOf
from eventkernel.adapters.sqlite.build import json_list
from eventkernel.reading.as_of import AsOf
from subgraphs.recommendations.events import FRIENDS_LOG, USERS_LOG
from subgraphs.recommendations.projection import UserDoc
from subgraphs.recommendations.views import Recommended, Two, checked_friends, refuse_beyond

_NO_LIMIT: Final = -1


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

    def nodes(self) -> str:
        """Parameters `ids`, and `most`, beyond which friendships that have ended are not counted."""
        ended = "SELECT count(*) FROM (SELECT 1 FROM past_friends WHERE user = users.number LIMIT :most)"
        return (
            f"SELECT id, number, friends + ({ended}) FROM users"
            f" WHERE id IN (SELECT value FROM json_each(:ids)) AND {self._there('users')}"
        )

    def steps(self) -> str:
        """Parameters `user`, and `most`, beyond which friendships that have ended are not counted."""
        lasting, ended = (
            " UNION ALL ".join(
                f"SELECT {counted} FROM {table} AS first CROSS JOIN {second} WHERE first.user = :user AND {were}"
                for table, were in self._tables("first")
            )
            for counted, second in (
                ("users.friends AS steps", "users ON users.number = first.friend"),
                ("1", "past_friends AS second ON second.user = first.friend"),
            )
        )
        return (
            f"SELECT (SELECT coalesce(sum(steps), 0) FROM ({lasting})) + (SELECT count(*) FROM ({ended} LIMIT :most))"
        )

    def recommended(self) -> str:
        """Parameters `user` and `limit`."""
        walks = " UNION ALL ".join(
            f"SELECT second.friend AS number FROM {one} AS first CROSS JOIN users AS middle"
            f" ON middle.number = first.friend AND {self._there('middle')}"
            f" CROSS JOIN {other} AS second ON second.user = middle.number AND {were_second}"
            f" WHERE first.user = :user AND {were_first}"
            for one, were_first in self._tables("first")
            for other, were_second in self._tables("second")
        )
        no_friend = "".join(
            f" AND NOT EXISTS (SELECT 1 FROM {table} AS f WHERE f.user = :user AND f.friend = found.number AND {were})"
            for table, were in self._tables("f")
        )
        return (
            f"SELECT users.id, found.mutual FROM (SELECT number, count(*) AS mutual FROM ({walks}) GROUP BY number)"
            f" AS found CROSS JOIN users ON users.number = found.number AND {self._there('users')}"
            f" WHERE found.number <> :user{no_friend} ORDER BY found.mutual DESC, users.id LIMIT :limit"
        )

    def mutual_friends(self) -> str:
        """Parameters `fewer`, `more` and `limit`."""
        return " UNION ALL ".join(
            f"SELECT users.id FROM {first} AS one CROSS JOIN {second} AS other"
            f" ON other.user = :more AND other.friend = one.friend AND {were_other}"
            f" CROSS JOIN users ON users.number = one.friend AND {self._there('users')}"
            f" WHERE one.user = :fewer AND {were_one}"
            for first, were_one in self._tables("one")
            for second, were_other in self._tables("other")
        ) + " ORDER BY 1 LIMIT :limit"  # fmt: skip

    def friends_of(self) -> str:
        """Parameters `user` and `limit`."""
        return " UNION ALL ".join(
            f"SELECT users.id FROM {table} AS f CROSS JOIN users ON users.number = f.friend"
            f" WHERE f.user = (SELECT number FROM users WHERE id = :user) AND {were}"
            for table, were in self._tables("f")
        ) + " LIMIT :limit"  # fmt: skip

    def _tables(self, row: str) -> Sequence[tuple[str, str]]:
        return ("friends", self._friends.begun(row)), ("past_friends", self._friends.valid(row))

    def _there(self, row: str) -> str:
        """The user in this row was created and not deleted."""
        users = self._users
        return f"{users.begun(row, 'created')} AND ({row}.deleted_us IS NULL OR {users.not_ended(row, 'deleted')})"


@dataclass(frozen=True, slots=True)
class _Node:
    number: int
    steps: int


class SqlitePastRecommendations:
    """The port `RecommendationQuestions`, about then."""

    def __init__(self, read: Read, then: AsOf) -> None:
        self._read = read
        self._queries = PastQueries(then)

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        text = self._queries.users()
        asked = {**self._queries.parameters, "ids": json_list(ids)}

        def query(connection: sqlite3.Connection) -> dict[str, UserDoc]:
            rows = connection.execute(text, asked)
            return {user: UserDoc(user, us, offset, bool(deleted)) for user, us, offset, deleted in rows}

        return await self._read(query)

    async def recommended(self, ids: Sequence[str], limit: int, bound: int) -> Mapping[str, Sequence[Recommended]]:
        counting, walking = self._queries.steps(), self._queries.recommended()
        then = {**self._queries.parameters, "most": bound + 1, "limit": limit}

        def query(connection: sqlite3.Connection) -> dict[str, Sequence[Recommended]]:
            nodes = self._nodes(connection, ids, bound)
            refuse_beyond(bound, sum(node.steps for node in nodes.values()))
            steps = 0
            for node in nodes.values():
                steps += int(connection.execute(counting, {**then, "user": node.number}).fetchone()[0])
                refuse_beyond(bound, steps)
            found: dict[str, Sequence[Recommended]] = dict.fromkeys(ids, ())
            for user, node in nodes.items():
                rows = connection.execute(walking, {**then, "user": node.number})
                found[user] = [Recommended(*row) for row in rows]
            return found

        return await self._read(query)

    async def mutual_friends(self, twos: Sequence[Two], limit: int | None, bound: int) -> Mapping[Two, Sequence[str]]:
        walking = self._queries.mutual_friends()
        then = {**self._queries.parameters, "limit": _NO_LIMIT if limit is None else limit}

        def query(connection: sqlite3.Connection) -> dict[Two, Sequence[str]]:
            nodes = self._nodes(connection, list({user for two in twos for user in two}), bound)
            asked = [two for two in twos if two[0] != two[1] and two[0] in nodes and two[1] in nodes]
            refuse_beyond(bound, sum(min(nodes[one].steps, nodes[other].steps) for one, other in asked))
            found: dict[Two, Sequence[str]] = dict.fromkeys(twos, ())
            for two in asked:
                fewer, more = sorted((nodes[two[0]], nodes[two[1]]), key=lambda node: node.steps)
                rows = connection.execute(walking, {**then, "fewer": fewer.number, "more": more.number})
                found[two] = [user for (user,) in rows]
            return found

        return await self._read(query)

    async def friends_of(self, user: str, bound: int) -> Sequence[str]:
        text = self._queries.friends_of()
        asked = {**self._queries.parameters, "user": user, "limit": bound + 1}

        def query(connection: sqlite3.Connection) -> list[str]:
            return [friend for (friend,) in connection.execute(text, asked)]

        return checked_friends(await self._read(query), bound)

    def _nodes(self, connection: sqlite3.Connection, ids: Sequence[str], bound: int) -> dict[str, _Node]:
        """The nodes of those of these users who were there, with how many friendships they have and had."""
        asked = {**self._queries.parameters, "ids": json_list(ids), "most": bound + 1}
        rows = connection.execute(self._queries.nodes(), asked)
        return {user: _Node(number, steps) for user, number, steps in rows}
