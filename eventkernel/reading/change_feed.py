"""The events of some logs that concern a key, after a bookmark, each once: what a subscription is told of.

A subscription's state is a position. Nothing is kept for one that is not connected: whatever it has missed stands on
the logs, and is read from there.

All subscriptions of a feed share one reader at the logs' ends. It decodes each record once, asks once which keys the
event concerns, and wakes those who listen to one of them: an event costs nothing to all others. A subscription that
begins further back reads the logs itself, up to where the shared reader was when it joined. One that takes its changes
more slowly than they come does the same again: its queue is bounded, and what did not fit is on the logs.

On Kafka a commit may stand on the log twice, and the first record of a version counts. A subscription knows the latest
versions that it was told, by its bookmark too, and is not told them again.

A key may have neighbours, whose events concern it as well, and events that concern the key itself make and end them.
Who they are belongs to a subscription's place: it is asked for once, as of where the subscription begins, and follows
from the events that come. The shared reader is ahead of that. So it offers the events of all who have been neighbours
since the subscription was where it is, and the subscription leaves out what does not concern it where it stands.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from eventkernel.errors import CheckpointMismatch, CorruptData, TooCostly, Unavailable
from eventkernel.events import Partition, Position, Record, RecordedEvent
from eventkernel.reading.bookmark import ANY_STREAM, Bookmark, WrittenStream
from eventkernel.reading.following import Source, following
from eventkernel.reading.membership import EVERYTHING
from eventkernel.retrying import Backoff, Troubles
from eventkernel.writing.store import Batch, Checkpoint

KeysOf: TypeAlias = Callable[[RecordedEvent], Collection[str]]
"""The keys that an event concerns; pure."""

Links: TypeAlias = Callable[[RecordedEvent], bool]
"""Whether an event makes the keys that it concerns neighbours of one another, or ends that; pure."""

NeighboursAt: TypeAlias = Callable[[Position], Awaitable[Collection[str]]]
"""The neighbours of a subscription's key, as of a position of the feed's logs."""

_QUEUE: Final = 64
"""How many changes wait for one subscription before it is sent to the logs for them."""

_BEGIN_SECONDS: Final = 10.0
"""How long the ends of the logs may take to be found."""

_CATCHING_UP: Final = 4
"""How many subscriptions of a feed read the logs at the same time."""

_AT_ONCE: Final = 500
"""From so many changes on a subscription has been told them before more is read."""

_VERSIONS: Final = 16
"""Of so many streams a subscription knows the version that it was told last; a bookmark names no more."""

_NEIGHBOURS: Final = 10_000
"""How many neighbours a subscription's key may have. Of those that it has had it keeps at most twice as many."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """An event that concerns somebody: the place of its record."""

    partition: Partition
    offset: int
    stream: str
    version: int
    keys: Collection[str] = field(default=(), compare=False)
    """Whom it concerns, and whether it makes them neighbours; where keys have some."""
    links: bool = field(default=False, compare=False)

    @property
    def position(self) -> Position:
        """A view that has reached it shows the event."""
        return Position({self.partition: self.offset + 1})


@dataclass(frozen=True, slots=True)
class Told:
    """How far a subscription is: `bookmark` is where it goes on, and names every partition of the feed's logs. `change`
    is what stands right before it; None: up to there nothing more has come."""

    bookmark: Bookmark
    change: Change | None = None


class ChangeFeed:
    """The changes of some logs by key. It reads only while somebody listens. With `links`, keys have neighbours."""

    def __init__(
        self, sources: Sequence[Source], keys_of: KeysOf, backoff: Backoff | None = None, links: Links | None = None
    ) -> None:
        self._sources = {source.log.log: source for source in sources}
        self._keys_of = keys_of
        self._links = links
        self._backoff = backoff or Backoff()
        self._listeners: dict[str, set[_Listener]] = {}
        self._following: _Following | None = None
        self._catching_up = asyncio.Semaphore(_CATCHING_UP)

    @property
    def read(self) -> Position:
        """How far the shared reader is: whatever has been told is before it."""
        return Position() if self._following is None else self._following.position

    async def changes(
        self, key: str, after: Bookmark, quiet: float, neighbours_at: NeighboursAt | None = None
    ) -> AsyncGenerator[Told, None]:
        """What concerns the key after the bookmark, in order per partition, for ever.

        At first, and after each `quiet` seconds without a change, it tells only how far it is. A partition that the
        bookmark does not name begins at its end. Whoever asks has checked the bookmark (`BookmarkGate.wait`). What
        `neighbours_at` raises is raised.

        Raises:
            Unavailable: a log cannot be read, or is another history than the one that was read, or too many have been
                neighbours since the beginning; ask again.
            TooCostly: the key has come to have too many neighbours.
        """
        with self._listening(key) as (listener, shared):
            await shared.begun(_BEGIN_SECONDS)
            place, circle = _Place(after, shared.position), _Circle(key)
            if neighbours_at is not None:
                circle.neighbours.update(await neighbours_at(place.position))
                self._listen(listener, circle.neighbours)
            begun, known = shared.position, listener.added
            yield Told(place.bookmark())
            while True:
                while not place.position.covers(begun):
                    missed, read = await self._on_a_log(listener, place.position, begun)
                    for change in missed:
                        if circle.has(change) and place.takes(change):
                            circle.turn(change)
                            yield Told(place.bookmark(), change)
                    place.reached(read)
                    if listener.added > known:  # what concerns the new ones the shared reader has not offered yet
                        begun, known = shared.position, listener.added
                while not listener.has_missed():
                    self._forget_former(listener, circle)
                    waiting = await listener.next(quiet)
                    shared.check()
                    if waiting is not None:
                        if circle.has(waiting) and place.takes(waiting):
                            circle.turn(waiting)
                            yield Told(place.bookmark(), waiting)
                    elif not listener.has_missed():
                        place.reached(shared.position)
                        yield Told(place.bookmark())
                listener.clear()
                begun = shared.position

    @contextmanager
    def _listening(self, key: str) -> Generator[tuple[_Listener, _Following]]:
        """Joins those who share the reader; the first begins it, and the last ends it."""
        if self._following is None or self._following.ended:
            self._following = _Following(tuple(self._sources.values()), self._tell, self._backoff)
        shared, listener = self._following, _Listener(key)
        shared.listeners.add(listener)
        self._listen(listener, (key,))
        try:
            yield listener, shared
        finally:
            shared.listeners.discard(listener)
            self._listen_no_more(listener, set(listener.keys))
            if not shared.listeners:
                shared.end()

    def _listen(self, listener: _Listener, keys: Iterable[str]) -> None:
        for key in keys:
            if key not in listener.keys:
                listener.keys.add(key)
                listener.added += 1
                self._listeners.setdefault(key, set()).add(listener)

    def _forget_former(self, listener: _Listener, circle: _Circle) -> None:
        """Where nothing waits, the subscription is where the shared reader is: former neighbours are none there."""
        if listener.is_idle() and len(listener.keys) > 1 + len(circle.neighbours):
            self._listen_no_more(listener, listener.keys - circle.neighbours - {listener.key})

    def _listen_no_more(self, listener: _Listener, keys: Collection[str]) -> None:
        for key in keys:
            listener.keys.discard(key)
            self._listeners[key].discard(listener)
            if not self._listeners[key]:
                del self._listeners[key]

    def _tell(self, record: Record) -> None:
        keys, links = self._concerned(record)
        concerned = {one for key in keys for one in self._listeners.get(key, ())}
        if not concerned:
            return
        change = self._change(record, keys, links)
        for listener in concerned:
            if links and listener.key in keys and not listener.has_missed():  # else it reads of them on the log
                self._listen(listener, keys)
            listener.offer(change)

    async def _on_a_log(
        self, listener: _Listener, after: Position, until: Position
    ) -> tuple[Sequence[Change], Position]:
        """What concerns the listener's keys between two positions, on the first log of which there is something to
        read, and how far that is: more is not read when enough is found. Keys that become neighbours are listened to
        from there on.

        Raises:
            Unavailable: as for `changes`.
        """
        if len(listener.keys) > 2 * _NEIGHBOURS:
            raise Unavailable(f"more than {2 * _NEIGHBOURS} have been neighbours: begin again with those of now")
        behind = {one: end for one, end in until.items() if after.offsets.get(one, 0) < end}
        log = next(one.log for one in behind)
        left = {partition.number: end for partition, end in behind.items() if partition.log == log}
        found: list[Change] = []
        read = Position()
        # Nothing is given away in here: whoever takes it slowly would keep the others from reading.
        async with self._catching_up, aclosing(self._subscribed(log, after, left)) as batches:
            async for batch in batches:
                end = left.get(batch.partition, 0)
                for record in (record for record in batch.records if record.offset < end):
                    keys, links = self._concerned(record)
                    if not listener.keys.isdisjoint(keys):
                        found.append(self._change(record, keys, links))
                        if links and listener.key in keys:
                            self._listen(listener, keys)
                read = read.join(Position.of(log, batch.partition, min(batch.next_offset, end)))
                if batch.next_offset >= end:
                    left.pop(batch.partition, None)
                if not left or len(found) >= _AT_ONCE:
                    break
        return found, read

    async def _subscribed(self, log: str, after: Position, partitions: Collection[int]) -> AsyncGenerator[Batch, None]:
        subscribed = self._sources[log].log.subscribe(Checkpoint(after.within([log])), frozenset(partitions))
        async with aclosing(subscribed) as batches:
            try:
                async for batch in batches:
                    yield batch
            except CheckpointMismatch as mismatch:
                raise Unavailable(str(mismatch)) from mismatch

    def _concerned(self, record: Record) -> tuple[Collection[str], bool]:
        """The keys that a record concerns, and whether it makes them neighbours. None where it has no event, or one
        that cannot be read: the view parks its stream and says so."""
        if not record.version:
            return (), False
        try:
            recorded = self._sources[record.log].codec.recorded(record)
        except CorruptData:
            return (), False
        return self._keys_of(recorded), self._links is not None and self._links(recorded)

    def _change(self, record: Record, keys: Collection[str], links: bool) -> Change:
        partition = Partition(record.log, record.partition)
        neighbours = () if self._links is None else keys
        return Change(partition, record.offset, record.stream, record.version, neighbours, links)


class _Following:
    """The shared reader: from the logs' ends at its beginning on, as long as anybody listens."""

    def __init__(self, sources: Sequence[Source], tell: Callable[[Record], None], backoff: Backoff) -> None:
        self.listeners: set[_Listener] = set()
        self.position = Position()
        """How far it is. Names every partition."""
        self._logs = [source.log for source in sources]
        self._tell = tell
        self._troubles = Troubles(backoff)
        self._begun = asyncio.Event()
        self._failure: Exception | None = None
        self._task = asyncio.create_task(self._run(), name="follow the logs for subscriptions")

    @property
    def ended(self) -> bool:
        return self._failure is not None or self._task.done() or bool(self._task.cancelling())

    def end(self) -> None:
        self._task.cancel()

    async def begun(self, timeout: float) -> None:
        """Returns when `position` is known; raises Unavailable where it is not in so many seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._begun.wait()
        except TimeoutError:
            raise Unavailable(f"the logs' ends are not known after {timeout:g} s") from None
        self.check()

    def check(self) -> None:
        """Raises Unavailable where nothing will come any more."""
        if self._failure is not None:
            raise Unavailable("the logs cannot be followed any more") from self._failure

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception as failure:  # noqa: BLE001  # whatever it is, those who listen are to be told
            _log.warning("subscriptions end, because their logs cannot be followed: %s", type(failure).__name__)
            self._failure = failure
        finally:
            self._begun.set()
            for listener in self.listeners:
                listener.wake()

    async def _follow(self) -> None:
        heads = [
            await self._troubles.until_done(f"asking for the end of the log {log.log}", log.head, on=Unavailable)
            for log in self._logs
        ]
        self.position = Position({one: offset for head in heads for one, offset in head.items()})
        self._begun.set()
        async with following(self._logs, Checkpoint(self.position), self._troubles, EVERYTHING) as logs:
            while True:
                batches = await logs.next()
                for batch in batches:
                    self._take(batch)
                logs.finished(batches)

    def _take(self, batch: Batch) -> None:
        partition = Partition(batch.log, batch.partition)
        seen = self.position.offsets.get(partition, 0)
        for record in batch.records:
            if record.offset >= seen:
                self._tell(record)
        self.position = self.position.join(Position({partition: batch.next_offset}))


class _Listener:
    """What waits for one subscription."""

    __slots__ = ("_missed", "_queue", "_woken", "added", "key", "keys")

    def __init__(self, key: str) -> None:
        self.key = key
        self.keys: set[str] = set()
        """Those that it listens to: its own, and all who have been neighbours since where the subscription is."""
        self.added = 0
        """How many have been added to these since the beginning."""
        self._queue: deque[Change] = deque()
        self._woken: asyncio.Future[None] | None = None
        self._missed = False

    def has_missed(self) -> bool:
        """Whether something did not fit: what waited is forgotten, and has to be read on the logs."""
        return self._missed

    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._queue and not self._missed

    def clear(self) -> None:
        self._queue.clear()
        self._missed = False

    def offer(self, change: Change) -> None:
        if self._missed:
            return
        if len(self._queue) < _QUEUE:
            self._queue.append(change)
        else:
            self.clear()
            self._missed = True
        self.wake()

    def wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def next(self, quiet: float) -> Change | None:
        """The oldest change; None if none has come for so many seconds, or if it is to be looked what has happened."""
        if not self._queue:
            self._woken = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._woken,), timeout=quiet)
            self._woken = None
        return self._queue.popleft() if self._queue else None


class _Circle:
    """A key and its neighbours, where one subscription is."""

    def __init__(self, key: str) -> None:
        self.neighbours: set[str] = set()
        self._key = key

    def has(self, change: Change) -> bool:
        """Whether it concerns them. Where there are no neighbours, only what concerns the key is looked at."""
        return not change.keys or self._key in change.keys or not self.neighbours.isdisjoint(change.keys)

    def turn(self, change: Change) -> None:
        """What comes after the change: who is a neighbour by it, or no longer."""
        if self._key in change.keys:
            others = set(change.keys) - {self._key}
            if change.links:
                self.neighbours |= others
                if len(self.neighbours) > _NEIGHBOURS:
                    raise TooCostly(f"expected a key with at most {_NEIGHBOURS} neighbours, found one with more")
            else:
                self.neighbours -= others


class _Place:
    """Where one subscription is."""

    def __init__(self, after: Bookmark, ends: Position) -> None:
        """`ends` names every partition of the feed's logs."""
        self._rest = Bookmark(Position({one: at for one, at in after.position.items() if one not in ends}))
        """Of logs that the feed does not read."""
        named = {one: after.position.offsets.get(one, end) for one, end in ends.items()}
        self.position = Position(named)
        self._versions: OrderedDict[WrittenStream, int] = OrderedDict(
            (stream, version) for stream, version in after.streams.items() if stream.name != ANY_STREAM
        )

    def takes(self, change: Change) -> bool:
        """Moves behind the change; False where it has been told before."""
        if change.offset < self.position.offsets.get(change.partition, 0):
            return False
        self.reached(change.position)
        stream = WrittenStream(*change.partition, change.stream)
        if change.version <= self._versions.get(stream, 0):
            return False
        self._versions[stream] = change.version
        self._versions.move_to_end(stream)
        if len(self._versions) > _VERSIONS:
            self._versions.popitem(last=False)
        return True

    def reached(self, position: Position) -> None:
        self.position = self.position.join(position)

    def bookmark(self) -> Bookmark:
        streams: Mapping[WrittenStream, int] = dict(self._versions)
        return Bookmark(self.position, streams).join(self._rest)
