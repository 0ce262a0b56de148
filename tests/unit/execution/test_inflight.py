"""Equal queries in flight are one request."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from graphrouter.execution.inflight import JoiningTransport
from graphrouter.transport import RequestTrace, SubgraphRequest, SubgraphResponse, SubgraphTimedOut, SubgraphUnreachable

QUERY = SubgraphRequest(b"{}", (("authorization", "a"),), repeatable=True)


class Gated:
    """Answers when it is let go; notes its requests and whether one was cancelled."""

    def __init__(self) -> None:
        self.requests: list[SubgraphRequest] = []
        self.entered, self.gate, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.failure: Exception | None = None

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        self.requests.append(request)
        self.entered.set()
        try:
            await self.gate.wait()
            await asyncio.sleep(0)  # an answer never comes at once
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failure is not None:
            raise self.failure
        return SubgraphResponse(200, {}, b"answer")


@pytest.fixture
def inner() -> Gated:
    return Gated()


async def _send_together(inner: Gated, *requests: SubgraphRequest) -> int:
    joining = JoiningTransport(inner)
    sending = [asyncio.create_task(joining.send(request)) for request in requests]
    await inner.entered.wait()
    inner.gate.set()
    assert [(await one).body for one in sending] == [b"answer"] * len(requests)
    return len(inner.requests)


async def test_equal_queries_are_joined(inner: Gated) -> None:
    assert await _send_together(inner, QUERY, replace(QUERY, deadline=1e9), QUERY) == 1


async def test_a_trace_tells_that_a_query_was_joined(inner: Gated) -> None:
    traces = RequestTrace(), RequestTrace(), RequestTrace()
    asked = [replace(QUERY, trace=trace) for trace in traces[:2]]
    assert await _send_together(inner, *asked, replace(QUERY, body=b"[]", trace=traces[2])) == 2
    assert [trace.joined for trace in traces] == [False, True, False]


async def test_queries_that_differ_in_body_or_headers_are_not(inner: Gated) -> None:
    other = replace(QUERY, headers=(("authorization", "b"),))
    assert await _send_together(inner, QUERY, replace(QUERY, body=b"[]"), other) == 3


async def test_mutations_and_health_checks_are_not(inner: Gated) -> None:
    mutation, health = replace(QUERY, repeatable=False), replace(QUERY, get="/health")
    assert await _send_together(inner, mutation, mutation, health, health) == 4


async def test_an_answer_that_has_arrived_is_not_used_again(inner: Gated) -> None:
    joining = JoiningTransport(inner)
    inner.gate.set()
    await joining.send(QUERY)
    await joining.send(QUERY)
    assert len(inner.requests) == 2


async def test_each_waiter_leaves_at_its_own_deadline(inner: Gated) -> None:
    joining = JoiningTransport(inner)
    patient = asyncio.create_task(joining.send(QUERY))
    await inner.entered.wait()
    with pytest.raises(SubgraphTimedOut):
        await joining.send(replace(QUERY, deadline=asyncio.get_running_loop().time() + 0.01))
    assert not inner.cancelled.is_set()
    inner.gate.set()
    assert (await patient).body == b"answer"
    assert len(inner.requests) == 1


async def test_whoever_is_alone_ends_the_request_by_leaving(inner: Gated) -> None:
    joining = JoiningTransport(inner)
    alone = asyncio.create_task(joining.send(QUERY))
    await inner.entered.wait()
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert inner.cancelled.is_set()
    inner.gate.set()
    assert (await joining.send(QUERY)).body == b"answer"


@pytest.mark.parametrize("leaving", ["cancelled", "out of time"])
async def test_when_the_first_one_leaves_the_others_get_an_answer_by_one_more_request(
    inner: Gated, leaving: str
) -> None:
    joining = JoiningTransport(inner)
    if leaving == "out of time":
        inner.failure = SubgraphTimedOut("too slow")
    first = asyncio.create_task(joining.send(QUERY))
    await inner.entered.wait()
    others = [asyncio.create_task(joining.send(replace(QUERY, deadline=1e9))) for _ in range(3)]
    await asyncio.sleep(0)
    if leaving == "cancelled":
        first.cancel()
    inner.gate.set()
    with pytest.raises((asyncio.CancelledError, SubgraphTimedOut)):
        await first
    inner.failure = None
    assert [(await one).body for one in others] == [b"answer"] * 3
    assert len(inner.requests) == 2


async def test_a_failure_reaches_every_waiter(inner: Gated) -> None:
    joining = JoiningTransport(inner)
    inner.failure = SubgraphUnreachable("down")
    sending = [asyncio.create_task(joining.send(QUERY)) for _ in range(2)]
    await inner.entered.wait()
    inner.gate.set()
    for one in sending:
        with pytest.raises(SubgraphUnreachable):
            await one
