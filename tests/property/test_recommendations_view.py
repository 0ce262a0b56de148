"""Recommendations over random networks and deliveries: the same as a plain count, on every adapter."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.errors import TooCostly
from eventkernel.writing.codec import Codec
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import projection
from subgraphs.recommendations.views import RecommendationView
from tests.support.feeding import Feed
from tests.support.histories import PEOPLE, Deed, Network, deliver_in_pieces, happen, histories

ALL = 100
NO_BOUND = 1_000_000
TWOS = [(one, other) for one in PEOPLE for other in PEOPLE]


async def agree(build: RecommendationView, network: Network) -> None:
    found = await build.recommended(PEOPLE, ALL, NO_BOUND)
    answer = {user: [(one.id, one.mutual_friends) for one in others] for user, others in found.items()}
    assert answer == {user: network.recommended(user) for user in PEOPLE}
    shared = await build.mutual_friends(TWOS, None, NO_BOUND)
    assert {two: list(users) for two, users in shared.items()} == {
        (one, other): sorted(network.shown_friends(one) & network.shown_friends(other)) if one != other else []
        for one, other in TWOS
    }
    for user in PEOPLE:
        steps = network.steps(user)
        await build.recommended([user], ALL, steps)
        if steps:
            with pytest.raises(TooCostly):
                await build.recommended([user], ALL, steps - 1)


@settings(deadline=None, max_examples=60)
@given(histories(), st.data())
async def test_every_adapter_recommends_as_a_plain_count_does(deeds: Sequence[Deed], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        view = await SqliteView.open(Path(folder), SqliteRecommendationView, shape=1, logs=["any"])
        build = await view.create()
        feed = Feed(build, projection, Codec(EVENT_TYPES))
        happened = happen(feed, deeds, data)
        await deliver_in_pieces(feed, data)
        await agree(build, Network.after(happened, feed.delivered))
        await feed.deliver()
        await agree(build, Network.after(happened, feed.delivered))
        await view.aclose()
