"""Queries that were not answered are sent again: which, how often, after what pause."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import pytest

from graphrouter.transport import SubgraphLeftAlone, SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from graphrouter.transport.port import SubgraphResponseTooLarge, SubgraphTimedOut, TransportError
from graphrouter.transport.retrying import Retries, RetryingTransport

QUERY = SubgraphRequest(b"{}", repeatable=True)
OK = SubgraphResponse(200)
UNREACHABLE: TransportError = SubgraphUnreachable("the subgraph could not be reached")


Outcome: TypeAlias = SubgraphResponse | TransportError


class Subgraph:
    """Gives these outcomes in turn, the last one for ever; each once `answers` is set."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes: Sequence[Outcome] = outcomes
        self.requests: list[SubgraphRequest] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        self.requests.append(request)
        outcome, *rest = self.outcomes
        self.outcomes = rest or self.outcomes
        await self.answers.wait()
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome


class Client:
    """Sends over retries whose pauses are noted and take no time."""

    def __init__(self, subgraph: Subgraph, retries: Retries | None = None, drawn: float = 1.0, now: float = 0) -> None:
        self.pauses: list[float] = []
        self.now = now

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            self.now += seconds

        self.send = RetryingTransport(
            subgraph, retries or Retries(), draw=lambda: drawn, sleep=pause, now=lambda: self.now
        ).send


@pytest.mark.parametrize("failure", [UNREACHABLE, *(SubgraphResponse(status) for status in (502, 503, 504))])
async def test_a_query_that_was_not_answered_is_sent_again(failure: Outcome) -> None:
    subgraph = Subgraph(failure, failure, OK)
    assert await Client(subgraph).send(QUERY) is OK
    assert subgraph.requests == [QUERY] * 3


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
async def test_every_other_answer_is_given_back(status: int) -> None:
    subgraph = Subgraph(SubgraphResponse(status))
    assert (await Client(subgraph).send(QUERY)).status == status
    assert len(subgraph.requests) == 1


@pytest.mark.parametrize(
    "failure", [SubgraphTimedOut("late"), SubgraphResponseTooLarge("large"), SubgraphLeftAlone("")]
)
async def test_what_failed_otherwise_would_fail_again(failure: TransportError) -> None:
    subgraph = Subgraph(failure)
    with pytest.raises(type(failure)):
        await Client(subgraph).send(QUERY)
    assert len(subgraph.requests) == 1


@pytest.mark.parametrize("request_", [SubgraphRequest(b"{}"), SubgraphRequest(b"", repeatable=True, get="/health")])
async def test_mutations_and_health_checks_are_sent_once(request_: SubgraphRequest) -> None:
    subgraph = Subgraph(UNREACHABLE)
    with pytest.raises(SubgraphUnreachable):
        await Client(subgraph).send(request_)
    assert len(subgraph.requests) == 1


async def test_after_the_last_attempt_the_outcome_is_the_callers() -> None:
    subgraph = Subgraph(SubgraphResponse(503))
    assert (await Client(subgraph, Retries(attempts=4)).send(QUERY)).status == 503
    assert len(subgraph.requests) == 4
    with pytest.raises(SubgraphUnreachable):
        await Client(Subgraph(UNREACHABLE)).send(QUERY)


@pytest.mark.parametrize(
    ("drawn", "pauses"), [(1.0, [0.1, 0.2, 0.3, 0.3]), (0.5, [0.05, 0.1, 0.15, 0.15]), (0, [0] * 4)]
)
async def test_pauses_are_drawn_below_a_bound_that_doubles(drawn: float, pauses: list[float]) -> None:
    client = Client(Subgraph(SubgraphResponse(503)), Retries(5, first_pause=0.1, longest_pause=0.3), drawn)
    await client.send(QUERY)
    assert client.pauses == pytest.approx(pauses)


@pytest.mark.parametrize(
    ("asked", "pauses"), [("1", [1.0]), ("2", []), ("0", [0.1]), ("Mon, 30 Nov", [0.1]), ("9" * 20, [0.1])]
)
async def test_a_subgraph_may_ask_for_a_pause_up_to_the_longest_one(asked: str, pauses: list[float]) -> None:
    client = Client(Subgraph(SubgraphResponse(503, {"retry-after": asked}), OK), Retries(first_pause=0.1))
    await client.send(QUERY)
    assert client.pauses == pauses


@pytest.mark.parametrize(("deadline", "requests"), [(10.09, 1), (10.1, 1), (10.11, 2), (10.31, 3)])
async def test_no_attempt_is_made_after_the_deadline(deadline: float, requests: int) -> None:
    subgraph = Subgraph(SubgraphResponse(503))
    client = Client(subgraph, Retries(first_pause=0.1), now=10.0)
    await client.send(SubgraphRequest(b"{}", repeatable=True, deadline=deadline))
    assert len(subgraph.requests) == requests


async def test_of_a_subgraph_that_never_answers_few_requests_are_sent_again() -> None:
    subgraph = Subgraph(UNREACHABLE)
    client = Client(subgraph, Retries(share=0.1, saved=5))
    for _ in range(200):
        with pytest.raises(SubgraphUnreachable):
            await client.send(QUERY)
    assert len(subgraph.requests) == pytest.approx(200 + 5 + 20, abs=1)


async def test_retries_that_are_saved_up_have_a_limit() -> None:
    subgraph = Subgraph(*[OK] * 1000, UNREACHABLE)
    client = Client(subgraph, Retries(share=0.1, saved=5))
    for _ in range(1000):
        await client.send(QUERY)
    for _ in range(10):
        with pytest.raises(SubgraphUnreachable):
            await client.send(QUERY)
    assert len(subgraph.requests) == pytest.approx(1010 + 5 + 1, abs=1)


async def test_less_than_a_whole_retry_is_none() -> None:
    subgraph = Subgraph(UNREACHABLE)
    client = Client(subgraph, Retries(attempts=9, share=0.4, saved=2))
    for sent in (3, 1, 1, 2):  # 2 of the 2 that are saved; 0.4, 0.8 and 1.2 are left
        subgraph.requests.clear()
        with pytest.raises(SubgraphUnreachable):
            await client.send(QUERY)
        assert len(subgraph.requests) == sent
