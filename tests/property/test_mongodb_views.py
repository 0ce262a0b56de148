"""Users' and friends' views in MongoDB over random histories: the same as a fold of the logs, now and then.

The oracles are those of the other adapters. There are fewer examples, because each is thousands of messages.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.reading.as_of import AsOf
from eventkernel.writing.codec import Codec
from infra.local import MongodbAddress
from subgraphs.friends import events as friends_events
from subgraphs.friends import projection as friends_projection
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.domain import FriendAdded, FriendRemoved
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated
from subgraphs.users.views import UserView
from tests.contract.test_users_view import LOG
from tests.contract.test_users_view import Feed as UserFeed
from tests.property.test_as_of_views import (
    CROWDED,
    PACES,
    Event,
    agree_on_friends,
    agree_on_usernames,
    agree_on_users,
    endless,
    fold,
    lives,
    pasts,
    questions,
)
from tests.property.test_users_view import PREFIXES
from tests.support.feeding import FRIENDS, USERS, Feed
from tests.support.histories import PEOPLE, Deed, Network, deliver_in_pieces, happen
from tests.support.mongodb_views import database_of


class WhereEveryBeginningIsCommon(MongoUserView):
    many = 1


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=8)
@given(CROWDED, st.data(), st.sampled_from([None, *PEOPLE]), st.integers(0, 9))
async def test_friendships_of_now_and_then_are_what_a_fold_gives(
    mongodb_server: MongodbAddress, deeds: Sequence[Deed], data: st.DataObject, after: str | None, limit: int
) -> None:
    codec = Codec((*friends_events.EVENT_TYPES, FriendAdded, FriendRemoved))
    async with database_of(mongodb_server.url, f"test_{secrets.token_hex(6)}") as database:
        view = await MongoView.open(database, "friends", MongoFriendView, shape=1, logs=[USERS, FRIENDS])
        build = await view.create()
        feed = Feed(build, friends_projection.projection, codec, paces=endless(data))
        happened = happen(feed, deeds, data)
        await deliver_in_pieces(feed, data)
        network = Network.after(happened, feed.delivered)
        assert await build.friend_counts(PEOPLE) == {user: len(network.shown_friends(user)) for user in PEOPLE}
        for user in PEOPLE:
            page = (await build.friends([user], after, limit))[user]
            shown = sorted(other for other in network.shown_friends(user) if other > (after or ""))
            assert [friend.id for friend in page] == shown[:limit]
            standing = [next(other for other in pair.users if other != user) for pair in await build.standing(user)]
            assert standing == sorted(network.friends[user])
        await feed.deliver()
        for past in pasts(feed, happened, data):
            await agree_on_friends(build.as_of(past.as_of), past, after, limit)
        await view.aclose()


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=8)
@given(lives(), st.data(), PREFIXES, st.sampled_from([None, "a", "B", "c", "é"]), st.integers(0, 5))
async def test_users_of_now_and_then_are_what_a_fold_gives(
    mongodb_server: MongodbAddress,
    events: Sequence[tuple[str, UserCreated | UserUpdated | None]],
    data: st.DataObject,
    search: set[str],
    after: str | None,
    limit: int,
) -> None:
    paces = data.draw(st.lists(PACES, min_size=len(events), max_size=len(events)), label="paces")
    batch = data.draw(st.integers(1, 5), label="batch")
    async with database_of(mongodb_server.url, f"test_{secrets.token_hex(6)}") as database:
        views = [
            await MongoView[MongoUserView].open(database, name, build_type, shape=1, logs=[LOG])
            for name, build_type in (("rare", MongoUserView), ("common", WhereEveryBeginningIsCommon))
        ]
        builds: list[UserView] = [await view.create() for view in views]
        recorded: list[Event] = []
        for build in builds:
            feed = UserFeed(build, paces)
            for start in range(0, len(events), batch):
                await feed.take(*((user, change or UserDeleted()) for user, change in events[start : start + batch]))
            states = iter(sorted((s for own in feed.states.values() for s in own), key=lambda s: s.offset))
            recorded = [
                Event(user, change, s.offset, s.time_us) for (user, change), s in zip(events, states, strict=True)
            ]
        asked: list[tuple[AsOf | None, Sequence[Event], bool]] = [(None, recorded, True), *questions(recorded, data)]
        for as_of, had_happened, one_order in asked:
            people = fold(had_happened)
            for build in builds:
                past = build.as_of(as_of)
                await agree_on_users(past, people, search, after, limit)
                if one_order:
                    await agree_on_usernames(past, people)
        for view in views:
            await view.aclose()
