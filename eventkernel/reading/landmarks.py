"""Whether a log still is the history that a reader has read: its end, and the record that the reader took last."""

from __future__ import annotations

import hashlib
from typing import Final

from eventkernel.errors import CheckpointMismatch
from eventkernel.events import Partition, Record
from eventkernel.writing.store import Checkpoint, Landmark, LogReader

_DIGEST_BYTES: Final = 12


def landmark_of(record: Record) -> Landmark:
    """What tells this record from another one at its offset. A copy of the record has the same digest."""
    said = (
        record.id,
        record.type,
        record.stream,
        record.version,
        record.time_us,
        record.command_id,
        record.fingerprint,
    )
    digest = hashlib.blake2b("\n".join(map(str, said)).encode() + record.data, digest_size=_DIGEST_BYTES)
    return Landmark(record.offset, digest.hexdigest())


async def compare(log: LogReader, after: Checkpoint, partitions: frozenset[int] | None = None) -> None:
    """Compare a reader's checkpoint with a log; `partitions` are those that the reader reads, None means all.

    Raises:
        CheckpointMismatch: the reader has read another history of this log.
        CorruptData, Unavailable: as `LogReader.records_before`.
    """

    def is_read(partition: Partition) -> bool:
        return partition.log == log.log and (partitions is None or partition.number in partitions)

    ends = await log.head()
    for partition, offset in after.position.items():
        if is_read(partition) and offset > ends.get(partition, 0):
            end = ends.get(partition, 0)
            raise CheckpointMismatch(f"{_name(partition)}: the log ends at {end}, and its reader is at {offset}")
    landmarks = {one.number: landmark for one, landmark in after.landmarks.items() if is_read(one)}
    found = await log.records_before({number: landmark.offset + 1 for number, landmark in landmarks.items()})
    for number, landmark in landmarks.items():
        record = found.get(number)
        if record is not None and record.offset == landmark.offset and not record.intact:
            continue  # what is damaged is told of as that
        if record is None or landmark_of(record) != landmark:
            raise CheckpointMismatch(
                f"{_name(Partition(log.log, number))}: the record at offset {landmark.offset} is not the one that its "
                "reader has read: the log was put back to an older copy, or was cut, and has grown again"
            )


def _name(partition: Partition) -> str:
    return f"{partition.log}/{partition.number}"
