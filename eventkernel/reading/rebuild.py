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

**Several processes** share the filling of the live build, and 2 stops only this one's share: the others go on, and
nobody has to be waited for. So 3 is repeated until the new build has all that the live one has at that moment. While
others never stop writing that may never be seen, because the new build is always some records behind. Therefore, after
some rounds, it has to do that the new build has what the live one had when the last round began, which is a moment ago.
Who asks with a bookmark is not shown anything older even then, because it waits for its position on any build; without
one, an answer may be older by the records of that moment than the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic

from eventkernel.cancelling import finished
from eventkernel.errors import InvalidInput, Unavailable
from eventkernel.events import Position
from eventkernel.reading.filling import Filling
from eventkernel.reading.views import Doc, View, ViewBuild
from eventkernel.writing.store import LogReader

_PAUSE: Final = 0.5
"""Seconds before a build is asked again that cannot be read."""

_LOOK: Final = 60.0
"""Seconds for which a build is asked whether it has got there, before it is asked again."""


_ROUNDS: Final = 20
"""How often the new build is let catch up with a live one that others go on filling."""


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
        while True:
            try:
                if await self.filling.build.reached(position, _LOOK):
                    return
            except Unavailable:  # the filling says so, and goes on when that has passed
                await asyncio.sleep(_PAUSE)


@dataclass(frozen=True, slots=True)
class Rebuilt(Generic[Doc]):
    """The filling of the new live build, and the name of the build that was live before."""

    running: Running[Doc]
    before: str | None


async def rebuild(
    view: View[ViewBuild[Doc]],
    logs: Sequence[LogReader],
    begin: Callable[[ViewBuild[Doc]], Running[Doc]],
    stop_live: Callable[[], Awaitable[None]],
) -> Rebuilt[Doc]:
    """The new live build's filling, at work. `stop_live` ends this process's share of filling the live one; where this
    raises, that may be done, too."""
    build = await view.create()
    new = begin(build)
    try:
        goal = await _live_position(view, logs)
        await new.reach(await _ends(logs) if goal is None else goal)
        await stop_live()
        for _ in range(_ROUNDS):
            goal = await _live_position(view, logs)
            if goal is None or await build.reached(goal, 0):
                break
            await new.reach(goal)
        before = _live(view)
        await finished(partial(view.switch, build.name))
    except BaseException:
        await new.stop()
        with suppress(InvalidInput):  # it went live at the last moment, or is gone already
            await view.drop(build.name)
        raise
    return Rebuilt(new, None if before is None else before.name)


async def _live_position(view: View[ViewBuild[Doc]], logs: Sequence[LogReader]) -> Position | None:
    """As far as the live build, if there is one, and no further than the logs."""
    live = _live(view)
    if live is None:
        return None
    position = (await live.checkpoint()).position
    ends = await _ends(logs)
    return Position({partition: min(offset, position.get(partition, 0)) for partition, offset in ends.items()})


async def _ends(logs: Sequence[LogReader]) -> Position:
    return Position.joined([await log.head() for log in logs])


def _live(view: View[ViewBuild[Doc]]) -> ViewBuild[Doc] | None:
    try:
        return view.live()
    except Unavailable:
        return None
