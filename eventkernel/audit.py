"""Whether the live build of a view is what its logs say: asked before it answers anybody, and again and again.

A build that is known to be something else answers nobody: an empty or an old answer would look like a true one. One
that was filled from another history of a log is filled anew by the projector; for anything else somebody orders it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from eventkernel.errors import CorruptData, Unavailable
from eventkernel.fitting import Comparable, check_fit
from eventkernel.store import LogReader
from eventkernel.views import BuildRetired, View

_EVERY_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 1.0
"""For so long a build that was refused is refused without looking again."""

_log: Final = logging.getLogger(__name__)


class NotAsLogged(Unavailable):
    """The live build of a view is not what its logs say."""


class Auditable(Comparable, Protocol):
    """The part of `ViewBuild` that an audit needs, whatever its documents are."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is wrong with a build (empty: nothing), and when that was found, by the loop's clock."""

    flaw: str
    at: float


class Audit:
    """The audit of one view in one process."""

    def __init__(self, view: View[Auditable], logs: Sequence[LogReader], *, every: float = _EVERY_SECONDS) -> None:
        self._view = view
        self._logs = logs
        self._every = every
        self._verdicts: dict[str, _Verdict] = {}
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
        """What was found to be wrong with the live build."""
        try:
            verdict = self._verdicts.get(self._view.live().name)
        except Unavailable:
            return ()
        return () if verdict is None or not verdict.flaw else (verdict.flaw,)

    async def run(self) -> NoReturn:
        """Look at the live build at once, and then now and then, until cancelled."""
        while True:
            try:
                await self.look()
            except (Unavailable, BuildRetired) as error:
                _log.info("the view %s could not be compared with its logs: %s", self._view.name, error)
            except Exception:  # noqa: BLE001  # a defect here must not end what answers requests
                _log.exception("the view %s could not be compared with its logs", self._view.name)
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Compare the live build with its logs now.

        Raises:
            Unavailable, BuildRetired: it cannot be done.
        """
        build = await self._view.ready(self._every)
        async with self._judging:
            await self._judge(build)

    def _known(self, build: Auditable) -> str | None:
        """What is wrong with a build; empty: nothing; None: that has to be found out."""
        verdict = self._verdicts.get(build.name)
        if verdict is None or (verdict.flaw and asyncio.get_running_loop().time() > verdict.at + _AGAIN_SECONDS):
            return None
        return verdict.flaw

    async def _judge(self, build: Auditable) -> str:
        flaw = ""
        try:
            await check_fit(build, self._logs)
        except CorruptData as found:
            flaw = str(found)
        before = self._verdicts.get(build.name)
        if flaw and (before is None or before.flaw != flaw):
            _log.error("the view %s is not what its logs say, and answers nobody: %s", self._view.name, flaw)
        if before is not None and before.flaw and not flaw:
            _log.warning("the view %s is what its logs say, and answers again", self._view.name)
        self._verdicts = {build.name: _Verdict(flaw, asyncio.get_running_loop().time())}
        return flaw
