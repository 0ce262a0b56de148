"""How many files a process may have open: a connection is one, and the usual limit was set for programs of old."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

_ENOUGH: Final = 65_536


def allow_many_files() -> None:
    """Raises this process's own limit towards the one that the system sets for the process's owner."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the system may refuse; then fewer connections are open
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
