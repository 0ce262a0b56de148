"""One history of the embedded system: what a plan says happens, all is made good, and the oracles are asked."""

from __future__ import annotations

import asyncio
import gc
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final, cast
from unittest.mock import patch

from eventkernel.events import Partition, Position
from eventkernel.reading.bookmark import Bookmark
from tests.simulation import oracles
from tests.simulation.clients import FRIENDSHIPS, USERS, Call, Client
from tests.simulation.embedded import oracles as embedded_oracles
from tests.simulation.embedded.clients import RECOMMENDATIONS, EmbeddedClient, counts
from tests.simulation.embedded.damage import is_damaged
from tests.simulation.embedded.disk import simulated_disk
from tests.simulation.embedded.faults import BELIEVED_SECONDS, EXCHANGES, TOLD, Faults
from tests.simulation.embedded.logs import read, times
from tests.simulation.embedded.machine import SUBGRAPHS, Asked, Machine
from tests.simulation.embedded.oracles import RECOMMEND
from tests.simulation.embedded.threads import simulated_threads
from tests.simulation.history import Result, one_chance
from tests.simulation.logs import Log
from tests.simulation.loop import Stuck
from tests.simulation.made_once import made_once
from tests.simulation.network import Weather
from tests.simulation.oracles import ALIVE, FOLD, Violation
from tests.simulation.plan import NAMES, Op, Plan
from tests.simulation.systems import Answer
from tests.simulation.world import EPOCH_US, NoAnswer, Replica, quiet

_RECOVERY_SECONDS: Final = 120.0
"""Within so long after the last fault everything works again by itself."""
_LOGS: Final = ("users", "friends")


def run(plan: Plan) -> Result:
    collecting = gc.isenabled()
    gc.disable()  # what the collector ends, and when, is no part of a history
    machine = Machine(
        f"{plan.seed}/{plan.again}",
        _empty_folder(),
        in_order=plan.in_order,
        power_cuts=any(fault.kind == "power cut" for fault in plan.faults),
    )
    history = _History(plan, machine)
    loop = machine.loop
    try:
        with _simulated(machine, Random(f"{plan.seed} names")):
            try:
                loop.run_until_complete(history.happen())
            except Stuck as stuck:
                history.violations.append(Violation(ALIVE, str(stuck)))
            seconds, operations, steps = loop.time(), machine.operations, loop.steps
            history.ask_oracles()
            machine.wind_down()
    finally:
        machine.close()
        if collecting:
            gc.enable()
    return Result(plan, history.violations, machine.story, history.calls, steps, operations, seconds)


def _empty_folder() -> Path:
    memory = Path("/dev/shm")  # noqa: S108 -- nothing of it is to last, and what is durable is not up to this disk
    return Path(tempfile.mkdtemp(prefix="simulated-disk-", dir=memory if memory.is_dir() else None)).resolve()


@contextmanager
def _simulated(machine: Machine, chance: Random) -> Generator[None]:
    def counted_us() -> int:
        return round(machine.loop.time() * 1_000_000)

    with (
        simulated_disk(machine.files_of),
        simulated_threads(),
        one_chance(chance),
        patch.object(secrets, "token_bytes", chance.randbytes),
        patch("eventkernel.clock._machine_us", counted_us),
        made_once(),
        quiet(),
    ):
        yield


class _History:
    def __init__(self, plan: Plan, machine: Machine) -> None:
        self.plan = plan
        self.machine = machine
        self.violations: list[Violation] = []
        self.calls: list[Call] = []
        self._faults = Faults(machine)
        # To clients a subgraph of the process is what a replica is: it has a name and can be called.
        self._asked = {name: [cast("Replica[Any]", Asked(machine, name))] for name in SUBGRAPHS}
        self._shown: dict[str, Mapping[str, Any]] = {}
        self._looked_at: Mapping[str, Log] = {}

    async def happen(self) -> None:
        self.machine.process.start()
        if not await self._serves("at the start"):
            return
        ids: dict[int, str] = {}
        clients = [EmbeddedClient(number, self.machine, self._asked) for number in range(len(self.plan.clients))]
        faults = [asyncio.create_task(self._faults.happen(fault)) for fault in self.plan.faults]
        await asyncio.gather(
            *(client.run(ops, ids) for client, ops in zip(clients, self.plan.clients, strict=True)), *faults
        )
        self.calls = [call for client in clients for call in client.calls]
        self._make_good()
        if await self._serves("after the last fault"):
            await self._one_more(EmbeddedClient(len(clients), self.machine, self._asked), ids)
            if not any(fault.kind in EXCHANGES for fault in self.plan.faults):
                self.violations += embedded_oracles.filled(self.machine.live_builds())
            await self._told()
            if not self._faults.damaged:
                await self._settled()
                await self._look()

    def logs(self) -> Mapping[str, Log]:
        folder = self.machine.data / "logs"
        return {name: read(folder / f"{name}.sqlite") for name in _LOGS}

    def ask_oracles(self) -> None:
        try:
            logs = self.logs()
        except Exception as error:  # noqa: BLE001 -- however a log cannot be read, it is lost
            self.violations.append(Violation(oracles.LOST, f"a log cannot be read: {error!r}"))
            return
        calls = [call for call in self.calls if call.op.kind != RECOMMEND]
        excuses, since = self._faults.excuses, self._faults.lost_at
        kept = [call for call in calls if not excuses(call.stream, call.version, call.ended)]
        self.violations += [
            *self._faults.violations,
            *oracles.lost(logs, kept),
            *oracles.once(logs, calls),
            *(oracles.refusals(logs, calls) if not since else ()),
            *oracles.whole(logs),
            *oracles.holder(logs),
        ]
        if self._faults.damaged:
            return  # what a stream is that was damaged nobody knows
        self.violations += [
            *oracles.explained(logs, calls, since),
            *oracles.covered(logs, calls, since),
            *embedded_oracles.recommendations(logs, self.calls, max(since.values(), default=0.0)),
            *self._dated(),
            *self._compared(logs),
        ]

    def _dated(self) -> Iterator[Violation]:
        if self._faults.dated_wrong:
            return
        now_us = EPOCH_US + round((self.machine.loop.time() + BELIEVED_SECONDS) * 1_000_000)
        for name in _LOGS:
            yield from embedded_oracles.dated(times(self.machine.data / "logs" / f"{name}.sqlite"), now_us)

    def _make_good(self) -> None:
        machine = self.machine
        machine.tell("all faults are over")
        machine.network.weather = Weather()
        machine.full = False
        machine.slowest(0.0)
        machine.clock.ahead = 0.0

    async def _serves(self, when: str) -> bool:
        if await self._within(lambda: _true(self.machine.process.service is not None)):
            return True
        self._broken(f"the system does not serve {when}: {self.machine.process.refusal}")
        return False

    async def _one_more(self, client: Client, ids: dict[int, str]) -> None:
        """Whatever has happened, it takes a command of somebody new."""
        await client.run([Op("create", "more", slot=99, name="more")], ids)
        self.calls += client.calls
        if client.calls[0].outcome != "done":
            self._broken(f"users takes no new command: {client.calls[0].outcome}")
        if not self._faults.damaged:
            await self._take_what_is_free(EmbeddedClient(-1, self.machine, self._asked), ids)

    async def _take_what_is_free(self, client: Client, ids: dict[int, str]) -> None:
        """A username that nobody has any more can be taken."""
        held = {user["username"] for user in oracles.users(self.logs()["users"].streams()).values()}
        free = [name for name in NAMES if name not in held]
        await client.run([Op("create", f"free-{name}", slot=99, name=name) for name in free], ids)
        self.calls += client.calls
        for call in client.calls:
            if call.outcome != "done":
                words = f"nobody has the username {call.op.name} any more, and it is refused as {call.outcome}"
                self.violations.append(Violation(oracles.REFUSED, words))

    async def _told(self) -> None:
        """Whoever reads a log that is damaged says so."""
        if not any(map(is_damaged, self.logs()["users"].entries)):
            return
        for name in SUBGRAPHS:

            async def tells(name: str = name) -> bool:
                services = self.machine.process.service
                return services is not None and bool(services[name].subgraph.audit.damage())

            if not await self._within(tells):
                self.violations.append(Violation(TOLD, f"{name} does not say that the log is damaged"))

    async def _settled(self) -> None:
        """Returns when nothing is left to be reacted to."""
        if not await self._within(lambda: _true(not self._unfinished())):
            for what in self._unfinished():
                self._broken(what)

    def _unfinished(self) -> Sequence[str]:
        logs = self.logs()
        users = logs["users"].streams()
        deleted = {stream for stream, entries in users.items() if entries[-1].type == "UserDeleted"}
        return [
            f"{stream} stands, and one of the two is deleted"
            for stream in oracles.friendships(logs["friends"].streams(), users)
            if any(f"user-{user}" in deleted for user in stream.removeprefix("friendship-").split("~"))
        ]

    async def _look(self) -> None:
        """What the three views show at the end of the logs."""
        logs = self._looked_at = self.logs()
        ends = {Partition(log.id, 0): log.ends[0] for log in logs.values()}
        bookmark = Bookmark(Position(ends)).encode()
        for name in SUBGRAPHS:

            async def look(name: str = name) -> bool:
                return await self._look_at(name, logs, bookmark)

            if not await self._within(look):
                self._broken(f"the view of {name} does not reach the end of the logs")

    async def _look_at(self, name: str, logs: Mapping[str, Log], bookmark: str) -> bool:
        """Keep what a subgraph shows, no older than the bookmark; False where it does not answer now."""
        asked = Asked(self.machine, name)
        try:
            if name == "users":
                answer = await asked.call(_asking(USERS, {}, bookmark))
                edges = (answer.data or {})["users"]["edges"]
                self._shown[name] = {f"user-{edge['node']['id']}": edge["node"] for edge in edges}
            elif name == "friends":
                shown: dict[str, Any] = {}
                for stream in logs["friends"].streams():
                    answer = await asked.call(
                        _asking(FRIENDSHIPS, {"id": stream.removeprefix("friendship-")}, bookmark)
                    )
                    if (found := (answer.data or {})["friendship"]) is not None:
                        shown[stream] = found
                self._shown[name] = shown
            else:
                self._shown[name] = await self._recommended(asked, logs, bookmark)
        except (NoAnswer, KeyError, TypeError):
            return False
        return True

    async def _recommended(self, asked: Asked, logs: Mapping[str, Log], bookmark: str) -> Mapping[str, Any]:
        shown: dict[str, Any] = {}
        for stream in logs["users"].streams():
            user = stream.removeprefix("user-")
            answer = await asked.call(_asking(RECOMMENDATIONS, {"id": user}, bookmark))
            if answer.code != "NOT_FOUND":
                shown[user] = counts(answer)
        return shown

    def _compared(self, logs: Mapping[str, Log]) -> Iterator[Violation]:
        if {name: log.ends for name, log in logs.items()} != {name: log.ends for name, log in self._looked_at.items()}:
            return  # something was still being done
        users, friends = logs["users"], logs["friends"]
        standing = oracles.friendships(friends.streams(), users.streams())
        expected: Mapping[str, Mapping[str, Any]] = {
            "users": oracles.users(users.streams()),
            "friends": {stream: {"version": version} for stream, version in standing.items()},
            "recommendations": embedded_oracles.recommended(users.entries, friends.entries),
        }
        for name, shown in self._shown.items():
            for key in sorted(expected[name].keys() | shown.keys()):
                wanted, found = expected[name].get(key), shown.get(key)
                if name != "recommendations" and wanted is not None and found is not None:
                    found = {field: found[field] for field in wanted}
                if wanted != found:
                    yield Violation(FOLD, f"{name} has {key} as {found}, and the logs say {wanted}")

    async def _within(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        until = self.machine.loop.time() + _RECOVERY_SECONDS
        pause = 0.1
        while not await holds():
            if self.machine.loop.time() > until:
                return False
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 1.5)
        return True

    def _broken(self, words: str) -> None:
        words = self.machine.without_paths(words)
        self.machine.tell(f"BROKEN: {words}")
        self.violations.append(Violation(ALIVE, words))


def _asking(query: str, variables: dict[str, Any], bookmark: str) -> Callable[[Any], Awaitable[Answer]]:
    return lambda service: service.ask(query, variables, bookmark)


async def _true(holds: bool) -> bool:
    return holds
