"""The commits of one generation of a ledger: what decides an append is looked up and inserted here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from pymongo import IndexModel, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

from eventkernel.adapters.mongodb.connection import (
    DUPLICATE_KEY,
    Collection,
    Document,
    missing_indexes,
    translated,
)
from eventkernel.adapters.mongodb.gathering import Gathered
from eventkernel.adapters.mongodb.ledger_entry import (
    BEHIND_A_GAP,
    HAS_CLAIMS,
    Entry,
    claim_key,
    entry_of,
    has_events,
    version_key,
)
from eventkernel.adapters.mongodb.ledger_generation import GENERATION, Generation, LedgerChanged, LogCut, generation_of
from eventkernel.events import Partition, Position
from eventkernel.writing.appending import MOST_EVENTS
from eventkernel.writing.store import Checkpoint, ClaimHolder, Landmark

_MARK: Final = ""
"""The mark's id: no command's, for those are not empty."""
_SOUND: Final = [
    IndexModel([("keys", 1)], name="keys_1", unique=True),
    IndexModel([("stream", 1), ("first", 1)], name="stream_1_first_1"),
    IndexModel([("pending", 1)], name="pending_1", sparse=True),
]
"""The indexes that decisions rest on."""
_BY_TAG_NAME: Final = "tags"
_BY_TAG: Final = IndexModel(
    [("tags", 1), ("time", 1)], name=_BY_TAG_NAME, partialFilterExpression={"tags": {"$exists": True}}
)
"""Costs a commit without tags nothing."""
_INDEXES: Final = [
    *_SOUND,
    IndexModel(
        [("partition", 1), ("offset", 1)],
        name="places",
        unique=True,
        partialFilterExpression={"offset": {"$gte": 0}},
    ),
    IndexModel([("stream", 1)], name="claims", partialFilterExpression=HAS_CLAIMS),
    _BY_TAG,
]
_WITHOUT_RECORDS: Final = {"records": False}
_FILL_AT_ONCE: Final = 500
_COMPARED_AT_ONCE: Final = 50
TAGGED_AT_ONCE: Final = 100
"""More than commits can have one time: of one tag's there is one."""
_TAGS_KNOWN: Final = 10_000
_END_OF_TIME: Final = 2**62
_WRITTEN_AT_ONCE: Final = 50
"""So few that a slow server, too, answers before its time is up."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an append needs to know."""

    command_id: str
    stream: str
    expected_version: int
    claims: frozenset[str] | None
    """Those that it would hold, sealed; None: its stream's stay what they are."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger knows of an append, however long its stream is."""

    repeated: Entry | None
    """The commit of its command id."""
    end: Entry | None
    """The stream's commit with the expected version, or with the one after it where there is one."""
    holding: Sequence[Entry]
    """The stream's commits whose claims it still holds, where the append has claims."""
    holders: Mapping[str, Entry]
    """Who holds the claims that it asks for, by seal."""

    @property
    def pending(self) -> Entry | None:
        """A commit that is not known to be on the log: nothing may rest on it. Of a stream's, only the last can be."""
        entries = (self.repeated, self.end, *self.holding, *self.holders.values())
        return next((entry for entry in entries if entry is not None and entry.pending), None)


@dataclass(frozen=True, slots=True)
class Span:
    """A stream's versions behind one and up to another (None: to its end)."""

    stream: str
    after: int = 0
    up_to: int | None = None

    def has(self, version: int) -> bool:
        return version > self.after and (self.up_to is None or version <= self.up_to)


class TagSpan(NamedTuple):
    """Commits that have a turn for all of these tags, behind a time and up to another one."""

    tags: frozenset[str]
    after: int
    until: int = _END_OF_TIME


class Documents:
    """The commits of one generation. What is asked at the same time goes to the server together."""

    def __init__(self, generations: Collection, collection: Collection, generation: Generation) -> None:
        self.generation = generation
        self.look_up = Gathered(self._look_up)
        self.read = Gathered(self._read)
        self.insert = Gathered(self._insert, most=_WRITTEN_AT_ONCE)
        self.complete = Gathered(self._complete, most=_WRITTEN_AT_ONCE)
        self._check = Gathered(self._check_all)
        self._generations = generations
        self.collection = collection
        self._deciding = collection.with_options(read_concern=ReadConcern("linearizable"))
        """For what is answered because of one document, or because there is none."""
        self._opened = generation.opened()
        self._furthest: dict[int, int] = {}
        self._last_times: dict[str, int] = {}
        """By tag, of those that were asked for lately: it has a commit of this time."""

    async def check(self) -> None:
        """Make sure, by reading after this was called, that the ledger is still the one that was opened.

        Raises:
            LedgerChanged: it is not.
        """
        reason = await self._check(None)
        if reason:
            raise LedgerChanged(f"{self.generation.log}: {reason}; try again")

    async def make(self) -> None:
        """An empty collection with its indexes, not yet marked."""
        async with translated("making a ledger"):
            await self.collection.create_indexes(_INDEXES)

    async def bring_up_to_date(self) -> None:
        """A ledger of an earlier release has no commits with tags, and no index of them."""
        async with translated("making the index of tags"):
            await self.collection.create_indexes([_BY_TAG])

    async def flaws(self) -> Sequence[str]:
        """What is wrong with its indexes; without the unique one over the keys two commits can have one version."""
        async with translated("looking at the ledger's indexes"):
            return await missing_indexes(self.collection, _SOUND)

    async def mark(self, fences: Sequence[int]) -> None:
        """Everything on the log up to these fences, an offset a partition, is in the ledger. A mark that is there
        already stays."""
        ends = {str(number): offset + 1 for number, offset in enumerate(fences)}
        compared = {str(number): offset for number, offset in enumerate(fences)}
        mark = {"keys": [_MARK], "checkpoint": ends, "compared": compared}
        async with translated("marking a ledger"):
            with suppress(DuplicateKeyError):  # somebody else has marked it at this moment
                await self.collection.update_one({"_id": _MARK}, {"$setOnInsert": mark}, upsert=True)

    async def checkpoint(self) -> Checkpoint:
        """How far the log is known to be in the ledger, and which records stand behind that.

        Raises:
            LedgerChanged: the ledger has no mark.
        """
        async with translated("reading the ledger's checkpoint"):
            mark = await self.collection.find_one({"_id": _MARK})
        if mark is None:
            raise LedgerChanged(f"{self.generation.log}: the ledger was dropped")
        log, generation = self.generation.log, self.generation.number
        position = Position({Partition(log, int(number)): offset for number, offset in mark["checkpoint"].items()})
        landmarks: Mapping[str, str] = mark.get("landmarks", {})  # a ledger of release 0.1.0 has none
        return Checkpoint(
            position,
            tuple((log, partition.number, generation) for partition in position),
            {Partition(log, int(number)): Landmark.from_text(text) for number, text in landmarks.items()},
        )

    async def contest(self, offsets: Mapping[int, int]) -> None:
        """The log was cut, in each of these partitions at this offset or before it. From now on no process works with
        the ledger (`check`), until it was compared with the log and opened again."""
        async with translated("closing a ledger"):
            # One that has no mark is not worked with either.
            await self.collection.update_one(
                {"_id": _MARK}, {"$min": {f"contested.{partition}": offset for partition, offset in offsets.items()}}
            )

    async def contested(self) -> Mapping[int, int]:
        """Where the log was cut, by partition: there or before it. Empty: it was not, as far as is known."""
        async with translated("reading the ledger's mark"):
            mark: Mapping[str, Any] | None = await self.collection.find_one({"_id": _MARK})
        contested: Mapping[str, int] = {} if mark is None else mark.get("contested", {})
        return {int(number): offset for number, offset in contested.items()}

    async def compared(self) -> Mapping[int, int]:
        """By partition: where the last commit stands that was compared with the log, or the generation's fence. What
        has come behind it since was not compared. A ledger of an earlier release does not say it."""
        async with translated("reading the ledger's mark"):
            mark: Mapping[str, Any] | None = await self.collection.find_one({"_id": _MARK})
        compared: Mapping[str, int] = {} if mark is None else mark.get("compared", {})
        return {int(number): offset for number, offset in compared.items()}

    async def has_compared(self, last: Mapping[int, int]) -> None:
        """The commits up to these places are on the log."""
        async with translated("writing how far the ledger was compared"):
            fields = {f"compared.{number}": offset for number, offset in last.items()}
            await self.collection.update_one({"_id": _MARK}, {"$max": fields})

    async def look_at_places(self, places: Sequence[tuple[Entry, int]]) -> None:
        """Make sure that these commits are in the ledger, and that no other one is known to stand where they do.

        Raises:
            LogCut: another one is.
            LedgerChanged: one of them is missing.
        """
        ranges: list[Document] = [
            {"partition": entry.partition, "offset": {"$gte": offset, "$lt": offset + entry.size}}
            for entry, offset in places
        ]
        async with translated("looking at places on the log"):
            found, standing = await asyncio.gather(
                self._find({"_id": {"$in": [entry.command_id for entry, _ in places]}}), self._find({"$or": ranges})
            )
        if len({entry.command_id for entry in found}) < len({entry.command_id for entry, _ in places}):
            raise LedgerChanged(f"{self.generation.log}: the ledger lacks a commit that was inserted")
        for entry, offset in places:
            for other in standing:
                inside = other.partition == entry.partition and offset <= (other.offset or 0) < offset + entry.size
                if inside and other.command_id != entry.command_id:
                    raise self._cut(entry.partition, offset)

    def _cut(self, partition: int, offset: int) -> LogCut:
        what = f"{self.generation.log}/{partition}: two commits were put at offset {offset}: the log was cut"
        return LogCut(what, partition, offset)

    async def advance(self, checkpoint: Checkpoint) -> None:
        """Move the checkpoint on; it never goes back."""
        furthest: Document = {
            f"checkpoint.{number}": offset for number, offset in _offsets(checkpoint.position).items()
        }
        for partition, landmark in checkpoint.landmarks.items():
            furthest[f"landmarks.{partition.number}"] = landmark.to_text()
        async with translated("writing the ledger's checkpoint"):
            moved = await self.collection.update_one({"_id": _MARK}, {"$max": furthest})
        if not moved.matched_count:
            raise LedgerChanged(f"{self.generation.log}: the ledger was dropped")

    async def find_command(self, command_id: str) -> Entry | None:
        async with translated("looking up a command"):
            document = await self._deciding.find_one({"_id": command_id})
        return None if document is None else entry_of(document)

    async def find_claim(self, seal: str) -> tuple[ClaimHolder, Entry] | None:
        """Who holds a claim, and the commit that took it."""
        async with translated("looking up a claim"):
            document = await self._deciding.find_one({"keys": claim_key(seal)})
        if document is None:
            return None
        entry = entry_of(document)
        return ClaimHolder(entry.stream, entry.version), entry

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Entry]:
        """The commits of these commands, without their records."""
        async with translated("looking up commands"):
            return {entry.command_id: entry for entry in await self._find({"_id": {"$in": list(command_ids)}})}

    async def taken(self, versions: Sequence[tuple[str, int]]) -> frozenset[tuple[str, int]]:
        """Which of these versions of streams have a commit."""
        streams = list({stream for stream, _ in versions})
        async with translated("looking up versions"):
            entries = await self._find({"stream": {"$in": streams}, "first": {"$gt": 0}})
        ends = {entry.stream: entry.version for entry in _in_order(entries) if entry.stops_at is None}
        return frozenset((stream, version) for stream, version in versions if version <= ends.get(stream, 0))

    async def pending(self) -> Sequence[Entry]:
        """Commits that are not known to be on the log, some of them where they are very many."""
        async with translated("looking for unpublished commits"):
            documents = await self.collection.find({"pending": True}).to_list(_FILL_AT_ONCE)
        return [entry_of(document) for document in documents]

    async def backlog(self) -> int:
        """How many commits are not known to be on the log."""
        async with translated("counting unpublished commits"):
            return await self.collection.count_documents({"pending": True})

    async def unfinished(self) -> Sequence[Entry]:
        """All commits that are not known to be on the log, without their records."""
        async with translated("looking for unpublished commits"):
            return await self._find({"pending": True})

    async def last_placed(
        self, partition: int, before: int | None = None, most: int = _COMPARED_AT_ONCE
    ) -> Sequence[Entry]:
        """At most so many of the commits that stand last in a partition of the log, last first, before an offset where
        one is given."""
        offset: Document = {"$gte": 0} if before is None else {"$gte": 0, "$lt": before}
        query = {"partition": partition, "offset": offset}
        async with translated("comparing the ledger with the log"):
            found = self.collection.find(query, _WITHOUT_RECORDS, sort=[("offset", -1)])
            return [entry_of(document) for document in await found.limit(most).to_list(None)]

    async def whole(self, command_ids: Sequence[str]) -> Sequence[Entry]:
        """The commits of these commands, with their records."""
        async with translated("looking up commands"):
            return await self._find({"_id": {"$in": list(command_ids)}}, with_records=True)

    async def end_of(self, stream: str) -> Entry | None:
        """A stream's last commit with events."""
        async with translated("looking for the end of a stream"):
            query = {"stream": stream, **has_events()}
            document = await self.collection.find_one(query, _WITHOUT_RECORDS, sort=[("first", -1)])
        return None if document is None else entry_of(document)

    async def last_times(self, tags: Iterable[str]) -> Mapping[str, int]:
        """The time of the last commit that has a turn in a tag's order, by tag; 0: there is none."""

        async def last_time(tag: str) -> int:
            # From where it was the last time on: servers may sort what they find, and this is little.
            known = {"tags": tag, "time": {"$gte": self._last_times.get(tag, 0)}}
            found = await self.collection.find_one(known, {"time": True}, sort=[("time", -1)], hint=_BY_TAG_NAME)
            return 0 if found is None else int(found["time"])

        names = sorted(tags)
        async with translated("looking for the last commits of tags"):
            times = dict(zip(names, await asyncio.gather(*map(last_time, names)), strict=True))
        self._last_times |= times
        while len(self._last_times) > _TAGS_KNOWN:
            del self._last_times[next(iter(self._last_times))]
        return times

    async def tagged(self, spans: Sequence[TagSpan]) -> Sequence[Entry]:
        """The first commits, by their times, with an event in one of the spans, with their records; `TAGGED_AT_ONCE`
        where there are more."""
        ranges: list[Document] = [
            {"tags": {"$all": list(span.tags)}, "time": {"$gt": span.after, "$lte": span.until}} for span in spans
        ]
        async with translated("reading by tags"):
            found = self.collection.find({"$or": ranges}, sort=[("time", 1)], hint=_BY_TAG_NAME)
            return [entry_of(document) for document in await found.limit(TAGGED_AT_ONCE).to_list(None)]

    async def stop(self, entry: Entry) -> Entry:
        """A commit stands on the log behind a gap in its stream: from now on nothing comes onto the stream, until
        `let_go_on`. Gives the commit at which the stream waits, which may be an earlier one."""
        # Whoever meets the record again knows it.
        await self.insert(replace(entry, first_version=0))
        while True:
            end = await self.end_of(entry.stream)
            stopping = replace(
                entry,
                command_id=f"behind a gap at {entry.partition}/{entry.offset}",
                offset=None,
                stops_at=0 if end is None else end.version,
            )
            if await self.insert(stopping):
                return stopping
            waiting = await self.waiting_at(entry.stream, stopping.stops_at or 0)
            if waiting is not None:
                return waiting
            if await self.find_command(stopping.command_id) is not None:
                return stopping  # it has waited for this record before, and was let go on

    async def waiting(self, most: int = _FILL_AT_ONCE) -> Sequence[Entry]:
        """The commits at which streams wait, at most so many of them."""
        query: Document = {"pending": BEHIND_A_GAP}
        async with translated("looking for streams that wait"):
            documents = await self.collection.find(query, _WITHOUT_RECORDS).limit(most).to_list(None)
        return [entry_of(document) for document in documents]

    async def waiting_at(self, stream: str, version: int) -> Entry | None:
        """The commit at which a stream waits that ends with this version: it has the key of the next one, so that this
        is one look-up, however many streams wait."""
        async with translated("looking for a stream that waits"):
            document = await self.collection.find_one({"keys": version_key(stream, version + 1)}, _WITHOUT_RECORDS)
        return entry_of(document) if document is not None and "stopsAt" in document else None

    async def let_go_on(self, resuming: Entry) -> bool:
        """What keeps a stream waiting becomes, in one step, the commit that lets it go on: nobody else gets its version
        in between. False: it was let go on meanwhile."""
        document = resuming.document()
        del document["_id"]
        async with translated("letting a stream go on"):
            changed = await self.collection.update_one(
                {"_id": resuming.command_id, "pending": BEHIND_A_GAP},
                {"$set": document, "$unset": {"stopsAt": ""}},
            )
        return changed.matched_count > 0

    async def _look_up(self, asked: Sequence[Asked]) -> Sequence[Found]:
        keys = {claim_key(seal) for question in asked for seal in question.claims or ()}
        for question in asked:
            keys |= {version_key(question.stream, question.expected_version + more) for more in (0, 1)}
        claiming = {question.stream for question in asked if question.claims is not None}
        async with translated("looking up what an append meets"):
            repeated, found, holding = await asyncio.gather(
                self._find({"_id": {"$in": list({question.command_id for question in asked})}}),
                self._find({"keys": {"$in": list(keys)}}),
                self._find({"stream": {"$in": list(claiming)}, **HAS_CLAIMS} if claiming else None),
            )
        by_command = {entry.command_id: entry for entry in repeated}
        by_claim = {seal: entry for entry in found for seal in entry.claims}
        by_version = {(entry.stream, version): entry for entry in found for version in entry.versions()}
        held = _by_stream(holding)
        return [
            Found(
                by_command.get(question.command_id),
                by_version.get((question.stream, question.expected_version + 1))
                or by_version.get((question.stream, question.expected_version)),
                held.get(question.stream, ()) if question.claims is not None else (),
                {seal: by_claim[seal] for seal in question.claims or () if seal in by_claim},
            )
            for question in asked
        ]

    async def _read(self, spans: Sequence[Span]) -> Sequence[Sequence[Entry]]:
        """The spans' commits, with their records, oldest first. Those at the ends may have other versions, too."""
        alike: dict[tuple[int, int | None], set[str]] = {}
        for span in spans:
            alike.setdefault((span.after, span.up_to), set()).add(span.stream)
        async with translated("reading streams"):
            found = await asyncio.gather(
                *(self._find(_within(streams, *bounds), with_records=True) for bounds, streams in alike.items())
            )
        by_span = {bounds: _by_stream(entries) for bounds, entries in zip(alike, found, strict=True)}
        return [
            [entry for entry in by_span[span.after, span.up_to].get(span.stream, ()) if entry.version > span.after]
            for span in spans
        ]

    async def _find(self, query: Document | None, *, with_records: bool = False) -> Sequence[Entry]:
        if query is None:
            return ()
        found = self.collection.find(query, None if with_records else _WITHOUT_RECORDS)
        return [entry_of(document) for document in await found.to_list(None)]

    async def _insert(self, entries: Sequence[Entry]) -> Sequence[bool]:
        return await self.insert_documents([entry.document() for entry in entries])

    async def insert_documents(self, documents: Sequence[Document]) -> Sequence[bool]:
        """Which of the commits are in the ledger now: not those with a key that another one has."""
        done = [True] * len(documents)
        if not documents:
            return done
        async with translated("inserting commits into the ledger"):
            try:
                await self.collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                failures: Sequence[Document] = (error.details or {}).get("writeErrors", ())
                if any(failure["code"] != DUPLICATE_KEY for failure in failures):
                    raise
                if (error.details or {}).get("writeConcernErrors"):
                    raise
                for failure in failures:
                    done[failure["index"]] = False
        return done

    async def _complete(self, published: Sequence[tuple[Entry, int]]) -> Sequence[None]:
        """Commits are on the log, each at its offset: give up the claims that they give up, then mark them."""
        giving = [
            UpdateMany(
                {"stream": entry.stream, "first": {"$gt": 0, "$lt": entry.first_version}},
                {"$pull": {"keys": {"$in": [claim_key(seal) for seal in entry.given_up]}}},
            )
            for entry, _ in published
            if entry.given_up
        ]
        marking = [
            UpdateOne(
                {"_id": entry.command_id, "pending": True}, {"$set": {"offset": offset}, "$unset": {"pending": ""}}
            )
            for entry, offset in published
        ]
        try:
            async with translated("marking commits as published"):
                if giving:
                    await self.collection.bulk_write(giving, ordered=True)
                marked = await self.collection.bulk_write(marking, ordered=True)
        except BulkWriteError as error:
            # Another commit has one of the places. Which of the others were marked is not known: all are repeated.
            failures: Sequence[Document] = (error.details or {}).get("writeErrors", ())
            index: int = failures[0]["index"]
            entry, offset = published[index]
            raise self._cut(entry.partition, offset) from None
        # A commit of several records may stand over another one's place without beginning at it. One that was not
        # matched was marked by somebody else, perhaps at the other place that it was put at, or is gone.
        doubtful = [(entry, offset) for entry, offset in published if entry.size > 1]
        if marked.matched_count < len(marking):
            doubtful = list(published)
        if doubtful:
            await self.look_at_places(doubtful)
        return [None] * len(published)

    async def _check_all(self, asked: Sequence[None]) -> Sequence[str]:
        reason = await self._changed()
        return [reason] * len(asked)

    async def _changed(self) -> str:
        """What has changed about the ledger."""
        furthest = dict(self._furthest)  # as of before the reading: another check may come further meanwhile
        async with translated("checking the ledger's generation"):
            generation, mark = await asyncio.gather(
                self._generations.find_one({"_id": GENERATION}), self.collection.find_one({"_id": _MARK})
            )
        if generation is None or generation_of(generation) != self._opened:
            return "the ledger has another generation"
        if mark is None:
            return "the ledger was dropped"
        if mark.get("contested"):
            return "the log was cut, and is compared with the ledger"
        for number, offset in ((int(number), offset) for number, offset in mark["checkpoint"].items()):
            if offset < furthest.get(number, 0):
                return "the ledger is an old copy"
            self._furthest[number] = max(offset, self._furthest.get(number, 0))
        return ""


def _within(streams: Iterable[str], after: int, up_to: int | None) -> Document:
    """The commits that may have a version behind one and up to another: a commit has only so many."""
    first: Document = {"$gt": max(0, after - MOST_EVENTS)}
    if up_to is not None:
        first["$lte"] = up_to
    return {"stream": {"$in": list(streams)}, "first": first}


def _in_order(entries: Sequence[Entry]) -> Sequence[Entry]:
    return sorted(entries, key=lambda entry: entry.first_version)


def _by_stream(entries: Sequence[Entry]) -> Mapping[str, Sequence[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in _in_order(entries):
        found.setdefault(entry.stream, []).append(entry)
    return found


def _offsets(position: Position) -> dict[str, int]:
    return {str(partition.number): offset for partition, offset in position.items()}
