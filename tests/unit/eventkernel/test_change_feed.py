"""What a subscription is told of: each event that concerns its key after its bookmark, once, wherever it begins."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, pairwise, permutations
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.errors import TooCostly, Unavailable
from eventkernel.events import Partition, Position, RecordedEvent
from eventkernel.reading import change_feed
from eventkernel.reading.bookmark import Bookmark, WrittenStream
from eventkernel.reading.change_feed import ChangeFeed, Told
from eventkernel.reading.following import Source
from eventkernel.retrying import Backoff
from eventkernel.writing.store import Batch, Checkpoint
from infra.patience import seconds
from tests.support.doors import CODEC, Hung
from tests.support.scripted_log import ScriptedLog

QUIET = 3_600.0
SOON = Backoff(first=0.0, most=0.0)


def colour_of(recorded: RecordedEvent) -> Collection[str]:
    """The key of an event is the first word of the door's name."""
    event = recorded.event
    return (event.name.split()[0],) if isinstance(event, Hung) else ()


def feed_of(*logs: ScriptedLog) -> ChangeFeed:
    return ChangeFeed([Source(log, CODEC) for log in logs], colour_of, SOON)


def put(log: ScriptedLog, colour: str, number: int, partition: int = 0) -> None:
    log.put(f"door-{colour}-{number}", 1, Hung(name=f"{colour} {number}"), partition)


async def told(changes: AsyncGenerator[Told, None]) -> Told:
    async with asyncio.timeout(seconds(10)):
        return await anext(changes)


async def streams_of(feed: ChangeFeed, key: str, after: Bookmark, count: int) -> list[Told]:
    """The first that are told of changes, so many; whoever is interrupted comes again with the last bookmark."""
    found: list[Told] = []
    while len(found) < count:
        with suppress(Unavailable):
            async with aclosing(feed.changes(key, found[-1].bookmark if found else after, QUIET)) as changes:
                while len(found) < count:
                    one = await told(changes)
                    if one.change is not None:
                        found.append(one)
    return found


def names(found: Sequence[Told]) -> list[str]:
    return [one.change.stream for one in found if one.change is not None]


async def test_without_a_bookmark_it_begins_at_the_end_and_says_where_that_is() -> None:
    log = ScriptedLog("doors", 2)
    put(log, "red", 1)
    put(log, "red", 2, partition=1)
    async with aclosing(feed_of(log).changes("red", Bookmark(), QUIET)) as changes:
        assert await told(changes) == Told(Bookmark(await log.head()))
        put(log, "blue", 1)
        put(log, "red", 3)
        found = await told(changes)
        assert names([found]) == ["door-red-3"]
        assert found.bookmark.position == Position({Partition("doors", 0): 3, Partition("doors", 1): 1})


@pytest.mark.parametrize("seed", [None, *range(8)])
async def test_from_every_bookmark_that_it_gave_the_rest_comes_once_and_in_order(seed: int | None) -> None:
    log = ScriptedLog("doors", 2, seed)
    put(log, "blue", 0, partition=0)
    put(log, "blue", 0, partition=1)
    start = Bookmark(await log.head())
    for number in range(1, 9):
        put(log, "red", number, partition=number % 2)
        put(log, "blue", number, partition=number % 2)
    feed = feed_of(log)
    whole = await streams_of(feed, "red", start, 8)
    for partition in (0, 1):
        offsets = [one.change.offset for one in whole if one.change and one.change.partition.number == partition]
        assert offsets == [1, 3, 5, 7]
    for place in range(8):
        rest = await streams_of(feed, "red", whole[place].bookmark, 7 - place)
        assert sorted(names(rest)) == sorted(names(whole)[place + 1 :])


async def test_what_comes_while_it_catches_up_comes_once_too() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    start = Bookmark(await log.head())
    put(log, "red", 1)
    put(log, "red", 2)
    feed = feed_of(log)
    async with aclosing(feed.changes("red", start, QUIET)) as changes:
        found = [await told(changes), await told(changes)]
        put(log, "red", 3)
        found += [await told(changes), await told(changes)]
    assert names(found) == ["door-red-1", "door-red-2", "door-red-3"]


async def test_one_who_reads_slowly_gets_what_did_not_fit_from_the_log() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    feed = feed_of(log)
    async with (
        aclosing(feed.changes("red", Bookmark(), QUIET)) as slow,
        aclosing(feed.changes("green", Bookmark(), QUIET)) as other,
    ):
        await told(slow)
        await told(other)
        for number in range(500):
            put(log, "red", number)
        put(log, "green", 1)
        assert names([await told(other)]) == ["door-green-1"]  # so all of red was offered
        found = [await told(slow) for _ in range(500)]
        assert names(found) == [f"door-red-{number}" for number in range(500)]


async def test_more_than_fits_at_once_is_not_passed_over_by_one_who_waits() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    async with aclosing(feed_of(log).changes("red", Bookmark(), QUIET)) as changes:
        await told(changes)
        waiting = asyncio.create_task(told(changes))
        for _ in range(20):
            await asyncio.sleep(0)
        for number in range(200):
            put(log, "red", number)
        found = [await waiting, *[await told(changes) for _ in range(199)]]
        assert names(found) == [f"door-red-{number}" for number in range(200)]


async def test_a_version_that_stands_on_the_log_twice_is_told_once_also_to_one_who_comes_back() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    start = Bookmark(await log.head())
    put(log, "red", 1)
    put(log, "red", 1)
    put(log, "red", 2)
    feed = feed_of(log)
    found = await streams_of(feed, "red", start, 2)
    assert names(found) == ["door-red-1", "door-red-2"]
    assert names(await streams_of(feed, "red", found[0].bookmark, 1)) == ["door-red-2"]


async def test_in_quiet_times_it_tells_how_far_it_is() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    async with aclosing(feed_of(log).changes("red", Bookmark(), 0.0)) as changes:
        await told(changes)
        put(log, "blue", 1)
        while (quiet := await told(changes)).bookmark.position != await log.head():
            assert quiet.change is None
        put(log, "red", 1)
        while (found := await told(changes)).change is None:
            pass
        assert found.change.stream == "door-red-1"


async def test_it_keeps_what_the_bookmark_says_of_other_logs() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    other = Bookmark(Position.of("windows", 3, 17), {WrittenStream("windows", 3, "window-1"): 4})
    async with aclosing(feed_of(log).changes("red", other, QUIET)) as changes:
        assert (await told(changes)).bookmark == other.join(Bookmark(await log.head()))


async def test_a_bookmark_that_is_ahead_of_the_shared_reader_is_not_gone_behind() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    feed = feed_of(log)
    async with aclosing(feed.changes("red", Bookmark(), QUIET)) as first:
        await told(first)
        put(log, "red", 1)
        put(log, "red", 2)
        ahead = Bookmark(Position.of("doors", 0, 2))  # the reader has not had its turn since
        assert names(await streams_of(feed, "red", ahead, 1)) == ["door-red-2"]


async def test_those_who_read_the_log_and_take_their_time_hold_up_nobody() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    start = Bookmark(await log.head())
    for number in range(3):
        put(log, "red", number)
    feed = feed_of(log)
    slow = [feed.changes("red", start, QUIET) for _ in range(20)]
    for changes in slow:
        await told(changes)
        assert names([await told(changes)]) == ["door-red-0"]
    assert names(await streams_of(feed, "red", start, 3)) == [f"door-red-{number}" for number in range(3)]
    for changes in slow:
        await changes.aclose()


class Counting:
    """A codec that counts what it decodes."""

    def __init__(self) -> None:
        self.decoded = 0

    def recorded(self, record: object) -> RecordedEvent:
        self.decoded += 1
        return CODEC.recorded(record)  # type: ignore[arg-type]


async def test_each_record_is_decoded_once_for_all_who_listen() -> None:
    log, codec = ScriptedLog("doors"), Counting()
    put(log, "blue", 0)
    feed = ChangeFeed([Source(log, codec)], colour_of, SOON)
    many = [feed.changes("red", Bookmark(), QUIET) for _ in range(50)]
    for changes in many:
        await told(changes)
    for number in range(10):
        put(log, "blue", number)
    put(log, "red", 1)
    for changes in many:
        assert names([await told(changes)]) == ["door-red-1"]
    assert codec.decoded == 11
    for changes in many:
        await changes.aclose()


async def test_a_log_that_fails_for_a_while_is_followed_again_without_a_gap() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    async with aclosing(feed_of(log).changes("red", Bookmark(), QUIET)) as changes:
        await told(changes)
        log.available = False
        put(log, "red", 1)
        waiting = asyncio.create_task(told(changes))
        for _ in range(20):
            await asyncio.sleep(0)
        log.available = True
        put(log, "red", 2)
        assert names([await waiting, await told(changes)]) == ["door-red-1", "door-red-2"]


async def test_what_cannot_be_decoded_or_is_no_event_concerns_nobody() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    async with aclosing(feed_of(log).changes("red", Bookmark(), QUIET)) as changes:
        await told(changes)
        log.put("door-red-1", 1, None)
        put(log, "red", 2)
        log.partitions[0].append(msgspec.structs.replace(log.partitions[0].pop(), data=b"{"))
        put(log, "red", 3)
        assert names([await told(changes)]) == ["door-red-3"]


async def test_all_are_told_when_the_logs_cannot_be_followed_and_may_come_again() -> None:
    log = ScriptedLog("doors")
    put(log, "blue", 0)
    broken = False

    def keys_of(recorded: RecordedEvent) -> Collection[str]:
        if broken:
            raise RuntimeError("a defect")
        return colour_of(recorded)

    feed = ChangeFeed([Source(log, CODEC)], keys_of, SOON)
    changes = feed.changes("red", Bookmark(), QUIET)
    begun = await told(changes)
    broken = True
    put(log, "red", 1)
    with pytest.raises(Unavailable):
        await told(changes)
    broken = False
    assert names(await streams_of(feed, "red", begun.bookmark, 1)) == ["door-red-1"]


async def test_nothing_is_read_when_nobody_listens_any_more() -> None:
    log, codec = ScriptedLog("doors"), Counting()
    put(log, "blue", 0)
    feed = ChangeFeed([Source(log, codec)], colour_of, SOON)
    async with aclosing(feed.changes("red", Bookmark(), QUIET)) as changes:
        await told(changes)
    put(log, "red", 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert codec.decoded == 0
    reading = [task for task in asyncio.all_tasks() if "subscriptions" in task.get_name()]
    assert not reading


@given(
    st.lists(st.tuples(st.sampled_from(["red", "blue"]), st.integers(0, 2)), max_size=30),
    st.integers(0, 10_000),
    st.lists(st.integers(1, 5), max_size=8),
)
def test_over_any_reconnections_what_is_told_is_what_the_log_has(
    writes: list[tuple[str, int]], seed: int, sessions: list[int]
) -> None:
    async def run() -> None:
        log = ScriptedLog("doors", 3, seed)
        for partition in range(3):
            put(log, "blue", 0, partition)
        bookmark = Bookmark(await log.head())
        for number, (colour, partition) in enumerate(writes, 1):
            put(log, colour, number, partition)
        expected = [
            (partition, record.offset)
            for partition in range(3)
            for record in log.partitions[partition][1:]
            if "red" in record.stream
        ]
        feed = feed_of(log)
        found: list[tuple[int, int]] = []
        for length in [*sessions, len(expected)]:
            for one in await streams_of(feed, "red", bookmark, min(length, len(expected) - len(found))):
                assert one.change is not None
                found.append((one.change.partition.number, one.change.offset))
                bookmark = one.bookmark
        assert sorted(found) == expected
        for partition in range(3):
            offsets = [offset for number, offset in found if number == partition]
            assert all(one < other for one, other in pairwise(offsets))

    asyncio.run(run())


# Keys with neighbours


def two_of(recorded: RecordedEvent) -> Collection[str]:
    """A door between two rooms: `+ a b` where it is put in, `- a b` where it is walled up."""
    event = recorded.event
    return event.name.split()[1:] if isinstance(event, Hung) else ()


def opens(recorded: RecordedEvent) -> bool:
    return isinstance(recorded.event, Hung) and recorded.event.name.startswith("+")


@dataclass
class Rooms:
    """Which doors there are between rooms, as the log has them; the oracle of who is told what."""

    log: ScriptedLog
    open: set[frozenset[str]] = field(default_factory=set)
    versions: Counter[str] = field(default_factory=Counter[str])
    asked: list[Position] = field(default_factory=list)

    def toggle(self, one: str, other: str, partition: int = 0) -> None:
        pair = frozenset((one, other))
        stream = f"door-{'~'.join(sorted(pair))}"
        self.versions[stream] += 1
        sign = "-" if pair in self.open else "+"
        self.open ^= {pair}
        self.log.put(stream, self.versions[stream], Hung(name=f"{sign} {one} {other}"), partition)

    def events(self, partition: int = 0) -> list[tuple[str, set[str]]]:
        return [
            (name[0], set(name.split()[1:]))
            for name in (CODEC.recorded(record).event.name for record in self.log.partitions[partition])  # type: ignore[attr-defined]
        ]

    def next_to(self, room: str, before: int) -> set[str]:
        found: set[str] = set()
        for sign, pair in self.events()[:before]:
            if room in pair:
                found = found | (pair - {room}) if sign == "+" else found - pair
        return found

    def told_to(self, room: str, after: int) -> list[int]:
        """The offsets of what concerns a room from an offset on."""
        return [
            offset
            for offset, (_, pair) in enumerate(self.events())
            if offset >= after and (room in pair or pair & self.next_to(room, offset))
        ]

    async def of(self, room: str, position: Position) -> Collection[str]:
        self.asked.append(position)
        return self.next_to(room, position.get(Partition("doors", 0), 0))


def rooms_of(log: ScriptedLog) -> tuple[Rooms, ChangeFeed]:
    return Rooms(log), ChangeFeed([Source(log, CODEC)], two_of, SOON, opens)


async def test_what_concerns_a_neighbour_concerns_the_key_from_the_moment_on_that_it_is_one() -> None:
    log = ScriptedLog("doors")
    rooms, feed = rooms_of(log)
    rooms.toggle("hall", "attic")
    async with aclosing(feed.changes("hall", Bookmark(), QUIET, partial(rooms.of, "hall"))) as changes:
        await told(changes)
        for one, other in [
            ("attic", "roof"),  # told: the attic was there at the beginning
            ("cellar", "well"),
            ("hall", "cellar"),  # told, and from now on the cellar is a neighbour
            ("cellar", "well"),  # told
            ("roof", "sky"),
            ("hall", "attic"),  # told; the last that is of the attic
            ("attic", "roof"),
            ("hall", "garden"),  # told
        ]:
            rooms.toggle(one, other)
        assert names([await told(changes) for _ in range(5)]) == [
            "door-attic~roof", "door-cellar~hall", "door-cellar~well", "door-attic~hall", "door-garden~hall",
        ]  # fmt: skip
    assert rooms.asked == [Position.of("doors", 0, 1)]


async def test_what_comes_of_a_neighbour_while_it_is_found_on_the_log_is_not_missed() -> None:
    """The reader passes what concerns a new neighbour before the subscription, which catches up, knows of it."""
    log = ScriptedLog("doors")
    rooms, feed = rooms_of(log)
    rooms.toggle("attic", "roof")
    start = Bookmark(await log.head())
    async with aclosing(feed.changes("else", Bookmark(), 0.0, partial(rooms.of, "else"))) as other:
        await told(other)
        rooms.toggle("hall", "cellar")
        async with aclosing(feed.changes("hall", start, QUIET, partial(rooms.of, "hall"))) as changes:
            begun = await told(changes)
            rooms.toggle("cellar", "well")
            while (await told(other)).bookmark.position != await log.head():
                pass
            assert begun.bookmark.position == start.position
            assert names([await told(changes), await told(changes)]) == ["door-cellar~hall", "door-cellar~well"]


async def test_who_is_a_neighbour_no_longer_is_not_listened_to_any_more() -> None:
    log = ScriptedLog("doors")
    rooms, feed = rooms_of(log)
    rooms.toggle("hall", "attic")
    async with aclosing(feed.changes("hall", Bookmark(), QUIET, partial(rooms.of, "hall"))) as changes:
        await told(changes)
        for other in ("attic", "cellar"):
            rooms.toggle("hall", other)
            await told(changes)
        assert set(feed._listeners) == {"hall", "cellar"}


async def test_a_key_that_comes_to_have_too_many_neighbours_is_refused() -> None:
    log = ScriptedLog("doors")
    rooms, feed = rooms_of(log)
    rooms.toggle("hall", "attic")
    with patch.object(change_feed, "_NEIGHBOURS", 1):
        async with aclosing(feed.changes("hall", Bookmark(), QUIET, partial(rooms.of, "hall"))) as changes:
            await told(changes)
            rooms.toggle("hall", "cellar")
            with pytest.raises(TooCostly, match="at most 1 neighbours"):
                await told(changes)


class ByThree(ScriptedLog):
    """Delivers three records at a time."""

    async def subscribe(
        self, after: Checkpoint, partitions: frozenset[int] | None = None
    ) -> AsyncGenerator[Batch, None]:
        async with aclosing(super().subscribe(after, partitions)) as batches:
            async for batch in batches:
                for start in range(0, len(batch.records), 3):
                    records = batch.records[start : start + 3]
                    yield replace(batch, records=records, next_offset=records[-1].offset + 1)


async def test_one_that_finds_too_many_former_neighbours_on_the_log_begins_again_where_it_is() -> None:
    log = ByThree("doors")
    rooms, feed = rooms_of(log)
    rooms.toggle("attic", "roof")
    bookmark = Bookmark(await log.head())
    for other in "abcdef":
        rooms.toggle("hall", other)
        rooms.toggle(other, "roof")
        rooms.toggle("hall", other)
    found: list[int] = []
    interruptions: list[str] = []
    with patch.object(change_feed, "_NEIGHBOURS", 2), patch.object(change_feed, "_AT_ONCE", 3):
        while len(found) < 18:
            async with aclosing(feed.changes("hall", bookmark, QUIET, partial(rooms.of, "hall"))) as changes:
                await told(changes)
                while len(found) < 18:
                    try:
                        one = await told(changes)
                    except Unavailable as interruption:
                        interruptions.append(str(interruption))
                        break
                    assert one.change is not None
                    found.append(one.change.offset)
                    bookmark = one.bookmark
    assert found == list(range(1, 19))
    assert interruptions == ["more than 4 have been neighbours: begin again with those of now"]


ROOMS = ("a", "b", "c", "d", "e")


@given(
    st.lists(st.sampled_from(list(permutations(ROOMS, 2))), max_size=40),
    st.integers(0, 10_000),
    st.integers(0, 10),
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5)), max_size=8),
    st.sampled_from((1, 3, 64)),
)
def test_over_any_reconnections_what_concerns_the_neighbours_of_each_moment_is_told(
    writes: list[tuple[str, str]], seed: int, before: int, sessions: list[tuple[int, int]], queue: int
) -> None:
    async def run() -> None:
        log = ScriptedLog("doors", 1, seed)
        rooms, feed = rooms_of(log)
        rooms.toggle("d", "e")
        left = iter(writes)
        for two in islice(left, before):
            rooms.toggle(*two)
        bookmark = Bookmark(await log.head())
        begin = bookmark.position.get(Partition("doors", 0), 0)
        found: list[int] = []
        for more, length in [*sessions, (len(writes), len(writes))]:
            async with aclosing(feed.changes("a", bookmark, QUIET, partial(rooms.of, "a"))) as changes:
                with suppress(Unavailable):
                    await told(changes)
                    for two in islice(left, more):
                        rooms.toggle(*two)
                    for _ in range(min(length, len(rooms.told_to("a", begin)) - len(found))):
                        one = await told(changes)
                        assert one.change is not None
                        found.append(one.change.offset)
                        bookmark = one.bookmark
        for two in left:
            rooms.toggle(*two)
        while len(found) < len(rooms.told_to("a", begin)):
            with suppress(Unavailable):
                async with aclosing(feed.changes("a", bookmark, QUIET, partial(rooms.of, "a"))) as changes:
                    await told(changes)
                    while len(found) < len(rooms.told_to("a", begin)):
                        one = await told(changes)
                        assert one.change is not None
                        found.append(one.change.offset)
                        bookmark = one.bookmark
        assert found == rooms.told_to("a", begin)

    with patch.object(change_feed, "_QUEUE", queue):
        asyncio.run(run())
