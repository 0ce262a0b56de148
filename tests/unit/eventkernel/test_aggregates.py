"""Several aggregates on one log: told apart by their streams, with what belongs to the log in common."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_snapshots import MemorySnapshotStore
from eventkernel.clock import ManualClock
from eventkernel.decider import Decider
from eventkernel.errors import ClaimTaken, IdempotencyMismatch
from eventkernel.events import DomainEvent, Record, Tag
from eventkernel.reacting.reactions import Reactions, Send, send
from eventkernel.writing.aggregates import Aggregate, AnyAggregate, CommandHandlers, event_types
from eventkernel.writing.boundary import Query
from eventkernel.writing.codec import Codec
from tests.support.transfers import (
    ACCOUNTS,
    CODEC,
    TRANSFERS,
    Complete,
    Completed,
    Credit,
    Open,
    Opened,
    Request,
    Requested,
    TooLittle,
    transfers,
)

OWNERS = Aggregate(
    "owner", "owner-", transfers, (Requested, Completed), claims=lambda state: frozenset({"owner:Ada"} if state else ())
)


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore("money", clock=ManualClock())


async def test_each_aggregate_decides_by_its_own_rules_on_one_log(store: MemoryEventStore) -> None:
    handlers = CommandHandlers(store, CODEC, [ACCOUNTS, TRANSFERS])
    account, transfer = handlers.of(ACCOUNTS), handlers.of(TRANSFERS)
    await account.execute(ACCOUNTS.stream("1"), Open("Ada"), command_id="c1", fingerprint="f")
    await transfer.execute(TRANSFERS.stream("1"), Request("1", "2", 5), command_id="c2", fingerprint="f")
    await transfer.execute(TRANSFERS.stream("1"), Complete(), command_id="c3", fingerprint="f")
    read = [
        CODEC.decode(record) for stream in ("account-1", "transfer-1") for record in await store.read_stream(stream)
    ]
    assert read == [Opened(owner="Ada"), Requested(source="1", target="2", amount=5), Completed()]


async def test_a_command_for_a_stream_of_another_aggregate_is_a_defect(store: MemoryEventStore) -> None:
    handlers = CommandHandlers(store, CODEC, [ACCOUNTS, TRANSFERS])
    with pytest.raises(ValueError, match=r"account-…, found 'transfer-1'"):
        await handlers.of(ACCOUNTS).execute("transfer-1", Open("Ada"), command_id="c1", fingerprint="f")
    with pytest.raises(ValueError, match="expected the stream of a account"):
        ACCOUNTS.id_of("transfer-1")
    assert ACCOUNTS.id_of(ACCOUNTS.stream("account-1")) == "account-1"


async def test_a_command_id_belongs_to_the_log_whichever_aggregate_asks(store: MemoryEventStore) -> None:
    handlers = CommandHandlers(store, CODEC, [ACCOUNTS, TRANSFERS])
    await handlers.of(ACCOUNTS).execute("account-1", Open("Ada"), command_id="c1", fingerprint="f")
    with pytest.raises(IdempotencyMismatch):
        await handlers.of(TRANSFERS).execute("transfer-1", Request("1", "2", 5), command_id="c1", fingerprint="f")
    assert await store.read_stream("transfer-1") == []


async def test_aggregates_that_claim_the_same_exclude_one_another(store: MemoryEventStore) -> None:
    handlers = CommandHandlers(store, CODEC, [ACCOUNTS, OWNERS])
    await handlers.of(ACCOUNTS).execute("account-1", Open("Ada"), command_id="c1", fingerprint="f")
    with pytest.raises(ClaimTaken):
        await handlers.of(OWNERS).execute("owner-1", Request("1", "2", 5), command_id="c2", fingerprint="f")
    holder = await store.find_claim("owner:Ada")
    assert holder is not None
    assert holder.stream == "account-1"


async def test_each_aggregate_keeps_snapshots_of_its_own_form(store: MemoryEventStore) -> None:
    kept = MemorySnapshotStore()
    handlers = CommandHandlers(store, CODEC, [ACCOUNTS, TRANSFERS], kept)
    await handlers.of(ACCOUNTS).execute("account-1", Open("Ada"), command_id="c0", fingerprint="f")
    await handlers.of(TRANSFERS).execute("transfer-1", Request("1", "2", 5), command_id="r", fingerprint="f")
    await handlers.of(TRANSFERS).execute("transfer-1", Complete(), command_id="c", fingerprint="f")
    for number in range(1, 4):
        await handlers.of(ACCOUNTS).execute("account-1", Credit(number), command_id=f"c{number}", fingerprint="f")
    for _ in range(3):
        await asyncio.sleep(0)
    versions = {
        stream: found.mark.version
        for stream in ("account-1", "transfer-1")
        if (found := await kept.load(store.log, stream)) is not None
    }
    assert versions == {"account-1": 3, "transfer-1": 2}
    fresh = CommandHandlers(store, CODEC, [ACCOUNTS, TRANSFERS], kept)
    outcome = await fresh.of(ACCOUNTS).execute("account-1", Credit(1), command_id="last", fingerprint="f")
    assert outcome.commit.version == 5


class Spent(DomainEvent, frozen=True, tag="money.Spent"):
    owner: Annotated[str, Tag("owner")]
    amount: int


def _within_limit(command: Spent, spent: int) -> list[Spent]:
    if spent + command.amount > 10:
        raise TooLittle(10 - spent)
    return [command]


LIMITS: Aggregate[int, Spent, Spent] = Aggregate(
    "limit",
    ACCOUNTS.prefix,
    Decider(int, _within_limit, lambda spent, event: spent + event.amount),
    (Spent,),
    boundary=lambda command: Query.of(f"owner:{command.owner}", types=[Spent]),
)


async def test_a_rule_about_more_than_one_stream_is_an_aggregate_with_a_boundary(store: MemoryEventStore) -> None:
    codec = Codec(event_types([ACCOUNTS, LIMITS]))
    handlers = CommandHandlers(store, codec, [ACCOUNTS, LIMITS])
    await handlers.of(ACCOUNTS).execute("account-1", Open("Ada"), command_id="c1", fingerprint="f")
    limits = handlers.across(LIMITS)
    await limits.execute("account-1", Spent(owner="Ada", amount=6), command_id="c2", fingerprint="f")

    def spend(_event: Opened, record: Record) -> list[Send]:
        within = send(LIMITS, "2", Spent(owner="Ada", amount=5))
        return [within.on_refusal(TooLittle, lambda left: [send(LIMITS, "2", Spent(owner="Ada", amount=left.balance))])]

    opened = codec.recorded((await store.read_stream("account-1"))[0])
    for _ in range(2):
        await Reactions[None]("spending").on(Opened, spend).react(handlers, opened, None)
    assert [codec.decode(record) for record in await store.read_stream("account-2")] == [Spent(owner="Ada", amount=4)]


def test_a_rule_with_a_boundary_is_asked_for_as_such(store: MemoryEventStore) -> None:
    handlers = CommandHandlers(store, Codec(event_types([ACCOUNTS, LIMITS])), [LIMITS, ACCOUNTS])
    with pytest.raises(TypeError, match="limit has a boundary"):
        handlers.of(LIMITS)
    with pytest.raises(TypeError, match="account has no boundary"):
        handlers.across(ACCOUNTS)
    with pytest.raises(TypeError, match="neither claims nor snapshots"):
        replace(LIMITS, claims=lambda _: frozenset[str]())
    with pytest.raises(TypeError, match="two aggregates of one log have the name 'account'"):
        CommandHandlers(store, CODEC, [ACCOUNTS, replace(LIMITS, name="account")])


def test_aggregates_that_cannot_be_told_apart_are_refused(store: MemoryEventStore) -> None:
    for prefix in ("account-", "account-of-", "acc", ""):
        other = replace(TRANSFERS, prefix=prefix)
        between = replace(TRANSFERS, name="between", prefix="account-m")
        orders: list[list[AnyAggregate]] = [[ACCOUNTS, other], [other, ACCOUNTS], [between, ACCOUNTS, other]]
        for aggregates in orders:
            with pytest.raises(TypeError, match="of which none begins with another"):
                CommandHandlers(store, CODEC, aggregates)
    with pytest.raises(TypeError, match="two aggregates of one log have the name 'account'"):
        CommandHandlers(store, CODEC, [ACCOUNTS, replace(TRANSFERS, name="account")])


def test_a_handler_is_asked_for_by_its_own_declaration(store: MemoryEventStore) -> None:
    handlers = CommandHandlers(store, CODEC, [ACCOUNTS])
    others: list[AnyAggregate] = [TRANSFERS, replace(ACCOUNTS, claims=None)]
    for unknown in others:
        with pytest.raises(TypeError, match="no aggregate"):
            handlers.of(unknown)
