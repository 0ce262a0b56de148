"""Files and folders that are whole and on the disk once they have their name.

A file's name is an entry of its folder, which is durable only when the folder itself was synced
(https://man7.org/linux/man-pages/man2/fsync.2.html).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_PRIVATE: Final = 0o700
_LOCK: Final = "lock"


def write_durably(path: Path, text: str, *, mode: int = 0o666) -> None:
    """All of the text or nothing, and on the disk before this returns. `mode` is the new file's, less the umask."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:  # noqa: PTH123 -- the mode
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """A draft beside a missing or empty folder, which takes its place in one step when the block ends well.

    Whoever makes it syncs the files in it. Where the block raises, nothing is left. What a killed one has left behind
    is removed by the next one for this path. The folder is for its owner's eyes, and may have an empty file `lock`.

    Raises:
        FileExistsError: there is something at the path, or something else than a draft at the draft's.
        BlockingIOError: another process is making it at this moment.
        OSError: it cannot be made.
    """
    _check_free(path)
    draft = path.with_name(f"{path.name}.draft")
    draft.mkdir(mode=_PRIVATE, exist_ok=True)
    if draft.is_symlink() or (any(draft.iterdir()) and not (draft / _LOCK).exists()):
        raise FileExistsError(f"{draft} exists already")  # what is in it is somebody's
    with (draft / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _check_own(lock, draft)
        try:
            _check_free(path)
            for entry in draft.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != _LOCK:
                    entry.unlink()
            yield draft
            sync_folder(draft)
            draft.rename(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(path.parent)
        (path / _LOCK).unlink(missing_ok=True)


def _check_free(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()) or (path.is_dir() and any(path.iterdir())):
        raise FileExistsError(f"{path} exists already")


def _check_own(lock: IO[bytes], draft: Path) -> None:
    """Between its opening and its locking, another process may have given the draft its name, or removed it."""
    try:
        if os.path.samestat(os.fstat(lock.fileno()), (draft / _LOCK).stat()):
            return
    except FileNotFoundError:
        pass
    raise BlockingIOError(f"{draft} is another process's")
