"""One build of a view as collections of MongoDB: the machinery around the documents and queries of a subgraph.

A subgraph's adapter derives from `MongoViewBuild`, declares its collections and what writes them, loads documents, and
asks its questions through `ask`:

    class Doors(MongoViewBuild[Door]):
        collections = {"doors": [IndexModel("name", name="name")]}
        writes = {"door": Advance("doors")}

        async def load_documents(self, streams): ...

        def rows_of(self, change):
            yield "door", {"_id": change.stream, …}

        async def open_doors(self) -> list[str]:
            return [door["name"] for door in await self.ask("doors", [{"$match": {"open": True}}])]

**Saving without transactions.** A save has steps, and may break off between any two of them or in the midst of one; a
second process may be saving the same records at the same time, or half an hour later, when it was thought dead. It all
comes to the same because

- what a derived class writes is a function of the records alone, under a key made from them: what lasted until another
  record ended it (`Keep`) stands there once, however often it is written, and the latest state of a stream (`Advance`)
  gives way to later versions only;
- the past is written before the present. As long as the latest state is the one before, the save that broke off will
  be repeated from there. The other way round nobody would know that something of the past is missing;
- parked records come next and the checkpoint last, which moves forward only. A reader that reads the checkpoint first
  and then the documents sees at least what it promises. A query about the past reads the present before the past, so
  that it misses nothing that moves over in between; what it meets twice has one version and counts once.

**Builds that are gone.** MongoDB makes a collection that is written to, without its indexes, if there is none. So a
save that comes after the build was dropped brings collections back; it finds out at the checkpoint, which is in the
document that was removed first, and removes them again.

**Asking.** Checkpoint and switch are polled by the view's one watch, not by each request. A request that began before a
switch stays on its build, which is there for a grace time after it; should this process have been stopped for longer
than that, it looks again before it believes that there is nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection as Many
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Generic, Protocol

from pymongo import IndexModel, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from eventkernel.adapters.mongodb.build_list import BuildList, BuildState
from eventkernel.adapters.mongodb.connection import (
    DUPLICATE_KEY,
    Collection,
    Database,
    Document,
    aggregated,
    missing_indexes,
    translated,
)
from eventkernel.adapters.mongodb.progress import BY_STREAM, WAITING, ParkedRecords, chunks, write
from eventkernel.errors import Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.arrivals import Arrivals
from eventkernel.reading.changes import Rows, StoredVersions, rows_by_write, unseen
from eventkernel.reading.folding import further
from eventkernel.reading.live import build_identity
from eventkernel.reading.views import BuildRetired, Change, Doc, Fold, ParkedRecord, State, Waiting, waiting_streams
from eventkernel.writing.store import Checkpoint

_FORMAT: Final = 1
"""Raised whenever the machinery's own documents change: every build is then filled anew."""

_PARKED: Final = "parked"

_BELIEVED_SECONDS: Final = 20.0
"""So long after a look at the list of builds it is certain that none of them was dropped: a good deal less than the
grace time."""

RELEASED_SECONDS: Final = 1.0
"""After so long streams that are known to wait are looked for again."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Adds documents that never change to a collection; one with the `_id` of a document that is there is that one."""

    collection: str


@dataclass(frozen=True, slots=True)
class Advance:
    """Puts documents in the place of what has the same `_id` and a lower `version`.

    A field that is None is taken away, one that is not named stays.
    """

    collection: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The streams that wait, as they were read at a time, when `parking` saves had parked or released some."""

    parking: int
    read_at: float
    streams: Mapping[str, Partition]


class Watch(Protocol):
    """The view's one watch, which tells its builds what their documents say."""

    @property
    def failure(self) -> Unavailable | None:
        """Why the last look has failed; None: it has not."""
        ...

    @property
    def looked_at(self) -> float:
        """When the latest look that succeeded has begun, by the loop's clock."""
        ...

    async def look(self) -> None:
        """Look now."""
        ...

    def await_progress(self) -> None:
        """Somebody waits from now on: look often."""
        ...

    def progress_awaited(self) -> None:
        """One less waits."""
        ...


class MongoViewBuild(ABC, Generic[Doc]):
    """Made and opened by `MongoView`; derived classes keep this constructor."""

    collections: ClassVar[Mapping[str, Sequence[IndexModel]]]
    """The build's collections, with the indexes that they have beside that of `_id`."""
    fields: ClassVar[str] = ""
    """What else tells the documents of one layout from those of another: a build of another is filled anew."""
    writes: ClassVar[Mapping[str, Keep | Advance]]
    """How documents are written, by name, in this order: first what has come to an end (`Keep`), then what is
    (`Advance`), and last the documents that `load_documents` reads."""

    def __init__(self, database: Database, builds: BuildList, watch: Watch, state: BuildState) -> None:
        self._database = database
        self._builds = builds
        self._watch = watch
        self._name = state.name
        self._arrivals = Arrivals(Position(), state.name)
        self._checkpoint = Checkpoint()
        self._writing = Checkpoint()
        self._live_number = 0
        self._dropped = False
        self._parking = 0
        self._waiting = _Waiting(0, 0.0, {})
        self._parking_seen = 0
        """So many saves had parked or released some when streams were last found to wait."""
        self._known = StoredVersions()
        self._turn = asyncio.Lock()
        self._saving: set[asyncio.Future[None]] = set()
        self._parked = ParkedRecords(database[self.collection_name(_PARKED)], "view")
        self.saw(state)

    # What a derived class brings

    @abstractmethod
    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        """The latest state of each of these streams that is stored, tombstones too. There may be thousands: `by_ids`"""

    @abstractmethod
    def rows_of(self, change: Change[Doc]) -> Rows[Document]:
        """The documents that a stream's new states are written by, each with its `_id` and the name of its entry in
        `writes`. `change.before` is what was stored (or a later state is stored by now)."""

    # What a derived class may use

    def collection_name(self, name: str) -> str:
        """What one of the build's collections is called in the database."""
        return self._builds.collection_name(self._name, name)

    async def ask(self, collection: str, pipeline: Sequence[Document], **options: Any) -> list[Document]:
        """What an aggregation of one of the build's collections gives, in a single read.

        Raises:
            Unavailable: MongoDB does not answer now, or the build was dropped.
        """
        async with translated(f"reading {collection}"):
            documents = await aggregated(self._collection(collection), pipeline, **options)
        if asyncio.get_running_loop().time() - self._watch.looked_at > _BELIEVED_SECONDS:
            await self._watch.look()
        if self._dropped:
            raise Unavailable(f"the build {self._name} is gone")
        return documents

    async def by_ids(self, collection: str, ids: Sequence[str]) -> list[Document]:
        """Those documents of a collection that are there."""
        groups = [self.ask(collection, [{"$match": {"_id": {"$in": some}}}]) for some in chunks(ids)]
        return [document for group in await asyncio.gather(*groups) for document in group]

    async def _write(self, changes: Sequence[Change[Doc]]) -> None:
        fresh = [change for change in changes if change.before is None]
        others = [change for change in changes if change.before is not None]
        new, old = (rows_by_write(self.writes, some, self.rows_of) for some in (fresh, others))
        for name, write_by in self.writes.items():
            if isinstance(write_by, Keep):
                await self._keep(write_by.collection, [*new[name], *old[name]])
            else:
                await self._advance(write_by.collection, new[name], old[name])

    async def _keep(self, collection: str, documents: Sequence[Document]) -> None:
        for some in chunks(documents):
            await self._insert(collection, some)

    async def _advance(self, collection: str, new: Sequence[Document], old: list[Document]) -> None:
        """`old` may have documents of the same `_id` already, `new` may too: it is faster to tell, and nothing else."""
        for some in chunks(new):
            inserts = [{name: value for name, value in document.items() if value is not None} for document in some]
            old += [some[index] for index in await self._insert(collection, inserts)]
        for some in chunks(old):
            await write(self._collection(collection), [_newer(document) for document in some])

    async def _insert(self, collection: str, documents: Sequence[Document]) -> list[int]:
        """Which of these are there already: the others are now."""
        try:
            await write(self._collection(collection), [InsertOne(document) for document in documents])
        except BulkWriteError as error:
            return _duplicates(error)
        return []

    def _collection(self, name: str) -> Collection:
        return self._database[self.collection_name(name)]

    # The port `ViewBuild`

    @property
    def name(self) -> str:
        return self._name

    async def checkpoint(self) -> Checkpoint:
        await self._watch.look()
        return self._checkpoint

    async def shown(self) -> Checkpoint:
        await self._watch.look()
        return further(self._checkpoint, self._writing)

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        async with self._turn:
            states = await self._stored(streams)
            self._known.loaded(streams, states)
            return states

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        return await self._stored(streams)

    async def flaws(self) -> Sequence[str]:
        expected = {**self.collections, _PARKED: [BY_STREAM]}
        found = [await self._builds.flaws()]
        for name, indexes in expected.items():
            async with translated(f"looking at {name}"):
                found.append(await missing_indexes(self._collection(name), indexes))
        await self._watch.look()
        if self._dropped:
            raise BuildRetired(self._name)
        return [flaw for flaws in found for flaw in flaws]

    async def save(self, fold: Fold[Doc]) -> None:
        self._arrivals.check()
        # A caller that gives up waiting does not stop what was begun: it is finished, and others wait for it.
        saving = asyncio.ensure_future(self._save(fold))
        self._saving.add(saving)
        saving.add_done_callback(self._saved)
        await asyncio.shield(saving)

    async def parked(self, streams: Many[str] | None = None) -> Sequence[ParkedRecord]:
        return await self._parked.all(streams)

    async def waiting(self) -> Waiting:
        return await self._parked.count()

    async def first_parked(self, streams: Many[str]) -> Sequence[ParkedRecord]:
        return await self._parked.first_of(streams)

    async def remarks(self) -> Sequence[str]:
        return ()

    async def parked_streams(self, streams: Many[str] | None = None) -> Mapping[str, Partition]:
        if streams is not None:
            return waiting_streams(await self._parked.first_of(streams)) if await self._something_waits() else {}
        # That something was parked is counted together with the checkpoint: who has seen the one knows of the other. A
        # release may have broken off before it was counted.
        known, now = self._waiting, asyncio.get_running_loop().time()
        if known.parking != self._parking or (known.streams and now - known.read_at > RELEASED_SECONDS):
            parking = self._parking
            known = self._waiting = _Waiting(parking, now, await self._parked.waiting())
        return known.streams

    async def _something_waits(self) -> bool:
        """Whether streams wait, or may wait still: what was released may not be counted yet."""
        parking = self._parking
        if self._waiting.parking == parking:
            return bool(self._waiting.streams)
        if self._parking_seen != parking:
            if not await self._parked.any():
                self._waiting = _Waiting(parking, asyncio.get_running_loop().time(), {})
                return False
            self._parking_seen = parking
        return True

    async def reached(self, position: Position, timeout: float) -> bool:
        if self._checkpoint.position.covers(position):
            return await self._arrivals.reached(position, timeout)
        self._watch.await_progress()
        try:
            if await self._arrivals.reached(position, timeout):
                return True
        finally:
            self._watch.progress_awaited()
        if self._watch.failure is not None:
            raise self._watch.failure
        return False

    # Saving

    async def _save(self, fold: Fold[Doc]) -> None:
        async with self._turn:
            self._arrivals.check()
            unsure = self._known.unsure(fold.changes)
            changes = unseen(fold.changes, unsure, await self._stored(unsure) if unsure else {})
            parking = bool(fold.parked or fold.released)
            # What is written now is there before the checkpoint has it, and stays where this save breaks off: from here
            # on others know how far it may be, and by which record the log is known that it came from.
            if (changes or fold.parked) and not await self._builds.announce(self._name, fold.checkpoint):
                await self._leave()
            await self._write(changes)
            if parking:
                await self._parked.save(fold.parked, fold.released)
            state = await self._builds.advance(self._name, fold.checkpoint, parking=parking)
            if state is None:
                await self._leave()
            else:
                self._known.saved(changes)
                self._know_waiting(fold, state.parking)
                self.saw(state)

    def _know_waiting(self, fold: Fold[Doc], parking: int) -> None:
        """Further records of streams that wait change nothing in who waits, where nobody else's save came between. A
        record of another stream may be marked as skipped already: that is read."""
        known = self._waiting
        frees = fold.released or any(entry.skipped for entry in fold.parked)
        if not frees and known.parking == parking - 1 and all(e.record.stream in known.streams for e in fold.parked):
            self._waiting = replace(known, parking=parking)

    async def _stored(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        try:
            return await self.load_documents(streams)
        except Unavailable:
            if self._dropped:
                self._arrivals.check()  # to try it again is no use
            raise

    async def _leave(self) -> None:
        """The build is no longer folded into. What was written just now lies beside what nobody reads any more; where
        it has brought back what was dropped, that is dropped again."""
        await self._watch.look()  # so that the view knows the new one, when it is asked for it
        if all(state.name != self._name for state in await self._builds.read()):
            await self._builds.sweep(self._name)
        self._arrivals.retire()
        self._arrivals.check()

    def _saved(self, saving: asyncio.Future[None]) -> None:
        self._saving.discard(saving)
        if not saving.cancelled():
            saving.exception()  # a caller that has given up will not ask for it

    # For `MongoView`

    @classmethod
    def identity(cls, shape: int, logs: Iterable[str]) -> str:
        """What a build must carry to be one of this class, filled by a projection of this shape from these logs."""
        layout = {name: [index.document for index in indexes] for name, indexes in cls.collections.items()}
        told = {"indexes": json.dumps(layout, default=dict), **({"fields": cls.fields} if cls.fields else {})}
        digests = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in told.items()}
        return build_identity(_FORMAT, shape, logs, **digests)

    async def prepare(self) -> None:
        """Make the collections and their indexes."""
        for name, indexes in {**self.collections, _PARKED: [BY_STREAM, WAITING]}.items():
            async with translated(f"making {name}"):
                if indexes:
                    await self._collection(name).create_indexes(list(indexes))

    def saw(self, state: BuildState) -> None:
        """What the build's document says, or has said before: nothing goes back."""
        self._checkpoint = further(self._checkpoint, state.checkpoint)
        self._writing = further(self._writing, state.writing)
        self._parking = max(self._parking, state.parking)
        self._live_number = max(self._live_number, state.live_number)
        self._arrivals.moved(self._checkpoint.position)
        if state.retired:
            self.retire()

    @property
    def live_number(self) -> int:
        """As far as it is known."""
        return self._live_number

    @property
    def known_position(self) -> Position:
        return self._checkpoint.position

    def retire(self) -> None:
        """Another build is live: saves and waiting callers fail with that, reads go on."""
        self._arrivals.retire()

    def dropped(self) -> None:
        """The build's document is gone."""
        self._dropped = True
        self._arrivals.retire()

    async def finished(self) -> None:
        """Returns when the saves that were begun are over."""
        await asyncio.gather(*self._saving, return_exceptions=True)


def _newer(document: Document) -> UpdateOne:
    """Not an upsert: where the document is gone, so is the build."""
    there = {name: value for name, value in document.items() if value is not None and name != "_id"}
    gone = {name: "" for name, value in document.items() if value is None}
    update = {"$set": there, "$unset": gone} if gone else {"$set": there}
    return UpdateOne({"_id": document["_id"], "version": {"$lt": document["version"]}}, update)


def _duplicates(error: BulkWriteError) -> list[int]:
    """Which inserts met a document that was there; raises the error again if there was anything else to it."""
    details: Mapping[str, Any] = error.details or {}
    failed: Sequence[Mapping[str, Any]] = details.get("writeErrors", ())
    if details.get("writeConcernErrors") or any(failure["code"] != DUPLICATE_KEY for failure in failed):
        raise error
    return [failure["index"] for failure in failed]
