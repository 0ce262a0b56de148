"""Checkpoints of readers without a view of their own (process managers), in two collections of a database.

    processes         {_id: "reminders", checkpoint: {…}}
    processes.parked  a document per record that was set aside

There are no transactions: what is set aside is written before the checkpoint. Where a save breaks off in between, the
records come again, and are found to be set aside already.
"""

from __future__ import annotations

from collections.abc import Collection as Many
from collections.abc import Mapping, Sequence
from typing import Final, Self

from eventkernel.adapters.mongodb.connection import Collection, Database, Document, translated
from eventkernel.adapters.mongodb.progress import (
    BY_STREAM,
    WAITING,
    ParkedRecords,
    checkpoint_of,
    checkpoint_update,
    checkpoint_without,
)
from eventkernel.reading.views import NOTHING_RELEASED, ParkedRecord, Waiting
from eventkernel.writing.store import Checkpoint

_PROCESSES: Final = "processes"


class MongoCheckpointStore:
    """The port `CheckpointStore` of `eventkernel/reacting/checkpoints.py`. Made by `open`."""

    def __init__(self, database: Database) -> None:
        self._readers: Collection = database[_PROCESSES]
        self._parked: Collection = database[f"{_PROCESSES}.parked"]

    @classmethod
    async def open(cls, database: Database) -> Self:
        """Open the collections, which are made where they are missing.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        store = cls(database)
        async with translated("opening the checkpoints"):
            await store._parked.create_indexes([BY_STREAM, WAITING])
        return store

    async def checkpoint(self, reader: str) -> Checkpoint:
        async with translated("reading a checkpoint"):
            document: Document | None = await self._readers.find_one({"_id": reader})
        return checkpoint_of(document or {})

    async def save(
        self,
        reader: str,
        checkpoint: Checkpoint,
        parked: Sequence[ParkedRecord] = (),
        released: Mapping[str, int] = NOTHING_RELEASED,
    ) -> None:
        await ParkedRecords(self._parked, reader).save(parked, released)
        update = checkpoint_update(checkpoint)
        if update:
            async with translated("storing a checkpoint"):
                await self._readers.update_one({"_id": reader}, update, upsert=True)

    async def forget(self, reader: str, log: str) -> None:
        await ParkedRecords(self._parked, reader).forget(log)
        async with translated("forgetting a checkpoint"):
            document: Document | None = await self._readers.find_one({"_id": reader})
            update = checkpoint_without(document or {}, log)
            if update:
                await self._readers.update_one({"_id": reader}, update)

    async def parked(self, reader: str, streams: Many[str] | None = None) -> Sequence[ParkedRecord]:
        return await ParkedRecords(self._parked, reader).all(streams)

    async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
        return await ParkedRecords(self._parked, reader).waiting_after(stream, most)

    async def waiting(self, reader: str) -> Waiting:
        return await ParkedRecords(self._parked, reader).count()

    async def first_parked(self, reader: str, streams: Many[str]) -> Sequence[ParkedRecord]:
        return await ParkedRecords(self._parked, reader).first_of(streams)
