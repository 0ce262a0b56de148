"""Waits for files to change, with watchfiles (the extra `watch`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

_LOOK_AGAIN_MS = 1000


def texts_as_they_change(files: Collection[Path]) -> Iterator[dict[Path, str]]:
    """Yield the texts of the files, and again whenever one of them has changed, until the process is interrupted.

    A file that is gone, or is no text, for a moment is left out: editors replace files. Folders are watched and not
    files, so that a replaced file is noticed; a look at the texts now and then catches what changed before that began.
    Raises ModuleNotFoundError where watchfiles is not installed.
    """
    from watchfiles import watch  # noqa: PLC0415 - an extra

    before = _texts(files)
    yield before
    folders = {file.resolve().parent for file in files}
    for _ in watch(
        *folders, recursive=False, raise_interrupt=False, yield_on_timeout=True, rust_timeout=_LOOK_AGAIN_MS
    ):
        after = _texts(files)
        if after != before:
            before = after
            yield after


def _texts(files: Collection[Path]) -> dict[Path, str]:
    found: dict[Path, str] = {}
    for file in files:
        try:
            found[file] = file.read_text()
        except (OSError, UnicodeDecodeError):
            continue
    return found
