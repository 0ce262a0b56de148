"""The past of the views over random histories: the same as a fold of the logs up to there, on every adapter.

Times may be equal, stand still and go back between streams, as those of several servers do; users are deleted,
friendships end and begin again. The oracle takes the events that had happened, in their order, and forgets the others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.errors import TooCostly
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import AsOf, Moment
from eventkernel.writing.codec import Codec
from subgraphs.friends import events as friends_events
from subgraphs.friends import projection as friends_projection
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.domain import FriendAdded, FriendRemoved, Pair
from subgraphs.friends.views import FriendQuestions
from subgraphs.recommendations import events as recommendations_events
from subgraphs.recommendations import projection as recommendations_projection
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.views import RecommendationQuestions
from subgraphs.users.adapters.memory import MemoryUserView
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated, username_claim
from subgraphs.users.projection import UserDoc
from subgraphs.users.views import UserQuestions, UserView
from tests.contract.test_users_view import LOG
from tests.contract.test_users_view import Feed as UserFeed
from tests.property.test_users_view import BEGINNINGS, NAMES, PREFIXES, WORDS, EverythingIsCommon
from tests.support.feeding import Feed
from tests.support.histories import PEOPLE, Deed, Happened, Network, deliver_in_pieces, happen, histories

CROWDED = histories(least=25, pairs=5)
PACES = st.sampled_from([0, 0, 1_000, 3_000, -2_000])


def endless(data: st.DataObject) -> Iterator[int]:
    while True:
        yield data.draw(PACES, label="pace")


@dataclass(frozen=True)
class Past:
    """A past to ask for, and what had happened then."""

    as_of: AsOf
    deeds: list[tuple[Deed, Any]]
    """With their records."""

    @property
    def network(self) -> Network:
        return Network.of([deed for deed, _ in self.deeds])

    def record_of(self, what: str, *who: str) -> Any:
        """The latest one that says this."""
        return [record for deed, record in self.deeds if deed == (what, *who)][-1]


def pasts(feed: Feed[Any], happened: Happened, data: st.DataObject) -> list[Past]:
    """Some moments (of events, just before and after them) and some positions."""
    recorded = {log: list(zip(happened[log], feed.logs[log], strict=True)) for log in happened}
    times = sorted({record.time_us for records in feed.logs.values() for record in records})
    around = [0, *(time + near for time in times for near in (-1, 0, 1))]
    found: list[Past] = []
    for moment in data.draw(st.lists(st.sampled_from(around), min_size=1, max_size=4), label="moments"):
        seen = [entry for entries in recorded.values() for entry in entries if entry[1].time_us <= moment]
        found.append(Past(Moment(moment), seen))
    for _ in range(2):
        ends = {log: data.draw(st.integers(0, len(recorded[log])), label=log) for log in recorded}
        seen = [entry for log, end in ends.items() for entry in recorded[log][:end]]
        found.append(Past(Position({Partition(log, 0): end for log, end in ends.items()}), seen))
    return found


async def agree_on_friends(view: FriendQuestions, past: Past, after: str | None, limit: int) -> None:
    network = past.network
    counts = await view.friend_counts(PEOPLE)
    assert counts == {user: len(network.shown_friends(user)) for user in PEOPLE}
    pages = await view.friends(PEOPLE, after, limit)
    begun = {
        (one, other): past.record_of("toggled", *sorted((one, other)))
        for one in PEOPLE
        for other in network.shown_friends(one)
    }
    assert {user: [(friend.id, friend.since_us) for friend in page] for user, page in pages.items()} == {
        user: [
            (friend, begun[user, friend].time_us)
            for friend in sorted(network.shown_friends(user))
            if friend > (after or "")
        ][:limit]
        for user in PEOPLE
    }
    pairs = [Pair(one, other) for one in PEOPLE for other in PEOPLE if one < other]
    shown = await view.friendships(pairs)
    assert {pair.users: (doc.version, doc.since_us, doc.ended) for pair, doc in shown.items()} == {
        two: (record.version, record.time_us, False) for two, record in begun.items() if two[0] < two[1]
    }
    known = await view.users(PEOPLE)
    created = {deed[1] for deed, _ in past.deeds if deed[0] == "created"}
    assert {user: doc.deleted for user, doc in known.items()} == {user: user not in network.living for user in created}


async def agree_on_recommendations(view: RecommendationQuestions, past: Past) -> None:
    network = past.network
    found = await view.recommended(PEOPLE, 100, 1_000_000)
    assert {user: [(one.id, one.mutual_friends) for one in others] for user, others in found.items()} == {
        user: network.recommended(user) for user in PEOPLE
    }
    first = await view.recommended(PEOPLE, 2, 1_000_000)
    assert {user: list(others) for user, others in first.items()} == {u: list(o)[:2] for u, o in found.items()}
    twos = [(one, other) for one in PEOPLE for other in PEOPLE]
    shared = await view.mutual_friends(twos, None, 1_000_000)
    assert {two: list(users) for two, users in shared.items()} == {
        (one, other): sorted(network.shown_friends(one) & network.shown_friends(other)) if one != other else []
        for one, other in twos
    }
    for user in PEOPLE:
        assert set(await view.friends_of(user, len(PEOPLE))) == network.friends[user]
        if network.steps(user):
            with pytest.raises(TooCostly):
                await view.recommended([user], 100, network.steps(user) - 1)
    assert {user for user, doc in (await view.users(PEOPLE)).items() if not doc.deleted} == network.living


@settings(deadline=None, max_examples=50)
@given(CROWDED, st.data(), st.sampled_from([None, *PEOPLE]), st.integers(0, 9))
async def test_friendships_of_then_are_what_a_fold_up_to_then_gives(
    deeds: Sequence[Deed], data: st.DataObject, after: str | None, limit: int
) -> None:
    codec = Codec((*friends_events.EVENT_TYPES, FriendAdded, FriendRemoved))
    with tempfile.TemporaryDirectory() as folder:
        view = await SqliteView.open(Path(folder), SqliteFriendView, shape=1, logs=["any"])
        build = await view.create()
        feed = Feed(build, friends_projection.projection, codec, paces=endless(data))
        happened = happen(feed, deeds, data)
        await deliver_in_pieces(feed, data)
        await feed.deliver()
        for past in pasts(feed, happened, data):
            await agree_on_friends(build.as_of(past.as_of), past, after, limit)
        await view.aclose()


@settings(deadline=None, max_examples=50)
@given(CROWDED, st.data())
async def test_recommendations_of_then_are_what_a_fold_up_to_then_gives(
    deeds: Sequence[Deed], data: st.DataObject
) -> None:
    codec = Codec(recommendations_events.EVENT_TYPES)
    with tempfile.TemporaryDirectory() as folder:
        view = await SqliteView.open(Path(folder), SqliteRecommendationView, shape=1, logs=["any"])
        build = await view.create()
        feed = Feed(build, recommendations_projection.projection, codec, paces=endless(data))
        happened = happen(feed, deeds, data)
        await deliver_in_pieces(feed, data)
        await feed.deliver()
        for past in pasts(feed, happened, data):
            await agree_on_recommendations(build.as_of(past.as_of), past)
        await view.aclose()


# Users, by their names


@dataclass(frozen=True)
class Event:
    """One event of the users' log, and its place."""

    user: str
    change: UserCreated | UserUpdated | None
    """None: deleted."""
    offset: int
    time_us: int


USERNAMES = ["ada", "ADA", "Ádám", "x"]
SKELETONS = {"ada": "ada", "ADA": "ada", "Ádám": "a\u0301da\u0301rn", "x": "x"}
"""Of usernames that hold no claim of theirs."""


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, UserCreated | UserUpdated | None]]:
    """Of few users; nobody has a username that somebody else has."""
    living: dict[str, str | None] = {}
    gone: set[str] = set()
    events: list[tuple[str, UserCreated | UserUpdated | None]] = []
    for user in draw(st.lists(st.sampled_from(["a", "B", "é", "😀"]), max_size=20)):
        taken = {name.casefold() for other, name in living.items() if name is not None and other != user}
        username = draw(st.sampled_from([None, *(name for name in USERNAMES if name.casefold() not in taken)]))
        if user in gone:
            continue
        if user not in living:
            living[user] = username
            events.append((user, UserCreated(first_name=draw(NAMES), last_name=draw(NAMES), username=username)))
        elif draw(st.integers(0, 3)):
            removed = username is None and living[user] is not None and draw(st.booleans())
            living[user] = None if removed else username or living[user]
            names = {name: draw(NAMES | st.none()) for name in ("first_name", "last_name")}
            events.append((user, UserUpdated(**names, username=username, username_removed=removed)))
        else:
            del living[user]
            gone.add(user)
            events.append((user, None))
    return events


def fold(events: Sequence[Event]) -> dict[str, UserDoc]:
    """The oracle: who there is after these, in the order of ids."""
    people: dict[str, UserDoc] = {}
    for event in events:
        match event.change:
            case UserCreated(first_name=first, last_name=last, username=username):
                people[event.user] = UserDoc(
                    event.user,
                    1,
                    first,
                    last,
                    username,
                    event.time_us,
                    event.time_us,
                    skeleton=SKELETONS.get(username or ""),
                )
            case UserUpdated() as change:
                old = people[event.user]
                people[event.user] = UserDoc(
                    event.user,
                    old.version + 1,
                    change.first_name or old.first_name,
                    change.last_name or old.last_name,
                    None if change.username_removed else change.username or old.username,
                    old.created_us,
                    event.time_us,
                    skeleton=None
                    if change.username_removed
                    else SKELETONS[change.username]
                    if change.username
                    else old.skeleton,
                )
            case None:
                del people[event.user]
    return dict(sorted(people.items()))


async def agree_on_users(
    view: UserQuestions, people: dict[str, UserDoc], search: set[str], after: str | None, limit: int
) -> None:
    assert await view.users(["a", "B", "é", "😀", "nobody"]) == people
    assert await view.page(None, 100) == list(people.values())
    behind = [doc for user, doc in people.items() if user > (after or "")]
    assert await view.page(after, limit) == behind[:limit]

    def found(doc: UserDoc, prefixes: set[str]) -> bool:
        own = WORDS[doc.first_name] + WORDS[doc.last_name]
        return all(any(word.startswith(prefix) for word in own) for prefix in prefixes)

    assert await view.search(search, after, limit) == [doc for doc in behind if found(doc, search)][:limit]
    for beginning in BEGINNINGS:
        assert await view.search({beginning}, None, 9) == [doc for doc in people.values() if found(doc, {beginning})]


async def agree_on_usernames(view: UserQuestions, people: dict[str, UserDoc]) -> None:
    for username in USERNAMES:
        having = [doc for doc in people.values() if doc.username and doc.username.casefold() == username.casefold()]
        assert await view.of_username(username_claim(username)) == next(iter(having), None)


@settings(deadline=None, max_examples=60)
@given(lives(), st.data(), PREFIXES, st.sampled_from([None, "a", "B", "c", "é"]), st.integers(0, 5))
async def test_users_of_then_are_what_a_fold_up_to_then_gives(
    events: Sequence[tuple[str, UserCreated | UserUpdated | None]],
    data: st.DataObject,
    search: set[str],
    after: str | None,
    limit: int,
) -> None:
    paces = data.draw(st.lists(PACES, min_size=len(events), max_size=len(events)), label="paces")
    batch = data.draw(st.integers(1, 5), label="batch")
    with tempfile.TemporaryDirectory() as folder:
        views = [
            await SqliteView.open(Path(folder) / name, build, shape=1, logs=[LOG])
            for name, build in (("rare", SqliteUserView), ("common", EverythingIsCommon))
        ]
        builds: list[UserView] = [MemoryUserView("memory"), *[await view.create() for view in views]]
        recorded: list[Event] = []
        for build in builds:
            feed = UserFeed(build, paces)
            for start in range(0, len(events), batch):
                await feed.take(*((user, change or UserDeleted()) for user, change in events[start : start + batch]))
            places = {(user, s.version): s for user, states in feed.states.items() for s in states}
            versions: dict[str, int] = {}
            recorded = []
            for user, change in events:
                versions[user] = versions.get(user, 0) + 1
                place = places[user, versions[user]]
                recorded.append(Event(user, change, place.offset, place.time_us))
        for as_of, had_happened, one_order in questions(recorded, data):
            people = fold(had_happened)
            for build in builds:
                past = build.as_of(as_of)
                await agree_on_users(past, people, search, after, limit)
                if one_order:
                    await agree_on_usernames(past, people)
        for view in views:
            await view.aclose()


def questions(events: Sequence[Event], data: st.DataObject) -> Iterator[tuple[AsOf, Sequence[Event], bool]]:
    """Pasts, and what had happened then; and whether their order is the log's: a name changes hands in the
    order of the log, and by the times of two servers it may be nobody's or both's for a while."""
    times = [event.time_us for event in events]
    monotonic = times == sorted(times)
    for _ in range(3):
        moment = data.draw(st.sampled_from([0, *times]), label="moment") + data.draw(st.sampled_from([-1, 0, 1]))
        yield Moment(moment), [event for event in events if event.time_us <= moment], monotonic
    end = data.draw(st.integers(0, len(events) + 1), label="end")
    yield Position.of(LOG, 0, end), [event for event in events if event.offset < end], True
