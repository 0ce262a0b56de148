"""A stream with a damaged record is refused as that, whatever the events behind it would mean without it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.decider import Decider
from eventkernel.errors import AlreadyExists, CorruptData, KernelError, NotFound
from eventkernel.events import DomainEvent, Record
from eventkernel.writing.appending import resuming
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler


class Built(DomainEvent, frozen=True, tag="doors.Built"):
    pass


class Painted(DomainEvent, frozen=True, tag="doors.Painted"):
    colour: str


Door = str | None


def _existing(door: Door) -> str:
    if door is None:
        raise NotFound("there is no such door")
    return door


def _decide(event: Built | Painted, door: Door) -> Sequence[Built | Painted]:
    if isinstance(event, Painted):
        _existing(door)
    elif door is not None:
        raise AlreadyExists("there is such a door")
    return [event]


def _evolve(door: Door, event: Built | Painted) -> Door:
    if isinstance(event, Built):
        return "raw"
    _existing(door)
    return event.colour


class _Damaged(MemoryEventStore):
    """The first event of each stream is not what was written."""

    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        records = await super().read_stream(stream, up_to, after=after)
        return [msgspec.structs.replace(record, intact=record.version != 1) for record in records]


def _doors(store: MemoryEventStore) -> CommandHandler[Door, Built | Painted, Built | Painted]:
    decider: Decider[Door, Built | Painted, Built | Painted] = Decider(lambda: None, _decide, _evolve)
    return CommandHandler(store, Codec([Built, Painted]), decider)


async def _painted(store: MemoryEventStore, *, binding: bool) -> KernelError | None:
    try:
        await _doors(store).execute(
            "door-1", Painted(colour="blue"), command_id="again", fingerprint="f", binding=binding
        )
    except KernelError as error:
        return error
    return None


@pytest.fixture
async def damaged() -> _Damaged:
    store = _Damaged("doors", ManualClock())
    undamaged = MemoryEventStore.read_stream
    doors = _doors(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Damaged, "read_stream", undamaged)
        await doors.execute("door-1", Built(), command_id="1", fingerprint="f")
        await doors.execute("door-1", Painted(colour="red"), command_id="2", fingerprint="f")
    return store


@pytest.mark.parametrize("binding", [False, True])
async def test_what_later_events_miss_is_no_refusal_of_the_command(damaged: _Damaged, binding: bool) -> None:
    assert isinstance(await _painted(damaged, binding=binding), CorruptData)
    assert len(await MemoryEventStore.read_stream(damaged, "door-1")) == 2


async def test_an_event_that_does_not_follow_from_those_before_it_is_damage_too() -> None:
    store = MemoryEventStore("doors", ManualClock())
    await store.append(
        "door-1",
        [Codec([Built, Painted]).encode(Painted(colour="red"), "door-1")],
        expected_version=0,
        command_id="1",
        fingerprint="f",
    )
    error = await _painted(store, binding=False)
    assert isinstance(error, CorruptData)
    assert "door-1, version 1" in str(error)


async def test_an_operator_lets_the_stream_go_on_without_what_is_damaged_and_what_needs_it(damaged: _Damaged) -> None:
    await damaged.append("door-1", [resuming("damaged")], expected_version=2, command_id="go on", fingerprint="r")
    await _doors(damaged).execute("door-1", Built(), command_id="new", fingerprint="f")
    assert await _painted(damaged, binding=False) is None
