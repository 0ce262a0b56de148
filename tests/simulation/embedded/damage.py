"""What people and disks do to a data folder while no process works there: files that are older, gone or damaged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.simulation.embedded.disk import really_connect
from tests.simulation.embedded.logs import read
from tests.simulation.logs import Entry

LOGS: Final = ("users", "friends")
VIEWS: Final = ("users", "friends", "recommendations")

LAST_NAME: Final = "X"
"""That of every user whom clients create."""

Copy = Mapping[str, bytes]
"""Files of a data folder, by their paths in it."""


def log_file(data: Path, name: str) -> Path:
    return data / "logs" / f"{name}.sqlite"


def key_file(data: Path, name: str) -> Path:
    return data / "logs" / f"{name}.sqlite.claims-key"


def files_that_can_be_made_again(data: Path) -> Sequence[Path]:
    """What is derived from the logs: builds of views, the pointers to them, checkpoints, snapshots."""
    builds = [file for name in VIEWS for file in sorted((data / "views" / name).glob("*.sqlite"))]
    pointers = [file for name in VIEWS if (file := data / "views" / name / "live").exists()]
    others = [file for name in ("processes", "snapshots") if (file := data / f"{name}.sqlite").exists()]
    return [*builds, *pointers, *others]


def has_log(data: Path, name: str) -> bool:
    """Whether the log was made already, all of it."""
    try:
        return bool(read(log_file(data, name)).id)
    except (sqlite3.Error, ValueError):
        return False


def copy_of(data: Path, file: Path) -> Copy:
    """A file, with the write-ahead log that belongs to it."""
    both = (file, file.with_name(f"{file.name}-wal"))
    return {str(one.relative_to(data)): one.read_bytes() for one in both if one.exists()}


def remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def put_back(data: Path, copy: Copy) -> None:
    remove(data / next(iter(copy)))
    for path, content in copy.items():
        (data / path).write_bytes(content)


def cut(file: Path, chance: Random) -> None:
    """The end of a log's write-ahead log is lost."""
    ahead = file.with_name(f"{file.name}-wal")
    if ahead.exists():
        content = ahead.read_bytes()
        ahead.write_bytes(content[: chance.randrange(len(content) // 2, len(content) + 1)])


def is_damaged(entry: Entry) -> bool:
    """Whether a byte of it was changed, and not back again."""
    return entry.data.get("last_name") not in (None, LAST_NAME)


def change_a_byte(file: Path, chance: Random) -> Entry | None:
    """One letter of one event is another one; gives the event as it was, None where there is none to be changed."""
    found = [entry for entry in read(file).entries if entry.data.get("last_name")]
    if not found:
        return None
    entry = chance.choice(found)
    database = really_connect(file)
    try:
        ((text,),) = database.execute("SELECT data FROM records WHERE offset = ?", (entry.offset,)).fetchall()
        data = {**json.loads(text), "last_name": chr(ord(entry.data["last_name"][0]) ^ 1)}
        changed = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        database.execute("UPDATE records SET data = ? WHERE offset = ?", (changed, entry.offset))
        database.commit()
    finally:
        database.close()
    return entry
