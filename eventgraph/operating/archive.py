"""The commands `archive …`: logs into an archive, and a system out of one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from eventgraph.errors import StartError
from eventgraph.operating.installation import ExportedLog, Installation
from eventgraph.operating.log_export import new_file
from eventgraph.operating.log_import import read_keys
from eventgraph.operating.merged_log import MergedLog
from eventgraph.progress_bar import Advance, progress_bar
from eventgraph.running.data_folder import filling_folder, log_file
from eventgraph.running.settings import ArchiveSettings, EngineSettings
from eventgraph.system import System
from eventkernel.adapters.objects.folder import FolderStore
from eventkernel.adapters.sqlite.log_copy import LogImport
from eventkernel.archiving.archived_log import ArchivedLog, archived_logs
from eventkernel.archiving.archiver import Archiver
from eventkernel.archiving.layout import Manifest
from eventkernel.archiving.objects import ObjectStore
from eventkernel.archiving.verification import Fault, Verification
from eventkernel.clock import SystemClock
from eventkernel.errors import InvalidInput, KernelError, Unavailable
from eventkernel.events import Record, log_name
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.fences import claims_key_of
from eventkernel.writing.store import Checkpoint

T = TypeVar("T")

_SCHEME: Final = "s3"


def store_of(settings: ArchiveSettings) -> ObjectStore:
    """The place that the settings name.

    Raises:
        StartError: they name none, or one that is neither a folder nor a bucket.
        ModuleNotFoundError: it is a bucket, and the extra `archive` is not installed.
    """
    place = settings.archive
    if not place or not place.strip():
        raise StartError("expected an archive, found none: name a folder or s3://BUCKET/PREFIX with --archive")
    if "://" not in place:
        return FolderStore(Path(place))
    scheme, _, rest = place.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != _SCHEME or not bucket or "@" in bucket:
        shown = urlsplit(place).scheme[:20]
        raise StartError(f"archive: expected a folder or s3://BUCKET/PREFIX, found something else with {shown}://")
    from eventkernel.adapters.objects.s3 import S3ObjectStore, S3Settings  # noqa: PLC0415  # the extra `archive`

    access, secret, token = (
        None if one is None else one.get_secret_value()
        for one in (settings.archive_s3_access_key, settings.archive_s3_secret_key, settings.archive_s3_session_token)
    )
    try:
        return S3ObjectStore(
            S3Settings(
                bucket,
                prefix.strip("/"),
                endpoint=settings.archive_s3_endpoint,
                region=settings.archive_s3_region,
                access_key=access,
                secret_key=secret,
                session_token=token,
            )
        )
    except KernelError as error:
        raise StartError(f"archive: {error}") from error


def run(installation: Installation, store: ObjectStore) -> Manifest:
    """Archive what the logs have now.

    Raises:
        StartError: the logs or the archive cannot be read or written, or do not fit one another.
    """

    with progress_bar("archive") as advance:
        return asyncio.run(_run(installation, store, advance))


def follow(
    installation: Installation,
    store: ObjectStore,
    seconds: float,
    tell: Callable[[Manifest], None],
    warn: Callable[[str], None],
) -> None:
    """Archive what the logs have now, and every so many seconds what is new, until Ctrl-C.

    A log or a store that is away is warned of and tried again. `tell` is given each manifest that was written.

    Raises:
        StartError: the archive is damaged, or does not fit the logs.
    """

    async def for_ever() -> None:
        last, troubled = -1, ""
        while True:
            try:
                manifest = await _run(installation, store, lambda _done, _total: None)
            except StartError as error:
                if not isinstance(error.__cause__, Unavailable):
                    raise
                if str(error) != troubled:
                    troubled = str(error)
                    warn(troubled)
            else:
                troubled = ""
                if manifest.number > last:
                    last = manifest.number
                    tell(manifest)
            await asyncio.sleep(seconds)

    asyncio.run(for_ever())


def verify(store: ObjectStore, expected: str | None) -> tuple[Sequence[Fault], Manifest | None]:
    """What is wrong with an archive, and its last manifest. `expected` is the digest that a manifest of it must have.

    Raises:
        StartError: the store cannot be read.
    """

    async def look() -> tuple[Sequence[Fault], Manifest | None]:
        with progress_bar("verify") as advance:
            verification = Verification(store, advance, expected)
            faults = [fault async for fault in verification.faults()]
        return faults, verification.last

    return _told("the archive cannot be verified", look)


def write_keys(installation: Installation, file: Path) -> Sequence[str]:
    """Write the claims keys of the logs to a new file, for `restore`; the ids of the logs.

    Raises:
        StartError: a key cannot be read or is that of another log, or the file exists or cannot be written.
    """

    async def collect() -> Mapping[str, str]:
        async with installation.logs(installation.system.logs) as logs, installation.exports() as exports:
            keys = {log_name(one.log): one.key for one in exports}
            for log in logs:
                _check_key(log.log, await log.opening(), keys[log_name(log.log)])
            return {log.log: keys[log_name(log.log)].to_text() for log in logs}

    secrets = _told(f"the claims keys of {installation.name} cannot be read", collect)
    with new_file(file) as target:
        target.write(msgspec.json.format(msgspec.json.encode(secrets)) + b"\n")
    return list(secrets)


def restore(
    system: System, store: ObjectStore, keys: Path, data: Path, until: datetime | None = None
) -> dict[str, int]:
    """Make a data folder, which must be missing or empty, out of an archive as it was at its end or `until` a moment;
    the number of records by log id.

    A log that had one partition is the same log there, with its id. One that had several is another one: its records
    stand elsewhere.

    Raises:
        StartError: the archive is damaged (the message names the object), a key is missing or another one, or the
            folder is not empty.
    """
    secrets = read_keys(system, keys)

    async def fill(draft: Path) -> dict[str, int]:
        logs = await archived_logs(store, until)
        _check_names(system, [log.log for log in logs])
        total, done = sum(log.archive.records for log in logs), 0
        restored: dict[str, int] = {}
        with progress_bar("restore") as advance:
            for log in logs:
                source = _exported(log, _key_of(log, secrets))
                await _fill(source, log_file(draft, log_name(log.log)), lambda count: advance(done + count, total))  # noqa: B023  # called at once
                done += log.archive.records
                restored[source.log] = log.archive.records
        return restored

    with filling_folder(data, system) as draft:
        return _told(f"{store.name} cannot be restored", lambda: fill(draft))


def restore_to_engines(
    system: System, store: ObjectStore, keys: Path, settings: EngineSettings, until: datetime | None = None
) -> Mapping[str, int]:
    """Make a distributed system of an archive: checked to its end in a folder that is thrown away, then copied to
    logs with new ids.

    Raises:
        StartError: as for `restore` and `migrate`.
    """
    from eventgraph.operating.migration import migrate  # noqa: PLC0415  # loads the drivers

    with tempfile.TemporaryDirectory(prefix=f"{system.name}-restore-") as folder:
        data = Path(folder) / "data"
        restore(system, store, keys, data, until)
        return migrate(system, data, settings)


async def _run(installation: Installation, store: ObjectStore, advance: Advance) -> Manifest:
    async with installation.logs(installation.system.logs) as logs:
        try:
            return await Archiver(store, logs, SystemClock(), advance=advance).run()
        except KernelError as error:
            raise StartError(f"{installation.name} cannot be archived: {error}") from error


class _SameLog:
    """An archived log that keeps its id and every offset, as `ExportedLog` has it."""

    def __init__(self, archived: ArchivedLog, key: ClaimsKey) -> None:
        self._archived = archived
        self.log = archived.log
        self.key = key
        self.size = archived.archive.records

    async def batches(self) -> AsyncIterator[Sequence[Record]]:
        yield [self._archived.archive.fence()]
        async with aclosing(self._archived.subscribe(Checkpoint())) as batches:
            async for batch in batches:
                yield batch.records


def _exported(log: ArchivedLog, key: ClaimsKey) -> ExportedLog:
    return _SameLog(log, key) if log.without_gaps else MergedLog.of(log, log.end, key)


async def _fill(source: ExportedLog, file: Path, advance: Callable[[int], None]) -> None:
    target = LogImport(file, source.log, source.key)
    try:
        async for records in source.batches():
            for record in records:
                target.add(record)
            advance(target.end)
        target.flush()
    except InvalidInput as error:
        raise StartError(f"the archive's log {source.log} contradicts itself at offset {target.end}: {error}") from None
    finally:
        target.close()


def _check_names(system: System, logs: Sequence[str]) -> None:
    found = sorted(map(log_name, logs))
    if found != sorted(system.logs):
        raise StartError(f"expected an archive of the logs {', '.join(system.logs)}, found {', '.join(found)[:200]}")


def _key_of(log: ArchivedLog, keys: Mapping[str, ClaimsKey]) -> ClaimsKey:
    key = keys.get(log.log) or keys.get(log_name(log.log))
    if key is None:
        raise StartError(f"the claims key of the log {log.log} is not in the file of keys")
    _check_key(log.log, log.archive.fence(), key)
    return key


def _check_key(log: str, opening: Record, key: ClaimsKey) -> None:
    if claims_key_of(opening) != key.fingerprint:
        raise StartError(f"the claims key that was given for the log {log} is that of another log")


def _told(what: str, work: Callable[[], Coroutine[object, object, T]]) -> T:
    try:
        return asyncio.run(work())
    except KernelError as error:
        raise StartError(f"{what}: {error}") from error
