"""A system out of an export: `log_export.py` says what that is.

The logs are made in a draft beside their place, and take it in one step when every line was read, all of it agrees with
the last line, and everything is on the disk. Whatever fails before leaves the folder as it was.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from eventgraph.errors import StartError
from eventgraph.operating.log_export import FORMAT, EndLine, Exported, end_type
from eventgraph.progress_bar import Advance, progress_bar
from eventgraph.running.data_folder import filling_folder, log_file
from eventgraph.system import System
from eventkernel.adapters.sqlite.log_copy import Contradiction, LogImport
from eventkernel.errors import CannotOpen, InvalidInput, KernelError
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.envelope import from_placed_line

_LONGEST_LINE: Final = 16 * 1024 * 1024
"""No record comes near it: a line that is longer is none."""
_LOOK_BACK: Final = 2_000
"""Of so many of a log's records it is known which lines they came from."""


class _Head(msgspec.Struct, frozen=True):
    """What must be known of a line before it is read."""

    source: str
    type: str
    partition: int = -1
    offset: int = -1


_decode_head: Final = msgspec.json.Decoder(_Head).decode
_decode_end: Final = msgspec.json.Decoder(EndLine).decode


def import_(system: System, source: str, keys: Path, data: Path) -> dict[str, int]:
    """Make a data folder, which must be missing or empty, out of an export (`-`: standard input) and its keys.

    Gives the number of records by log id, without the fences that the logs begin with: as many as `events` prints.

    Raises:
        StartError: the folder is not empty, a line is damaged (the message names its number), a key is missing or
            another one.
    """
    secrets = read_keys(system, keys)
    with ExitStack() as stack:
        file, size = stack.enter_context(_opened(source))
        draft = stack.enter_context(filling_folder(data, system))
        try:
            with progress_bar(f"import {source}") as advance:
                reading = _Reading(system, draft, secrets)
                stack.callback(reading.close)
                return reading.read(file, size, advance)
        except KernelError as error:
            raise StartError(f"the data folder {data} cannot be written: {error}") from error


class _Reading:
    """One export on its way into a folder."""

    def __init__(self, system: System, folder: Path, keys: dict[str, ClaimsKey]) -> None:
        self._system = system
        self._end_type = end_type(system)
        self._folder = folder
        self._keys = keys
        self._logs: dict[str, LogImport] = {}
        self._lines: dict[str, deque[int]] = {}
        self._digest = hashlib.sha256()
        self._number = 0

    def read(self, file: BinaryIO, size: int, advance: Advance) -> dict[str, int]:
        done = 0
        end: Exported | None = None
        while line := file.readline(_LONGEST_LINE):
            self._number += 1
            done += len(line)
            if end is not None:
                raise self._damaged("something follows the export's last line")
            try:
                end = self._take(line)
            except Contradiction as error:
                lines = self._lines[error.log]
                self._number = lines[error.offset - self._logs[error.log].end]
                raise self._damaged(str(error)) from None
            except CannotOpen as error:
                raise StartError(f"{error}: name the file of keys of the same export") from None
            except InvalidInput as error:
                raise self._damaged(str(error)) from None
            if self._number % 1_000 == 0:
                advance(done, size)
        if end is None:
            raise StartError(f"the export ends after line {self._number} without its last line: it was cut off")
        return {name: log.records for name, log in self._logs.items()}

    def close(self) -> None:
        """Must be called before the files are moved."""
        for log in self._logs.values():
            log.close()

    def _take(self, line: bytes) -> Exported | None:
        if not line.endswith(b"\n"):
            raise InvalidInput("the line has no end")
        try:
            head = _decode_head(line)
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"expected a CloudEvents JSON object: {error}") from None
        if head.type == self._end_type:
            return self._read_end(line)
        if head.partition < 0 or head.offset < 0:
            expected = f"the attributes `partition` and `offset`, which lines of `{self._system.name} export` have"
            raise InvalidInput(f"expected {expected}")
        record = from_placed_line(line)
        log = self._logs.get(head.source) or self._begin(head.source)
        self._lines[head.source].append(self._number)
        log.add(record)
        self._digest.update(line)
        return None

    def _begin(self, log: str) -> LogImport:
        name = log.rpartition(".")[0]
        if name not in self._system.logs:
            raise InvalidInput(f"source: expected a log {' or '.join(self._system.logs)}, found {log!r}")
        if any(known.rpartition(".")[0] == name for known in self._logs):
            raise InvalidInput(f"source: {log!r} is a second log of the name {name!r}")
        key = self._keys.get(log)
        if key is None:
            raise StartError(f"the claims key of the log {log} is not in the file of keys")
        self._lines[log] = deque(maxlen=_LOOK_BACK)
        self._logs[log] = made = LogImport(log_file(self._folder, name), log, key)
        return made

    def _read_end(self, line: bytes) -> Exported:
        for log in self._logs.values():
            log.flush()
        try:
            end = _decode_end(line).data
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"the export's last line: {error}") from None
        if end.format > FORMAT:
            raise InvalidInput(f"the export has format {end.format}, this release reads up to {FORMAT}")
        found = {name: log.end for name, log in self._logs.items()}
        if found != end.records:
            raise InvalidInput(f"the export's last line: expected {end.records} records, found {found}")
        if {log.rpartition(".")[0] for log in found} != set(self._system.logs):
            raise InvalidInput(f"expected the logs {' and '.join(self._system.logs)}, found {sorted(found)}")
        if end.sha256 != self._digest.hexdigest():
            raise InvalidInput("the lines before are not those that were exported: their SHA-256 is another one")
        return end

    def _damaged(self, why: str) -> StartError:
        return StartError(f"line {self._number} of the export is damaged: {why}")


def read_keys(system: System, path: Path) -> dict[str, ClaimsKey]:
    """The claims keys in a file, by log id.

    Raises:
        StartError: it cannot be read, or is no such file.
    """
    try:
        texts = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        return {log: ClaimsKey.from_text(text) for log, text in texts.items()}
    except OSError as error:
        raise StartError(f"the file of keys {path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, CannotOpen):
        raise StartError(f"the file of keys {path}: expected what `{system.name} export --keys` wrote") from None


@contextmanager
def _opened(source: str) -> Generator[tuple[BinaryIO, int]]:
    """The export, and how many bytes it has (0: unknown)."""
    if source == "-":
        with open(0, "rb", closefd=False) as file:
            yield file, 0
        return
    path = Path(source)
    try:
        file = path.open("rb")
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield file, path.stat().st_size
