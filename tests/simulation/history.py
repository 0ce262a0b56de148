"""One history from its beginning to its end: what a plan says happens, all is made good, and the oracles are asked."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
import secrets
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final
from unittest.mock import patch

import uuid6

from eventkernel.errors import KernelError
from eventkernel.events import Partition, Position
from eventkernel.reading.bookmark import Bookmark
from tests.simulation import oracles
from tests.simulation.clients import FRIENDSHIPS, USERS, Call, Client
from tests.simulation.drivers import simulated_kafka
from tests.simulation.faults import EXCHANGES, Faults
from tests.simulation.logs import Log, read
from tests.simulation.loop import Stuck
from tests.simulation.made_once import made_once
from tests.simulation.network import Weather
from tests.simulation.oracles import ALIVE, FOLD, Violation
from tests.simulation.plan import Op, Plan
from tests.simulation.systems import Answer, GraphQL, Systems
from tests.simulation.world import NoAnswer, Replica, World, quiet

_RECOVERY_SECONDS: Final = 120.0
"""Within so long after the last fault everything works again by itself."""


@dataclass(frozen=True, slots=True)
class Result:
    plan: Plan
    violations: Sequence[Violation]
    story: Sequence[tuple[float, str]]
    calls: Sequence[Call]
    steps: int
    requests: int
    seconds: float
    """In virtual time."""

    @property
    def digest(self) -> str:
        """Equal for runs that went the same way."""
        return hashlib.sha256(repr((self.story, self.steps, self.requests)).encode()).hexdigest()[:16]


def run(plan: Plan) -> Result:
    collecting = gc.isenabled()
    gc.disable()  # what the collector ends, and when, is no part of a history
    world = World(f"{plan.seed}/{plan.again}", in_order=plan.in_order)
    history = _History(plan, world)
    try:
        with simulated_kafka(world.broker), one_chance(Random(f"{plan.seed} names")), made_once(), quiet():
            try:
                world.loop.run_until_complete(history.happen())
            except Stuck as stuck:
                history.violations.append(Violation(ALIVE, str(stuck)))
            seconds, requests, steps = world.loop.time(), world.network.requests, world.loop.steps
            history.ask_oracles()
            world.wind_down()
    finally:
        if collecting:
            gc.enable()
    return Result(plan, history.violations, world.story, history.calls, steps, requests, seconds)


@contextmanager
def one_chance(chance: Random) -> Generator[None]:
    """Names and ids are drawn from the history's own source."""

    def token_hex(size: int = 32) -> str:
        return chance.randbytes(size).hex()

    ids = iter(range(1, 1_000_000))

    def uuid7() -> str:
        return f"01{next(ids):06d}-{chance.randrange(1_000):03d}"

    with (
        patch.object(secrets, "token_hex", token_hex),
        patch.object(secrets, "token_urlsafe", token_hex),
        patch.object(uuid6, "uuid7", uuid7),
    ):
        before = random.getstate()
        random.seed(chance.random())
        try:
            yield
        finally:
            random.setstate(before)


class _History:
    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self.violations: list[Violation] = []
        self.calls: list[Call] = []
        self._systems = Systems(world)
        self._faults = Faults(world, self._systems)
        self._replicas: dict[str, list[Replica[Any]]] = {}
        self._generations: Mapping[str, int] = {}
        self._looked_at: Mapping[str, Log] = {}
        self._finals: list[tuple[str, Replica[Any], Mapping[str, Any]]] = []
        self._exchanges = any(fault.kind in EXCHANGES for fault in plan.faults)

    async def happen(self) -> None:
        for system, count in self.plan.replicas.items():
            open_ = getattr(self._systems, system)
            self._replicas[system] = [
                Replica(self.world, f"{system}-{number}", system, open_) for number in range(1, count + 1)
            ]
        for replica in self.world.replicas:
            replica.start()
        if not await self._all_serve("at the start"):
            return
        if not self._exchanges:
            self._generations = {system: log.generation for system, log in self.logs().items()}
        ids: dict[int, str] = {}
        clients = [Client(number, self.world, self._replicas) for number in range(len(self.plan.clients))]
        faults = [asyncio.create_task(self._faults.happen(fault)) for fault in self.plan.faults]
        await asyncio.gather(
            *(client.run(ops, ids) for client, ops in zip(clients, self.plan.clients, strict=True)), *faults
        )
        self.calls = [call for client in clients for call in client.calls]
        self._make_good()
        if await self._all_serve("after the last fault"):
            await self._one_more(Client(len(clients), self.world, self._replicas), ids)
            await self._settled()
            await self._look()

    def logs(self) -> Mapping[str, Log]:
        topics = self.world.broker.topics
        return {system: read(topics[system].partitions) for system in self.plan.replicas if system in topics}

    def ask_oracles(self) -> None:
        logs = self.logs()
        since = self._faults.lost_at
        unseen = {**since, **self._faults.dropped_at}
        self.violations += [
            *self._lost(logs),
            *oracles.once(logs, self.calls),
            *(oracles.refusals(logs, self.calls) if not since else ()),
            *oracles.refilled(logs, self._generations),
            *oracles.whole(logs),
            *oracles.holder(logs),
            *oracles.explained(logs, self.calls, unseen),
            *oracles.covered(logs, self.calls, since),
            *self._compared(logs),
        ]
        if not self._exchanges:
            self.violations += oracles.parked(logs, self.world.mongo.gaps)
        if "bank" in logs and not any(fault.kind.startswith("log put back") for fault in self.plan.faults):
            self.violations += oracles.conditions(logs["bank"])
        if "bank" in logs and self._finals:
            self.violations += oracles.money(logs["bank"])

    def _lost(self, logs: Mapping[str, Log]) -> Iterator[Violation]:
        excuses = self._faults.excuses
        return oracles.lost(logs, [call for call in self.calls if not excuses(call.stream, call.version, call.ended)])

    def _make_good(self) -> None:
        world = self.world
        world.tell("all faults are over")
        world.network.weather = Weather()
        world.network.late.clear()
        for server in (world.broker, world.mongo):
            server.down = False
            server.cut_off.clear()
        for replica in world.replicas:
            replica.clock.ahead = 0.0
            if replica.process.crashed:
                replica.start()
            else:
                replica.resume()
        self._systems.member_lost()

    async def _all_serve(self, when: str) -> bool:
        if await self._within(lambda: _true(all(replica.service is not None for replica in self.world.replicas))):
            return True
        for replica in self.world.replicas:
            if replica.service is None:
                self._broken(f"{replica.name} does not serve {when}: {replica.refusal}")
        return False

    async def _one_more(self, client: Client, ids: dict[int, str]) -> None:
        """Whatever has happened, each system takes a command of somebody new."""
        for system, kind in (("users", "create"), ("bank", "open")):
            if system in self._replicas:
                before = len(client.calls)
                await client.run([Op(kind, f"more-{system}", slot=99, name="more")], ids)
                call = client.calls[before]
                self.calls.append(call)
                if call.outcome != "done":
                    self._broken(f"{system} takes no new command: {call.outcome}")

    async def _settled(self) -> None:
        """Returns when nothing is left to be reacted to."""
        if not await self._within(lambda: _true(not self._unfinished())):
            for what in self._unfinished():
                self._broken(what)

    def _unfinished(self) -> Sequence[str]:
        logs = self.logs()
        found: list[str] = []
        if self._faults.lost_at:  # what a log has lost is put there again as soon as that is noticed
            found += [violation.words for violation in self._lost(logs)]
        if not self._exchanges:
            found += self._unpublished()
        if "bank" in logs:
            states = oracles.accounts(logs["bank"].streams())
            open_ = [stream for stream, state in states.items() if state["transfer"] == "asked"]
            found += [f"{stream} is never finished" for stream in open_ if not oracles.waits(logs["bank"], stream)]
        if "friends" in logs:
            deleted = {
                stream for stream, entries in logs["users"].streams().items() if entries[-1].type == "UserDeleted"
            }
            for stream in oracles.friendships(logs["friends"].streams(), logs["users"].streams()):
                users = stream.removeprefix("friendship-").split("~")
                waits = stream in logs["friends"].gaps  # for an operator
                if not waits and any(f"user-{user}" in deleted for user in users):
                    found.append(f"{stream} stands, and one of the two is deleted")
        return found

    def _unpublished(self) -> Iterator[str]:
        """What stands in a ledger and is not known to be on its log."""
        for system in self._replicas:
            for name, collection in self.world.mongo.database(system).items():
                if name.startswith(f"{system}.commits."):
                    for left in collection.find({"pending": True}):
                        yield f"nobody publishes the commit {left['_id']} of {system}"

    async def _look(self) -> None:
        """What each replica shows at the end, as far as the logs go."""
        logs = self._looked_at = self.logs()
        offsets = {Partition(log.id, number): end for log in logs.values() for number, end in log.ends.items()}
        for replica in self.world.replicas:
            mine = {place: end for place, end in offsets.items() if place.log.startswith(replica.system)}
            bookmark = Bookmark(Position(offsets if replica.system == "friends" else mine))
            shown: dict[str, Mapping[str, Any]] = {}

            async def look(replica: Replica[Any] = replica, bookmark: Bookmark = bookmark, shown: Any = shown) -> bool:
                return await self._shown(replica, bookmark, shown)

            if await self._within(look):
                self._finals.append((replica.system, replica, shown))
            else:
                self._broken(f"the view of {replica.name} does not reach the end of the log")

    async def _shown(self, replica: Replica[Any], bookmark: Bookmark, shown: dict[str, Mapping[str, Any]]) -> bool:
        """Put what a replica shows, no older than the bookmark, into `shown`; False where it does not answer now."""
        try:
            if replica.system == "bank":
                shown |= await replica.call(lambda bank: bank.accounts(bookmark))
            elif replica.system == "users":
                answer = await replica.call(_asking(USERS, {}, bookmark.encode()))
                shown |= {f"user-{edge['node']['id']}": edge["node"] for edge in (answer.data or {})["users"]["edges"]}
            else:
                for stream in self.logs()["friends"].streams():
                    asked = {"id": stream.removeprefix("friendship-")}
                    answer = await replica.call(_asking(FRIENDSHIPS, asked, bookmark.encode()))
                    found = (answer.data or {})["friendship"]
                    if found is not None:
                        shown[stream] = found
        except (NoAnswer, KernelError, KeyError):
            return False
        return True

    def _compared(self, logs: Mapping[str, Log]) -> Iterator[Violation]:
        for system, replica, shown in self._finals:
            if logs[system].ends != self._looked_at[system].ends:
                continue  # something was still being done, for want of an operator
            streams = {
                stream: entries for stream, entries in logs[system].streams().items() if stream not in logs[system].gaps
            }
            expected: Mapping[str, Mapping[str, Any]]
            match system:
                case "users":
                    expected = oracles.users(streams)
                case "bank":
                    expected = oracles.accounts(streams)
                case _:
                    standing = oracles.friendships(streams, logs["users"].streams())
                    expected = {stream: {"version": n} for stream, n in standing.items()}
            for stream in sorted(expected.keys() | (shown.keys() - logs[system].gaps)):
                wanted = expected.get(stream)
                found = shown.get(stream)
                if wanted is not None and found is not None:
                    found = {name: found[name] for name in wanted}
                if wanted != found:
                    yield Violation(FOLD, f"{replica.name} has {stream} as {found}, and the log says {wanted}")

    async def _within(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        until = self.world.loop.time() + _RECOVERY_SECONDS
        pause = 0.1
        while not await holds():
            if self.world.loop.time() > until:
                return False
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 1.5)
        return True

    def _broken(self, words: str) -> None:
        self.world.tell(f"BROKEN: {words}")
        self.violations.append(Violation(ALIVE, words))


def _asking(query: str, variables: dict[str, Any], bookmark: str) -> Callable[[GraphQL], Awaitable[Answer]]:
    return lambda service: service.ask(query, variables, bookmark)


async def _true(holds: bool) -> bool:
    return holds


def again(plan: Plan, draw: int) -> Plan:
    """The same plan with other draws."""
    return replace(plan, again=draw)
