"""What streams have become: folded once, kept while they are in use, and read on from there.

A stream that was used lately is *warm*: its state is in memory, and only what has come since is read, together with the
record before, which says whether the log still is what was folded. A cold one begins with its snapshot, where there is
one, or at its start, and is read in pages, so that a long one holds up nobody else on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Final, Generic, cast

import msgspec

from eventkernel.decider import Decider, Event, State
from eventkernel.errors import CorruptData, KernelError, Refusal, Unavailable
from eventkernel.events import STREAM_RESUMED, Record, RecordedEvent
from eventkernel.writing.codec import Codec
from eventkernel.writing.snapshots import Mark, Snapshot, Snapshots
from eventkernel.writing.store import EventStore

Answer = Callable[[Any, RecordedEvent], Any]
"""Gives what a caller is answered with after an event, from what it was before (None: the event is the first)."""

WARM: Final = 10_000
"""Streams whose states are in memory; the one that was used longest ago makes room for another."""
_PAGE: Final = 1_000
"""Records that are read and folded at once."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Folded(Generic[State]):
    """A stream up to a record: the state, and the document that mutations answer with."""

    mark: Mark | None
    """Of the last record; None: the stream has none."""
    state: State
    answer: object
    snapshot: int = 0
    """The version of the stream's newest snapshot."""
    unreadable: Exception | None = None
    """Why a record could not be decoded or applied, behind which no operator has let the stream go on: the state is not
    right."""

    @property
    def version(self) -> int:
        return 0 if self.mark is None else self.mark.version


class StreamStates(Generic[State, Event]):
    """The streams of one kind of aggregate in one log."""

    def __init__(
        self,
        store: EventStore,
        codec: Codec,
        decider: Decider[State, Any, Event],
        answer: Answer | None,
        snapshots: Snapshots | None,
    ) -> None:
        self._store = store
        self._codec = codec
        self._decider = decider
        self._answer = answer
        self._snapshots = snapshots
        self._page = _PAGE if snapshots is None else min(_PAGE, snapshots.every)
        self._most = 0 if codec.encrypts else WARM  # a key that is thrown away erases what is in memory, too
        if snapshots is not None:
            if codec.encrypts:
                raise TypeError("snapshots hold clear text: an aggregate whose events are encrypted has none")
            kept = GenericAlias(tuple, (snapshots.state, snapshots.answer))
            # Also where somebody forgets to count: a field more, with a default, would be read from an old one.
            self._form = zlib.crc32(f"{snapshots.form} {msgspec.json.schema(kept)}".encode())
            self._encode = msgspec.msgpack.Encoder().encode
            self._decode = msgspec.msgpack.Decoder(cast("type[tuple[State, object]]", kept)).decode
        self._warm: OrderedDict[str, Folded[State]] = OrderedDict()
        self._answers: OrderedDict[tuple[str, int, str], object] = OrderedDict()
        """Of the last commits, by stream, version and command: who asks again is answered without reading the stream.
        """
        self._saving: set[asyncio.Task[None]] = set()

    async def at_end(self, stream: str) -> Folded[State]:
        """The stream as it is now; what is given is kept.

        Raises:
            Unavailable: it cannot be read now.
        """
        folded = await self._read_on(stream, self._warm.get(stream) or self._empty(), None)
        return self.keep(stream, folded)

    async def answer_at(self, stream: str, version: int, command_id: str) -> object:
        """The answer that the stream gave at a version, which a command has led to.

        Raises:
            CorruptData: it never had that version.
            Unavailable: it cannot be read now.
        """
        if self._answer is None:
            return None
        if (stream, version, command_id) in self._answers:
            return self._answers[stream, version, command_id]
        warm = self._warm.get(stream)
        begin = warm if warm is not None and warm.version <= version else self._empty()
        folded = await self._read_on(stream, begin, version)
        if folded.version != version:
            raise CorruptData(f"{stream}: expected version {version}, found an end at version {folded.version}")
        return folded.answer

    def after(self, folded: Folded[State], records: Sequence[Record]) -> Folded[State]:
        """The stream with these records more. One that cannot be decoded, or does not follow from those before it, has
        no effect where an operator has let the stream go on behind it."""
        state, answer, unreadable = folded.state, folded.answer, folded.unreadable
        for record in records:
            if record.type == STREAM_RESUMED:
                unreadable = None
                continue
            try:
                recorded = self._codec.recorded(record)
                following = self._decider.evolve(state, cast("Event", recorded.event))
                told = None if self._answer is None else self._answer(answer, recorded)
            except Unavailable:  # the key store does not answer: nothing is wrong with the record
                raise
            except Refusal as refusal:
                unreadable = unreadable or out_of_place(record, refusal)
            except Exception as error:  # noqa: BLE001  # told when it is known that nobody has let the stream go on
                unreadable = unreadable or error
            else:
                state, answer = following, told
        return Folded(Mark.of(records[-1]), state, answer, folded.snapshot, unreadable) if records else folded

    def keep(self, stream: str, folded: Folded[State]) -> Folded[State]:
        """Keep this state of a stream; called after reading the stream or appending to it."""
        snapshots = self._snapshots
        if snapshots is not None and folded.version - folded.snapshot >= snapshots.every:
            self._save(snapshots, stream, folded)
            folded = Folded(folded.mark, folded.state, folded.answer, folded.version)
        self._put(self._warm, stream, folded)
        return folded

    def keep_answer(self, stream: str, folded: Folded[State], command_id: str) -> None:
        """A command was answered with this."""
        if self._answer is not None:
            self._put(self._answers, (stream, folded.version, command_id), folded.answer)

    def forget(self, stream: str) -> None:
        """Nothing is known of the stream any more; it is read from its start, or from a snapshot, when it is needed."""
        self._warm.pop(stream, None)

    async def _read_on(self, stream: str, begin: Folded[State], up_to: int | None) -> Folded[State]:
        folded, short_of = begin, self._empty()
        unseen = begin.mark  # what was folded earlier is right if the log still has its last record
        may_be_shorter = begin.mark is None
        while True:
            after = folded.version - (unseen is not None)
            until = after + self._page if up_to is None else min(after + self._page, up_to)
            records = await self._store.read_stream(stream, until, after)
            end = len(records) < until - after or until == up_to
            if unseen is not None:
                if not records or Mark.of(records[0]) != unseen:
                    folded, unseen = short_of, None
                    continue
                records, unseen = records[1:], None
            folded = self.after(folded, records)
            if end:
                if folded.unreadable is not None:
                    raise folded.unreadable
                return folded
            if may_be_shorter:  # asked for when the stream is known to be long: most are not
                may_be_shorter = False
                snapshot = await self._snapshot(stream, up_to)
                if snapshot is not None and snapshot.version > folded.version:
                    folded, unseen, short_of = snapshot, snapshot.mark, folded

    async def _snapshot(self, stream: str, up_to: int | None) -> Folded[State] | None:
        snapshots = self._snapshots
        if snapshots is None:
            return None
        try:
            found = await snapshots.store.load(self._store.log, stream)
            if found is None or found.form != self._form or (up_to is not None and found.mark.version > up_to):
                return None
            state, answer = self._decode(found.data)
        except (KernelError, msgspec.MsgspecError) as error:
            _log.warning("the snapshot of a stream in %s is not used: %s", self._store.log, type(error).__name__)
            return None
        return Folded(found.mark, state, answer, found.mark.version)

    def _save(self, snapshots: Snapshots, stream: str, folded: Folded[State]) -> None:
        if folded.mark is None:
            return
        data = self._encode((folded.state, folded.answer))
        saving = asyncio.create_task(
            self._save_now(snapshots, stream, Snapshot(self._form, folded.mark, data)), name=f"snapshot of {stream}"
        )
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)

    async def _save_now(self, snapshots: Snapshots, stream: str, snapshot: Snapshot) -> None:
        try:
            await snapshots.store.save(self._store.log, stream, snapshot)
        except KernelError as error:
            _log.warning("a snapshot in %s is not stored: %s", self._store.log, type(error).__name__)

    def _empty(self) -> Folded[State]:
        return Folded(None, self._decider.initial(), None)

    def _put(self, where: OrderedDict[Any, Any], key: object, value: object) -> None:
        where[key] = value
        where.move_to_end(key)
        if len(where) > self._most:
            where.popitem(last=False)


def out_of_place(record: Record, refusal: Refusal) -> CorruptData:
    """What a rule that an event breaks means, when the event is on the log: no answer to a command of now."""
    return CorruptData(
        f"{record.stream}, version {record.version}: expected an event that follows from those before it, found one "
        f"that is refused as {refusal.code}"
    )
