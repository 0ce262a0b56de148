"""Logs of any length for benchmarks: people who come, change and go, and their friendships, drawn from a seed."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eventkernel.adapters.sqlite.connection import open_writer
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.log_statements import insert
from eventkernel.clock import SystemClock
from eventkernel.events import DomainEvent, Record
from eventkernel.writing.appending import record_id
from eventkernel.writing.codec import Codec
from subgraphs.friends.domain import EVENT_TYPES as FRIEND_EVENTS
from subgraphs.friends.domain import FriendAdded, FriendRemoved, Pair
from subgraphs.users.domain import EVENT_TYPES as USER_EVENTS
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated

FIRST_NAMES: Final = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Kurt", "Emmy", "Sofja")
LAST_NAMES: Final = ("Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Allen", "Gödel", "Noether")
START_US: Final = 1_700_000_000_000_000
BATCH: Final = 1_000


class History:
    """One log's records as they are drawn, each stream's versions in order."""

    def __init__(self, log: str, codec: Codec, chance: random.Random) -> None:
        self.chance = chance
        self._log = log
        self._codec = codec
        self._offset = 0
        self._versions: dict[str, int] = {}

    def record(self, stream: str, event: DomainEvent) -> Record:
        self._offset += 1
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        encoded = self._codec.encode(event, stream)
        return Record(
            log=self._log, partition=0, offset=self._offset, id=record_id(stream, version), type=encoded.type,
            time_us=START_US + self._offset * 1_000, stream=stream, version=version, first_version=version,
            commit_size=1, command_id=f"{self.chance.getrandbits(128):032x}", fingerprint=f"{self._offset:064x}",
            correlation=f"{self.chance.getrandbits(128):032x}", data=encoded.data,
        )  # fmt: skip


def user_ids(count: int, chance: random.Random) -> list[str]:
    """Ids that grow with time, as the system's own do."""
    return [f"{0x018B_0000_0000_0000 + n:012x}{chance.getrandbits(76):019x}7" for n in range(count)]


def users(history: History, ids: list[str], count: int) -> Iterator[Record]:
    """`count` events: everybody comes; of the rest, nine in ten are new names, and one is somebody's end."""
    chance, here = history.chance, list(ids)
    for user in ids:
        first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
        yield history.record(f"user-{user}", UserCreated(first_name=first, last_name=last, username=None))
    for _ in range(count - len(ids)):
        place = chance.randrange(len(here))
        if chance.random() < 0.9 or len(here) < 3:
            yield history.record(f"user-{here[place]}", UserUpdated(last_name=chance.choice(LAST_NAMES)))
        else:
            here[place], here[-1] = here[-1], here[place]
            yield history.record(f"user-{here.pop()}", UserDeleted())


def friendships(history: History, ids: list[str], count: int) -> Iterator[Record]:
    """`count` events: two people become friends, or, one time in ten, two are friends no more."""
    chance, lasting = history.chance, dict[Pair, None]()
    while count:
        if lasting and chance.random() < 0.1:
            pair, _ = lasting.popitem()
            event: DomainEvent = FriendRemoved(users=(pair.low, pair.high), reason="by hand")
        else:
            one, other = chance.choice(ids), chance.choice(ids)
            if one == other or Pair.of(one, other) in lasting:
                continue
            pair = Pair.of(one, other)
            lasting[pair] = None
            event = FriendAdded(users=(pair.low, pair.high))
        count -= 1
        yield history.record(pair.stream, event)


async def opened(folder: Path, name: str) -> SqliteEventStore:
    return await SqliteEventStore.open(folder / f"{name}.sqlite", name=name, clock=SystemClock())


async def write_logs(folder: Path, people: int, user_events: int, friend_events: int) -> None:
    """Make `users.sqlite` and `friends.sqlite`, the logs that the embedded mode would have made, in bulk."""
    chance = random.Random(1)
    ids = user_ids(people, chance)
    for name, types in (("users", USER_EVENTS), ("friends", FRIEND_EVENTS)):
        store = await opened(folder, name)
        history = History(store.log, Codec(types), chance)
        await store.aclose()
        drawn = users(history, ids, user_events) if name == "users" else friendships(history, ids, friend_events)
        write(folder / f"{name}.sqlite", drawn)


def write(file: Path, records: Iterator[Record]) -> None:
    connection = open_writer(file)
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            _commit(connection, batch)
    _commit(connection, batch)
    connection.close()


def _commit(connection: sqlite3.Connection, batch: list[Record]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    insert(connection, batch)
    connection.execute("COMMIT")
    batch.clear()
