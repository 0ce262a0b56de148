"""A system as operators run it distributed: a process a subgraph, more where a test asks for them, and a router."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from eventgraph import System
from eventgraph.running.claims_keys import drawn
from eventkernel.writing.claims import ClaimsKey
from infra.local import KafkaAddress, MongodbAddress, Neo4jAddress
from kithgraph.system import SOCIAL_NETWORK
from tests.support.kith import NOTHING, RunningKith, running_kith

SUBGRAPHS: Sequence[str] = SOCIAL_NETWORK.names


@dataclass(frozen=True)
class Engines:
    """Where the engines are, and what this system's topics and databases are called."""

    kafka: KafkaAddress
    mongodb: MongodbAddress
    neo4j: Neo4jAddress | None
    """None: the system keeps nothing there."""
    name: str
    keys: str | None = None
    """The claims keys; None: drawn."""
    more: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings on top of the usual ones."""
    system: System = SOCIAL_NETWORK

    def __post_init__(self) -> None:
        if self.keys is None:
            object.__setattr__(self, "keys", drawn(self.system))

    @property
    def claims_keys(self) -> Mapping[str, ClaimsKey]:
        """By the log's name."""
        return {name: ClaimsKey.from_text(key) for name, key in json.loads(self.keys or "{}").items()}

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of every process."""
        found = {
            "NAME": self.name,
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "KAFKA_PARTITIONS": "3",
            "KAFKA_REPLICAS": "1",
            "KAFKA_IN_SYNC_REPLICAS": "1",
            "MONGODB_URL": self.mongodb.url,
            "CLAIMS_KEYS": self.keys or "",
        }
        if self.neo4j is not None:
            found |= {
                "NEO4J_URL": self.neo4j.url,
                "NEO4J_USER": self.neo4j.user,
                "NEO4J_PASSWORD": self.neo4j.password,
            }
        return {f"{self.system.prefix}{name}": value for name, value in found.items()} | dict(self.more)


@asynccontextmanager
async def part(engines: Engines, *arguments: str) -> AsyncGenerator[RunningKith]:
    """One more process, such as `serve users` or `project friends`, on a free port."""
    async with running_kith(
        *arguments, "--port", "0", environment=engines.environment, system=engines.system.name
    ) as running:
        yield running


@asynccontextmanager
async def router(
    parts: Mapping[str, RunningKith], system: System = SOCIAL_NETWORK, more: Mapping[str, str] = NOTHING
) -> AsyncGenerator[RunningKith]:
    """A router over these subgraphs, with these settings besides."""
    urls = {f"{system.prefix}{name.upper()}_URL": f"{running.origin}/graphql" for name, running in parts.items()}
    async with running_kith(
        "serve", "router", "--port", "0", environment={**urls, **more}, system=system.name
    ) as running:
        yield running


@asynccontextmanager
async def distributed_kith(engines: Engines, *options: str) -> AsyncGenerator[RunningKith]:
    """One process for each subgraph, and a router: what that serves is the system. `options` are the subgraphs'."""
    async with distributed_parts(engines, *options) as (running, _):
        yield running


@asynccontextmanager
async def distributed_parts(
    engines: Engines, *options: str
) -> AsyncGenerator[tuple[RunningKith, Mapping[str, RunningKith]]]:
    """The same, and the subgraphs' processes by name."""
    names = engines.system.names
    async with AsyncExitStack() as stack:
        started = await asyncio.gather(
            *(stack.enter_async_context(part(engines, "serve", name, *options)) for name in names)
        )
        parts = dict(zip(names, started, strict=True))
        yield await stack.enter_async_context(router(parts, engines.system)), parts
