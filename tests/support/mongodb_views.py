"""Views in MongoDB for tests: each in a database of its own, which is dropped after the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, get_args

import pytest
from pymongo.errors import AutoReconnect

from eventkernel.adapters.mongodb.build import Advance, Keep, MongoViewBuild
from eventkernel.adapters.mongodb.connection import Database, Document, Driver, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, State
from eventkernel.testing.view_contract import LOG
from tests.support.doors import Door

BuildT = TypeVar("BuildT", bound=MongoViewBuild[Any])
Meanwhile: TypeAlias = Callable[[], Awaitable[object]]

DRIVERS = get_args(Driver)
WRITES = ("bulk_write", "find_one_and_update", "insert_one", "update_one", "update_many", "delete_one")


@asynccontextmanager
async def database_of(url: str, name: str, driver: Driver = "pymongo") -> AsyncGenerator[Database]:
    """An empty database, dropped in the end."""
    async with MongoConnection(MongoSettings(url, driver=driver)) as connection:
        database = connection.database(name)
        yield database
        await database.client.drop_database(name)


class MongoDoors(MongoViewBuild[Door]):
    """Every state of every door, and the latest one."""

    collections: ClassVar = {"doors": [], "past": []}
    writes: ClassVar = {"past": Keep("past"), "now": Advance("doors")}

    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[Door]]:
        return {document["_id"]: _state(document) for document in await self.by_ids("doors", streams)}

    def rows_of(self, change: Change[Door]) -> Rows[Document]:
        *past, last = change.history
        for state in past:
            yield "past", {**_document(state), "_id": f"{change.stream}/{state.version}"}
        yield "now", {**_document(last), "_id": change.stream}

    async def doors(self) -> dict[str, tuple[int, Door]]:
        """Every door's version and document."""
        found = [(document["_id"], _state(document)) for document in await self.ask("doors", [])]
        return {stream: (state.version, state.doc) for stream, state in found}

    async def history(self, stream: str) -> list[int]:
        """The versions of one door that are kept."""
        past = await self.ask("past", [{"$match": {"_id": {"$gt": f"{stream}/", "$lt": f"{stream}0"}}}])
        now = await self.by_ids("doors", [stream])
        return sorted(document["version"] for document in (*past, *now))


def _document(state: State[Door]) -> Document:
    name, colours, opened = state.doc
    return {
        "version": state.version,
        "time_us": state.time_us,
        "log": state.log,
        "partition": state.partition,
        "offset": state.offset,
        "name": name,
        "colours": list(colours),
        "opened": opened,
    }


def _state(document: Document) -> State[Door]:
    return State(
        version=document["version"],
        time_us=document["time_us"],
        log=document["log"],
        partition=document["partition"],
        offset=document["offset"],
        doc=(document["name"], tuple(document["colours"]), document["opened"]),
    )


class Writes:
    """What is written to MongoDB. It can be stopped before or after any write (the connection is lost), or held up
    there while something else happens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
        self.done = 0
        self.stopped = False
        self._left: int | None = None
        self._after = False
        self._meanwhile: Meanwhile | None = None
        self._driver = type(database["any"])
        for name in WRITES:
            monkeypatch.setattr(self._driver, name, self._stoppable(name))

    def stop_at(self, number: int, *, after: bool) -> None:
        """The write of this number from now on (0 is the next) is lost: its answer only, or all of it. So are all
        that come later."""
        self._left, self._after, self._meanwhile = number, after, None

    def hold_at(self, number: int, meanwhile: Meanwhile, *, after: bool) -> None:
        """Before the write of this number from now on, or after it, something else happens."""
        self._left, self._after, self._meanwhile = number, after, meanwhile

    @property
    def held(self) -> bool:
        """Whether what was to happen meanwhile has begun: there were so many writes."""
        return self._left is None

    def resume(self) -> None:
        self._left, self.stopped = None, False

    def _stoppable(self, name: str) -> Any:
        write = getattr(self._driver, name)

        async def stoppable(collection: Any, *args: Any, **kwargs: Any) -> Any:
            if self.stopped:
                raise AutoReconnect("there is no connection")
            if _is_a_watch():
                return await write(collection, *args, **kwargs)
            here, meanwhile = self._left == 0, self._meanwhile
            if self._left is not None:
                self._left = None if here else self._left - 1
            if here and not self._after:
                await self._happens(meanwhile)
            done = await write(collection, *args, **kwargs)
            self.done += 1
            if here and self._after:
                await self._happens(meanwhile)
            return done

        return stoppable

    async def _happens(self, meanwhile: Meanwhile | None) -> None:
        if meanwhile is None:
            self.stopped = True
            raise AutoReconnect("the connection was lost")
        await meanwhile()


def _is_a_watch() -> bool:
    """A view's watch says now and then that its builds are in use, whatever the test does."""
    task = asyncio.current_task()
    return task is not None and task.get_name().startswith("watch ")


class MongoUnderTest(Generic[BuildT]):
    """A view as the kernel's contract of views wants to have one; derived classes say which documents it has."""

    def __init__(self, database: Database, build_type: type[BuildT], shape: int, writes: Writes) -> None:
        self._database = database
        self._build_type = build_type
        self._shape = shape
        self._writes = writes
        self._view: MongoView[BuildT] | None = None

    async def open(self) -> MongoView[BuildT]:
        await self.aclose()
        self._view = await MongoView.open(self._database, "doors", self._build_type, shape=self._shape, logs=[LOG])
        return self._view

    async def aclose(self) -> None:
        if self._view is not None:
            await self._view.aclose()

    async def stop_writes(self, after: int = 0) -> None:
        self._writes.stop_at(after, after=False)

    async def resume_writes(self) -> None:
        self._writes.resume()
