"""The projector: what is parked, tried again, skipped, shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import ManualClock
from eventkernel.errors import NotFound, Unavailable
from eventkernel.events import DomainEvent, Partition, Record, RecordedEvent
from eventkernel.reading.filling import Filling, FillingStatus
from eventkernel.reading.fitting import not_shown
from eventkernel.reading.membership import EVERYTHING, Alone
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.showing import Shown
from eventkernel.reading.status import ParkedStream
from eventkernel.reading.views import Fold, ParkedRecord, Projection, Waiting
from eventkernel.retrying import Backoff
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Checkpoint
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted, SqliteDoors, evolve
from tests.support.scripted_log import ScriptedLog

T = TypeVar("T")

AT_ONCE = Backoff(first=0, most=0)
OAK = Hung(name="oak")
POISON = Painted(colour="poison")
HERE = Partition("doors.1", 0)


async def eventually(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """Asks at each turn of the event loop until it holds."""
    async with asyncio.timeout(seconds(10)):
        while not holds(answer := await ask()):  # noqa: ASYNC110  # a status has no event to wait for
            await asyncio.sleep(0)
    return answer


@dataclass
class Site:
    """A log, a view in memory, and a projector between them."""

    log: ScriptedLog = field(default_factory=lambda: ScriptedLog("doors.1"))
    view: MemoryView[MemoryBuild[Door]] = field(default_factory=lambda: MemoryView("doors", MemoryBuild[Door]))
    clock: ManualClock = field(default_factory=ManualClock)
    projection: Projection[Door] = DOORS
    codec: Codec = CODEC

    def __post_init__(self) -> None:
        self.projector = self._projector()

    def _projector(self) -> Projector[Door]:
        source = Source(self.log, self.codec)
        return Projector(self.projection, [source], self.view, clock=self.clock, backoff=AT_ONCE, grace=0)

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Projector[Door]]:
        self.projector = self._projector()
        await self.projector.start()
        try:
            yield self.projector
        finally:
            await self.projector.stop()

    def put(self, stream: str, *events: DomainEvent, after: int = 0) -> None:
        for version, event in enumerate(events, after + 1):
            self.log.put(stream, version, event)

    async def settle(self) -> None:
        """The view has reached the log's end."""
        assert await self.view.live().reached(await self.log.head(), 10)

    def door(self, stream: str) -> tuple[int, Door] | None:
        states = self.view.live().states.get(stream)
        return None if not states else (states[-1].version, states[-1].doc)

    async def waiting(self) -> list[tuple[int, bool, bool]]:
        """Version, has a reason, was skipped."""
        parked = await self.view.live().parked()
        return [(entry.record.version, entry.reason is not None, entry.skipped) for entry in parked]

    async def status(self) -> FillingStatus:
        status = (await self.projector.status()).live
        assert status is not None
        return status


async def test_a_stream_that_cannot_go_on_waits_and_the_others_do_not() -> None:
    site = Site()
    async with site.at_work():
        site.put("a", OAK, POISON, Opened())
        site.put("b", OAK, Opened())
        await site.settle()
        assert site.door("a") == (1, ("oak", (), 0))
        assert site.door("b") == (2, ("oak", (), 1))
        assert await site.waiting() == [(2, True, False), (3, False, False)]


async def test_a_gap_parks_the_stream_until_what_is_missing_has_come() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.put("a", OAK)
        site.put("a", Opened(times=4), after=2)
        await site.settle()
        assert [entry.reason for entry in await site.view.live().parked()] == [
            "a gap: expected version 2, found version 3"
        ]
        site.put("a", Painted(colour="red"), after=1)
        await site.settle()
        await projector.retry("a")
        assert site.door("a") == (3, ("oak", ("red",), 4))
        assert await site.waiting() == []


async def test_a_stream_that_is_told_to_go_on_forgets_what_stood_behind_the_gap() -> None:
    site = Site()
    async with site.at_work():
        site.put("a", OAK)
        site.put("a", Opened(times=4), after=2)
        site.put("b", OAK)
        await site.settle()
        assert await site.waiting() == [(3, True, False)]
        site.log.resume("a", 2)
        site.put("a", Painted(colour="red"), after=2)
        site.put("a", Opened(times=1), after=3)
        await eventually(site.waiting, lambda waiting: waiting == [])
        await eventually(lambda: _now(site.door("a")), lambda door: door == (4, ("oak", ("red",), 1)))
        head = await site.log.head()
        records = await site.log.records_before({0: head[Partition("doors.1", 0)]})
        assert not await not_shown(site.view.live(), site.log, list(records.values()))
        assert not await not_shown(site.view.live(), site.log, [site.log.partitions[0][1]]), "it did not count"


async def test_a_stream_whose_first_record_was_missing_goes_on_in_a_rebuild_as_well() -> None:
    site = Site()
    site.put("a", Opened(times=4), after=2)
    site.log.resume("a", 1)
    site.put("a", OAK, after=1)
    for _ in range(2):
        async with site.at_work() as projector:
            await eventually(lambda: _now(site.door("a")), lambda door: door == (2, ("oak", (), 0)))
            assert [waits for waits in await site.waiting() if not waits[2]] == []
            await projector.rebuild()
            await eventually(lambda: _now(site.door("a")), lambda door: door == (2, ("oak", (), 0)))


async def test_what_waits_for_another_reason_is_not_forgotten_with_the_gap() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.put("a", OAK, POISON, Painted(colour="red"))
        site.put("a", Opened(times=9), after=11)
        site.log.resume("a", 4)
        site.put("a", Opened(times=1), after=4)
        await site.settle()
        assert [version for version, *_ in await site.waiting()] == [2, 3, 4, 5, 12]
        await projector.skip("a", "poison")
        assert site.door("a") == (5, ("oak", ("red",), 1))


async def _now(value: T) -> T:
    return value


async def test_an_event_type_that_nobody_knows_parks_its_stream_and_is_named() -> None:
    site = Site(codec=Codec([Hung]))
    async with site.at_work():
        site.put("a", OAK, Opened())
        await site.settle()
        [parked] = (await site.status()).parked
        assert (parked.stream, parked.version, parked.waiting) == ("a", 2, 1)
        assert "doors.Opened" in parked.reason
        assert "UnknownEventType" in parked.reason


async def test_a_reason_says_where_in_the_code_and_holds_nothing_of_the_event() -> None:
    site = Site()
    async with site.at_work():
        site.put("a", Hung(name="Ada"), POISON)
        await site.settle()
        [parked] = (await site.status()).parked
        assert "ValueError at doors.py:" in parked.reason
        assert "Ada" not in parked.reason


async def test_what_waits_is_applied_in_order_as_soon_as_it_can_be() -> None:
    site = Site()
    async with site.at_work():
        site.put("a", OAK, POISON, Opened(), Painted(colour="red"))
        await site.settle()

    def cured(door: Door | None, recorded: RecordedEvent) -> Door:
        if recorded.event == POISON:
            assert door is not None
            return door[0], (*door[1], "cured"), door[2]
        return evolve(door, recorded)

    site.projection = Projection("doors", 1, cured)
    async with site.at_work() as projector:
        assert await site.waiting() == [(2, True, False), (3, False, False), (4, False, False)], "they waited on disk"
        site.put("a", Opened(), after=4)
        await site.settle()
        assert await site.waiting() == [(2, True, False), (3, False, False), (4, False, False), (5, False, False)]
        await projector.retry("a")
        assert site.door("a") == (5, ("oak", ("cured", "red"), 2))
        assert await site.waiting() == []
        site.put("a", Opened(), after=5)
        await site.settle()
        assert site.door("a") == (6, ("oak", ("cured", "red"), 3))


async def test_another_attempt_gets_as_far_as_it_can() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.put("a", OAK, POISON, Opened(), POISON, Opened())
        await site.settle()
        await projector.retry("a")
        assert await site.waiting() == [(2, True, False), (3, False, False), (4, False, False), (5, False, False)]
        await projector.skip("a", "nobody uses such paint")
        assert site.door("a") == (3, ("oak", (), 1))
        assert await site.waiting() == [(2, True, True), (4, True, False), (5, False, False)]
        assert await site.view.live().parked_streams() != {}


async def test_a_skipped_record_has_no_effect_but_its_version_counts() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.put("a", OAK, POISON)
        await site.settle()
        await projector.skip("a", "nobody uses such paint")
        assert site.door("a") == (2, ("oak", (), 0))
        [mark] = await site.view.live().parked()
        assert (mark.record.version, mark.reason, mark.skipped) == (2, "nobody uses such paint", True)
        assert (await site.status()).parked == ()
    async with site.at_work():
        site.put("a", Opened(), after=2)
        await site.settle()
        assert site.door("a") == (3, ("oak", (), 1))


async def test_a_streams_first_record_can_be_skipped_though_there_is_no_document_yet() -> None:
    def lenient(door: Door | None, recorded: RecordedEvent) -> Door:
        return evolve(door or ("nameless", (), 0), recorded)

    site = Site(projection=Projection("doors", 1, lenient))
    async with site.at_work() as projector:
        site.put("a", Hung(name="poison"))
        await site.settle()
        await projector.skip("a", "no name")
        assert site.door("a") is None
    async with site.at_work():
        site.log.put("a", 1, Hung(name="poison"))  # delivered again
        site.put("a", Opened(), after=1)
        await site.settle()
        assert site.door("a") == (2, ("nameless", (), 1))
        assert await site.waiting() == [(1, True, True)]


async def test_an_attempt_is_finished_even_if_whoever_asked_for_it_has_left() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    go_on.set()

    class SlowBuild(MemoryBuild[Door]):
        async def save(self, fold: Fold[Door]) -> None:
            asked.set()
            await go_on.wait()
            await super().save(fold)

    site = Site(view=MemoryView("doors", SlowBuild))
    async with site.at_work() as projector:
        site.put("a", OAK, POISON, Opened())
        await site.settle()
        asked.clear()
        go_on.clear()
        skipping = asyncio.create_task(projector.skip("a", "no such paint"))
        await asked.wait()
        for _ in range(2):
            skipping.cancel()
            await asyncio.sleep(0)
        go_on.set()
        site.put("a", Opened(), after=3)
        await site.settle()
        assert site.door("a") == (4, ("oak", (), 2))
        assert await site.waiting() == [(2, True, True)]
        await asyncio.wait((skipping,))


async def test_only_a_stream_that_waits_can_be_tried_again_or_skipped() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.put("a", OAK, POISON)
        await site.settle()
        with pytest.raises(NotFound, match="'b'"):
            await projector.retry("b")
        await projector.skip("a", "x")
        with pytest.raises(NotFound, match="'a'"):
            await projector.skip("a", "x")


async def test_a_record_without_a_version_moves_the_checkpoint_and_nothing_else() -> None:
    site = Site()
    async with site.at_work():
        site.put("a", OAK)
        site.log.put("a", 1, None)
        site.log.put("b", 0, None)
        await site.settle()
        assert list(site.view.live().states) == ["a"]
        assert await site.waiting() == []
        await eventually(site.status, lambda status: status.events_folded == 1)


async def test_a_view_that_is_away_for_a_while_loses_nothing_and_is_shown() -> None:
    site = Site()
    async with site.at_work():
        site.view.live().available = False
        site.put("a", OAK, Opened())
        status = await eventually(site.status, lambda status: len(status.troubles) > 1)
        assert status.troubles[0].doing == "loading documents"
        assert "Unavailable" in status.troubles[0].error
        site.view.live().available = True
        await site.settle()
        assert site.door("a") == (2, ("oak", (), 1))
        assert (await site.status()).troubles == ()


async def test_a_log_that_is_away_for_a_while_holds_up_no_other() -> None:
    away, there = ScriptedLog("away.1"), ScriptedLog("there.1")
    site = Site()
    projector = Projector(DOORS, [Source(away, CODEC), Source(there, CODEC)], site.view, backoff=AT_ONCE)
    site.projector = projector
    await projector.start()
    away.available = False
    last = away.put("a", 1, OAK)
    assert await site.view.live().reached(there.put("b", 1, OAK), 10)
    status = await eventually(site.status, lambda status: bool(status.troubles))
    assert [trouble.doing for trouble in status.troubles] == ["reading the log away.1"]
    assert [partition.log for partition in status.partitions] == ["there.1"], "nothing is known of the other"
    away.available = True
    assert await site.view.live().reached(last, 10)
    assert (await site.status()).troubles == ()
    await projector.stop()


async def test_keys_that_cannot_be_had_are_waited_for_and_park_nothing() -> None:
    class Reader:
        available = False

        def recorded(self, record: Record) -> RecordedEvent:
            if not self.available:
                raise Unavailable("the keys are not here")
            return CODEC.recorded(record)

    reader = Reader()
    site = Site()
    site.projector = Projector(DOORS, [Source(site.log, reader)], site.view, backoff=AT_ONCE)
    await site.projector.start()
    site.put("a", OAK)
    await eventually(site.status, lambda status: bool(status.troubles))
    reader.available = True
    await site.settle()
    assert site.door("a") == (1, ("oak", (), 0))
    await site.projector.stop()


async def test_a_document_that_the_view_cannot_hold_parks_its_own_stream_only(tmp_path: Path) -> None:
    log = ScriptedLog("doors.1")
    view = await SqliteView.open(tmp_path / "doors", SqliteDoors, shape=1, logs=[log.log])
    log.put("a", 1, OAK)
    log.put("b", 1, OAK)
    log.put("a", 2, Opened(times=2_000_000))
    log.put("a", 3, Opened())
    log.put("b", 2, Opened())
    projector = Projector(DOORS, [Source(log, CODEC)], view, backoff=AT_ONCE)
    await projector.start()
    build = view.live()
    assert await build.reached(await log.head(), 10)
    assert await build.doors() == {"b": (2, ("oak", (), 1))}
    parked = await build.parked()
    assert [(entry.record.stream, entry.record.version) for entry in parked] == [("a", 1), ("a", 2), ("a", 3)]
    assert parked[0].reason is not None
    assert parked[0].reason.startswith("storing a document after a record: IntegrityError")
    await projector.stop()
    await view.aclose()


async def test_the_status_says_how_far_and_how_late_each_partition_is() -> None:
    site = Site(log=ScriptedLog("doors.1", partitions=2))
    async with site.at_work():
        site.log.put("a", 1, OAK, partition=0)
        last = site.log.put("b", 1, OAK, partition=1)
        assert await site.view.live().reached(last, 10)
        await site.settle()
        await eventually(site.status, lambda status: status.events_folded == 2)
        site.view.live().available = False
        site.log.put("b", 2, Opened(), partition=1)
        site.log.put("b", 3, Opened(), partition=1)
        site.clock.advance(10)
        status = await eventually(site.status, lambda status: status.partitions[1].lag_seconds > 0)
        first, second = status.partitions
        assert (first.checkpoint, first.head, first.lag_events, first.lag_seconds) == (1, 1, 0, 0)
        assert (second.checkpoint, second.head, second.lag_events) == (1, 3, 2)
        assert second.lag_seconds == pytest.approx(10, abs=0.001)


async def test_what_is_parked_is_shown_with_how_many_wait() -> None:
    site = Site()
    async with site.at_work():
        site.put("a", OAK, POISON, Opened(), Opened())
        await site.settle()
        [parked] = (await site.status()).parked
        assert parked == ParkedStream("a", "doors.1", 0, 2, parked.reason, 3)
        assert (await site.status()).parked_known
        site.view.live().available = False
        status = await site.status()
        assert (status.parked, status.parked_known) == ((), False), "what is not known is not nothing"


async def test_a_save_that_is_under_way_is_finished_before_the_projector_stops() -> None:
    saving, go_on = asyncio.Event(), asyncio.Event()

    class SlowBuild(MemoryBuild[Door]):
        async def save(self, fold: Fold[Door]) -> None:
            saving.set()
            await go_on.wait()
            await super().save(fold)

    site = Site()
    site.view = MemoryView("doors", SlowBuild)
    async with site.at_work() as projector:
        site.put("a", OAK)
        await saving.wait()
        stopping = asyncio.create_task(projector.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        go_on.set()
        await stopping
    assert site.door("a") == (1, ("oak", (), 0))
    assert isinstance(site.view.live(), SlowBuild)


async def test_starting_twice_needs_no_second_fold() -> None:
    site = Site()
    site.put("a", OAK, Opened())
    for _ in range(2):
        async with site.at_work():
            await site.settle()
            assert site.door("a") == (2, ("oak", (), 1))
    assert (await site.view.live().checkpoint()).position == await site.log.head()
    assert list(await site.view.live().parked()) == list[ParkedRecord]()


async def test_a_view_that_somebody_has_emptied_is_filled_anew() -> None:
    """Seen to fail where the projector asks for the live build only: it then waits for ever for somebody to fill it."""
    site = Site()
    site.put("door-1", OAK, Opened())
    async with site.at_work():
        await site.settle()
        emptied = site.view.live().name
        site.view.empty()
        site.put("door-1", Painted(colour="red"), after=2)
        build = await site.view.ready(10)
        assert build.name != emptied
        await site.settle()
        assert build.states["door-1"][-1].version == 3


async def test_one_more_event_behind_a_parked_one_costs_the_same_however_many_wait() -> None:
    """Counted in parked records that the projector has read."""
    read = 0

    class CountingBuild(MemoryBuild[Door]):
        async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
            nonlocal read
            found = await super().parked(streams)
            read += len(found)
            return found

        async def first_parked(self, streams: Collection[str]) -> Sequence[ParkedRecord]:
            nonlocal read
            found = await super().first_parked(streams)
            read += len(found)
            return found

    log = ScriptedLog("doors.1")
    view = MemoryView("doors", CountingBuild)
    projector = Projector(DOORS, [Source(log, CODEC)], view, backoff=AT_ONCE)
    log.put("a", 1, Hung(name="poison"))
    for version in range(2, 1_000):
        log.put("a", version, Opened())
    await projector.start()
    build = await view.ready(10)
    assert await build.reached(await log.head(), 10)
    read = 0
    for version in range(1_000, 1_010):
        log.put("a", version, Opened())
        assert await build.reached(await log.head(), 10)
    assert read <= 40, "of each stream the first, for each batch and now and then"
    await projector.stop()


async def test_what_is_parked_is_counted_without_being_read_for_who_only_wants_the_numbers() -> None:
    filling_, build, _ = await filling(3)
    counted = await filling_.status(listed=False)
    assert (counted.parked, counted.waiting, counted.parked_known) == ((), Waiting(3, 3), True)
    assert not build.listed
    listed = await filling_.status()
    assert (listed.waiting, len(listed.parked)) == (counted.waiting, 3)
    assert build.listed


class CountedBuild(MemoryBuild[Door]):
    """Notes which streams' parked records are asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked: list[str] = []
        self.listed = False

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        self.listed = True
        return await super().parked(streams)

    async def first_parked(self, streams: Collection[str]) -> Sequence[ParkedRecord]:
        self.asked += streams
        return await super().first_parked(streams)


async def filling(many: int) -> tuple[Filling[Door], CountedBuild, list[ParkedRecord]]:
    """What keeps a build filled in which so many streams wait at their first record, each for a reason."""
    log, build = ScriptedLog("doors.1"), CountedBuild("b")
    for number in range(many):
        log.put(f"a-{number:04}", 1, OAK)
    parked = [ParkedRecord(record, "why") for record in log.partitions[0]]
    await build.save(Fold([], Checkpoint(), parked))
    source = Source(log, CODEC)
    return Filling(DOORS, [source], build, clock=ManualClock(), backoff=AT_ONCE, membership=Alone()), build, parked


@pytest.mark.parametrize("many", [1_200, 2_400])
async def test_a_look_at_what_waits_considers_as_much_however_much_it_is_and_all_of_it_in_turn(many: int) -> None:
    one, build, parked = await filling(many)
    for start in [*range(0, many, 500), 0]:
        build.asked = []
        await one._look(EVERYTHING)
        assert build.asked == [entry.record.stream for entry in parked[start : start + 500]]


async def test_where_what_waits_can_go_on_a_look_goes_on_with_the_next_ones() -> None:
    one, build, parked = await filling(1_200)
    await build.save(Fold([], Checkpoint(), [], {entry.record.stream: 1 for entry in parked}))
    waits_for_nothing = [ParkedRecord(entry.record, None) for entry in parked]
    await build.save(Fold([], Checkpoint(), waits_for_nothing))
    await one._look(EVERYTHING)
    assert await build.parked() == []
    assert len(build.states) == 1_200


async def test_it_tells_when_the_live_build_has_shown_a_record() -> None:
    site = Site()
    site.put("a", OAK)
    started = site.clock.now_us()
    async with site.at_work() as projector:
        await site.settle()
        site.clock.advance(5)
        site.put("a", Opened(), after=1)
        await site.settle()
        offset = site.log.partitions[0][-1].offset
        shown = await eventually(lambda: _now(projector.shown(HERE, offset)), lambda found: found is not None)
        assert shown == Shown(started + 5_000_000, exact=True)
        assert projector.shown(HERE, offset - 1) == Shown(started, exact=True), "as the first build went live"
        assert projector.shown(HERE, offset + 1) is None


async def test_a_rebuild_forgets_no_moment_at_which_something_was_shown() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.put("a", OAK)
        await site.settle()
        offset = site.log.partitions[0][-1].offset
        before = await eventually(lambda: _now(projector.shown(HERE, offset)), lambda found: found is not None)
        site.clock.advance(60)
        await projector.rebuild()
        assert projector.shown(HERE, offset) == before
        site.clock.advance(1)
        site.put("a", Opened(), after=1)
        await site.settle()
        after = await eventually(lambda: _now(projector.shown(HERE, offset + 1)), lambda found: found is not None)
        assert after == Shown(site.clock.now_us(), exact=True)


async def test_after_a_restart_it_is_known_of_older_records_that_they_were_shown_before() -> None:
    site = Site()
    site.put("a", OAK)
    async with site.at_work():
        await site.settle()
    site.clock.advance(100)
    async with site.at_work() as projector:
        offset = site.log.partitions[0][-1].offset
        shown = await eventually(lambda: _now(projector.shown(HERE, offset)), lambda found: found is not None)
        assert shown == Shown(site.clock.now_us(), exact=False)


async def test_what_was_parked_was_shown_when_it_was_applied() -> None:
    site = Site()
    async with site.at_work() as projector:
        site.put("a", OAK)
        site.put("a", Opened(times=4), after=2)
        await site.settle()
        late = site.log.partitions[0][-1].offset
        site.clock.advance(10)
        site.put("a", Painted(colour="red"), after=1)
        await site.settle()
        site.clock.advance(10)
        await projector.retry("a")
        assert projector.shown(HERE, late) == Shown(site.clock.now_us(), exact=True)
