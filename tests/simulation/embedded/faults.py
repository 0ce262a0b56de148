"""What goes wrong with the one machine of the embedded system, and how long it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from tests.simulation.embedded import damage
from tests.simulation.embedded.logs import read
from tests.simulation.embedded.machine import Machine
from tests.simulation.network import Weather
from tests.simulation.oracles import Violation
from tests.simulation.plan import Fault

Doing = Callable[["Faults", Fault], Awaitable[None]]

TOLD: Final = "what is wrong is told"

_LONGEST_SECONDS: Final = 2.0
"""So long a fault waits at most for the operation that it comes at."""
_REFUSED_SECONDS: Final = 1.0
"""So long a system is watched that must not start."""
_SLOWEST_SECONDS: Final = 60.0
"""So long it may take on a slow disk until it says why."""
BELIEVED_SECONDS: Final = 300.0
"""A clock that steps by more is doubted (`SteadyClock`)."""


class Faults:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.chance = Random(f"{machine.chance.random()} faults")
        self.violations: list[Violation] = []
        self.lost_at: dict[str, float] = {}
        """By log: when it has lost something for the last time."""
        self.damaged: dict[str, str] = {}
        """By stream with an event that is not what was written: its log."""
        self.dated_wrong = False
        """A process has started while its clock was wrong, and cannot know."""
        self._excused: dict[tuple[str, int], float] = {}
        self.turn = asyncio.Lock()
        """A machine dies once at a time."""

    def excuses(self, stream: str, version: int, told: float) -> bool:
        """Whether this was on a log when it was told, and somebody has put an older log in its place since."""
        return told < self._excused.get((stream, version), 0.0)

    async def happen(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        await KINDS[fault.kind](self, fault)

    def tell(self, text: str) -> None:
        self.machine.tell(f"FAULT: {text}")

    async def down(self, fault: Fault, *, power_cut: bool = False, doing: Callable[[], None] | None = None) -> None:
        """The process dies; something is done to its files, and it starts again after a while."""
        async with self.turn:
            await self.die(fault, power_cut=power_cut)
            if doing is not None:
                doing()
            self.start()

    async def die(self, fault: Fault, *, power_cut: bool = False) -> None:
        turns = fault.target if fault.amount % 2 else 0
        operation = await self.machine.die_at(fault.amount, turns, _LONGEST_SECONDS, power_cut=power_cut)
        what = "the power goes" if power_cut else "the process is killed"
        self.tell(f"{what} at the operation {operation}; it starts again after {fault.seconds:g} s")
        await asyncio.sleep(fault.seconds)

    def start(self) -> None:
        self.dated_wrong |= abs(self.machine.clock.ahead) > BELIEVED_SECONDS
        self.machine.files.settle()
        self.machine.process.start()

    async def refused(self, words: str) -> None:
        """Start a system that must say what is wrong, and end it again."""
        process = self.machine.process
        process.refusal = ""
        self.start()
        until = self.machine.loop.time() + _SLOWEST_SECONDS
        await asyncio.sleep(_REFUSED_SECONDS)
        while process.service is None and not process.refusal and self.machine.loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_REFUSED_SECONDS)
        if process.service is not None:
            self.violations.append(Violation(TOLD, f"expected the refusal {words!r}, and the system starts"))
        elif words not in process.refusal and "disk is full" not in process.refusal:  # a reason of its own
            told = self.machine.without_paths(process.refusal)
            self.violations.append(Violation(TOLD, f"expected the refusal {words!r}, found {told!r}"))
        self.machine.die()

    def log_is_shorter(self, name: str, doing: Callable[[], None]) -> None:
        """Do something to a log by which it loses events: what was acknowledged of them is lost."""
        file = damage.log_file(self.machine.data, name)
        before = read(file).entries
        doing()
        left = {(entry.stream, entry.version, entry.command) for entry in read(file).entries}
        gone = [
            (entry.stream, entry.version)
            for entry in before
            if (entry.stream, entry.version, entry.command) not in left
        ]
        self.tell(f"the log of {name} has lost {len(gone)} events")
        now = self.machine.loop.time()
        self._excused.update(dict.fromkeys(gone, now))
        self.lost_at[name] = now


def _log(fault: Fault) -> str:
    return damage.LOGS[fault.target % len(damage.LOGS)]


async def crash(on: Faults, fault: Fault) -> None:
    await on.down(fault)


async def power_cut(on: Faults, fault: Fault) -> None:
    await on.down(fault, power_cut=True)


async def storm(on: Faults, fault: Fault) -> None:
    on.tell(f"for {fault.seconds:g} s requests of clients are slow, and some or their answers are lost")
    network = on.machine.network
    network.weather = Weather(slow=0.1, slow_most=0.3, lose_request=0.1, lose_answer=0.3)
    await asyncio.sleep(fault.seconds)
    network.weather = Weather()


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


async def clock_steps(on: Faults, fault: Fault) -> None:
    seconds = (-86_400.0, -7_200.0, -200.0, 200.0, 7_200.0, 31_536_000.0)[fault.target]
    on.tell(f"the clock steps by {seconds:g} s, and back after {fault.seconds:g} s")
    on.machine.clock.ahead = seconds
    await asyncio.sleep(fault.seconds)
    on.machine.clock.ahead = 0.0


async def rebuild(on: Faults, fault: Fault) -> None:
    process = on.machine.process
    if process.service is None:
        return
    services = list(process.service.values())
    service = services[fault.target % len(services)]
    on.tell(f"a rebuild of {service.subgraph.name} is asked for")
    on.machine.spawn(_quietly(service.subgraph.projector.rebuild()), process.process)


async def file_put_back(on: Faults, fault: Fault) -> None:
    """An older copy of any one file that can be made again."""
    data = on.machine.data
    files = damage.files_that_can_be_made_again(data)
    if not files:
        return
    copy = damage.copy_of(data, on.chance.choice(files))
    name = next(iter(copy))
    await asyncio.sleep(fault.seconds)

    def doing() -> None:
        if (on.machine.data / name).exists():  # a build that is gone is not missed
            on.tell(f"{name} is put back as it was {fault.seconds:g} s ago")
            damage.put_back(on.machine.data, copy)

    await on.down(fault, doing=doing)


async def file_lost(on: Faults, fault: Fault) -> None:
    def doing() -> None:
        files = damage.files_that_can_be_made_again(on.machine.data)
        if files:
            file = on.chance.choice(files)
            on.tell(f"{file.relative_to(on.machine.data)} is removed")
            damage.remove(file)

    await on.down(fault, doing=doing)


async def log_put_back(on: Faults, fault: Fault) -> None:
    name = _log(fault)
    data = on.machine.data
    if not damage.has_log(data, name):
        return
    copy = damage.copy_of(data, damage.log_file(data, name))
    await asyncio.sleep(fault.seconds)

    def doing() -> None:
        on.tell(f"the log of {name} is put back as it was {fault.seconds:g} s ago")
        on.log_is_shorter(name, lambda: damage.put_back(on.machine.data, copy))

    await on.down(fault, doing=doing)


async def log_exchanged(on: Faults, fault: Fault) -> None:
    """An older log is put in the place of the right one, and serves for a while, before the right one comes back."""
    name = _log(fault)
    data = on.machine.data
    if not damage.has_log(data, name):
        return
    older = damage.copy_of(data, damage.log_file(data, name))
    await asyncio.sleep(fault.seconds)
    right: damage.Copy = {}

    def doing() -> None:
        nonlocal right
        data = on.machine.data
        right = damage.copy_of(data, damage.log_file(data, name))
        on.tell(f"the log of {name} is put back as it was {fault.seconds:g} s ago")
        on.log_is_shorter(name, lambda: damage.put_back(data, older))

    def undoing() -> None:
        on.tell(f"the log of {name} that it had before is put back")
        on.log_is_shorter(name, lambda: damage.put_back(on.machine.data, right))

    await on.down(fault, doing=doing)
    await asyncio.sleep(fault.seconds)
    await on.down(fault, doing=undoing)


async def log_cut(on: Faults, fault: Fault) -> None:
    name = _log(fault)

    def doing() -> None:
        if damage.has_log(on.machine.data, name):
            file = damage.log_file(on.machine.data, name)
            on.log_is_shorter(name, lambda: damage.cut(file, on.chance))

    await on.down(fault, doing=doing)


async def log_lost(on: Faults, fault: Fault) -> None:
    """A log is gone, and brought back as it was: meanwhile nothing must start as if it had never been."""
    await _taken_away(on, fault, f"{_log(fault)}.sqlite", "is gone")


async def log_half_lost(on: Faults, fault: Fault) -> None:
    """A log was copied without its write-ahead log, in which all of it is while it is young."""
    await _taken_away(on, fault, f"{_log(fault)}.sqlite-wal", "is empty")


async def key_lost(on: Faults, fault: Fault) -> None:
    await _taken_away(on, fault, f"{_log(fault)}.sqlite.claims-key", "the claims key of this log is missing")


async def _taken_away(on: Faults, fault: Fault, name: str, words: str) -> None:
    async with on.turn:
        await on.die(fault)
        data = on.machine.data
        file = data / "logs" / name
        if file.exists() and all((data / "views" / view / "live").exists() for view in damage.VIEWS):
            copy = damage.copy_of(data, file)
            on.tell(f"{name} is taken away, and brought back")
            damage.remove(file)
            if not name.endswith("-wal") or not damage.has_log(data, _log(fault)):  # not all of it is in the other file
                await on.refused(words)
            damage.put_back(on.machine.data, copy)
        on.start()  # where there is no view nothing says yet that there was a log


async def changed_byte(on: Faults, fault: Fault) -> None:
    """One byte of one event changes on the disk."""

    def doing() -> None:
        if not damage.has_log(on.machine.data, "users"):
            return
        entry = damage.change_a_byte(damage.log_file(on.machine.data, "users"), on.chance)
        if entry is not None:
            on.tell(f"a byte changes in version {entry.version} of {entry.stream}")
            on.damaged[entry.stream] = "users"

    await on.down(fault, doing=doing)


async def _quietly(work: Awaitable[object]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 -- a rebuild that fails is told to whom asked, who asks again
        return


KINDS: Final[dict[str, Doing]] = {
    "crash": crash,
    "power cut": power_cut,
    "storm": storm,
    "full disk": full_disk,
    "slow disk": slow_disk,
    "clock steps": clock_steps,
    "rebuild": rebuild,
    "file put back": file_put_back,
    "file lost": file_lost,
    "log put back": log_put_back,
    "log exchanged": log_exchanged,
    "log cut": log_cut,
    "log lost": log_lost,
    "log half lost": log_half_lost,
    "key lost": key_lost,
    "changed byte": changed_byte,
}

SURVIVED: Final = (
    "crash", "crash", "crash", "power cut", "power cut", "power cut", "storm", "full disk", "slow disk", "clock steps",
    "rebuild", "file put back", "file put back", "file lost", "log put back", "log exchanged", "log cut", "log lost",
    "log half lost", "key lost", "changed byte",
)  # fmt: skip
"""What the embedded system is made to survive; some come more often."""

EXCHANGES: Final = frozenset(
    {"rebuild", "file put back", "file lost", "log put back", "log exchanged", "log cut", "log lost", "log half lost"}
)
"""After these a view may have to be filled anew."""
