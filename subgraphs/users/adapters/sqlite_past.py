"""The users of then in SQLite: the questions of the view about the past, answered from validity intervals.

A user's state of then is the row of `user` if that had begun, and otherwise the row of `user_past` that was valid, of
which there is one at most. Every question is the two kinds of rows, one after the other or merged in the order of ids.
Both are looked for by key; among the states of one user all are looked at.
"""

# The texts are put together from constants of this module and of `SqlAsOf` only.

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from eventkernel.adapters.sqlite.as_of import Read, SqlAsOf
from eventkernel.adapters.sqlite.build import json_list
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.words import prefix_end
from subgraphs.users.projection import UserDoc

LOG: Final = "users"
"""The name of the log that the view is built from."""

Parameter = str | int | bytes
Row = tuple[str, int, str, str, str | None, int, int, int, str | None]

_ABOVE_ALL_TEXTS: Final = b""
"""In SQLite every text is less than every blob (https://www.sqlite.org/datatype3.html#sort_order)."""

_DOC: Final = "{0}.id, {0}.version, first_name, last_name, username, created_us, since_us, deleted, skeleton"


class PastQueries:
    """The texts of the questions about a past, with the parameters `ids`, `after`, `limit`, `claim` and those of the
    line itself."""

    def __init__(self, as_of: AsOf) -> None:
        self._as_of = SqlAsOf(as_of, LOG)
        self.parameters = self._as_of.parameters

    def users(self) -> str:
        return self._both("{0}.id IN (SELECT value FROM json_each(:ids))")

    def of_username(self) -> str:
        return self._both("{0}.claim = :claim") + " ORDER BY since_us DESC LIMIT 1"

    def page(self) -> str:
        return self._both("{0}.id > :after") + " ORDER BY 1 LIMIT :limit"

    def search_by_user(self, prefixes: int) -> str:
        """One user after the other in order, until there are enough who had words of all these beginnings."""
        had = "".join(f" AND {_had_word('{0}', number)}" for number in range(prefixes))
        return self._both("{0}.id > :after" + had) + " ORDER BY 1 LIMIT :limit"

    def search_by_word(self, prefixes: int) -> str:
        """All users who ever had a word with the first of these beginnings, by the indexes of words; then in order."""
        words = " UNION ".join(
            f"SELECT id FROM {table} WHERE {_in_range('word', 0)} AND id > :after" for table in ("word", "past_word")
        )
        had = "".join(f" AND {_had_word('{0}', number)}" for number in range(prefixes))
        return self._both("{0}.id = found.id" + had, f"({words}) AS found CROSS JOIN ") + " ORDER BY 1 LIMIT :limit"

    def count_words(self) -> str:
        """How many words, of now and of before, have the first beginning, counted up to `limit`."""
        kinds = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE {_in_range('word', 0)}" for table in ("word", "past_word")
        )
        return f"SELECT count(*) FROM ({kinds} LIMIT :limit)"

    def _both(self, condition: str, before: str = "") -> str:
        """Rows of `user` that had begun, and rows of `user_past` that were valid."""
        line = self._as_of
        now = f"{line.begun('user')} AND user.deleted = 0 AND {condition.format('user')}"
        past = f"{line.valid('user_past')} AND {condition.format('user_past')}"
        return (
            f"SELECT {_DOC.format('user')} FROM {before}user WHERE {now} UNION ALL "
            f"SELECT {_DOC.format('user_past')} FROM {before}user_past WHERE {past}"
        )


class SqlitePastUsers:
    """The port `UserQuestions`, about then."""

    def __init__(self, read: Read, then: AsOf, many: int) -> None:
        """`read` runs a query on the build; `many` words of one beginning make it a common one."""
        self._read = read
        self._many = many
        self._queries = PastQueries(then)

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        found = await self._docs(self._queries.users(), {"ids": json_list(ids)})
        return {doc.id: doc for doc in found}

    async def page(self, after: str | None, limit: int) -> Sequence[UserDoc]:
        return await self._docs(self._queries.page(), {"after": after or "", "limit": limit})

    async def search(self, prefixes: Collection[str], after: str | None, limit: int) -> Sequence[UserDoc]:
        ordered = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
        parameters: dict[str, Parameter] = {"after": after or "", "limit": limit, **self._queries.parameters}
        for number, prefix in enumerate(ordered):
            parameters[f"from_{number}"] = prefix
            parameters[f"to_{number}"] = prefix_end(prefix) or _ABOVE_ALL_TEXTS
            parameters[f"beginning_{number}"] = beginning(prefix)

        def found(connection: sqlite3.Connection) -> Sequence[UserDoc]:
            counted = {**parameters, "limit": self._many}
            (words,) = connection.execute(self._queries.count_words(), counted).fetchone()
            search = self._queries.search_by_word if words < self._many else self._queries.search_by_user
            return _docs(connection, search(len(ordered)), parameters)

        return await self._read(found)

    async def of_username(self, claim: str) -> UserDoc | None:
        return next(iter(await self._docs(self._queries.of_username(), {"claim": claim})), None)

    async def _docs(self, query: str, parameters: Mapping[str, Parameter]) -> Sequence[UserDoc]:
        return await self._read(lambda connection: _docs(connection, query, {**self._queries.parameters, **parameters}))


def beginning(prefix: str) -> str:
    """What stands in the words of a state exactly if one of them begins with this prefix, which is a word, too."""
    return '"' + prefix


def _had_word(row: str, number: int) -> str:
    """The state in this row had a word with this beginning."""
    return f"instr({row}.words, :beginning_{number})"


def _in_range(column: str, number: int) -> str:
    return f"{column} >= :from_{number} AND {column} < :to_{number}"


def _docs(connection: sqlite3.Connection, query: str, parameters: Mapping[str, Parameter]) -> list[UserDoc]:
    rows: list[Row] = connection.execute(query, parameters).fetchall()
    return [UserDoc(*row[:-2], deleted=bool(row[-2]), skeleton=row[-1]) for row in rows]
