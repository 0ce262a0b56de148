"""The gate: what a bookmark is waited for, and what is refused at once."""

from __future__ import annotations

import asyncio

import pytest

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.errors import InvalidInput, OutOfDate, Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import Moment
from eventkernel.reading.bookmark import ANY_STREAM, Bookmark, WrittenStream
from eventkernel.reading.gate import BookmarkGate, StreamParked
from eventkernel.reading.views import Fold, ParkedRecord
from eventkernel.writing.store import Checkpoint
from tests.support.doors import Door, Hung
from tests.support.scripted_log import ScriptedLog

OAK = Hung(name="oak")


class Site:
    """A view of one log with two partitions, filled by hand."""

    def __init__(self) -> None:
        self.log = ScriptedLog("doors.1", partitions=2)
        self.view = MemoryView("doors", MemoryBuild[Door])
        self.clock = ManualClock()
        self.gate = BookmarkGate(self.view, [self.log], {"doors", "users"}, self.clock)

    async def live(self) -> MemoryBuild[Door]:
        build = await self.view.create()
        await self.view.switch(build.name)
        return build


@pytest.fixture
def site() -> Site:
    return Site()


def written(stream: str, partition: int, next_offset: int) -> Bookmark:
    streams = {WrittenStream("doors.1", partition, stream): 1}
    return Bookmark(Position.of("doors.1", partition, next_offset), streams)


async def reach(build: MemoryBuild[Door], position: Position) -> None:
    await build.save(Fold([], Checkpoint(position)))


async def park(site: Site, build: MemoryBuild[Door], stream: str, partition: int) -> None:
    """Put a record on the log that the build reaches without applying it."""
    position = site.log.put(stream, 1, OAK, partition)
    record = site.log.partitions[partition][-1]
    await build.save(Fold([], Checkpoint(position), [ParkedRecord(record, "why")]))


async def test_without_a_bookmark_the_live_build_is_given_at_once(site: Site) -> None:
    build = await site.live()
    assert await site.gate.wait(Bookmark(), 0) is build


async def test_who_comes_before_the_first_build_is_filled_waits_for_it(site: Site) -> None:
    with pytest.raises(Unavailable):
        await site.gate.wait(Bookmark(), 0)
    waiting = asyncio.create_task(site.gate.wait(Bookmark(), 30))
    await asyncio.sleep(0)
    assert await site.live() is await waiting


async def test_a_bookmark_is_waited_for(site: Site) -> None:
    build = await site.live()
    bookmark = written("a", 0, 1)
    position = site.log.put("a", 1, OAK)
    waiting = asyncio.create_task(site.gate.wait(bookmark, 30))
    await asyncio.sleep(0)
    assert not waiting.done()
    await reach(build, position)
    assert await waiting is build


async def test_a_view_that_does_not_get_there_in_time_is_out_of_date(site: Site) -> None:
    await site.live()
    site.log.put("a", 1, OAK)
    with pytest.raises(OutOfDate, match=r"did not reach the bookmark within 0 s"):
        await site.gate.wait(written("a", 0, 1), 0)


async def test_who_waits_during_a_rebuild_goes_on_waiting_on_the_new_build(site: Site) -> None:
    await site.live()
    position = site.log.put("a", 1, OAK)
    waiting = asyncio.create_task(site.gate.wait(written("a", 0, 1), 30))
    await asyncio.sleep(0)
    new = await site.live()
    await asyncio.sleep(0)
    assert not waiting.done()
    await reach(new, position)
    assert await waiting is new


@pytest.mark.parametrize("log", ["nowhere.1", "nowhere", ""])
async def test_a_log_that_nobody_knows_is_refused_at_once(site: Site, log: str) -> None:
    await site.live()
    with pytest.raises(InvalidInput, match="expected one of the logs doors, users, found"):
        await site.gate.wait(Bookmark(Position.of(log, 0, 1)), 30)


async def test_a_log_of_the_same_name_with_another_id_is_refused_at_once(site: Site) -> None:
    await site.live()
    with pytest.raises(InvalidInput, match=r"expected the log doors\.1, found 'doors\.2'"):
        await site.gate.wait(Bookmark(Position.of("doors.2", 0, 1)), 30)


async def test_a_log_that_the_view_does_not_read_is_not_waited_for(site: Site) -> None:
    build = await site.live()
    assert await site.gate.wait(Bookmark(Position.of("users.whatever", 3, 70_000)), 0) is build


async def test_where_nobody_knows_the_system_as_a_whole_any_other_log_is_carried_along(site: Site) -> None:
    build = await site.live()
    gate = BookmarkGate(site.view, [site.log])
    elsewhere = Position.of("windows.7", 3, 70_000)
    assert await gate.wait(Bookmark(elsewhere), 0) is build
    assert await gate.wait_for_past((await site.log.head()).join(elsewhere), Bookmark(), 0) is build
    site.log.put("a", 1, OAK)
    with pytest.raises(OutOfDate):
        await gate.wait(Bookmark(elsewhere.join(Position.of("doors.1", 0, 1))), 0)
    with pytest.raises(InvalidInput, match=r"expected the log doors\.1, found 'doors\.2'"):
        await gate.wait(Bookmark(Position.of("doors.2", 0, 1)), 0)


@pytest.mark.parametrize(("partition", "offset"), [(0, 2), (1, 1), (9, 1)])
async def test_a_position_that_the_log_does_not_have_is_refused_at_once(
    site: Site, partition: int, offset: int
) -> None:
    await site.live()
    site.log.put("a", 1, OAK)
    with pytest.raises(InvalidInput, match=f"doors.1/{partition}, found {offset}"):
        await site.gate.wait(Bookmark(Position.of("doors.1", partition, offset)), 30)


async def test_the_logs_end_is_asked_for_again_when_it_may_have_grown(site: Site) -> None:
    build = await site.live()
    for offset in (1, 2, 3):
        await reach(build, site.log.put("a", offset, OAK))
        assert await site.gate.wait(written("a", 0, offset), 0) is build
    site.log.available = False
    assert await site.gate.wait(written("a", 0, 2), 0) is build, "below what was seen of the log already"
    with pytest.raises(Unavailable):
        await site.gate.wait(written("a", 0, 4), 0)


async def test_a_stream_that_was_written_and_is_parked_is_out_of_date_at_once(site: Site) -> None:
    build = await site.live()
    await park(site, build, "a", 0)
    with pytest.raises(StreamParked):
        await site.gate.wait(written("a", 0, 1), 30)
    assert await site.gate.wait(written("b", 0, 1), 30) is build, "another stream's parking is unrelated"
    assert await site.gate.wait(written("a", 1, 0), 30) is build, "so is a stream of that name elsewhere"


async def test_a_bookmark_that_has_forgotten_which_streams_minds_any_that_is_parked_there(site: Site) -> None:
    build = await site.live()
    await park(site, build, "a", 0)
    with pytest.raises(StreamParked):
        await site.gate.wait(written(ANY_STREAM, 0, 1), 30)
    assert await site.gate.wait(written(ANY_STREAM, 1, 0), 30) is build


async def test_catching_up_reaches_the_logs_end_of_now(site: Site) -> None:
    build = await site.live()
    await reach(build, site.log.put("a", 1, OAK))
    position = site.log.put("b", 1, OAK, 1)
    waiting = asyncio.create_task(site.gate.caught_up(site.log, "c", 30))
    await asyncio.sleep(0)
    assert not waiting.done()
    await reach(build, position)
    assert await waiting is build
    await park(site, build, "c", 1)
    with pytest.raises(StreamParked):
        await site.gate.caught_up(site.log, "c", 30)
    site.log.put("a", 2, OAK)
    with pytest.raises(OutOfDate):
        await site.gate.caught_up(site.log, "a", 0)


# The past


def position(first: int, second: int) -> Position:
    return Position({Partition("doors.1", 0): first, Partition("doors.1", 1): second})


async def test_a_moment_waits_for_the_ends_that_all_logs_have_now(site: Site) -> None:
    build = await site.live()
    site.log.put("a", 1, OAK)
    last = site.log.put("b", 1, OAK, 1)
    long_ago = Moment(0)
    waiting = asyncio.create_task(site.gate.wait_for_past(long_ago, Bookmark(), 30))
    await asyncio.sleep(0)
    await reach(build, last)
    await asyncio.sleep(0)
    assert not waiting.done()
    await reach(build, position(1, 1))
    assert await waiting is build
    site.log.put("a", 2, OAK)
    with pytest.raises(OutOfDate):
        await site.gate.wait_for_past(long_ago, Bookmark(), 0)


async def test_a_moment_to_come_is_refused_at_once(site: Site) -> None:
    build = await site.live()
    now_us = site.clock.now_us()
    assert await site.gate.wait_for_past(Moment(now_us), Bookmark(), 0) is build
    with pytest.raises(InvalidInput, match="As-Of: expected a moment that is not after now"):
        await site.gate.wait_for_past(Moment(now_us + 1), Bookmark(), 0)


async def test_a_position_waits_for_itself_only_and_names_every_partition(site: Site) -> None:
    build = await site.live()
    for version in (1, 2):
        site.log.put("a", version, OAK)
    site.log.put("b", 1, OAK, 1)
    with pytest.raises(OutOfDate):
        await site.gate.wait_for_past(position(1, 1), Bookmark(), 0)
    await reach(build, position(1, 1))
    assert await site.gate.wait_for_past(position(1, 1), Bookmark(), 0) is build
    for incomplete in (Position.of("doors.1", 0, 1), Position.of("users.x", 0, 1)):
        with pytest.raises(InvalidInput, match=r"names every partition of doors\.1, found none for .*1"):
            await site.gate.wait_for_past(incomplete, Bookmark(), 0)
    for wrong in (position(3, 1), position(1, 1).join(Position.of("doors.1", 2, 1))):
        with pytest.raises(InvalidInput, match="As-Of: expected an offset up to"):
            await site.gate.wait_for_past(wrong, Bookmark(), 0)
    with pytest.raises(InvalidInput, match="As-Of: expected one of the logs doors, users, found 'windows'"):
        await site.gate.wait_for_past(position(1, 1).join(Position.of("windows.1", 0, 1)), Bookmark(), 0)


async def test_the_bookmark_of_a_request_about_the_past_is_waited_for_too(site: Site) -> None:
    build = await site.live()
    site.log.put("b", 1, OAK, 1)
    for version in (1, 2):
        site.log.put("a", version, OAK)
    await reach(build, position(1, 1))
    with pytest.raises(OutOfDate):
        await site.gate.wait_for_past(position(1, 1), written("a", 0, 2), 0)
    await reach(build, position(2, 1))
    assert await site.gate.wait_for_past(position(1, 1), written("a", 0, 2), 0) is build


async def test_a_parked_record_that_had_happened_then_is_missing(site: Site) -> None:
    build = await site.live()
    await reach(build, site.log.put("b", 1, OAK, 1))
    await reach(build, site.log.put("c", 1, OAK))
    await park(site, build, "a", 0)
    parked = site.log.partitions[0][-1]
    site.clock.advance(1)
    assert await site.gate.wait_for_past(Moment(parked.time_us - 1), Bookmark(), 0) is build
    assert await site.gate.wait_for_past(position(1, 1), Bookmark(), 0) is build
    for past in (Moment(parked.time_us), position(2, 1)):
        with pytest.raises(StreamParked, match="cannot show all of this past"):
            await site.gate.wait_for_past(past, Bookmark(), 0)
    await build.save(Fold([], Checkpoint(position(2, 1)), [ParkedRecord(parked, "why", skipped=True)]))
    await park(site, build, "d", 0)
    assert await site.gate.wait_for_past(position(2, 1), Bookmark(), 0) is build, "what was skipped is not missed"


async def test_who_waits_while_only_the_build_knows_that_another_is_live_lets_the_others_work(site: Site) -> None:
    """Seen to fail without the pause: the event loop stands still for ever, in which the view would learn of it."""
    build = await site.live()
    site.log.put("door-1", 1, OAK, 0)
    build.retire()
    with pytest.raises(Unavailable):
        await site.gate.wait(written("door-1", 0, 1), 0)
    waiting = asyncio.create_task(site.gate.wait(written("door-1", 0, 1), 30))
    await asyncio.sleep(0)
    new = await site.live()
    await reach(new, Position.of("doors.1", 0, 1))
    assert await waiting is new
