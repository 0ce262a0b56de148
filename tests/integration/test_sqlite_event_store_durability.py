"""Acknowledged means on disk: a killed writer loses nothing that it acknowledged, and fsync comes before the word."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import SystemClock
from eventkernel.events import Record
from eventkernel.writing.store import Checkpoint, ClaimHolder
from infra.patience import seconds

ROOT = Path(__file__).parents[2]
WRITERS = 8
ENDLESS = 10**9


def appending(path: Path, writers: int, first: int, count: int) -> list[str]:
    return [sys.executable, "-m", "tests.support.appending", str(path), str(writers), str(first), str(count)]


async def acknowledged_until_killed(path: Path, first: int, lines: int) -> set[tuple[str, int, str]]:
    """Let the program append, kill it when it has acknowledged so many, and give all that it has."""
    child = await asyncio.create_subprocess_exec(
        *appending(path, WRITERS, first, ENDLESS), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    seen = [await child.stdout.readline() for _ in range(lines)]
    child.kill()
    seen += (await child.stdout.read()).splitlines(keepends=True)
    await child.wait()
    acknowledged: set[tuple[str, int, str]] = set()
    for line in seen:
        if line.endswith(b"\n"):
            stream, version, command = line.decode().split()
            acknowledged.add((stream, int(version), command))
    return acknowledged


async def test_a_killed_writer_has_lost_nothing_that_it_acknowledged(tmp_path: Path, full_campaign: bool) -> None:
    path = tmp_path / "doors.sqlite"
    chance = random.Random(7)
    acknowledged: set[tuple[str, int, str]] = set()
    for round_number in range(25 if full_campaign else 4):
        first = round_number * 1_000_000
        acknowledged |= await acknowledged_until_killed(path, first, chance.randrange(1, 400))
        store = await SqliteEventStore.open(path, name="doors", clock=SystemClock())
        await every_commit_is_whole_and_found(store, acknowledged)
        await store.aclose()


async def every_commit_is_whole_and_found(store: SqliteEventStore, acknowledged: set[tuple[str, int, str]]) -> None:
    records: list[Record] = []
    head = await store.head()
    async with aclosing(store.subscribe(Checkpoint())) as batches:
        async for batch in batches:
            records += batch.records
            if batch.next_offset in head.values():
                break
    commits: dict[str, list[Record]] = {}
    for record in records:
        commits.setdefault(record.command_id, []).append(record)
    assert {command for _, _, command in acknowledged} <= commits.keys()
    for command, mine in commits.items():
        assert [record.type for record in mine] == ["doors.Opened", "doors.Shut"]
        assert mine[1].offset == mine[0].offset + 1
        found = await store.find_command(command)
        assert found is not None
        assert (found.stream, found.version) == (mine[1].stream, mine[1].version)
    for stream, version, command in acknowledged:
        assert (commits[command][1].stream, commits[command][1].version) == (stream, version)
    for number in range(WRITERS):
        stream = f"door-{number}"
        mine = [record for record in records if record.stream == stream]
        assert [record.version for record in mine] == list(range(1, len(mine) + 1))
        if mine:
            claim = f"{stream}:{int(mine[-1].command_id.partition(':')[2]) % 2}"
            holder = await store.find_claim(claim)
            assert isinstance(holder, ClaimHolder)
            assert holder.stream == stream


CALL = re.compile(r"^(?P<thread>\d+) +(?P<name>\w+)\((?P<file>\d+<[^>]*>)?(?P<rest>.*)$")
RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")


def finished_calls(trace: str) -> Iterator[tuple[str, str, str]]:
    """The system calls in the order in which they ended, with their file and the rest of their line."""
    unfinished: dict[str, str] = {}
    for line in trace.splitlines():
        if call := CALL.match(line):
            file = call["file"] or ""
            if line.endswith("<unfinished ...>"):
                unfinished[call["thread"]] = file
            else:
                yield call["name"], file, call["rest"]
        elif resumed := RESUMED.match(line):
            yield resumed["name"], unfinished.pop(resumed["thread"]), resumed["rest"]


def test_the_fsync_of_an_append_precedes_its_acknowledgement(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    watching = ["strace", "-f", "-y", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", str(trace)]
    subprocess.run(
        [*watching, *appending(tmp_path / "doors.sqlite", 1, 0, 20)], cwd=ROOT, check=True, timeout=seconds(60)
    )
    appended = acknowledged = 0
    on_disk = True
    for name, file, rest in finished_calls(trace.read_text(errors="replace")):
        if file.endswith("doors.sqlite-wal>"):
            if name == "pwrite64":
                on_disk = False
                appended += 1
            elif name in {"fsync", "fdatasync"} and rest.endswith("= 0"):
                on_disk = True
        elif name == "write" and "door-0:" in rest:
            assert on_disk, f"acknowledgement {acknowledged} came before the fsync of what it acknowledges"
            assert appended, f"acknowledgement {acknowledged} came before anything was written"
            acknowledged += 1
            appended = 0
    assert acknowledged == 20


CREATED = re.compile(r'^\S+ +\w+\([^"]*"(?P<path>[^"]+)"')
RENAMED = re.compile(r'"(?P<old>[^"]+)"[^"]*"(?P<new>[^"]+)"')
ON_FILE = re.compile(r"^\d+<(?P<path>[^>]*)>")
NOT_RELIED_ON = re.compile(r"-shm$|/lock$|-journal$")
"""What is made anew from the rest, or means nothing after the process has ended."""


def whole_calls(trace: str) -> Iterator[tuple[str, str]]:
    """The system calls in the order in which they ended: their names, and all that follows the parenthesis."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest.removesuffix("<unfinished ...>")
            continue
        if rest.startswith("<... "):
            rest = begun.pop(thread) + rest.partition("resumed>")[2]
        name, parenthesis, arguments = rest.partition("(")
        if parenthesis and name.isidentifier():
            yield name, arguments


class Disk:
    """What of a folder is not on the disk yet: contents of files, and names of files in folders."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.contents: set[str] = set()
        self.names: dict[str, str] = {}
        """By name: the folder that has to be synced."""
        self.renamed_unsynced: list[str] = []
        self._known: set[str] = set()

    def saw(self, name: str, arguments: str) -> None:
        if "= -1" in arguments:
            return
        on = ON_FILE.match(arguments)
        path = on["path"] if on else ""
        if name == "ftruncate" and ", 0)" in arguments:
            self.contents.discard(path)  # a write-ahead log that has come back says what the file says already
        elif name in {"write", "pwrite64", "ftruncate"} and self._counts(path):
            self.contents.add(path)
        elif name in {"fsync", "fdatasync"} and on:
            self.contents.discard(path)
            self.names = {one: folder for one, folder in self.names.items() if folder != path}
        elif name in {"rename", "renameat", "renameat2", "link", "linkat"} and (two := RENAMED.search(arguments)):
            self._named(two["new"])
            if two["old"] in self.contents:
                self.renamed_unsynced.append(two["old"])
            if name.startswith("rename"):
                self.names.pop(two["old"], None)
        elif (name in {"mkdir", "mkdirat"} or (name == "openat" and "O_CREAT" in arguments)) and (
            made := re.search(r'"([^"]+)"', arguments)
        ):
            self._made(made[1])
        elif name in {"unlink", "unlinkat"} and (gone := re.search(r'"([^"]+)"', arguments)):
            self.names.pop(gone[1], None)
            self.contents.discard(gone[1])

    def _made(self, path: str) -> None:
        if path not in self._known:
            self._named(path)

    def _named(self, path: str) -> None:
        if self._counts(path):
            self._known.add(path)
            self.names[path] = str(Path(path).parent)

    def _counts(self, path: str) -> bool:
        return path.startswith(self._root) and NOT_RELIED_ON.search(path) is None


def test_whatever_a_start_or_an_acknowledgement_relies_on_is_on_the_disk_before(tmp_path: Path) -> None:
    """The claims key, the folder, a pointer to a live build, a build that was filled in bulk, checkpoints, appends,
    a back-up, what was restored from it."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace, data = tmp_path / "trace", tmp_path / "data"
    calls = "write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,openat,mkdir,mkdirat,unlink"
    watching = ["strace", "-f", "-y", "-s", "200", "-e", f"trace={calls}", "-o", str(trace)]
    run = [*watching, sys.executable, "-m", "tests.support.durable_child", str(data)]
    said = subprocess.run(run, cwd=ROOT, check=True, timeout=seconds(120), capture_output=True, text=True).stdout
    disk, safe = Disk(data), 0
    for name, arguments in whole_calls(trace.read_text(errors="replace")):
        disk.saw(name, arguments)
        if name == "write" and (word := re.search(r'"SAFE ([^\\"]*)', arguments)):
            assert not disk.renamed_unsynced, f"took their names before they were on the disk: {disk.renamed_unsynced}"
            assert not disk.contents, f"{word[1]}: not on the disk: {disk.contents}"
            assert not disk.names, f"{word[1]}: their folders do not have them on the disk: {disk.names}"
            safe += 1
    assert safe == said.count("SAFE") == 13
