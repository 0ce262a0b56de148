"""A type of events that was renamed: records of before are read as the new one, and stay what they are."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import ClassVar

import pytest

from eventkernel.adapters.memory_views import MemoryCheckpointStore
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.log_copy import LogExport, LogImport
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_key
from eventkernel.clock import ManualClock
from eventkernel.events import DomainEvent, EncodedEvent, RecordedEvent, names_of
from eventkernel.reacting.process import ProcessManager
from eventkernel.reacting.reaction import NoView
from eventkernel.reading.following import Source
from eventkernel.writing.codec import Codec, EventType, Fields
from eventkernel.writing.envelope import from_json, to_json


class Opened(DomainEvent, frozen=True, tag="doors.Opened"):
    """As it was."""

    wide: int


class Unlocked(DomainEvent, frozen=True, tag="doors.Unlocked"):
    """As it is."""

    old_names: ClassVar = ("doors.Opened", "doors.SetOpen")

    degrees: int
    """What was `wide` until the schema's version 2."""


def _degrees(fields: Fields) -> Fields:
    return {"degrees": fields["wide"]}


OLD = Codec([Opened])
NEW = Codec([EventType(Unlocked, 2)], upcasters={("doors.Unlocked", 1): _degrees})


async def opened(store: SqliteEventStore, *events: EncodedEvent) -> None:
    for number, event in enumerate(events):
        version = len(await store.read_stream("door-1"))
        await store.append(
            "door-1", [event], expected_version=version, command_id=f"{version} {number}", fingerprint="f"
        )


async def test_old_records_are_read_as_the_new_type_and_only_its_tag_is_written(tmp_path: Path) -> None:
    async with aclosing(await SqliteEventStore.open(tmp_path / "d.sqlite", name="doors", clock=ManualClock())) as store:
        set_open = EncodedEvent("doors.SetOpen", 2, b'{"degrees":40}')
        await opened(store, OLD.encode(Opened(wide=90), "door-1"), set_open, NEW.encode(Unlocked(degrees=7), "door-1"))
        records = await store.read_stream("door-1")
        assert [NEW.decode(record) for record in records] == [Unlocked(degrees=d) for d in (90, 40, 7)]
        assert [record.type for record in records] == ["doors.Opened", "doors.SetOpen", "doors.Unlocked"]
        assert all(NEW.knows(record.type) for record in records)


async def test_a_copy_keeps_old_names_and_data_to_the_byte(tmp_path: Path) -> None:
    path, copied = tmp_path / "doors.sqlite", tmp_path / "copy.sqlite"
    clock = ManualClock()
    async with aclosing(await SqliteEventStore.open(path, name="doors", clock=clock)) as store:
        await opened(store, EncodedEvent("doors.Opened", 1, b'{"wide": 90, "later": null}'))
    with LogExport(path) as export:
        records = [record for batch in export.batches() for record in batch]
    lines = [to_json(record) for record in records]
    assert json.loads(lines[-1])["type"] == "doors.Opened"
    again = [from_json(line, partition=0, offset=record.offset) for line, record in zip(lines, records, strict=True)]
    copy = LogImport(copied, records[0].log, read_key(claims_key_path(path)))
    for record in again:
        copy.add(record)
    copy.flush()
    copy.close()
    async with aclosing(await SqliteEventStore.open(copied, name="doors", clock=clock)) as store:
        (found,) = await store.read_stream("door-1")
        assert (found.type, found.schema_version, json.loads(found.data)) == (
            "doors.Opened",
            1,
            {"wide": 90, "later": None},
        )
        assert found == again[-1]
        assert NEW.decode(found) == Unlocked(degrees=90)


async def test_a_process_manager_reacts_to_events_of_an_old_name(tmp_path: Path) -> None:
    seen: list[DomainEvent] = []

    async def react(recorded: RecordedEvent, _: object) -> None:
        seen.append(recorded.event)

    async with aclosing(await SqliteEventStore.open(tmp_path / "d.sqlite", name="doors", clock=ManualClock())) as store:
        await opened(store, OLD.encode(Opened(wide=90), "door-1"), NEW.encode(Unlocked(degrees=7), "door-1"))
        sources = [Source(store, NEW)]
        process = ProcessManager("w", sources, NoView(), react, MemoryCheckpointStore(), reacts_to=[Unlocked])
        task = asyncio.create_task(process.run())
        assert await process.reached(await store.head(), 10)
        task.cancel()
        await asyncio.wait((task,))
    assert seen == [Unlocked(degrees=90), Unlocked(degrees=7)]


def test_a_name_belongs_to_one_type() -> None:
    assert names_of(Unlocked) == ("doors.Unlocked", "doors.Opened", "doors.SetOpen")
    for both in ([Opened, Unlocked], [Unlocked, Opened]):
        with pytest.raises(TypeError, match=r"two event types have the name 'doors\.Opened'"):
            Codec(both)
    with pytest.raises(TypeError, match=r"an upcaster from version 1 of 'doors\.Opened' leads to no registered"):
        Codec([EventType(Unlocked, 2)], upcasters={("doors.Opened", 1): _degrees})
