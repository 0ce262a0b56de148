"""A ledger while it is being filled from its log: by several processes, each partition from where somebody was with it.

The documents themselves are what a filler knows of the log's beginning, so it holds nothing in memory that grows with
the log. Each partition has a *share*, a document that says how far the partition is in the ledger, and who is at it.
What is before a share's offset is in the ledger, whoever put it there. A commit is therefore judged by the documents
that stand before it in its partition, and the judgement is the same for everybody who comes to it: to take a share
over, or to be at it at the same time, does no harm.

What cannot be decided from one partition waits until all are filled:

- A claim may have passed from a stream of one partition to a stream of another. So a commit whose claim somebody holds
  is *disputed*: it is kept without its claims, and gets those that it still has when nobody is left to give them up.
- A commit behind a gap in its stream is *set aside*, since what is missing may come later on. In the end its stream
  waits, if it still lacks something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pymongo import UpdateMany
from pymongo.errors import DuplicateKeyError

from eventkernel.adapters.mongodb.connection import Collection, Document, translated
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_entry import Entry, claim_key, entry_of, has_events, version_key
from eventkernel.adapters.mongodb.ledger_generation import LedgerChanged

_DISPUTED: Final = "disputed"
_SETTLED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Share:
    """How far one partition of the log is in the ledger."""

    partition: int
    next_offset: int = 0
    generation: int = 0
    """That of the last fence before the offset."""
    done: bool = False
    filler: str = ""
    """Who is at it, or was."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A commit gives up claims that earlier commits of its stream have taken."""

    stream: str
    before_version: int
    claims: Sequence[str]


class LedgerFilling:
    """The documents of a generation that is not open yet."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._log = documents.generation.log

    @property
    def _collection(self) -> Collection:
        return self._documents.collection

    async def begin(self, partitions: int) -> None:
        """Make the collection, with its indexes, and the shares."""
        await self._documents.make()
        shares: list[Document] = [
            {"_id": number, "keys": [f"share {number}"], **_fields(Share(number))} for number in range(partitions)
        ]
        await self._documents.insert_documents(shares)

    # Shares

    async def shares(self) -> Sequence[Share]:
        """
        Raises:
            LedgerChanged: there are none: the ledger was dropped.
        """
        numbers = list(range(len(self._documents.generation.fences)))
        async with translated("reading how far a ledger is filled"):
            found = await self._collection.find({"_id": {"$in": numbers}}).to_list(None)
        if len(found) < len(numbers):
            raise LedgerChanged(f"{self._log}: the ledger was dropped while it was filled")
        return sorted([_share(document) for document in found], key=lambda share: share.partition)

    async def advance(self, seen: Share, share: Share) -> bool:
        """Have another filler at a share, or everything before its new offset in the ledger; False where it is not any
        more as it was seen."""
        async with translated("writing how far a ledger is filled"):
            done = await self._collection.update_one({"_id": seen.partition, **_fields(seen)}, {"$set": _fields(share)})
            if done.matched_count:
                return True
            # The driver may have repeated an update whose answer was lost.
            found = await self._collection.find_one({"_id": seen.partition})
        return found is not None and _share(found) == share

    # What a filler knows of the log before an offset

    async def versions(self, wanted: Iterable[tuple[str, int]], before: int) -> frozenset[tuple[str, int]]:
        """Which of these versions of streams the log has before an offset of the streams' partition."""
        keys = {version_key(stream, version): (stream, version) for stream, version in wanted if version}
        async with translated("looking up versions"):
            query = {"keys": {"$in": list(keys)}}
            found = await self._collection.find(query, {"keys": True, "offset": True}).to_list(None)
        there = [key for document in found if document["offset"] < before for key in document["keys"]]
        return frozenset(keys[key] for key in there if key in keys)

    async def end_of(self, stream: str, before: int | None = None) -> int:
        """A stream's last version on the log, before an offset of its partition."""
        query: Document = {"stream": stream, **has_events(), **({} if before is None else {"offset": {"$lt": before}})}
        async with translated("looking for the end of a stream"):
            found = await self._collection.find_one(query, {"first": True, "last": True}, sort=[("first", -1)])
        return 0 if found is None else int(found["last"])

    # What a filler puts into the ledger

    async def give_up(self, given_up: Sequence[GivenUp]) -> None:
        """Claims that were given up. This comes before the commits that give them up: of whoever has these in the
        ledger, nothing is left to be done."""
        if not given_up:
            return
        async with translated("giving up claims"):
            disputed = await self._collection.find_one({"pending": _DISPUTED}, {"_id": True})
            pulls: list[UpdateMany] = []
            for each in given_up:
                before = {"stream": each.stream, "first": {"$gt": 0, "$lt": each.before_version}}
                keys = {"$in": [claim_key(seal) for seal in each.claims]}
                pulls.append(UpdateMany({"keys": keys, **before}, {"$pull": {"keys": keys}}))
                if disputed is not None:
                    query = {"pending": _DISPUTED, **before}
                    pulls.append(UpdateMany(query, {"$pull": {"claiming": {"$in": list(each.claims)}}}))
            await self._collection.bulk_write(pulls, ordered=False)

    async def keep(self, entries: Sequence[Entry], given_up: Sequence[GivenUp]) -> Sequence[Entry]:
        """Insert commits that are on the log, without the claims that later ones among them give up (`given_up`). Gives
        those that contradict a document.

        Those that are here already, from the same place, stay as they are: whoever has inserted them may not have known
        yet what they give up.
        """
        met = await self._insert([(entry, entry.document()) for entry in entries])
        refused = await self._contradicting(met)
        if len(refused) < len(met):
            await self.give_up(given_up)
        disputed = [(entry, _disputed(entry)) for entry in refused if entry.claims]
        return [entry for entry in refused if not entry.claims] + await self._not_inserted(disputed)

    async def set_aside(self, entries: Sequence[Entry]) -> None:
        """Insert commits that stand on the log behind a gap."""
        await self._documents.insert_documents([_aside(entry) for entry in entries])

    async def closed(self, stream: str, before: int) -> None:
        """A stream was told to go on: what is set aside of it from before this offset is of no consequence. The
        documents stay, so that they do not come again."""
        async with translated("letting a stream go on"):
            query = {"pending": _aside_of(stream), "aside.offset": {"$lt": before}}
            await self._collection.update_many(query, {"$unset": {"pending": ""}})

    async def _insert(self, new: Sequence[tuple[Entry, Document]]) -> Sequence[Entry]:
        """Those that are not inserted, because a document has their key or their id."""
        done = await self._documents.insert_documents([document for _, document in new])
        return [entry for (entry, _), inserted in zip(new, done, strict=True) if not inserted]

    async def _contradicting(self, met: Sequence[Entry]) -> list[Entry]:
        """Without those that are in the ledger themselves."""
        if not met:
            return []
        known = await self._documents.known([entry.command_id for entry in met])
        return [entry for entry in met if not _is_same(entry, known.get(entry.command_id))]

    async def _not_inserted(self, new: Sequence[tuple[Entry, Document]]) -> list[Entry]:
        return await self._contradicting(await self._insert(new))

    # When all partitions are filled

    async def settle(self) -> tuple[Sequence[Entry], Sequence[Entry]]:
        """Give disputed claims to whom they belong, and stop the streams that lack something. Several processes may do
        this, also when another one has opened the ledger already.

        Gives commits whose claims another stream has, and the commits at which streams wait.
        """
        return await self._settle_claims(), await self._settle_gaps()

    async def _settle_claims(self) -> Sequence[Entry]:
        without: list[Entry] = []
        while True:
            async with translated("settling claims"):
                found = await self._collection.find({"pending": _DISPUTED}).to_list(_SETTLED_AT_ONCE)
            if not found:
                return without
            in_order = sorted(found, key=lambda one: (one["partition"], one["offset"]))
            without += [entry_of(document) for document in in_order if not await self._settle_claim(document)]

    async def _settle_claim(self, document: Document) -> bool:
        keys = [*document["keys"], *map(claim_key, document["claiming"])]
        unsettled = {"_id": document["_id"], "pending": _DISPUTED}
        settled = {"$unset": {"pending": "", "claiming": ""}}
        async with translated("settling claims"):
            for seal in document["claiming"]:  # taken again by a stream that had it
                earlier = {"keys": claim_key(seal), "stream": document["stream"], "first": {"$lt": document["first"]}}
                await self._collection.update_many(earlier, {"$pull": {"keys": {"$in": [claim_key(seal)]}}})
            try:
                await self._collection.update_one(unsettled, {"$set": {"keys": keys}, **settled})
            except DuplicateKeyError:
                await self._collection.update_one(unsettled, settled)
                return False
        return True

    async def _settle_gaps(self) -> Sequence[Entry]:
        waiting: list[Entry] = []
        while True:
            async with translated("settling gaps"):
                # Everything that is set aside sorts so; a stream's commits in the order of the log.
                query: Document = {"pending": {"$gte": _aside_of(""), "$lt": "set aside!"}}
                found = await self._collection.find(query, sort=[("pending", 1), ("aside.offset", 1)]).to_list(1)
            if not found:
                return waiting
            stream = found[0]["stream"]
            end = await self.end_of(stream)
            async with translated("settling gaps"):
                query = {"pending": _aside_of(stream)}
                left = await self._collection.find(query, sort=[("aside.offset", 1)]).to_list(None)
                stops = [replace(entry_of(one["aside"]), stops_at=end) for one in left if one["aside"]["last"] > end]
                waiting += [await self._stop(entry) for entry in stops[:1]]
                await self._collection.update_many(query, {"$unset": {"pending": ""}})

    async def _stop(self, entry: Entry) -> Entry:
        """The stream waits at this commit, unless it was told already to go on from there."""
        if not await self._not_inserted([(entry, entry.document())]):
            return entry
        entry = replace(entry, command_id=f"behind a gap at {entry.partition}/{entry.offset}")
        await self._not_inserted([(entry, entry.document())])
        return entry


def _fields(share: Share) -> Document:
    return {
        "filled": share.next_offset,
        "generation": share.generation,
        "done": share.done,
        "filler": share.filler,
    }


def _share(document: Mapping[str, Any]) -> Share:
    return Share(document["_id"], document["filled"], document["generation"], document["done"], document["filler"])


def _disputed(entry: Entry) -> Document:
    return {**replace(entry, claims=()).document(), "claiming": list(entry.claims), "pending": _DISPUTED}


def _aside(entry: Entry) -> Document:
    """Not at a place of its own: whoever compares the ledger with the log must not take it for a commit."""
    identity = f"set aside at {entry.partition}/{entry.offset}"
    return {
        "_id": identity,
        "keys": [identity],
        "stream": entry.stream,
        "first": 0,
        "last": 0,
        "pending": _aside_of(entry.stream),
        "aside": entry.document(),
    }


def _aside_of(stream: str) -> str:
    return f"set aside {stream}"


def _is_same(entry: Entry, known: Entry | None) -> bool:
    return known is not None and (known.partition, known.offset) == (entry.partition, entry.offset)
