"""The questions of document views in SQLite, about now and about then: one text each, over one table or two.

A document's state of then is the row of `doc` if that had begun, and otherwise the row of `past` that was valid, of
which there is one at most. Every question about then is the two kinds of rows, one after the other or merged in their
order. Both are looked for by key or place; among the states of one document all are looked at.
"""

# The texts are put together from constants of this module and of `SqlAsOf`, and from the names of a declaration's
# indexes, which are checked there.

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeAlias

import msgspec

from eventkernel.adapters.sqlite.as_of import Read, SqlAsOf
from eventkernel.adapters.sqlite.build import json_list
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.documents import Documents, Index, MultiIndex, Placed, Unique, Value, Words, placed, span
from eventkernel.reading.views import Doc
from eventkernel.reading.words import prefix_end

Parameters: TypeAlias = Mapping[str, str | int | bytes]

_ABOVE_ALL_TEXTS: Final = b""
"""In SQLite every text is less than every blob (https://www.sqlite.org/datatype3.html#sort_order)."""


def place_column(index: Index[Doc] | Unique[Doc]) -> str:
    return f"in_{index.name}"


def places_column(index: MultiIndex[Doc]) -> str:
    return f"at_{index.name}"


def words_column(index: Words[Doc]) -> str:
    return f"has_{index.name}"


class Statements:
    """The texts of the questions about a past, or about now. Their parameters are those of the line itself and
    `key` or `keys`, `after`, `low` and `high`, `place`, `from_0` and `to_0`, `beginning_0` …, `limit`."""

    def __init__(self, then: AsOf | None) -> None:
        self._line = None if then is None else SqlAsOf(then)
        self.parameters: Mapping[str, str | int] = {} if self._line is None else self._line.parameters

    def one(self) -> str:
        return self._living("{0}.key = :key")

    def many(self) -> str:
        return self._living("{0}.key IN (SELECT value FROM json_each(:keys))")

    def page_by_key(self, *, descending: bool) -> str:
        behind = "{0}.key < :after" if descending else "{0}.key > :after"
        return self._living(behind) + _in_order(descending=descending)

    def page(self, column: str, *, descending: bool) -> str:
        return self._rows(column, _between(column)) + _in_order(descending=descending)

    def page_of_many(self, index: str, *, descending: bool) -> str:
        return self._standing(index) + _in_order(descending=descending)

    def count_of_many(self, index: str) -> str:
        return f"SELECT count(*) FROM ({self._standing(index)})"

    def _standing(self, index: str) -> str:
        """Places and documents, by the table of places of now and, about then, by that of the past."""
        place = "SELECT standing.place, {0}.doc FROM {1} AS standing CROSS JOIN {0} WHERE {0}.key = standing.key"
        now = place.format("doc", f"place_{index}") + f" AND {_AMONG_PLACES}"
        line = self._line
        if line is None:
            return now
        past = place.format("past", f"past_place_{index}") + f" AND past.version = standing.version AND {_AMONG_PLACES}"
        return f"{now} AND {line.begun('doc')} UNION ALL {past} AND {line.valid('past')}"

    def latest(self, column: str) -> str:
        return self._rows("since_us", f"{{0}}.{column} = :place", "{0}.key") + " ORDER BY 1 DESC, 3 DESC LIMIT 1"

    def count(self, column: str | None) -> str:
        rows = self._living("1") if column is None else self._rows(column, _between(column))
        return f"SELECT count(*) FROM ({rows})"

    def search_by_key(self, column: str, prefixes: int) -> str:
        """One document after the other in order, until there are enough that have words of all these beginnings."""
        return self._living("{0}.key > :after" + _has_words(column, range(prefixes))) + _in_order()

    def search_by_word(self, index: str, column: str, prefixes: int) -> str:
        """All documents that have, or ever had, a word with the first of these beginnings, by the indexes of words;
        then in order."""
        words = " UNION ".join(
            f"SELECT DISTINCT key FROM {table} WHERE {_IN_RANGE} AND key > :after" for table in self._word_tables(index)
        )
        known = 0 if self._line else 1  # what has a word of now is known to have it
        return (
            self._living("{0}.key = found.key" + _has_words(column, range(known, prefixes)), f"({words}) AS found")
            + _in_order()
        )

    def count_words(self, index: str) -> str:
        """How many words have the first beginning, counted up to `limit`."""
        kinds = " UNION ALL ".join(f"SELECT 1 FROM {table} WHERE {_IN_RANGE}" for table in self._word_tables(index))
        return f"SELECT count(*) FROM ({kinds} LIMIT :limit)"

    def _word_tables(self, index: str) -> list[str]:
        return [f"word_{index}"] if self._line is None else [f"word_{index}", f"past_word_{index}"]

    def _living(self, condition: str, before: str = "") -> str:
        return self._rows("key", condition + " AND {0}.deleted = 0", before=before)

    def _rows(self, column: str, condition: str, third: str = "", before: str = "") -> str:
        """A column and the document, of rows of `doc` that had begun, and of rows of `past` that were valid."""
        shown = f"SELECT {{0}}.{column}, {{0}}.doc" + (f", {third}" if third else "")
        source = f" FROM {before + ' CROSS JOIN ' if before else ''}{{0}} WHERE {condition}"
        line = self._line
        if line is None:
            return (shown + source).format("doc")
        now = (shown + source).format("doc") + f" AND {line.begun('doc')}"
        return f"{now} UNION ALL {(shown + source).format('past')} AND {line.valid('past')}"


_AMONG_PLACES: Final = "standing.place > :low AND standing.place < :high"
_IN_RANGE: Final = "word >= :from_0 AND word < :to_0"


def _between(column: str) -> str:
    return f"{{0}}.{column} > :low AND {{0}}.{column} < :high"


def _in_order(*, descending: bool = False) -> str:
    return f" ORDER BY 1{' DESC' if descending else ''} LIMIT :limit"


def _has_words(column: str, numbers: range) -> str:
    return "".join(f" AND instr({{0}}.{column}, :beginning_{number})" for number in numbers)


class SqliteQuestions(Generic[Doc]):
    """The port `DocumentQuestions`."""

    def __init__(self, read: Read, documents: Documents[Doc], then: AsOf | None, many_words: int) -> None:
        """`read` runs a query on the build; so many words of one beginning make it a common one."""
        self._read = read
        self._documents = documents
        self._many_words = many_words
        self._statements = Statements(then)
        self._decode_doc = msgspec.json.Decoder[Doc](documents.doc_type).decode

    async def many(self, keys: Sequence[str]) -> Mapping[str, Doc]:
        if len(keys) == 1:
            found = await self._found(self._statements.one(), {"key": keys[0]})
        else:
            found = await self._found(self._statements.many(), {"keys": json_list(keys)})
        return {one.place: one.doc for one in found}

    async def page(
        self,
        by: Index[Doc] | MultiIndex[Doc] | None = None,
        *,
        where: tuple[Value, ...] = (),
        after: str | None = None,
        limit: int,
        descending: bool = False,
    ) -> Sequence[Placed[Doc]]:
        if by is None:
            behind = (after if after is not None else _ABOVE_ALL_TEXTS) if descending else after or ""
            query = self._statements.page_by_key(descending=descending)
            return await self._found(query, {"after": behind, "limit": limit})
        within = span(where, after, descending=descending)
        if isinstance(by, MultiIndex):
            query = self._statements.page_of_many(self._name(by), descending=descending)
        else:
            query = self._statements.page(self._column(by), descending=descending)
        return await self._found(query, {"low": within.low, "high": within.high, "limit": limit})

    async def one(self, by: Unique[Doc], *values: Value) -> Doc | None:
        found = await self._found(self._statements.latest(self._column(by)), {"place": placed(values)})
        return found[0].doc if found else None

    async def count(self, by: Index[Doc] | MultiIndex[Doc] | None = None, *, where: tuple[Value, ...] = ()) -> int:
        within = span(where, None, descending=False)
        if isinstance(by, MultiIndex):
            query = self._statements.count_of_many(self._name(by))
        else:
            query = self._statements.count(None if by is None else self._column(by))
        parameters = {"low": within.low, "high": within.high, **self._statements.parameters}
        return await self._read(lambda connection: int(connection.execute(query, parameters).fetchone()[0]))

    async def search(
        self, by: Words[Doc], prefixes: Collection[str], *, after: str | None = None, limit: int
    ) -> Sequence[Placed[Doc]]:
        self._documents.check(by)
        ordered = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
        parameters: dict[str, str | int | bytes] = {"after": after or "", "limit": limit, **self._statements.parameters}
        parameters["from_0"], parameters["to_0"] = ordered[0], prefix_end(ordered[0]) or _ABOVE_ALL_TEXTS
        for number, prefix in enumerate(ordered):
            parameters[f"beginning_{number}"] = '"' + prefix  # so words begin in a JSON array

        def found(connection: sqlite3.Connection) -> list[Placed[Doc]]:
            statements, column = self._statements, words_column(by)
            counted = {**parameters, "limit": self._many_words}
            (words,) = connection.execute(statements.count_words(by.name), counted).fetchone()
            if words < self._many_words:
                query = statements.search_by_word(by.name, column, len(ordered))
            else:
                query = statements.search_by_key(column, len(ordered))
            return self._placed(connection, query, parameters)

        return await self._read(found)

    def all_of(self, connection: sqlite3.Connection, by: Index[Doc]) -> Iterator[Placed[Doc]]:
        """Every document of an index, in its order."""
        within = span((), None, descending=False)
        parameters = {"low": within.low, "high": within.high, "limit": -1, **self._statements.parameters}
        for place, doc in connection.execute(self._statements.page(self._column(by), descending=False), parameters):
            yield Placed(place, self._decode_doc(doc))

    async def _found(self, query: str, parameters: Parameters) -> list[Placed[Doc]]:
        return await self._read(
            lambda connection: self._placed(connection, query, {**self._statements.parameters, **parameters})
        )

    def _placed(self, connection: sqlite3.Connection, query: str, parameters: Parameters) -> list[Placed[Doc]]:
        decode = self._decode_doc
        return [Placed(row[0], decode(row[1])) for row in connection.execute(query, parameters).fetchall()]

    def _name(self, index: MultiIndex[Doc]) -> str:
        self._documents.check(index)
        return index.name

    def _column(self, index: Index[Doc] | Unique[Doc]) -> str:
        self._documents.check(index)
        return place_column(index)
