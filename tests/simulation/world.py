"""The simulated world: time, servers, processes, and the story of what happens to them.

A *replica* is one process of a system: a subgraph on its engines with its workers. It is started, paused, crashed and
started again; where it refuses to start it is started again and again, as a supervisor does. Clients ask it as over a
network: the request may be lost on the way, and so may the answer.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final, Generic, TypeVar

from structlog.testing import capture_logs

from eventgraph.serving.served import Worker, running
from eventkernel.errors import CannotOpen, CorruptData, Unavailable
from eventkernel.events import Partition
from eventkernel.reading.membership import NOTHING, Assignment
from tests.simulation.broker import Broker
from tests.simulation.loop import PROCESS, Process, SimulatedLoop, simulated_loop
from tests.simulation.mongo.server import MongoServer
from tests.simulation.network import Network
from tests.simulation.plan import PATIENCE_SECONDS

T = TypeVar("T")
ServiceT = TypeVar("ServiceT")

EPOCH_US: Final = 1_700_000_000_000_000
_PAUSE_SECONDS: Final = 0.5
SILENCE_SECONDS: Final = 3.0
"""After so long a silent member of a group is taken for dead."""


class NoAnswer(Exception):
    """A client does not know whether its request was done."""


class World:
    def __init__(self, seed: int | str, *, in_order: bool = False, loop: SimulatedLoop | None = None) -> None:
        self.loop = loop or simulated_loop(Random(f"{seed} steps"), in_order=in_order)
        self.chance = Random(f"{seed} world")
        self.network = Network(self.loop, Random(f"{seed} network"))
        self.broker = Broker(self.network)
        self.mongo = MongoServer(self.network, self.loop.time)
        self.story: list[tuple[float, str]] = []
        self.replicas: list[Replica[Any]] = []
        self._outside = contextvars.copy_context()

    def tell(self, text: str) -> None:
        self.story.append((self.loop.time(), text))

    def spawn(self, work: Any, process: Process | None) -> asyncio.Task[Any]:
        """A task of this process; of none, so that nothing stops it, without."""
        context = self._outside.copy()
        context.run(PROCESS.set, process)
        return self.loop.create_task(work, context=context)

    def wind_down(self) -> None:
        """End every task, so that nothing is left to be collected; what they do meanwhile reaches nobody."""
        self.network.over = True
        for replica in self.replicas:
            for process in replica.incarnations:
                self.loop.thaw(process)

        async def end() -> None:
            for _ in range(20):
                left = asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}
                if not left:
                    return
                for task in left:
                    task.cancel()
                await asyncio.wait(left, timeout=60.0)

        self.loop.run_until_complete(end())
        self.loop.close()


@dataclass(slots=True)
class SkewedClock:
    """A process's clock: the loop's time, and how far this machine's clock is off."""

    loop: SimulatedLoop
    ahead: float = 0.0

    def now_us(self) -> int:
        return EPOCH_US + round((self.loop.time() + self.ahead) * 1_000_000)


@dataclass(slots=True)
class Served(Generic[ServiceT]):
    """A system that is open, and what runs beside its requests."""

    service: ServiceT
    workers: list[Worker] = field(default_factory=list[Worker])


Open = Callable[["Replica[ServiceT]"], AbstractAsyncContextManager[Served[ServiceT]]]


class Replica(Generic[ServiceT]):
    """One replica: at most one process at a time answers for it."""

    def __init__(self, world: World, name: str, system: str, open_: Open[ServiceT]) -> None:
        self.world = world
        self.name = name
        self.system = system
        self.clock = SkewedClock(world.loop)
        self.incarnations: list[Process] = []
        self.service: ServiceT | None = None
        self.refusal = ""
        """Why it does not start, as far as it was told."""
        self._open = open_
        world.replicas.append(self)

    @property
    def process(self) -> Process:
        return self.incarnations[-1]

    @property
    def up(self) -> bool:
        return bool(self.incarnations) and not self.process.frozen

    def start(self) -> None:
        process = Process(self.name)
        self.incarnations.append(process)
        self.service = None
        self.world.spawn(self._run(process), process)

    def crash(self) -> None:
        if self.incarnations:
            self.world.loop.freeze(self.process)
            self.process.crashed = True
        self.service = None

    def pause(self) -> None:
        self.world.loop.freeze(self.process)

    def resume(self) -> None:
        if not self.process.crashed:
            self.world.loop.thaw(self.process)

    async def _run(self, process: Process) -> None:
        while not self.world.network.over:
            try:
                async with self._open(self) as served:
                    self.refusal = ""
                    if process is self.process:
                        self.service = served.service
                        self.world.tell(f"{self.name} is ready")
                    async with running(served.workers):
                        await self.world.loop.create_future()
            except Unavailable as error:
                self.refusal = str(error)
            except (CannotOpen, CorruptData) as error:
                if self.refusal != str(error):
                    self.world.tell(f"{self.name} does not start: {error}")
                self.refusal = str(error)
            except BaseExceptionGroup as group:
                self.world.tell(f"{self.name} has ended: {group.exceptions[0]!r}")
                self.refusal = repr(group.exceptions[0])
            self.service = None
            await asyncio.sleep(_PAUSE_SECONDS)

    async def call(self, ask: Callable[[ServiceT], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
        """Ask this replica, from outside of every process.

        Raises:
            NoAnswer: it is not there, or the request or its answer was lost, or it took too long.
        """
        network = self.world.network
        answer: asyncio.Future[T] = self.world.loop.create_future()
        network.later(network.delay(), lambda: self._arrive(ask, answer))
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise NoAnswer(f"{self.name} has not answered for {seconds:g} seconds") from None

    def _arrive(self, ask: Callable[[ServiceT], Awaitable[T]], answer: asyncio.Future[T]) -> None:
        network, service = self.world.network, self.service
        if answer.done() or network.over:
            return
        if service is None or network.happens(network.weather.lose_request):
            network.later(network.delay(), lambda: _fail(answer, NoAnswer(f"{self.name} does not answer")))
            return
        task = self.world.spawn(_asked(ask, service), self.process)
        lost = network.happens(network.weather.lose_answer)

        def answered(done: asyncio.Task[T]) -> None:
            if done.cancelled() or lost:
                network.later(network.delay(), lambda: _fail(answer, NoAnswer("the connection was lost")))
            elif (error := done.exception()) is not None:
                network.later(network.delay(), lambda: _fail(answer, error))
            else:
                network.later(network.delay(), lambda: _settle(answer, done.result()))

        task.add_done_callback(answered)


async def _asked(ask: Callable[[ServiceT], Awaitable[T]], service: ServiceT) -> T:
    return await ask(service)


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _settle(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


class Group:
    """Who of a system's replicas has which partitions: as Kafka's group protocol has it, and as late as that is.

    A member that pauses is taken for dead after a while, and does not know so when it goes on.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._members: list[Member] = []
        self._partitions: list[Partition] = []

    def join(self, process: Process, partitions: list[Partition]) -> Member:
        member = Member(process, self._world)
        self._members.append(member)
        self._partitions = sorted({*self._partitions, *partitions})
        self.rearrange()
        return member

    def rearrange(self) -> None:
        """Assign the partitions anew, some time from now."""
        network = self._world.network
        self._members = [member for member in self._members if not member.process.crashed]
        order = list(self._members)
        self._world.chance.shuffle(order)
        shares: dict[Member, set[Partition]] = {member: set() for member in order}
        for at, partition in enumerate(self._partitions):
            if order:
                shares[order[at % len(order)]].add(partition)
        for member, share in shares.items():
            assignment = Assignment(frozenset(share), leads=bool(share) and self._partitions[0] in share)
            network.later(self._world.chance.random() * 0.3, partial(member.assign, assignment))

    def member_lost(self) -> None:
        """Somebody is silent: that is noticed after a while."""
        self._world.network.later(SILENCE_SECONDS, self.rearrange)


class Member:
    """The port `Membership`."""

    def __init__(self, process: Process, world: World) -> None:
        self.process = process
        self._world = world
        self._assignment = NOTHING
        self._moved = asyncio.Event()

    def assign(self, assignment: Assignment) -> None:
        """Told by the group; a frozen process hears of it when it goes on."""
        self._assignment = assignment
        self._moved.set()
        self._moved = asyncio.Event()

    def assignment(self) -> Assignment:
        return self._assignment

    async def changed(self, seen: Assignment) -> Assignment:
        while self._assignment == seen:
            await self._moved.wait()
        return self._assignment


@contextmanager
def quiet() -> Generator[None]:
    """No log lines while histories run; what matters is in the story."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with capture_logs():
            yield
    finally:
        logging.disable(before)
