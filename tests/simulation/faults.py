"""What goes wrong: each fault is a function that does it, waits, and makes it good again where that is part of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from aiokafka import TopicPartition

from tests.simulation.broker import Message
from tests.simulation.network import Server, Weather
from tests.simulation.plan import PATIENCE_SECONDS, Fault
from tests.simulation.systems import Systems
from tests.simulation.world import SILENCE_SECONDS, Replica, World

_NOTICED_SECONDS: Final = 1.0
"""So long after a log was cut, or a database dropped, a process may answer from what it has read of it, or with
nothing: until its next look."""

_SAVE_SECONDS: Final = 0.03
"""So long after a commit a view saves it."""

Doing = Callable[["Faults", Fault], Awaitable[None]]


class Faults:
    def __init__(self, world: World, systems: Systems) -> None:
        self.world = world
        self.systems = systems
        self.chance = Random(f"{world.chance.random()} faults")
        self.lost_at: dict[str, float] = {}
        """By system: when its log has lost something for the last time."""
        self.dropped_at: dict[str, float] = {}
        """By system: when its views were dropped for the last time."""
        self._excused: dict[tuple[str, int], float] = {}

    def excuses(self, stream: str, version: int, told: float) -> bool:
        """Whether this was on a log when it was told, and an operator has put an older log in its place since."""
        return told < self._excused.get((stream, version), 0.0)

    def excuse(self, messages: Sequence[Message]) -> None:
        for message in messages:
            headers = dict(message.headers)
            if message.key is not None:
                told = self.world.loop.time() + PATIENCE_SECONDS  # its answer may be on its way still
                self._excused[message.key.decode(), int(headers["ce_streamversion"])] = told

    async def happen(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        await KINDS[fault.kind](self, fault)
        for since in (self.lost_at, self.dropped_at):  # a process that was paused meanwhile has yet to notice
            since.update(dict.fromkeys(since, self.world.loop.time() + _NOTICED_SECONDS))

    def replica(self, fault: Fault) -> Replica[Any]:
        replicas = self.world.replicas
        return replicas[fault.target % len(replicas)]

    def system(self, fault: Fault) -> str:
        names = sorted({replica.system for replica in self.world.replicas})
        return names[fault.target % len(names)]

    def server(self, fault: Fault) -> Server:
        return (self.world.broker, self.world.mongo)[fault.target % 2]

    def tell(self, text: str) -> None:
        self.world.tell(f"FAULT: {text}")


async def storm(on: Faults, fault: Fault) -> None:
    """Requests are slow, and they or their answers get lost."""
    network = on.world.network
    on.tell(f"for {fault.seconds:g} s requests are slow, and some are lost")
    network.weather = Weather(
        slow=0.1, slow_most=(0.1, 1.0, 12.0)[fault.amount - 1], lose_request=0.04, lose_answer=0.08, torn=0.5
    )
    await asyncio.sleep(fault.seconds)
    network.weather = Weather()


async def crash(on: Faults, fault: Fault) -> None:
    replica = on.replica(fault)
    on.tell(f"{replica.name} crashes, and starts again after {fault.seconds:g} s")
    replica.crash()
    on.systems.member_lost()
    await asyncio.sleep(fault.seconds)
    replica.start()


async def pause(on: Faults, fault: Fault) -> None:
    replica = on.replica(fault)
    on.tell(f"{replica.name} pauses for {fault.seconds:g} s")
    process = replica.process
    on.world.loop.freeze(process)
    if fault.seconds > SILENCE_SECONDS:
        on.systems.member_lost()
    await asyncio.sleep(fault.seconds)
    if not process.crashed:
        on.world.loop.thaw(process)


async def cut_off(on: Faults, fault: Fault) -> None:
    replica, server = on.replica(fault), on.world.mongo if fault.amount > 1 else on.world.broker
    on.tell(f"{replica.name} cannot reach {server.name} for {fault.seconds:g} s")
    server.cut_off[replica.name] += 1
    await asyncio.sleep(fault.seconds)
    server.cut_off[replica.name] -= 1


async def slow_link(on: Faults, fault: Fault) -> None:
    """Some of what a replica sends to a server arrives late: its sender may have given up, and others have acted."""
    replica, server = on.replica(fault), on.world.mongo if fault.amount > 1 else on.world.broker
    on.tell(f"for {fault.seconds:g} s what {replica.name} sends to {server.name} arrives late")
    on.world.network.late[replica.name, server.name] = fault.seconds
    await asyncio.sleep(fault.seconds)
    on.world.network.late.pop((replica.name, server.name), None)


async def server_down(on: Faults, fault: Fault) -> None:
    server = on.server(fault)
    on.tell(f"{server.name} is down for {fault.seconds:g} s")
    server.down = True
    if server is on.world.broker:
        on.world.broker.disconnect()
    await asyncio.sleep(fault.seconds)
    server.down = False


async def old_primary(on: Faults, fault: Fault) -> None:
    """MongoDB has elected another primary, and a replica has not heard of it: the old one takes no write and answers no
    linearizable read, for it reaches no majority; what it has of the majority it shows."""
    replica, mongo = on.replica(fault), on.world.mongo
    on.tell(f"{replica.name} asks a primary of before for {fault.seconds:g} s")
    mongo.deposed[replica.name] = mongo.as_it_is()
    mongo.cut_off[replica.name] += 1
    await asyncio.sleep(fault.seconds)
    mongo.cut_off[replica.name] -= 1
    mongo.deposed.pop(replica.name, None)


async def rebalance(on: Faults, fault: Fault) -> None:
    on.tell(f"the partitions are assigned anew {fault.amount} times within {fault.seconds:g} s")
    for _ in range(fault.amount):
        on.systems.rearrange()
        await asyncio.sleep(fault.seconds / fault.amount)


async def rebuild(on: Faults, fault: Fault) -> None:
    replica = on.replica(fault)
    service = replica.service
    if service is None or replica.process.frozen:
        return
    on.tell(f"{replica.name} is asked to rebuild its view")
    projector = service.projector if replica.system == "bank" else service.subgraph.projector
    on.world.spawn(_quietly(projector.rebuild()), replica.process)


async def wipe_ledger(on: Faults, fault: Fault) -> None:
    system = on.system(fault)
    on.tell(f"the ledger of {system} is dropped")
    collections = on.world.mongo.database(system)
    for name in [name for name in collections if _of_ledger(system, name)]:
        del collections[name]


async def restore_ledger(on: Faults, fault: Fault) -> None:
    """An older copy is put back, without the generation, as the documentation tells operators to."""
    system, mongo = on.system(fault), on.world.mongo
    copy = mongo.copy(system, lambda name: _of_ledger(system, name) and not name.endswith(".generation"))
    await asyncio.sleep(fault.seconds)
    on.tell(f"the ledger of {system} is put back as it was {fault.seconds:g} s ago")
    mongo.restore(system, copy, lambda name: _of_ledger(system, name))


async def restore_view(on: Faults, fault: Fault) -> None:
    """An older copy of a view's collections and their checkpoint, while its processes are stopped."""
    system, mongo = on.system(fault), on.world.mongo
    copy = mongo.copy(system, lambda name: not _of_ledger(system, name))
    await asyncio.sleep(fault.seconds)
    on.tell(f"the view of {system} is put back as it was {fault.seconds:g} s ago, its processes start again")
    stopped = [replica for replica in on.world.replicas if replica.system == system]
    for replica in stopped:
        replica.crash()
    mongo.restore(system, copy, lambda name: not _of_ledger(system, name))
    for replica in stopped:
        replica.start()
    on.systems.member_lost()


async def wipe_database(on: Faults, fault: Fault) -> None:
    system = on.system(fault)
    on.tell(f"the database of {system} is dropped")
    on.dropped_at[system] = on.world.loop.time()
    on.world.mongo.database(system).clear()


async def lose_log_tail(on: Faults, fault: Fault) -> None:
    """One broker and a power cut: its newest batches were acknowledged and not on its disk. The ledger has them."""
    system = on.system(fault)
    broker = on.world.broker
    broker.down = True
    broker.disconnect()
    on.lost_at[system] = on.world.loop.time() + 0.3
    await asyncio.sleep(0.3)
    for partition in range(len(broker.topics[system].partitions)):
        lost = broker.lose_newest(system, partition, on.chance.randint(0, fault.amount))
        if lost:
            on.tell(f"the broker of {system} has lost the newest {lost} records of partition {partition}")
    await asyncio.sleep(fault.seconds)
    broker.down = False


async def log_put_back(on: Faults, fault: Fault) -> None:
    """An operator puts an older log in the place of a newer one; views stay. The ledger is dropped with what is newer,
    as there is nothing that could be published again: whatever was acknowledged since then is lost by that."""
    system = on.system(fault)
    copy = _sizes(on, system)
    await asyncio.sleep(fault.seconds)
    on.tell(f"the log of {system} is put back as it was {fault.seconds:g} s ago, and its ledger dropped")
    _put_back(on, system, copy)


async def log_put_back_in_a_save(on: Faults, fault: Fault) -> None:
    """The same, to the moment before the newest commits, which a view may be about to save."""
    system, loop = on.system(fault), on.world.loop
    copy = _sizes(on, system)
    until = loop.time() + fault.seconds
    while sum(_sizes(on, system)) < sum(copy) + fault.amount and loop.time() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await asyncio.sleep(on.chance.random() * _SAVE_SECONDS)
    on.tell(f"the log of {system} is put back as it was before its newest commits, and its ledger dropped")
    _put_back(on, system, copy)


def _sizes(on: Faults, system: str) -> Sequence[int]:
    return [len(log) for log in on.world.broker.topics[system].partitions]


def _put_back(on: Faults, system: str, before: Sequence[int]) -> None:
    for replica in on.world.replicas:
        replica.crash()
    logs = on.world.broker.topics[system].partitions
    gone = [message for log, end in zip(logs, before, strict=True) for message in log[end:]]
    on.excuse(gone)
    for log, end in zip(logs, before, strict=True):
        del log[end:]
    collections = on.world.mongo.database(system)
    for name in [name for name in collections if _of_ledger(system, name)]:
        del collections[name]
    on.lost_at[system] = on.world.loop.time()
    for replica in on.world.replicas:
        replica.start()
    on.systems.member_lost()


async def drop_index(on: Faults, fault: Fault) -> None:
    system = on.system(fault)
    for name, collection in on.world.mongo.database(system).items():
        if name.startswith(f"{system}.commits."):
            on.tell(f"the ledger of {system} loses its unique index")
            collection.indexes.pop("keys_1", None)


async def foreign_record(on: Faults, fault: Fault) -> None:
    """A well-formed record whose version leaves a gap, from nobody of ours."""
    system = on.system(fault)
    for number, log in enumerate(on.world.broker.topics[system].partitions):
        last = next((message for message in reversed(log) if message.key is not None), None)
        if last is not None:
            headers = dict(last.headers)
            version = int(headers["ce_streamversion"]) + 10
            headers |= {
                "ce_streamversion": b"%d" % version, "ce_commitfirst": b"%d" % version, "ce_commitsize": b"1",
                "ce_id": b"foreign@%d" % version, "ce_commandid": b"foreign %d" % fault.amount,
            }  # fmt: skip
            on.tell(f"somebody puts version {version} of {last.key!r} on the log of {system}")
            changed = replace(last, offset=len(log), headers=list(headers.items()), batch=len(log))
            log.append(changed)
            on.world.broker.wake(TopicPartition(system, number))
            return


async def clock_ahead(on: Faults, fault: Fault) -> None:
    replica = on.replica(fault)
    on.tell(f"the clock of {replica.name} is an hour ahead for {fault.seconds:g} s")
    replica.clock.ahead = 3_600.0
    await asyncio.sleep(fault.seconds)
    replica.clock.ahead = 0.0


async def _quietly(work: Awaitable[object]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 -- a rebuild that fails is told to whom asked, who asks again
        return


def _of_ledger(system: str, name: str) -> bool:
    return name.startswith((f"{system}.commits.", f"{system}.generation"))


KINDS: Final[dict[str, Doing]] = {
    "storm": storm,
    "crash": crash,
    "pause": pause,
    "cut off": cut_off,
    "slow link": slow_link,
    "server down": server_down,
    "old primary": old_primary,
    "rebalance": rebalance,
    "rebuild": rebuild,
    "wipe ledger": wipe_ledger,
    "restore ledger": restore_ledger,
    "restore view": restore_view,
    "wipe database": wipe_database,
    "lose log tail": lose_log_tail,
    "log put back": log_put_back,
    "log put back in a save": log_put_back_in_a_save,
    "drop index": drop_index,
    "foreign record": foreign_record,
    "clock ahead": clock_ahead,
}

SURVIVED: Final = (
    "storm", "storm", "crash", "crash", "pause", "pause", "cut off", "slow link", "server down", "old primary",
    "rebalance", "rebuild", "wipe ledger", "restore ledger", "wipe database", "lose log tail", "log put back",
    "log put back in a save",
)  # fmt: skip
"""What the system is made to survive; some come more often."""

EXCHANGES: Final = frozenset(
    (
        "wipe ledger", "restore ledger", "wipe database", "drop index", "lose log tail", "log put back",
        "log put back in a save", "foreign record",
    )
)  # fmt: skip
"""After these a ledger may have to be filled anew."""
