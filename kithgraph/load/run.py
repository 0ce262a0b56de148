"""A run from its first request to the last comparison.

People are created and phases are asked for by as many sessions as requests may be under way at a time: whichever is
free takes what comes next. Then the sessions' bookmarks are joined by the system itself, two at a time, and with the
last joined one everything is compared exactly: every person's friends and their number, the list of users, searches,
and mutual friends and recommendations, of all people where they are few and of a sample where they are many.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol, assert_never

from kithgraph.load import changes, questions
from kithgraph.load.client import FIRST_PAUSE, Client
from kithgraph.load.differences import Differences
from kithgraph.load.history import History
from kithgraph.load.measure import Figures, Part, PhaseTime
from kithgraph.load.network import Kind, Name, Network, Wish
from kithgraph.load.session import Session, Shared

FEW: Final = 20
"""So many people are compared in full, pair by pair."""
SAMPLE: Final = 200
"""Of more people so many recommendations and pairs are compared."""
SEARCHES: Final = 20
PAGES: Final = (3, 50)
"""Sizes of the pages that friends are read in when all has settled."""

Job = Callable[[Session], Awaitable[None]]


class Watcher(Protocol):
    """Who is told how far a run is."""

    def begin(self, title: str, total: int) -> None:
        """A phase with so many steps begins."""
        ...

    def step(self) -> None:
        """One more is done."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has found."""

    network: Network
    figures: Figures
    differences: Differences


async def run(
    network: Network, endpoint: str, *, draw: random.Random, watcher: Watcher, pause: float = FIRST_PAUSE
) -> Outcome:
    """Ask for a network at an endpoint; `pause` is the first one between attempts, in seconds."""
    outcome = Outcome(network, Figures(), Differences())
    async with Client.open(endpoint, outcome.figures, connections=network.concurrency, pause=pause) as client:
        # One word to every search, and every run's own, whatever the seed; of one length, so that none begins another.
        shared = Shared(client, History(), outcome.differences, f"r{secrets.token_hex(5)}")
        await _Run(outcome, shared, draw, watcher).all()
    return outcome


class _Run:
    def __init__(self, outcome: Outcome, shared: Shared, draw: random.Random, watcher: Watcher) -> None:
        self._network = outcome.network
        self._figures = outcome.figures
        self._history = shared.history
        self._word = shared.run
        self._draw = draw
        self._watcher = watcher
        self._sessions = [Session(shared) for _ in range(outcome.network.concurrency)]
        self._ids: list[str | None] = [None] * len(outcome.network.names)

    async def all(self) -> None:
        await self._phase("people", [self._creation(number) for number in range(len(self._ids))])
        for phase in self._network.phases:
            await self._phase(phase.title, [self._wish(wish, racing=phase.racing) for wish in phase.wishes])
        if await self._settle():
            await self._phase("looks", [self._wish(wish) for wish in self._network.afterwards])
            await self._phase("comparison", list(self._comparisons()))

    async def _phase(self, title: str, jobs: Sequence[Job]) -> None:
        """All jobs, each by the next session that is free."""
        if not jobs:
            return
        self._watcher.begin(title, len(jobs))
        before, begun = self._figures.requests(), perf_counter()
        waiting = iter(jobs)

        async def work(session: Session) -> None:
            for job in waiting:
                await job(session)
                self._watcher.step()

        async with asyncio.TaskGroup() as group:
            for session in self._sessions:
                group.create_task(work(session))
        self._figures.phases.append(PhaseTime(title, self._figures.requests() - before, perf_counter() - begun))

    def _creation(self, number: int) -> Job:
        name = self._network.names[number]

        async def create(session: Session) -> None:
            own = Name(name.first, f"{name.last} {self._word}")
            self._ids[number] = await changes.create(session, own)

        return create

    def _wish(self, wish: Wish, *, racing: bool = True) -> Job:
        async def fulfil(session: Session) -> None:
            one, other = self._ids[wish.person], self._ids[wish.other]
            if one is None or other is None:
                return  # Who could not be created is a difference already.
            if racing or one == other:
                await _ask(session, wish.kind, one, other)
            else:
                async with self._history.pair(one, other).turn:
                    await _ask(session, wish.kind, one, other)

        return fulfil

    async def _settle(self) -> bool:
        """Join the bookmarks of all sessions, in as many rounds as it takes to halve them down to one."""
        person = next(filter(None, self._ids), None)
        if person is None:
            return False
        begun, left = perf_counter(), list(self._sessions)
        if len(left) > 1:
            self._watcher.begin("settling", len(left) - 1)
        while len(left) > 1:
            half = (len(left) + 1) // 2
            joins = [one.join(person, other.bookmark) for one, other in zip(left, left[half:], strict=False)]
            if not all(await asyncio.gather(*joins)):
                return False
            for _ in joins:
                self._watcher.step()
            left = left[:half]
        for session in self._sessions:
            session.settle(left[0].bookmark)
        self._history.settle()
        if len(self._sessions) > 1:
            self._figures.phases.append(PhaseTime("settling", len(self._sessions) - 1, perf_counter() - begun))
        return True

    def _comparisons(self) -> Iterator[Job]:
        people = [person for person in self._ids if person is not None]
        for person in people:
            yield _comparison_of_friends(person, self._draw.choice(PAGES))
        few = len(people) <= FEW
        for person in people if few else self._draw.sample(people, min(SAMPLE, len(people))):
            yield _comparison_of_recommendations(person, self._draw.choice((1, 10, 100)))
        pairs = [(one, other) for one in people for other in people if one < other] if few else self._pairs(people)
        for one, other in pairs:
            yield _comparison_of_pair(one, other)
        yield questions.users
        for name in self._draw.choices(self._network.names, k=SEARCHES):
            yield self._compare_search(name)

    def _pairs(self, people: Sequence[str]) -> Iterator[tuple[str, str]]:
        """A sample of pairs, half of them with a friend in common where the first one has any."""
        friends = self._sessions[0].coverage.certain
        for number in range(SAMPLE):
            one, other = self._draw.sample(people, 2)
            if number % 2 and (own := sorted(friends(one))):
                further = sorted(friends(self._draw.choice(own)) - {one})
                other = self._draw.choice(further) if further else other
            yield one, other

    def _compare_search(self, name: Name) -> Job:
        beginning = name.first[: self._draw.randint(1, len(name.first))]
        first = self._draw.choice(PAGES)
        return lambda session: questions.search(session, f"{self._word} {beginning}", first)


def _comparison_of_friends(person: str, first: int) -> Job:
    return lambda session: questions.friends(session, Part.SETTLED, person, first)


def _comparison_of_recommendations(person: str, first: int) -> Job:
    return lambda session: questions.recommendations(session, Part.SETTLED, person, first)


def _comparison_of_pair(one: str, other: str) -> Job:
    async def compare(session: Session) -> None:
        await questions.are_friends(session, Part.SETTLED, one, other)
        await questions.mutual_friends(session, Part.SETTLED, one, other)

    return compare


async def _ask(session: Session, kind: Kind, one: str, other: str) -> None:
    match kind:
        case Kind.ADD_FRIEND:
            await changes.befriend(session, one, other)
        case Kind.REMOVE_FRIEND:
            await changes.unfriend(session, one, other)
        case Kind.FRIENDS:
            await questions.friends(session, Part.LOAD, one)
        case Kind.ARE_FRIENDS:
            await questions.are_friends(session, Part.LOAD, one, other)
        case Kind.MUTUAL_FRIENDS:
            await questions.mutual_friends(session, Part.LOAD, one, other)
        case Kind.RECOMMENDATIONS:
            await questions.recommendations(session, Part.LOAD, one)
        case _:
            assert_never(kind)
