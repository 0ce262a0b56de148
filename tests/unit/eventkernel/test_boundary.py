"""What a reading has had, item by item, where the items' tags ended at different moments."""

from __future__ import annotations

from eventkernel.events import Record
from eventkernel.writing.boundary import Query, Reading
from eventkernel.writing.claims import ClaimsKey

KEY = ClaimsKey(bytes(32))
QUERY = Query.of("a") | Query.of("b")


def record(time_us: int, *tags: str) -> Record:
    return Record(
        log="doors.1", partition=0, offset=time_us, id=f"door@{time_us}", type="doors.Opened", time_us=time_us,
        stream="door", version=time_us, first_version=time_us, commit_size=1, command_id="c", fingerprint="f",
        tags=tuple(map(KEY.seal_tag, tags)),
    )  # fmt: skip


def test_what_one_item_has_had_is_not_given_again_for_another_ones_sake() -> None:
    reading = Reading(KEY, QUERY, (5, 10))
    both = record(7, "a", "b")
    found = reading.batch([both, record(8, "a"), record(9, "b")], until=(20, 20))
    assert [one.time_us for one in found.records] == [8]
    assert found.condition.after == (8, 10)


def test_an_item_is_read_no_further_than_its_tag_had_ended() -> None:
    """The other item's tag was looked at later: between the two there may be something of the first."""
    found = Reading(KEY, QUERY, ()).batch([record(3, "a"), record(7, "a", "b")], until=(5, 9))
    assert [one.time_us for one in found.records] == [3, 7]
    assert found.condition.after == (3, 7)
