"""Operators' tools from inside: copying logs in batches, interrupted imports, the page's escaping, the socket."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from eventgraph.console.status import (
    BuildLine,
    CacheLine,
    ParkedLine,
    PartitionLine,
    SubgraphLine,
    SystemStatus,
    ViewLine,
)
from eventgraph.console.status_page import render
from eventgraph.errors import StartError
from eventgraph.running.control_socket import Control, listen_for_control
from eventgraph.running.data_folder import DataFolder, filling_folder
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.log_check import flaws_of_log
from eventkernel.adapters.sqlite.log_copy import Contradiction, LogExport, LogImport
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_key
from eventkernel.clock import ManualClock
from eventkernel.errors import CannotOpen, InvalidInput
from eventkernel.events import EncodedEvent, Record
from eventkernel.writing.claims import ClaimsKey
from kithgraph.system import SOCIAL_NETWORK


async def filled(path: Path, streams: int) -> list[Record]:
    """A log in which claims pass from stream to stream, and commits have two records."""
    store = await SqliteEventStore.open(path, name="doors", clock=ManualClock())
    for number in range(streams):
        if number:
            await put(store, f"door-{number - 1}", 2, frozenset())
        await put(store, f"door-{number}", 0, frozenset({"the-key"}))
    await store.aclose()
    with LogExport(path) as log:
        return [record for batch in log.batches() for record in batch]


async def put(store: SqliteEventStore, stream: str, after: int, claims: frozenset[str]) -> None:
    events = [EncodedEvent("doors.Opened", 1, b'{"by":"\xc3\xa4"}'), EncodedEvent("doors.Shut", 1, b"{}")]
    await store.append(
        stream,
        events,
        expected_version=after,
        command_id=f"{stream}:{after}",
        fingerprint="f",
        claims=claims,
    )


def table_rows(path: Path) -> list[Sequence[object]]:
    connection = sqlite3.connect(path)
    queries = ("SELECT * FROM log", "SELECT * FROM records ORDER BY offset", "SELECT * FROM claims ORDER BY claim")
    found = [row for query in queries for row in connection.execute(query)]
    connection.close()
    return found


@pytest.mark.parametrize("streams", [0, 1, 260, 520])
async def test_a_copy_in_batches_is_the_same_log(tmp_path: Path, streams: int) -> None:
    records = await filled(tmp_path / "doors.sqlite", streams)
    key = read_key(claims_key_path(tmp_path / "doors.sqlite"))
    copy = LogImport(tmp_path / "copy.sqlite", records[0].log, key)
    for record in records:
        copy.add(record)
    copy.flush()
    copy.close()
    assert table_rows(tmp_path / "copy.sqlite") == table_rows(tmp_path / "doors.sqlite")
    assert stat.S_IMODE(claims_key_path(tmp_path / "copy.sqlite").stat().st_mode) == 0o600
    assert list(flaws_of_log(tmp_path / "copy.sqlite")) == []


async def test_a_copy_takes_only_the_next_record_of_its_own_log(tmp_path: Path) -> None:
    records = await filled(tmp_path / "doors.sqlite", 2)
    key = read_key(claims_key_path(tmp_path / "doors.sqlite"))
    with pytest.raises(CannotOpen):
        LogImport(tmp_path / "other-key.sqlite", records[0].log, ClaimsKey.draw()).add(records[0])
    copy = LogImport(tmp_path / "copy.sqlite", records[0].log, key)
    for wrong, named in ((records[1], "offset"), (changed(records[0], type="doors.Opened"), "fence")):
        with pytest.raises(InvalidInput, match=named):
            copy.add(wrong)
    copy.add(records[0])
    wrongs = {"source": "doors.0", "partition": 1, "generation": 1, "id": "x", "offset": 2}
    for name, value in wrongs.items():
        field = {"source": "log"}.get(name, name)
        with pytest.raises(InvalidInput, match=name):
            copy.add(changed(records[1], **{field: value}))
    copy.add(records[1])
    copy.add(changed(records[1], offset=2))
    with pytest.raises(Contradiction) as contradiction:
        copy.flush()
    assert contradiction.value.offset == 2
    copy.close()


def changed(record: Record, **fields: object) -> Record:
    return msgspec.structs.replace(record, **fields)


def test_a_folder_is_filled_in_one_step_or_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    def fail() -> None:
        with filling_folder(folder, SOCIAL_NETWORK) as draft:
            (draft / "logs" / "a").write_text("a")
            assert not (folder / "logs").exists()
            raise KeyboardInterrupt

    for was_there in (False, True):
        if was_there:
            folder.mkdir()
        with pytest.raises(KeyboardInterrupt):
            fail()
        assert folder.exists() == was_there
        assert list(folder.glob("*")) == []
    (folder / "import.draft" / "logs").mkdir(parents=True)  # as a killed import leaves it
    (folder / "import.draft" / "logs" / "old").write_text("old")
    (folder / "lock").write_text("1")
    with filling_folder(folder, SOCIAL_NETWORK) as draft:
        (draft / "logs" / "a").write_text("a")
        with pytest.raises(StartError, match="in use by process"):
            DataFolder.open(folder, SOCIAL_NETWORK)
    assert [path.name for path in (folder / "logs").iterdir()] == ["a"]
    assert json.loads((folder / "kithgraph.json").read_text()) == {"format": 1}
    with pytest.raises(StartError, match="not empty"), filling_folder(folder, SOCIAL_NETWORK):
        pass


@pytest.mark.parametrize("name", ["short", "long" * 50])
async def test_the_socket_is_its_owners_and_an_old_one_is_replaced(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    assert not Control(folder).answers()
    listen_for_control(folder).close()
    assert not Control(folder).answers()
    listener = listen_for_control(folder)
    try:
        assert stat.S_IMODE(os.stat(folder / "control.sock").st_mode) == 0o600  # noqa: PTH116 -- of a socket
        assert await asyncio.to_thread(Control(folder).answers)
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 no\r\ncontent-length: 4\r\n\r\noops", "HTTP status 500"),
        (b'HTTP/1.1 409 no\r\ncontent-length: 16\r\n\r\n{"error":"never"}'[:-1], "HTTP status 409"),
        (b'HTTP/1.1 409 no\r\ncontent-length: 17\r\n\r\n{"error":"never"}', "never"),
        (b"HTTP/1.1 200 yes\r\ncontent-length: 2\r\n\r\n{}", "does not answer"),
        (b"what?", "does not answer"),
    ],
)
async def test_whatever_the_running_system_says_is_one_line(tmp_path: Path, answer: bytes, said: str) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(respond, sock=listen_for_control(tmp_path))
    try:
        with pytest.raises(StartError, match=said):
            await asyncio.to_thread(Control(tmp_path).status)
    finally:
        server.close()


def test_the_page_shows_what_it_is_told_as_text() -> None:
    line = PartitionLine("users.1", 0, 7, 1_010, 1_003, 2.5)
    evil = "<script>alert(1)</script>"
    live = BuildLine("b-1", (line,), (ParkedLine(evil, "users.1", 3, evil, 2),), (), 7)
    subgraph = SubgraphLine("users", ViewLine("users", live, None, ()), ())
    none_yet = SubgraphLine("friends", ViewLine("friends", None, live, ()), ())
    now = datetime(2026, 1, 31, tzinfo=UTC)
    caches = {"plans": CacheLine(1, 1, 3, 1, 0, 0.25)}
    page = render(SystemStatus("1", 1, now, evil, (subgraph, none_yet), caches), "Kithgraph", now)
    assert "<script" not in page
    for shown in ("1,003", "2.5 s", "7 of 1,010", "75.0%", "1 stream is parked; 1 view is not there yet", "none yet"):
        assert shown in page
