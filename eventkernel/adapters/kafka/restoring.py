"""What a log has lost and its ledger still has.

A log loses its end, never something in between. So the commits of a partition are looked at from the last one back, a
page at a time, until those of a page stand where the ledger says. Where it is known that the log was cut at a place
(`Documents.contest`), other commits may have come behind what was lost, and the page is one from before that place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing

from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.mongodb.ledger import Documents, Entry, LedgerChanged, Span
from eventkernel.events import FENCE, Partition


async def is_trusted(documents: Documents) -> bool:
    """Whether commits in these documents were decided by them: they have their mark and their indexes."""
    try:
        await documents.checkpoint()
    except LedgerChanged:
        return False
    return not await documents.flaws()


async def lost_commits(log: KafkaLog, documents: Documents) -> Sequence[Entry]:
    """The commits that were on the log, and are not where they were, or do not count there any more."""
    lost: list[Entry] = []
    contested = await documents.contested()
    for partition, end in (await log.head()).items():
        before: int | None = None
        cut = contested.get(partition.number)
        while True:
            page = await documents.last_placed(partition.number, before)
            found = await _commands_at(log, partition, end, page)
            missing = [entry for entry in page if found.get(entry.offset) != entry.command_id]
            lost += missing
            if not page:
                break
            lowest = page[-1].offset or 0
            if (not missing or page[-1] is not missing[-1]) and (cut is None or lowest < cut):
                break
            before = page[-1].offset
    return lost


async def to_publish(documents: Documents, lost: Sequence[Entry]) -> Sequence[Entry]:
    """The lost commits with their records, and those that came behind them in their streams: in a reader's eyes these
    stand behind a gap, and have to come again. In the order of each stream's versions."""
    first: dict[str, int] = {}
    for entry in lost:
        if entry.first_version:
            first[entry.stream] = min(entry.first_version, first.get(entry.stream, entry.first_version))
    publish = list(await documents.whole([entry.command_id for entry in lost if not entry.first_version]))
    for stream, version in first.items():
        publish += [entry for entry in await documents.read(Span(stream, version - 1)) if entry.stops_at is None]
    return publish


async def _commands_at(
    log: KafkaLog, partition: Partition, end: int, entries: Sequence[Entry]
) -> Mapping[int | None, str]:
    """The command ids of the commits that begin at these commits' offsets, and count there: not behind a fence of a
    newer generation."""
    offsets = [entry.offset for entry in entries if entry.offset is not None and entry.offset < end]
    found: dict[int | None, str] = {}
    if offsets:
        generation = await log.generation_at(partition.number, min(offsets))
        async with aclosing(log.read(partition.number, min(offsets), max(offsets) + 1)) as pieces:
            async for records in pieces:
                for record in records:
                    if record.type == FENCE:
                        generation = max(generation, record.generation)
                    elif record.generation >= generation and record.version in {0, record.first_version}:
                        found[record.offset] = record.command_id
    return found
