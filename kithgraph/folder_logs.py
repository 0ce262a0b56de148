"""Reading the logs of a data folder from outside, also while another process writes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from eventkernel.adapters.sqlite.event_store import SqliteLog
from eventkernel.errors import KernelError
from kithgraph.data_folder import LOG_NAMES, log_file
from kithgraph.errors import StartError


@asynccontextmanager
async def logs_of(data: Path, names: Sequence[str] = LOG_NAMES) -> AsyncGenerator[Sequence[SqliteLog]]:
    """These logs of a data folder, to be read.

    Raises:
        StartError: a name is no log's, or the folder holds no such log, or one that cannot be read.
    """
    unknown = sorted(set(names) - set(LOG_NAMES))
    if unknown:
        raise StartError(f"there is no log {unknown[0]!r}, only {' and '.join(LOG_NAMES)}")
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
