"""Members of a group that are told by the test what is theirs, and processes that can be held at any step."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from eventkernel.events import Partition
from eventkernel.reading.membership import NOTHING, Assignment
from infra.patience import seconds


class Member:
    """The port `Membership`; `assign` is the group."""

    def __init__(self) -> None:
        self._assignment = NOTHING
        self._told = asyncio.Event()

    def assign(self, *partitions: Partition, leads: bool = False) -> None:
        self._assignment = Assignment(frozenset(partitions), leads)
        self._told.set()
        self._told = asyncio.Event()

    def assignment(self) -> Assignment:
        return self._assignment

    async def changed(self, seen: Assignment) -> Assignment:
        while self._assignment == seen:
            await self._told.wait()
        return self._assignment


class Hold:
    """Holds a process where it is about to do a step of some name: a `Pause` of `eventkernel.testing.faults`."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}
        self._arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def __call__(self, step: str) -> None:
        go_on = self._held.get(step)
        if go_on is not None:
            self._arrived[step].set()
            await go_on.wait()

    def at(self, step: str) -> None:
        """From now on the process stops before this step."""
        self._held[step] = asyncio.Event()
        self._arrived[step].clear()

    async def arrived(self, step: str) -> None:
        """Returns when the process has stopped there."""
        async with asyncio.timeout(seconds(10)):
            await self._arrived[step].wait()

    def go_on(self, step: str) -> None:
        self._held.pop(step).set()
