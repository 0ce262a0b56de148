"""Lets a request through as soon as its view is where the request's bookmark says, or knows the past it asks for.

A bookmark names positions in logs. This view reads some of them. Of these it must have reached the position. The others
it only carries along: what they hold, this view does not show. Where the system is known as a whole, their names are
checked: a log that none of its subgraphs has is of another system. A position that the log itself does not have was
never given out by it, so there is no use in waiting for it: the log was made anew, or the bookmark made up.

Reaching a position is not enough where a stream that the bookmark says was written is parked: the checkpoint has
passed, the document has not. What else waits there is unrelated to the request.

A request about the past is let through when nothing of that past can still be missing. For a moment that is when the
view has reached the end that its logs have now; for a position, when it has reached that. A record that is parked and
had happened by then is missing, whatever it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from eventkernel.clock import Clock, SystemClock
from eventkernel.errors import InvalidInput, OutOfDate, Unavailable
from eventkernel.events import Partition, Position, log_name, moment
from eventkernel.reading.as_of import AsOf, Moment, happened
from eventkernel.reading.audit import Audit, Auditable, NotAsLogged
from eventkernel.reading.bookmark import ANY_STREAM, Bookmark, WrittenStream
from eventkernel.reading.views import BuildRetired, View
from eventkernel.writing.store import LogReader

SYSTEM_CLOCK: Final = SystemClock()

_AGAIN_SECONDS: Final = 0.01
_REFUSED_SECONDS: Final = 0.05


class Reachable(Auditable, Protocol):
    """The part of `ViewBuild` that waiting needs, whatever its documents are."""

    async def reached(self, position: Position, timeout: float) -> bool: ...

    async def parked_streams(self, streams: Collection[str] | None = None) -> Mapping[str, Partition]: ...


BuildT = TypeVar("BuildT", bound=Reachable)


class StreamParked(OutOfDate):
    """Waiting longer does not help: somebody who operates the system has to look at the stream."""


class BookmarkGate(Generic[BuildT]):
    """The gate of one view. `logs` are those that the view reads; `known_logs` are the names of all logs of the system,
    or None where nobody here knows them: a bookmark may then name any. `clock` is the one that the logs' events have
    their times from. `audit` says which builds may answer; without it all may."""

    def __init__(
        self,
        view: View[BuildT],
        logs: Sequence[LogReader],
        known_logs: Collection[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        audit: Audit | None = None,
    ) -> None:
        self._view = view
        self._clock = clock
        self._logs = {log.log: log for log in logs}
        self._here = {log_name(log.log): log.log for log in logs}
        self._known = None if known_logs is None else frozenset(known_logs) | self._here.keys()
        self._heads = Position()
        self._audit = audit

    async def wait(self, bookmark: Bookmark, timeout: float) -> BuildT:
        """The live build, as soon as it is no older than the bookmark; at once for an empty one.

        Raises:
            InvalidInput: the bookmark names an unknown log, or a position past its log's end.
            OutOfDate: the view did not get there within `timeout` seconds, or (`StreamParked`) a stream that was
                written is parked.
            Unavailable: the view had no live build within that time, or one that is not what its logs say, or a log
                does not answer.
        """
        await self.check(bookmark)
        return await self.reach(bookmark.position.within(self._logs), bookmark.streams, timeout)

    async def check(self, bookmark: Bookmark) -> None:
        """Whether the bookmark is one of these logs; waits for nothing.

        Raises:
            InvalidInput, Unavailable: as for `wait`.
        """
        await self._check(bookmark.position, "bookmark")

    async def wait_for_past(self, as_of: AsOf, bookmark: Bookmark, timeout: float) -> BuildT:
        """The live build, as soon as it is no older than the bookmark and nothing that had happened then is missing.

        Raises:
            InvalidInput: as for `wait`; the moment is still to come; or the position does not name every partition of
                this view's logs.
            OutOfDate: as for `wait`; or (`StreamParked`) a record that had happened then is parked.
            Unavailable: as for `wait`.
        """
        await self._check(bookmark.position, "bookmark")
        past = await self._heads_at(as_of) if isinstance(as_of, Moment) else await self._complete(as_of)
        build = await self.reach(bookmark.position.join(past).within(self._logs), bookmark.streams, timeout)
        if await build.parked_streams():
            for entry in await build.parked():
                record = entry.record
                place = Partition(record.log, record.partition)
                if not entry.skipped and happened(as_of, record.time_us, place, record.offset):
                    raise StreamParked(f"the view {self._view.name} cannot show all of this past: a stream is parked")
        return build

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
                if self._audit is not None:
                    await self._audit.admit(build)
                if position and not await build.reached(position, max(0.0, deadline - loop.time())):
                    raise OutOfDate(f"the view {self._view.name} did not reach the bookmark within {timeout:g} s")
            except NotAsLogged:
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(_REFUSED_SECONDS)  # another one is being filled, perhaps
                continue
            except BuildRetired as retired:
                # Another build is live now. This process may not know yet which: it learns that while this one sleeps.
                if loop.time() >= deadline:
                    raise Unavailable(f"the view {self._view.name}: another build than {retired} went live") from None
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if await _are_parked(streams, build):
                raise StreamParked(f"the view {self._view.name} cannot show a stream that was written: it is parked")
            return build

    async def _heads_at(self, as_of: Moment) -> Position:
        now_us = self._clock.now_us()
        if as_of.time_us > now_us:
            now = moment(now_us).isoformat()
            raise InvalidInput(f"As-Of: expected a moment that is not after now ({now}), found one to come")
        return Position.joined([await log.head() for log in self._logs.values()])

    async def _complete(self, as_of: Position) -> Position:
        await self._check(as_of, "As-Of")
        for log in self._logs.values():
            unnamed = sorted(partition.number for partition in await log.head() if partition not in as_of)
            if unnamed:
                raise InvalidInput(
                    f"As-Of: expected a bookmark that names every partition of {log.log}, found none for "
                    f"{', '.join(map(str, unnamed))}: take one from an answer that was read from there"
                )
        return as_of

    async def _check(self, position: Position, name: str) -> None:
        """Every log is known, and has the position; `name` says what gave it."""
        past = [partition for partition, offset in position.items() if offset > self._heads.get(partition, 0)]
        if not past:
            return  # the usual case: a log's end never goes back
        for partition in past:
            self._check_log(partition, name)
        for log in {partition.log for partition in past} & self._logs.keys():
            self._heads = self._heads.join(await self._logs[log].head())
        for partition in past:
            head = self._heads.get(partition, 0)
            if partition.log in self._logs and position[partition] > head:
                raise InvalidInput(
                    f"{name}: expected an offset up to {head} in {partition.log}/{partition.number}, "
                    f"found {position[partition]}"
                )

    def _check_log(self, partition: Partition, name: str) -> None:
        if partition.log in self._logs:
            return
        log = log_name(partition.log)
        if log in self._here:
            raise InvalidInput(f"{name}: expected the log {self._here[log]}, found {partition.log!r}")
        if self._known is not None and log not in self._known:
            raise InvalidInput(f"{name}: expected one of the logs {', '.join(sorted(self._known))}, found {log!r}")


async def _are_parked(written: Collection[WrittenStream], build: Reachable) -> bool:
    """Whether one of these streams waits in the build; of very many, a bookmark names only the partition."""
    named = {one.name for one in written if one.name != ANY_STREAM}
    somewhere = {Partition(one.log, one.partition) for one in written if one.name == ANY_STREAM}
    if named:
        parked = await build.parked_streams(named)
        if any(parked.get(stream) == Partition(log, number) for log, number, stream in written):
            return True
    return bool(somewhere) and not somewhere.isdisjoint((await build.parked_streams()).values())
