"""At every causally closed position, per currency: balances + what is on its way = deposits − withdrawals.

The bank's own rules and reactions run here in any order: each process manager is somewhere in each log and goes on
where it likes, forgets what it has done since its last checkpoint, and reacts again. What a store does for it, to give
one command id one effect, stands here as a dictionary.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bank.accounts.domain import Close, Credit, Debit
from bank.accounts.limit import OpenForOwner
from bank.accounts.limit import decider as opening
from bank.money import Money
from bank.saga import ACCOUNT, MONEY_MOVES, STEPS_ARE_RECORDED, TRANSFER
from bank.transfers.domain import Request
from eventkernel.errors import Refusal
from eventkernel.events import Record
from eventkernel.reacting.reactions import Reactions, Send
from eventkernel.writing.aggregates import AnyAggregate

ACCOUNTS = ("a", "b", "c", "d")
CURRENCIES = {"a": "EUR", "b": "EUR", "c": "EUR", "d": "JPY"}


@dataclass(frozen=True)
class Happened:
    """An event on a log, and the one (log, offset) that it is a reaction to."""

    stream: str
    event: Any
    cause: tuple[str, int] | None


@dataclass
class World:
    logs: dict[str, list[Happened]] = field(default_factory=lambda: {"accounts": [], "transfers": []})
    known: set[str] = field(default_factory=set[str])
    """Command ids that have had their effect."""
    reached: dict[str, int] = field(default_factory=lambda: {"accounts": 0, "transfers": 0})
    """How far the reader of each log is."""
    checkpoints: dict[str, int] = field(default_factory=lambda: {"accounts": 0, "transfers": 0})

    def command(
        self,
        log: str,
        aggregate: AnyAggregate,
        id: str,
        command: Any,
        cause: tuple[str, int] | None = None,
        command_id: str = "",
    ) -> None:
        if command_id in self.known:
            return
        stream = aggregate.stream(id)
        decider = opening if isinstance(command, OpenForOwner) else aggregate.decider
        state = decider.fold(
            [] if decider is opening else [one.event for one in self.logs[log] if one.stream == stream]
        )
        try:
            events = decider.decide(command, state)
        except Refusal:
            return
        self.logs[log] += [Happened(stream, event, cause) for event in events]
        if command_id:
            self.known.add(command_id)

    def react(self, log: str, offset: int) -> None:
        """One delivery of one event to the process manager that reads this log."""
        reactions: Reactions[None] = MONEY_MOVES if log == "transfers" else STEPS_ARE_RECORDED
        happened = self.logs[log][offset]
        step = reactions.steps.get(type(happened.event))
        if step is None:
            return
        record = record_of(log, offset, happened.stream)
        for sent in step.react(happened.event, record):
            self._send(sent, log, offset)

    def _send(self, sent: Send, log: str, offset: int) -> None:
        other = "accounts" if log == "transfers" else "transfers"
        command_id = f"{log}/{offset}/{sent.stream}"
        self.command(other, sent.aggregate, sent.id, sent.command, (log, offset), command_id)

    def settle(self) -> None:
        while any(self.reached[log] < len(self.logs[log]) for log in self.logs):
            for log in self.logs:
                while self.reached[log] < len(self.logs[log]):
                    self.react(log, self.reached[log])
                    self.reached[log] += 1


def record_of(log: str, offset: int, stream: str) -> Record:
    return Record(
        log=log,
        partition=0,
        offset=offset,
        id=str(offset),
        type="",
        time_us=0,
        stream=stream,
        version=1,
        first_version=1,
        commit_size=1,
        command_id="",
        fingerprint="",
        schema_version=1,
        generation=0,
        data=b"{}",
    )


def closed(world: World, cut: dict[str, int]) -> dict[str, int]:
    """The cut, and what it needs until every cause of what is in it is in it."""
    cut = dict(cut)
    while True:
        causes = [one.cause for log, end in cut.items() for one in world.logs[log][:end] if one.cause is not None]
        needed = {log: max([cut[log], *(offset + 1 for name, offset in causes if name == log)]) for log in cut}
        if needed == cut:
            return cut
        cut = needed


def sums(world: World, cut: dict[str, int]) -> tuple[Counter[str], Counter[str], Counter[str], list[int]]:
    """Per currency: what accounts hold, what is on its way, what was paid in and not out; and every balance.

    By the events' names and fields alone; what is on its way, by what transfers say of themselves.
    """
    holds, moving, paid = Counter[str](), Counter[str](), Counter[str]()
    balances, currencies = Counter[str](), dict[str, str]()
    booked = Counter[tuple[str, str]]()
    for one in world.logs["accounts"][: cut["accounts"]]:
        name, event = type(one.event).__name__, one.event
        if name == "AccountOpened":
            currencies[one.stream] = event.currency
        sign = {"AccountCredited": 1, "AccountRefunded": 1, "AccountDebited": -1}.get(name, 0)
        if sign:
            balances[one.stream] += sign * event.minor
            if event.transfer is None:
                paid[currencies[one.stream]] += sign * event.minor
            else:
                booked[event.transfer, name] += 1
    for stream, balance in balances.items():
        holds[currencies[stream]] += balance
    for one in world.logs["transfers"][: cut["transfers"]]:
        if type(one.event).__name__ == "TransferRequested":
            transfer = one.stream.removeprefix("transfer-")
            debits, credited, refunds = (
                booked[transfer, f"Account{kind}"] for kind in ("Debited", "Credited", "Refunded")
            )
            assert credited + refunds <= debits <= 1, (transfer, debits, credited, refunds)
            moving[one.event.currency] += one.event.minor * (debits - credited - refunds)
    return holds, moving, paid, list(balances.values())


def check(world: World, cut: dict[str, int]) -> None:
    holds, moving, paid, balances = sums(world, cut)
    assert {c: holds[c] + moving[c] for c in ("EUR", "JPY")} == {c: paid[c] for c in ("EUR", "JPY")}
    assert all(balance >= 0 for balance in balances)


account = st.sampled_from(ACCOUNTS)
minor = st.integers(1, 9)
STEPS = st.one_of(
    st.tuples(st.just("credit"), account, minor),
    st.tuples(st.just("debit"), account, minor),
    st.tuples(st.just("close"), account),
    st.tuples(
        st.just("transfer"), account, st.sampled_from((*ACCOUNTS, "nobody")), minor, st.sampled_from(["EUR", "JPY"])
    ),
    st.tuples(st.just("go on"), st.sampled_from(["accounts", "transfers"])),
    st.tuples(st.just("again"), st.sampled_from(["accounts", "transfers"]), st.integers(0, 40)),
    st.tuples(st.just("checkpoint"), st.sampled_from(["accounts", "transfers"])),
    st.tuples(st.just("crash")),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(STEPS, max_size=60), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), min_size=1, max_size=5)
)
def test_no_money_is_made_or_lost_at_any_closed_position(
    steps: list[tuple[Any, ...]], cuts: list[tuple[int, int]]
) -> None:
    world = World()
    for id in ACCOUNTS:
        world.command("accounts", ACCOUNT, id, OpenForOwner("ada", "Ada", id, CURRENCIES[id]))
    for number, step in enumerate(steps):
        _do(world, number, step)
        check(world, {log: len(events) for log, events in world.logs.items()})
    for accounts, transfers in cuts:
        cut = {
            "accounts": min(accounts, len(world.logs["accounts"])),
            "transfers": min(transfers, len(world.logs["transfers"])),
        }
        check(world, closed(world, cut))
    world.settle()
    everything = {log: len(events) for log, events in world.logs.items()}
    check(world, everything)
    assert not +sums(world, everything)[1], "everything has arrived"
    ends = {one.stream: type(one.event).__name__ for one in world.logs["transfers"]}
    assert set(ends.values()) <= {"TransferCompleted", "TransferFailed"}
    assert balances_of(world) == expected(world, {stream for stream, end in ends.items() if end == "TransferCompleted"})


def balances_of(world: World) -> Counter[str]:
    """By account; without those that have nothing."""
    balances = Counter[str]()
    for one in world.logs["accounts"]:
        sign = {"AccountCredited": 1, "AccountRefunded": 1, "AccountDebited": -1}.get(type(one.event).__name__, 0)
        balances[one.stream.removeprefix("account-")] += sign * one.event.minor if sign else 0
    return +balances


def expected(world: World, completed: set[str]) -> Counter[str]:
    """The same by what was paid in and out and by the transfers that are completed: one that has failed leaves
    everything where it was."""
    balances = Counter[str]()
    for one in world.logs["accounts"]:
        sign = {"AccountCredited": 1, "AccountDebited": -1}.get(type(one.event).__name__, 0)
        if sign and one.event.transfer is None:
            balances[one.stream.removeprefix("account-")] += sign * one.event.minor
    for one in world.logs["transfers"]:
        if type(one.event).__name__ == "TransferRequested" and one.stream in completed:
            balances[one.event.source] -= one.event.minor
            balances[one.event.target] += one.event.minor
    return +balances


def _do(world: World, number: int, step: tuple[Any, ...]) -> None:
    match step:
        case ("credit", id, minor):
            world.command("accounts", ACCOUNT, id, Credit(Money(minor, CURRENCIES[id])))
        case ("debit", id, minor):
            world.command("accounts", ACCOUNT, id, Debit(Money(minor, CURRENCIES[id])))
        case ("close", id):
            world.command("accounts", ACCOUNT, id, Close())
        case ("transfer", source, target, minor, currency):
            world.command("transfers", TRANSFER, f"t{number}", Request(source, target, Money(minor, currency)))
        case ("go on", log):
            if world.reached[log] < len(world.logs[log]):
                world.react(log, world.reached[log])
                world.reached[log] += 1
        case ("again", log, offset):
            if offset < world.reached[log]:
                world.react(log, offset)
        case ("checkpoint", log):
            world.checkpoints[log] = world.reached[log]
        case _:
            world.reached = dict(world.checkpoints)
