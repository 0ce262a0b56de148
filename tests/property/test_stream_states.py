"""What is kept of streams changes no answer: with snapshots, without, and where they are dropped at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_snapshots import MemorySnapshotStore
from eventkernel.clock import ManualClock
from eventkernel.decider import Decider
from eventkernel.errors import Refusal
from eventkernel.events import DomainEvent, RecordedEvent
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from eventkernel.writing.snapshots import Snapshots

STREAMS = ("a", "b")


class Paid(DomainEvent, frozen=True, tag="tills.Paid"):
    amount: int


@dataclass(frozen=True)
class Pay:
    """Pays in, or out what is there; several times at once; or the other way round nothing at all."""

    amounts: Sequence[int]


Till = CommandHandler[int, Pay, Paid]


def decide(command: Pay, balance: int) -> Sequence[Paid]:
    if balance + sum(command.amounts) < 0:
        raise Refusal(f"there is {balance}")
    return [Paid(amount=amount) for amount in command.amounts]


DECIDER: Decider[int, Pay, Paid] = Decider(lambda: 0, decide, lambda balance, event: balance + event.amount)


def statement(before: tuple[int, ...] | None, recorded: RecordedEvent) -> tuple[int, ...]:
    """Every balance so far: an answer that shows whether anything was left out or came twice."""
    assert isinstance(recorded.event, Paid)
    balances = before or ()
    return (*balances, (balances[-1] if balances else 0) + recorded.event.amount)


class Tills:
    """One log, and processes that come and go; each answer is compared with a plain list of amounts."""

    def __init__(self) -> None:
        self.log = MemoryEventStore("tills", ManualClock())
        self.kept = MemorySnapshotStore()
        self.amounts: dict[str, list[int]] = {stream: [] for stream in STREAMS}
        self.done: list[tuple[str, str, Pay, list[int]]] = []
        """(stream, command id, command, the amounts after it)."""
        self.processes: list[Till] = []

    def start(self, process: int, form: int) -> None:
        handler: Till = CommandHandler(
            self.log,
            Codec([Paid]),
            DECIDER,
            answer=statement,
            snapshots=Snapshots(self.kept, form, int, tuple[int, ...] | None, every=3),
        )
        self.processes[process : process + 1] = [handler]

    async def pay(self, process: int, stream: str, command: Pay, key: str) -> None:
        """One that is refused says what the balance is."""
        before = list(self.amounts[stream])
        executing = self.processes[process].execute(stream, command, command_id=key, fingerprint=key)
        if sum(before) + sum(command.amounts) < 0:
            with pytest.raises(Refusal, match=f"there is {sum(before)}$"):
                await executing
            return
        outcome = await executing
        self.amounts[stream] += command.amounts
        assert outcome.commit.version == len(self.amounts[stream])
        self.done.append((stream, key, command, list(self.amounts[stream])))
        self._compare(outcome.folded(statement) if outcome.commit.version else (), self.amounts[stream])

    async def repeat(self, process: int, number: int) -> None:
        if self.done:
            stream, key, command, amounts = self.done[number % len(self.done)]
            outcome = await self.processes[process].execute(stream, command, command_id=key, fingerprint=key)
            assert outcome.repeated
            self._compare(outcome.folded(statement) if outcome.commit.version else (), amounts)

    def _compare(self, balances: tuple[int, ...], amounts: Sequence[int]) -> None:
        assert balances == tuple(sum(amounts[: number + 1]) for number in range(len(amounts)))


PROCESS = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.just("pay"), PROCESS, st.sampled_from(STREAMS), st.lists(st.integers(-3, 5), max_size=3).map(tuple)),
    st.tuples(st.just("repeat"), PROCESS, st.integers(0, 50)),
    st.tuples(st.just("restart"), PROCESS, st.integers(1, 2)),
    st.tuples(st.just("drop")),
    st.tuples(st.just("away")),
    st.tuples(st.just("settle")),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(STEPS, max_size=40))
def test_no_answer_depends_on_what_is_kept(steps: Sequence[tuple[object, ...]]) -> None:
    async def check() -> None:
        tills = Tills()
        for process in range(2):
            tills.start(process, form=1)
        for number, step in enumerate(steps):
            match step:
                case ("pay", int(process), str(stream), tuple(amounts)):
                    await tills.pay(process, stream, Pay(amounts), f"k{number}")
                case ("repeat", int(process), int(which)):
                    await tills.repeat(process, which)
                case ("restart", int(process), int(form)):
                    tills.start(process, form)
                case ("drop",):
                    tills.kept.snapshots.clear()
                case ("away",):
                    tills.kept.available = not tills.kept.available
                case _:
                    for _ in range(3):
                        await asyncio.sleep(0)

    asyncio.run(check())
