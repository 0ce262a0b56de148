"""Modules of 0.1.0 that have moved can be imported from where they were."""

from __future__ import annotations

import httpx

from graphrouter.server.graphql_http import GraphQLEndpoint, read_body
from tests.unit.execution.plans import Scripted, routed


async def test_the_endpoint_is_made_with_a_number_of_bytes() -> None:
    router = routed(a=("type Query { n: Int }", Scripted({"data": {"n": 1}})))
    transport = httpx.ASGITransport(app=GraphQLEndpoint(lambda: router, 100))
    async with router, httpx.AsyncClient(transport=transport, base_url="http://router") as client:
        answered = await client.post("/graphql", json={"query": "{ n }"})
        refused = await client.post("/graphql", json={"query": "{ n }" + " " * 100})
    assert (answered.json(), refused.status_code) == ({"data": {"n": 1}}, 413)
    assert read_body(b'{"query":"{ n }"}', {}).query == "{ n }"
