"""A server that several processes use at one time: the first starts it, the others find it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from infra.local.process import Server

A = TypeVar("A")


def shared(folder: Path, server: Callable[[Path], Server[A]]) -> A:
    """The address of the running server in a folder, started now if it is not; one caller at a time.

    Args:
        folder: the server's own; the lock is the file beside it.
        server: say `kafka`, or a lambda around it with options.

    Raises:
        ServerError: it does not start; the next caller tries again.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = server(folder)
        found.start()
        return found.address
