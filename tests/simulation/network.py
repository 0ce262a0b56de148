"""Requests to servers: how long each takes, and which of them, or of their answers, are lost.

A request is on its own once it is sent: it reaches its server, and has its effect there, also where whoever sent it has
given up or has died meanwhile. Every draw comes from one source of chance, in the order of the requests.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final, TypeVar, cast

from tests.simulation.loop import PROCESS, SimulatedLoop

T = TypeVar("T")

Failure = Callable[[], Exception]
"""Makes the error that a driver raises where it has no answer."""

_RETRY_SECONDS: Final = 0.05
_LATE: Final = 0.3
"""How many of the requests on a bad link are late."""


@dataclass(slots=True)
class Weather:
    """How the network is at a time. Probabilities are for each request."""

    least: float = 0.0005
    most: float = 0.004
    """Seconds on the way, each way."""
    slow: float = 0.0
    slow_most: float = 1.0
    lose_request: float = 0.0
    lose_answer: float = 0.0
    torn: float = 0.1
    """How many of the requests with several writes are done one write after the other, with time in between."""


@dataclass(slots=True, eq=False)
class Server:
    """Something that answers requests; one that is down answers when it is up again, or after the driver gave up."""

    name: str
    down: bool = False
    cut_off: Counter[str] = field(default_factory=Counter[str])
    """Processes that cannot reach it, for as many reasons."""


class Network:
    def __init__(self, loop: SimulatedLoop, chance: Random) -> None:
        self.loop = loop
        self._chance = chance
        self._outside = contextvars.Context()
        self.weather = Weather()
        self.late: dict[tuple[str, str], float] = {}
        """By process and server: some of what the one sends to the other arrives up to so many seconds late."""
        self.over = False
        """Everything is over: no request is answered any more."""
        self.requests = 0

    async def ask(self, server: Server, work: Callable[[], T], failure: Failure, patience: float) -> T:
        """What the server's work gives; `failure` is raised after at most `patience` seconds without an answer."""
        (answer,) = await self.ask_steps(server, [work], failure, patience)
        return answer

    async def ask_steps(
        self, server: Server, steps: Sequence[Callable[[], T]], failure: Failure, patience: float
    ) -> Sequence[T]:
        """The same with several works, between which others may come in."""
        if self.over:
            raise failure()
        self.requests += 1
        process = PROCESS.get()
        request = _Request(self, server, "" if process is None else process.name, list(steps), failure, patience)
        request.set_out()
        return cast("Sequence[T]", await request.answer)

    def delay(self) -> float:
        """Seconds for one way."""
        weather = self.weather
        if weather.slow and self._chance.random() < weather.slow:
            return self._chance.random() * weather.slow_most
        return weather.least + self._chance.random() * (weather.most - weather.least)

    def delay_to(self, server: Server, asker: str) -> float:
        """Seconds for the way there."""
        late = self.late.get((asker, server.name), 0.0)
        return self.delay() + (self._chance.random() * late if late and self.happens(_LATE) else 0.0)

    def happens(self, probability: float) -> bool:
        return probability > 0 and self._chance.random() < probability

    def later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        """Outside of every process, so that nothing stops it."""
        return self.loop.call_later(seconds, call, context=self._outside)


class _Request:
    __slots__ = ("_asker", "_failure", "_given", "_giving_up", "_lost", "_network", "_server", "_steps", "answer")

    def __init__(
        self,
        network: Network,
        server: Server,
        asker: str,
        steps: list[Callable[[], Any]],
        failure: Failure,
        patience: float,
    ) -> None:
        self.answer: asyncio.Future[Any] = network.loop.create_future()
        self._network = network
        self._server = server
        self._asker = asker
        self._steps = steps
        self._failure = failure
        self._giving_up = network.loop.time() + patience
        self._given: list[Any] = []
        self._lost = network.happens(network.weather.lose_request)

    def set_out(self) -> None:
        self._in(self._network.delay_to(self._server, self._asker), self.arrive)

    def arrive(self) -> None:
        network, server = self._network, self._server
        if network.over:
            return
        if server.down or server.cut_off[self._asker]:
            if self.answer.done():
                return
            if network.loop.time() >= self._giving_up:
                self.fail()
            else:
                network.later(_RETRY_SECONDS, self.arrive)
            return
        if self._lost:
            network.later(network.delay(), self.fail)
            return
        if not self._given and len(self._steps) > 1 and not network.happens(network.weather.torn):
            self._do(len(self._steps))
        else:
            self._do(1)
        if self._steps and not self.answer.done():
            self._in(network.delay(), self.arrive)

    def _do(self, count: int) -> None:
        """The next works; then the answer sets out."""
        network = self._network
        for work in self._steps[:count]:
            try:
                self._given.append(work())
            except Exception as error:  # noqa: BLE001 -- the server's "no", which travels back as an answer does
                self._steps.clear()
                self._travel_back(partial(self.answer.set_exception, error))
                return
        del self._steps[:count]
        if not self._steps:
            if network.happens(network.weather.lose_answer):
                network.later(network.delay(), self.fail)
            else:
                self._travel_back(lambda: self.answer.set_result(self._given))

    def _travel_back(self, settle: Callable[[], object]) -> None:
        self._in(self._network.delay(), lambda: None if self.answer.done() else settle())

    def _in(self, seconds: float, call: Callable[[], object]) -> None:
        """Go on so much later; whoever asked may have given up before that."""
        left = self._giving_up - self._network.loop.time()
        if seconds > left:
            self._network.later(max(0.0, left), self.fail)
        self._network.later(seconds, call)

    def fail(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(self._failure())
