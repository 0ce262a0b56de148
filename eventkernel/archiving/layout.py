"""What an archive consists of: segments with records, and a chain of manifests that name them.

    segments/LOG/PARTITION/OFFSET-DIGEST.jsonl.gz    records as CloudEvents JSON lines, from this offset on
    manifests/NUMBER.json                            what the archive has, and which segments came since the manifest
                                                     before; it holds the digest of that one
    manifests/NUMBER.sha256                          the digest of that manifest

Every object is written once. A segment is part of the archive when a manifest names it; what a run that was broken off
has left behind is named by none. A manifest is written only if there is none of its number: of two archivers at once,
one is refused. Digests are SHA-256 of the objects' bytes, so an object that is missing, cut, changed or swapped for
another one is found. A chain does not tell that its end is missing; the digest beside each manifest does.

Numbers and offsets have leading zeros, so that a listing is in order.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Annotated, Final

import msgspec

from eventkernel.errors import CorruptData, InvalidInput
from eventkernel.events import FENCE, Partition, Position, Record
from eventkernel.writing.envelope import from_placed_line
from eventkernel.writing.fences import claims_key_of
from eventkernel.writing.store import Checkpoint, Landmark

FORMAT: Final = 1
"""Raised whenever an older release could not read an archive any more."""

MANIFESTS: Final = "manifests"
SEGMENTS: Final = "segments"

LARGEST_MANIFEST: Final = 16 * 1024 * 1024
LARGEST_DIGEST: Final = 128
LARGEST_SEGMENT: Final = 256 * 1024 * 1024
"""Bytes, also of its lines: far more than an archiver writes, and all that a reader takes."""

_AT_ONCE: Final = 1_000
_GZIP: Final = 31
"""zlib's window bits for a gzip file; its header has no time, so the same lines make the same bytes."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_LogId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\Z", max_length=200)]
"""It becomes a level of an object's name."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One file of records of a partition, and how to tell it from another one."""

    log: _LogId
    partition: _Count
    first: _Count
    """Where the reading of the partition went on, up to `next`, without it."""
    next: _Count
    records: Annotated[int, msgspec.Meta(ge=1)]
    line_bytes: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SEGMENT)]
    """Before they were compressed."""
    bytes: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SEGMENT)]
    sha256: _Digest

    @property
    def name(self) -> str:
        place = f"{SEGMENTS}/{self.log}/{self.partition:05d}"
        return f"{place}/{self.first:020d}-{self.sha256[:16]}.jsonl.gz"


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """How far a partition is archived."""

    next: _Count
    records: _Count
    generation: _Count
    landmark: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{19} [0-9a-f]+\Z")]
    """The last record, as a reader's checkpoint names it."""


class LogArchive(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive has of one log."""

    opening: str
    """The fence that the log begins with, as a line: it names the claims key, and the key is not in the archive."""
    partitions: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    reached: dict[int, Reached]
    """A partition without records is left out."""

    @property
    def records(self) -> int:
        return sum(one.records for one in self.reached.values())

    def fence(self) -> Record:
        """
        Raises:
            CorruptData: the opening is none.
        """
        try:
            record = from_placed_line(self.opening.encode())
        except InvalidInput as error:
            raise CorruptData(f"the opening of a log: {error}") from None
        if record.type != FENCE:
            raise CorruptData(f"the opening of a log: expected a fence, found {record.type[:200]!r}")
        claims_key_of(record)
        return record

    def end(self, log: str) -> Position:
        return Position({Partition(log, number): one.next for number, one in self.reached.items()})

    def checkpoint(self, log: str) -> Checkpoint:
        """Where an archiver goes on, and what must be there."""
        return Checkpoint(
            self.end(log),
            tuple((log, number, one.generation) for number, one in self.reached.items()),
            {Partition(log, number): Landmark.from_text(one.landmark) for number, one in self.reached.items()},
        )


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain: all that the archive has, and what came with it."""

    format: Annotated[int, msgspec.Meta(ge=1)] = FORMAT
    number: _Count
    previous: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    """The digest of the manifest before; empty for the first one."""
    written: str
    closed: bool
    """Whether it has every log up to ends at which nothing refers to what is behind them."""
    logs: dict[_LogId, LogArchive]
    segments: tuple[Segment, ...]

    @property
    def name(self) -> str:
        return manifest_name(self.number)


def manifest_name(number: int) -> str:
    return f"{MANIFESTS}/{number:010d}.json"


def digest_name(number: int) -> str:
    return f"{MANIFESTS}/{number:010d}.sha256"


_MANIFEST: Final = re.compile(rf"{MANIFESTS}/([0-9]{{10}})\.(json|sha256)")


def number_of(name: str) -> tuple[int, str] | None:
    """Of a manifest's name or that of its digest: the number and which it is, `json` or `sha256`."""
    found = _MANIFEST.fullmatch(name)
    return (int(found[1]), found[2]) if found else None


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


_decode_manifest: Final = msgspec.json.Decoder(Manifest).decode


def to_bytes(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"


def from_bytes(content: bytes, number: int) -> Manifest:
    """
    Raises:
        CorruptData: it is no manifest, another one, or of a newer release; the message names the object.
    """
    name = manifest_name(number)
    try:
        manifest = _decode_manifest(content)
    except msgspec.MsgspecError as error:
        raise CorruptData(f"{name}: expected a manifest, found something else: {error}") from None
    if manifest.format > FORMAT:
        raise CorruptData(f"{name}: format {manifest.format} is of a newer release, this one reads up to {FORMAT}")
    if manifest.number != number:
        raise CorruptData(f"{name}: this is the manifest {manifest.number}")
    return manifest


class SegmentWriter:
    """Collects the lines of a segment; what it keeps of them is compressed."""

    def __init__(self, level: int) -> None:
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
        self._parts: list[bytes] = []
        self.line_bytes = 0
        self.records = 0

    def add(self, line: bytes) -> None:
        self._parts.append(self._compressor.compress(line))
        self.line_bytes += len(line)
        self.records += 1

    def finished(self, partition: Partition, first: int, next_offset: int) -> tuple[Segment, bytes]:
        """The segment of the partition's records from one offset up to another, and its content."""
        content = b"".join((*self._parts, self._compressor.flush()))
        segment = Segment(
            log=partition.log,
            partition=partition.number,
            first=first,
            next=next_offset,
            records=self.records,
            line_bytes=self.line_bytes,
            bytes=len(content),
            sha256=digest(content),
        )
        return segment, content


def records_of(segment: Segment, content: bytes | None) -> Iterator[Sequence[Record]]:
    """The records of a segment in pieces, each checked to belong there; `content` is what was found, None: nothing.

    Raises:
        CorruptData: it is not what was written; the message names the object.
    """
    if content is None:
        raise CorruptData(f"{segment.name}: the object is missing")
    if len(content) != segment.bytes:
        raise CorruptData(f"{segment.name}: expected {segment.bytes} bytes, found {len(content)}")
    if (found := digest(content)) != segment.sha256:
        raise CorruptData(f"{segment.name}: expected the SHA-256 {segment.sha256}, found {found}")
    lines = BytesIO(_decompressed(segment, content))
    offset, count = segment.first, 0
    while piece := [_record(segment, line) for line in _some(lines)]:
        for record in piece:
            if not offset <= record.offset < segment.next:
                raise CorruptData(f"{segment.name}: the offset {record.offset} is out of order")
            offset = record.offset + 1
        count += len(piece)
        yield piece
    if count != segment.records:
        raise CorruptData(f"{segment.name}: expected {segment.records} records, found {count}")


def _decompressed(segment: Segment, content: bytes) -> bytes:
    try:
        decompressor = zlib.decompressobj(_GZIP)
        lines = decompressor.decompress(content, segment.line_bytes + 1)
    except zlib.error as error:
        raise CorruptData(f"{segment.name}: expected a gzip file: {error}") from None
    if len(lines) != segment.line_bytes or not decompressor.eof or decompressor.unused_data:
        raise CorruptData(f"{segment.name}: expected {segment.line_bytes} bytes of lines, found another number")
    return lines


def _some(lines: BytesIO) -> Iterator[bytes]:
    for _ in range(_AT_ONCE):
        if not (line := lines.readline()):
            return
        yield line


def _record(segment: Segment, line: bytes) -> Record:
    try:
        record = from_placed_line(line)
    except InvalidInput as error:
        raise CorruptData(f"{segment.name}: {error}") from None
    if (record.log, record.partition) != (segment.log, segment.partition):
        raise CorruptData(f"{segment.name}: it has a record of {record.log[:200]}/{record.partition}")
    return record
