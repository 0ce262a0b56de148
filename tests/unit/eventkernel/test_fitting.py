"""A view, and whether it was filled from its logs as they are: what is found, and what becomes of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.errors import CheckpointMismatch, Unavailable
from eventkernel.events import Partition, Position, Record
from eventkernel.reading.audit import Audit, NotAsLogged
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.folding import checkpoint_after
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.landmarks import compare, landmark_of
from eventkernel.reading.membership import Alone, Membership, Watching
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Change, Fold, ParkedRecord, State
from eventkernel.retrying import Backoff
from eventkernel.testing.event_store_contract import put
from eventkernel.writing.store import Batch, Checkpoint, Landmark
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened
from tests.support.scripted_log import ScriptedLog

AT_ONCE = Backoff(first=0, most=0)


class Site:
    """A view, its projector, its gate and its audit over a log that may be put back."""

    def __init__(self) -> None:
        self.log = ScriptedLog("doors.1")
        self.view = MemoryView("doors", MemoryBuild[Door])
        self.member: Membership = Alone()
        self.restart()

    def restart(self) -> None:
        """Another process, which has compared nothing yet."""
        self.audit = Audit(self.view, [self.log])
        self.gate = BookmarkGate(self.view, [self.log], {"doors"}, ManualClock(), self.audit)
        sources = [Source(self.log, CODEC)]
        self.projector = Projector(
            DOORS, sources, self.view, backoff=AT_ONCE, grace=0, look=0, audit=self.audit, membership=self.member
        )

    def hang(self, *doors: str) -> Position:
        return [self.log.put(door, 1, Hung(name=door)) for door in doors][-1]

    async def fill(self) -> MemoryBuild[Door]:
        """The live build shows everything; nobody goes on filling it."""
        await self.projector.start()
        build = await self.gate.reach(await self.log.head(), (), 10)
        await self.projector.stop()
        return build

    def put_back(self, *doors: str, kept: int) -> None:
        """The log is an older copy, which has grown by these."""
        del self.log.partitions[0][kept:]
        if doors:
            self.hang(*doors)


@pytest.fixture
def site() -> Site:
    return Site()


async def test_a_view_of_this_history_fits_also_while_it_is_behind(site: Site) -> None:
    site.hang("oak", "elm")
    build = await site.fill()
    site.hang("ash")
    await check_fit(build, [site.log])


@pytest.mark.parametrize("grown", [["ash"], ["ash", "fir"], ["ash", "fir", "yew"]])
async def test_a_view_of_another_history_does_not_fit_however_far_the_log_has_grown(
    site: Site, grown: list[str]
) -> None:
    site.hang("oak", "elm", "box")
    build = await site.fill()
    site.put_back(*grown, kept=1)
    with pytest.raises(CheckpointMismatch):
        await check_fit(build, [site.log])


@pytest.mark.parametrize("kept", [0, 1])
async def test_a_checkpoint_without_a_landmark_is_checked_by_the_document_of_the_record_before_it(
    site: Site, kept: int
) -> None:
    """As release 0.1.0 has left it."""
    site.hang("oak", "elm")
    build = await site.fill()
    forget_landmarks(build)
    await check_fit(build, [site.log])
    site.put_back(*["ash", "fir"][kept:], kept=kept)
    with pytest.raises(CheckpointMismatch, match=r"no document of the stream fir"):
        await check_fit(build, [site.log])


@pytest.mark.parametrize("grown", [[], ["ash"], ["ash", "fir", "yew"]])
async def test_a_view_does_not_fit_a_log_that_was_put_back_to_before_a_save_that_broke_off(
    site: Site, grown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.hang("oak", "elm")
    build = await site.fill()
    await leave_behind(site, build, "box", patched=monkeypatch)
    await check_fit(build, [site.log])
    site.put_back(*grown, kept=2)
    with pytest.raises(CheckpointMismatch):
        await check_fit(build, [site.log])
    site.restart()
    with pytest.raises(NotAsLogged):
        await site.gate.wait(Bookmark(), 0)
    await site.projector.start()
    async with asyncio.timeout(seconds(10)):
        while site.view.live() is build:  # noqa: ASYNC110  # the projector says so to nobody
            await asyncio.sleep(0)
    new = await site.gate.reach(await site.log.head(), (), 10)
    assert set(new.states) == {"oak", "elm", *grown}
    await site.projector.stop()


async def test_a_checkpoint_of_another_history_does_not_fit_though_what_is_being_saved_does(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that had begun before went on behind the place where the log was put back to."""
    site.hang("oak", "elm")
    build = await site.fill()
    site.put_back("ash", kept=1)
    await leave_behind(site, build, "box", patched=monkeypatch)
    with pytest.raises(CheckpointMismatch, match="offset 1 is not the one"):
        await check_fit(build, [site.log])


async def test_the_same_door_hung_at_another_time_is_another_record(site: Site) -> None:
    site.hang("oak", "elm")
    build = await site.fill()
    forget_landmarks(build)
    site.log.partitions[0][-1] = replace_time(site, 1)
    with pytest.raises(CheckpointMismatch, match="version 1, of another record"):
        await check_fit(build, [site.log])


async def test_what_is_parked_or_skipped_is_not_missed(site: Site) -> None:
    position = site.hang("oak")
    (record,) = site.log.partitions[0]
    for entry in (ParkedRecord(record, "why"), ParkedRecord(record, "harmless", skipped=True)):
        build = await site.view.create()
        await build.save(Fold([], Checkpoint(position), [entry]))
        await check_fit(build, [site.log])


async def test_a_second_record_of_a_version_that_the_view_has_from_the_first_is_not_missed(site: Site) -> None:
    site.hang("oak")
    build = await site.fill()
    site.log.put("oak", 1, Opened())  # of a replica that had not noticed: the first one counts
    await build.save(Fold([], Checkpoint(await site.log.head())))
    forget_landmarks(build)
    await check_fit(build, [site.log])


async def test_a_checkpoint_without_a_landmark_has_one_after_the_next_record(site: Site) -> None:
    site.hang("oak")
    forget_landmarks(await site.fill())
    site.hang("elm")
    build = await site.fill()
    landmark = (await build.checkpoint()).landmarks[Partition("doors.1", 0)]
    assert landmark == landmark_of(site.log.partitions[0][-1])
    site.put_back("ash", kept=1)
    with pytest.raises(CheckpointMismatch, match="offset 1 is not the one"):
        await check_fit(build, [site.log])


async def test_a_view_of_another_history_is_not_served_and_says_so(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.hang("oak", "elm")
    await site.fill()
    site.restart()
    site.put_back("ash", "fir", kept=1)
    assert site.audit.flaws() == ()
    with pytest.raises(NotAsLogged, match="the view doors is not what its logs say"):
        await site.gate.wait(Bookmark(), 0)
    (flaw,) = site.audit.flaws()
    assert "offset 1" in flaw
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        f"the view doors is not what its logs say, and answers nobody: {flaw}"
    ]


async def test_a_view_is_served_again_when_its_log_is_brought_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventkernel.reading.audit._AGAIN_SECONDS", -1.0)
    site.hang("oak", "elm")
    await site.fill()
    right = list(site.log.partitions[0])
    site.put_back("ash", kept=1)
    await site.audit.look()
    with pytest.raises(NotAsLogged):
        await site.gate.wait(Bookmark(), 0)
    site.log.partitions[0][:] = right
    assert await site.gate.wait(Bookmark(), 0) is site.view.live()
    assert site.audit.flaws() == ()


async def test_what_was_compared_once_is_served_while_the_log_does_not_answer(site: Site) -> None:
    site.hang("oak")
    await site.fill()
    site.log.available = False
    assert await site.gate.wait(Bookmark(), 0) is site.view.live()
    unheard_of = BookmarkGate(site.view, [site.log], {"doors"}, ManualClock(), Audit(site.view, [site.log]))
    with pytest.raises(Unavailable):
        await unheard_of.wait(Bookmark(), 0)


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("grown", [["ash"], ["ash", "fir", "yew"]])
async def test_a_projector_fills_a_view_of_another_history_anew_and_keeps_the_old_one_aside(
    site: Site, grown: list[str], restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    site.hang("oak", "elm", "box")
    old = await site.fill()
    site.put_back(*grown, kept=1)
    if restarted:
        site.restart()
    await site.projector.start()
    async with asyncio.timeout(seconds(10)):
        while site.view.live() is old:  # noqa: ASYNC110  # the projector says so to nobody
            await asyncio.sleep(0)
    new = await site.gate.reach(await site.log.head(), (), 10)
    assert new.name != old.name
    assert set(new.states) == {"oak", *grown}
    assert list(site.view.aside) == [old.name]
    told = [record.message for record in caplog.records if "has to be filled again" in record.message]
    assert len(told) == 1
    await site.projector.stop()


async def test_a_projector_that_does_not_lead_leaves_it_to_the_one_that_does(site: Site) -> None:

    site.hang("oak", "elm")
    old = await site.fill()
    site.put_back("ash", kept=1)
    site.member = Watching()
    site.restart()
    follower = site.projector
    await follower.start()
    with pytest.raises(NotAsLogged):
        await site.gate.wait(Bookmark(), 0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert site.view.live() is old
    site.member = Alone()
    site.restart()
    await site.projector.start()
    new = await site.gate.wait(Bookmark(), 10)
    assert set(new.states) == {"oak", "ash"}
    await site.projector.stop()
    await follower.stop()


async def test_a_landmark_is_the_last_record_of_each_partition_and_sorts_by_its_offset() -> None:
    store = MemoryEventStore("doors", ManualClock())
    records = [record for n in range(12) for record in (await put(store, f"door-{n}", "a")).records]
    batches = [Batch(store.log, 0, records[:5], 6, 0), Batch(store.log, 0, records[5:], 13, 0)]
    landmarks = checkpoint_after(batches).landmarks
    assert landmarks == {Partition(store.log, 0): landmark_of(records[-1])}
    assert landmarks == checkpoint_after(reversed(batches)).landmarks
    assert checkpoint_after([Batch(store.log, 0, [], 20, 0)]).landmarks == {}
    texts = [landmark_of(record).to_text() for record in records]
    assert texts == sorted(texts)
    assert [Landmark.from_text(text) for text in texts] == [landmark_of(record) for record in records]


async def test_a_reader_of_a_partition_that_the_log_does_not_have_has_read_another_log() -> None:
    log = ScriptedLog("doors.1")
    log.put("a", 1, Hung(name="oak"))
    with pytest.raises(CheckpointMismatch, match=r"doors\.1/7: the log ends at 0, and its reader is at 3"):
        await compare(log, Checkpoint(Position.of("doors.1", 7, 3)))


async def test_records_that_differ_in_anything_have_different_digests() -> None:
    store = MemoryEventStore("doors", ManualClock())
    (record,) = (await put(store, "door-1", "a", command="c1")).records

    changed: list[dict[str, Any]] = [
        {"id": "door-2@1"},
        {"type": "doors.Shut"},
        {"time_us": record.time_us + 1},
        {"command_id": "c2"},
        {"fingerprint": "another"},
        {"data": record.data + b" "},
    ]
    digests = {landmark_of(msgspec.structs.replace(record, **change)).digest for change in changed}
    assert len(digests | {landmark_of(record).digest}) == len(changed) + 1
    moved = msgspec.structs.replace(record, offset=77, partition=3)
    assert landmark_of(moved).digest == landmark_of(record).digest, "a copy is the same record"


async def leave_behind(site: Site, build: MemoryBuild[Door], *doors: str, patched: pytest.MonkeyPatch) -> None:
    """What an engine without transactions has of a save that broke off before its checkpoint."""
    before = await build.checkpoint()
    site.hang(*doors)
    records = site.log.partitions[0][-len(doors) :]
    after = checkpoint_after([Batch(site.log.log, 0, records, records[-1].offset + 1, 0)])
    docs: list[Door] = [(one.stream, (), 0) for one in records]
    changes = [
        Change(one.stream, (State(1, one.time_us, one.log, 0, one.offset, doc),))
        for one, doc in zip(records, docs, strict=True)
    ]
    await build.save(Fold(changes, after))
    shown = await build.checkpoint()
    build._progress.checkpoint = before

    async def told() -> Checkpoint:
        return shown

    patched.setattr(build, "shown", told)


def forget_landmarks(build: MemoryBuild[Door]) -> None:
    progress = build._progress
    progress.checkpoint = replace(progress.checkpoint, landmarks={})


def replace_time(site: Site, index: int) -> Record:

    record = site.log.partitions[0][index]
    return msgspec.structs.replace(record, time_us=record.time_us + 5)
