"""An archive has what the logs have, whatever breaks off, and whatever is done to it is found."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.objects.folder import FolderStore
from eventkernel.archiving.archived_log import ArchivedLog, archived_logs
from eventkernel.archiving.archiver import Archiver
from eventkernel.archiving.layout import (
    LogArchive,
    Manifest,
    Reached,
    digest,
    digest_name,
    from_bytes,
    records_of,
    to_bytes,
)
from eventkernel.archiving.objects import ObjectStore
from eventkernel.archiving.verification import Fault, Verification
from eventkernel.clock import ManualClock, SystemClock
from eventkernel.errors import CannotOpen, CheckpointMismatch, CorruptData, Unavailable
from eventkernel.events import EncodedEvent, Position, Record, moment
from eventkernel.writing.store import Batch, Checkpoint, LogReader

SMALL = 700
"""Bytes of a segment: it has one commit."""


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Failing:
    """A store that kills its user at one of its writes: before anything is there, or when all of it is."""

    store: FolderStore
    at: int
    after: bool
    writes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.store.name

    async def put(self, name: str, content: bytes) -> bool:
        self.writes.append(name)
        if len(self.writes) == self.at and not self.after:
            raise Killed
        done = await self.store.put(name, content)
        if len(self.writes) == self.at:
            raise Killed
        return done

    async def get(self, name: str, at_most: int) -> bytes | None:
        return await self.store.get(name, at_most)

    def names(self, level: str = "") -> AsyncGenerator[str, None]:
        return self.store.names(level)


def new_logs() -> list[MemoryEventStore]:
    return [MemoryEventStore(name, SystemClock(), partitions) for name, partitions in (("doors", 3), ("rooms", 1))]


async def fill(log: MemoryEventStore, commits: int, size: int = 2) -> None:
    for number in range(commits):
        stream = f"s{number % 5}"
        version = len(await log.read_stream(stream))
        await log.append(
            stream,
            [EncodedEvent("doors.Opened", 1, b'{"text":"%d"}' % at) for at in range(size)],
            expected_version=version,
            command_id=f"{stream}:{version}",
            fingerprint="f",
            claims=frozenset({f"{stream}:{version}"}),
        )


async def records(log: LogReader | ArchivedLog, end: int) -> list[Record]:
    """By partition, so many in all."""
    found: list[Record] = []
    if end:
        async with aclosing(log.subscribe(Checkpoint())) as batches:
            async for batch in batches:
                found += batch.records
                if len(found) >= end:
                    break
    return sorted(found, key=lambda record: (record.partition, record.offset))


def archiver(store: ObjectStore, logs: Sequence[MemoryEventStore], segment_bytes: int = SMALL) -> Archiver:
    return Archiver(store, logs, SystemClock(), segment_bytes=segment_bytes)


async def check(store: FolderStore, logs: Sequence[MemoryEventStore]) -> None:
    """The archive is whole, and has all that the logs have."""
    assert [fault for fault in await faults(store) if fault.severity == "error"] == []
    archived = {log.log: log for log in await archived_logs(store)}
    for log in logs:
        count = sum((await log.head()).values()) - len(await log.head())
        assert await records(archived[log.log], count) == await records(log, count)
        assert archived[log.log].archive.records == count
        assert archived[log.log].archive.fence() == await log.opening()


async def faults(store: ObjectStore, expected: str | None = None) -> list[Fault]:
    return [fault async for fault in Verification(store, expected=expected).faults()]


async def objects(store: FolderStore) -> list[str]:
    return sorted([name async for name in store.names()])


async def test_an_archive_has_every_record_where_the_logs_have_it(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    manifest = await archiver(store, logs).run()
    assert (manifest.closed, manifest.segments) == (True, ())
    await check(store, logs)
    for log in logs:
        await fill(log, 20)
    manifest = await archiver(store, logs).run()
    assert manifest.closed
    await check(store, logs)
    assert await archiver(store, logs).run() == manifest
    assert await faults(store) == []


async def test_a_later_run_adds_what_is_new_and_touches_nothing_that_is_there(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    for log in logs:
        await fill(log, 7)
    await archiver(store, logs).run()
    before = {name: (tmp_path / name).stat() for name in await objects(store)}
    await fill(logs[0], 9)
    await archiver(store, logs).run()
    await check(store, logs)
    for name, stat in before.items():
        now = (tmp_path / name).stat()
        assert (now.st_ino, now.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    segments = [name for name in await objects(store) if name.startswith("segments/")]
    by_partition = [segment.split("/")[1:3] for segment in segments]
    assert by_partition == sorted(by_partition)  # a listing is in order: its names are sorted as texts


async def test_segments_are_bounded_and_end_where_a_commit_ends(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[1], 12, size=3)
    await archiver(store, logs).run()
    (archived,) = [log for log in await archived_logs(store) if log.log == logs[1].log]
    assert len(archived.segments[0]) == 12
    for segment in archived.segments[0]:
        lines = gzip.decompress((tmp_path / segment.name).read_bytes()).splitlines()
        assert [json.loads(line)["streamversion"] % 3 for line in lines] == [1, 2, 0]


async def test_a_crash_at_any_write_leaves_an_archive_that_is_whole_and_goes_on(tmp_path: Path) -> None:
    logs = new_logs()
    for log in logs:
        await fill(log, 12)
    writes = Failing(FolderStore(tmp_path / "whole"), 0, after=False)
    await archiver(writes, logs).run()
    assert sum(name.startswith("manifests/") for name in writes.writes) > 2  # it writes one before it is done, too
    for at in range(1, len(writes.writes) + 1):
        for after in (False, True):
            store = FolderStore(tmp_path / f"{at}-{after}")
            with pytest.raises(Killed):
                await archiver(Failing(store, at, after), logs).run()
            assert [fault for fault in await faults(store) if fault.severity == "error"] == []
            await archiver(store, logs).run()
            await check(store, logs)


async def test_what_a_run_that_was_broken_off_has_done_is_not_done_again(tmp_path: Path) -> None:
    logs = new_logs()
    await fill(logs[1], 40)
    store = FolderStore(tmp_path)
    broken = Failing(store, 30, after=False)
    with pytest.raises(Killed):
        await archiver(broken, logs).run()
    named = [name for name in broken.writes if name.startswith("segments/")][:16]
    again = Failing(store, 0, after=False)
    await archiver(again, logs).run()
    assert not set(named) & set(again.writes)


async def test_a_system_is_restored_as_its_last_finished_run_had_it(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[0], 5)
    await archiver(store, logs).run()
    await fill(logs[1], 40)
    with pytest.raises(Killed):
        await archiver(Failing(store, 18, after=True), logs).run()  # after its first manifest, which is not closed
    assert len(list((tmp_path / "manifests").glob("*.json"))) == 2
    archived = {log.log: log.archive.records for log in await archived_logs(store)}
    assert archived == {logs[0].log: 10, logs[1].log: 0}


async def test_a_system_is_restored_as_a_run_had_it_that_was_finished_until_a_moment(tmp_path: Path) -> None:
    store, logs, clock = FolderStore(tmp_path), new_logs(), ManualClock()
    moments: list[datetime] = []
    for _ in range(3):
        await fill(logs[0], 2)
        await Archiver(store, logs, clock, segment_bytes=SMALL).run()
        moments.append(moment(clock.now_us()))
        clock.advance(60)
    tick = timedelta(milliseconds=1)
    for until, records in ((moments[0], 4), (moments[1] - tick, 4), (moments[1], 8), (moments[2] + tick, 12)):
        first, _ = await archived_logs(store, until)
        assert first.archive.records == records == sum(len(batch.records) for batch in await batches(first))
    with pytest.raises(CannotOpen, match=r"its first run was finished at 2023-11-14T22:13:20\.000Z, after"):
        await archived_logs(store, moments[0] - tick)


async def batches(log: ArchivedLog) -> list[Batch]:
    return [batch async for batch in log.subscribe(Checkpoint())]


async def test_an_archive_of_which_no_run_was_finished_is_refused(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    with pytest.raises(CannotOpen, match="there is none"):
        await archived_logs(store)
    await fill(logs[1], 40)
    with pytest.raises(Killed):
        await archiver(Failing(store, 17, after=True), logs).run()
    with pytest.raises(CannotOpen, match="its first run was broken off"):
        await archived_logs(store)


async def test_of_two_archivers_at_once_one_is_refused_and_nothing_is_twice_in_the_archive(tmp_path: Path) -> None:
    logs = new_logs()
    store = FolderStore(tmp_path)
    for round_ in range(5):
        await fill(logs[0], 3)
        await fill(logs[1], 3)
        done = await asyncio.gather(
            *(archiver(store, logs, segment_bytes=SMALL * (at + 1)).run() for at in range(3)), return_exceptions=True
        )
        assert any(isinstance(one, Manifest) for one in done)
        for one in done:
            assert isinstance(one, (Manifest, Unavailable))
        await archiver(store, logs).run()
        await check(store, logs)
        assert round_ >= 0


async def test_the_manifest_of_a_number_is_that_of_who_wrote_it_first(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[0], 3)

    class Overtaken(Failing):
        async def put(self, name: str, content: bytes) -> bool:
            if name.startswith("manifests/") and not self.writes:
                self.writes.append(name)
                await fill(logs[0], 3)
                await archiver(self.store, logs).run()
            return await self.store.put(name, content)

    with pytest.raises(Unavailable, match=r"another archiver has written manifests/0000000000\.json"):
        await archiver(Overtaken(store, 0, after=False), logs).run()
    await check(store, logs)


def damaged(content: bytes, other: bytes, damage: str) -> bytes | None:
    return {
        "missing": None,
        "cut": content[:-1],
        "empty": b"",
        "longer": content + b"more",
        "changed": content[:20] + bytes([content[20] ^ 1]) + content[21:],
        "swapped": other,
    }[damage]


async def read_all(store: FolderStore) -> None:
    for log in await archived_logs(store):
        await records(log, 1_000)


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "longer", "changed", "swapped"])
async def test_whatever_is_done_to_an_object_is_found_and_the_object_named(tmp_path: Path, damage: str) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    for _ in range(3):
        for log in logs:
            await fill(log, 3)
        await archiver(store, logs).run()
    names = await objects(store)
    last_digest = max(name for name in names if name.endswith(".sha256"))
    for name in names:
        kind = name.rpartition(".")[2]
        other = next(one for one in reversed(names) if one.endswith(kind) and one != name)
        content = (tmp_path / name).read_bytes()
        if (put := damaged(content, (tmp_path / other).read_bytes(), damage)) is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(put)
        found = await faults(store)
        harmless = (name, damage) == (last_digest, "missing")  # the next run writes it again
        severity = "notice" if harmless else "error"
        assert any(fault.severity == severity and name in fault.what for fault in found), (name, found)
        if not (kind == "sha256" and damage == "missing"):
            with pytest.raises(CorruptData) as refused:
                await read_all(store)
            assert name in str(refused.value) or name.replace("sha256", "json") in str(refused.value)
        (tmp_path / name).write_bytes(content)
    assert await faults(store) == []


async def test_an_archiver_does_not_go_on_behind_a_manifest_that_is_missing(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    for _ in range(3):
        await fill(logs[0], 3)
        await archiver(store, logs).run()
    for number in (1, 2):
        content = (tmp_path / f"manifests/000000000{number}.json").read_bytes()
        (tmp_path / f"manifests/000000000{number}.json").unlink()
        with pytest.raises(CorruptData, match=rf"manifests/000000000{number}\.json is missing"):
            await archiver(store, logs).run()
        (tmp_path / f"manifests/000000000{number}.json").write_bytes(content)


async def test_an_end_that_was_cut_off_with_its_digests_is_found_by_a_digest_kept_elsewhere(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    for _ in range(2):
        await fill(logs[0], 3)
        await archiver(store, logs).run()
    kept = (tmp_path / "manifests/0000000001.sha256").read_text().strip()
    assert await faults(store, kept) == []
    for kind in ("json", "sha256"):
        (tmp_path / f"manifests/0000000001.{kind}").unlink()
    assert {fault.severity for fault in await faults(store)} == {"notice"}
    (error,) = [fault for fault in await faults(store, kept) if fault.severity == "error"]
    assert kept in error.what


async def test_a_log_that_was_cut_or_replaced_is_refused(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    for log in logs:
        await fill(log, 6)
    await archiver(store, logs).run()
    doors = logs[0]
    partition = max(doors._partitions, key=len)
    lost = partition.pop()
    with pytest.raises(CheckpointMismatch, match="the log ends at"):
        await archiver(store, logs).run()
    partition.append(msgspec.structs.replace(lost, data=b'"other"'))
    with pytest.raises(CheckpointMismatch, match=f"{doors.log}.* is not the one that its reader has read"):
        await archiver(store, logs).run()
    partition[-1] = lost
    await archiver(store, logs).run()
    with pytest.raises(CannotOpen, match=f"has the log {doors.log}, and this system has doors"):
        await archiver(store, [MemoryEventStore("doors", SystemClock(), 3), logs[1]]).run()
    doors._partitions.append(doors._partitions[0][:1])
    with pytest.raises(CannotOpen, match="another number of partitions"):
        await archiver(store, logs).run()
    doors._partitions.pop()
    with pytest.raises(CannotOpen, match="another system: it has the log rooms"):
        await archiver(store, logs[:1]).run()
    await check(store, logs)


async def test_whatever_a_log_refers_to_is_in_the_archive_though_both_grow_meanwhile(tmp_path: Path) -> None:
    """Between any two looks at the logs' ends there comes a room, and then a door that names it."""

    class Growing(MemoryEventStore):
        async def head(self) -> Position:
            found = await super().head()
            for log in logs:
                await fill(log, 1)
            return found

    logs = [Growing("rooms", SystemClock()), Growing("doors", SystemClock())]
    store = FolderStore(tmp_path)
    await archiver(store, logs, segment_bytes=100_000).run()
    rooms, doors = [one.archive.records for one in await archived_logs(store)]
    assert rooms >= doors > 0
    assert await faults(store) == []
    await archiver(store, logs, segment_bytes=100_000).run()
    for archived, log in zip(await archived_logs(store), logs, strict=True):
        count = archived.archive.records
        assert await records(archived, count) == (await records(log, count))[:count]  # nothing is left out


async def test_what_a_subscription_repeats_is_once_in_the_archive(tmp_path: Path) -> None:
    class Repeating(MemoryEventStore):
        async def subscribe(
            self, after: Checkpoint, partitions: frozenset[int] | None = None
        ) -> AsyncGenerator[Batch, None]:
            async with aclosing(super().subscribe(after, partitions)) as batches:
                async for batch in batches:
                    if batch.records:
                        yield Batch(batch.log, batch.partition, batch.records[:3], batch.records[2].offset + 1, 0)
                    yield batch

    store, logs = FolderStore(tmp_path), [Repeating("doors", SystemClock())]
    await fill(logs[0], 3)
    await archiver(store, logs, segment_bytes=100_000).run()
    assert await faults(store) == []
    assert [log.archive.records for log in await archived_logs(store)] == [6]


async def test_a_log_that_comes_later_joins_the_archive(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await archiver(store, logs[:1]).run()
    await archiver(store, logs).run()
    assert {log.log for log in await archived_logs(store)} == {log.log for log in logs}
    await check(store, logs)


async def test_a_record_that_is_damaged_is_not_archived(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[1], 1)
    (partition,) = logs[1]._partitions
    partition[1] = msgspec.structs.replace(partition[1], intact=False)
    with pytest.raises(CorruptData, match="offset 1: version 1 of the stream 's0' is damaged"):
        await archiver(store, logs).run()


HOSTILE_LOGS = ["../../etc/x.y", "users", "users.a/b", "/users.a", "users.a\n", "..", ".", "users.é", "a" * 300 + ".x"]


@pytest.mark.parametrize("log", HOSTILE_LOGS)
async def test_a_log_id_that_is_no_name_is_refused(tmp_path: Path, log: str) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[1], 1)
    await archiver(store, logs).run()
    text = (tmp_path / "manifests/0000000000.json").read_text()
    with pytest.raises(CorruptData, match=r"manifests/0000000000\.json: expected a manifest"):
        from_bytes(text.replace(logs[1].log, json.dumps(log)[1:-1]).encode(), 0)


async def test_a_manifest_that_leaves_a_segment_out_is_found_though_its_digest_is_right(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[1], 5)
    manifest = await archiver(store, logs).run()
    left, out, *right = manifest.segments
    content = to_bytes(msgspec.structs.replace(manifest, segments=(left, *right)))
    (tmp_path / manifest.name).write_bytes(content)
    (tmp_path / digest_name(0)).write_text(f"{digest(content)}\n")
    wanted = f"{right[0].name}: expected a segment from the offset {out.first} on"
    with pytest.raises(CorruptData, match=re.escape(wanted)):
        await archived_logs(store)
    assert wanted in [fault.what for fault in await faults(store)]


async def test_a_segment_of_another_partition_is_found(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[0], 5)
    segment = (await archiver(store, logs).run()).segments[0]
    content = (tmp_path / segment.name).read_bytes()
    other = msgspec.structs.replace(segment, partition=segment.partition + 1)
    with pytest.raises(CorruptData, match=f"it has a record of {segment.log}/{segment.partition}"):
        list(records_of(other, content))


async def test_a_segment_with_a_record_behind_its_end_is_found(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[1], 5)
    segment = (await archiver(store, logs).run()).segments[0]
    content = (tmp_path / segment.name).read_bytes()
    with pytest.raises(CorruptData, match=f"the offset {segment.next - 1} is out of order"):
        list(records_of(msgspec.structs.replace(segment, next=segment.next - 1), content))


async def test_an_archive_in_a_newer_format_is_refused_by_all_who_read_it(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    manifest = await archiver(store, logs).run()
    content = to_bytes(msgspec.structs.replace(manifest, format=manifest.format + 1))
    (tmp_path / manifest.name).write_bytes(content)
    (tmp_path / digest_name(0)).write_text(f"{digest(content)}\n")
    with pytest.raises(CorruptData, match="of a newer release"):
        await archiver(store, logs).run()
    with pytest.raises(CorruptData, match="of a newer release"):
        await archived_logs(store)
    assert [fault.what for fault in await faults(store) if "of a newer release" in fault.what]


@pytest.mark.parametrize(("partitions", "next_offset", "same"), [(1, 6, True), (1, 7, False), (3, 6, False)])
def test_only_a_log_of_one_partition_without_gaps_keeps_its_offsets(
    tmp_path: Path, partitions: int, next_offset: int, same: bool
) -> None:
    """On Kafka the ends of transactions have offsets, too."""
    reached = Reached(next=next_offset, records=5, generation=1, landmark=f"{5:019d} ab")
    archive = LogArchive(opening="", partitions=partitions, reached={0: reached})
    assert ArchivedLog(FolderStore(tmp_path), "doors.x", archive, {}).without_gaps is same


async def test_files_of_others_are_told_of_and_harm_nothing(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[1], 2)
    await archiver(store, logs).run()
    for name in (
        "manifests/x.json",
        "manifests/00000000012.json",
        "READ ME\n.txt",
        "segments/🙂",
        "manifests/-1.sha256",
    ):
        (tmp_path / name).write_text("not ours")
    await archiver(store, logs).run()
    await check(store, logs)
    found = await faults(store)
    assert [fault.severity for fault in found] == ["notice"] * 5


async def test_a_segment_that_unpacks_to_more_than_its_manifest_says_is_not_unpacked(tmp_path: Path) -> None:
    store, logs = FolderStore(tmp_path), new_logs()
    await fill(logs[1], 1)
    manifest = await archiver(store, logs).run()
    (segment,) = manifest.segments
    bomb = gzip.compress(b"\n" * 100_000_000, mtime=0)
    hostile = msgspec.structs.replace(segment, bytes=len(bomb), sha256=digest(bomb))
    with pytest.raises(CorruptData, match="bytes of lines, found another number"):
        list(records_of(hostile, bomb))
