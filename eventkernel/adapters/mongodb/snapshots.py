"""Snapshots of streams in a collection of a database, which may be dropped at any time.

{_id: {log: "books.3f9a", stream: "book-1"}, form: 1, version: 4000, command: "…", time: 17…, data: …}
"""

from __future__ import annotations

from typing import Final

from pymongo.errors import DuplicateKeyError

from eventkernel.adapters.mongodb.connection import Collection, Database, Document, translated
from eventkernel.writing.snapshots import Mark, Snapshot

_SNAPSHOTS: Final = "snapshots"


class MongoSnapshotStore:
    """The port `SnapshotStore`."""

    def __init__(self, database: Database) -> None:
        self._snapshots: Collection = database[_SNAPSHOTS]

    async def load(self, log: str, stream: str) -> Snapshot | None:
        async with translated("reading a snapshot"):
            found: Document | None = await self._snapshots.find_one({"_id": {"log": log, "stream": stream}})
        if found is None:
            return None
        return Snapshot(found["form"], Mark(found["version"], found["command"], found["time"]), bytes(found["data"]))

    async def save(self, log: str, stream: str, snapshot: Snapshot) -> None:
        mark = snapshot.mark
        older = {"$or": [{"form": {"$ne": snapshot.form}}, {"version": {"$lt": mark.version}}]}
        what = {
            "form": snapshot.form,
            "version": mark.version,
            "command": mark.command_id,
            "time": mark.time_us,
            "data": snapshot.data,
        }
        async with translated("storing a snapshot"):
            try:
                query = {"_id": {"log": log, "stream": stream}, **older}
                await self._snapshots.update_one(query, {"$set": what}, upsert=True)
            except DuplicateKeyError:
                return  # the one that is there is further on
