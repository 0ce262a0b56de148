"""A low water is where everything before it is dealt with, and nothing further on."""

from __future__ import annotations

from eventkernel.events import Partition, Record
from eventkernel.reacting.low_water import LowWater
from eventkernel.writing.store import Batch

TYPE = "doors.Opened"


def at(offset: int, *, generation: int = 0, version: int = 1, kind: str = TYPE) -> Record:
    return Record(
        log="a.1",
        partition=0,
        offset=offset,
        id=f"{offset}",
        type=kind,
        time_us=offset * 10,
        stream=f"s-{offset}",
        version=version,
        first_version=1,
        commit_size=1,
        command_id="",
        fingerprint="",
        generation=generation,
    )


def batch(*records: Record, until: int, generation: int = 0) -> Batch:
    return Batch("a.1", 0, records, until, generation)


def offset_of(low_water: LowWater) -> int | None:
    return low_water.checkpoint().position.get(Partition("a.1", 0))


def test_it_stands_behind_the_record_before_the_first_that_is_not_dealt_with() -> None:
    low_water = LowWater()
    wanted = low_water.begin(batch(at(2), at(4), at(7), until=9), {TYPE})
    assert offset_of(low_water) is None, "nothing is known to be dealt with"
    low_water.done(wanted[2])
    assert offset_of(low_water) is None
    low_water.done(wanted[0])
    assert offset_of(low_water) == 3
    low_water.done(wanted[1])
    assert offset_of(low_water) == 9


def test_its_landmark_is_the_last_record_before_it() -> None:
    low_water, here = LowWater(), Partition("a.1", 0)
    wanted = low_water.begin(batch(at(2), at(4), at(7), until=9), {TYPE})
    low_water.done(wanted[0])
    assert low_water.checkpoint().landmarks[here].offset == 2
    for record in wanted[1:]:
        low_water.done(record)
    assert low_water.checkpoint().landmarks[here].offset == 7


def test_what_is_not_wanted_needs_nothing() -> None:
    low_water = LowWater()
    others = [at(0, kind="another"), at(1, version=0)]
    assert [found.offset for found in low_water.begin(batch(*others, at(2), until=3), {TYPE})] == [2]
    assert offset_of(low_water) == 2


def test_the_first_of_a_batch_stands_behind_the_batch_before() -> None:
    low_water = LowWater()
    low_water.begin(batch(at(0, kind="another"), until=5), {TYPE})
    low_water.begin(batch(at(6), until=7), {TYPE})
    assert offset_of(low_water) == 5


def test_what_was_read_before_is_left_out() -> None:
    low_water = LowWater()
    low_water.begin(batch(at(0), at(1), until=2), {TYPE})
    assert [found.offset for found in low_water.begin(batch(at(1), at(2), until=3), {TYPE})] == [2]
    assert low_water.begin(batch(at(0), at(1), until=2), {TYPE}) == []


def test_it_has_seen_no_newer_generation_than_the_record_that_it_stands_behind() -> None:
    low_water = LowWater()
    wanted = low_water.begin(batch(at(0, generation=1), at(5, generation=3), until=6, generation=3), {TYPE})
    low_water.done(wanted[0])
    assert low_water.checkpoint().generations == (("a.1", 0, 1),)
    low_water.done(wanted[1])
    assert low_water.checkpoint().generations == (("a.1", 0, 3),)


def test_the_oldest_that_waits_is_known() -> None:
    low_water = LowWater()
    first, _ = low_water.begin(batch(at(3), at(4), until=5), {TYPE})
    assert low_water.waiting_since() == {Partition("a.1", 0): 30}
    low_water.done(first)
    assert low_water.waiting_since() == {Partition("a.1", 0): 40}
