"""Recommendations on Neo4j over random networks and deliveries: the same as a plain count, about now and about then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.writing.codec import Codec
from infra.local import Neo4jAddress
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import projection
from tests.property.test_as_of_views import CROWDED, agree_on_recommendations, endless, pasts
from tests.property.test_recommendations_view import agree
from tests.support.feeding import Feed
from tests.support.histories import Deed, Network, deliver_in_pieces, happen, histories
from tests.support.neo4j_views import empty_graph

pytestmark = pytest.mark.engines


@settings(deadline=None, max_examples=25)
@given(histories(), st.data())
async def test_neo4j_recommends_as_a_plain_count_does(
    neo4j_server: Neo4jAddress, deeds: Sequence[Deed], data: st.DataObject
) -> None:
    async with empty_graph(neo4j_server) as build:
        feed = Feed(build, projection, Codec(EVENT_TYPES))
        happened = happen(feed, deeds, data)
        await deliver_in_pieces(feed, data)
        await agree(build, Network.after(happened, feed.delivered))
        await feed.deliver()
        await agree(build, Network.after(happened, feed.delivered))


@settings(deadline=None, max_examples=25)
@given(CROWDED, st.data())
async def test_recommendations_of_then_on_neo4j_are_what_a_fold_up_to_then_gives(
    neo4j_server: Neo4jAddress, deeds: Sequence[Deed], data: st.DataObject
) -> None:
    async with empty_graph(neo4j_server) as build:
        feed = Feed(build, projection, Codec(EVENT_TYPES), paces=endless(data))
        happened = happen(feed, deeds, data)
        await deliver_in_pieces(feed, data)
        await feed.deliver()
        for past in pasts(feed, happened, data):
            await agree_on_recommendations(build.as_of(past.as_of), past)
