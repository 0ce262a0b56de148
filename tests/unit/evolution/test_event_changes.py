"""What becomes of events: who can read what, in which direction."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, cast

import msgspec
import pytest

from eventgraph.evolution.check import compared
from eventkernel.events import DomainEvent, Personal, Tag
from eventkernel.writing.codec import EventType
from tests.support.descriptions import change, described, told


class Placed(DomainEvent, frozen=True, tag="shelves.Placed"):
    book: str
    shelf: int = 0


class Removed(DomainEvent, frozen=True, tag="shelves.Removed"):
    pass


def of(name: str, annotation: Any, *default: Any, **config: Any) -> type[DomainEvent]:
    """`Placed` with another field beside `book`."""
    fields = [("book", str), (name, annotation, *default)]
    made = msgspec.defstruct(
        "Placed", fields, bases=(DomainEvent,), frozen=True, tag="shelves.Placed", kw_only=True, **config
    )
    return cast("type[DomainEvent]", made)


def test_nothing_has_changed() -> None:
    assert told(described([Placed, Removed], reads=[Placed]), described([Placed, Removed], reads=[Placed])) == []


def test_a_field_with_a_default_may_be_added() -> None:
    class Before(DomainEvent, frozen=True, tag="shelves.Placed"):
        book: str

    assert told(described([Before]), described([Placed])) == [
        ("safe", "EVENT_FIELD_ADDED", "events/shelves/shelves.Placed.shelf")
    ]


def test_a_required_field_may_not_be_added_because_old_records_lack_it() -> None:
    found = change(described([of("shelf", int, 0)]), described([of("row", int)]), "EVENT_FIELD_REQUIRED")
    assert (found.severity, found.path) == ("breaking", "events/shelves/shelves.Placed.row")
    assert "records of 1.0.0" in found.message
    assert found.who == ("view shelves", "aggregate shelf")


def test_a_default_that_goes_makes_a_field_required() -> None:
    released, today = described([of("shelf", int, 0)]), described([of("shelf", int)])
    assert change(released, today, "EVENT_FIELD_REQUIRED").severity == "breaking"


@pytest.mark.parametrize(("default", "severity"), [((), "breaking"), ((0,), "dangerous")])
def test_a_field_that_is_written_no_more_breaks_released_readers_that_require_it(
    default: tuple[int, ...], severity: str
) -> None:
    class After(DomainEvent, frozen=True, tag="shelves.Placed"):
        book: str

    found = change(described([of("shelf", int, *default)]), described([After]), "EVENT_FIELD_REMOVED")
    assert (found.severity, found.who) == (severity, ("shelves of 1.0.0",))


def test_a_field_that_another_subgraph_reads_names_its_view_and_process_manager() -> None:
    class Read(DomainEvent, frozen=True, tag="shelves.Placed"):
        shelf: int

    class After(DomainEvent, frozen=True, tag="shelves.Placed"):
        book: str

    released = described([of("shelf", int)], reads=[Read], reacts_to=["shelves.Placed"])
    today = described([After], reads=[Read], reacts_to=["shelves.Placed"])
    found = change(released, today, "EVENT_FIELD_REMOVED")
    assert found.path == "events/shelves/shelves.Placed.shelf"
    now, before = [
        one for one in told_of(released, today, "EVENT_FIELD_REQUIRED") if one.path.startswith("reads/readers/")
    ]
    assert {now.who, before.who} == {("view readers", "process manager tidying"), ("readers of 1.0.0",)}


def told_of(released: Any, today: Any, kind: str) -> list[Any]:
    return [one for one in compared(released, today) if one.kind == kind]


def test_a_field_that_nobody_writes_gives_a_reader_its_default() -> None:
    class Read(DomainEvent, frozen=True, tag="shelves.Placed"):
        row: int = 0

    found = change(described([Placed], reads=[Read]), described([Placed], reads=[Read]), "EVENT_FIELD_UNWRITTEN")
    assert (found.severity, found.path) == ("dangerous", "reads/readers/shelves/shelves.Placed.row")


def test_a_type_that_is_narrowed_cannot_read_what_was_written() -> None:
    found = change(described([of("shelf", int | None)]), described([of("shelf", int)]), "EVENT_FIELD_UNREADABLE")
    assert found.message == "records of 1.0.0: expected integer, found null"
    assert found.who == ("view shelves", "aggregate shelf")


def test_a_type_that_is_widened_cannot_be_read_by_the_release() -> None:
    found = change(described([of("shelf", int)]), described([of("shelf", int | None)]), "EVENT_FIELD_UNREADABLE")
    assert found.message == "records of today: expected integer, found null"
    assert found.who == ("shelves of 1.0.0",)


def test_an_upcaster_is_told_and_not_judged() -> None:
    today = described([EventType(of("row", str), 2)], upcasters=[("shelves.Placed", 1)])
    found = change(described([of("shelf", int, 0)]), today, "EVENT_UPCAST")
    assert (found.severity, found.path) == ("dangerous", "events/shelves/shelves.Placed")
    assert not told_of(described([of("shelf", int, 0)]), today, "EVENT_FIELD_REQUIRED")


def test_a_schema_version_without_an_upcaster_excuses_nothing() -> None:
    today = described([EventType(of("row", str), 2)])
    assert change(described([of("shelf", int, 0)]), today, "EVENT_FIELD_REQUIRED").severity == "breaking"


def test_an_upcaster_from_a_version_before_the_release_excuses_nothing() -> None:
    released = described([EventType(of("shelf", int, 0), 2)])
    today = described([EventType(of("row", str), 3)], upcasters=[("shelves.Placed", 1)])
    assert change(released, today, "EVENT_FIELD_REQUIRED").severity == "breaking"


def test_a_schema_version_never_goes_down() -> None:
    released, today = described([EventType(Placed, 2)]), described([Placed])
    assert change(released, today, "EVENT_SCHEMA_VERSION_LOWERED").severity == "breaking"


def test_a_type_that_logs_still_have_may_not_go() -> None:
    found = change(described([Placed, Removed]), described([Placed]), "EVENT_TYPE_REMOVED")
    assert (found.severity, found.path) == ("breaking", "events/shelves/shelves.Removed")
    assert found.who == ("view shelves", "aggregate shelf")


def test_a_new_type_means_no_way_back() -> None:
    found = change(described([Placed]), described([Placed, Removed]), "EVENT_TYPE_ADDED")
    assert (found.severity, found.who) == ("dangerous", ("shelves of 1.0.0",))


class Shelved(DomainEvent, frozen=True, tag="shelves.Shelved"):
    old_names: ClassVar = ("shelves.Placed",)

    book: str
    shelf: int = 0


def test_a_renamed_type_is_told_and_a_reader_by_the_old_name_alone_is_named() -> None:
    released, today = described([Placed], reads=[Placed]), described([Shelved], reads=[Placed])
    assert told(released, today) == [
        ("breaking", "EVENT_TYPE_UNREAD", "reads/readers/shelves/shelves.Placed"),
        ("dangerous", "EVENT_TYPE_RENAMED", "events/shelves/shelves.Placed"),
        ("dangerous", "EVENT_TYPE_RENAMED", "reads/readers/shelves/shelves.Placed"),
    ]
    assert {severity for severity, *_ in told(released, described([Shelved], reads=[Shelved]))} == {"dangerous"}


def test_a_reader_of_a_type_that_nobody_writes_is_named() -> None:
    found = change(described([Placed]), described([Placed], reads=[Removed]), "EVENT_TYPE_UNWRITTEN")
    assert (found.severity, found.who) == ("breaking", ("view readers",))


def test_defaults_that_are_left_out_are_missed_by_released_readers_that_require_the_field() -> None:
    class Read(DomainEvent, frozen=True, tag="shelves.Placed"):
        shelf: int

    released = described([of("shelf", int)], reads=[Read])
    assert not told_of(released, described([of("shelf", int, 0)], reads=[Placed]), "EVENT_FIELD_UNREADABLE")
    left_out = described([of("shelf", int, 0, omit_defaults=True)], reads=[Placed])
    assert [(one.path, one.who) for one in told_of(released, left_out, "EVENT_FIELD_REQUIRED")] == [
        ("events/shelves/shelves.Placed.shelf", ("shelves of 1.0.0",)),
        ("reads/readers/shelves/shelves.Placed.shelf", ("readers of 1.0.0",)),
    ]


class Place(msgspec.Struct, frozen=True):
    shelf: int
    row: int


class Shelf(msgspec.Struct, frozen=True):
    shelf: int


def test_a_part_of_a_field_that_is_written_no_more_breaks_the_release_that_requires_it() -> None:
    found = change(described([of("place", Place)]), described([of("place", Shelf)]), "EVENT_FIELD_REQUIRED")
    assert (found.severity, found.path) == ("breaking", "events/shelves/shelves.Placed.place.row")
    assert found.who == ("shelves of 1.0.0",)
    assert told(described([of("places", tuple[Place, ...])]), described([of("places", tuple[Shelf, ...])])) == [
        ("breaking", "EVENT_FIELD_REQUIRED", "events/shelves/shelves.Placed.places[].row")
    ]


def test_marks_of_a_field_are_told() -> None:
    released = described([of("owner", str)])
    assert told(released, described([of("owner", Annotated[str, Personal()])])) == [
        ("dangerous", "EVENT_FIELD_PERSONAL", "events/shelves/shelves.Placed.owner")
    ]
    assert told(released, described([of("owner", Annotated[str, Tag("owner")])])) == [
        ("dangerous", "EVENT_FIELD_TAG", "events/shelves/shelves.Placed.owner")
    ]


def test_names_that_stores_are_found_by_may_not_change() -> None:
    released, today = described([Placed]), described([Placed], prefix="rack-")
    assert told(released, today) == [
        ("breaking", "STREAM_PREFIX_REMOVED", "subgraphs/shelves/aggregates/shelf"),
    ]
    without = described([Placed], reads=[Placed], reacts_to=["shelves.Placed"])
    assert told(without, described([Placed], reads=[Placed])) == [
        ("dangerous", "PROCESS_MANAGER_REMOVED", "subgraphs/readers/processes/tidying"),
    ]
    del today.subgraphs["shelves"]
    found = change(described([Placed], reads=[Placed]), today, "SUBGRAPH_REMOVED")
    assert found.who == ("view shelves", "view readers")
