"""The builds of one view, as the database knows them: a collection with one document per build.

    books.builds: {_id: "b-3f9a2c41", identity: "{…}", live_number: 7, writing: {…}, checkpoint: {…}, parking: 0,
                   alive_at: …}

All that several processes have to agree on is a field of such a document, and changes in one update of it: which build
is live, how far it is, whether it is still there.

*Live* is the build with the highest `live_number` of those with the same identity (the shape of the documents, their
indexes, the logs they were filled from). A unique index lets one process only give a number, so switching is a
compare-and-set. While a new release with another shape fills its build, and after it has switched, processes of the
release before go on with theirs.

A build's document is made before its collections and removed before they are. So collections without one are rubbish:
what a removal has left behind that broke off, or what a late write has brought back after it.
"""

from __future__ import annotations

import json
from collections.abc import Collection as Many
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from eventkernel.adapters.mongodb.connection import Collection, Database, missing_indexes, translated
from eventkernel.adapters.mongodb.progress import checkpoint_of, checkpoint_update
from eventkernel.errors import InvalidInput, Unavailable
from eventkernel.writing.store import Checkpoint

_DEAD_AFTER: Final = timedelta(hours=1)
"""A build that nobody has said to be in use for so long was left behind by a process that has died."""

_PREFIX: Final = "b-"

_NUMBERS: Final = IndexModel(
    [("identity", 1), ("live_number", 1)],
    name="live",
    unique=True,
    partialFilterExpression={"live_number": {"$exists": True}},
)


@dataclass(frozen=True, slots=True)
class BuildState:
    """What a build's document says."""

    name: str
    identity: str
    live_number: int
    """0: it has never been live."""
    retired: bool
    """Another one of its identity was made live after it."""
    checkpoint: Checkpoint
    writing: Checkpoint
    """How far documents may be that are written before their checkpoint, and the last record that they come from."""
    parking: int
    """How many saves have parked or released records: while it is the same, the same streams wait."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> BuildState:
        return cls(
            name=document["_id"],
            identity=document["identity"],
            live_number=document.get("live_number", 0),
            retired="retired_at" in document,
            checkpoint=checkpoint_of(document),
            writing=checkpoint_of(document, "writing"),
            parking=document.get("parking", 0),
        )


def live_build(states: Iterable[BuildState], identity: str) -> BuildState | None:
    """The live one among these; None: there is none of that identity."""
    found = [state for state in states if state.identity == identity and state.live_number]
    return max(found, key=lambda state: state.live_number, default=None)


def furthest_live_build(states: Sequence[BuildState], logs: Iterable[str]) -> BuildState | None:
    """Of the live builds of all identities that were filled from these logs the one that is furthest; None: there is
    none."""
    expected = sorted(logs)
    identities = {state.identity for state in states if json.loads(state.identity)["logs"] == expected}
    found = [live for identity in identities if (live := live_build(states, identity)) is not None]
    return max(found, key=lambda state: sum(state.checkpoint.position.values()), default=None)


class BuildList:
    """The documents of one view's builds. Every method raises `Unavailable` where the database does not answer."""

    def __init__(self, database: Database, view: str) -> None:
        self._database = database
        self._view = view
        self._documents: Collection = database[f"{view}.builds"]

    def collection_name(self, build: str, name: str) -> str:
        return f"{self._view}.{build}.{name}"

    async def prepare(self) -> None:
        async with translated(f"opening the view {self._view}"):
            await self._documents.create_indexes([_NUMBERS])

    async def flaws(self) -> Sequence[str]:
        """What is missing of the list's own indexes."""
        async with translated(f"looking at the builds of the view {self._view}"):
            return await missing_indexes(self._documents, [_NUMBERS])

    async def read(self) -> list[BuildState]:
        async with translated(f"reading the builds of the view {self._view}"):
            return [BuildState.of(document) for document in await self._documents.find({}).to_list(None)]

    async def add(self, build: str, identity: str) -> BuildState:
        """A document for a build that is about to be made."""
        async with translated(f"making a build of the view {self._view}"):
            new = {"$setOnInsert": {"identity": identity}, "$currentDate": {"alive_at": True}}
            await self._documents.update_one({"_id": build}, new, upsert=True)
        return BuildState(build, identity, 0, retired=False, checkpoint=Checkpoint(), writing=Checkpoint(), parking=0)

    async def announce(self, build: str, checkpoint: Checkpoint) -> bool:
        """Say that documents up to this checkpoint are about to be written; False: the build is retired, or is gone."""
        update = checkpoint_update(checkpoint, "writing")
        update["$currentDate"] = {"alive_at": True}  # of a parked stream that is tried again no position is known
        async with translated(f"writing into the view {self._view}"):
            done = await self._documents.update_one({"_id": build, "retired_at": {"$exists": False}}, update)
        return bool(done.matched_count)

    async def advance(self, build: str, checkpoint: Checkpoint, *, parking: bool) -> BuildState | None:
        """Move the checkpoint of a build that is not retired; None: it is, or is gone."""
        update = checkpoint_update(checkpoint)
        update["$currentDate"] = {"alive_at": True}
        if parking:
            update["$inc"] = {"parking": 1}
        async with translated(f"moving the checkpoint of the view {self._view}"):
            document = await self._documents.find_one_and_update(
                {"_id": build, "retired_at": {"$exists": False}}, update, return_document=ReturnDocument.AFTER
            )
        return BuildState.of(document) if document else None

    async def make_live(self, build: str, before: BuildState | None) -> int:
        """Give a build the number after that of `before`, which was live when it was begun; gives the number.

        Raises:
            Unavailable: another one has got that number meanwhile.
            InvalidInput: the build is gone, or retired.
        """
        number = 1 if before is None else before.live_number + 1
        async with translated(f"switching the view {self._view}"):
            try:
                update = {"$set": {"live_number": number}, "$currentDate": {"alive_at": True}}
                done = await self._documents.update_one({"_id": build, "retired_at": {"$exists": False}}, update)
            except DuplicateKeyError:
                raise Unavailable(
                    f"the view {self._view}: another build went live while {build} was being filled"
                ) from None
        if not done.matched_count:
            raise InvalidInput(f"the view {self._view} has no build {build!r}")
        if before is not None:
            # Saves of other processes, which do not know of the switch yet, find it out here. Where this process dies
            # before, they learn it from the numbers, a little later.
            async with translated(f"switching the view {self._view}"):
                await self._documents.update_one({"_id": before.name}, {"$currentDate": {"retired_at": True}})
        return number

    async def beat(self, builds: Many[str]) -> None:
        """Say that these builds are in use."""
        async with translated(f"keeping the builds of the view {self._view}"):
            await self._documents.update_many({"_id": {"$in": list(builds)}}, {"$currentDate": {"alive_at": True}})

    async def remove(self, build: str, live_number: int) -> bool:
        """Remove a build that has this number (0: none), document and collections; False: it has another one."""
        number: Any = live_number or {"$exists": False}
        async with translated(f"dropping a build of the view {self._view}"):
            done = await self._documents.delete_one({"_id": build, "live_number": number})
        if not done.deleted_count and any(state.name == build for state in await self.read()):
            return False
        await self.sweep(build)
        return True

    async def sweep(self, build: str) -> None:
        """Drop whatever collections there are of a build without a document."""
        for name in await self._collections(f"{self._view}.{build}."):
            async with translated(f"dropping a build of the view {self._view}"):
                await self._database.drop_collection(name)

    async def tidy(self, identity: str) -> None:
        """Remove what processes that died have left: builds that are not in use, and collections without a build."""
        # In this order: collections that are there have had their document before.
        collections = await self._collections(f"{self._view}.{_PREFIX}")
        async with translated(f"opening the view {self._view}"):
            hello = await self._database.command("hello")
            dead_since: datetime = hello["localTime"] - _DEAD_AFTER  # the server's clock has set `alive_at`, too
            unused = await self._documents.find({"alive_at": {"$lt": dead_since}}).to_list(None)
        states = await self.read()
        live = live_build(states, identity)
        for state in map(BuildState.of, unused):
            if live is None or state.name != live.name:
                await self.remove(state.name, state.live_number)
        known = {state.name for state in states}
        builds = {name.removeprefix(f"{self._view}.").partition(".")[0] for name in collections}
        for build in builds - known:
            await self.sweep(build)

    async def _collections(self, beginning: str) -> list[str]:
        async with translated(f"listing the collections of the view {self._view}"):
            names: list[str] = await self._database.list_collection_names()
        return [name for name in names if name.startswith(beginning)]
