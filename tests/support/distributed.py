"""Kithgraph as operators run it distributed: a process a subgraph, more where a test asks for them, and a router."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from eventgraph.running.claims_keys import drawn
from eventkernel.writing.claims import ClaimsKey
from infra.local import KafkaAddress, MongodbAddress, Neo4jAddress
from kithgraph.system import SOCIAL_NETWORK
from tests.support.kith import RunningKith, running_kith

SUBGRAPHS: Sequence[str] = SOCIAL_NETWORK.names


@dataclass(frozen=True)
class Engines:
    """Where the engines are, and what this system's topics and databases are called."""

    kafka: KafkaAddress
    mongodb: MongodbAddress
    neo4j: Neo4jAddress
    name: str
    keys: str = field(default_factory=lambda: drawn(SOCIAL_NETWORK))
    more: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings on top of the usual ones."""

    @property
    def claims_keys(self) -> Mapping[str, ClaimsKey]:
        """By the log's name."""
        return {name: ClaimsKey.from_text(key) for name, key in json.loads(self.keys).items()}

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of every process."""
        return {
            "KITH_NAME": self.name,
            "KITH_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "KITH_KAFKA_PARTITIONS": "3",
            "KITH_KAFKA_REPLICAS": "1",
            "KITH_KAFKA_IN_SYNC_REPLICAS": "1",
            "KITH_MONGODB_URL": self.mongodb.url,
            "KITH_NEO4J_URL": self.neo4j.url,
            "KITH_NEO4J_USER": self.neo4j.user,
            "KITH_NEO4J_PASSWORD": self.neo4j.password,
            "KITH_CLAIMS_KEYS": self.keys,
            **self.more,
        }


@asynccontextmanager
async def part(engines: Engines, *arguments: str) -> AsyncGenerator[RunningKith]:
    """One more process, such as `serve users` or `project friends`, on a free port."""
    async with running_kith(*arguments, "--port", "0", environment=engines.environment) as running:
        yield running


@asynccontextmanager
async def router(parts: Mapping[str, RunningKith]) -> AsyncGenerator[RunningKith]:
    """A router over these subgraphs."""
    urls = {f"KITH_{name.upper()}_URL": f"{running.origin}/graphql" for name, running in parts.items()}
    async with running_kith("serve", "router", "--port", "0", environment=urls) as running:
        yield running


@asynccontextmanager
async def distributed_kith(engines: Engines, *options: str) -> AsyncGenerator[RunningKith]:
    """One process for each subgraph, and a router: what that serves is the system. `options` are the subgraphs'."""
    async with AsyncExitStack() as stack:
        started = await asyncio.gather(
            *(stack.enter_async_context(part(engines, "serve", name, *options)) for name in SUBGRAPHS)
        )
        yield await stack.enter_async_context(router(dict(zip(SUBGRAPHS, started, strict=True))))
