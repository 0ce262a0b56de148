"""What a back-up of a data folder says of itself: `backup.json`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

import msgspec

from eventgraph.errors import StartError

FORMAT: Final = 1
"""Raised by one whenever an older release could not restore a back-up any more."""

NAME: Final = "backup.json"

_LARGEST: Final = 16 * 1024 * 1024

_Count = Annotated[int, msgspec.Meta(ge=0)]
_FileName = Annotated[
    str, msgspec.Meta(pattern=r"^(logs/[A-Za-z0-9_-]+\.sqlite(\.claims-key)?|processes\.sqlite)\Z", max_length=200)
]
"""In the back-up and in the data folder: nothing else is ever written by a restore."""


class CopiedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file, and how to tell it from another one."""

    bytes: _Count
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class CopiedLog(msgspec.Struct, frozen=True, kw_only=True):
    """How far a log goes."""

    id: str
    end: _Count
    """The offset after its last record."""


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A whole back-up. What a later release adds without raising the format is skipped by this one."""

    format: Annotated[int, msgspec.Meta(ge=1)] = FORMAT
    system: str
    version: str
    """Of the release that made it."""
    made: str
    """ISO 8601 UTC: what was acknowledged before is in it."""
    folder_format: Annotated[int, msgspec.Meta(ge=1)]
    """Of the data folder."""
    logs: dict[str, CopiedLog]
    """By name."""
    files: dict[_FileName, CopiedFile]


class _Head(msgspec.Struct, frozen=True):
    """What must be known before the rest is read."""

    format: Annotated[int, msgspec.Meta(ge=1)]


_decode_head: Final = msgspec.json.Decoder(_Head).decode
_decode: Final = msgspec.json.Decoder(BackupManifest).decode


def to_text(manifest: BackupManifest) -> str:
    return msgspec.json.format(msgspec.json.encode(manifest)).decode() + "\n"


def digest_of(manifest: BackupManifest) -> str:
    return hashlib.sha256(to_text(manifest).encode()).hexdigest()


def read_manifest(folder: Path) -> BackupManifest:
    """
    Raises:
        StartError: the folder is no back-up or an incomplete one, or one of a newer release.
    """
    path = folder / NAME
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
    except FileNotFoundError:
        raise StartError(f"{folder} is no back-up, or an incomplete one: it has no {NAME}") from None
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = _decode_head(content).format
        if found > FORMAT:
            raise StartError(f"{path}: format {found} is of a newer release, this one reads up to {FORMAT}")
        return _decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StartError(f"{path} is damaged: expected the manifest of a back-up: {str(error)[:200]}") from None
