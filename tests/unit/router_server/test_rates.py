"""How many requests a second one client may send, and what it is told beyond that."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.endpoint import GraphQLEndpoint
from graphrouter.http.rates import RateLimit, Rates
from graphrouter.request import GraphQLAnswer, GraphQLRequest


def test_a_client_may_send_a_burst_and_then_as_many_as_its_rate() -> None:
    rates = Rates(RateLimit(per_second=2, burst=3))
    assert [rates.wait("a", 100.0) for _ in range(4)] == [0, 0, 0, 1]
    assert [rates.wait("a", 100.5), rates.wait("a", 100.5)] == [0, 1]
    assert [rates.wait("a", 200.0) for _ in range(4)] == [0, 0, 0, 1]


def test_the_wait_that_is_told_is_enough() -> None:
    rates = Rates(RateLimit(per_second=0.1, burst=1))
    assert [rates.wait("a", 0.0), rates.wait("a", 0.5)] == [0, 10]
    assert rates.wait("a", 10.5) == 0


def test_clients_do_not_share_a_rate() -> None:
    rates = Rates(RateLimit(per_second=1, burst=1))
    assert [rates.wait(client, 0.0) for client in "aab"] == [0, 1, 0]


def test_the_client_that_has_been_silent_longest_is_forgotten() -> None:
    rates = Rates(RateLimit(per_second=1, burst=1, clients=2))
    assert [rates.wait(client, moment) for client, moment in [("a", 0.0), ("b", 0.1), ("c", 0.2)]] == [0, 0, 0]
    assert [rates.wait("b", 0.3), rates.wait("a", 0.3)] == [1, 0]


@given(st.lists(st.floats(0, 3), max_size=60), st.floats(0.5, 20), st.integers(1, 8))
def test_no_stretch_of_time_has_more_than_the_burst_and_its_share(
    pauses: list[float], per_second: float, burst: int
) -> None:
    rates, now = Rates(RateLimit(per_second, burst)), 50.0
    admitted: list[float] = []
    for pause in pauses:
        now += pause
        if not rates.wait("a", now):
            admitted.append(now)
    for first, begun in enumerate(admitted):
        for last, ended in enumerate(admitted[first:], first):
            assert last - first + 1 <= burst + per_second * (ended - begun) + 1e-6


@pytest.mark.parametrize("given_", [{"per_second": 0}, {"per_second": 1, "burst": 0}, {"per_second": 1, "clients": 0}])
def test_a_limit_that_admits_nobody_is_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a rate limit has per_second above 0, burst and clients of 1 at least; found"):
        RateLimit(**given_)


class Answers:
    async def answer(self, _request: GraphQLRequest) -> GraphQLAnswer:
        return GraphQLAnswer({"__typename": "Query"}, [], {})


async def ask(endpoint: GraphQLEndpoint, address: str = "10.0.0.1", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(endpoint, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post("/graphql", json={"query": "{ __typename }"}, headers=sent)


def limited(rate: RateLimit) -> GraphQLEndpoint:
    return GraphQLEndpoint(Answers, EndpointLimits(body_bytes=1000, concurrent=10, rate=rate), gives_up=False)


async def test_a_client_beyond_its_rate_is_told_when_to_come_again() -> None:
    endpoint = limited(RateLimit(per_second=0.001, burst=1))
    assert (await ask(endpoint)).status_code == 200
    answer = await ask(endpoint)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1000")
    assert json.loads(answer.text)["errors"] == [
        {
            "message": "the client has sent too many requests: expected the next one in 1000 s at the earliest",
            "extensions": {"code": "RATE_LIMITED"},
        }
    ]
    assert (await ask(endpoint, "10.0.0.2")).status_code == 200


@pytest.mark.parametrize("header", ["x-api-key", "X-API-Key"])
async def test_clients_are_told_apart_by_the_header_that_is_set_or_else_by_their_address(header: str) -> None:
    endpoint = limited(RateLimit(per_second=0.001, burst=1, header=header))
    statuses = [(await ask(endpoint, x_api_key=key)).status_code for key in ("a", "b", "a")]
    assert statuses == [200, 200, 429]
    assert [(await ask(endpoint)).status_code, (await ask(endpoint)).status_code] == [200, 429]


def test_the_client_that_has_been_silent_longest_is_forgotten_first() -> None:
    rates = Rates(RateLimit(per_second=1, burst=1, clients=2))
    assert [rates.wait(client, 0) for client in ("a", "b")] == [0, 0]
    assert [rates.wait(client, 1) for client in ("a", "c")] == [0, 0]  # of "b" nothing is known any more
    assert rates.wait("a", 1) == 1
