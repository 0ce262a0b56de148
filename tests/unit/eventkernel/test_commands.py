"""A command takes effect once, on the state that it was decided on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.codec import Codec
from eventkernel.commands import CommandHandler, Outcome, command_id, fingerprint
from eventkernel.decider import Decider
from eventkernel.errors import (
    AlreadyExists,
    ClaimTaken,
    ConcurrencyConflict,
    IdempotencyMismatch,
    InvalidInput,
    Unavailable,
    VersionConflict,
)
from eventkernel.events import COMMAND_REMEMBERED, NO_METADATA, DomainEvent, EncodedEvent, Metadata, Record
from eventkernel.store import Checkpoint, ClaimHolder, Commit


class Lit(DomainEvent, frozen=True, tag="lamps.Lit"):
    label: str


class Out(DomainEvent, frozen=True, tag="lamps.Out"):
    pass


@dataclass(frozen=True)
class Light:
    label: str


@dataclass(frozen=True)
class Dim:
    """Puts a lamp out; one that is out stays out."""


Lamp = str | None
"""The label of a lamp that is lit."""


def decide(command: Light | Dim, lamp: Lamp) -> Sequence[Lit | Out]:
    match command:
        case Light(label):
            if lamp is not None:
                raise AlreadyExists("the lamp is lit")
            return [Lit(label=label)]
        case Dim():
            return [] if lamp is None else [Out()]


def evolve(_: Lamp, event: Lit | Out) -> Lamp:
    return event.label if isinstance(event, Lit) else None


LAMPS: Decider[Lamp, Light | Dim, Lit | Out] = Decider(lambda: None, decide, evolve)


class InterruptedStore(MemoryEventStore):
    """Lets a test do something at a moment that only other requests know: just before the next append."""

    def __init__(self) -> None:
        super().__init__("lamps", ManualClock())
        self.before_append: Callable[[], Awaitable[object]] | None = None
        self.before_read: Callable[[], Awaitable[object]] | None = None
        self.appends = 0

    async def read_stream(self, stream: str, up_to: int | None = None) -> Sequence[Record]:
        interrupt, self.before_read = self.before_read, None
        if interrupt is not None:
            await interrupt()
        return await super().read_stream(stream, up_to)

    async def append(
        self,
        stream: str,
        events: Sequence[EncodedEvent],
        *,
        expected_version: int,
        command_id: str,
        fingerprint: str,
        claims: frozenset[str] | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> Commit:
        self.appends += 1
        interrupt, self.before_append = self.before_append, None
        if interrupt is not None:
            await interrupt()
        return await super().append(
            stream,
            events,
            expected_version=expected_version,
            command_id=command_id,
            fingerprint=fingerprint,
            claims=claims,
            metadata=metadata,
        )


@pytest.fixture
def store() -> InterruptedStore:
    return InterruptedStore()


Handler = CommandHandler[Lamp, Light | Dim, Lit | Out]


@pytest.fixture
def lamps(store: InterruptedStore) -> Handler:
    return CommandHandler(
        store,
        Codec([Lit, Out]),
        LAMPS,
        claims=lambda lamp: frozenset() if lamp is None else frozenset({f"label:{lamp}"}),
    )


async def run(
    lamps: Handler,
    command: Light | Dim,
    key: str,
    *,
    stream: str = "lamp-1",
    expected_version: int | None = None,
    print_of: object = None,
) -> Outcome:
    return await lamps.execute(
        stream,
        command,
        command_id=key,
        fingerprint=fingerprint(type(command).__name__, print_of),
        expected_version=expected_version,
    )


def types(outcome: Outcome) -> list[str]:
    return [record.type for record in outcome.records]


async def test_a_command_gives_its_commit_and_the_stream_with_it(lamps: Handler) -> None:
    await run(lamps, Light("a"), "k1")
    outcome = await run(lamps, Dim(), "k2")
    assert (outcome.commit.version, outcome.commit.events, outcome.repeated) == (2, 1, False)
    assert types(outcome) == ["lamps.Lit", "lamps.Out"]


async def test_a_retried_command_gives_the_first_answer_also_when_the_stream_has_moved_on(lamps: Handler) -> None:
    first = await run(lamps, Light("a"), "k1")
    await run(lamps, Dim(), "k2")
    again = await run(lamps, Light("a"), "k1")
    assert again.repeated
    assert (again.commit, again.records) == (first.commit, first.records)


async def test_a_retried_command_is_not_refused_by_its_own_effect_nor_by_its_expected_version(lamps: Handler) -> None:
    first = await run(lamps, Light("a"), "k1", expected_version=0)
    assert (await run(lamps, Light("a"), "k1", expected_version=0)).commit == first.commit


async def test_a_retried_command_that_names_another_stream_gives_the_first_ones(lamps: Handler) -> None:
    first = await run(lamps, Light("a"), "k1", stream="lamp-1")
    again = await run(lamps, Light("a"), "k1", stream="lamp-2")
    assert (again.commit, again.records) == (first.commit, first.records)


async def test_a_key_that_was_used_for_other_content_is_refused(lamps: Handler) -> None:
    await run(lamps, Light("a"), "k1", print_of="a")
    with pytest.raises(IdempotencyMismatch):
        await run(lamps, Light("b"), "k1", print_of="b")


async def test_a_command_that_changes_nothing_is_remembered(lamps: Handler, store: InterruptedStore) -> None:
    first = await run(lamps, Dim(), "k1")
    assert (first.commit.version, first.commit.events, types(first)) == (0, 0, [])
    await run(lamps, Light("a"), "k2")
    again = await run(lamps, Dim(), "k1")
    assert (again.commit, types(again), again.repeated) == (first.commit, [], True)
    batch = await anext(store.subscribe(Checkpoint()))
    assert [record.type for record in batch.records] == [COMMAND_REMEMBERED, "lamps.Lit"]


async def test_a_refused_command_is_decided_again_by_the_same_key(lamps: Handler, store: InterruptedStore) -> None:
    await run(lamps, Light("a"), "k1")
    with pytest.raises(AlreadyExists):
        await run(lamps, Light("b"), "k2")
    await run(lamps, Dim(), "k3")
    assert (await run(lamps, Light("b"), "k2")).commit.version == 3


async def test_the_callers_expected_version_has_to_be_met(lamps: Handler) -> None:
    await run(lamps, Light("a"), "k1")
    for wrong in (0, 2):
        with pytest.raises(VersionConflict) as caught:
            await run(lamps, Dim(), "k2", expected_version=wrong)
        assert (caught.value.expected, caught.value.actual) == (wrong, 1)
    assert (await run(lamps, Dim(), "k2", expected_version=1)).commit.version == 2


async def test_who_loses_a_race_decides_again_on_the_new_state(lamps: Handler, store: InterruptedStore) -> None:
    store.before_append = lambda: run(lamps, Light("b"), "k2")
    with pytest.raises(AlreadyExists):
        await run(lamps, Light("a"), "k1")
    store.before_append = lambda: run(lamps, Dim(), "k4")
    outcome = await run(lamps, Dim(), "k3")
    assert (outcome.commit.events, types(outcome)) == (0, ["lamps.Lit", "lamps.Out"])


async def test_who_loses_a_race_with_an_expected_version_is_told_so(lamps: Handler, store: InterruptedStore) -> None:
    store.before_append = lambda: run(lamps, Light("b"), "k2")
    with pytest.raises(VersionConflict):
        await run(lamps, Light("a"), "k1", expected_version=0)


async def test_twins_of_one_command_get_one_answer_wherever_they_meet(lamps: Handler, store: InterruptedStore) -> None:
    store.before_append = lambda: run(lamps, Light("a"), "k1")
    outcome = await run(lamps, Light("a"), "k1")
    assert types(outcome) == ["lamps.Lit"]

    # The twin commits between the look-up and the reading.
    store.before_read = lambda: run(lamps, Dim(), "k2")
    dimmed = await run(lamps, Dim(), "k2")
    assert types(dimmed) == ["lamps.Lit", "lamps.Out"]
    store.before_read = lambda: run(lamps, Light("c"), "k3")
    lit = await run(lamps, Light("c"), "k3")
    assert types(lit) == ["lamps.Lit", "lamps.Out", "lamps.Lit"]
    store.before_read = lambda: run(lamps, Dim(), "k4", expected_version=3)
    assert (await run(lamps, Dim(), "k4", expected_version=3)).commit.version == 4


async def test_a_twin_of_other_content_is_a_mismatch_wherever_they_meet(
    lamps: Handler, store: InterruptedStore
) -> None:
    store.before_read = lambda: run(lamps, Light("a"), "k1", print_of="a")
    with pytest.raises(IdempotencyMismatch):
        await run(lamps, Light("b"), "k1", print_of="b")


async def test_many_at_once_are_each_decided_on_what_the_others_left(lamps: Handler) -> None:
    outcomes = await asyncio.gather(*(run(lamps, Light(str(n)), f"k{n}") for n in range(15)), return_exceptions=True)
    assert sum(isinstance(outcome, Outcome) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 14


async def test_endless_conflicts_end_as_unavailable(lamps: Handler, store: InterruptedStore) -> None:
    async def conflict() -> None:
        store.before_append = conflict
        raise ConcurrencyConflict("lamp-1", 0, 1)

    store.before_append = conflict
    with pytest.raises(Unavailable, match="100 commits of others"):
        await run(lamps, Light("a"), "k1")
    assert store.appends == 100


async def test_a_stream_claims_what_its_state_says(lamps: Handler, store: InterruptedStore) -> None:
    await run(lamps, Light("a"), "k1", stream="lamp-1")
    assert await store.find_claim("label:a") == ClaimHolder("lamp-1", 1)
    with pytest.raises(ClaimTaken) as caught:
        await run(lamps, Light("a"), "k2", stream="lamp-2")
    assert caught.value.claim == "label:a"
    await run(lamps, Dim(), "k3", stream="lamp-1")
    assert await store.find_claim("label:a") is None
    await run(lamps, Light("a"), "k2", stream="lamp-2")
    assert await store.find_claim("label:a") == ClaimHolder("lamp-2", 1)


async def test_metadata_come_with_every_record(lamps: Handler) -> None:
    outcome = await lamps.execute(
        "lamp-1", Light("a"), command_id="k1", fingerprint="f", metadata=Metadata(actor="me", correlation="c")
    )
    assert [(record.actor, record.correlation) for record in outcome.records] == [("me", "c")]


def test_a_fingerprint_tells_name_and_content_and_not_the_order_of_keys() -> None:
    first = fingerprint("createUser", {"firstName": "Ada", "lastName": None})
    assert first == fingerprint("createUser", {"lastName": None, "firstName": "Ada"})
    others = [
        fingerprint("updateUser", {"firstName": "Ada", "lastName": None}),
        fingerprint("createUser", {"firstName": "Ada"}),
        fingerprint("createUser", {"firstName": "Ada", "lastName": ""}),
    ]
    assert len({first, *others}) == 4
    assert len(first) == 64


def test_input_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="half of a surrogate pair"):
        fingerprint("createUser", {"firstName": "\ud800"})
    with pytest.raises(InvalidInput, match="half of a surrogate pair"):
        command_id("me", "\ud800")


def test_command_ids_of_callers_never_meet() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("a", 'b","c'), ("a", ""), ("", "a"), ("b", "c")]
    ids = {command_id(caller, key) for caller, key in pairs}
    assert len(ids) == len(pairs)
    assert all(len(made) == 32 for made in ids)
    assert command_id("a", "bc") == command_id("a", "bc")
