"""The whole of the logs as text: the command `export` writes it, `import` makes the same system of it.

An export is CloudEvents JSON lines: log after log, every record as the command `events` prints it, its fences too, with
two more extension attributes, `partition` and `offset`, which say where it stands. The last line is of a type of its
own (`end_type`): how many records each log has, and the SHA-256 of all lines before it. The keys of the claims are
secrets and lie in a file of their own: a JSON object, log id → key.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

from eventgraph.errors import StartError
from eventgraph.operating.installation import ExportedLog, Installation
from eventgraph.progress_bar import progress_bar
from eventgraph.system import System
from eventkernel.errors import KernelError
from eventkernel.writing.envelope import to_placed_line

FORMAT: Final = 1
"""Raised whenever an older release could not read an export any more."""


def end_type(system: System) -> str:
    """The type of an export's last line."""
    return f"{system.mark}.Exported"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What the last line says of all lines before it."""

    format: int
    records: dict[str, int]
    """By log id."""
    sha256: str


class EndLine(msgspec.Struct, frozen=True, kw_only=True):
    """The last line: an event of its own."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    time: str
    datacontenttype: Literal["application/json"] = "application/json"
    data: Exported


_encode: Final = msgspec.json.Encoder().encode


def export(installation: Installation, target: str, keys: Path) -> None:
    """Write every log of an installation to a file (`-`: standard output), and their claims keys to another.

    Neither file may exist; both are for their owner's eyes, and appear under their names only when they are whole.

    Raises:
        StartError: the logs cannot be read, or a file cannot be written or exists.
    """
    asyncio.run(_export(installation, target, keys))


async def _export(installation: Installation, target: str, keys: Path) -> None:
    try:
        async with installation.exports() as logs:
            secrets = {log.log: log.key.to_text() for log in logs}
            with new_file(keys) as key_file:
                key_file.write(msgspec.json.format(_encode(secrets)) + b"\n")
                with _standard_output() if target == "-" else new_file(Path(target)) as file:
                    await _write(installation.system, logs, file)
    except KernelError as error:
        raise StartError(f"{installation.name} cannot be exported: {error}") from error


async def _write(system: System, logs: Sequence[ExportedLog], file: BinaryIO) -> None:
    digest = hashlib.sha256()
    total, done = sum(log.size for log in logs), 0
    records = dict.fromkeys((log.log for log in logs), 0)
    with progress_bar("export") as advance:
        for log in logs:
            async for batch in log.batches():
                lines = b"".join(map(to_placed_line, batch))
                digest.update(lines)
                file.write(lines)
                records[log.log] += len(batch)
                done += len(batch)
                advance(done, max(done, total))
    end = EndLine(
        source=system.mark,
        type=end_type(system),
        id=digest.hexdigest(),
        time=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        data=Exported(format=FORMAT, records=records, sha256=digest.hexdigest()),
    )
    file.write(_encode(end) + b"\n")
    file.flush()


@contextmanager
def _standard_output() -> Generator[BinaryIO]:
    with open(1, "wb", closefd=False) as file:
        yield file


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """A file for its owner's eyes, which has its name when the block has ended well.

    Raises:
        StartError: it exists, or cannot be written.
    """
    if path.exists():
        raise StartError(f"{path} exists already: name another file")
    draft = path.with_name(path.name + ".draft")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor, for the mode
                yield file
                file.flush()
                os.fsync(descriptor)
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}") from error
