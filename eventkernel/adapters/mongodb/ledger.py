"""The ledger of a log: what decides races, repeated commands and claims, where the log itself cannot.

One document is one commit, with its complete records and, once it is on the log, where. A unique index over an array of
keys holds each version of the commit and each claim that it holds; the command id is the document's own id. So one
insert decides everything about a commit, without a transaction.

A third kind of key is a *turn* in the order of a tag (`eventkernel/writing/boundary.py`): behind a certain commit,
which the key names by its time. Documents that are filled from the log have none; nobody gets between them any more.

The documents of one *generation* are in a collection of their own, which no other generation's replicas write to.
Which generation it is stands in another collection, that a back-up leaves out: whoever finds another one there than it
works with, or none, knows that the ledger was exchanged. The documents' collection has a *mark*, one document more: a
collection that was dropped comes back with the next insert, without its indexes, and without its mark. The mark holds
the ledger's checkpoint, how far the log was compared with it; one that goes back tells of an old copy.
"""

from __future__ import annotations

from pymongo.errors import DuplicateKeyError

from eventkernel.adapters.mongodb.connection import (
    Database,
    translated,
)
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_generation import GENERATION, Generation, generation_fields, generation_of


class Ledger:
    """All generations of one log's ledger, in a database that may hold other things beside it."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._generations = database[f"{name}.generation"]

    async def generation(self) -> Generation | None:
        async with translated("asking for the ledger's generation"):
            document = await self._generations.find_one({"_id": GENERATION})
        return None if document is None else generation_of(document)

    async def signs_of_life(self) -> int:
        """Counts on while somebody opens the ledger."""
        async with translated("asking for the ledger's generation"):
            document = await self._generations.find_one({"_id": GENERATION})
        return 0 if document is None else int(document.get("life", 0))

    async def give_sign_of_life(self, generation: Generation) -> None:
        async with translated("writing the ledger's generation"):
            await self._generations.update_one(
                {"_id": GENERATION, "collection": generation.collection}, {"$inc": {"life": 1}}
            )

    async def replace(self, seen: Generation | None, following: Generation) -> bool:
        """Make `following` the generation, unless it is not `seen` any more."""
        fields = generation_fields(following)
        async with translated("writing the ledger's generation"):
            try:
                if seen is None:
                    await self._generations.insert_one({"_id": GENERATION, **fields})
                    return True
                expected = {"_id": GENERATION, **generation_fields(seen)}
                changed = await self._generations.update_one(expected, {"$set": fields})
            except DuplicateKeyError:
                # The driver may have repeated an insert whose answer was lost.
                return await self.generation() == following
        return changed.matched_count == 1 or await self.generation() == following

    def documents(self, generation: Generation) -> Documents:
        return Documents(self._generations, self._database[f"{self._name}.commits.{generation.collection}"], generation)

    async def drop_older(self, than: Generation) -> None:
        """Drop the documents of the generations before this one."""
        prefix = f"{self._name}.commits."
        async with translated("dropping older ledgers"):
            for name in await self._database.list_collection_names():
                number = name.removeprefix(prefix).partition(".")[0]
                if name.startswith(prefix) and number.isdigit() and int(number) < than.number:
                    await self._database[name].drop()
