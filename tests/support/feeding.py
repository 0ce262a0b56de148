"""Feeds a build of a view with users' and friends' events as they stand on the logs, in any order of the two logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Generic, TypeVar

import msgspec

from eventkernel.events import Record
from eventkernel.reading.folding import ParkedStreams, fold, streams_of
from eventkernel.reading.views import Projection, ViewBuild
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Batch

Doc = TypeVar("Doc")

USERS = "users.0a"
FRIENDS = "friends.0b"


@dataclass
class Feed(Generic[Doc]):
    """Records wait on two logs until `deliver` folds them into the build, as a projector does.

    The clock moves by one of `paces` (microseconds) for each record; back, too. The times of a stream never go back.
    """

    build: ViewBuild[Doc]
    projection: Projection[Doc]
    codec: Codec
    logs: dict[str, list[Record]] = field(default_factory=lambda: {USERS: [], FRIENDS: []})
    delivered: Counter[str] = field(default_factory=Counter[str])
    paces: Iterator[int] = field(default_factory=lambda: repeat(1_000))
    _versions: Counter[str] = field(default_factory=Counter[str])
    _times: dict[str, int] = field(default_factory=dict[str, int])
    _clock_us: int = 1_000_000

    def create(self, *users: str) -> Feed[Doc]:
        for user in users:
            self._put(USERS, f"user-{user}", "users.UserCreated", {"first_name": "Ada", "last_name": "Lovelace"})
        return self

    def rename(self, user: str) -> Feed[Doc]:
        return self._put(USERS, f"user-{user}", "users.UserUpdated", {"first_name": "Augusta"})

    def delete(self, user: str) -> Feed[Doc]:
        return self._put(USERS, f"user-{user}", "users.UserDeleted", {})

    def add(self, one: str, other: str) -> Feed[Doc]:
        pair = sorted((one, other))
        return self._put(FRIENDS, f"friendship-{'~'.join(pair)}", "friends.FriendAdded", {"users": pair})

    def remove(self, one: str, other: str) -> Feed[Doc]:
        pair = sorted((one, other))
        data = {"users": pair, "reason": "by hand"}
        return self._put(FRIENDS, f"friendship-{'~'.join(pair)}", "friends.FriendRemoved", data)

    async def deliver(self, log: str | None = None, *, first: int | None = None, upto: int | None = None) -> None:
        """Fold what waits on one log or both, in one batch; or any part of a log, once more."""
        batches: list[Batch] = []
        for name in [USERS, FRIENDS] if log is None else [log]:
            start = self.delivered[name] if first is None else first
            end = len(self.logs[name]) if upto is None else upto
            batches.append(Batch(name, 0, self.logs[name][start:end], end, 0))
            self.delivered[name] = max(self.delivered[name], end)
        stored = await self.build.load(streams_of(batches))
        folded = fold(self.projection, dict.fromkeys(self.logs, self.codec), batches, stored, ParkedStreams())
        assert not folded.parked
        await self.build.save(folded)

    def _put(self, log: str, stream: str, event_type: str, data: dict[str, Any]) -> Feed[Doc]:
        self._versions[stream] += 1
        self._clock_us += next(self.paces)
        self._times[stream] = max(self._clock_us, self._times.get(stream, 0))
        offset = len(self.logs[log])
        self.logs[log].append(
            Record(
                log=log,
                partition=0,
                offset=offset,
                id=f"{log}/{offset}",
                type=event_type,
                time_us=self._times[stream],
                stream=stream,
                version=self._versions[stream],
                first_version=self._versions[stream],
                commit_size=1,
                command_id=f"{log}/{offset}",
                fingerprint="f",
                data=msgspec.json.encode(data),
            )
        )
        return self
