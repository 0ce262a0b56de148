"""What a log has lost and its ledger still has.

A log loses its end, never something in between. So the commits of a partition are looked at from the last one back, a
page at a time, until a page stands where the ledger says and reaches back far enough: to the last commit that was
compared before, for a cut that has taken an earlier one has taken this one, too. Where it is known that the log was cut
at a place (`Documents.contest`), other commits may have come behind what was lost, and the last page is one from before
that place. A generation's fence stands for all that was on the log before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple

from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.mongodb.ledger_documents import Documents, Span
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.adapters.mongodb.ledger_generation import LedgerChanged
from eventkernel.events import FENCE, Partition, Record

_FIRST_PAGE: Final = 50
_LARGEST_PAGE: Final = 2_000


class Placed(NamedTuple):
    """A record that was put on the log; a fence has no command."""

    partition: int
    offset: int
    generation: int
    command_id: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ledger beside its log."""

    lost: Sequence[Entry]
    """The commits that were on the log, and are not where they were, or do not count there any more."""
    cut: Mapping[int, int]
    """By partition: where the first of the missing records stood."""
    last: Mapping[int, int]
    """By partition: where the ledger's last commit stands, with which the next comparison ends."""


async def is_trusted(documents: Documents) -> bool:
    """Whether commits in these documents were decided by them: they have their mark and their indexes."""
    try:
        await documents.checkpoint()
    except LedgerChanged:
        return False
    return not await documents.flaws()


async def compare_with_log(log: KafkaLog, documents: Documents) -> Comparison:
    """Look for what the log has lost.

    Raises:
        Unavailable: a server cannot be reached.
    """
    compared, contested = await documents.compared(), await documents.contested()
    lost: list[Entry] = []
    cut: dict[int, int] = {}
    last: dict[int, int] = {}
    for number in range(log.partitions):
        begun = compared.get(number)
        far_enough = _earlier(begun, contested[number] - 1 if number in contested else None)
        page = await documents.last_placed(number, most=_FIRST_PAGE)
        end = page[0].offset if page else None
        if begun is not None and (end is None or end < begun):  # nothing has come behind the fence
            if not await stand(log, [Placed(number, begun, documents.generation.number)]):
                cut[number] = begun
            elif number not in contested:
                continue
        elif end is not None:
            last[number] = end
        while page:
            missing = await _missing(log, documents, number, page)
            lost += missing
            if missing:
                cut[number] = missing[-1].offset or 0
            first = page[-1].offset or 0
            if not missing and (far_enough is None or first <= far_enough):
                break
            page = await documents.last_placed(number, first, most=min(2 * len(page), _LARGEST_PAGE))
    return Comparison(lost, cut, last)


async def stand(log: KafkaLog, placed: Sequence[Placed]) -> bool:
    """Whether the log still has these records where they were put."""
    head = await log.head()
    wanted: dict[int, dict[int, Placed]] = {}
    for one in placed:
        wanted.setdefault(one.partition, {})[one.offset] = one
    for number, by_offset in wanted.items():
        if max(by_offset) >= head.offsets.get(Partition(log.log, number), 0):
            return False
        async with aclosing(log.read(number, min(by_offset), max(by_offset) + 1)) as pieces:
            async for records in pieces:
                for record in records:
                    if by_offset.get(record.offset) == placed_at(record, number, record.offset):
                        del by_offset[record.offset]
        if by_offset:
            return False
    return True


def placed_at(record: Record, partition: int, offset: int) -> Placed:
    return Placed(partition, offset, record.generation, "" if record.type == FENCE else record.command_id)


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


async def _missing(log: KafkaLog, documents: Documents, number: int, page: Sequence[Entry]) -> Sequence[Entry]:
    """The commits of a page that are not where the ledger says, or do not count there: behind a fence of a newer
    generation."""
    partition = Partition(log.log, number)
    end = (await log.head())[partition]  # asked after the page was read: unless it was cut, the log is no shorter
    offsets = [entry.offset for entry in page if entry.offset is not None and entry.offset < end]
    found: Mapping[int | None, Record] = {}
    if offsets:
        start, stop = min(offsets), max(offsets) + 1
        records: list[Record] = []
        async with aclosing(log.read(number, start, stop)) as pieces:
            async for piece in pieces:
                records += piece
        found = _in_effect(records, await _generation_before(log, documents, partition, start, records))
    return [entry for entry in page if not _begins(entry, found.get(entry.offset))]


def _begins(entry: Entry, record: Record | None) -> bool:
    """Whether this is a commit's first record; a foreign record is one by itself, whatever it says of its commit."""
    if record is None or record.command_id != entry.command_id:
        return False
    return entry.size == 1 or record.version in {0, record.first_version}


async def _generation_before(
    log: KafkaLog, documents: Documents, partition: Partition, start: int, records: Iterable[Record]
) -> int:
    """The newest generation with a fence before these records; it is not looked for where all are of the ledger's."""
    number = documents.generation.number
    if all(record.generation == number for record in records):
        return number
    return await log.generation_at(partition.number, start)


def _in_effect(records: Iterable[Record], generation: int) -> Mapping[int | None, Record]:
    """The records that count where they stand, by offset."""
    found: dict[int | None, Record] = {}
    for record in records:
        if record.type == FENCE:
            generation = max(generation, record.generation)
        elif record.generation >= generation:
            found[record.offset] = record
    return found


def _earlier(*offsets: int | None) -> int | None:
    return min((offset for offset in offsets if offset is not None), default=None)
