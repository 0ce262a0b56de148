"""A command takes effect once, on the state that it was decided on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_snapshots import MemorySnapshotStore
from eventkernel.clock import ManualClock
from eventkernel.decider import Decider
from eventkernel.errors import (
    AlreadyExists,
    ClaimTaken,
    ConcurrencyConflict,
    CorruptData,
    IdempotencyMismatch,
    InvalidInput,
    Unavailable,
    VersionConflict,
)
from eventkernel.events import (
    COMMAND_REFUSED,
    COMMAND_REMEMBERED,
    NO_METADATA,
    DomainEvent,
    EncodedEvent,
    Metadata,
    Record,
    RecordedEvent,
)
from eventkernel.writing.appending import StreamEnd
from eventkernel.writing.boundary import AppendCondition
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler, Outcome, command_id, fingerprint
from eventkernel.writing.refusals import Refused, binding_refusals
from eventkernel.writing.snapshots import Mark, Snapshot, Snapshots
from eventkernel.writing.store import Checkpoint, ClaimHolder, Commit
from infra.patience import seconds


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
        self.read = 0

    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        interrupt, self.before_read = self.before_read, None
        if interrupt is not None:
            await interrupt()
        self.read += 1
        return await super().read_stream(stream, up_to, after=after)

    async def append(
        self,
        stream: str,
        events: Sequence[EncodedEvent],
        *,
        expected_version: int | None,
        command_id: str,
        fingerprint: str,
        claims: frozenset[str] | None = None,
        metadata: Metadata = NO_METADATA,
        refusal: Refused | None = None,
        condition: AppendCondition | None = None,
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
            refusal=refusal,
            condition=condition,
        )


@pytest.fixture
def store() -> InterruptedStore:
    return InterruptedStore()


Handler = CommandHandler[Lamp, Light | Dim, Lit | Out]


@pytest.fixture
def lamps(store: InterruptedStore) -> Handler:
    return handler(store)


@pytest.fixture
def elsewhere(store: InterruptedStore) -> Handler:
    """Another process's handler of the same log."""
    return handler(store)


def handler(store: MemoryEventStore, snapshots: Snapshots | None = None) -> Handler:
    return CommandHandler(
        store,
        Codec([Lit, Out]),
        LAMPS,
        claims=lambda lamp: frozenset() if lamp is None else frozenset({f"label:{lamp}"}),
        answer=life,
        snapshots=snapshots,
    )


def life(before: tuple[str, ...] | None, recorded: RecordedEvent) -> tuple[str, ...]:
    """The types of a stream's events."""
    return (*(before or ()), recorded.record.type)


async def run(
    lamps: Handler,
    command: Light | Dim,
    key: str,
    *,
    stream: str = "lamp-1",
    expected_version: int | None = None,
    print_of: object = None,
    binding: bool = False,
) -> Outcome:
    return await lamps.execute(
        stream,
        command,
        command_id=key,
        fingerprint=fingerprint(type(command).__name__, print_of),
        expected_version=expected_version,
        binding=binding,
    )


def types(outcome: Outcome) -> list[str]:
    if not outcome.commit.version:
        return []
    folded: tuple[str, ...] = outcome.folded(life)
    return list(folded)


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
    assert (again.commit, types(again)) == (first.commit, types(first))


async def test_a_retried_command_is_not_refused_by_its_own_effect_nor_by_its_expected_version(lamps: Handler) -> None:
    first = await run(lamps, Light("a"), "k1", expected_version=0)
    assert (await run(lamps, Light("a"), "k1", expected_version=0)).commit == first.commit


async def test_a_retried_command_that_names_another_stream_gives_the_first_ones(lamps: Handler) -> None:
    first = await run(lamps, Light("a"), "k1", stream="lamp-1")
    again = await run(lamps, Light("a"), "k1", stream="lamp-2")
    assert (again.commit, types(again)) == (first.commit, types(first))


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


async def test_who_loses_a_race_decides_again_on_the_new_state(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    store.before_append = lambda: run(elsewhere, Light("b"), "k2")
    with pytest.raises(AlreadyExists):
        await run(lamps, Light("a"), "k1")
    store.before_append = lambda: run(elsewhere, Dim(), "k4")
    outcome = await run(lamps, Dim(), "k3")
    assert (outcome.commit.events, types(outcome)) == (0, ["lamps.Lit", "lamps.Out"])


async def test_who_loses_a_race_with_an_expected_version_is_told_so(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    store.before_append = lambda: run(elsewhere, Light("b"), "k2")
    with pytest.raises(VersionConflict):
        await run(lamps, Light("a"), "k1", expected_version=0)


async def test_twins_of_one_command_get_one_answer_wherever_they_meet(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    store.before_append = lambda: run(elsewhere, Light("a"), "k1")
    outcome = await run(lamps, Light("a"), "k1")
    assert types(outcome) == ["lamps.Lit"]

    # The twin commits between the look-up and the reading.
    store.before_read = lambda: run(elsewhere, Dim(), "k2")
    dimmed = await run(lamps, Dim(), "k2")
    assert types(dimmed) == ["lamps.Lit", "lamps.Out"]
    store.before_read = lambda: run(elsewhere, Light("c"), "k3")
    lit = await run(lamps, Light("c"), "k3")
    assert types(lit) == ["lamps.Lit", "lamps.Out", "lamps.Lit"]
    store.before_read = lambda: run(elsewhere, Dim(), "k4", expected_version=3)
    assert (await run(lamps, Dim(), "k4", expected_version=3)).commit.version == 4


async def test_a_twin_of_other_content_is_a_mismatch_wherever_they_meet(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    store.before_read = lambda: run(elsewhere, Light("a"), "k1", print_of="a")
    with pytest.raises(IdempotencyMismatch):
        await run(lamps, Light("b"), "k1", print_of="b")


async def test_many_at_once_are_each_decided_on_what_the_others_left(lamps: Handler) -> None:
    outcomes = await asyncio.gather(*(run(lamps, Light(str(n)), f"k{n}") for n in range(15)), return_exceptions=True)
    assert sum(isinstance(outcome, Outcome) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 14


# Refusals that bind


async def test_a_refusal_that_binds_is_the_answer_for_ever(lamps: Handler, elsewhere: Handler) -> None:
    await run(lamps, Light("a"), "k1")
    for handler_of in (lamps, elsewhere):
        with pytest.raises(AlreadyExists, match=r"^the lamp is lit$"):
            await run(handler_of, Light("b"), "k2", binding=True)
        await run(handler_of, Dim(), f"dim {handler_of is lamps}")
    for binding in (True, False):
        with pytest.raises(AlreadyExists, match=r"^the lamp is lit$"):
            await run(lamps, Light("b"), "k2", binding=binding)
    with pytest.raises(IdempotencyMismatch):
        await run(lamps, Light("b"), "k2", print_of="other content")


async def test_an_attempt_that_comes_back_after_its_refusal_takes_no_effect(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    """The first one hangs before it appends; meanwhile the second one is refused, and its reason goes away."""
    await run(elsewhere, Light("a"), "other", stream="lamp-2")
    await run(elsewhere, Dim(), "dim", stream="lamp-2")

    async def meanwhile() -> None:
        await run(elsewhere, Light("a"), "again", stream="lamp-2")
        with pytest.raises(ClaimTaken):
            await run(elsewhere, Light("a"), "k1", stream="lamp-3", binding=True)
        await run(elsewhere, Dim(), "dim again", stream="lamp-2")

    store.before_append = meanwhile
    with pytest.raises(ClaimTaken):
        await run(lamps, Light("a"), "k1", binding=True)
    assert await store.read_stream("lamp-1") == []
    assert await store.find_claim("label:a") is None


async def test_a_command_that_has_taken_effect_is_not_refused_by_a_later_attempt(lamps: Handler) -> None:
    first = await run(lamps, Light("a"), "k1", binding=True)
    again = await run(lamps, Light("a"), "k1", binding=True)
    assert (again.commit, again.repeated) == (first.commit, True)


async def test_a_twin_that_takes_effect_while_its_refusal_is_stored_is_the_answer(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    await run(lamps, Light("a"), "k1")

    async def twin() -> None:
        await run(elsewhere, Dim(), "dim")
        await run(elsewhere, Light("b"), "k2")

    store.before_append = twin
    assert (await run(lamps, Light("b"), "k2", binding=True)).commit.version == 3


async def test_what_moves_on_while_a_refusal_is_stored_is_decided_on(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    await run(lamps, Light("a"), "k1")
    store.before_append = lambda: run(elsewhere, Dim(), "dim")
    assert (await run(lamps, Light("b"), "k2", binding=True)).commit.version == 3


async def test_a_refusal_keeps_what_its_callers_look_at(lamps: Handler, store: InterruptedStore) -> None:
    await run(lamps, Light("a"), "k1")
    for _ in range(2):
        with pytest.raises(VersionConflict) as caught:
            await run(lamps, Dim(), "k2", expected_version=7, binding=True)
        assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("lamp-1", 7, 1)
    claims: list[str] = []
    for _ in range(2):
        with pytest.raises(ClaimTaken) as taken:
            await run(lamps, Light("a"), "k3", stream="lamp-2", binding=True)
        claims.append(taken.value.claim)
    assert claims == ["label:a", ""], "clear text is not kept"
    batch = await anext(store.subscribe(Checkpoint()))
    refused = [record for record in batch.records if record.type == COMMAND_REFUSED]
    assert [(record.stream, record.version, record.first_version) for record in refused] == [
        ("lamp-1", 0, 1), ("lamp-2", 0, 0)
    ]  # fmt: skip
    assert all(b"label" not in record.data for record in refused)


async def test_refusals_bind_inside_of_a_block(lamps: Handler) -> None:
    await run(lamps, Light("a"), "k1")
    with binding_refusals():
        attempts = [asyncio.create_task(run(lamps, Light("b"), f"b{n}")) for n in range(2)]
    with pytest.raises(AlreadyExists):
        await run(lamps, Light("b"), "free")
    assert [type(found) for found in await asyncio.gather(*attempts, return_exceptions=True)] == [AlreadyExists] * 2
    await run(lamps, Dim(), "k2")
    with pytest.raises(AlreadyExists):
        await run(lamps, Light("b"), "b1")
    assert (await run(lamps, Light("b"), "free")).commit.version == 3


def test_a_refusal_whose_class_is_gone_keeps_its_code_and_message() -> None:
    refusal = Refused("POST_LOCKED", "the post is locked").refusal()
    assert (refusal.code, str(refusal)) == ("POST_LOCKED", "the post is locked")


# Commands of one stream queue


async def test_those_that_wait_are_taken_together(lamps: Handler, store: InterruptedStore) -> None:
    """Each is decided on what the ones before it leave, and the stream is read once for all of them."""
    store.before_append = a_moment
    commands: Sequence[Light | Dim] = [Light("a"), Dim(), Light("b"), Dim(), Light("c")]
    outcomes = await asyncio.gather(*(run(lamps, command, f"k{n}") for n, command in enumerate(commands)))
    assert [outcome.commit.version for outcome in outcomes] == [1, 2, 3, 4, 5]
    assert [len(types(outcome)) for outcome in outcomes] == [1, 2, 3, 4, 5]
    assert store.read == 2, "the first came alone, the others together"
    assert store.appends == 5


async def test_the_appends_of_those_that_are_taken_together_go_out_at_once() -> None:
    class Gathering(MemoryEventStore):
        """The first append waits for the others to queue up, and of those none ends before all have begun."""

        begun = 0
        queued, all_of_them = asyncio.Event(), asyncio.Event()

        async def append(self, stream: str, events: Sequence[EncodedEvent], **more: Any) -> Commit:
            self.begun += 1
            if self.begun == 4:
                self.all_of_them.set()
            async with asyncio.timeout(seconds(10)):
                await (self.queued if self.begun == 1 else self.all_of_them).wait()
            return await super().append(stream, events, **more)

    store = Gathering("lamps", ManualClock())
    lamps = handler(store)
    running = [asyncio.create_task(run(lamps, Dim(), f"k{n}")) for n in range(4)]
    await asyncio.sleep(0)
    store.queued.set()
    assert len(await asyncio.gather(*running)) == 4


async def a_moment() -> None:
    """Long enough for others to queue up."""
    await asyncio.sleep(0)


async def test_nobody_is_refused_for_what_comes_to_nothing(
    lamps: Handler, elsewhere: Handler, store: InterruptedStore
) -> None:
    """The second command meets the first one's light, which then is not lit: the label is another lamp's."""
    await run(elsewhere, Light("a"), "other", stream="lamp-2")
    held = asyncio.Event()
    store.before_append = held.wait
    blocker = asyncio.create_task(run(lamps, Dim(), "k0"))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, held.set)
    taken, lit = await asyncio.gather(
        run(lamps, Light("a"), "k1"), run(lamps, Light("b"), "k2"), return_exceptions=True
    )
    await blocker
    assert isinstance(taken, ClaimTaken)
    assert isinstance(lit, Outcome)
    assert lit.commit.version == 1


async def test_who_meets_what_another_in_the_queue_has_left_is_refused(lamps: Handler, store: InterruptedStore) -> None:
    store.before_append = a_moment
    first, second, third = await asyncio.gather(
        run(lamps, Dim(), "k0"), run(lamps, Light("a"), "k1"), run(lamps, Light("b"), "k2"), return_exceptions=True
    )
    assert isinstance(first, Outcome)
    assert isinstance(second, Outcome)
    assert isinstance(third, AlreadyExists)


async def test_twins_in_the_queue_get_one_answer(lamps: Handler, store: InterruptedStore) -> None:
    store.before_append = a_moment
    _, first, second, other = await asyncio.gather(
        run(lamps, Dim(), "k0"),
        run(lamps, Light("a"), "k1"),
        run(lamps, Light("a"), "k1"),
        run(lamps, Light("b"), "k1", print_of="b"),
        return_exceptions=True,
    )
    assert isinstance(first, Outcome)
    assert isinstance(second, Outcome)
    assert (second.commit, types(second), second.repeated) == (first.commit, types(first), True)
    assert isinstance(other, IdempotencyMismatch)


async def test_a_defect_in_one_command_is_its_own(lamps: Handler, store: InterruptedStore) -> None:
    store.before_append = a_moment
    outcomes = await asyncio.gather(
        run(lamps, Dim(), "k0"),
        run(lamps, cast("Dim", "no command"), "k1"),
        run(lamps, Light("a"), "k2"),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], TypeError)
    assert isinstance(outcomes[2], Outcome)


async def test_what_comes_behind_a_commit_whose_answer_was_lost_is_answered_with_all_of_the_stream() -> None:
    """The first append of the round takes effect and nobody is told; the second stands on it."""

    class Losing(InterruptedStore):
        async def append(self, stream: str, events: Sequence[EncodedEvent], **more: Any) -> Commit:
            commit = await super().append(stream, events, **more)
            if more["command_id"] == "k1":
                raise Unavailable("the answer was lost")
            return commit

    store = Losing()
    lamps = handler(store)
    store.before_append = a_moment
    _, lost, out = await asyncio.gather(
        run(lamps, Dim(), "k0"), run(lamps, Light("a"), "k1"), run(lamps, Dim(), "k2"), return_exceptions=True
    )
    assert isinstance(lost, Unavailable)
    assert isinstance(out, Outcome)
    assert (out.commit.version, types(out)) == (2, ["lamps.Lit", "lamps.Out"])
    again = await run(lamps, Light("b"), "k3")
    assert (again.commit.version, types(again)) == (3, ["lamps.Lit", "lamps.Out", "lamps.Lit"])


async def test_who_goes_away_leaves_the_others_served(lamps: Handler, store: InterruptedStore) -> None:
    held = asyncio.Event()
    store.before_append = held.wait
    first, second, third = (asyncio.create_task(run(lamps, Dim(), f"k{n}")) for n in range(3))
    while store.appends == 0:  # noqa: ASYNC110  # no event
        await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    async with asyncio.timeout(seconds(10)):
        assert (await third).commit.version == 0
    assert (first.cancelled(), second.cancelled()) == (True, True)
    assert store.appends == 2, "what nobody waits for any more is not done"


async def test_who_waits_when_everything_is_cancelled_waits_no_longer(lamps: Handler, store: InterruptedStore) -> None:
    store.before_append = a_moment
    running = [asyncio.create_task(run(lamps, Dim(), f"k{n}")) for n in range(3)]
    while store.appends == 0:  # noqa: ASYNC110  # no event
        await asyncio.sleep(0)
    store.before_append = asyncio.Event().wait
    await running[0]
    (serving,) = lamps._serving
    await asyncio.sleep(0)
    serving.cancel()
    done, waiting = await asyncio.wait(running, timeout=10)
    assert (len(done), len(waiting)) == (3, 0)


async def test_a_store_that_is_away_is_told_to_each(lamps: Handler, store: InterruptedStore) -> None:
    store.available = False
    outcomes = await asyncio.gather(*(run(lamps, Dim(), f"k{n}") for n in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    store.available = True
    assert (await run(lamps, Light("a"), "k9")).commit.version == 1


# What a stream has become is kept


class Counting(MemoryEventStore):
    """Counts the records that are read."""

    def __init__(self) -> None:
        super().__init__("lamps", ManualClock())
        self.records = 0

    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        found = await super().read_stream(stream, up_to, after=after)
        self.records += len(found)
        return found

    async def fill(self, stream: str, length: int) -> None:
        codec = Codec([Lit, Out])
        for version in range(0, length, 2):
            events = [codec.encode(Lit(label="a"), stream), codec.encode(Out(), stream)]
            await self.append(stream, events, expected_version=version, command_id=f"fill {version}", fingerprint="f")

    def cut(self, stream: str, version: int) -> None:
        """An older copy of the log was put back."""
        del self._streams[stream][version:]
        self._ledger.ends[stream] = StreamEnd(version, 0)


async def test_of_a_warm_stream_only_the_tail_is_read() -> None:
    store = Counting()
    await store.fill("lamp-1", 1_000)
    one = handler(store)
    assert len((await run(one, Light("a"), "k1")).folded(life)) == 1_001
    assert store.records == 1_000
    await run(handler(store), Dim(), "k2")
    store.records = 0
    assert len((await run(one, Light("b"), "k3")).folded(life)) == 1_003
    assert store.records == 2, "the last one that was known, and the one of another process"
    store.records = 0
    assert (await run(one, Light("a"), "k1")).repeated
    assert store.records <= 1, "asked again it is answered from memory"


async def test_a_warm_stream_that_has_become_another_one_is_read_anew() -> None:
    store = Counting()
    await store.fill("lamp-1", 10)
    one = handler(store)
    await run(one, Light("a"), "k1")
    store.cut("lamp-1", 4)
    store._ledger.holders.clear()
    store._ledger.held.clear()
    assert types(await run(one, Light("b"), "k2")) == ["lamps.Lit", "lamps.Out"] * 2 + ["lamps.Lit"]
    await run(handler(store), Dim(), "k3")
    store.cut("lamp-1", 4)
    store._ledger.holders.clear()
    store._ledger.held.clear()
    await run(handler(store), Light("c"), "k4")  # as long as the one that is known, and another
    with pytest.raises(AlreadyExists):
        await run(one, Light("d"), "k5")


async def test_a_warm_stream_that_is_as_long_as_it_was_and_another_one_is_read_anew() -> None:
    store = Counting()
    await store.fill("lamp-1", 4)
    one = handler(store)
    await run(one, Light("a"), "k1")
    store.cut("lamp-1", 4)
    out = Codec([Lit, Out]).encode(Out(), "lamp-1")
    await store.append("lamp-1", [out], expected_version=4, command_id="other", fingerprint="f")
    store._ledger.holders.clear()
    store._ledger.held.clear()
    assert types(await run(one, Light("b"), "k2"))[-2:] == ["lamps.Out", "lamps.Lit"]


async def unheard(store: MemoryEventStore, version: int) -> None:
    """Another release's record, of a type that this one does not know."""
    events = [EncodedEvent("lamps.Unheard", 1, b"{}")]
    await store.append("lamp-1", events, expected_version=version, command_id=f"u{version}", fingerprint="u")


async def test_a_record_that_cannot_be_decoded_stops_its_stream_until_an_operator_lets_it_go_on() -> None:
    store = Counting()
    lamps = handler(store)
    await run(lamps, Light("a"), "k1")
    await unheard(store, 1)
    await unheard(store, 2)
    for one in (lamps, handler(store)):  # warm and cold
        with pytest.raises(CorruptData):
            await run(one, Dim(), "k2")
    assert (await run(lamps, Light("b"), "k3", stream="lamp-2")).commit.version == 1
    await store.resume("lamp-1", "another release wrote it")
    for version, one in enumerate((lamps, handler(store)), start=5):
        out = await run(one, Dim() if version == 5 else Light("c"), f"k{version}")
        assert (out.commit.version, len(types(out))) == (version, version - 3), "those two have no effect"
    await unheard(store, 6)
    with pytest.raises(CorruptData):
        await run(lamps, Dim(), "k7")


async def test_no_state_is_kept_of_what_can_be_erased() -> None:
    class Cipher:
        def encrypt(self, person: str, plaintext: str) -> str:
            return plaintext

        def decrypt(self, person: str, ciphertext: str) -> str | None:
            return ciphertext

    store = Counting()
    await store.fill("lamp-1", 10)
    one = CommandHandler(store, Codec([Lit, Out], cipher=Cipher()), LAMPS, answer=life)
    await run(one, Light("a"), "k1")
    store.records = 0
    await run(one, Dim(), "k2")
    assert store.records == 11
    with pytest.raises(TypeError, match="clear text"):
        CommandHandler(
            store,
            Codec([Lit, Out], cipher=Cipher()),
            LAMPS,
            snapshots=Snapshots(MemorySnapshotStore(), 1, Lamp),
        )


# Snapshots


def snapshots(store: MemorySnapshotStore, form: int = 1, every: int = 10) -> Snapshots:
    return Snapshots(store, form, Lamp, tuple[str, ...] | None, every)


async def stored(kept: MemorySnapshotStore, version: int) -> None:
    """Returns when there is a snapshot of this version."""
    async with asyncio.timeout(seconds(10)):
        while not any(found.mark.version == version for found in kept.snapshots.values()):  # noqa: ASYNC110  # no event
            await asyncio.sleep(0)


async def test_a_cold_stream_is_read_from_its_snapshot_on() -> None:
    store, kept = Counting(), MemorySnapshotStore()
    await store.fill("lamp-1", 100)
    await run(handler(store, snapshots(kept)), Light("a"), "k1")
    await stored(kept, 100)
    store.records = 0
    dimmed = await run(handler(store, snapshots(kept)), Dim(), "k2")
    assert store.records == 12, "the first page says that it is long"
    assert types(dimmed) == ["lamps.Lit", "lamps.Out"] * 51


async def test_a_stream_that_grows_while_it_is_warm_gets_snapshots_now_and_then() -> None:
    store, kept = Counting(), MemorySnapshotStore()
    one = handler(store, snapshots(kept))
    for number in range(25):
        await run(one, Light("a") if number % 2 == 0 else Dim(), f"k{number}")
        await asyncio.sleep(0)
    await stored(kept, 20)


async def test_a_snapshot_of_another_form_or_history_or_that_is_damaged_is_not_used() -> None:
    store, kept = Counting(), MemorySnapshotStore()
    await store.fill("lamp-1", 20)
    (key, good) = (store.log, "lamp-1"), Snapshot(1, Mark(20, "fill 18", ManualClock().now_us()), b"")
    wrong = msgspec.msgpack.encode(("a lie", ("a", "lie")))
    for snapshot in (
        Snapshot(2, good.mark, wrong),
        Snapshot(1, Mark(20, "another", good.mark.time_us), wrong),
        Snapshot(1, Mark(30, "fill 18", good.mark.time_us), wrong),
        Snapshot(1, good.mark, b"damaged"),
    ):
        kept.snapshots[key] = snapshot
        outcome = await run(handler(store, snapshots(kept)), Dim(), "same")
        assert (outcome.commit.version, types(outcome)) == (20, ["lamps.Lit", "lamps.Out"] * 10)


async def test_snapshots_that_are_away_change_nothing() -> None:
    store, kept = Counting(), MemorySnapshotStore()
    kept.available = False
    await store.fill("lamp-1", 100)
    assert (await run(handler(store, snapshots(kept)), Light("a"), "k1")).commit.version == 101


async def test_a_commit_that_cannot_be_answered_is_missing_in_no_state_that_is_kept() -> None:
    def told(before: tuple[str, ...] | None, recorded: RecordedEvent) -> tuple[str, ...]:
        if recorded.record.type == "lamps.Out":
            raise ValueError("a defect")
        return life(before, recorded)

    store, kept = Counting(), MemorySnapshotStore()
    one: Handler = CommandHandler(store, Codec([Lit, Out]), LAMPS, answer=told, snapshots=snapshots(kept, every=2))
    await run(one, Light("a"), "k1")
    for key in ("k2", "k3"):
        with pytest.raises(ValueError, match="a defect"):
            await run(one, Dim(), key)
    await asyncio.sleep(0)
    assert kept.snapshots == {}
    assert [record.type for record in await store.read_stream("lamp-1")] == ["lamps.Lit", "lamps.Out"]


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
    assert [(record.actor, record.correlation) for record in outcome.commit.records] == [("me", "c")]


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
