"""The machine that the embedded system runs on: one process at a time, on the files that the one before has left.

The process is what `kith up` runs, without router and sockets: the data folder, the logs, views, checkpoints and
snapshots in it, the three subgraphs with their workers. Clients ask each subgraph through its ASGI app.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from eventgraph.errors import StartError
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventkernel.errors import CannotOpen
from kithgraph.system import SOCIAL_NETWORK
from tests.simulation.embedded.disk import Files
from tests.simulation.embedded.threads import disk_loop
from tests.simulation.plan import PATIENCE_SECONDS
from tests.simulation.systems import GraphQL
from tests.simulation.world import Replica, Served, World

T = TypeVar("T")

SUBGRAPHS: Final = ("users", "friends", "recommendations")
DATA: Final = "data"

Services = Mapping[str, GraphQL]


class Machine(World):
    """One machine in its world."""

    def __init__(self, seed: str, folder: Path, *, in_order: bool, power_cuts: bool) -> None:
        """`folder` is there and empty, and is removed by who made it."""
        disk_chance = Random(f"{seed} disk")
        disk = disk_loop(Random(f"{seed} steps"), disk_chance, in_order=in_order)
        super().__init__(seed, loop=disk)
        self._disk = disk
        self._folder = folder
        self._power_cuts = power_cuts
        self._chance = disk_chance
        self._lives: list[Files] = []
        self.builds: dict[str, list[str]] = {}
        first = folder / "0"
        first.mkdir()
        self._boot(first)
        self.process: Replica[Services] = Replica(self, "kith", "kith", self._open)
        self.full = False
        self.clock = self.process.clock

    @property
    def files(self) -> Files:
        """Those of the process that runs now, or starts next."""
        return self._lives[-1]

    @property
    def data(self) -> Path:
        return self.files.folder / DATA

    @property
    def operations(self) -> int:
        return sum(files.operations for files in self._lives)

    def tell(self, text: str) -> None:
        super().tell(self.without_paths(text))

    def without_paths(self, text: str) -> str:
        """Where the folder is, is no part of a history."""
        return text.replace(f"{self._folder}/", "")

    def files_of(self, path: Path) -> Files | None:
        return next((files for files in reversed(self._lives) if files.has(path)), None)

    def _boot(self, folder: Path) -> None:
        files = Files(folder, followed=self._power_cuts)
        files.is_full = self._has_no_room
        self._lives.append(files)

    def _has_no_room(self) -> bool:
        return self.full and self._chance.random() < 0.5

    def slowest(self, seconds: float) -> None:
        """From now on some work takes up to so many seconds; 0: none does."""
        self._disk.slowest = seconds

    def die(self, *, power_cut: bool = False) -> None:
        """The process ends here; the files are what it has left."""
        self._note_builds()
        image = self._folder / str(len(self._lives))
        if power_cut:
            self.files.image_after_power_cut(image, self._chance)
        else:
            self.files.image_after_crash(image)
        self.files.dead = True
        self.process.crash()
        self._boot(image)

    def _note_builds(self) -> None:
        """Which builds of views are live; those of which that is known to be durable, that is to say."""
        for name, service in (self.process.service or {}).items():
            audit: Any = service.subgraph.audit
            live = audit._view._live
            if live is not None:
                self.builds.setdefault(name, []).append(live.name)

    def live_builds(self) -> Mapping[str, Sequence[str]]:
        """By view: its live build whenever the process ended, and now."""
        self._note_builds()
        return self.builds

    async def die_at(self, operation: int, turns: int, seconds: float, *, power_cut: bool) -> str:
        """End the process inside of its next operation but `operation - 1`, or so many turns of the loop later; after
        so many seconds in any case. Gives the operation's name."""
        reached: asyncio.Future[str] = self.loop.create_future()
        files = self.files
        left = operation

        def one(name: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                files.after_operation = None
                if not turns:
                    self.die(power_cut=power_cut)
                if not reached.done():
                    reached.set_result(name)

        files.after_operation = one
        try:
            async with asyncio.timeout(seconds):
                name = await reached
        except TimeoutError:
            name = "none"
        files.after_operation = None
        for _ in range(turns):
            await asyncio.sleep(0)
        if not files.dead:
            self.die(power_cut=power_cut)
        return name

    def close(self) -> None:
        for files in self._lives:
            files.close()
        shutil.rmtree(self._folder)

    @asynccontextmanager
    async def _open(self, replica: Replica[Services]) -> AsyncGenerator[Served[Services]]:
        try:
            folder = DataFolder.open(self.data, SOCIAL_NETWORK)
        except StartError as error:
            raise CannotOpen(str(error)) from error
        with folder:
            async with opened(SOCIAL_NETWORK, folder, replica.clock) as subgraphs:
                services = {subgraph.name: GraphQL(subgraph.app, subgraph) for subgraph in subgraphs}
                yield Served(services, [worker for subgraph in subgraphs for worker in subgraph.workers])


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the subgraphs of the process, as clients ask it."""

    machine: Machine
    name: str

    async def call(self, ask: Callable[[GraphQL], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
        """As `Replica.call`."""
        name = self.name

        async def of(services: Mapping[str, Any]) -> T:
            return await ask(services[name])

        return await self.machine.process.call(of, seconds)
