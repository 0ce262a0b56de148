"""Whether the live build of a view is what its logs say: asked before it answers anybody, and again and again.

A build that is known to be something else answers nobody: an empty or an old answer would look like a true one. One
that was filled from another history of a log is filled anew by the projector; for anything else somebody orders it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from eventkernel.errors import CorruptData, Unavailable
from eventkernel.events import Partition, Position, Record, damage_of
from eventkernel.reading.fitting import Comparable, check_fit, not_shown
from eventkernel.reading.folding import reason_of
from eventkernel.reading.views import BuildRetired, View
from eventkernel.writing.store import Batch, Checkpoint, LogReader

_EVERY_SECONDS: Final = 60.0
_SHARE: Final = 50
"""One part of so many is the time that the sweep takes."""
_AGAIN_SECONDS: Final = 1.0
"""For so long a build that was refused is refused without looking again."""

_log: Final = logging.getLogger(__name__)


class NotAsLogged(Unavailable):
    """The live build of a view is not what its logs say."""


class Auditable(Comparable, Protocol):
    """The part of `ViewBuild` that an audit needs, whatever its documents are."""

    @property
    def name(self) -> str: ...

    async def flaws(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is wrong with a build (empty: nothing), and when that was found, by the loop's clock."""

    flaw: str
    at: float


class Audit:
    """The audit of one view in one process.

    It looks at three things, again and again:

    - whether the build was filled from the logs as they are (`fitting.py`): before it answers for the first time, and
      every minute;
    - whether what it relies on beside its documents is there (`ViewBuild.flaws`): every minute;
    - whether the logs are whole, and each record that the build has read is in the documents: from the logs' start to
      its checkpoint, over and over, in as much time as makes it a fiftieth of a core.
    """

    def __init__(
        self,
        view: View[Auditable],
        logs: Sequence[LogReader],
        *,
        every: float = _EVERY_SECONDS,
        share: int = _SHARE,
    ) -> None:
        self._view = view
        self._logs = logs
        self._every = every
        self._share = share
        self._verdicts: dict[str, _Verdict] = {}
        self._damage: dict[str, str] = {}
        self._not_shown: tuple[str, LogReader, Sequence[Record]] | None = None
        """A build, and records that were not in its documents when they were looked for."""
        self._judging = asyncio.Lock()

    async def admit(self, build: Auditable) -> None:
        """Returns when the build may answer. What was found out before holds for those who ask later.

        Raises:
            NotAsLogged: it may not.
            Unavailable: what it is compared with cannot be read.
            BuildRetired: another one is live.
        """
        flaw = self._known(build)
        if flaw is None:
            async with self._judging:
                flaw = self._known(build)
                if flaw is None:
                    flaw = await self._judge(build)
        if flaw:
            raise NotAsLogged(f"the view {self._view.name} is not what its logs say: {flaw}")

    def flaws(self) -> Sequence[str]:
        """What was found to be wrong with the live build, which answers nobody for that."""
        try:
            verdict = self._verdicts.get(self._view.live().name)
        except Unavailable:
            return ()
        return () if verdict is None or not verdict.flaw else (verdict.flaw,)

    def damage(self) -> Sequence[str]:
        """What was found to be damaged in the logs. The streams that it is in are refused, all others go on."""
        return tuple(self._damage.values())

    async def run(self) -> NoReturn:
        """Look at the live build at once, and then now and then, and sweep the logs, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again_and_again(self.look), name=f"look at {self._view.name}")
            group.create_task(self._again_and_again(self.sweep), name=f"sweep {self._view.name}")
        raise AssertionError("both go on for ever")

    async def look(self) -> None:
        """Compare the live build with its logs now.

        Raises:
            Unavailable, BuildRetired: it cannot be done.
        """
        build = await self._view.ready(self._every)
        async with self._judging:
            await self._judge(build)

    async def sweep(self) -> None:
        """Read the logs up to where the live build is, and look for each record in its documents.

        Raises:
            Unavailable, BuildRetired: it cannot be done.
        """
        build = await self._view.ready(self._every)
        position = (await build.checkpoint()).position
        for log in self._logs:
            found = ""
            try:
                async with aclosing(log.subscribe(Checkpoint())) as batches:
                    async for records in _before(batches, position.within([log.log])):
                        found = found or next((damage_of(record) for record in records if not record.intact), "")
                        await self._look_for(build, log, records)
            except CorruptData as error:
                found = found or str(error)
            self._note_damage(log, found)

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> NoReturn:
        while True:
            try:
                await work()
            except (Unavailable, BuildRetired) as error:
                _log.info("the view %s could not be compared with its logs: %s", self._view.name, error)
            except Exception as error:  # noqa: BLE001  # a defect here must not end what answers requests
                reason = reason_of(error, "comparing the view", self._view.name)  # the traceback may quote data
                _log.error("%s", reason)
            await asyncio.sleep(self._every)

    async def _look_for(self, build: Auditable, log: LogReader, records: Sequence[Record]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if await _missing(build, log, records):
            self._not_shown = (build.name, log, records)
            async with self._judging:
                await self._judge(build)
        await asyncio.sleep(self._share * (loop.time() - begun))

    def _note_damage(self, log: LogReader, found: str) -> None:
        before = self._damage.pop(log.log, "")
        if found:
            self._damage[log.log] = found
        if found and not before:
            _log.error("the log %s is damaged: %s", log.log, found)

    def _known(self, build: Auditable) -> str | None:
        """What is wrong with a build; empty: nothing; None: that has to be found out."""
        verdict = self._verdicts.get(build.name)
        if verdict is None or (verdict.flaw and asyncio.get_running_loop().time() > verdict.at + _AGAIN_SECONDS):
            return None
        return verdict.flaw

    async def _judge(self, build: Auditable) -> str:
        flaw = await self._flaw(build)
        before = self._verdicts.get(build.name)
        if flaw and (before is None or before.flaw != flaw):
            _log.error("the view %s is not what its logs say, and answers nobody: %s", self._view.name, flaw)
        if before is not None and before.flaw and not flaw:
            _log.warning("the view %s is what its logs say, and answers again", self._view.name)
        self._verdicts = {build.name: _Verdict(flaw, asyncio.get_running_loop().time())}
        return flaw

    async def _flaw(self, build: Auditable) -> str:
        try:
            await check_fit(build, self._logs)
        except CorruptData as found:
            return str(found)
        for flaw in await build.flaws():
            return flaw
        if self._not_shown is None or self._not_shown[0] != build.name:
            return ""
        _, log, records = self._not_shown
        missing = await _missing(build, log, records)
        if not missing:
            self._not_shown = None
        return missing


async def _before(batches: AsyncIterator[Batch], position: Position) -> AsyncGenerator[Sequence[Record], None]:
    """The records of one log before a position, in the batches that they come in."""
    reached = Position()
    while not reached.covers(position):
        batch = await anext(batches)
        end = position.get(Partition(batch.log, batch.partition), 0)
        yield [record for record in batch.records if record.offset < end]
        reached = reached.join(Position.of(batch.log, batch.partition, batch.next_offset))


async def _missing(build: Auditable, log: LogReader, records: Sequence[Record]) -> str:
    """What the build lacks of these records; empty: nothing. A document that cannot be read is lacking, too."""
    try:
        for flaw in await not_shown(build, log, records):
            return flaw
    except (Unavailable, BuildRetired):
        raise
    except Exception as error:  # noqa: BLE001  # a document that is damaged may fail in any way
        return reason_of(error, "reading documents of", log.log)
    return ""
