"""What a log has lost and its ledger still has.

A log loses its end, never something in between. So the commits of a partition are looked at from the last one back,
until one stands where the ledger says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing

from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.mongodb.ledger import Documents, Entry, LedgerChanged, Span
from eventkernel.events import Partition


async def is_trusted(documents: Documents) -> bool:
    """Whether commits in these documents were decided by them: they have their mark and their indexes."""
    try:
        await documents.checkpoint()
    except LedgerChanged:
        return False
    return not await documents.flaws()


async def lost_commits(log: KafkaLog, documents: Documents) -> Sequence[Entry]:
    """The commits that were on the log, and are not where they were."""
    lost: list[Entry] = []
    for partition, end in (await log.head()).items():
        before: int | None = None
        while True:
            page = await documents.last_placed(partition.number, before)
            found = await _commands_at(log, partition, end, page)
            missing = [entry for entry in page if found.get(entry.offset) != entry.command_id]
            lost += missing
            if not missing or page[-1] is not missing[-1]:
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
    """The command ids of the records at the commits' offsets."""
    offsets = [entry.offset for entry in entries if entry.offset is not None and entry.offset < end]
    found: dict[int | None, str] = {}
    if offsets:
        async with aclosing(log.read(partition.number, min(offsets), max(offsets) + 1)) as pieces:
            async for records in pieces:
                found.update({record.offset: record.command_id for record in records})
    return found
