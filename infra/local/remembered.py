"""What a server's folder remembers from its first start: ports, passwords, shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from infra.local.errors import ServerError

T = TypeVar("T", bound=msgspec.Struct)


def remembered(folder: Path, kind: type[T], first: Callable[[], T]) -> T:
    """The folder's `server.json`, written from `first` if there is none; only its owner may read it."""
    file = folder / "server.json"
    if file.exists():
        try:
            return msgspec.json.decode(file.read_bytes(), type=kind)
        except msgspec.DecodeError as error:
            raise ServerError(f"{file} is not what a local server writes: {error}") from error
    state = first()
    folder.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    draft.rename(file)
    return state
