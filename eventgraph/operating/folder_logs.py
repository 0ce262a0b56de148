"""Reading the logs of a data folder from outside, also while another process writes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from eventgraph.errors import StartError
from eventgraph.running.data_folder import log_file
from eventgraph.system import System
from eventkernel.adapters.sqlite.event_store import SqliteLog
from eventkernel.adapters.sqlite.log_copy import LogExport
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_key
from eventkernel.errors import KernelError
from eventkernel.events import Record
from eventkernel.writing.claims import ClaimsKey


def check_logs(system: System, names: Sequence[str]) -> None:
    """Raises StartError where a name is no log's."""
    unknown = sorted(set(names) - set(system.logs))
    if unknown:
        raise StartError(f"there is no log {unknown[0]!r}, only {' and '.join(system.logs)}")


@asynccontextmanager
async def logs_of(system: System, data: Path, names: Sequence[str]) -> AsyncGenerator[Sequence[SqliteLog]]:
    """These logs of a data folder, to be read.

    Raises:
        StartError: a name is no log's, or the folder holds no such log, or one that cannot be read.
    """
    check_logs(system, names)
    async with AsyncExitStack() as stack:
        try:
            logs = [
                await stack.enter_async_context(await SqliteLog.open_read_only(log_file(data, name))) for name in names
            ]
        except KernelError as error:
            raise StartError(f"the data folder {data} cannot be read: {error}") from error
        try:
            yield logs
        except KernelError as error:
            raise StartError(f"the data folder {data} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class _Export:
    """One log's file, as `ExportedLog` has it."""

    file: LogExport
    key: ClaimsKey

    @property
    def log(self) -> str:
        return self.file.log

    @property
    def size(self) -> int:
        return self.file.end

    async def batches(self) -> AsyncGenerator[Sequence[Record], None]:
        for batch in self.file.batches():
            yield batch


@asynccontextmanager
async def exports_of(system: System, data: Path) -> AsyncGenerator[Sequence[_Export]]:
    """Every log of a data folder, for an export; as it is, with its fences."""
    with ExitStack() as stack:
        # The last one's end first: what its events name of the others is then before their ends, taken later.
        files = {name: stack.enter_context(LogExport(log_file(data, name))) for name in reversed(system.logs)}
        yield [_Export(files[name], read_key(claims_key_path(log_file(data, name)))) for name in system.logs]
