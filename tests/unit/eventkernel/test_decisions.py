"""A decision over more than one stream takes effect once, on all that it was to know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.decider import Decider
from eventkernel.errors import (
    CorruptData,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    Refusal,
    Unavailable,
    VersionConflict,
)
from eventkernel.events import COMMAND_REFUSED, COMMAND_REMEMBERED, DomainEvent, EncodedEvent, RecordedEvent, Tag
from eventkernel.writing.appending import resuming
from eventkernel.writing.boundary import Query, TaggedBatch
from eventkernel.writing.codec import Codec
from eventkernel.writing.decisions import DecisionHandler
from eventkernel.writing.refusals import binding_refusals
from eventkernel.writing.store import Checkpoint, Commit


class Booked(DomainEvent, frozen=True, tag="seats.Booked"):
    guest: Annotated[str, Tag("guest")]
    seat: str


class Cancelled(DomainEvent, frozen=True, tag="seats.Cancelled"):
    guest: Annotated[str, Tag("guest")]


class Cleaned(DomainEvent, frozen=True, tag="seats.Cleaned"):
    guest: Annotated[str, Tag("guest")]


@dataclass(frozen=True)
class Book:
    guest: str
    seat: str = ""


class TooMany(Refusal):
    code = "TOO_MANY"


def decide(command: Book, booked: int) -> Sequence[Booked | Cancelled]:
    if booked >= 2:
        raise TooMany("a guest has at most two seats")
    return [Booked(guest=command.guest, seat=command.seat)] if command.seat else []


def evolve(booked: int, event: Booked | Cancelled) -> int:
    return booked + 1 if isinstance(event, Booked) else booked - 1


SEATS: Decider[int, Book, Booked | Cancelled] = Decider(lambda: 0, decide, evolve)
CODEC = Codec([Booked, Cancelled, Cleaned])


def boundary(command: Book) -> Query:
    return Query.of(f"guest:{command.guest}", types=[Booked, Cancelled])


class InterruptedStore(MemoryEventStore):
    """Lets a test do something at a moment that only other requests know: just before an append."""

    def __init__(self) -> None:
        super().__init__("seats", ManualClock(), partitions=2)
        self.interrupts: list[Callable[[], Awaitable[object]]] = []
        self.appends = 0

    async def append(self, stream: str, events: Sequence[EncodedEvent], **more: Any) -> Commit:
        self.appends += 1
        if self.interrupts:
            await self.interrupts.pop(0)()
        return await super().append(stream, events, **more)


@pytest.fixture
def store() -> InterruptedStore:
    return InterruptedStore()


Handler = DecisionHandler[int, Book, Booked | Cancelled]


def answer(seats: list[str] | None, recorded: RecordedEvent) -> list[str]:
    return [*(seats or ()), recorded.event.seat if isinstance(recorded.event, Booked) else ""]


@pytest.fixture
def handler(store: InterruptedStore) -> Handler:
    return DecisionHandler(store, CODEC, SEATS, boundary, answer=answer)


async def book(handler: Handler, stream: str, guest: str = "ada", command: str = "", **more: Any) -> Any:
    fingerprint = more.pop("fingerprint", "f")
    return await handler.execute(
        stream, Book(guest, stream), command_id=command or stream, fingerprint=fingerprint, **more
    )


async def put(store: MemoryEventStore, stream: str, *events: DomainEvent) -> Commit:
    version = len(await store.read_stream(stream))
    return await MemoryEventStore.append(
        store,
        stream,
        [CODEC.encode(event, stream) for event in events],
        expected_version=version,
        command_id=f"{stream} {version}",
        fingerprint="f",
    )


async def types(store: MemoryEventStore) -> list[str]:
    found: list[str] = []
    async with aclosing(store.subscribe(Checkpoint())) as batches:
        head = await store.head()
        reached = Checkpoint().position
        async for batch in batches:
            found += [record.type for record in batch.records]
            reached = reached.join(head.__class__.of(batch.log, batch.partition, batch.next_offset))
            if reached.covers(head):
                break
    return sorted(found)


async def test_a_rule_over_many_streams_is_decided_on_the_events_of_all_of_them(handler: Handler) -> None:
    await book(handler, "seat-1")
    await book(handler, "seat-2")
    await book(handler, "seat-3", guest="tom")
    with pytest.raises(TooMany):
        await book(handler, "seat-4")
    outcome = await book(handler, "seat-4", guest="tom")
    assert (outcome.commit.stream, outcome.commit.version, outcome.repeated) == ("seat-4", 1, False)


async def test_only_events_of_the_query_are_folded(handler: Handler, store: InterruptedStore) -> None:
    await put(store, "seat-1", Booked(guest="ada", seat="1"), Cleaned(guest="ada"), Cancelled(guest="ada"))
    await book(handler, "seat-1")
    await book(handler, "seat-2")
    with pytest.raises(TooMany):
        await book(handler, "seat-3")


async def test_what_comes_in_between_is_read_and_the_rule_is_decided_again(
    handler: Handler, store: InterruptedStore
) -> None:
    async def meanwhile() -> None:
        await put(store, f"seat-{10 + store.appends}", Booked(guest="ada", seat="x"))

    store.interrupts = [meanwhile]
    await book(handler, "seat-1")
    assert store.appends == 2
    store.interrupts = [meanwhile]
    with pytest.raises(TooMany):
        await book(handler, "seat-2")


async def test_what_does_not_concern_a_decision_does_not_have_it_decided_again(
    handler: Handler, store: InterruptedStore
) -> None:
    async def meanwhile() -> None:
        await put(store, "seat-1", Cleaned(guest="ada"), Booked(guest="tom", seat="x"))

    store.interrupts = [meanwhile]
    outcome = await book(handler, "seat-1")
    assert (outcome.commit.version, store.appends) == (3, 1)


async def test_a_limit_holds_whatever_the_concurrency(handler: Handler, store: InterruptedStore) -> None:
    other = DecisionHandler(store, CODEC, SEATS, boundary)
    outcomes = await asyncio.gather(
        *(book(one, f"seat-{number}-{id(one)}") for number in range(10) for one in (handler, other)),
        return_exceptions=True,
    )
    assert sum(isinstance(found, TooMany) for found in outcomes) == 18


async def test_commands_of_one_boundary_queue_within_a_process(handler: Handler, store: InterruptedStore) -> None:
    await asyncio.gather(*(book(handler, f"seat-{number}", guest="ada") for number in range(2)))
    await asyncio.gather(*(book(handler, f"more-{number}", guest=str(number)) for number in range(10)))
    assert store.appends == 12


async def test_a_repeated_command_gets_the_first_answer(handler: Handler, store: InterruptedStore) -> None:
    first = await book(handler, "seat-1", command="c1")
    await book(handler, "seat-2")
    again = await book(handler, "seat-1", command="c1")
    assert (again.commit, again.repeated) == (first.commit, True)
    assert again.folded(answer) == first.folded(answer) == ["seat-1"]
    assert await types(store) == ["seats.Booked"] * 2
    for content in (Book("ada", "x"), Book("tom", "x")):
        with pytest.raises(IdempotencyMismatch):
            await handler.execute("seat-1", content, command_id="c1", fingerprint="another")


async def test_a_refusal_that_binds_is_stored_on_the_condition_that_it_rests_on(
    handler: Handler, store: InterruptedStore
) -> None:
    await put(store, "seat-1", Booked(guest="ada", seat="1"), Booked(guest="ada", seat="2"))

    async def meanwhile() -> None:
        await put(store, "seat-1", Cancelled(guest="ada"))

    store.interrupts = [meanwhile]
    assert not (await book(handler, "seat-2", binding=True)).repeated, "one has been cancelled just before"
    for _ in range(2):
        with pytest.raises(TooMany, match="at most two"):
            await book(handler, "seat-3", binding=True)
    await put(store, "seat-1", Cancelled(guest="ada"))
    with pytest.raises(TooMany), binding_refusals():
        await book(handler, "seat-3")
    assert (await types(store)).count(COMMAND_REFUSED) == 1


async def test_a_refusal_that_does_not_bind_leaves_nothing(handler: Handler, store: InterruptedStore) -> None:
    await put(store, "seat-1", Booked(guest="ada", seat="1"), Booked(guest="ada", seat="2"))
    with pytest.raises(TooMany):
        await book(handler, "seat-3")
    await put(store, "seat-1", Cancelled(guest="ada"))
    assert not (await book(handler, "seat-3")).repeated


async def test_the_version_that_a_caller_expects_counts(handler: Handler, store: InterruptedStore) -> None:
    await book(handler, "seat-1", expected_version=0)
    with pytest.raises(VersionConflict) as caught:
        await book(handler, "seat-1", command="c2", expected_version=0, binding=True)
    assert (caught.value.expected, caught.value.actual) == (0, 1)
    with pytest.raises(VersionConflict):
        await book(handler, "seat-1", command="c2", expected_version=0, binding=True)
    assert (await types(store)).count(COMMAND_REFUSED) == 1


async def test_a_command_that_changes_nothing_is_remembered(handler: Handler, store: InterruptedStore) -> None:
    for repeated in (False, True):
        outcome = await handler.execute("seat-1", Book("ada"), command_id="c1", fingerprint="f")
        assert (outcome.commit.version, outcome.repeated) == (0, repeated)
    assert await types(store) == [COMMAND_REMEMBERED]


async def test_who_loses_for_ever_is_told_so(handler: Handler, store: InterruptedStore) -> None:
    async def meanwhile() -> None:
        await put(store, "seat-x", Booked(guest="ada", seat="x"), Cancelled(guest="ada"))

    store.interrupts = [meanwhile] * 200
    with pytest.raises(Unavailable, match="100 commits"):
        await book(handler, "seat-1")


async def test_a_malformed_query_is_refused(store: InterruptedStore) -> None:
    handler: Handler = DecisionHandler(store, CODEC, SEATS, lambda _: Query(()))
    with pytest.raises(InvalidInput, match="query"):
        await book(handler, "seat-1")


async def test_other_errors_of_a_decider_are_its_callers(store: InterruptedStore) -> None:
    def missing(_: Book, __: int) -> Sequence[Booked]:
        raise NotFound("there is no such seat")

    broken: Decider[int, Book, Booked | Cancelled] = Decider(lambda: 0, missing, evolve)
    with pytest.raises(NotFound):
        await book(DecisionHandler(store, CODEC, broken, boundary), "seat-1")


async def test_what_an_event_on_the_log_breaks_is_no_refusal_of_the_command(store: InterruptedStore) -> None:
    def strict(booked: int, event: Booked | Cancelled) -> int:
        if booked + (later := evolve(0, event)) < 0:
            raise NotFound("there is no such booking")
        return booked + later

    await put(store, "seat-1", Cancelled(guest="ada"))
    seats: Decider[int, Book, Booked | Cancelled] = Decider(lambda: 0, decide, strict)
    with pytest.raises(CorruptData, match=r"seat-1, version 1: .* refused as NOT_FOUND"):
        await book(DecisionHandler(store, CODEC, seats, boundary), "seat-1")


class DamagedStore(InterruptedStore):
    """The events of one seat are not what was written."""

    async def read_tagged(self, query: Query, after: tuple[int, ...] = ()) -> AsyncGenerator[TaggedBatch, None]:
        async with aclosing(super().read_tagged(query, after)) as batches:
            async for batch in batches:
                records = [msgspec.structs.replace(one, intact=one.stream != "seat-1") for one in batch.records]
                yield TaggedBatch(records, batch.condition)


async def test_an_operator_lets_decisions_go_on_without_what_is_damaged() -> None:
    store = DamagedStore()
    await put(store, "seat-1", Booked(guest="ada", seat="seat-1"))
    handler = DecisionHandler(store, CODEC, SEATS, boundary)
    with pytest.raises(CorruptData):
        await book(handler, "seat-2")
    await store.append("seat-1", [resuming("damaged")], expected_version=1, command_id="go on", fingerprint="r")
    assert (await book(handler, "seat-2")).commit.version == 1


def test_the_codec_makes_tags_of_marked_fields() -> None:
    class Moved(DomainEvent, frozen=True, tag="doors.Moved"):
        house: Annotated[str | None, Tag("house")] = None
        owners: Annotated[tuple[str, ...], Tag("owner")] = ()
        floor: Annotated[int, Tag("floor"), "in the lift's words"] = 0
        colour: str = "red"

    codec = Codec([Moved])
    assert codec.encode(Moved(house="h1", owners=("a", "b"), floor=3), "door-1").tags == (
        "house:h1", "owner:a", "owner:b", "floor:3",
    )  # fmt: skip
    assert codec.encode(Moved(), "door-1").tags == ("floor:0",)
