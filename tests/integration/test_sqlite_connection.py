"""Every connection to SQLite is durable, and only writers write."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite.connection import open_reader, open_writer
from eventkernel.errors import Unavailable

ROOT = Path(__file__).parents[2]


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a folder with spaces & signs?" / "file#1%20.sqlite"
    path.parent.mkdir()
    connection = open_writer(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    return path


@pytest.mark.parametrize("opened", [open_writer, open_reader])
def test_every_connection_is_durable_and_leaves_transactions_to_the_code(
    path: Path, opened: Callable[[Path], sqlite3.Connection]
) -> None:
    connection = opened(path)
    assert pragma(connection, "journal_mode") == "wal"
    assert pragma(connection, "synchronous") == 2  # FULL, https://www.sqlite.org/pragma.html#pragma_synchronous
    assert pragma(connection, "foreign_keys") == 1
    assert pragma(connection, "busy_timeout") == 5_000
    assert connection.isolation_level is None
    connection.close()


def test_a_reader_cannot_write(path: Path) -> None:
    reader = open_reader(path)
    assert pragma(reader, "query_only") == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO t VALUES (1)")
    reader.close()


def test_a_reader_sees_what_a_writer_has_committed_and_nothing_before(path: Path) -> None:
    writer, reader = open_writer(path), open_reader(path)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t VALUES (1)")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (0,)
    writer.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
    writer.close()
    reader.close()


def test_a_missing_file_or_one_that_is_no_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.sqlite"):
        open_reader(tmp_path / "nowhere.sqlite")
    prose = tmp_path / "prose.sqlite"
    prose.write_text("This is no database, but long enough to look at. " * 100)
    for opened in (open_writer, open_reader):
        with pytest.raises(Unavailable, match=r"prose\.sqlite: file is not a database"):
            opened(prose)


def test_no_other_module_opens_a_connection() -> None:
    """What holds for the two functions holds for every connection of the product to a file."""
    sources = [
        path
        for folder in ("eventkernel", "eventgraph", "subgraphs", "kithgraph")
        for path in (ROOT / folder).rglob("*.py")
    ]
    opening = [
        path.relative_to(ROOT)
        for path in sources
        if re.search(r"sqlite3\.connect\((?!\":memory:\"\))", path.read_text())
    ]
    assert opening == [Path("eventkernel/adapters/sqlite/connection.py")]
