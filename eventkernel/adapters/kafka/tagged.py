"""Tags in the ledger: what a condition excludes, and what a query matches.

Both look at commits in the order of a tag, by their times. One that is not known to be on the log yet has its turn in
that order, but nothing may rest on it: it is brought to its end first, if one of its events matters.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

from eventkernel.adapters.mongodb.ledger_documents import TAGGED_AT_ONCE, Documents, TagSpan
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.events import Record
from eventkernel.writing.appending import MOST_EVENTS
from eventkernel.writing.boundary import AppendCondition, QueryItem, Reading, TaggedBatch, TaggedEvent

Help: TypeAlias = Callable[[Documents, str], Awaitable[None]]
"""Returns when the commit of a command is on the log and marked, or not there any more."""


async def excluded(
    documents: Documents, condition: AppendCondition, help_one: Help
) -> Sequence[tuple[str, TaggedEvent]]:
    """Of each item one event that must not be there, with the item's guard; none where there is none."""
    found: list[tuple[str, TaggedEvent]] = []
    for item, after in condition.items():
        event = await _first(documents, item, after, help_one)
        if event is not None:
            found.append((item.guard, event))
    return found


async def _first(documents: Documents, item: QueryItem, after: int, help_one: Help) -> TaggedEvent | None:
    """The first event behind a time that an item matches."""
    more: Sequence[TagSpan] = [TagSpan(item.tags, after)]
    while more:
        entries, more = _split(await documents.tagged(more), more)
        for entry in entries:
            for record in entry.records():
                if item.matches(record):
                    if entry.pending:
                        await help_one(documents, entry.command_id)
                    return TaggedEvent(entry.time_us, record.type, record.tags)
    return None


async def read(documents: Documents, reading: Reading, help_one: Help) -> AsyncGenerator[TaggedBatch, None]:
    """What the query of a reading matches, up to where its tags end now.

    Whatever comes meanwhile is later than that. So a reading that takes many questions misses nothing, as long as the
    ledger is the same.
    """
    ends = await documents.last_times({item.guard for item in reading.items})
    until = [ends[item.guard] for item in reading.items]
    begins = zip(reading.items, reading.after, until, strict=True)
    more: Sequence[TagSpan] = [TagSpan(item.tags, after, end) for item, after, end in begins]
    while more:
        found = await documents.tagged(more)
        pending = next((entry for entry in found if entry.pending and _matters(reading.items, entry)), None)
        if pending is not None:
            await help_one(documents, pending.command_id)
            continue
        await documents.check()
        entries, more = _split(found, more)
        for records in _in_pieces(entries):
            yield reading.batch(records, until)


def _in_pieces(entries: Sequence[Entry]) -> Iterator[Sequence[Record]]:
    """The records of whole commits, one piece at least."""
    records: list[Record] = []
    for entry in entries:
        if records and len(records) + entry.size > MOST_EVENTS:
            yield records
            records = []
        records += entry.records()
    yield records


def _matters(items: Sequence[QueryItem], entry: Entry) -> bool:
    return any(item.matches(record) for item in items for record in entry.records())


def _split(found: Sequence[Entry], spans: Sequence[TagSpan]) -> tuple[Sequence[Entry], Sequence[TagSpan]]:
    """The commits that are all there are up to their times, and where to go on; nowhere: these were the last."""
    if len(found) < TAGGED_AT_ONCE:
        return found, ()
    last = found[-1].time_us  # others may have the same time, and have been left out
    return (
        [entry for entry in found if entry.time_us < last],
        [span._replace(after=max(span.after, last - 1)) for span in spans],
    )
