"""How far a reader of logs is and which records wait, as documents: of a view's builds, and of readers without a view.

A checkpoint is a field of the reader's own document, an entry per partition, so that one update moves all of it:

    checkpoint: {"books%2e3f9a/0": {log: "books.3f9a", partition: 0, next_offset: 812, generation: 1, landmark: "…"}, …}

A parked record is a document of its own, with the envelope's attributes as fields of `record`.
"""

from __future__ import annotations

from collections.abc import Collection as Many
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec
from pymongo import DeleteMany, IndexModel, InsertOne, ReplaceOne, UpdateOne

from eventkernel.adapters.mongodb.connection import Collection, Document, aggregated, translated
from eventkernel.events import Partition, Position, Record
from eventkernel.reading.views import ParkedRecord, Waiting
from eventkernel.writing.store import Checkpoint, Landmark

_ASKED_AT_ONCE: Final = 50
"""Questions in one aggregation, which may have some hundreds of stages."""

BY_STREAM: Final = IndexModel([("reader", 1), ("stream", 1), ("version", 1)], name="stream")
WAITING: Final = IndexModel([("reader", 1), ("skipped", 1), ("stream", 1)], name="waiting")
"""What waits is counted in it alone. Builds of earlier releases are without it, and count by the documents."""

T = TypeVar("T")
Write: TypeAlias = InsertOne[Document] | UpdateOne | ReplaceOne[Document] | DeleteMany

AT_ONCE: Final = 250
"""Documents in one message: many, so that the way there and back hardly counts, and few enough to be done within the
time of one operation by a slow server, too."""


def checkpoint_update(checkpoint: Checkpoint, field: str = "checkpoint") -> dict[str, Document]:
    """The operators that move a field of a reader's document to a checkpoint: never back, in any partition."""
    furthest: Document = {}
    names: Document = {}
    generations = {(log, partition): number for log, partition, number in checkpoint.generations}
    for (log, partition), offset in checkpoint.position.offsets.items():
        entry = f"{field}.{_entry(log, partition)}"
        furthest[f"{entry}.next_offset"] = offset
        if (landmark := checkpoint.landmarks.get(Partition(log, partition))) is not None:
            furthest[f"{entry}.landmark"] = landmark.to_text()
        furthest[f"{entry}.generation"] = generations.get((log, partition), 0)
        names[f"{entry}.log"] = log
        names[f"{entry}.partition"] = partition
    return {"$max": furthest, "$set": names} if furthest else {}


def _entry(log: str, partition: int) -> str:
    # A dot would be a path, and a dollar an operator.
    return quote(f"{log}/{partition}", safe="/").replace(".", "%2e")


def checkpoint_without(document: Mapping[str, Any], log: str) -> Document:
    """The operator that takes a log out of a reader's document; empty where it has none of it."""
    entries: Mapping[str, Mapping[str, Any]] = document.get("checkpoint", {})
    gone: Document = {f"checkpoint.{name}": "" for name, entry in entries.items() if entry["log"] == log}
    return {"$unset": gone} if gone else {}


def checkpoint_of(document: Mapping[str, Any], field: str = "checkpoint") -> Checkpoint:
    entries: Iterable[Mapping[str, Any]] = document.get(field, {}).values()
    offsets: dict[Partition, int] = {}
    generations: list[tuple[str, int, int]] = []
    landmarks: dict[Partition, Landmark] = {}
    for entry in entries:
        partition = Partition(entry["log"], entry["partition"])
        offsets[partition] = entry["next_offset"]
        generations.append((partition.log, partition.number, entry["generation"]))
        if "landmark" in entry:
            landmarks[partition] = Landmark.from_text(entry["landmark"])
    return Checkpoint(Position(offsets), tuple(generations), landmarks)


class ParkedRecords:
    """One reader's parked records in a collection, which other readers may share."""

    def __init__(self, collection: Collection, reader: str) -> None:
        self._collection = collection
        self._reader = reader

    async def all(self, streams: Many[str] | None = None) -> list[ParkedRecord]:
        """Those of these streams (of every one without it), grouped by stream, by version within one."""
        found: list[Document] = []
        if streams is None:
            found = await self._find({"reader": self._reader})
        else:
            for some in chunks(list(streams)):
                found += await self._find({"reader": self._reader, "stream": {"$in": some}})
        return [_parked_record(entry) for entry in sorted(found, key=lambda entry: (entry["stream"], entry["version"]))]

    async def first_of(self, streams: Many[str]) -> list[ParkedRecord]:
        """As `ViewBuild.first_parked`. The index has a stream's in order, and each question ends with the first that it
        meets: nothing behind that is looked at, however much is parked."""
        firsts = await self._firsts([({"stream": stream, "skipped": False}, 1) for stream in streams])
        behind = {first.record.stream: first.record.version for first in firsts}
        earlier: list[tuple[Document, int]] = []
        for stream in streams:  # whatever was skipped stands before what waits
            before: Document = {"version": {"$lt": behind[stream]}} if stream in behind else {}
            earlier.append(({"stream": stream, "skipped": True, **before}, -1))
        marks = await self._firsts(earlier)
        return sorted([*marks, *firsts], key=lambda entry: (entry.record.stream, not entry.skipped))

    async def _firsts(self, questions: Sequence[tuple[Document, int]]) -> list[ParkedRecord]:
        """The first record of each question, in the order that it gives; many questions in a message."""
        found: list[Document] = []
        for start in range(0, len(questions), _ASKED_AT_ONCE):
            asked: list[list[Document]] = [
                [{"$match": {"reader": self._reader, **which}}, {"$sort": {"version": direction}}, {"$limit": 1}]
                for which, direction in questions[start : start + _ASKED_AT_ONCE]
            ]
            others: list[Document] = [{"$unionWith": {"coll": self._collection.name, "pipeline": p}} for p in asked[1:]]
            pipeline = [*asked[0], *others]
            async with translated("reading parked records"):
                found += await aggregated(self._collection, pipeline)
        return [_parked_record(entry) for entry in found]

    async def waiting_after(self, stream: str, most: int) -> list[ParkedRecord]:
        """As `CheckpointStore.waiting_after`."""
        query: Document = {"reader": self._reader, "stream": {"$gt": stream}, "skipped": False}
        in_order = [("stream", 1), ("version", 1)]
        async with translated("reading parked records"):
            found = await self._collection.find(query, sort=in_order).limit(most).to_list(None)
        return [_parked_record(entry) for entry in found]

    async def count(self) -> Waiting:
        """As `CheckpointStore.waiting`."""
        pipeline: list[Document] = [
            {"$match": {"reader": self._reader, "skipped": False}},
            {"$group": {"_id": "$stream", "records": {"$sum": 1}}},
            {"$group": {"_id": None, "streams": {"$sum": 1}, "records": {"$sum": "$records"}}},
        ]
        async with translated("counting parked records"):
            found = await aggregated(self._collection, pipeline)
        return Waiting(found[0]["streams"], found[0]["records"]) if found else Waiting()

    async def any(self) -> bool:
        """Whether some stream waits."""
        async with translated("looking for parked records"):
            found = await self._collection.find_one({"reader": self._reader, "skipped": False}, {"_id": True})
        return found is not None

    async def waiting(self) -> dict[str, Partition]:
        """The streams that wait, and where: without their records."""
        where: Document = {"log": {"$first": "$record.log"}, "partition": {"$first": "$record.partition"}}
        pipeline: list[Document] = [
            {"$match": {"reader": self._reader, "skipped": False}},
            {"$group": {"_id": "$stream", **where}},
        ]
        async with translated("reading parked streams"):
            found = await aggregated(self._collection, pipeline)
        return {entry["_id"]: Partition(entry["log"], entry["partition"]) for entry in found}

    async def forget(self, log: str) -> None:
        """Forget those of one log."""
        async with translated("forgetting parked records"):
            await self._collection.delete_many({"reader": self._reader, "record.log": log})

    async def save(self, parked: Sequence[ParkedRecord], released: Mapping[str, int]) -> None:
        """Park, and then forget what is released; done again, or half of it before, it comes to the same."""
        operations: list[Write] = []
        staying: dict[str, list[int]] = {}
        for entry in parked:
            record = entry.record
            operations.append(self._park(entry, anew=record.version <= released.get(record.stream, 0)))
            staying.setdefault(record.stream, []).append(record.version)
        for stream, version in released.items():
            gone = {"$lte": version, "$nin": staying.get(stream, [])}
            operations.append(DeleteMany({"reader": self._reader, "stream": stream, "version": gone}))
        for some in chunks(operations):
            await write(self._collection, some, ordered=True)

    def _park(self, entry: ParkedRecord, *, anew: bool) -> Write:
        record = entry.record
        key = {"_id": f"{self._reader}/{record.stream}/{record.version}"}
        what: Document = {
            "reader": self._reader,
            "stream": record.stream,
            "version": record.version,
            "record": msgspec.to_builtins(record, builtin_types=(bytes,)),
        }
        if anew:
            return ReplaceOne(key, {**what, "reason": entry.reason, "skipped": entry.skipped}, upsert=True)
        # What is parked already keeps its reason unless there is a new one, and stays skipped.
        update: dict[str, Document] = {"$set": what, "$max": {"skipped": entry.skipped}}
        if entry.reason is None:
            update["$setOnInsert"] = {"reason": None}
        else:
            what["reason"] = entry.reason
        return UpdateOne(key, update, upsert=True)

    async def _find(self, which: Document) -> list[Document]:
        async with translated("reading parked records"):
            return await self._collection.find(which).to_list(None)


def _parked_record(entry: Mapping[str, Any]) -> ParkedRecord:
    return ParkedRecord(msgspec.convert(entry["record"], Record), entry["reason"], entry["skipped"])


async def write(collection: Collection, operations: Sequence[Write], *, ordered: bool = False) -> None:
    """All of these in one message. Documents that were there already are a `BulkWriteError`; the others are written."""
    async with translated(f"writing {collection.name}"):
        await collection.bulk_write(operations, ordered=ordered)


def chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """The items, in pieces that go into a message."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
