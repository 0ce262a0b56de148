"""Back-ups of a data folder: whole or not there, refused by name, and of one moment while others write."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from typing import Any

import pytest
import pytest_asyncio

from bank.system import BANK
from eventgraph.errors import StartError
from eventgraph.operating.backup import create, restore, verify
from eventgraph.operating.backup_manifest import digest_of
from eventgraph.running import data_folder
from eventgraph.running.data_folder import DataFolder, filling_folder
from eventgraph.system import System
from eventkernel.adapters.durable_files import new_folder
from eventkernel.adapters.sqlite import backup
from eventkernel.adapters.sqlite.connection import open_writer
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import SystemClock
from eventkernel.errors import Unavailable
from eventkernel.testing.event_store_contract import put
from infra.patience import seconds
from kithgraph.system import SOCIAL_NETWORK
from tests.support.kith import command_of

ROOT = Path(__file__).parents[2]
RECORDS = "SELECT * FROM records ORDER BY offset"


@pytest_asyncio.fixture
async def data(tmp_path: Path) -> Path:
    """A data folder of the social network with some records on both logs, and a process manager's file."""
    with DataFolder.open(tmp_path / "data", SOCIAL_NETWORK) as folder:
        for name in SOCIAL_NETWORK.logs:
            store = await SqliteEventStore.open(folder.log(name), name=name, clock=SystemClock())
            for number in range(4):
                await put(store, f"{name}-{number}", "one", "two", claims={f"claim {number}"})
            await store.aclose()
        with closing(open_writer(folder.processes)) as processes:
            processes.execute("CREATE TABLE kept (what TEXT)")
            processes.execute("INSERT INTO kept VALUES ('a reaction that was left out')")
    return tmp_path / "data"


def rows(folder: Path, query: str = RECORDS) -> dict[str, list[tuple[object, ...]]]:
    """What the logs of a data folder or a back-up hold."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for name in SOCIAL_NETWORK.logs:
        with closing(sqlite3.connect(f"file:{folder}/logs/{name}.sqlite?mode=ro", uri=True)) as log:
            found[name] = log.execute(query).fetchall()
    return found


def faults(folder: Path, expected: str | None = None) -> list[str]:
    found, _ = verify(folder, expected)
    return [f"{fault.severity}: {fault.what}" for fault in found]


def refused(folder: Path, data: Path) -> str:
    """Why a restore is refused; it leaves nothing behind."""
    with pytest.raises(StartError) as refusal:
        restore(SOCIAL_NETWORK, folder, data)
    assert not data.exists()
    return str(refusal.value)


def changed(folder: Path, **fields: Any) -> None:
    """A back-up whose manifest says something else."""
    manifest = folder / "backup.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), **fields}))


def test_what_is_restored_is_what_was_backed_up(data: Path, tmp_path: Path) -> None:
    manifest = create(SOCIAL_NETWORK, data, tmp_path / "monday")
    assert {log.end for log in manifest.logs.values()} == {9}
    assert (manifest.system, manifest.version) == ("kithgraph", SOCIAL_NETWORK.version)
    assert faults(tmp_path / "monday") == []
    assert restore(SOCIAL_NETWORK, tmp_path / "monday", tmp_path / "other") == manifest
    for query in (RECORDS, "SELECT * FROM claims ORDER BY claim", "SELECT * FROM log"):
        assert rows(tmp_path / "other", query) == rows(data, query)
    keys = [path.read_text() for path in sorted(data.glob("logs/*.claims-key"))]
    assert [path.read_text() for path in sorted(tmp_path.glob("other/logs/*.claims-key"))] == keys
    with closing(sqlite3.connect(tmp_path / "other" / "processes.sqlite")) as processes:
        assert processes.execute("SELECT what FROM kept").fetchall() == [("a reaction that was left out",)]
    DataFolder.open(tmp_path / "other", SOCIAL_NETWORK).__exit__(None, None, None)


def test_a_back_up_is_its_owners_and_needs_nothing_beside_its_files(data: Path, tmp_path: Path) -> None:
    create(SOCIAL_NETWORK, data, tmp_path / "monday")
    restore(SOCIAL_NETWORK, tmp_path / "monday", tmp_path / "other")
    for folder in ("monday", "other"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
        assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in (tmp_path / folder).glob("logs/*-key"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "monday").rglob("*")}
    assert faults(tmp_path / "monday") == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "monday").rglob("*")} == before
    assert not [path for path in before if path.name.endswith(("-wal", "-shm", "lock", "-journal"))]


def test_a_damaged_back_up_is_named_and_not_restored(data: Path, tmp_path: Path) -> None:
    monday, other = tmp_path / "monday", tmp_path / "other"
    manifest = create(SOCIAL_NETWORK, data, monday)
    for name in manifest.files:
        file = monday / name
        content = file.read_bytes()
        middle = len(content) // 2
        for what, damaged in (
            ("bytes, found", content[:-1]),
            ("SHA-256", content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]),
        ):
            file.write_bytes(damaged)
            (fault,) = (fault for fault in faults(monday) if fault.startswith(f"error: {name}: expected"))
            assert what in fault
            assert f"the back-up is damaged: {file}: expected" in refused(monday, other)
        file.unlink()
        assert f"error: {name}: the file is missing" in faults(monday)
        assert f"{file}: No such file" in refused(monday, other)
        file.write_bytes(content)
    (monday / "more").write_text("more")
    assert faults(monday) == ["notice: more: the manifest does not know it"]
    restore(SOCIAL_NETWORK, monday, other)


def test_a_damaged_record_or_another_logs_key_is_found_though_the_files_are_what_the_manifest_says(
    data: Path, tmp_path: Path
) -> None:
    monday = tmp_path / "monday"
    create(SOCIAL_NETWORK, data, monday)
    first, second = sorted(monday.glob("logs/*.claims-key"))
    second.write_bytes(first.read_bytes())
    measured(monday)
    assert faults(monday) == [f"error: logs/users.sqlite: {second}: this is the claims key of another log"]
    shutil.copy(data / "logs" / second.name, second)
    damage_a_record(monday / "logs" / "users.sqlite")
    measured(monday)
    (fault,) = faults(monday)
    assert "logs/users.sqlite: 1 records are damaged, the first at offset 3" in fault
    with closing(sqlite3.connect(monday / "logs" / "friends.sqlite")) as log:
        log.execute("DELETE FROM records WHERE offset = 8")
        log.commit()
    measured(monday)
    assert any("logs/friends.sqlite: expected the log" in fault for fault in faults(monday))


def measured(folder: Path) -> None:
    """A manifest that fits its files, whatever is in them."""
    files = json.loads((folder / "backup.json").read_bytes())["files"]
    for name in files:
        content = (folder / name).read_bytes()
        files[name] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    changed(folder, files=files)


def damage_a_record(log: Path) -> None:
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("UPDATE records SET actor = 'somebody else' WHERE offset = 3")
        connection.commit()


def test_a_data_folder_with_a_damaged_log_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    damage_a_record(data / "logs" / "users.sqlite")
    with pytest.raises(StartError, match=r"is not backed up: logs/users.sqlite: 1 records are damaged"):
        create(SOCIAL_NETWORK, data, tmp_path / "monday")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_another_back_up_than_expected_is_told_by_its_digest(data: Path, tmp_path: Path) -> None:
    digest = digest_of(create(SOCIAL_NETWORK, data, tmp_path / "monday"))
    other = digest_of(create(SOCIAL_NETWORK, data, tmp_path / "tuesday"))
    assert faults(tmp_path / "monday", digest) == []
    assert faults(tmp_path / "tuesday", digest) == [
        f"error: backup.json: expected the SHA-256 {digest}, found {other}: another back-up"
    ]


def test_what_is_no_back_up_of_this_system_and_release_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    monday, other = tmp_path / "monday", tmp_path / "other"
    create(SOCIAL_NETWORK, data, monday)
    manifest = json.loads((monday / "backup.json").read_bytes())
    with pytest.raises(StartError, match="a back-up of another system than Bank: of 'kithgraph'"):
        restore(BANK, monday, other)
    changed(monday, format=2, files={"what a later format has": 1})
    assert "format 2 is of a newer release, this one reads up to 1" in refused(monday, other)
    changed(monday, **{**manifest, "folder_format": 2})
    assert "of a data folder of format 2, this release reads up to 1" in refused(monday, other)
    changed(monday, **{**manifest, "logs": {**manifest["logs"], "posts": {"id": "posts.1", "end": 1}}})
    assert f"has a log 'posts', which Kithgraph {SOCIAL_NETWORK.version} does not know" in refused(monday, other)
    for name in (name for name in manifest["files"] if name.startswith("logs/")):
        changed(monday, **{**manifest, "files": {one: of for one, of in manifest["files"].items() if one != name}})
        assert f"{monday} is incomplete: {name}" in refused(monday, other)
        assert f"error: {name}: the manifest does not name it" in faults(monday)
    for elsewhere in ("../outside", "/etc/passwd", "kithgraph.json", "logs/../lock", "views/users/live"):
        changed(monday, **{**manifest, "files": {**manifest["files"], elsewhere: {"bytes": 1, "sha256": "0" * 64}}})
        assert "is damaged: expected the manifest of a back-up" in refused(monday, other)
    (monday / "backup.json").write_text('{"format": 1')
    assert "is damaged" in refused(monday, other)
    (monday / "backup.json").unlink()
    assert "is no back-up, or an incomplete one: it has no backup.json" in refused(monday, other)
    assert "is no back-up" in refused(tmp_path / "nowhere", other)


def test_only_a_missing_or_empty_folder_is_filled(data: Path, tmp_path: Path) -> None:
    create(SOCIAL_NETWORK, data, tmp_path / "monday")
    before = rows(data)
    with pytest.raises(StartError, match=r"is not empty, it has kithgraph\.json"):
        restore(SOCIAL_NETWORK, tmp_path / "monday", data)
    assert rows(data) == before
    (tmp_path / "empty").mkdir()
    with DataFolder.open(tmp_path / "used", SOCIAL_NETWORK), pytest.raises(StartError, match="is not empty"):
        restore(SOCIAL_NETWORK, tmp_path / "monday", tmp_path / "used")
    with filling_folder(tmp_path / "empty", SOCIAL_NETWORK):
        with pytest.raises(StartError, match="in use by process"):
            restore(SOCIAL_NETWORK, tmp_path / "monday", tmp_path / "empty")
        with pytest.raises(StartError, match="in use by process"):
            DataFolder.open(tmp_path / "empty", SOCIAL_NETWORK)


def test_a_place_where_no_back_up_can_be_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    def why(target: Path, source: Path = data) -> str:
        with pytest.raises(StartError) as refusal:
            create(SOCIAL_NETWORK, source, target)
        return str(refusal.value)

    (tmp_path / "link").symlink_to(data)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("something")
    (tmp_path / "tuesday.draft").mkdir()
    (tmp_path / "tuesday.draft" / "mine").write_text("mine")
    (tmp_path / "wednesday.draft").symlink_to(tmp_path / "full")
    before = sorted(tmp_path.rglob("*"))
    for inside in (data / "monday", data / "logs" / "monday", tmp_path / "link" / "monday", data):
        assert "would lie in the data folder" in why(inside)
    assert "exists already" in why(tmp_path / "file")
    assert "exists already" in why(tmp_path / "full")
    for day in ("tuesday", "wednesday"):
        assert f"{day}.draft exists already: name a new folder" in why(tmp_path / day)
    assert "cannot be written: No such file" in why(tmp_path / "nowhere" / "monday")
    assert "cannot be written: Not a directory" in why(tmp_path / "file" / "monday")
    assert "there is no data folder of Kithgraph" in why(tmp_path / "monday", tmp_path / "nowhere")
    with new_folder(tmp_path / "monday"):
        assert "is being written by another process" in why(tmp_path / "monday")
    with pytest.raises(StartError, match="of another system than Bank: it has a log friends"):
        create(BANK, data, tmp_path / "bank")
    shutil.rmtree(tmp_path / "monday")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_from_before_the_first_start_of_a_new_subgraph_is_backed_up(data: Path, tmp_path: Path) -> None:
    for file in data.glob("logs/friends.*"):
        file.unlink()
    assert list(create(SOCIAL_NETWORK, data, tmp_path / "monday").logs) == ["users"]
    restore(SOCIAL_NETWORK, tmp_path / "monday", tmp_path / "other")
    (data / "views" / "recommendations").mkdir()
    (data / "views" / "recommendations" / "live").write_text("a build")
    with pytest.raises(StartError, match=r"friends\.sqlite is gone"):
        create(SOCIAL_NETWORK, data, tmp_path / "tuesday")


def test_a_folder_without_its_logs_is_not_backed_up_as_an_empty_one(data: Path, tmp_path: Path) -> None:
    def why() -> str:
        with pytest.raises(StartError) as refusal:
            create(SOCIAL_NETWORK, data, tmp_path / "monday")
        assert [path.name for path in tmp_path.iterdir()] == ["data"]
        return str(refusal.value)

    (data / "import.draft").mkdir()
    (data / "logs").rename(data / "import.draft" / "logs")
    assert "is half filled, by an import or a restore" in why()
    shutil.rmtree(data / "import.draft")
    assert "has no log yet" in why()


def test_a_folder_with_a_log_that_a_back_up_would_miss_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "logs" / "users.sqlite", data / "logs" / "posts.sqlite")
    with pytest.raises(StartError, match=r"has a log 'posts', which Kithgraph \S+ does not know"):
        create(SOCIAL_NETWORK, data, tmp_path / "monday")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_whoever_fills_a_folder_while_another_one_waits_for_it_keeps_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has seen an empty folder, and has its lock when all of it is there."""
    create(SOCIAL_NETWORK, data, tmp_path / "monday")
    look = data_folder._check_empty

    def late(path: Path, system: System) -> None:
        look(path, system)
        monkeypatch.setattr(data_folder, "_check_empty", look)
        restore(SOCIAL_NETWORK, tmp_path / "monday", tmp_path / "other")

    monkeypatch.setattr(data_folder, "_check_empty", late)
    with pytest.raises(StartError, match="is not empty"):
        restore(SOCIAL_NETWORK, tmp_path / "monday", tmp_path / "other")
    assert rows(tmp_path / "other") == rows(data)
    assert (tmp_path / "other" / "processes.sqlite").exists()
    assert (tmp_path / "other" / "kithgraph.json").exists()


class Time:
    """Goes on while somebody sleeps; then `meanwhile` is done."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.now = 0.0
        self._meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._meanwhile()


def test_a_file_that_is_hardly_ever_free_keeps_nobody_from_writing_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("one", "two", "three")]
    with ExitStack() as stack:
        one, two, three = (stack.enter_context(closing(open_writer(path))) for path in paths)
        for writer in (one, two, three):
            writer.execute("CREATE TABLE written (number INTEGER)")
            writer.execute("PRAGMA busy_timeout = 0")
        written = [0.0]

        def meanwhile() -> None:
            if time.now > 30 and three.in_transaction:
                three.execute("ROLLBACK")
            try:
                one.execute("INSERT INTO written VALUES (1)")
                two.execute("INSERT INTO written VALUES (1)")
            except sqlite3.OperationalError:
                return
            written.append(time.now)

        time = Time(meanwhile)
        monkeypatch.setattr(backup, "monotonic", lambda: time.now)
        monkeypatch.setattr(backup, "sleep", time.sleep)
        three.execute("BEGIN IMMEDIATE")
        with backup.at_one_moment(paths):
            assert 30 < time.now < 31
        assert len(written) > 30
        assert max(later - sooner for sooner, later in itertools.pairwise(written)) < 1

        three.execute("BEGIN IMMEDIATE")
        time.now = -30 - backup.PATIENCE
        with pytest.raises(Unavailable, match="three: its writers left no moment"), backup.at_one_moment(paths):
            pytest.fail("one of them was not locked")
        one.execute("INSERT INTO written VALUES (2)")
        two.execute("INSERT INTO written VALUES (2)")


def test_nobody_writes_between_the_first_file_and_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An effect in one file, and its cause in another one, are both in the copy, or the effect is not."""
    paths = [tmp_path / name for name in ("one", "two", "three")]
    with ExitStack() as stack:
        writers = [stack.enter_context(closing(open_writer(path))) for path in paths]
        for writer in writers:
            writer.execute("CREATE TABLE written (number INTEGER)")
            writer.execute("PRAGMA busy_timeout = 0")
        refusals: list[str] = []
        taken = backup._snapshot

        def taking(path: Path, reader: sqlite3.Connection) -> backup.Snapshot:
            for writer in writers:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    writer.execute("INSERT INTO written VALUES (1)")
            refusals.append(path.name)
            return taken(path, reader)

        monkeypatch.setattr(backup, "_snapshot", taking)
        with backup.at_one_moment(paths) as snapshots:
            assert refusals == ["one", "two", "three"]
            for writer in writers:
                writer.execute("INSERT INTO written VALUES (2)")  # they wait for no copying
            for snapshot in snapshots:
                snapshot.copy_to(tmp_path / f"{snapshot.path.name} of then")
        for path in paths:
            with closing(sqlite3.connect(tmp_path / f"{path.name} of then")) as copy:
                assert copy.execute("SELECT count(*) FROM written").fetchone() == (0,)


def killed(action: str, source: Path, folder: Path) -> list[Path]:
    """What there is after the work was killed before each of its steps; the last one was not killed."""
    folder.mkdir()
    program = [sys.executable, "-m", "tests.support.killed_at_each_step", action, str(source), str(folder)]
    subprocess.run(program, cwd=ROOT, check=True, timeout=seconds(120))
    return sorted(folder.iterdir(), key=lambda here: int(here.name))


def test_a_back_up_that_is_killed_at_any_step_is_whole_or_not_there_and_the_next_one_cleans_up(
    data: Path, tmp_path: Path
) -> None:
    whole = 0
    steps = killed("create", data, tmp_path / "killed")
    for here in steps:
        if (here / "monday").exists():
            whole += 1
        else:
            create(SOCIAL_NETWORK, data, here / "monday")
        assert faults(here / "monday") == []
        assert rows(here / "monday") == rows(data)
        assert [path.name for path in here.iterdir()] == ["monday"]
    assert len(steps) > 10
    assert 1 <= whole < 4


@pytest.mark.parametrize("action", ["restore", "again"])
def test_a_restore_that_is_killed_at_any_step_is_whole_or_refused_until_it_is_done_again(
    data: Path, tmp_path: Path, action: str
) -> None:
    create(SOCIAL_NETWORK, data, tmp_path / "monday")
    half = whole = 0
    for here in killed(action, tmp_path / "monday", tmp_path / "killed"):
        restored = here / "data"
        if {path.name for path in restored.glob("*")} <= {"lock"}:
            restore(SOCIAL_NETWORK, tmp_path / "monday", restored)
        elif (restored / "logs").exists():
            whole += 1
        else:
            half += 1
            with pytest.raises(StartError, match="is half filled, by an import or a restore"):
                DataFolder.open(restored, SOCIAL_NETWORK)
            restore(SOCIAL_NETWORK, tmp_path / "monday", restored)
        with DataFolder.open(restored, SOCIAL_NETWORK) as folder:
            assert rows(restored) == rows(data)
            assert folder.processes.read_bytes() == (tmp_path / "monday" / "processes.sqlite").read_bytes()
    assert half > 5
    assert 1 <= whole < 6


@pytest.mark.parametrize("limit", [0, 20_000])
def test_a_full_disk_is_told_and_leaves_nothing(data: Path, tmp_path: Path, limit: int) -> None:
    create(SOCIAL_NETWORK, data, tmp_path / "monday")
    for arguments in (
        ("create", tmp_path / "full", "--data", data),
        ("restore", tmp_path / "monday", "--data", tmp_path / "full"),
    ):
        finished = subprocess.run(
            [command_of("kith"), "backup", *arguments],
            preexec_fn=lambda: setrlimit(RLIMIT_FSIZE, (limit, limit)),
            timeout=seconds(60), check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert (finished.returncode, finished.stderr.count("\n")) == (1, 1), finished.stderr
        assert "full" in finished.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "monday"]
