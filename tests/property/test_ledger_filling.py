"""A ledger says what its log says, however it is filled: by many at once, who die and are replaced anywhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.kafka import ledger_filler
from eventkernel.adapters.kafka.ledger_filler import Filler
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.mongodb.ledger import Ledger
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_filling import LedgerFilling
from eventkernel.adapters.mongodb.ledger_generation import Generation
from eventkernel.errors import Unavailable
from eventkernel.events import COMMAND_REMEMBERED, FENCE, STREAM_RESUMED, Record
from eventkernel.writing.fences import fence
from tests.simulation.mongo.client import database_of
from tests.simulation.mongo.server import MongoServer
from tests.simulation.network import Network
from tests.support.kafka_log import CLAIMS_KEY, LOG, NOW_US, commit

PARTITIONS: Final = 3
CLAIMS: Final = ("a", "b", "c")


@dataclass
class StillNetwork:
    """Every request arrives; between two of them anybody may come. Those of `cut` are lost before their effect."""

    chance: random.Random
    cut: int = 0
    asked: int = 0

    async def ask(
        self, _server: object, work: Callable[[], Any], lost: Callable[[], Exception], _patience: float
    ) -> Any:
        for _ in range(self.chance.randint(1, 3)):
            await asyncio.sleep(0)
        self.asked += 1
        if self.asked == self.cut:
            raise lost()
        return work()

    async def ask_steps(
        self, server: object, steps: Sequence[Callable[[], Any]], lost: Callable[[], Exception], patience: float
    ) -> None:
        """A bulk that breaks off leaves some of it behind."""
        self.chance.shuffle(cast("list[Any]", steps))
        for step in steps:
            await self.ask(server, step, lost, patience)


@dataclass
class WrittenLog:
    """A log's partitions, and a reader that gives them in pieces of any size."""

    chance: random.Random
    partitions: list[list[Record]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    log: str = LOG

    def put(self, partition: int, records: Sequence[Record], **changes: Any) -> None:
        for record in records:
            offset = len(self.partitions[partition])
            new = msgspec.structs.replace(record, partition=partition, offset=offset, **changes)
            self.partitions[partition].append(new)

    async def read(self, partition: int, start: int, stop: int) -> AsyncGenerator[Sequence[Record], None]:
        while start < stop:
            end = min(stop, start + self.chance.randint(1, 9))
            await asyncio.sleep(0)
            yield self.partitions[partition][start:end]
            start = end


def drawn_log(chance: random.Random) -> WrittenLog:
    """Commits as writers make them, which pass claims on between partitions; and what others may put between them."""
    log = WrittenLog(chance)
    for number in range(PARTITIONS):
        log.put(number, [fence(LOG, number, 1, CLAIMS_KEY, NOW_US)])
    versions: dict[str, int] = {}
    held: dict[str, str] = {}
    for step in range(chance.randint(1, 40)):
        stream = f"door-{chance.randrange(5)}"
        number, version = int(stream[-1]) % PARTITIONS, versions.get(stream, 0)
        match chance.randrange(12):
            case 0:  # somebody else's record: behind a gap, or again
                intruder = commit(stream, max(1, version + chance.choice((-1, 0, 2, 3))), chance.randint(1, 2))
                log.put(number, intruder, command_id=f"intruder {step}", claims_taken=("foreign",))
            case 1:  # of an older generation than the fence before it
                log.put(number, [fence(LOG, number, 2, CLAIMS_KEY, NOW_US)])
                log.put(number, commit(stream, version + 1, 1), command_id=f"late {step}", generation=1)
            case 2:
                remembered = commit(stream, version, 1)
                for _ in range(chance.randint(1, 2)):  # it may come twice
                    log.put(number, remembered, version=0, first_version=version, type=COMMAND_REMEMBERED,
                            command_id=f"remembered {step}", generation=2)  # fmt: skip
            case 3:
                log.put(number, commit(stream, version + 1, 1), type=STREAM_RESUMED, generation=2)
                versions[stream] = version + 1
            case _:
                size = chance.randint(1, 3)
                mine = [claim for claim, holder in held.items() if holder == stream]
                given_up = tuple(claim for claim in mine if chance.random() < 0.5)
                for claim in given_up:
                    del held[claim]
                taken = tuple(claim for claim in CLAIMS if claim not in held and chance.random() < 0.3)
                held.update(dict.fromkeys(taken, stream))
                records = commit(stream, version + 1, size)
                log.put(number, records[:1], claims_taken=taken, claims_given_up=given_up, generation=2)
                log.put(number, records[1:], generation=2)
                versions[stream] = version + size
    return log


@dataclass
class Told:
    """What a log says, by a fold of all of it in memory, one partition after the other."""

    commits: dict[str, tuple[str, int, int, int, int]] = field(
        default_factory=dict[str, tuple[str, int, int, int, int]]
    )
    holders: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """Of each claim: the streams that hold it, and through which version. Only what others have put between the
    commits makes them more than one."""
    waiting: dict[str, int] = field(default_factory=dict[str, int])


def told_by(log: WrittenLog) -> Told:
    told = Told()
    for records in log.partitions:
        generation, ends, behind = 0, dict[str, int](), dict[str, list[Record]]()
        index = 0
        while index < len(records):
            first = records[index]
            whole = records[index : index + first.commit_size]
            if first.type == FENCE:
                generation = max(generation, first.generation)
            elif first.generation >= generation:
                _take(told, whole, ends, behind)
            index += len(whole)
        for stream, left in behind.items():
            if left:
                told.waiting[stream] = ends.get(stream, 0)
    return told


def _take(told: Told, whole: list[Record], ends: dict[str, int], behind: dict[str, list[Record]]) -> None:
    first, last, stream = whole[0], whole[-1], whole[0].stream
    end = ends.get(stream, 0)
    if first.version > end + 1:
        behind.setdefault(stream, []).append(last)
    elif first.version > end or not first.version:
        told.commits.setdefault(first.command_id, (stream, first.version, last.version, first.partition, first.offset))
        if first.version:
            ends[stream] = last.version
            left = [one for one in behind.get(stream, ()) if one.version > last.version]
            behind[stream] = [] if first.type == STREAM_RESUMED else left
            for claim in first.claims_given_up:
                told.holders.get(claim, {}).pop(stream, None)
            for claim in first.claims_taken:
                told.holders.setdefault(claim, {})[stream] = first.version


async def filled(log: WrittenLog, chance: random.Random) -> Documents:
    """The ledger that fillers make of it who are cut off, come again, and are at it at the same time."""
    network = StillNetwork(chance)
    server = MongoServer(cast("Network", network), lambda: 0.0)
    ledger = Ledger(database_of(server, "db"), "doors")
    ends = tuple(map(len, log.partitions))
    generation = Generation(LOG, 3, "3.abc", fences=ends)
    await LedgerFilling(ledger.documents(generation)).begin(PARTITIONS)

    async def fill(name: str) -> None:
        for attempt in range(20):
            filling = LedgerFilling(ledger.documents(generation))
            try:
                assert await Filler(cast("KafkaLog", log), filling, generation, name).fill() < 3
                await filling.settle()
            except Unavailable:
                name = f"{name}.{attempt}" if chance.random() < 0.5 else name
            else:
                return

    network.cut = network.asked + chance.randint(1, 60)
    await asyncio.gather(*(fill(f"filler {number}") for number in range(chance.randint(1, 3))))
    network.cut = 0
    return ledger.documents(generation)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_ledger_that_is_filled_by_many_says_what_its_log_says(seed: int) -> None:
    chance = random.Random(seed)
    log = drawn_log(chance)

    async def fill() -> tuple[Documents, Sequence[Mapping[str, Any]]]:
        documents = await filled(log, chance)
        return documents, await documents.collection.find({"partition": {"$exists": True}}).to_list(None)

    with (
        patch.object(ledger_filler, "SILENCE_SECONDS", chance.choice((-1.0, 0.0))),
        patch.object(ledger_filler, "_LOOK_SECONDS", 0.0),
        patch.object(ledger_filler, "_AT_ONCE", chance.randint(1, 6)),
        patch.object(ledger_filler, "_KNOWN_ENDS", chance.choice((0, 1, 100))),
    ):
        documents, found = asyncio.run(fill())
    told = told_by(log)
    stops = {one["stream"]: one["stopsAt"] for one in found if "stopsAt" in one}
    kept = {one["_id"]: (one["stream"], one["first"], one["last"], one["partition"], one["offset"])
            for one in found if "stopsAt" not in one}  # fmt: skip
    claims = {
        key[6:]: (one["stream"], one["first"]) for one in found for key in one["keys"] if key.startswith("claim ")
    }
    remembered = {command for command, commit in told.commits.items() if not commit[1]}
    assert {command: one for command, one in kept.items() if command not in remembered} == {
        command: one for command, one in told.commits.items() if command not in remembered
    }
    assert remembered <= kept.keys()
    assert stops == told.waiting
    assert claims.keys() == {claim for claim, holders in told.holders.items() if holders}
    for claim, (stream, version) in claims.items():
        assert told.holders[claim].get(stream) == version, claim
    assert not [one for one in found if one.get("pending") not in (None, "behind a gap")]
    assert documents.generation.number == 3


def test_a_claim_that_another_filler_inserted_before_it_was_given_up_is_free() -> None:
    """One has the commit that takes the claim in hand, the other one also the commit that gives it up."""
    log = WrittenLog(random.Random(0))
    log.put(0, commit("door-0", 1, 1), claims_taken=("a", "b"))
    log.put(0, commit("door-0", 2, 1), claims_given_up=("a",))
    takes, gives_up = ([record] for record in log.partitions[0])

    async def fill() -> list[str]:
        server = MongoServer(cast("Network", StillNetwork(random.Random(0))), lambda: 0.0)
        documents = Ledger(database_of(server, "db"), "doors").documents(Generation(LOG, 3, "3.abc", fences=(2,)))
        await LedgerFilling(documents).begin(1)
        await ledger_filler._Partition(LOG, LedgerFilling(documents)).keep([takes])
        await ledger_filler._Partition(LOG, LedgerFilling(documents)).keep([takes, gives_up])
        return sorted(key for one in await documents.collection.find({}).to_list(None) for key in one["keys"])

    assert asyncio.run(fill()) == ["claim b", "share 0", "version 1 door-0", "version 2 door-0"]
