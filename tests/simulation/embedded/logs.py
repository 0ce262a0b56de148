"""What the log in a SQLite file says, read by the rules that every reader keeps to. Imports nothing of the product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.simulation.embedded.disk import really_connect
from tests.simulation.logs import FENCE_TYPE, Entry, Log

_ROWS: Final = """
    SELECT offset, type, stream, version, first_version, commit_size, command_id, claims_taken, claims_given_up, data
    FROM records ORDER BY offset
"""


def read(file: Path) -> Log:
    database = really_connect(f"{file.as_uri()}?mode=rw", uri=True)  # which does not make what is missing
    try:
        ((log,),) = database.execute("SELECT id FROM log").fetchall()
        rows: list[tuple[Any, ...]] = database.execute(_ROWS).fetchall()
    finally:
        database.close()
    versions: dict[str, int] = {}
    gaps: set[str] = set()
    entries: list[Entry] = []
    for offset, kind, stream, version, first, size, command, taken, given_up, data in rows:
        if kind == FENCE_TYPE or not version:
            continue
        if version != versions.get(stream, 0) + 1:
            gaps.add(stream)
            continue
        versions[stream] = version
        entries.append(
            Entry(
                log,
                0,
                offset,
                stream,
                version,
                first,
                size,
                kind.rpartition(".")[2],
                json.loads(data),
                command,
                frozenset((taken or "").split()),
                frozenset((given_up or "").split()),
            )
        )
    end = rows[-1][0] + 1 if rows else 0
    return Log(log, entries, {0: end}, frozenset(gaps), 0)


def times(file: Path) -> list[tuple[int, int]]:
    """The records' offsets and times (microseconds since 1970 UTC)."""
    database = really_connect(file)
    try:
        return database.execute("SELECT offset, time_us FROM records ORDER BY offset").fetchall()
    finally:
        database.close()
