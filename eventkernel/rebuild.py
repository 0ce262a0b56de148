"""Filling a new build of a view beside the live one, and changing over without a gap.

1. Make an empty build and fill it from the start of the logs, with a `Filling` of its own. Requests read the live one,
   which its own `Filling` keeps up to date meanwhile.
2. When the new build has reached the position that the live one had a moment ago, stop filling the live one. Its
   position is now final.
3. When the new build has reached that, too, no partition of it is behind: switch, in one step. Who waits on the old
   build is told (`BuildRetired`) and waits on the new one; the new build's `Filling` just goes on.

Between 2 and 3 the live build stands still for as long as the new one needs for the last few records. What fails or is
cancelled before the switch drops the new build, and the projector goes on with the live one; what kills the process
leaves a build that is not live, and the view removes that when it is opened next.

The first build of a view has no live one before it: there the logs' ends at the beginning are the position to reach.
Nor can more be reached than a log has: where one was restored to less than the live build has seen, its end has to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic

from eventkernel.events import Position
from eventkernel.filling import Filling
from eventkernel.store import LogReader
from eventkernel.views import Doc, View, ViewBuild

_LOOK: Final = 60.0
"""Seconds for which a build is asked whether it has got there, before it is asked again."""


class Running(Generic[Doc]):
    """A `Filling` at work."""

    def __init__(self, filling: Filling[Doc]) -> None:
        self.filling = filling
        self.task: asyncio.Task[None] = asyncio.create_task(filling.run(), name=f"fill {filling.build.name}")

    async def stop(self) -> None:
        """Stop filling; returns when the last save is done."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def reach(self, position: Position) -> None:
        """Returns when the build is there; raises what ends the filling before that."""
        arriving = asyncio.create_task(self._arrive(position))
        try:
            await asyncio.wait((arriving, self.task), return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                self.task.result()
            await arriving
        finally:
            arriving.cancel()

    async def _arrive(self, position: Position) -> None:
        while not await self.filling.build.reached(position, _LOOK):
            pass


async def rebuild(
    view: View[ViewBuild[Doc]],
    logs: Sequence[LogReader],
    begin: Callable[[ViewBuild[Doc]], Running[Doc]],
    live: Running[Doc] | None,
) -> Running[Doc]:
    """The new live build's filling, at work. `live` is stopped then; where this raises it may be, too."""
    build = await view.create()
    new = begin(build)
    try:
        await new.reach(await _goal(logs, live))
        if live is not None:
            await live.stop()
            await new.reach(await _goal(logs, live))
        await view.switch(build.name)
    except BaseException:
        await new.stop()
        await view.drop(build.name)
        raise
    return new


async def _goal(logs: Sequence[LogReader], live: Running[Doc] | None) -> Position:
    """Where the new build has to be: as far as the live one, and no further than the logs."""
    ends = Position.joined([await log.head() for log in logs])
    if live is None:
        return ends
    position = (await live.filling.build.checkpoint()).position
    return Position({partition: min(offset, position.get(partition, 0)) for partition, offset in ends.items()})
