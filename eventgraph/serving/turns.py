"""Turns of the event loop: how much work is done in one before others get theirs.

Work is counted in fields, and in what a resolver makes for a list, not in time: either costs some ten microseconds, and
a count is the same on every machine.
The count is of all that is executed on one loop, for it is all of it together that keeps the loop from everybody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final
from weakref import WeakKeyDictionary

FIELDS_PER_TURN: Final = 500
"""How many fields are executed in one turn of the loop, about: 5 ms, or 25 where each of them reads from a view."""

_WOKEN: Final = 16


class Turns:
    """The turns of one event loop.

    `spend` is told of work when it is done. A task that finds nothing `left` of this turn waits for `another`
    one. They are given in the order of asking.
    """

    __slots__ = ("_loop", "_told", "_waiting", "left")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._told = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.left = FIELDS_PER_TURN

    @staticmethod
    def of_this_loop() -> Turns:
        loop = asyncio.get_running_loop()
        found = _known.get(loop)
        if found is None:
            found = _known[loop] = Turns(loop)
        return found

    def spend(self, fields: int) -> None:
        self.left -= fields
        if not self._told:
            self._told = True
            self._loop.call_soon(self._begin)

    async def another(self) -> None:
        """Returns in a turn that has something left."""
        while self.left <= 0:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter

    def _begin(self) -> None:
        self.left = FIELDS_PER_TURN
        self._told = False
        for _ in range(min(_WOKEN, len(self._waiting))):
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if self._waiting:
            self.spend(0)


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()
