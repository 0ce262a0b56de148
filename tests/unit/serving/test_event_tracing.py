"""Which commands, reactions and projections are recorded, and how a trace goes from one to the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from eventgraph.running.tracing import Traces
from eventgraph.serving.request import Headers
from eventgraph.serving.tracing import EventTracer
from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.memory_views import MemoryBuild, MemoryCheckpointStore, MemoryView
from eventkernel.clock import ManualClock
from eventkernel.errors import Refusal
from eventkernel.events import NO_METADATA, Metadata, Record, RecordedEvent
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Projection
from eventkernel.tracing import NOT_TRACED
from eventkernel.writing.aggregates import AnyAggregate, CommandHandlers
from graphrouter.telemetry.settings import TracingSettings
from graphrouter.telemetry.tracing import CURRENT, Span, TraceContext
from tests.support.spans import Kept, Spans
from tests.support.transfers import ACCOUNTS, CODEC, MOVING, TRANSFERS, Credit, Debit, Open, Request

PARENT = TraceContext("a" * 32, "b" * 16, sampled=True, state="vendor=1")
PASSED = TraceContext("a" * 32, "b" * 16, sampled=False)
HOUR_US = 3_600_000_000


def within(context: TraceContext | None) -> Metadata:
    if context is None:
        return NO_METADATA
    return Metadata(traceparent=context.traceparent, tracestate=context.state or None)


class Money:
    """A log of accounts and transfers, and what is recorded about it."""

    def __init__(self, *, micros_ago: int = 0) -> None:
        self.spans = Spans()
        self.tracer = EventTracer(self.spans, "sqlite")
        clock = ManualClock(time.time_ns() // 1_000 - micros_ago)
        self.store = MemoryEventStore("money", clock=clock)
        self.handlers = CommandHandlers(self.store, CODEC, [ACCOUNTS, TRANSFERS], tracer=self.tracer)
        self._commands = 0

    async def do(self, id: str, command: Any, metadata: Metadata = NO_METADATA) -> Record:
        self._commands += 1
        aggregate: AnyAggregate = TRANSFERS if isinstance(command, Request) else ACCOUNTS
        handler, stream = self.handlers.any_of(aggregate), aggregate.stream(id)
        outcome = await handler.execute(
            stream, command, command_id=f"{self._commands}", fingerprint="f", metadata=metadata
        )
        return outcome.commit.records[0]

    async def project(self, projection: Projection[Any]) -> None:
        view: MemoryView[MemoryBuild[Any]] = MemoryView(projection.name, MemoryBuild[Any])
        projector = Projector(projection, [Source(self.store, CODEC)], view, tracer=self.tracer)
        await projector.start()
        assert await view.live().reached(await self.store.head(), 30)
        await projector.stop()


def of(spans: Spans, kind: str) -> Sequence[Kept]:
    return [span for span in spans.kept if span.kind == kind]


# Requests


def test_a_requests_commands_are_within_the_span_of_the_request() -> None:
    sent = {"traceparent": PASSED.traceparent, "tracestate": "other=1"}
    with Span(PARENT):
        metadata = Headers.read(sent).metadata
    assert (metadata.traceparent, metadata.tracestate) == (PARENT.traceparent, "vendor=1")
    metadata = Headers.read(sent).metadata
    assert (metadata.traceparent, metadata.tracestate) == (PASSED.traceparent, "other=1"), "nothing is traced here"


ROUTER_DECIDES = ["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off"]


@pytest.mark.parametrize("sampler", ROUTER_DECIDES)
@pytest.mark.parametrize("parent", [PARENT, PASSED], ids=["recorded", "not recorded"])
def test_a_subgraph_goes_on_with_its_routers_trace_whichever_sampler_there_is(
    sampler: str, parent: TraceContext
) -> None:
    settings = TracingSettings.read(endpoint="http://127.0.0.1:4318", environment={"OTEL_TRACES_SAMPLER": sampler})
    traced = Traces(settings, Spans()).subgraph("users")
    assert traced is not None
    span = traced.requests.request("POST", "http", {"traceparent": parent.traceparent})
    assert (span.context.trace_id, span.is_recorded) == (parent.trace_id, parent.sampled)


# Commands


async def test_a_commands_records_carry_the_span_of_their_append() -> None:
    money = Money()
    record = await money.do("ada", Open("Ada"), within(PARENT))
    span = money.spans.one("producer")
    assert (span.name, span.parent, span.ended, span.failed) == ("append money", PARENT, True, False)
    assert (record.traceparent, record.tracestate) == (span.context.traceparent, "vendor=1")
    assert span.attributes == {
        "messaging.system": "sqlite",
        "messaging.operation.type": "send",
        "messaging.operation.name": "append",
        "messaging.destination.name": "money",
        "eventkernel.command": "Open",
    }


@pytest.mark.parametrize("metadata", [NO_METADATA, within(PASSED), Metadata(traceparent="what a client has sent")])
async def test_the_metadata_of_a_command_that_is_not_recorded_stays_as_it_is(metadata: Metadata) -> None:
    money = Money()
    record = await money.do("ada", Open("Ada"), metadata)
    assert money.spans.kept == []
    assert record.traceparent == metadata.traceparent


async def test_a_refused_command_has_failed_with_the_refusals_code() -> None:
    money = Money()
    await money.do("ada", Open("Ada"))
    with pytest.raises(Refusal) as refused:
        await money.do("ada", Debit(5), within(PARENT))
    span = money.spans.one("producer")
    assert (span.failed, span.ended, span.attributes["error.type"]) == (True, True, refused.value.code)


async def test_commands_that_queue_on_one_stream_stay_in_their_own_traces() -> None:
    money = Money()
    await money.do("ada", Open("Ada"))
    parents = [TraceContext(f"{number:032x}", "b" * 16, sampled=True) for number in range(1, 6)]
    records = await asyncio.gather(*(money.do("ada", Credit(1), within(parent)) for parent in parents))
    found = [TraceContext.read(record.traceparent) for record in records]
    assert [context.trace_id for context in found if context] == [parent.trace_id for parent in parents]


# Views


def evolve(state: int | None, recorded: RecordedEvent) -> int:
    if recorded.stream == ACCOUNTS.stream("poison"):
        raise ValueError("it cannot be applied")
    return (state or 0) + 1


COUNTS: Projection[int] = Projection("counts", 1, evolve)


async def test_a_view_that_has_a_record_goes_on_with_its_trace() -> None:
    money = Money()
    record = await money.do("ada", Open("Ada"), within(PARENT))
    await money.do("bob", Open("Bob"), within(PASSED))
    await money.do("eve", Open("Eve"))
    began = time.time_ns()
    await money.project(COUNTS)
    span = money.spans.one("consumer")
    assert (span.name, span.parent, span.ended) == (
        "process money",
        TraceContext.read(record.traceparent, "vendor=1"),
        True,
    )
    assert span.began_ns is not None
    assert began <= span.began_ns <= time.time_ns()
    assert span.attributes == {
        "messaging.system": "sqlite",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.consumer.group.name": "counts",
        "messaging.destination.name": "money",
        "messaging.destination.partition.id": str(record.partition),
        "eventkernel.event": "money.Opened",
    }


async def test_what_a_view_has_parked_it_has_not_applied() -> None:
    money = Money()
    await money.do("poison", Open("Poison"), within(PARENT))
    await money.do("ada", Open("Ada"), within(PARENT))
    await money.project(COUNTS)
    assert len(of(money.spans, "consumer")) == 1


async def test_a_rebuild_begins_no_old_trace_anew() -> None:
    old, new = Money(micros_ago=HOUR_US + 60_000_000), Money(micros_ago=HOUR_US - 60_000_000)
    for money in (old, new):
        await money.do("ada", Open("Ada"), within(PARENT))
        await money.project(COUNTS)
    assert (len(of(old.spans, "consumer")), len(of(new.spans, "consumer"))) == (0, 1)


# Process managers


async def react(money: Money, record: Record) -> None:
    process = MOVING.process(money.handlers, [Source(money.store, CODEC)], MemoryCheckpointStore())
    await process.react_again([record])


async def test_a_reactions_commands_go_on_in_the_trace_of_its_event() -> None:
    money = Money()
    await money.do("ada", Open("Ada"))
    await money.do("bob", Open("Bob"))
    await money.do("ada", Credit(10))
    record = await money.do("1", Request("ada", "bob", 4), within(PARENT))
    await react(money, record)
    reaction, (asked, debit, *others) = money.spans.one("consumer"), of(money.spans, "producer")
    assert reaction.parent == TraceContext.read(record.traceparent, "vendor=1")
    assert reaction.attributes["messaging.consumer.group.name"] == MOVING.name
    assert reaction.ended
    assert asked.parent == PARENT
    assert [span.parent for span in (debit, *others)] == [reaction.context] * 3
    assert debit.attributes["eventkernel.command"] == "Debit"
    (_, _, debited, *_) = await money.store.read_stream(ACCOUNTS.stream("ada"))
    assert debited.traceparent == debit.context.traceparent


@pytest.mark.parametrize(("parent", "micros_ago"), [(PASSED, 0), (PARENT, HOUR_US + 60_000_000)])
async def test_a_reaction_that_is_not_recorded_stays_in_the_trace(parent: TraceContext, micros_ago: int) -> None:
    money = Money(micros_ago=micros_ago)
    await money.do("ada", Open("Ada"))
    await money.do("bob", Open("Bob"))
    await money.do("ada", Credit(10))
    record = await money.do("1", Request("ada", "bob", 4), within(parent))
    before = len(money.spans.kept)
    with money.tracer.reaction("moving", record):
        here = CURRENT.get()
        assert here is not None
        assert (here.context.trace_id, here.is_recorded) == (PARENT.trace_id, False)
    await react(money, record)
    assert len(money.spans.kept) == before
    (_, _, debited, *_) = await money.store.read_stream(ACCOUNTS.stream("ada"))
    assert debited.traceparent is not None
    assert debited.traceparent.startswith(f"00-{PARENT.trace_id}-")
    assert debited.traceparent.endswith("-00")


async def test_without_a_tracer_a_trace_is_handed_on_as_it_came() -> None:
    money = Money()
    record = await money.do("ada", Open("Ada"), Metadata(traceparent="anything"))
    with (
        NOT_TRACED.reaction("moving", record) as traceparent,
        NOT_TRACED.command("money", "c", NO_METADATA) as metadata,
    ):
        assert (traceparent, metadata) == ("anything", NO_METADATA)
    assert CURRENT.get() is None
