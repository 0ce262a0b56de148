"""What a view's build says about itself, read beside the process that fills it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eventkernel.adapters.sqlite.connection import reading
from eventkernel.adapters.sqlite.progress import Progress
from eventkernel.events import Position
from eventkernel.reading.status import ParkedStream, parked_streams
from eventkernel.writing.store import Checkpoint


@dataclass(frozen=True, slots=True)
class ReaderFile:
    """How far a reader of logs is that keeps this in a file, and what waits there."""

    checkpoint: Checkpoint
    parked: Sequence[ParkedStream]
    identity: str | None
    """What the build was filled with; None where the file is no build."""

    @property
    def position(self) -> Position:
        return self.checkpoint.position


def look_at(path: Path, reader: str = "view") -> ReaderFile:
    """
    Raises:
        Unavailable, CorruptData: it cannot be read.
    """
    with reading(path) as connection:
        connection.execute("BEGIN")
        progress = Progress(reader)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        identity = None
        if "kernel_build" in tables:
            (identity,) = connection.execute("SELECT identity FROM kernel_build").fetchone() or (None,)
        return ReaderFile(progress.checkpoint(connection), tuple(parked_streams(progress.parked(connection))), identity)


def live_build(folder: Path) -> Path | None:
    """The file of a view's live build; None: there is none."""
    pointer = folder / "live"
    return folder / f"{pointer.read_text().strip()}.sqlite" if pointer.exists() else None
