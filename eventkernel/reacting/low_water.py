"""How far everything is dealt with, where records are dealt with side by side: up to the first that is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from eventkernel.events import Partition, Record
from eventkernel.reading.folding import checkpoint_after
from eventkernel.writing.store import Batch, Checkpoint


@dataclass(slots=True)
class _Partition:
    end: Batch
    """As much of the last batch as a checkpoint is made of."""
    pending: dict[int, tuple[Record, Batch | None]] = field(default_factory=dict[int, tuple[Record, Batch | None]])
    """By offset, in its order: what is not dealt with, and what reading would go on after; None: the start."""

    def behind(self) -> Batch | None:
        if not self.pending:
            return self.end
        return next(iter(self.pending.values()))[1]


class LowWater:
    """What was read of some logs since a checkpoint, and which of it is still to be dealt with."""

    def __init__(self) -> None:
        self._partitions: dict[Partition, _Partition] = {}

    def begin(self, batch: Batch, types: Iterable[str]) -> list[Record]:
        """A batch was read; gives its records that are to be dealt with, those with a version and one of these types.
        Whatever was read before is left out: logs may repeat."""
        known = self._partitions.get(Partition(batch.log, batch.partition))
        before = known.end if known is not None else None
        pending = known.pending if known is not None else {}
        read_to = before.next_offset if before is not None else 0
        if before is not None and batch.next_offset <= read_to:
            return []
        wanted: list[Record] = []
        behind: Record | None = None
        for record in batch.records:
            if record.offset < read_to:
                continue
            if record.version and record.type in types:
                pending[record.offset] = (record, before if behind is None else _up_to(batch, behind))
                wanted.append(record)
            behind = record
        end = Batch(batch.log, batch.partition, batch.records[-1:], batch.next_offset, batch.generation)
        self._partitions[Partition(batch.log, batch.partition)] = _Partition(end, pending)
        return wanted

    def done(self, record: Record) -> None:
        """A record that `begin` gave is dealt with."""
        del self._partitions[Partition(record.log, record.partition)].pending[record.offset]

    def checkpoint(self) -> Checkpoint:
        """Everything before it is dealt with."""
        batches = [behind for known in self._partitions.values() if (behind := known.behind()) is not None]
        return checkpoint_after(batches)

    def waiting_since(self) -> dict[Partition, int]:
        """The time (µs since 1970) of the first record that is not dealt with, per partition."""
        return {
            partition: next(iter(known.pending.values()))[0].time_us
            for partition, known in self._partitions.items()
            if known.pending
        }


def _up_to(batch: Batch, record: Record) -> Batch:
    """The batch as if it had ended with this record. What is read has seen no newer fence than its record says."""
    return Batch(batch.log, batch.partition, (record,), record.offset + 1, record.generation)
