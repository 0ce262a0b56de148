"""The audit of a view: what is lost of it in part, and what is damaged in its logs, is found and told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence

import msgspec
import pytest

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.errors import CorruptData, Unavailable
from eventkernel.reading.audit import Audit, NotAsLogged
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import State
from eventkernel.retrying import Backoff
from eventkernel.writing.store import Batch, Checkpoint
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened
from tests.support.scripted_log import ScriptedLog

AT_ONCE = Backoff(first=0, most=0)
DOOR_NAMES = [f"door-{number}" for number in range(30)]


class FlawedDoors(MemoryBuild[Door]):
    """A build of which something beside its documents may be missing, or whose documents cannot be read."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.missing: list[str] = []
        self.unreadable = False

    async def flaws(self) -> Sequence[str]:
        return self.missing

    async def peek(self, streams: Sequence[str]) -> dict[str, State[Door]]:
        if self.unreadable:
            raise ValueError("a document quotes somebody's name")
        return dict(await super().peek(streams))


class Site:
    def __init__(self) -> None:
        self.log = ScriptedLog("doors.1", partitions=2)
        self.view = MemoryView("doors", FlawedDoors)
        self.audit = Audit(self.view, [self.log], share=0)
        self.gate = BookmarkGate(self.view, [self.log], {"doors"}, ManualClock(), self.audit)

    async def fill(self) -> FlawedDoors:
        """The live build shows all doors, each opened once, and nobody goes on filling it."""
        for number, door in enumerate(DOOR_NAMES):
            self.log.put(door, 1, Hung(name=door), number % 2)
            self.log.put(door, 2, Opened(), number % 2)
        projector = Projector(DOORS, [Source(self.log, CODEC)], self.view, backoff=AT_ONCE, grace=0)
        await projector.start()
        build = await self.gate.reach(await self.log.head(), (), 10)
        await projector.stop()
        return build

    async def is_served(self) -> bool:
        try:
            return await self.gate.wait(Bookmark(), 0) is self.view.live()
        except NotAsLogged:
            return False


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture(autouse=True)
def _nothing_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is looked at again at once."""
    monkeypatch.setattr("eventkernel.reading.audit._AGAIN_SECONDS", -1.0)


async def test_a_whole_view_is_served_and_nothing_is_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await site.fill()
    await site.audit.look()
    await site.audit.sweep()
    assert await site.is_served()
    assert (list(site.audit.flaws()), list(site.audit.damage()), caplog.records) == ([], [], [])


@pytest.mark.parametrize("lost", DOOR_NAMES[::7])
async def test_a_document_that_is_gone_is_missed_by_its_streams_name(
    site: Site, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    build = await site.fill()
    del build.states[lost]
    await site.audit.look()
    assert await site.is_served(), "a look does not read the log"
    await site.audit.sweep()
    (flaw,) = site.audit.flaws()
    assert f"no document of the stream {lost}" in flaw
    assert not await site.is_served()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_document_that_has_gone_back_is_missed(site: Site) -> None:
    build = await site.fill()
    build.states["door-3"].pop()
    await site.audit.sweep()
    (flaw,) = site.audit.flaws()
    assert "version 1" in flaw
    assert "door-3" in flaw


async def test_a_document_that_has_come_back_is_served_again(site: Site) -> None:
    build = await site.fill()
    states = build.states.pop("door-3")
    await site.audit.sweep()
    assert not await site.is_served()
    await site.audit.look()
    assert not await site.is_served()
    build.states["door-3"] = states
    assert await site.is_served()
    assert site.audit.flaws() == ()


async def test_documents_that_cannot_be_read_are_missed_and_quoted_nowhere(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    build = await site.fill()
    build.unreadable = True
    await site.audit.sweep()
    assert not await site.is_served()
    assert "ValueError" in site.audit.flaws()[0]
    assert "somebody's name" not in caplog.text + site.audit.flaws()[0]


async def test_what_queries_rely_on_beside_the_documents_is_looked_for(site: Site) -> None:
    build = await site.fill()
    build.missing = ["the index by_name is missing"]
    await site.audit.look()
    assert list(site.audit.flaws()) == build.missing
    assert not await site.is_served()
    build.missing = []
    assert await site.is_served()


async def test_a_damaged_record_makes_its_log_damaged_and_its_view_is_served(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await site.fill()
    records = site.log.partitions[1]
    records[4] = msgspec.structs.replace(records[4], intact=False)
    for _ in range(2):
        await site.audit.sweep()
        (damage,) = site.audit.damage()
        assert damage == f"doors.1/1, offset 4: version 1 of the stream '{records[4].stream}' is damaged"
        assert await site.is_served()
    assert len([record for record in caplog.records if "is damaged" in record.message]) == 1
    records[4] = msgspec.structs.replace(records[4], intact=True)
    await site.audit.sweep()
    assert site.audit.damage() == ()


async def test_a_log_that_cannot_be_read_on_is_damaged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.fill()
    subscribe = site.log.subscribe

    async def broken(after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]:
        async for batch in subscribe(after, partitions):
            yield batch
            raise CorruptData("a page of it is malformed")

    monkeypatch.setattr(site.log, "subscribe", broken)
    await site.audit.sweep()
    assert list(site.audit.damage()) == ["a page of it is malformed"]


async def test_it_goes_on_when_something_does_not_answer(site: Site) -> None:
    await site.fill()
    site.log.available = False
    with pytest.raises(Unavailable):
        await site.audit.sweep()
    running = asyncio.create_task(Audit(site.view, [site.log], every=0, share=0).run())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    await asyncio.wait((running,))


async def test_at_work_it_looks_and_sweeps_by_itself(site: Site) -> None:
    build = await site.fill()
    audit = Audit(site.view, [site.log], every=0, share=0)
    running = asyncio.create_task(audit.run())
    async with asyncio.timeout(seconds(10)):
        while build.name not in audit._verdicts:  # noqa: ASYNC110  # the same
            await asyncio.sleep(0)
        del build.states["door-8"]
        while not audit.flaws():  # noqa: ASYNC110  # nobody is told but by asking
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
