"""What goes wrong with the one machine of the embedded system, and how long it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.simulation.embedded.machine import Machine
from tests.simulation.plan import Fault

Doing = Callable[["Faults", Fault], Awaitable[None]]

_LONGEST_SECONDS: Final = 2.0
"""So long a fault waits at most for the operation that it comes at."""


class Faults:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._turn = asyncio.Lock()
        """A machine dies once at a time."""

    async def happen(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        await KINDS[fault.kind](self, fault)

    def tell(self, text: str) -> None:
        self.machine.tell(f"FAULT: {text}")

    async def end(self, fault: Fault, what: str, *, power_cut: bool = False) -> None:
        """The process dies, and is down for a while."""
        turns = fault.target if fault.amount % 2 else 0
        operation = await self.machine.die_at(fault.amount, turns, _LONGEST_SECONDS, power_cut=power_cut)
        self.tell(f"{what} at the operation {operation}; it starts again after {fault.seconds:g} s")
        await asyncio.sleep(fault.seconds)

    async def while_down(self, fault: Fault, doing: Callable[[], Awaitable[None]], *, power_cut: bool = False) -> None:
        async with self._turn:
            await self.end(fault, "the power goes" if power_cut else "the process is killed", power_cut=power_cut)
            await doing()
            self.machine.process.start()


async def crash(on: Faults, fault: Fault) -> None:
    await on.while_down(fault, _nothing)


async def power_cut(on: Faults, fault: Fault) -> None:
    await on.while_down(fault, _nothing, power_cut=True)


async def full_disk(on: Faults, fault: Fault) -> None:
    on.tell(f"the disk is full for {fault.seconds:g} s")
    on.machine.full = True
    await asyncio.sleep(fault.seconds)
    on.machine.full = False


async def slow_disk(on: Faults, fault: Fault) -> None:
    slowest = (0.2, 2.0, 12.0)[fault.amount % 3]
    on.tell(f"for {fault.seconds:g} s the disk takes up to {slowest:g} s")
    on.machine.slowest(slowest)
    await asyncio.sleep(fault.seconds)
    on.machine.slowest(0.0)


async def rebuild(on: Faults, fault: Fault) -> None:
    process = on.machine.process
    if process.service is None:
        return
    services = list(process.service.values())
    service = services[fault.target % len(services)]
    on.tell(f"a rebuild of {service.subgraph.name} is asked for")
    on.machine.spawn(_quietly(service.subgraph.projector.rebuild()), process.process)


async def _quietly(work: Awaitable[object]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 -- a rebuild that fails is told to whom asked, who asks again
        return


async def _nothing() -> None:
    await asyncio.sleep(0)


KINDS: Final[dict[str, Doing]] = {
    "crash": crash,
    "power cut": power_cut,
    "full disk": full_disk,
    "slow disk": slow_disk,
    "rebuild": rebuild,
}

SURVIVED: Final = (
    "crash",
    "crash",
    "crash",
    "power cut",
    "power cut",
    "power cut",
    "full disk",
    "slow disk",
    "rebuild",
)
"""What the embedded system is made to survive; some come more often."""
