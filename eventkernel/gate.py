"""Lets a request through as soon as its view is where the request's bookmark says.

A bookmark names positions in logs. This view reads some of them. Of these it must have reached the position; of the
others only the name is checked: what they hold, this view does not show. A position that the log itself does not have
was never given out by it, so there is no use in waiting for it: the log was made anew, or the bookmark made up.

Reaching a position is not enough where a stream that the bookmark says was written is parked: the checkpoint has
passed, the document has not. What else waits there is unrelated to the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from eventkernel.bookmark import ANY_STREAM, Bookmark, WrittenStream
from eventkernel.errors import InvalidInput, OutOfDate
from eventkernel.events import Partition, Position
from eventkernel.store import LogReader
from eventkernel.views import BuildRetired, View


class Reachable(Protocol):
    """The part of `ViewBuild` that waiting needs, whatever its documents are."""

    async def reached(self, position: Position, timeout: float) -> bool: ...

    async def parked_streams(self) -> Mapping[str, Partition]: ...


BuildT = TypeVar("BuildT", bound=Reachable)


class StreamParked(OutOfDate):
    """Waiting longer does not help: somebody who operates the system has to look at the stream."""


class BookmarkGate(Generic[BuildT]):
    """The gate of one view. `logs` are those that the view reads, `known_logs` the names of all logs of the system."""

    def __init__(self, view: View[BuildT], logs: Sequence[LogReader], known_logs: Collection[str]) -> None:
        self._view = view
        self._logs = {log.log: log for log in logs}
        self._here = {_name(log.log): log.log for log in logs}
        self._known = frozenset(known_logs) | self._here.keys()
        self._heads = Position()

    async def wait(self, bookmark: Bookmark, timeout: float) -> BuildT:
        """The live build, as soon as it is no older than the bookmark; at once for an empty one.

        Raises:
            InvalidInput: the bookmark names an unknown log, or a position past its log's end.
            OutOfDate: the view did not get there within `timeout` seconds, or (`StreamParked`) a stream that was
                written is parked.
            Unavailable: the view had no live build within that time, or a log does not answer.
        """
        await self._check(bookmark.position)
        return await self.reach(bookmark.position.within(self._logs), bookmark.streams, timeout)

    async def caught_up(self, log: LogReader, stream: str, timeout: float) -> BuildT:
        """The live build, as soon as it has reached this log's end of now: what it does not know then, is not there.

        Raises:
            OutOfDate: not within `timeout` seconds, or this stream is parked, so that the build cannot know.
            Unavailable: as for `wait`.
        """
        head = await log.head()
        streams = [WrittenStream(partition.log, partition.number, stream) for partition in head]
        return await self.reach(head, streams, timeout)

    async def reach(self, position: Position, streams: Collection[WrittenStream], timeout: float) -> BuildT:
        """The live build, as soon as it has reached a position of this view's logs and none of the streams is parked.

        Raises:
            StreamParked: one of the streams is parked.
            OutOfDate: the build was not there within `timeout` seconds.
            Unavailable: there was no live build within that time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            build = await self._view.ready(max(0.0, deadline - loop.time()))
            try:
                if position and not await build.reached(position, max(0.0, deadline - loop.time())):
                    raise OutOfDate(f"the view {self._view.name} did not reach the bookmark within {timeout:g} s")
            except BuildRetired:
                continue  # another build is live now
            if streams:
                _refuse_parked(streams, await build.parked_streams(), self._view.name)
            return build

    async def _check(self, position: Position) -> None:
        """Every log is known, and has the position."""
        past = [partition for partition, offset in position.items() if offset > self._heads.get(partition, 0)]
        if not past:
            return  # the usual case: a log's end never goes back
        for partition in past:
            self._check_log(partition)
        for log in {partition.log for partition in past} & self._logs.keys():
            self._heads = self._heads.join(await self._logs[log].head())
        for partition in past:
            head = self._heads.get(partition, 0)
            if partition.log in self._logs and position[partition] > head:
                raise InvalidInput(
                    f"bookmark: expected an offset up to {head} in {partition.log}/{partition.number}, "
                    f"found {position[partition]}"
                )

    def _check_log(self, partition: Partition) -> None:
        if partition.log in self._logs:
            return
        name = _name(partition.log)
        if name in self._here:
            raise InvalidInput(f"bookmark: expected the log {self._here[name]}, found {partition.log!r}")
        if name not in self._known:
            raise InvalidInput(f"bookmark: expected one of the logs {', '.join(sorted(self._known))}, found {name!r}")


def _refuse_parked(written: Iterable[WrittenStream], parked: Mapping[str, Partition], view: str) -> None:
    if not parked:
        return
    waiting = set(parked.values())
    for log, number, stream in written:
        partition = Partition(log, number)
        if parked.get(stream) == partition or (stream == ANY_STREAM and partition in waiting):
            raise StreamParked(f"the view {view} cannot show a stream that was written: it is parked")


def _name(log: str) -> str:
    """A log's id is its name, a dot, and random characters."""
    return log.rpartition(".")[0] or log
