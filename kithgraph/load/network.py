"""What a run asks for: people with names, friendships to attempt, and requests on top, drawn from a seed.

The presets are those that the system before this one was loaded with. A free size has a heavy-tailed degree
distribution: every person has a weight from a Pareto distribution with exponent 1.5 (densities of degrees then fall
with exponent 2.5, as in friendship networks that were measured), and the ends of a friendship are drawn with
probabilities in proportion to weights (the model of Chung and Lu, https://doi.org/10.1073/pnas.252631999). One weight
is at most the square root of the sum of all, above which that model has no simple graph.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, pairwise
from math import sqrt
from typing import Final

FIRST_NAMES: Final = (
    "Ada", "Alan", "André", "Barbara", "Björn", "Çelik", "Dorothy", "Edsger", "Élodie", "Frances", "Grace", "Hedy",
    "Ingrid", "Jean-Luc", "Katherine", "Łukasz", "Mary Kay", "Niklaus", "Ольга", "Piñar", "Radia", "Şule", "Tony",
    "Zoë",
)  # fmt: skip
LAST_NAMES: Final = (
    "Allen", "Ångström", "Backus", "Dijkstra", "Engelbart", "Goldberg", "Hamilton", "Hopper", "Johnson", "Kay",
    "Lamarr", "Liskov", "Lovelace", "McCarthy", "Müller", "Núñez", "O'Neill", "Perlman", "Ritchie", "Saint-Exupéry",
    "Turing", "Vaughan", "Wirth",
)  # fmt: skip

SMALL_PEOPLE: Final = (
    ("Ada", "Lovelace"), ("Grace", "Hopper"), ("Alan", "Turing"), ("Edsger", "Dijkstra"), ("Barbara", "Liskov"),
    ("Hedy", "Lamarr"),
)  # fmt: skip
SMALL_FRIENDSHIPS: Final = ((0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4), (4, 5))
"""Edsger shares two friends with Ada, Barbara one; Hedy is two friendships away from Edsger and three from Ada."""

CONCURRENCY: Final = 32
"""Requests under way at a time, where nobody says otherwise."""

_CHAIN: Final = 99
_TAIL: Final = 1.5


class Kind(StrEnum):
    """What a request asks for."""

    ADD_FRIEND = "addFriend"
    REMOVE_FRIEND = "removeFriend"
    FRIENDS = "friends"
    ARE_FRIENDS = "areFriends"
    MUTUAL_FRIENDS = "mutualFriends"
    RECOMMENDATIONS = "recommendations"


_MIX: Final = {
    Kind.RECOMMENDATIONS: 30,
    Kind.FRIENDS: 25,
    Kind.MUTUAL_FRIENDS: 15,
    Kind.ARE_FRIENDS: 10,
    Kind.ADD_FRIEND: 14,
    Kind.REMOVE_FRIEND: 6,
}
"""Percentages of the requests on top of a free network."""


@dataclass(frozen=True, slots=True)
class Name:
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Wish:
    """One request about a person, or about two; people are numbers from 0 on."""

    kind: Kind
    person: int
    other: int = 0


@dataclass(frozen=True, slots=True)
class Phase:
    """Requests that may be under way at the same time; the next phase begins when all of them are answered."""

    title: str
    wishes: Sequence[Wish]
    racing: bool = True
    """Whether changes of one pair may be under way at the same time, too."""


@dataclass(frozen=True, slots=True)
class Network:
    """Everything that a run asks for: first all people, then the phases in their order, then `afterwards` in quiet."""

    title: str
    names: Sequence[Name]
    phases: Sequence[Phase]
    afterwards: Sequence[Wish]
    concurrency: int

    @property
    def requests(self) -> int:
        """How many requests this is, without those that only check."""
        return len(self.names) + sum(len(phase.wishes) for phase in self.phases) + len(self.afterwards)


def small(draw: random.Random) -> Network:
    """Six people by hand."""
    names = [Name(*name) for name in SMALL_PEOPLE]
    return Network("small", names, [_friendships("friendships", SMALL_FRIENDSHIPS)], _looks(draw, len(names)), 1)


def serial(draw: random.Random) -> Network:
    """15 people and 300 random friendships, one request at a time; many a pair comes twice, some are of one person."""
    pairs = [(draw.randrange(15), draw.randrange(15)) for _ in range(300)]
    return Network("serial", _names(draw, 15), [_friendships("friendships", pairs)], _looks(draw, 15), 1)


def parallel(draw: random.Random, concurrency: int) -> Network:
    """600 people, a chain of 99 friendships, 2,000 random ones, and three looks: 2,702 requests."""
    people = 600
    random_pairs = [(draw.randrange(people), draw.randrange(people)) for _ in range(2000)]
    phases = [
        _friendships("chain", list(pairwise(range(_CHAIN + 1)))),
        _friendships("friendships", random_pairs),
    ]
    return Network("parallel", _names(draw, people), phases, _looks(draw, people), concurrency)


def free(draw: random.Random, *, people: int, friends_per_person: int, requests: int, concurrency: int) -> Network:
    """A network with a heavy-tailed degree distribution and a mix of requests on it.

    `people` are at least two; `friends_per_person`, at least one, is the mean of degrees; a network that is too small
    for it gets what it can hold.
    """
    weights = _weights(draw, people)
    wanted = min(max(1, people * friends_per_person // 2), people * (people - 1) // 2)
    pairs = _distinct_pairs(draw, weights, wanted)
    phases = [
        _friendships("friendships", pairs),
        Phase("mix", list(_mixed(draw, people, pairs, requests)), racing=False),
    ]
    return Network(f"{people} people", _names(draw, people), phases, [], concurrency)


def _names(draw: random.Random, people: int) -> list[Name]:
    return [Name(draw.choice(FIRST_NAMES), draw.choice(LAST_NAMES)) for _ in range(people)]


def _friendships(title: str, pairs: Sequence[tuple[int, int]]) -> Phase:
    return Phase(title, [Wish(Kind.ADD_FRIEND, *pair) for pair in pairs])


def _looks(draw: random.Random, people: int) -> list[Wish]:
    one, other = draw.sample(range(people), 2)
    return [
        Wish(Kind.FRIENDS, draw.randrange(people)),
        Wish(Kind.MUTUAL_FRIENDS, one, other),
        Wish(Kind.RECOMMENDATIONS, draw.randrange(people)),
    ]


def _weights(draw: random.Random, people: int) -> list[float]:
    """Cumulated weights of all people."""
    weights = [draw.paretovariate(_TAIL) for _ in range(people)]
    most = sqrt(sum(weights))
    return list(accumulate(min(weight, most) for weight in weights))


def _distinct_pairs(draw: random.Random, weights: Sequence[float], wanted: int) -> list[tuple[int, int]]:
    people = range(len(weights))
    # The order of a dictionary is the order of drawing: the same on every machine.
    pairs: dict[tuple[int, int], None] = {}
    # A small or dense network has hardly a pair left to draw: then what is missing is filled up in order.
    for _ in range(20 * wanted):
        if len(pairs) == wanted:
            break
        one, other = draw.choices(people, cum_weights=weights, k=2)
        if one != other:
            pairs[min(one, other), max(one, other)] = None
    missing = ((one, other) for one in people for other in range(one) if (other, one) not in pairs)
    pairs |= {(other, one): None for one, other in _first(missing, wanted - len(pairs))}
    return list(pairs)


def _first(pairs: Iterator[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    return [pair for _, pair in zip(range(number), pairs, strict=False)]


def _mixed(draw: random.Random, people: int, pairs: Sequence[tuple[int, int]], requests: int) -> Iterator[Wish]:
    kinds = draw.choices(list(_MIX), weights=list(_MIX.values()), k=requests)
    for kind in kinds:
        # What was there once can be ended, and begin again; half of what is to begin is drawn anew, oneself included.
        if kind is Kind.REMOVE_FRIEND or (kind is Kind.ADD_FRIEND and draw.random() < 0.5):
            one, other = draw.choice(pairs)
        elif kind is Kind.ADD_FRIEND:
            one, other = draw.randrange(people), draw.randrange(people)
        else:
            one, other = draw.sample(range(people), 2)
        yield Wish(kind, one, other)
