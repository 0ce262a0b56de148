"""The commands `backup …`: a data folder into a folder that is its copy at one moment, and back.

A back-up has what cannot be made again: the logs, their claims keys, and what the process managers have kept. Views and
snapshots are made again from the logs by the first start.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from eventgraph.errors import StartError
from eventgraph.operating.backup_manifest import (
    NAME,
    BackupManifest,
    CopiedFile,
    CopiedLog,
    digest_of,
    read_manifest,
    to_text,
)
from eventgraph.progress_bar import Advance, progress_bar
from eventgraph.running import data_folder
from eventgraph.running.data_folder import check_folder, filling_folder, log_file, processes_file
from eventgraph.system import System
from eventkernel.adapters.durable_files import new_folder, sync_folder, write_durably
from eventkernel.adapters.sqlite.backup import Snapshot, at_one_moment
from eventkernel.adapters.sqlite.log_check import damage_of_log, end_of_log
from eventkernel.adapters.sqlite.log_file import check_key, claims_key_path, read_key, read_log, write_key
from eventkernel.archiving.verification import Fault
from eventkernel.errors import KernelError

_CHUNK: Final = 1024 * 1024


def create(system: System, data: Path, target: Path) -> BackupManifest:
    """Copy what a data folder has at this moment to a new folder, also while the system runs and writes.

    Raises:
        StartError: there is no such data folder, or a log in it is damaged; the target is there already, lies inside
            the data folder, is being written by another process, or cannot be written.
    """
    data, target = data.resolve(), target.absolute()
    check_folder(data, system)
    if target.resolve().is_relative_to(data):
        raise StartError(f"the back-up {target} would lie in the data folder {data}: name a place outside of it")
    try:
        with progress_bar("backup") as advance, new_folder(target) as draft:
            manifest = _copied(system, data, draft, advance)
            write_durably(draft / NAME, to_text(manifest))
            for what in _faults_in(draft, manifest):
                raise StartError(f"the data folder {data} is not backed up: {what}; `{system.name} doctor` says more")
    except FileExistsError as error:
        raise StartError(f"{error}: name a new folder") from None
    except BlockingIOError:
        raise StartError(f"the back-up {target} is being written by another process") from None
    except OSError as error:
        raise StartError(f"the back-up {target} cannot be written: {error.strerror}") from error
    except KernelError as error:
        raise StartError(f"the data folder {data} cannot be backed up: {error}") from error
    return manifest


def verify(folder: Path, expected: str | None = None) -> tuple[Sequence[Fault], BackupManifest]:
    """Read a whole back-up; what is wrong with it. `expected` is the digest that its manifest must have.

    Raises:
        StartError: it is no back-up, or of a newer release.
    """
    manifest = read_manifest(folder)
    faults = [Fault("error", what) for what in _faults_in(folder, manifest)]
    if expected is not None and (found := digest_of(manifest)) != expected:
        faults.append(Fault("error", f"{NAME}: expected the SHA-256 {expected[:64]}, found {found}: another back-up"))
    unknown = sorted({*_files_in(folder)} - {*manifest.files, NAME, "lock"})
    faults += [Fault("notice", f"{name[:200]}: the manifest does not know it") for name in unknown]
    return faults, manifest


def restore(system: System, folder: Path, data: Path) -> BackupManifest:
    """Make a data folder, which must be missing or empty, out of a back-up: the same logs at the same offsets.

    Raises:
        StartError: the back-up is damaged (the message names the file), incomplete, another system's or of a newer
            release, or the folder is not empty or cannot be written.
    """
    manifest = read_manifest(folder)
    _check_system(system, folder, manifest)
    total = sum(file.bytes for file in manifest.files.values())
    with filling_folder(data, system) as draft, progress_bar("restore") as advance:
        done = 0
        for name, file in manifest.files.items():
            _restore_file(folder / name, draft / name, file, lambda count: advance(done + count, total))  # noqa: B023  # called at once
            done += file.bytes
        sync_folder(draft)
    return manifest


def _copied(system: System, data: Path, draft: Path, advance: Advance) -> BackupManifest:
    """Everything in the draft, on the disk but for the draft's own entries."""
    if unknown := sorted({log.stem for log in data.glob("logs/*.sqlite")} - {*system.logs}):
        raise StartError(
            f"the data folder {data} has a log {unknown[0][:200]!r}, which {system.title} {system.version} does not "
            "know, and a back-up would miss"
        )
    logs = [name for name in system.logs if log_file(data, name).exists()]
    if not logs:
        raise StartError(f"the data folder {data} has no log yet: there is nothing to back up")
    paths = [log_file(data, name) for name in logs]
    if processes_file(data).exists():
        paths.append(processes_file(data))
    (draft / "logs").mkdir()
    for path in paths[: len(logs)]:
        write_key(claims_key_path(draft / path.relative_to(data)), read_key(claims_key_path(path)))
    made = datetime.now(UTC)
    with at_one_moment(paths) as snapshots:
        _copy(snapshots, data, draft, advance)
    copies = {name: log_file(draft, name) for name in logs}
    return BackupManifest(
        system=system.mark,
        version=system.version,
        made=made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        folder_format=data_folder.FORMAT,
        logs={name: CopiedLog(id=read_log(copy).log, end=end_of_log(copy)) for name, copy in copies.items()},
        files={name: _measured(draft / name) for name in _files_in(draft) if name != "lock"},
    )


def _files_in(folder: Path) -> Sequence[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _copy(snapshots: Sequence[Snapshot], data: Path, draft: Path, advance: Advance) -> None:
    total, done = sum(snapshot.size for snapshot in snapshots), 0
    for snapshot in snapshots:
        target = draft / snapshot.path.relative_to(data)
        snapshot.copy_to(target, lambda count: advance(done + count, total))  # noqa: B023  # called at once
        with target.open("rb") as file:
            os.fsync(file.fileno())
        done += snapshot.size
    sync_folder(draft / "logs")


def _measured(path: Path) -> CopiedFile:
    with path.open("rb") as file:
        return CopiedFile(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _faults_in(folder: Path, manifest: BackupManifest) -> Iterator[str]:
    """Each begins with the file's name. Every record of the logs is compared with its checksum, too."""
    for name, file in manifest.files.items():
        try:
            found = _measured(folder / name)
        except FileNotFoundError:
            yield f"{name}: the file is missing"
            continue
        except OSError as error:
            yield f"{name}: it cannot be read: {error.strerror}"
            continue
        if (fault := _difference(name, file, found)) is not None:
            yield fault
        elif name in {f"logs/{log}.sqlite" for log in manifest.logs}:
            yield from (f"{name}: {what}" for what in _flaws(folder / name, manifest.logs))
    yield from (f"{name}: the manifest does not name it" for name in _missing(manifest))


def _flaws(path: Path, logs: Mapping[str, CopiedLog]) -> Iterator[str]:
    try:
        check_key(path)
        found = CopiedLog(id=read_log(path).log, end=end_of_log(path))
        if (expected := logs.get(path.stem)) != found:
            yield f"expected the log {expected}, found {found}"
        yield from damage_of_log(path)
    except KernelError as error:
        yield str(error)


def _difference(name: str, expected: CopiedFile, found: CopiedFile) -> str | None:
    if found.bytes != expected.bytes:
        return f"{name}: expected {expected.bytes} bytes, found {found.bytes}"
    if found.sha256 != expected.sha256:
        return f"{name}: expected the SHA-256 {expected.sha256}, found {found.sha256}"
    return None


def _missing(manifest: BackupManifest) -> Sequence[str]:
    """Files without which its logs are not whole."""
    files = (f"logs/{name}.sqlite{more}" for name in manifest.logs for more in ("", ".claims-key"))
    return [name for name in files if name not in manifest.files]


def _check_system(system: System, folder: Path, manifest: BackupManifest) -> None:
    if manifest.system != system.mark:
        raise StartError(f"{folder} is a back-up of another system than {system.title}: of {manifest.system[:200]!r}")
    if unknown := sorted(manifest.logs.keys() - set(system.logs)):
        raise StartError(
            f"{folder} has a log {unknown[0][:200]!r}, which {system.title} {system.version} does not know"
        )
    if manifest.folder_format > data_folder.FORMAT:
        raise StartError(
            f"{folder} is of a data folder of format {manifest.folder_format}, this release reads up to "
            f"{data_folder.FORMAT}: use a newer {system.title}"
        )
    if missing := _missing(manifest):
        raise StartError(f"{folder} is incomplete: {missing[0]}: the manifest does not name it")


def _restore_file(source: Path, target: Path, expected: CopiedFile, advance: Callable[[int], None]) -> None:
    """Copy one file to the disk, and compare what was read with the manifest."""
    digest, size = hashlib.sha256(), 0
    try:
        file = source.open("rb")
    except OSError as error:
        raise StartError(f"the back-up is damaged: {source}: {error.strerror}") from error
    with file, open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:  # noqa: PTH123 -- the mode
        while chunk := file.read(_CHUNK):
            copy.write(chunk)
            digest.update(chunk)
            advance(size := size + len(chunk))
        copy.flush()
        os.fsync(copy.fileno())
    found = CopiedFile(bytes=size, sha256=digest.hexdigest())
    if (fault := _difference(str(source), expected, found)) is not None:
        raise StartError(f"the back-up is damaged: {fault}")
