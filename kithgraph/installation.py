"""A system as the operators' commands see it: a data folder, or the engines of the distributed mode."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eventkernel.store import LogReader
from kithgraph.control_socket import Control
from kithgraph.data_folder import LOG_NAMES


class Installation(Protocol):
    """What commands need that work on both."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def logs(self, names: Sequence[str] = LOG_NAMES) -> AbstractAsyncContextManager[Sequence[LogReader]]:
        """These logs, to be read, also while others write them.

        Raises:
            StartError: a name is no log's, or a log is not there or cannot be read.
        """
        ...

    def system(self) -> AbstractContextManager[Control]:
        """The system, to ask how it is and to have its views rebuilt and parked streams tried again.

        Raises:
            StartError: there is none, or it does not answer.
        """
        ...


@dataclass(frozen=True)
class FolderInstallation:
    """A data folder, whether or not `kith up` runs on it."""

    data: Path

    @property
    def name(self) -> str:
        return f"the data folder {self.data}"

    def logs(self, names: Sequence[str] = LOG_NAMES) -> AbstractAsyncContextManager[Sequence[LogReader]]:
        from kithgraph.folder_logs import logs_of  # noqa: PLC0415  # loads no more than the command needs

        return logs_of(self.data, names)

    def system(self) -> AbstractContextManager[Control]:
        from kithgraph.operated import system_of  # noqa: PLC0415  # loads the schemas

        return system_of(self.data)


def chosen(data: Path, distributed: bool) -> Installation:
    """What the options `--data` and `--distributed` name."""
    if not distributed:
        return FolderInstallation(data)
    from kithgraph.engines import EnginesInstallation  # noqa: PLC0415  # loads the drivers

    return EnginesInstallation.from_environment()
