"""Files that are whole and on the disk once they have their name.

A file's name is an entry of its folder, which is durable only when the folder itself was synced
(https://man7.org/linux/man-pages/man2/fsync.2.html).
"""

from __future__ import annotations

import os
from pathlib import Path


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
