"""Declared process managers: whatever dies and is delivered again, each command once, and the same branch each time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from msgspec import structs

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_views import MemoryCheckpointStore
from eventkernel.clock import ManualClock
from eventkernel.errors import IdempotencyMismatch, InvalidInput, NotFound, Refusal, Unavailable, UnexpectedRefusal
from eventkernel.events import Metadata, Record, RecordedEvent
from eventkernel.reacting.process import ProcessManager
from eventkernel.reacting.reaction import Patience
from eventkernel.reacting.reactions import Reactions, Send, placed, send
from eventkernel.reading.following import Source
from eventkernel.retrying import Backoff
from eventkernel.writing.aggregates import CommandHandlers
from eventkernel.writing.commands import command_id, fingerprint
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import EventStore
from tests.support.transfers import (
    ACCOUNTS,
    CODEC,
    MOVING,
    TRANSFERS,
    Account,
    AccountCommand,
    Complete,
    Credit,
    Debit,
    Failed,
    Open,
    Opened,
    Request,
    Requested,
    TooLittle,
    TransferOver,
    accounts,
)


class Dying:
    """A store that fails at chosen appends: before they have happened, or after."""

    def __init__(self, store: MemoryEventStore) -> None:
        self._store = store
        self.before: set[int] = set()
        self.after: set[int] = set()
        self.appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, *args: Any, **more: Any) -> Any:
        self.appends += 1
        if self.appends in self.before:
            raise Unavailable("it was not done")
        commit = await self._store.append(*args, **more)
        if self.appends in self.after:
            raise Unavailable("it was done, and nobody knows")
        return commit


class Money:
    """A log of accounts and transfers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryEventStore("money", clock=self.clock)
        self.dying = Dying(self.store)
        self.failing = CommandHandlers(cast("EventStore", self.dying), CODEC, [ACCOUNTS, TRANSFERS])
        self.checkpoints = MemoryCheckpointStore()
        self.handlers = CommandHandlers(self.store, CODEC, [ACCOUNTS, TRANSFERS])
        self.commands = 0

    async def account(self, id: str, *commands: AccountCommand) -> None:
        for command in commands:
            self.commands += 1
            done = self.handlers.of(ACCOUNTS).execute(
                ACCOUNTS.stream(id), command, command_id=f"by hand {self.commands}", fingerprint="f"
            )
            await done

    async def request(self, id: str, source: str, target: str, amount: int) -> RecordedEvent:
        """A transfer, asked for by somebody."""
        outcome = await self.handlers.of(TRANSFERS).execute(
            TRANSFERS.stream(id),
            Request(source, target, amount),
            command_id=f"request {id}",
            fingerprint="f",
            metadata=Metadata(actor="ada", correlation="click", traceparent="t", tracestate="s"),
        )
        return CODEC.recorded(outcome.commit.records[0])

    def process(self, reactions: Reactions[None] = MOVING, **more: Any) -> ProcessManager[None]:
        patience = Patience(Backoff(0, 0), attempts=2, again_after=1e6)
        sources = [Source(self.store, CODEC)]
        return reactions.process(
            self.failing, sources, self.checkpoints, clock=self.clock, patience=patience, look=0, **more
        )

    @asynccontextmanager
    async def at_work(self, reactions: Reactions[None] = MOVING) -> AsyncGenerator[ProcessManager[None]]:
        process = self.process(reactions)
        task = asyncio.create_task(process.run())
        assert await process.reached(await self.store.head(), 10)
        yield process
        task.cancel()
        await asyncio.wait((task,))

    async def forget(self) -> None:
        await self.checkpoints.forget(MOVING.name, self.store.log)

    async def balance(self, id: str) -> int:
        return (await self.state(id)).balance

    async def state(self, id: str) -> Account:
        records = await self.store.read_stream(ACCOUNTS.stream(id))
        return accounts.fold(CODEC.decode(record) for record in records)  # type: ignore[misc]

    async def life(self, id: str) -> list[str]:
        records = await self.store.read_stream(TRANSFERS.stream(id))
        return [record.type.removeprefix("money.") for record in records]


async def test_a_saga_takes_its_steps_and_its_branches() -> None:
    money = Money()
    await money.account("a", Open("Ada"), Credit(10))
    await money.account("b", Open("Bob"))
    for id, target, amount in (("1", "b", 4), ("2", "b", 7), ("3", "nobody", 5)):
        await money.request(id, "a", target, amount)
    await money.request("4", "nobody", "a", 1)
    async with money.at_work():
        lives = [await money.life(id) for id in "1234"]
        assert lives == [["Requested", end] for end in ("Completed", "Failed", "Failed", "Failed")]
        assert (await money.balance("a"), await money.balance("b")) == (6, 4)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("target", ["b", "nobody"])
async def test_wherever_it_fails_and_however_often_it_is_delivered_the_end_is_the_same(when: str, target: str) -> None:
    for dies_at in range(1, 6):
        money = Money()
        await money.account("a", Open("Ada"), Credit(10))
        await money.account("b", Open("Bob"))
        await money.request("1", "a", target, 4)
        getattr(money.dying, when).add(dies_at)
        for _ in range(3):
            async with money.at_work():
                pass
            await money.forget()
        expected = (["Requested", "Completed"], 6, 4) if target == "b" else (["Requested", "Failed"], 10, 0)
        assert (await money.life("1"), await money.balance("a"), await money.balance("b")) == expected


async def test_a_refusal_is_branched_on_alike_when_the_rule_would_say_yes_by_now() -> None:
    money = Money()
    await money.account("a", Open("Ada"), Credit(3))
    await money.account("b", Open("Bob"))
    requested = await money.request("1", "a", "b", 4)
    money.dying.before = {2}  # the debit's refusal is stored, the transfer's failure is not
    with pytest.raises(Unavailable):
        await MOVING.react(money.failing, requested, None)
    await money.account("a", Credit(100))
    await MOVING.react(money.failing, requested, None)
    failed = (await money.store.read_stream("transfer-1"))[-1]
    assert CODEC.decode(failed) == Failed(why="only 3")
    assert await money.balance("a") == 103


async def test_commands_carry_who_caused_what_and_ids_of_the_event_and_their_place() -> None:
    money = Money()
    await money.account("a", Open("Ada"), Credit(10))
    requested = await money.request("1", "a", "nobody", 4)
    await MOVING.react(money.handlers, requested, None)
    because, caller = requested.record, "process\nmoving"
    event = f"money/{because.id}/"
    debit = "account-a"
    credit = f"{debit}\nthen\naccount-nobody"
    expected = [
        ("account-a", debit),
        ("account-a", f"{credit}\nrefused\naccount-a"),
        ("transfer-1", f"{credit}\nrefused\ntransfer-1"),
    ]
    made = [(await money.store.read_stream(stream))[-1] for stream in ("account-a", "transfer-1")]
    made.insert(0, (await money.store.read_stream("account-a"))[-2])
    assert [(record.stream, record.command_id) for record in made] == [
        (stream, command_id(caller, event + place)) for stream, place in expected
    ]
    for record, (_, place) in zip(made, expected, strict=True):
        assert record.fingerprint == fingerprint("moving", place)
        assert (record.actor, record.correlation, record.causation) == ("ada", "click", because.id)
        assert (record.traceparent, record.tracestate) == ("t", "s")


async def test_a_log_that_was_copied_under_another_id_asks_for_nothing_twice() -> None:
    money = Money()
    await money.account("a", Open("Ada"), Credit(10))
    await money.account("b", Open("Bob"))
    requested = await money.request("1", "a", "b", 4)
    copied = RecordedEvent(requested.event, structs.replace(requested.record, log="money.elsewhere"))
    for recorded in (requested, copied):
        with contextlib.suppress(TransferOver, UnexpectedRefusal):
            await MOVING.react(money.handlers, recorded, None)
    assert await money.balance("a") == 6


async def test_a_deadline_ends_what_hangs_and_nothing_that_is_over() -> None:
    money = Money()
    await money.account("a", Open("Ada"), Credit(10))
    late = Reactions[None]("late").after(*next(_deadlines()))
    await money.request("1", "a", "b", 4)
    await money.request("2", "a", "b", 4)
    async with money.at_work(late):
        await money.handlers.of(TRANSFERS).execute("transfer-2", Complete(), command_id="c", fingerprint="f")
        money.clock.advance(59)
        await _turns()
        assert await money.life("1") == ["Requested"]
        money.clock.advance(2)
        await _turns()
    assert (await money.life("1"), await money.life("2")) == (["Requested", "Failed"], ["Requested", "Completed"])
    failed = (await money.store.read_stream("transfer-1"))[-1]
    asked = (await money.store.read_stream("transfer-1"))[0]
    place = f"money/{asked.id}/deadline\ntransfer-1"
    assert failed.command_id == command_id("process\nlate", place)


def _deadlines() -> Any:
    for event, deadline in MOVING.deadlines.items():
        yield deadline.until, event, deadline.step.react


async def _turns() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_the_first_command_of_a_place_counts_though_the_code_has_changed() -> None:
    def credit(amount: int) -> Reactions[None]:
        def gift(_event: Opened, record: Record) -> Sequence[Send]:
            return [send(ACCOUNTS, ACCOUNTS.id_of(record.stream), Credit(amount))]

        return Reactions[None]("gifts").on(Opened, gift)

    money = Money()
    await money.account("a", Open("Ada"))
    opened = CODEC.recorded((await money.store.read_stream("account-a"))[0])
    await credit(5).react(money.handlers, opened, None)
    await credit(6).react(money.handlers, opened, None)
    assert await money.balance("a") == 5


async def test_another_command_under_the_id_of_a_reactions_command_is_a_defect() -> None:
    def gift(_event: Opened, _record: Record) -> Sequence[Send]:
        return [send(ACCOUNTS, "a", Credit(1))]

    money = Money()
    await money.account("a", Open("Ada"))
    opened = CODEC.recorded((await money.store.read_stream("account-a"))[0])
    taken = command_id("process\ngifts", f"money/{opened.record.id}/account-a")
    await money.handlers.of(ACCOUNTS).execute("account-a", Credit(7), command_id=taken, fingerprint="another")
    with pytest.raises(IdempotencyMismatch):
        await Reactions[None]("gifts").on(Opened, gift).react(money.handlers, opened, None)


async def test_a_refusal_that_no_branch_fits_is_set_aside_and_shown() -> None:
    def debit(_event: Opened, record: Record) -> Sequence[Send]:
        fee = send(ACCOUNTS, ACCOUNTS.id_of(record.stream), Debit(1))
        return [fee.on_refusal(NotFound, lambda _: [])]

    money = Money()
    await money.account("a", Open("Ada"))
    async with money.at_work(Reactions[None]("fees").on(Opened, debit)) as process:
        (parked,) = (await process.status()).parked
        assert "UnexpectedRefusal" in parked.reason
        assert "found TOO_LITTLE" in parked.reason


async def test_a_refusal_without_branches_leaves_nothing_to_do() -> None:
    def debit(_event: Opened, _record: Record) -> Sequence[Send]:
        return [
            send(ACCOUNTS, "nobody", Credit(1)).then(send(ACCOUNTS, "a", Credit(1))),
            send(ACCOUNTS, "a", Credit(7)),
        ]

    money = Money()
    await money.account("a", Open("Ada"))
    async with money.at_work(Reactions[None]("fees").on(Opened, debit)) as process:
        assert (await process.status()).parked == ()
    assert await money.balance("a") == 7


async def test_commands_for_one_stream_are_sent_in_order() -> None:
    def pay(_event: Opened, _record: Record) -> Sequence[Send]:
        return [send(ACCOUNTS, "a", Credit(3)), send(ACCOUNTS, "a", Debit(3)), send(ACCOUNTS, "a", Debit(1))]

    money = Money()
    await money.account("a", Open("Ada"))
    opened = CODEC.recorded((await money.store.read_stream("account-a"))[0])
    await Reactions[None]("paying").on(Opened, pay).react(money.handlers, opened, None)
    assert [record.type for record in await money.store.read_stream("account-a")] == [
        "money.Opened",
        "money.Credited",
        "money.Debited",
    ]
    third = command_id("process\npaying", f"money/{opened.record.id}/account-a\n3")
    known = await money.store.find_command(third)
    assert known is not None
    assert known.refusal is not None
    assert known.refusal.code == "TOO_LITTLE"


def test_a_place_depends_on_the_stream_and_not_on_the_order_among_streams() -> None:
    a, b = (send(ACCOUNTS, id, Credit(1)) for id in "ab")
    assert list(placed([a, b, a])) == ["account-a", "account-b", "account-a\n2"]
    assert placed([b, a])["account-a"] == placed([a, b])["account-a"]
    named = send(ACCOUNTS, "a", Credit(1), place="gift")
    assert list(placed([named, a], "deadline\n")) == ["deadline\ngift", "deadline\naccount-a"]
    with pytest.raises(ValueError, match="the place 'gift'"):
        placed([named, named])


def test_a_branch_is_found_by_the_refusals_code_and_gets_what_is_remembered() -> None:
    said: list[Refusal] = []

    def note(refusal: Refusal) -> Sequence[Send]:
        said.append(refusal)
        return []

    class Poorer(TooLittle):
        """Another class with the code of the one that it derives from: whoever reads the log cannot tell them apart."""

    debit = send(ACCOUNTS, "a", Debit(1)).on_refusal(TooLittle, note)
    debit.after_refusal(TooLittle(3))
    debit.after_refusal(Poorer(2))
    assert [type(refusal) for refusal in said] == [TooLittle, TooLittle]
    assert [(str(refusal), getattr(refusal, "balance", None)) for refusal in said] == [
        ("the balance is 3", 3),
        ("the balance is 2", 2),
    ]
    with pytest.raises(UnexpectedRefusal, match=r"account-a: .* found NOT_FOUND"):
        debit.after_refusal(NotFound("nobody"))
    debit.on_refusal(Refusal, note).after_refusal(NotFound("nobody"))
    assert isinstance(said[-1], NotFound)


def test_a_refusal_whose_class_is_gone_loses_nothing() -> None:
    remembered = Refused("GONE", "x" * 1_000, {"balance": 3})
    again = remembered.refusal()
    assert (type(again), again.code, getattr(again, "balance", None)) == (Refusal, "GONE", 3)
    assert Refused.of(again) == remembered
    assert len(Refused.of(InvalidInput("x" * 2_000)).message) == 1_000


def test_a_refusal_with_the_code_of_another_one_is_not_defined() -> None:
    class Poorer(TooLittle):
        code = "TOO_LITTLE"

    class Poorest(TooLittle): ...

    assert Poorer.code == Poorest.code == TooLittle.code
    expected = (
        r"Poor: expected a code of its own, found TOO_LITTLE, which is that of tests\.support\.transfers\.TooLittle"
    )
    with pytest.raises(TypeError, match=expected):
        type("Poor", (Refusal,), {"code": TooLittle.code})


def test_a_declaration_that_contradicts_itself_is_refused() -> None:
    def nothing(_event: Requested, _record: Record) -> Sequence[Send]:
        return []

    async def read(_event: Requested, _record: Record, _view: None) -> int:
        return 1

    def found(_event: Requested, _record: Record, _found: int) -> Sequence[Send]:
        return []

    with pytest.raises(TypeError, match="two reactions to Requested"):
        MOVING.on(Requested, nothing)
    with pytest.raises(TypeError, match="two deadlines for Requested"):
        MOVING.after(lambda _event, _record: None, Requested, nothing)
    reading = Reactions[None]("reading").on(Requested, found, reading=read)
    with pytest.raises(TypeError, match="reads a view: expected a gate"):
        Money().process(reading)
    assert MOVING.reacts_to == [Requested]
