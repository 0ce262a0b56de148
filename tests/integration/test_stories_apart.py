"""Stories whose facts other processes tell: the same as in one process, signed, and without what does not answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from eventgraph.running.servers import Servers, listen, origin_of
from eventgraph.stories.facts import Asked, SubgraphTeller
from eventgraph.stories.remote import RemoteTeller, story_route
from eventgraph.stories.story import Stories
from eventkernel.errors import Unavailable
from graphrouter.http.actors import Actor, ActorKeys
from graphrouter.server.servers import ANY_HOST, Endpoint
from graphrouter.telemetry.recent import RecentRequests
from kithgraph.system import SOCIAL_NETWORK
from tests.integration.test_stories import CREATE, named
from tests.support.stories import ToldSystem, is_over, told_system

KEY = secrets.token_bytes(32)
KEYS = ActorKeys([KEY])


@asynccontextmanager
async def apart(system: ToldSystem, actors: ActorKeys | None = KEYS) -> AsyncGenerator[Sequence[str]]:
    """The URL of each subgraph's GraphQL, beside which it tells its facts."""
    servers, listeners = Servers(), [listen("127.0.0.1", 0) for _ in system.subgraphs]
    apps = [Starlette(routes=[story_route(SubgraphTeller(one), actors)]) for one in system.subgraphs]
    await servers.start([Endpoint(app, at, ANY_HOST) for app, at in zip(apps, listeners, strict=True)])
    try:
        yield [f"{origin_of(one)}/graphql" for one in listeners]
    finally:
        await servers.shut_down()


def told_by(urls: Sequence[str], actors: ActorKeys | None = KEYS) -> Stories:
    tellers = [RemoteTeller(name, url, actors) for name, url in zip(SOCIAL_NETWORK.names, urls, strict=True)]
    return Stories(SOCIAL_NETWORK, tellers, RecentRequests())


async def test_it_is_the_same_story_as_in_one_process(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system, apart(system) as urls:
        answer = await system.ask(CREATE, named(idempotencyKey="a-key"))
        correlation = answer.body["extensions"]["correlation"]
        here = await system.told(correlation, is_over)
        there = await told_by(urls).of_correlation(correlation)
        by_key = await told_by(urls).of_command("anonymous", "a-key")

    assert there.commits == here.commits
    assert by_key.commits == here.commits


async def test_what_a_subgraph_that_does_not_answer_knows_is_missing_and_told_so(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system, apart(system) as urls:
        answer = await system.ask(CREATE, named())
        correlation = answer.body["extensions"]["correlation"]
        await system.told(correlation, is_over)
        with listen("127.0.0.1", 0) as nobody:
            gone = f"{origin_of(nobody)}/graphql"
        story = await told_by([urls[0], gone, urls[2]]).of_correlation(correlation)

    (commit,) = story.commits
    assert {outcome.reader for outcome in commit.events[0].outcomes} == {"users", "recommendations"}
    assert any(note.startswith("What friends has made of it cannot be told now") for note in story.notes)


@pytest.mark.parametrize(
    "actors",
    [None, ActorKeys([secrets.token_bytes(32)])],
    ids=["unsigned", "signed with another key"],
)
async def test_a_subgraph_with_keys_tells_only_a_router_that_has_them(tmp_path: Path, actors: ActorKeys | None) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system, apart(system) as urls:
        with pytest.raises(Unavailable, match="HTTP status 401"):
            await RemoteTeller("users", urls[0], actors).events(Asked(correlation="c"))


async def test_a_subgraph_whose_clock_is_ahead_tells_its_router_all_the_same(tmp_path: Path) -> None:
    ahead = ActorKeys([KEY], now=lambda: time.time() + 30)
    async with told_system(SOCIAL_NETWORK, tmp_path) as system, apart(system, ahead) as urls:
        assert (await RemoteTeller("users", urls[0], KEYS).events(Asked(correlation="c"))).events == ()


async def test_an_actor_without_the_scope_is_told_nothing(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system, apart(system) as urls, httpx.AsyncClient() as client:
        url = urls[0].replace("/graphql", "/story")
        signed = {"actor": KEYS.sign(Actor("somebody", frozenset({"users:write"})), 10)}
        answer = await client.post(url, content=b'{"asked": {"correlation": "c"}}', headers=signed)

    assert answer.status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"events": [{"log": 1}]}', b'{"asked": "x"}', b"\xff"])
async def test_what_is_no_question_is_refused(tmp_path: Path, body: bytes) -> None:
    async with (
        told_system(SOCIAL_NETWORK, tmp_path) as system,
        apart(system, None) as urls,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(urls[0].replace("/graphql", "/story"), content=body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the question: ")


async def test_a_question_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async with (
        told_system(SOCIAL_NETWORK, tmp_path) as system,
        apart(system, None) as urls,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(urls[0].replace("/graphql", "/story"), content=b" " * (4 * 1024 * 1024 + 1))

    assert answer.status_code == 413
