"""Motor's databases and collections, as far as the adapters use them, in front of the simulated server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, cast

from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from eventkernel.adapters.mongodb.connection import Database
from tests.simulation.loop import PROCESS
from tests.simulation.mongo.aggregating import aggregated, projected
from tests.simulation.mongo.matching import Document, value_at
from tests.simulation.mongo.server import DUPLICATE_KEY, Collection, MongoServer

_PATIENCE: Final = 8.0
"""Seconds after which the driver gives an operation up."""


def database_of(server: MongoServer, name: str) -> Database:
    """What the adapters are given in the place of Motor's database."""
    return cast("Database", SimulatedDatabase(server, name))


def _lost() -> Exception:
    return AutoReconnect("the connection was lost")


@dataclass(frozen=True, slots=True)
class Done:
    """What is told of a write."""

    matched_count: int = 0
    modified_count: int = 0
    deleted_count: int = 0
    upserted_id: Any = None


Ordered: TypeAlias = Sequence[tuple[str, int]]


class Cursor:
    """What a query finds: read when it is asked for."""

    def __init__(self, read: Callable[[], Awaitable[list[Document]]], sort: Ordered | None = None) -> None:
        self._read = read
        self._sort = sort

    def sort(self, by: Ordered) -> Cursor:
        return Cursor(self._read, by)

    def limit(self, count: int) -> Cursor:
        async def read() -> list[Document]:
            return await self.to_list(count or None)

        return Cursor(read)

    async def to_list(self, length: int | None = None) -> list[Document]:
        found = await self._read()
        for name, direction in reversed(self._sort or ()):
            found.sort(key=partial(_value_of, name), reverse=direction < 0)
        return found[:length]


def _value_of(name: str, document: Document) -> Any:
    return value_at(document, name)


class SimulatedDatabase:
    def __init__(self, server: MongoServer, name: str) -> None:
        self._server = server
        self.name = name

    @property
    def client(self) -> SimulatedDatabase:
        return self

    def __getitem__(self, name: str) -> SimulatedCollection:
        return SimulatedCollection(self._server, self.name, name)

    async def ask(self, work: Callable[[], Any]) -> Any:
        return await self._server.network.ask(self._server, work, _lost, _PATIENCE)

    async def command(self, name: str) -> Document:
        if name != "hello":
            raise NotImplementedError(f"the simulated MongoDB knows no {name}")
        return cast("Document", await self.ask(lambda: {"localTime": self._server.now()}))

    async def list_collection_names(self) -> list[str]:
        return cast("list[str]", await self.ask(lambda: list(self._server.database(self.name))))

    async def drop_collection(self, name: str) -> None:
        await self.ask(lambda: self._server.database(self.name).pop(name, None))

    async def drop_database(self, name: str) -> None:
        await self.ask(lambda: self._server.databases.pop(name, None))


class SimulatedCollection:
    def __init__(self, server: MongoServer, database: str, name: str, *, linearizable: bool = False) -> None:
        self._server = server
        self._database = database
        self._linearizable = linearizable
        self.name = name

    # Asking

    def find(
        self,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | Sequence[str] | None = None,
        *,
        sort: Ordered | None = None,
        hint: str | None = None,
    ) -> Cursor:
        async def read() -> list[Document]:
            found = cast("list[Document]", await self._read(lambda there: list(there(self.name).find(query))))
            return found if projection is None else [projected(document, wanted) for document in found]

        wanted = projection if isinstance(projection, Mapping) else dict.fromkeys(projection or (), 1)
        return Cursor(read, sort)

    async def find_one(
        self,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | Sequence[str] | None = None,
        *,
        sort: Ordered | None = None,
        hint: str | None = None,
    ) -> Document | None:
        found = await self.find(query, projection, sort=sort, hint=hint).to_list(1)
        return found[0] if found else None

    def with_options(self, *, read_concern: ReadConcern | None = None, **_options: Any) -> SimulatedCollection:
        """Linearizable reads see the newest state or nothing; others, too, but for those of a primary of before."""
        linearizable = read_concern is not None and read_concern.level == "linearizable"
        return SimulatedCollection(self._server, self._database, self.name, linearizable=linearizable)

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], **_options: Any) -> Cursor:
        def found(there: Callable[[str], Collection]) -> list[Document]:
            def others(name: str) -> list[Document]:
                return list(there(name).documents.values())

            return aggregated(others(self.name), pipeline, others)

        async def read() -> list[Document]:
            return cast("list[Document]", await self._read(found))

        return Cursor(read)

    async def index_information(self) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            indexes = {name: index.options for name, index in self._there().indexes.items()}
            told = {name: {**options, "key": list(options["key"].items()), "v": 2} for name, options in indexes.items()}
            return {"_id_": {"key": [("_id", 1)], "v": 2}, **told}

        return cast("dict[str, Any]", await self._ask(read))

    async def count_documents(self, query: Mapping[str, Any]) -> int:
        return len(await self.find(query).to_list(None))

    # Changing

    async def insert_one(self, document: Document) -> None:
        await self._ask(lambda: self._made().insert(document))

    async def insert_many(self, documents: Sequence[Document], *, ordered: bool = True) -> None:
        await self._bulk([partial(_insert, document) for document in documents], ordered=ordered)

    async def update_one(self, query: Mapping[str, Any], update: Mapping[str, Any], *, upsert: bool = False) -> Done:
        return await self._update(query, update, upsert=upsert, many=False)

    async def update_many(self, query: Mapping[str, Any], update: Mapping[str, Any], *, upsert: bool = False) -> Done:
        return await self._update(query, update, upsert=upsert, many=True)

    async def find_one_and_update(
        self, query: Mapping[str, Any], update: Mapping[str, Any], *, return_document: bool, upsert: bool = False
    ) -> Document | None:
        if not return_document:
            raise NotImplementedError("the simulated MongoDB gives the document after the update only")
        found = await self._ask(lambda: self._made().update(query, update, upsert=upsert, many=False))
        return cast("Document", found[0]) if found else None

    async def replace_one(self, query: Mapping[str, Any], document: Document, *, upsert: bool = False) -> Done:
        found = await self._ask(lambda: self._made().replace(query, document, upsert=upsert))
        return Done(matched_count=found, modified_count=found)

    async def delete_one(self, query: Mapping[str, Any]) -> Done:
        return Done(deleted_count=await self._ask(lambda: self._made().delete(query, many=False)))

    async def delete_many(self, query: Mapping[str, Any]) -> Done:
        return Done(deleted_count=await self._ask(lambda: self._made().delete(query, many=True)))

    async def bulk_write(self, operations: Sequence[Any], *, ordered: bool = True) -> Done:
        matched = await self._bulk([partial(_write, operation) for operation in operations], ordered=ordered)
        return Done(matched_count=matched)

    async def create_index(self, keys: str | Sequence[tuple[str, int]], **options: Any) -> None:
        key = {keys: 1} if isinstance(keys, str) else dict(keys)
        name = "_".join(f"{field}_{direction}" for field, direction in key.items())
        await self._ask(lambda: self._made().create_index({"name": name, "key": key, **options}))

    async def create_indexes(self, indexes: Sequence[Any]) -> None:
        for index in indexes:
            options = {**index.document, "key": dict(index.document["key"])}
            await self._ask(partial(self._create_index, options))

    def _create_index(self, options: Mapping[str, Any]) -> None:
        self._made().create_index(options)

    async def drop(self) -> None:
        await self._ask(lambda: self._server.database(self._database).pop(self.name, None))

    async def _update(self, query: Mapping[str, Any], update: Mapping[str, Any], *, upsert: bool, many: bool) -> Done:
        found = await self._ask(lambda: self._made().update(query, update, upsert=upsert, many=many))
        return Done(matched_count=len(found), modified_count=len(found))

    async def _bulk(self, writes: Sequence[Callable[[Collection], int]], *, ordered: bool) -> int:
        """How many documents were matched."""
        failures: list[dict[str, Any]] = []
        matched: list[int] = []

        def one(index: int, write: Callable[[Collection], int]) -> None:
            if failures and ordered:
                return
            try:
                matched.append(write(self._made()))
            except DuplicateKeyError:
                failures.append({"index": index, "code": DUPLICATE_KEY})

        steps = [partial(one, index, write) for index, write in enumerate(writes)]
        if steps:
            await self._server.network.ask_steps(self._server, steps, _lost, _PATIENCE)
        if failures:
            raise BulkWriteError({"writeErrors": failures, "writeConcernErrors": []})
        return sum(matched)

    async def _ask(self, work: Callable[[], Any]) -> Any:
        try:
            return await self._server.network.ask(self._server, work, _lost, _PATIENCE)
        except PyMongoError as error:
            raise type(error)(*error.args, **_code(error)) from None

    async def _read(self, work: Callable[[Callable[[str], Collection]], Any]) -> Any:
        """`work` gets what gives a collection of this database, wherever this process reads."""
        process = PROCESS.get()
        deposed = None if process is None or self._linearizable else self._server.deposed.get(process.name)
        server = self._server if deposed is None else deposed
        return await server.network.ask(server, lambda: work(partial(server.read, self._database)), _lost, _PATIENCE)

    def _there(self) -> Collection:
        return self._server.read(self._database, self.name)

    def _made(self) -> Collection:
        return self._server.collection(self._database, self.name)


def _insert(document: Document, collection: Collection) -> int:
    collection.insert(document)
    return 0


def _write(operation: Any, collection: Collection) -> int:
    return collection.write(operation)


def _code(error: PyMongoError) -> dict[str, Any]:
    """One error for each who is told of it: an exception collects where it was raised."""
    return {"code": error.code} if isinstance(error, DuplicateKeyError) else {}
