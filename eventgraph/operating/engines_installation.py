"""The distributed system as operators' commands see it: its logs, its views, whatever of it runs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eventgraph.errors import StartError
from eventgraph.operating.folder_logs import check_logs
from eventgraph.operating.merged_log import MergedLog
from eventgraph.operating.operated import served_here
from eventgraph.running.claims_keys import from_settings as claims_keys
from eventgraph.running.control_socket import Control
from eventgraph.running.engines import Engines, Work, opened
from eventgraph.running.settings import EngineSettings, engine_settings
from eventgraph.serving.served import ServedSubgraph
from eventgraph.system import System
from eventkernel.archiving.archiver import ArchivableLog
from eventkernel.clock import SystemClock
from eventkernel.errors import KernelError, Unavailable
from eventkernel.events import Position
from eventkernel.reading.views import ParkedRecord, State, ViewBuild


@dataclass(frozen=True, slots=True)
class _Live:
    """A live build, as `LiveView` has it."""

    build: ViewBuild[Any]
    position: Position
    parked: Sequence[ParkedRecord]
    as_kept: bool

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Any]]:
        return await self.build.load(streams)


@dataclass(frozen=True)
class EnginesInstallation:
    """The distributed system that the settings name, whatever of it runs: as `Installation` has it."""

    system: System
    settings: EngineSettings

    @classmethod
    def from_environment(cls, system: System) -> Self:
        """
        Raises:
            StartError: a setting is wrong.
        """
        # What it warns of becomes the error of the command, or passes: the person at the terminal is told once.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        return cls(system, engine_settings(system))

    @property
    def name(self) -> str:
        return f"the system {self.settings.name} on {self.settings.kafka_bootstrap}"

    @asynccontextmanager
    async def logs(self, names: Sequence[str]) -> AsyncGenerator[Sequence[ArchivableLog]]:
        check_logs(self.system, names)
        async with self._looking() as engines:
            try:
                yield [await engines.log(name) for name in names]
            except KernelError as error:
                raise StartError(f"{self.name} cannot be read: {error}") from error

    @asynccontextmanager
    async def exports(self) -> AsyncGenerator[Sequence[MergedLog]]:
        keys, logs = claims_keys(self.system, self.settings), self.system.logs
        async with self._looking() as engines:
            # The last one's end first: what its events name of the others is then before their ends, taken later.
            made: dict[str, MergedLog] = {}
            for name in reversed(logs):
                log = await engines.log(name)
                made[name] = MergedLog.of(log, await log.head(), keys[name])
            yield [made[name] for name in logs]

    @asynccontextmanager
    async def live_view(self, view: str) -> AsyncGenerator[_Live]:
        async with self._looking() as engines:
            as_kept = False
            try:
                build = (await engines.live_view(view)).live()
            except Unavailable as error:
                other = await engines.documents_as_kept(view)
                if other is None:
                    raise StartError(f"the view {view} cannot be compared with: {error}") from error
                build, as_kept = other.live(), True
            yield _Live(build, (await build.checkpoint()).position, await build.parked(), as_kept)

    @contextmanager
    def operated(self) -> Generator[Control]:
        @asynccontextmanager
        async def all_of_it() -> AsyncGenerator[Sequence[ServedSubgraph]]:
            await self._look_for_views()
            async with AsyncExitStack() as stack:
                looking = [
                    await stack.enter_async_context(
                        opened(self.system, self.settings, name, Work.LOOKING, SystemClock())
                    )
                    for name in self.system.names
                ]
                yield [one.subgraph for one in looking]

        with tempfile.TemporaryDirectory(prefix=f"{self.system.name}-") as folder:
            try:
                with served_here(self.system, all_of_it, Path(folder), self.name, catch_up=False) as control:
                    yield control
            except KernelError as error:
                raise StartError(f"{self.name} cannot be reached: {error}") from error

    async def _look_for_views(self) -> None:
        """That they are there: a command makes no topics, and does not wait for what nobody may be filling.

        Raises:
            StartError: a view has no live build.
            Unavailable: a log is not made yet, or an engine does not answer.
        """
        async with self._looking() as engines:
            for name in self.system.names:
                view = await engines.live_view(name)
                try:
                    view.live()
                except Unavailable as error:
                    command = self.system.name
                    raise StartError(
                        f"{error}: `{command} serve {name}` or `{command} project {name}` fills it"
                    ) from error

    @asynccontextmanager
    async def _looking(self) -> AsyncGenerator[Engines]:
        async with AsyncExitStack() as stack:
            yield Engines(self.system, self.settings, Work.LOOKING, SystemClock(), stack)
