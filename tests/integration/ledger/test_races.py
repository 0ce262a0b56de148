"""Two replicas at once on the same streams, claims and command ids: what is acknowledged is on the log, once in effect,
no stream forks, and a claim has one holder."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.errors import ClaimTaken, ConcurrencyConflict, IdempotencyMismatch, Unavailable
from eventkernel.testing.event_store_contract import put
from eventkernel.writing.store import Commit
from tests.support.kafka_store import KEY, KafkaLogOnServers, effects, holders, patiently

pytestmark = pytest.mark.engines

STREAMS = [f"door-{number}" for number in range(4)]
CLAIMS = [f"key:{number}" for number in range(3)]


async def client(stores: Sequence[KafkaEventStore], seed: int) -> list[Commit]:
    """Commands one after the other, each sent to every replica at once, as an impatient client would."""
    chance = random.Random(seed)
    commits: list[Commit] = []
    for number in range(6):
        stream = chance.choice(STREAMS)
        claims = None if chance.random() < 0.4 else chance.sample(CLAIMS, chance.randrange(3))
        command = f"{seed}-{number}" if chance.random() < 0.7 else f"shared-{chance.randrange(6)}"
        for _ in range(20):
            after = len(await patiently(stores[0].read_stream, stream))
            sent = [put(store, stream, "a", "b", after=after, command=command, claims=claims) for store in stores]
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
            commits += [outcome for outcome in outcomes if isinstance(outcome, Commit)]
            unexpected = [
                outcome
                for outcome in outcomes
                if not isinstance(outcome, Commit | ConcurrencyConflict | ClaimTaken | Unavailable)
            ]
            assert unexpected == []
            if not any(isinstance(outcome, ConcurrencyConflict | Unavailable) for outcome in outcomes):
                break
    return commits


async def check(store: KafkaEventStore, commits: Sequence[Commit]) -> None:
    found = {effect.command: effect for effect in await effects(store.reader)}
    for commit in commits:
        effect = found[commit.command_id]
        assert (effect.stream, effect.first + effect.size - 1) == (commit.stream, commit.version)
        ((partition, offset),) = commit.position.items()
        assert effect.partition == partition.number
        assert offset >= effect.offset + effect.size, "whoever has reached the position has seen the commit"
    held = holders(list(found.values()))
    for claim in CLAIMS:
        holder = await store.find_claim(claim)
        assert (None if holder is None else holder.stream) == held.get(KEY.seal(claim))


async def test_what_replicas_acknowledge_in_a_race_is_on_the_log_once(servers: KafkaLogOnServers) -> None:
    """G1 to G4. Seen to fail without the unique index (below)."""
    stores = [await servers.another(), await servers.another()]
    commits = [commit for made in await asyncio.gather(*(client(stores, seed) for seed in range(6))) for commit in made]
    assert commits
    await check(stores[0], commits)
    await check(stores[1], commits)


async def test_without_the_unique_index_a_race_breaks_something(servers: KafkaLogOnServers) -> None:
    stores = [await servers.another(), await servers.another()]
    for name in await servers.database.list_collection_names():
        if "commits" in name:
            await servers.database[name].drop_index("keys_1")
    commits: list[Commit] = []
    for number in range(20):
        sent = [
            put(store, f"door-{number}", str(index), command=f"{index} of {number}", claims={f"key:{number}"})
            for index, store in enumerate(stores)
        ]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        commits += [outcome for outcome in outcomes if isinstance(outcome, Commit)]
    with pytest.raises((AssertionError, KeyError)):
        await check(stores[0], commits)


async def test_a_command_sent_to_every_replica_at_once_has_one_answer(servers: KafkaLogOnServers) -> None:
    """G4."""
    stores = [await servers.another() for _ in range(3)]
    for number in range(5):
        sent = [put(store, f"door-{number}", "a", command=f"c{number}") for store in stores * 3]
        commits = await asyncio.gather(*sent)
        assert len({(commit.stream, commit.version) for commit in commits}) == 1
    with pytest.raises(IdempotencyMismatch):
        await put(stores[1], "door-0", "b", after=1, command="c0", fingerprint="another")
    assert len(await effects(stores[0].reader)) == 5


async def test_a_claim_that_every_replica_wants_at_once_goes_to_one(servers: KafkaLogOnServers) -> None:
    """G3."""
    stores = [await servers.another() for _ in range(3)]
    sent = [put(store, f"door-{number}", "a", claims={"key:1"}) for number, store in enumerate(stores * 4)]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    winners = [outcome for outcome in outcomes if isinstance(outcome, Commit)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, ClaimTaken) for outcome in outcomes) == 11
    assert holders(await effects(stores[0].reader)) == {KEY.seal("key:1"): winners[0].stream}
