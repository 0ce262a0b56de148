"""Mechanisms of the embedded mode that can be taken out, and the plans in which the simulation looks for what is lost.

Each is taken out by a patch here; the product has no switch. `point` is what the mechanism is for.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from eventkernel.adapters.sqlite import connection
from tests.simulation.mends import Mend
from tests.simulation.plan import Mix

CRASHES: Final = ("crash", "crash", "power cut")
CUTS: Final = ("power cut",)


def _no_fsync_of_commits() -> AbstractContextManager[object]:
    log_ahead = connection.log_ahead

    def without(opened: sqlite3.Connection, path: Path) -> None:
        log_ahead(opened, path)
        opened.execute("PRAGMA synchronous = NORMAL")

    return patch.object(connection, "log_ahead", without)


_ALL: Final = (
    Mend(
        "the fsync before the acknowledgement",
        "what was acknowledged is there after a power cut",
        _no_fsync_of_commits,
        Mix(CUTS),
    ),
)

MENDS: Final = {mend.name: mend for mend in _ALL}
