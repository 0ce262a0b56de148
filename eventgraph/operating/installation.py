"""A system as the operators' commands see it: a data folder, or the engines of the distributed mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from eventgraph.system import System
from eventkernel.archiving.archiver import ArchivableLog
from eventkernel.events import Position, Record
from eventkernel.reading.views import ParkedRecord, State
from eventkernel.writing.claims import ClaimsKey

if TYPE_CHECKING:
    from eventgraph.running.control_socket import Control


class ExportedLog(Protocol):
    """A log as an export has it: its fence first, then its records at offsets without gaps, in one partition."""

    @property
    def log(self) -> str:
        """The id that it has in the copy."""
        ...

    @property
    def key(self) -> ClaimsKey: ...

    @property
    def size(self) -> int:
        """About how many records there are."""
        ...

    def batches(self) -> AsyncIterator[Sequence[Record]]: ...


class LiveView(Protocol):
    """A view's live build, to compare with."""

    @property
    def position(self) -> Position:
        """It shows everything up to there."""
        ...

    @property
    def parked(self) -> Sequence[ParkedRecord]: ...

    @property
    def as_kept(self) -> bool:
        """Its documents have other fields or indexes than this release's: each comes as names and values (a dict)."""
        ...

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Any]]:
        """The latest states of these streams: those at `position`, or later ones."""
        ...


class Installation(Protocol):
    """What commands need that work on both."""

    @property
    def system(self) -> System: ...

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def logs(self, names: Sequence[str]) -> AbstractAsyncContextManager[Sequence[ArchivableLog]]:
        """These logs, to be read, also while others write them.

        Raises:
            StartError: a name is no log's, or a log is not there or cannot be read.
        """
        ...

    def exports(self) -> AbstractAsyncContextManager[Sequence[ExportedLog]]:
        """Every log with its claims key, for a copy. Raises what the kernel's stores raise."""
        ...

    def live_view(self, view: str) -> AbstractAsyncContextManager[LiveView]:
        """
        Raises:
            StartError: the view has no live build.
        """
        ...

    def operated(self) -> AbstractContextManager[Control]:
        """The system, to ask how it is and to have its views rebuilt and parked streams tried again.

        Raises:
            StartError: there is none, or it does not answer.
        """
        ...


@dataclass(frozen=True)
class FolderInstallation:
    """A data folder, whether or not the system runs on it."""

    system: System
    data: Path

    @property
    def name(self) -> str:
        return f"the data folder {self.data}"

    def logs(self, names: Sequence[str]) -> AbstractAsyncContextManager[Sequence[ArchivableLog]]:
        from eventgraph.operating.folder_logs import logs_of  # noqa: PLC0415  # loads no more than the command needs

        return logs_of(self.system, self.data, names)

    def exports(self) -> AbstractAsyncContextManager[Sequence[ExportedLog]]:
        from eventgraph.operating.folder_logs import exports_of  # noqa: PLC0415  # the same

        return exports_of(self.system, self.data)

    def live_view(self, view: str) -> AbstractAsyncContextManager[LiveView]:
        from eventgraph.operating.folder_views import snapshot_of  # noqa: PLC0415  # the same

        return snapshot_of(self.system, self.data, view)

    def operated(self) -> AbstractContextManager[Control]:
        from eventgraph.operating.operated import system_of  # noqa: PLC0415  # loads the schemas

        return system_of(self.system, self.data)


def chosen(system: System, data: Path, distributed: bool) -> Installation:
    """What the options `--data` and `--distributed` name."""
    if not distributed:
        return FolderInstallation(system, data)
    from eventgraph.operating.engines_installation import EnginesInstallation  # noqa: PLC0415  # loads the drivers

    return EnginesInstallation.from_environment(system)
