"""The friends' view over random networks and deliveries: the same as plain sets, on every adapter."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.writing.codec import Codec
from subgraphs.friends import events
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.domain import FriendAdded, FriendRemoved, Pair
from subgraphs.friends.projection import projection
from subgraphs.friends.views import FriendView
from tests.support.feeding import Feed
from tests.support.histories import PEOPLE, Deed, Network, deliver_in_pieces, happen, histories

PAIRS = [Pair(one, other) for one, other in combinations(PEOPLE, 2)]


async def agree(build: FriendView, network: Network, after: str | None, limit: int) -> None:
    counts = await build.friend_counts(PEOPLE)
    assert counts == {user: len(network.shown_friends(user)) for user in PEOPLE}
    pages = await build.friends(PEOPLE, after, limit)
    assert {user: [friend.id for friend in page] for user, page in pages.items()} == {
        user: sorted(friend for friend in network.shown_friends(user) if friend > (after or ""))[:limit]
        for user in PEOPLE
    }
    shown = {pair for pair in PAIRS if pair.high in network.shown_friends(pair.low)}
    assert (await build.friendships(PAIRS)).keys() == shown
    for user in PEOPLE:
        standing = {friend for pair in await build.standing(user) for friend in pair.users} - {user}
        assert standing == network.friends[user]
    known = await build.users(PEOPLE)
    assert {user for user, doc in known.items() if not doc.deleted} == network.living


@settings(deadline=None, max_examples=60)
@given(histories(), st.data(), st.sampled_from([None, *PEOPLE]), st.integers(0, 9))
async def test_every_adapter_shows_the_friendships_that_plain_sets_show(
    deeds: Sequence[Deed], data: st.DataObject, after: str | None, limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        view = await SqliteView.open(Path(folder), SqliteFriendView, shape=1, logs=["any"])
        build = await view.create()
        feed = Feed(build, projection, Codec((*events.EVENT_TYPES, FriendAdded, FriendRemoved)))
        happened = happen(feed, deeds, data)
        await deliver_in_pieces(feed, data)
        await agree(build, Network.after(happened, feed.delivered), after, limit)
        await feed.deliver()
        await agree(build, Network.after(happened, feed.delivered), after, limit)
        await view.aclose()
