"""The port that says which partitions are this process's to work on, where several processes share the work.

Whoever folds a log (a projector, a process manager) is a *member* of a group; each partition is assigned to one member
at a time, as far as the group knows. A member that was cut off may go on for a while beside its successor: what it
does then has no further effect, because states carry versions, checkpoints never go back, and reactions have command
ids made from their events. So an assignment saves work; nothing depends on it for being right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

from eventkernel.cancelling import unless
from eventkernel.events import Partition


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a member has to work on: these partitions; None means all of them.

    `leads` is true for one member of the group: it does what is to be done once, such as filling a view's first build.
    """

    partitions: frozenset[Partition] | None
    leads: bool

    def of(self, log: str) -> frozenset[int] | None:
        """The numbers of the assigned partitions of one log; None means all of them."""
        if self.partitions is None:
            return None
        return frozenset(partition.number for partition in self.partitions if partition.log == log)

    def has(self, partition: Partition) -> bool:
        return self.partitions is None or partition in self.partitions


class Membership(Protocol):
    """One process's place in a group. Neither method raises: what the group cannot tell now, it tells later."""

    def assignment(self) -> Assignment:
        """What is assigned now; nothing as long as the group has not told."""
        ...

    async def changed(self, seen: Assignment) -> Assignment:
        """The assignment, as soon as it is another one than `seen`."""
        ...


EVERYTHING: Final = Assignment(None, leads=True)
NOTHING: Final = Assignment(frozenset(), leads=False)


class Alone:
    """The membership of a process that shares with nobody."""

    def assignment(self) -> Assignment:
        return EVERYTHING

    async def changed(self, seen: Assignment) -> Assignment:
        """Waits for ever, unless what was seen is somebody else's."""
        if seen == EVERYTHING:
            await asyncio.get_running_loop().create_future()
        return EVERYTHING


class Watching:
    """The membership of a process that leaves the work to the others of the group: it looks, and is told what to do."""

    def assignment(self) -> Assignment:
        return NOTHING

    async def changed(self, seen: Assignment) -> Assignment:
        """Waits for ever, unless what was seen is somebody else's."""
        if seen == NOTHING:
            await asyncio.get_running_loop().create_future()
        return NOTHING


class JoiningLater:
    """For a build that is filled beside the live one: all of the work is one member's, and the group's share of it is
    from `join` on."""

    def __init__(self, group: Membership) -> None:
        self._group = group
        self._joined = asyncio.Event()

    def join(self) -> None:
        self._joined.set()

    def assignment(self) -> Assignment:
        return self._group.assignment() if self._joined.is_set() else EVERYTHING

    async def changed(self, seen: Assignment) -> Assignment:
        if not self._joined.is_set():
            if seen != EVERYTHING:
                return EVERYTHING
            await self._joined.wait()
        return await self._group.changed(seen)


async def with_each_assignment(
    membership: Membership, work: Callable[[Assignment], Coroutine[Any, Any, NoReturn]]
) -> NoReturn:
    """Works on what is assigned. Where that changes the work is cancelled, and begins anew as soon as it has ended.

    Raises what the work raises.
    """
    while True:
        assignment = membership.assignment()
        await unless(membership.changed(assignment), work(assignment))


async def lead_passes(membership: Membership, leads: bool) -> None:
    """Returns when this member leads and did not, or the other way round."""
    assignment = membership.assignment()
    while assignment.leads == leads:
        assignment = await membership.changed(assignment)
