"""The circuit breaker: what opens it, what it lets through, what closes it."""

from __future__ import annotations

import asyncio

import pytest

from graphrouter import Breaker, GraphRouter, Retries, RouterOptions, Traffic
from graphrouter.transport import SubgraphLeftAlone, SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from graphrouter.transport.breaker import BreakingTransport
from graphrouter.transport.port import SubgraphResponseTooLarge, SubgraphTimedOut, TransportError
from tests.unit.router_server.test_retries import OK, UNREACHABLE, Outcome, Subgraph

QUERY = SubgraphRequest(b"{}")
BREAKER = Breaker(failed=0.5, requests=4, window_seconds=10, open_seconds=5)


class Circuit:
    """A breaker before a subgraph, and a clock that a test sets."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.now = 100.0
        self.subgraph = Subgraph(*outcomes)
        self.transport = BreakingTransport("reviews", self.subgraph, BREAKER, now=lambda: self.now)

    def state(self) -> str:
        return self.transport.state

    def pause(self) -> asyncio.Event:
        """From now on the subgraph answers once this is set."""
        self.subgraph.answers = asyncio.Event()
        return self.subgraph.answers

    async def send(self, times: int = 1) -> list[object]:
        """What comes of so many requests: a status, or the class of the error."""
        found: list[object] = []
        for _ in range(times):
            try:
                found.append((await self.transport.send(QUERY)).status)
            except TransportError as error:
                found.append(type(error))
        return found


@pytest.mark.parametrize(
    "failure", [UNREACHABLE, SubgraphTimedOut("late"), SubgraphResponse(500), SubgraphResponse(503)]
)
async def test_a_subgraph_that_fails_too_often_is_left_alone(failure: Outcome) -> None:
    circuit = Circuit(OK, OK, failure)
    assert SubgraphLeftAlone not in await circuit.send(4)
    assert await circuit.send(3) == [SubgraphLeftAlone] * 3
    assert len(circuit.subgraph.requests) == 4
    assert circuit.state() == "open"


@pytest.mark.parametrize("outcome", [SubgraphResponse(404), SubgraphResponse(429), SubgraphResponseTooLarge("large")])
async def test_what_a_subgraph_does_well_enough_opens_nothing(outcome: Outcome) -> None:
    circuit = Circuit(outcome)
    await circuit.send(20)
    assert len(circuit.subgraph.requests) == 20


async def test_a_few_failures_among_many_answers_open_nothing() -> None:
    circuit = Circuit(*(OK, OK, UNREACHABLE) * 20, OK)
    await circuit.send(60)
    assert circuit.state() == "closed"
    assert len(circuit.subgraph.requests) == 60


async def test_failures_of_long_ago_do_not_count() -> None:
    circuit = Circuit(UNREACHABLE)
    for _ in range(10):
        await circuit.send(3)
        circuit.now += 10.0
    assert len(circuit.subgraph.requests) == 30


async def test_failures_that_come_in_over_the_window_add_up() -> None:
    circuit = Circuit(UNREACHABLE)
    for _ in range(4):
        await circuit.send()
        circuit.now += 2.0
    assert circuit.state() == "open"


async def test_after_its_time_one_request_tries_and_its_success_closes_the_circuit() -> None:
    circuit = Circuit(*[UNREACHABLE] * 4, OK)
    await circuit.send(4)
    circuit.now += 4.9
    assert await circuit.send() == [SubgraphLeftAlone]
    circuit.now += 0.2
    assert circuit.state() == "half open"
    assert await circuit.send(5) == [200] * 5
    assert circuit.state() == "closed"


async def test_a_try_that_fails_opens_it_again_for_as_long() -> None:
    circuit = Circuit(UNREACHABLE)
    await circuit.send(4)
    circuit.now += 5.1
    assert await circuit.send(2) == [SubgraphUnreachable, SubgraphLeftAlone]
    circuit.now += 4.9
    assert await circuit.send() == [SubgraphLeftAlone]
    circuit.now += 0.2
    assert await circuit.send() == [SubgraphUnreachable]


async def test_while_one_tries_the_others_are_turned_away() -> None:
    circuit = Circuit(*[UNREACHABLE] * 4, OK)
    await circuit.send(4)
    circuit.now += 5.1
    answers = circuit.pause()
    trying = asyncio.create_task(circuit.send())
    await asyncio.sleep(0)
    assert await circuit.send() == [SubgraphLeftAlone]
    answers.set()
    assert await trying == [200]
    assert circuit.state() == "closed"


async def test_a_try_whose_client_goes_away_decides_nothing_and_frees_the_place() -> None:
    circuit = Circuit(*[UNREACHABLE] * 4, OK)
    await circuit.send(4)
    circuit.now += 5.1
    answers = circuit.pause()
    trying = asyncio.create_task(circuit.send())
    await asyncio.sleep(0)
    trying.cancel()
    await asyncio.wait([trying])
    assert circuit.state() == "half open"
    answers.set()
    assert await circuit.send() == [200]


async def test_what_was_sent_before_it_opened_does_not_decide_the_try() -> None:
    circuit = Circuit(OK, *[UNREACHABLE] * 4, SubgraphResponse(500))
    early_answers = circuit.pause()
    early = asyncio.create_task(circuit.send())
    await asyncio.sleep(0)
    circuit.subgraph.answers = asyncio.Event()
    circuit.subgraph.answers.set()
    await circuit.send(4)
    circuit.now += 5.1
    answers = circuit.pause()
    trying = asyncio.create_task(circuit.send())
    await asyncio.sleep(0)
    early_answers.set()
    assert await early == [200]
    assert circuit.state() == "half open"
    answers.set()
    assert await trying == [500]
    assert circuit.state() == "open"


async def test_health_is_asked_of_a_subgraph_that_is_left_alone() -> None:
    circuit = Circuit(*[UNREACHABLE] * 4, OK)
    await circuit.send(4)
    assert (await circuit.transport.send(SubgraphRequest(b"", get="/health"))).status == 200
    assert circuit.state() == "open"


SUPERGRAPH_SDL = """type Query { name: String } type Mutation { rename: String }"""


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ("{ name }", "the subgraph has failed too often and is left alone for a while"),
        ("mutation { rename }", "the subgraph has failed too often and is left alone for a while"),
    ],
)
async def test_a_client_learns_that_nothing_was_sent(operation: str, message: str) -> None:
    """A mutation's outcome is known: it was not made."""
    router = await _router(Traffic(breaker=Breaker(requests=1)))
    failed = await router.execute("{ name }")
    assert [error["extensions"]["code"] for error in failed.errors] == ["SUBREQUEST_FAILED"]
    answer = await router.execute(operation)
    assert [(error["message"], error["extensions"]["code"]) for error in answer.errors] == [
        (message, "SUBREQUEST_NOT_SENT")
    ]
    assert not (await router.health())["names"].ready
    await router.aclose()


async def test_each_subgraph_has_what_is_set_for_it() -> None:
    subgraph = Subgraph(OK)
    router = await _router(Traffic(), {"names": Traffic(retries=Retries(attempts=4, first_pause=0))}, subgraph)
    subgraph.outcomes = [UNREACHABLE]
    subgraph.requests.clear()
    await router.execute("{ name }")
    assert len(subgraph.requests) == 4
    await router.aclose()


async def _router(
    traffic: Traffic, traffic_to: dict[str, Traffic] | None = None, subgraph: Subgraph | None = None
) -> GraphRouter:
    """Over one subgraph that gives its schema and then fails."""
    subgraph = subgraph or Subgraph(OK)
    sdl = SubgraphResponse(200, {}, b'{"data": {"_service": {"sdl": "%b"}}}' % SUPERGRAPH_SDL.encode())
    subgraph.outcomes = [sdl, UNREACHABLE]
    return await GraphRouter.compose({"names": subgraph}, RouterOptions(traffic=traffic, traffic_to=traffic_to or {}))


async def test_what_was_sent_before_it_opened_does_not_keep_it_open() -> None:
    circuit = Circuit(UNREACHABLE)
    answers = circuit.pause()
    late = [asyncio.create_task(circuit.send()) for _ in range(8)]
    await asyncio.sleep(0)
    circuit.subgraph.answers = asyncio.Event()
    circuit.subgraph.answers.set()
    await circuit.send(4)
    assert circuit.state() == "open"
    circuit.now += 4
    answers.set()
    assert await asyncio.gather(*late) == [[SubgraphUnreachable]] * 8
    circuit.now += 1
    assert circuit.state() == "half open"


async def test_once_it_has_closed_failures_of_before_are_forgotten() -> None:
    circuit = Circuit(*[UNREACHABLE] * 4, OK, UNREACHABLE)
    await circuit.send(4)
    circuit.now += 5
    assert await circuit.send(2) == [200, SubgraphUnreachable]
    assert circuit.state() == "closed"
