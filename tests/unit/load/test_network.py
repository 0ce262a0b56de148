"""The networks that a run asks for."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from kithgraph.load import network
from kithgraph.load.network import Kind, Wish


def test_the_presets_have_the_sizes_that_they_are_known_for() -> None:
    draw = random.Random(1)
    small, serial, parallel = network.small(draw), network.serial(draw), network.parallel(draw, 32)
    assert (len(small.names), small.concurrency) == (6, 1)
    assert (len(serial.names), [len(phase.wishes) for phase in serial.phases], serial.concurrency) == (15, [300], 1)
    assert (len(parallel.names), [len(phase.wishes) for phase in parallel.phases]) == (600, [99, 2000])
    assert [wish.kind for wish in parallel.afterwards] == [Kind.FRIENDS, Kind.MUTUAL_FRIENDS, Kind.RECOMMENDATIONS]
    assert (parallel.requests, parallel.concurrency) == (2702, 32)


def test_the_chain_makes_friends_of_neighbours() -> None:
    chain = network.parallel(random.Random(1), 1).phases[0].wishes
    assert chain == [Wish(Kind.ADD_FRIEND, number, number + 1) for number in range(99)]


def free(seed: int = 1, *, people: int = 2000, friends_per_person: int = 20, requests: int = 500) -> network.Network:
    return network.free(
        random.Random(seed), people=people, friends_per_person=friends_per_person, requests=requests, concurrency=1
    )


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    assert free(1) == free(1)
    assert free(1) != free(2)


def test_degrees_of_a_free_network_have_the_wanted_mean_and_a_heavy_tail() -> None:
    wishes = free().phases[0].wishes
    pairs = {frozenset((wish.person, wish.other)) for wish in wishes}
    assert len(pairs) == len(wishes) == 2000 * 20 / 2
    assert all(len(pair) == 2 for pair in pairs)
    degrees = sorted(Counter(person for pair in pairs for person in pair).values(), reverse=True)
    assert degrees[0] > 8 * 20
    assert sum(degrees[:200]) > 0.3 * sum(degrees)
    assert degrees[1000] < 20


@pytest.mark.parametrize(("people", "pairs"), [(2, 1), (3, 3), (12, 66)])
def test_a_network_too_small_for_so_many_friends_has_all_it_can_hold(people: int, pairs: int) -> None:
    found = free(people=people, friends_per_person=1000)
    wishes = found.phases[0].wishes
    assert len({frozenset((wish.person, wish.other)) for wish in wishes}) == len(wishes) == pairs
    assert all(wish.person != wish.other or wish.kind is Kind.ADD_FRIEND for wish in found.phases[1].wishes)


def test_the_requests_on_top_are_of_all_kinds() -> None:
    mix = free(requests=1000).phases[1]
    assert len(mix.wishes) == 1000
    assert {wish.kind for wish in mix.wishes} == set(Kind)
    assert not mix.racing
