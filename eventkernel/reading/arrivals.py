"""Whoever waits in this process until a build has reached a position, and how they are woken."""

from __future__ import annotations

import asyncio

from eventkernel.events import Position
from eventkernel.reading.views import BuildRetired


class Arrivals:
    """For builds that one process folds: the position is known here, so nobody asks the engine for it.

    To be used on one event loop's thread.
    """

    def __init__(self, position: Position, build: str) -> None:
        self._position = position
        self._build = build
        self._retired = False
        self._waiting: dict[asyncio.Future[bool], Position] = {}

    @property
    def retired(self) -> bool:
        return self._retired

    def check(self) -> None:
        """Raises `BuildRetired` for a build that is no longer folded into."""
        if self._retired:
            raise BuildRetired(self._build)

    def moved(self, position: Position) -> None:
        """The build now stands here: wakes everybody whose position that covers."""
        self._position = position
        for future, wanted in list(self._waiting.items()):
            if not future.done() and position.covers(wanted):
                future.set_result(True)

    def retire(self) -> None:
        """Nothing will move any more: everybody who waits gets `BuildRetired`."""
        self._retired = True
        for future in self._waiting:
            if not future.done():
                future.set_result(False)

    async def reached(self, position: Position, timeout: float) -> bool:
        """As `ViewBuild.reached`."""
        self.check()
        if self._position.covers(position):
            return True
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = position
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        finally:
            del self._waiting[future]
        self.check()
        return True
