"""The command `migrate`: an embedded system becomes a distributed one; the logs are copied, all else is made from them.

Streams, commits, command ids, claims and times are the same there. The logs have new ids, because their records
stand elsewhere: a bookmark from before is refused, and clients forget it. The data folder is left as it was.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

import msgspec

from eventgraph.errors import StartError
from eventgraph.operating.log_import import import_
from eventgraph.progress_bar import Advance, progress_bar
from eventgraph.running.claims_keys import from_settings, to_text
from eventgraph.running.data_folder import DataFolder, log_file, marker_file
from eventgraph.running.engines import kafka_connection, mongodb_settings, topic_settings
from eventgraph.running.settings import EngineSettings
from eventgraph.system import System
from eventkernel.adapters.kafka.log_copy import copy_into
from eventkernel.adapters.mongodb.connection import MongoConnection
from eventkernel.adapters.sqlite.event_store import SqliteLog
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_key
from eventkernel.clock import SystemClock
from eventkernel.errors import KernelError
from eventkernel.events import Record
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.copying import commits_in_order


def migrate(system: System, data: Path, settings: EngineSettings) -> Mapping[str, int]:
    """Copy the logs of a data folder, on which nothing runs, to empty topics; the number of records by log.

    Raises:
        StartError: it is no data folder or in use, the claims keys are others, or an engine refuses or has data.
    """
    if not marker_file(data, system).exists():
        raise StartError(f"{data.absolute()} is no data folder: name one with --data")
    with DataFolder.open(data, system) as folder:
        try:
            keys = {name: read_key(claims_key_path(log_file(folder.path, name))) for name in system.logs}
            _keep(system, keys, settings)
            return asyncio.run(_copy_all(folder.path, keys, settings))
        except KernelError as error:
            made = ", ".join(
                f"the topic {settings.name}.{log} and the database {settings.name}_{log}" for log in system.logs
            )
            raise StartError(
                f"the data folder {folder.path} was not copied to the end: {error}. "
                f"If this command has made them, delete before it is tried again: {made}"
            ) from error


def import_to_engines(system: System, source: str, keys: Path, settings: EngineSettings) -> Mapping[str, int]:
    """Make a distributed system of an export: checked to its last line in a folder that is thrown away, then copied.

    Raises:
        StartError: as for `import_` and `migrate`.
    """
    with tempfile.TemporaryDirectory(prefix=f"{system.name}-import-") as folder:
        data = Path(folder) / "data"
        import_(system, source, keys, data)
        return migrate(system, data, settings)


async def _copy_all(data: Path, keys: Mapping[str, ClaimsKey], settings: EngineSettings) -> dict[str, int]:
    return {name: await _copy(data, name, keys[name], settings) for name in keys}


async def _copy(data: Path, name: str, key: ClaimsKey, settings: EngineSettings) -> int:
    async with (
        await SqliteLog.open_read_only(log_file(data, name)) as source,
        MongoConnection(mongodb_settings(settings)) as mongodb,
    ):
        log = f"{name}.{secrets.token_hex(4)}"
        with progress_bar(f"copy the log {name}") as advance:
            return await copy_into(
                kafka_connection(settings),
                mongodb.database(f"{settings.name}_{name}"),
                _records(source, log, advance),
                log=log,
                key=key,
                clock=SystemClock(),
                topic=f"{settings.name}.{name}",
                settings=topic_settings(settings),
            )


async def _records(source: SqliteLog, log: str, advance: Advance) -> AsyncGenerator[Sequence[Record], None]:
    end = await source.head()
    total, done = sum(end.values()), 0
    async for commit in commits_in_order(source, end):
        done += len(commit)
        advance(done, max(done, total))
        yield [msgspec.structs.replace(record, log=log) for record in commit]


def _keep(system: System, keys: Mapping[str, ClaimsKey], settings: EngineSettings) -> None:
    """The claims keys go with their logs: into the file that the settings name, if that is not there yet.

    Raises:
        StartError: what is there are other keys.
    """
    file = settings.claims_keys_file
    if file is None or file.exists():
        if from_settings(system, settings) != keys:
            where = f"{system.prefix}CLAIMS_KEYS" if file is None else str(file)
            raise StartError(
                f"{where}: expected the claims keys of the data folder, found others: "
                f"name a file that is not there yet with {system.prefix}CLAIMS_KEYS_FILE, and they are written to it"
            )
        return
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:  # noqa: PTH123 -- the mode
            new.write(to_text(keys))
            new.flush()
            os.fsync(new.fileno())
    except OSError as error:
        raise StartError(f"the claims keys cannot be written to {file}: {error.strerror}") from error
