"""How many requests are executed at the same time, on an event loop that is simulated: work in the order it came."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from graphrouter.http.admission import LEAST, AdaptiveAdmission, Admission


@dataclass
class Loop:
    """One processor that does what is ready in the order in which it became so, in simulated seconds."""

    now: float = 0.0
    _ready: list[tuple[float, int, float, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, moment: float, work: float, then: Callable[[], None]) -> None:
        """Becomes ready at this moment; takes so long once its turn has come."""
        heapq.heappush(self._ready, (moment, next(self._numbers), work, then))

    def run(self, until: float) -> None:
        while self._ready and self._ready[0][0] < until:
            moment, _, work, then = heapq.heappop(self._ready)
            self.now = max(self.now, moment) + work
            then()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> None:
        self.at(when, 0.0, callback)


@dataclass
class Outcome:
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def p99(self) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * 0.99)]


def adaptive(most: int = 256) -> tuple[Loop, AdaptiveAdmission]:
    loop = Loop()
    return loop, AdaptiveAdmission(most, loop)


def offered(
    to: tuple[Loop, Admission], load: float, work: float, waiting: float, seconds: float, seed: int = 1
) -> Outcome:
    """What comes of requests at random moments, so many times as many as the loop can take.

    Each takes `work` seconds of the loop, half of it before and half after it waits for a subgraph.
    """
    loop, admission = to
    draw, outcome = random.Random(seed), Outcome()
    begun = loop.now
    settled = begun + seconds / 2

    def arrive(moment: float) -> None:
        if moment >= begun + seconds:
            return
        loop.at(moment + (pause := draw.expovariate(load / work)), 0.0, lambda: arrive(moment + pause))
        if not admission.enter():
            outcome.refused += moment > settled
            return
        loop.at(moment, work / 2, lambda: loop.at(loop.now + waiting, work / 2, lambda: leave(moment)))

    def leave(arrived: float) -> None:
        admission.leave()
        if arrived > settled:
            outcome.latencies.append(loop.now - arrived)

    loop.at(begun, 0.0, lambda: arrive(begun))
    loop.run(begun + seconds)
    return outcome


KINDS = [(0.001, 0.0), (0.001, 0.02), (0.003, 0.0), (0.003, 0.02), (0.003, 0.1), (0.02, 0.0), (0.02, 0.1)]
"""Seconds of the loop, and of waiting for a subgraph."""


@pytest.mark.parametrize(("work", "waiting"), KINDS)
def test_at_twice_the_capacity_what_is_accepted_is_answered_soon(work: float, waiting: float) -> None:
    seconds = 4000 * work + 20
    calm = offered(adaptive(), 0.8, work, waiting, seconds)
    crowded = offered(adaptive(), 2.0, work, waiting, seconds)
    assert crowded.p99 <= 3 * calm.p99
    assert len(crowded.latencies) * work >= 0.93 * seconds / 2, "answers per second fall behind the capacity"


@pytest.mark.parametrize(("work", "waiting"), KINDS)
def test_at_four_fifths_of_the_capacity_hardly_anything_is_refused(work: float, waiting: float) -> None:
    outcome = offered(adaptive(), 0.8, work, waiting, 4000 * work + 20)
    assert outcome.refused <= 0.01 * len(outcome.latencies)


def test_a_fixed_number_lets_all_of_them_wait() -> None:
    """What the adaptive one is for: without it the same load takes as long as all that are admitted take."""
    outcome = offered((Loop(), Admission(256)), 2.0, 0.003, 0.0, 30)
    assert outcome.p99 > 0.9 * 256 * 0.003


def test_the_number_goes_up_again_when_the_crowd_has_gone() -> None:
    loop, admission = adaptive()
    offered((loop, admission), 2.0, 0.003, 0.0, 20)
    narrow = admission.limit
    many = offered((loop, admission), 0.9, 0.0005, 0.1, 20)  # many at the same time, which wait for a subgraph
    assert narrow < 50
    assert admission.limit > 150
    assert many.refused == 0


@pytest.mark.parametrize("most", [1, 7, LEAST, 256])
def test_the_number_stays_between_its_bounds(most: int) -> None:
    loop, admission = adaptive(most)
    while admission.enter():
        pass
    assert admission.running == most
    for moment in range(2000):  # a loop that is never idle
        loop.at(moment * 0.01, 0.01, lambda: None)
    loop.run(20)
    assert admission.limit == min(LEAST, most)

    def one_more() -> None:
        admission.enter()

    for moment in range(2000, 6000):
        loop.at(moment * 0.01, 0.0, one_more)
    loop.run(60)
    assert admission.limit == most


def test_pauses_now_and_then_change_nothing() -> None:
    loop, admission = adaptive()
    for _ in range(100):
        admission.enter()
    for moment in range(200):
        loop.at(moment * 0.1, 0.05, lambda: None)
    loop.run(20)
    assert admission.limit == 256


async def test_a_real_event_loop_that_is_never_idle_is_noticed() -> None:
    admission = AdaptiveAdmission(64)
    loop = asyncio.get_running_loop()
    for _ in range(64):
        assert admission.enter()
    while admission.limit == 64:
        until = loop.time() + 0.02  # longer than a timer may be late
        while loop.time() < until:
            pass
        await asyncio.sleep(0)
    assert admission.limit == 57


def test_requests_that_go_on_from_one_period_to_the_next_count_in_both() -> None:
    """Else a loop that is kept busy by requests of before would admit the least at once."""
    loop, admission = adaptive(most=100)
    for _ in range(100):
        assert admission.enter()
    for _ in range(2):
        loop.at(loop.now, 0.5, lambda: None)  # the loop is busy for longer than a period
        loop.run(loop.now + 0.4)
    assert LEAST < admission.limit < 100
