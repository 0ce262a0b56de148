"""The recipes of docs/evolution.md: the page's code, run, and what it promises of old records and released readers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from eventgraph.evolution.check import compared
from eventkernel.errors import CorruptData, UnknownEventType
from eventkernel.events import DomainEvent, Record
from eventkernel.writing.codec import Codec, EventType, Fields, Unread
from tests.support.descriptions import Types, change, described, told
from tests.support.guide import blocks

PAGE = (Path(__file__).parents[3] / "docs" / "evolution.md").read_text()
BLOCKS = list(blocks(PAGE))


def code(section: str) -> Any:
    """The names that a section's Python defines."""
    known: dict[str, Any] = {
        "__name__": __name__,
        "ClassVar": ClassVar,
        "Codec": Codec,
        "DomainEvent": DomainEvent,
        "EventType": EventType,
        "Fields": Fields,
        "Mapping": Mapping,
    }
    for block in BLOCKS:
        if block.section == section and block.language == "python":
            exec(block.text, known)  # noqa: S102  # the page's own
    return type("Page", (), known)


def record(kind: str, data: Mapping[str, object], schema_version: int = 1) -> Record:
    return Record(
        log="shelves.x",
        partition=0,
        offset=1,
        id="1",
        type=kind,
        time_us=0,
        stream="shelf-1",
        version=1,
        first_version=1,
        commit_size=1,
        command_id="c",
        fingerprint="f",
        schema_version=schema_version,
        data=msgspec.json.encode(data),
    )


def written(codec: Codec, event: DomainEvent) -> Record:
    """An event as a codec writes it."""
    encoded = codec.encode(event, "shelf-1")
    return record(encoded.type, msgspec.json.decode(encoded.data), encoded.schema_version)


def severities(before: Types, now: Types, **more: Any) -> set[str]:
    return {severity for severity, *_ in told(described(before), described(now, **more))}


def test_a_field_with_a_default_is_read_from_old_records_and_skipped_by_older_readers() -> None:
    class Before(DomainEvent, frozen=True, tag="shelves.Placed"):
        book: str

    placed = code("Add a field").Placed
    assert Codec([placed]).decode(record("shelves.Placed", {"book": "a"})) == placed(book="a", row=1)
    assert Codec([Before]).decode(written(Codec([placed]), placed(book="a", row=2))) == Before(book="a")
    assert severities([Before], [placed]) == {"safe"}


class Labelled(DomainEvent, frozen=True, tag="shelves.Labelled"):
    label: str


def test_a_renamed_field_is_read_from_old_records_through_an_upcaster() -> None:
    page = code("Change a field's name or type")
    assert page.codec.decode(record("shelves.Labelled", {"label": "a"})) == page.Labelled(title="a")
    assert page.codec.decode(written(page.codec, page.Labelled(title="b"))) == page.Labelled(title="b")
    assert written(page.codec, page.Labelled(title="b")).schema_version == 2


def test_the_release_cannot_read_a_renamed_field_and_the_check_says_so() -> None:
    page = code("Change a field's name or type")
    with pytest.raises(CorruptData, match="label"):
        Codec([Labelled]).decode(written(page.codec, page.Labelled(title="b")))
    today = described([EventType(page.Labelled, 2)], upcasters=[("shelves.Labelled", 1)])
    assert change(described([Labelled]), today, "EVENT_FIELD_REMOVED").severity == "breaking"
    assert change(described([Labelled]), today, "EVENT_UPCAST").severity == "dangerous"


def test_a_field_under_two_names_is_read_by_everybody() -> None:
    twice = code("Change a field's name or type").LabelledTwice
    assert Codec([twice]).decode(record("shelves.Labelled", {"label": "a"})) == twice(label="a")
    assert Codec([Labelled]).decode(written(Codec([twice]), twice(label="a", title="a"))) == Labelled(label="a")
    assert severities([Labelled], [twice]) == {"safe"}


def test_a_renamed_type_reads_its_old_records_and_a_reader_of_the_old_name_alone_skips_the_new_ones() -> None:
    class Put(DomainEvent, frozen=True, tag="shelves.Put"):
        book: str

    shelved = code("Rename a type").Shelved
    assert Codec([shelved]).decode(record("shelves.Put", {"book": "a"})) == shelved(book="a")
    new = written(Codec([shelved]), shelved(book="b"))
    assert new.type == "shelves.Shelved"
    assert Codec([Put], skip_others=True).decode(new) == Unread()
    found = change(described([Put], reads=[Put]), described([shelved], reads=[Put]), "EVENT_TYPE_UNREAD")
    assert found.who == ("view readers",)


def test_a_split_event_is_folded_for_ever_beside_those_that_take_its_place() -> None:
    page = code("Split an event")
    codec = Codec([page.Moved, page.Taken, page.Put])
    shelves: Mapping[str, str | None] = {"a": "1", "b": "1"}
    old = codec.decode(record("shelves.Moved", {"book": "a", "source": "1", "target": "2"}))
    for event in (old, page.Taken(book="b", source="1")):
        shelves = page.evolve(shelves, event)
    assert shelves == {"a": "2", "b": None}
    assert page.evolve(shelves, page.Put(book="b", target="3")) == {"a": "2", "b": "3"}
    assert told(described([page.Moved]), described([page.Moved, page.Taken, page.Put])) == [
        ("dangerous", "EVENT_TYPE_ADDED", "events/shelves/shelves.PutOn"),
        ("dangerous", "EVENT_TYPE_ADDED", "events/shelves/shelves.Taken"),
    ]
    assert severities([page.Moved], [page.Taken, page.Put]) == {"breaking", "dangerous"}


def test_readers_that_are_released_first_make_a_new_type_safe() -> None:
    page = code("Split an event")
    everything = [page.Moved, page.Taken, page.Put]
    with pytest.raises(UnknownEventType):
        Codec([page.Moved]).decode(written(Codec(everything), page.Taken(book="a", source="1")))
    assert severities(everything, everything) == set(), "the release that reads them came before the one that writes"


def test_a_type_that_is_retired_keeps_its_class_and_a_field_goes_in_two_releases() -> None:
    class First(DomainEvent, frozen=True, tag="shelves.Weighed"):
        book: str
        grams: int

    class Last(DomainEvent, frozen=True, tag="shelves.Weighed"):
        book: str

    weighed = code("Retire a type or a field").Weighed
    assert severities([First], [weighed]) == set()
    assert severities([weighed], [Last]) == {"dangerous"}
    assert severities([First], [Last]) == {"breaking"}
    assert severities([First], []) == {"breaking"}


def test_a_deprecated_field_breaks_nobody_until_it_is_removed() -> None:
    (after,) = [one.text for one in BLOCKS if one.section == "GraphQL"]
    query = "type Query { book: Book }\n"
    before = query + "type Book { label: String title: String }"
    asks = {"Labels": "query Labels { book { label } }"}
    assert told(described(api=before, operations=asks), described(api=query + after)) == []
    gone = query + "type Book { title: String }"
    found = change(described(api=query + after, operations=asks), described(api=gone), "FIELD_REMOVED")
    assert found.who == ("example Labels#Labels",)


def test_nullable_to_non_null_is_safe_and_the_reverse_is_not() -> None:
    free, bound = "type Query { a: Int }", "type Query { a: Int! }"
    assert [one.severity for one in compared(described(api=free), described(api=bound))] == ["safe"]
    assert [one.severity for one in compared(described(api=bound), described(api=free))] == ["breaking"]


def test_the_accepted_break_on_the_page_is_one() -> None:
    (entry,) = [tomllib.loads(one.text) for one in BLOCKS if one.language == "toml"]
    (accepted,) = entry["accepted"]
    assert set(accepted) == {"kind", "path", "until", "reason"}
