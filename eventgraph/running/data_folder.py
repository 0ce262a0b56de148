"""The data folder of the embedded mode: one format version, one process at a time, a place for everything.

A back-up has the logs with their claims keys and `processes.sqlite`.

data/
  <system>.json            the format's version
  lock                     held by the process that writes here
  logs/<name>.sqlite       the truth: one event log per owning subgraph, its claims key beside it
  views/<name>/            what is derived from the logs and can be rebuilt
  processes.sqlite         how far the process managers are, and which reactions were left out for good
  snapshots.sqlite         what long streams had become; may be deleted while nothing runs
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from eventgraph.errors import StartError
from eventgraph.system import System
from eventkernel.adapters.durable_files import sync_folder, write_durably
from eventkernel.adapters.sqlite.log_file import holds_anything

FORMAT: Final = 1
"""Raised by one whenever an older release could not read the folder any more."""


_DRAFT: Final = "import.draft"
_PROCESSES: Final = "processes.sqlite"

_PRIVATE: Final = 0o700
"""A new data folder's mode: what is in its files may be personal."""


def log_file(folder: Path, name: str) -> Path:
    """Where a data folder keeps a log."""
    return folder / "logs" / f"{name}.sqlite"


def marker_file(folder: Path, system: System) -> Path:
    """What says that this is a data folder of the system, and in which format."""
    return folder / f"{system.mark}.json"


def processes_file(folder: Path) -> Path:
    """Where a data folder keeps how far the process managers are."""
    return folder / _PROCESSES


def logs_behind_views(folder: Path, system: System) -> Sequence[str]:
    """The names of the logs that views in a data folder were filled from."""
    filled = [subgraph for subgraph in system.subgraphs if (folder / "views" / subgraph.name / "live").exists()]
    return list(dict.fromkeys(name for subgraph in filled for name in subgraph.codecs))


@dataclass(frozen=True)
class DataFolder:
    """An open data folder; as a context manager it gives the lock back at the end."""

    path: Path
    _lock: IO[bytes]

    @classmethod
    def open(cls, path: Path, system: System) -> DataFolder:
        """Make the folder where it is missing, take its lock, check its format.

        Raises:
            StartError: it cannot be written, another process has it, a newer release wrote it, it is another system's,
                or a log is gone, or its filling was broken off.
        """
        path = path.absolute()
        try:
            missing = _made(path)
            # Without a buffer: what a full disk did not take would be written, and raise, once more on closing.
            lock = (path / "lock").open("ab+", buffering=0)
            try:
                _take(lock, path)
                _refuse_half_filled(path)
                _make_places(path, missing)
                _check_format(path, system)
                _check_logs(path, system)
            except BaseException:
                lock.close()
                raise
        except OSError as error:
            raise StartError(f"the data folder {path} cannot be written: {error.strerror}") from error
        return cls(path, lock)

    def log(self, name: str) -> Path:
        return log_file(self.path, name)

    def view(self, name: str) -> Path:
        return self.path / "views" / name

    @property
    def processes(self) -> Path:
        return processes_file(self.path)

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots.sqlite"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()


def check_folder(path: Path, system: System) -> None:
    """That there is a data folder of the system which this release reads, and that no log of it is gone. Changes
    nothing, also beside a process that runs on it.

    Raises:
        StartError: otherwise.
    """
    marker = marker_file(path, system)
    _refuse_half_filled(path)
    if not marker.exists():
        _refuse_anothers(path, system)
        raise StartError(f"there is no data folder of {system.title} at {path}: it has no {marker.name}")
    _check_marker(marker, path, system)
    _check_logs(path, system)


@contextmanager
def filling_folder(path: Path, system: System) -> Generator[Path]:
    """A draft of a data folder, which takes the place of a missing or empty one when the block ends well.

    The draft has a folder `logs`, and may get a file of the process managers. Where the block raises, the folder is as
    it was. One that was killed left all but the logs in their place: that counts as empty.

    Raises:
        StartError: the folder is not empty, another process has it, or it cannot be written.
    """
    path = path.absolute()
    draft, marker = path / _DRAFT, marker_file(path, system)
    try:
        missing = _made(path)
        _check_empty(path, system)
        with (path / "lock").open("ab+", buffering=0) as lock:
            _lock(lock, path)
            _check_empty(path, system)  # another process may have filled it since
            try:
                _sign(lock)
                _clear(path, system)
                (draft / "logs").mkdir(parents=True)
                yield draft
                sync_folder(draft / "logs")
                if processes_file(draft).exists():
                    processes_file(draft).rename(processes_file(path))
                _write_marker(marker)  # all that is in the folder by now is on the disk with it
                (draft / "logs").rename(path / "logs")
            except BaseException:
                _clear(path, system)
                (path / "lock").unlink(missing_ok=True)
                if missing:
                    path.rmdir()
                raise
            _sync_names(path, missing)
            draft.rmdir()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StartError(f"the data folder {path} cannot be written: {error.strerror}") from error


def _half_filled(path: Path, system: System) -> Sequence[str]:
    """The files that whoever fills a folder puts in it before the logs."""
    marker = marker_file(path, system).name
    return (_PROCESSES, marker, f"{marker}.draft")


def _clear(path: Path, system: System) -> None:
    """Make a half filled folder an empty one. The draft goes last: as long as it is there, no system starts."""
    for name in _half_filled(path, system):
        (path / name).unlink(missing_ok=True)
    shutil.rmtree(path / _DRAFT, ignore_errors=True)


def _check_empty(path: Path, system: System) -> None:
    left = {_DRAFT, *_half_filled(path, system)} if _is_half_filled(path) else set[str]()
    if found := sorted(entry.name for entry in path.iterdir() if entry.name not in left | {"lock"}):
        raise StartError(f"the data folder {path} is not empty, it has {found[0]}: name another one")


def _is_half_filled(path: Path) -> bool:
    """Whether somebody fills the folder, or was killed while doing so."""
    return (path / _DRAFT).exists() and not (path / "logs").exists()


def _refuse_half_filled(path: Path) -> None:
    """A system that starts there would be an empty one."""
    if _is_half_filled(path):
        raise StartError(
            f"the data folder {path} is half filled, by an import or a restore that is under way or was broken off: "
            "do that once more, or name another folder with --data"
        )


def _made(path: Path) -> Sequence[Path]:
    """Make a folder where it is missing; which folders were, itself and those above it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    return missing


def _make_places(path: Path, missing: Sequence[Path]) -> None:
    """The folders in a data folder: their names are on the disk, and those of the folders that were missing."""
    (path / "logs").mkdir(exist_ok=True)
    (path / "views").mkdir(exist_ok=True)
    _sync_names(path, missing)


def _sync_names(path: Path, missing: Sequence[Path]) -> None:
    for folder in (path, *(made.parent for made in missing)):
        with suppress(PermissionError):  # one that is only gone through cannot be opened, and was there before
            sync_folder(folder)


def _take(lock: IO[bytes], path: Path) -> None:
    _lock(lock, path)
    _sign(lock)


def _lock(lock: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        process = lock.read().decode("ascii", "replace").strip()
        raise StartError(
            f"the data folder {path} is in use by process {process or 'unknown'}: "
            "stop that one, or name another folder with --data"
        ) from None
    except OSError as error:
        raise StartError(f"the data folder {path} cannot be locked: {error.strerror}") from error


def _sign(lock: IO[bytes]) -> None:
    """Say in it which process has it."""
    lock.truncate(0)
    lock.write(str(os.getpid()).encode())


def _check_format(path: Path, system: System) -> None:
    marker = marker_file(path, system)
    if marker.exists():
        _check_marker(marker, path, system)
    else:
        _refuse_anothers(path, system)
        _write_marker(marker)


def _check_marker(marker: Path, path: Path, system: System) -> None:
    try:
        found = json.loads(marker.read_bytes())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise StartError(f"{marker} is damaged: expected a JSON object with the number `format`") from error
    except OSError as error:
        raise StartError(f"{marker} cannot be read: {error.strerror}") from error
    if not isinstance(found, int) or found < 1:
        raise StartError(f"{marker} is damaged: expected a format from 1, found {found!r}")
    if found > FORMAT:
        raise StartError(
            f"the data folder {path} has format {found}, this release reads up to {FORMAT}: use a newer {system.title}"
        )


def _refuse_anothers(path: Path, system: System) -> None:
    """A folder without this system's mark, and with logs that it does not know, is another system's."""
    unknown = sorted(log.stem for log in path.glob("logs/*.sqlite") if log.stem not in system.logs)
    if unknown:
        raise StartError(
            f"the data folder {path} is of another system than {system.title}: it has a log {unknown[0]}, and no "
            f"{marker_file(path, system).name}; name another folder with --data"
        )


def _check_logs(path: Path, system: System) -> None:
    """Views are made after the logs that they are filled from: where there is a view, its logs are not to be made anew.

    An empty log beside it would start a system without its history, as if nothing had ever happened. So would a young
    one that was copied without the `-wal` beside it, which all of it may be in. A subgraph that is new in the system
    has no view yet.
    """
    for log in (log_file(path, name) for name in logs_behind_views(path, system)):
        if not log.exists() or not holds_anything(log):
            raise StartError(
                f"the log {log} is {'empty' if log.exists() else 'gone'}, and what was made from it is there: "
                "bring the log, with the -wal beside it, and its claims key back from a back-up, or start in another "
                "folder with --data"
            )


def _write_marker(marker: Path) -> None:
    """On the disk before anything else is written beside it."""
    write_durably(marker, json.dumps({"format": FORMAT}) + "\n")
