"""Checks of a projection without a view: whatever the delivery, the documents are the same.

    async def test_a_door_can_be_painted():
        doors = ProjectionSpec(projection, Codec(EVENT_TYPES))
        documents = doors.given("door-1", Hung(name="oak"), Painted(colour="red")).then()
        assert documents["door-1"] == Door("oak", ["red"])

`then` replays the events many times: record by record, all at once, cut anywhere, each delivered twice, everything from
the start again in between, the streams interleaved otherwise. All must give the same documents, and nothing may park.
Streams may stand in several logs. `composed` gives the documents that are made of several streams.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Generic, Self, TypeVar

from eventkernel.events import DomainEvent, Record
from eventkernel.reading.composing import Composition
from eventkernel.reading.folding import ParkedStreams, fold
from eventkernel.reading.views import Projection, State
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Batch

Doc = TypeVar("Doc")
Whole = TypeVar("Whole")

_LOG: Final = "spec"
_REPLAYS: Final = 20
_START_US: Final = 1_700_000_000_000_000


@dataclass(frozen=True, slots=True)
class Given:
    """An event that happened to a stream; `time_us` is in microseconds since 1970."""

    stream: str
    event: DomainEvent
    time_us: int
    log: str


class ProjectionSpec(Generic[Doc]):
    """Given events, then documents. The codec is part of it: what a projection gets has been encoded and decoded."""

    def __init__(self, projection: Projection[Doc], codec: Codec, *, encoder: Codec | None = None) -> None:
        """`encoder` is the codec of whoever writes the events, where it is not the one that reads them."""
        self._projection = projection
        self._codec = codec
        self._encoder = encoder or codec
        self._given: list[Given] = []

    def given(self, stream: str, *events: DomainEvent, time_us: int | None = None, log: str = _LOG) -> Self:
        """These events happened to the stream, one after the other, after what was given before; a second apart unless
        the time is given. `log` is the name of the log that the stream is in."""
        for event in events:
            moment = _START_US + len(self._given) * 1_000_000 if time_us is None else time_us
            self._given.append(Given(stream, event, moment, log))
        return self

    def then(self) -> Mapping[str, Doc]:
        """The document of each stream.

        Raises:
            AssertionError: a record parks its stream, or the documents depend on the delivery.
        """
        records = self._records()
        expected = self._fold([records])
        for replay in range(_REPLAYS):
            found = self._fold(_cut(records, random.Random(replay)))  # noqa: S311  # the same cuts each time
            assert found == expected, f"replay {replay}: expected {expected}, found {found}"
        return {stream: state.doc for stream, state in expected.items()}

    def composed(self, composition: Composition[Doc, Whole]) -> Mapping[str, Whole]:
        """The documents that the streams' documents make, by key; raises as `then` does."""
        return composition.all(self.then())

    def _records(self) -> list[Record]:
        versions: dict[str, int] = {}
        records: list[Record] = []
        for offset, given in enumerate(self._given):
            version = versions[given.stream] = versions.get(given.stream, 0) + 1
            encoded = self._encoder.encode(given.event, given.stream)
            records.append(
                Record(
                    log=f"{given.log}.0",
                    partition=0,
                    offset=offset,
                    id=f"event-{offset}",
                    type=encoded.type,
                    time_us=given.time_us,
                    stream=given.stream,
                    version=version,
                    first_version=version,
                    commit_size=1,
                    command_id=f"command-{offset}",
                    fingerprint="",
                    schema_version=encoded.schema_version,
                    data=encoded.data,
                )
            )
        return records

    def _fold(self, cuts: Iterable[Sequence[Record]]) -> dict[str, State[Doc]]:
        states: dict[str, State[Doc]] = {}
        for records in cuts:
            batches = [_batch(log, list(found)) for log, found in groupby(records, key=lambda record: record.log)]
            readers = {batch.log: self._codec for batch in batches}
            stored = {record.stream: states[record.stream] for record in records if record.stream in states}
            outcome = fold(self._projection, readers, batches, stored, ParkedStreams())
            assert not outcome.parked, f"{outcome.parked[0].record.stream} parks: {outcome.parked[0].reason}"
            states.update({change.stream: change.states[-1] for change in outcome.changes})
        return states


def _batch(log: str, records: Sequence[Record]) -> Batch:
    return Batch(log, 0, records, 1 + max(record.offset for record in records), 0)


def _cut(records: Sequence[Record], chance: random.Random) -> Iterable[Sequence[Record]]:
    """The records in batches: streams interleaved anew, some records twice, now and then all from the start again."""
    queues: dict[str, list[Record]] = {}
    for record in records:
        queues.setdefault(record.stream, []).append(record)
    delivered: list[Record] = []
    batch: list[Record] = []
    while queues:
        stream = chance.choice(list(queues))
        batch.append(queues[stream].pop(0))
        if not queues[stream]:
            del queues[stream]
        if chance.random() < 0.3:
            batch.append(batch[-1])
        if chance.random() < 0.4:
            delivered += batch
            yield batch
            batch = []
        if chance.random() < 0.1:
            yield list(delivered)
    yield batch
