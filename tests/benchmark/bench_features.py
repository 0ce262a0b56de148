"""What each feature of the router costs: the CPU time of a request with it, against the same request without.

Run with `python -m tests.benchmark.bench_features`. A request goes in at the ASGI app and comes out as bytes; the
subgraphs answer at once, in the process. Rounds alternate between the features, and each figure is the median of the
ratios within a round, so that whatever else the machine does falls on all of them. "as before" is the router with the
same options, measured as another feature: what it differs from 1 is the error of all figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.types import ASGIApp

from graphrouter import (
    Authentication,
    Breaker,
    GraphRouter,
    Hooks,
    Issuer,
    Limits,
    PersistedOperations,
    RateLimit,
    Retries,
    RouterOptions,
    Traffic,
)
from graphrouter.http.actors import ActorKeys
from graphrouter.server.app import routed_app
from graphrouter.server.reloading import ReloadingApp, Source
from graphrouter.telemetry import RouterMetrics
from tests.benchmark.bench_router import MANY, NUMBERS, PEOPLE, USERS, answering
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

ROUNDS: Final = 15
OPERATIONS: Final = 150
_KEY: Final = SigningKey()
_HASH: Final = hashlib.sha256(MANY.encode()).hexdigest()
_BY_HASH: Final = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": _HASH}}}


def _passing(*_: object) -> None:
    """Leaves everything as it is."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One row: the options that switch it on, and what a request has besides."""

    name: str
    options: RouterOptions
    body: Mapping[str, object] = field(default_factory=lambda: {"query": MANY})
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    reloading: bool = False


_AROUND: Final = Hooks(request=(_passing,), plan=(_passing,), response=(_passing,))
_OF_SUBGRAPHS: Final = Hooks(subgraph_request=(_passing,), subgraph_answer=(_passing,))
_KNOWN: Final = Authentication((Issuer(ISSUER, key_set(_KEY.public()), (AUDIENCE,)),))
_TOKEN: Final = bearer(_KEY.token())
FEATURES: Final = (
    Feature("nothing", RouterOptions()),
    Feature("as before", RouterOptions()),
    Feature("authentication, no token", RouterOptions(authentication=_KNOWN)),
    Feature("authentication by a token", RouterOptions(authentication=_KNOWN), headers=_TOKEN),
    Feature(
        "the same, and the actor signed",
        RouterOptions(authentication=_KNOWN, actor_keys=ActorKeys([bytes(32)])),
        headers=_TOKEN,
    ),
    Feature(
        "automatic persisted queries, by hash", RouterOptions(persisted=PersistedOperations(automatic=True)), _BY_HASH
    ),
    Feature(
        "trusted operations, by id",
        RouterOptions(persisted=PersistedOperations(trusted={"many": MANY})),
        {"documentId": "many"},
    ),
    Feature("rate limit", RouterOptions(rate_limit=RateLimit(1e6, burst=10**6))),
    Feature("adaptive admission", RouterOptions(adaptive_concurrency=True)),
    Feature("retries and breaker", RouterOptions(traffic=Traffic(Retries(), Breaker()))),
    Feature("limit of costs", RouterOptions(limits=Limits(cost=10**6))),
    Feature("costs told", RouterOptions(expose_cost=True)),
    Feature(
        "hooks of request, plan and response",
        RouterOptions(hooks=Hooks((_passing,), None, (_passing,), (), (), (_passing,))),
    ),
    Feature(
        "hooks: one before and after each subgraph",
        RouterOptions(hooks=Hooks(subgraph_request=(_passing,), subgraph_answer=(_passing,))),
    ),
    Feature("metrics", RouterOptions(metrics=RouterMetrics())),
    Feature("reloads, watching a file", RouterOptions(), reloading=True),
)


class Requests:
    """Sends one request of a feature after the other to an app."""

    def __init__(self, app: ASGIApp, feature: Feature) -> None:
        headers = {"host": "localhost", "content-type": "application/json", "accept": "application/json"}
        self._app = app
        self._body = orjson.dumps(feature.body)
        self._headers = [(name.encode(), value.encode()) for name, value in {**headers, **feature.headers}.items()]

    async def send(self, count: int) -> bytes:
        """The last answer."""
        body = b""
        for _ in range(count):
            body = await self._answer()
        return body

    async def _answer(self) -> bytes:
        parts: list[bytes] = []
        unread = [self._body]

        async def receive() -> dict[str, Any]:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            await asyncio.Event().wait()  # the client stays
            raise RuntimeError

        async def send(message: Any) -> None:
            parts.append(message.get("body", b""))

        await self._app(
            {
                "type": "http",
                "method": "POST",
                "path": "/graphql",
                "raw_path": b"/graphql",
                "root_path": "",
                "scheme": "http",
                "query_string": b"",
                "http_version": "1.1",
                "headers": list(self._headers),
                "client": ("127.0.0.1", 50_000),
                "server": ("127.0.0.1", 4000),
            },
            receive,
            send,
        )
        return b"".join(parts)


async def _served(stack: contextlib.AsyncExitStack, feature: Feature, watched: Path) -> ASGIApp:
    apps = {"people": answering(PEOPLE), "numbers": answering(NUMBERS)}
    router = await stack.enter_async_context(await GraphRouter.compose(apps, feature.options))
    if not feature.reloading:
        return routed_app(lambda: router, feature.options)

    async def make() -> GraphRouter:
        return router

    source = Source(feature.options, make, frozenset([watched]))
    app = ReloadingApp(source, lambda: source)
    await stack.enter_async_context(_lifespan(app))
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncGenerator[None]:
    received: asyncio.Queue[Any] = asyncio.Queue()
    sent: asyncio.Queue[Any] = asyncio.Queue()
    running = asyncio.create_task(_coroutine(app({"type": "lifespan"}, received.get, sent.put)))
    for event in ("startup", "shutdown"):
        await received.put({"type": f"lifespan.{event}"})
        told = await sent.get()
        if told["type"] != f"lifespan.{event}.complete":
            raise RuntimeError(told)
        if event == "startup":
            yield
    await running


async def _coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


async def measured() -> None:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "router.yaml").touch()
        requests: list[Requests] = []
        for feature in FEATURES:
            made = Requests(await _served(stack, feature, folder / "router.yaml"), feature)
            if feature.body is _BY_HASH:
                made._body = orjson.dumps({"query": MANY, **_BY_HASH})
                await made.send(1)
                made._body = orjson.dumps(_BY_HASH)
            answer = orjson.loads(await made.send(20))
            if len((answer.get("data") or {"users": ()})["users"]) != USERS:
                raise RuntimeError(f"{feature.name}: {answer}")
            requests.append(made)
        times: list[list[float]] = [[] for _ in FEATURES]
        for _ in range(ROUNDS):
            for one, taken in zip(requests, times, strict=True):
                start = time.process_time()
                await one.send(OPERATIONS)
                taken.append((time.process_time() - start) / OPERATIONS * 1e6)
    base = times[0]
    sys.stdout.write(
        f"two fetches with {USERS} entities, {statistics.median(base):.0f} µs of CPU a request without any\n"
    )
    sys.stdout.write("| feature | ratio | µs |\n|---|---|---|\n")
    for feature, taken in zip(FEATURES[1:], times[1:], strict=True):
        ratio = statistics.median(mine / without for mine, without in zip(taken, base, strict=True))
        more = statistics.median(mine - without for mine, without in zip(taken, base, strict=True))
        sys.stdout.write(f"| {feature.name} | {ratio:.2f} | {more:+.0f} |\n")


def main() -> None:
    asyncio.run(measured())


if __name__ == "__main__":
    main()
