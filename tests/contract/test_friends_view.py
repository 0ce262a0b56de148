"""What every adapter of `FriendView` answers alike; and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import Moment
from eventkernel.reading.views import State
from eventkernel.testing.view_contract import ViewContract
from eventkernel.writing.codec import Codec
from subgraphs.friends import events
from subgraphs.friends.adapters import sqlite
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.domain import FriendAdded, FriendRemoved, Pair
from subgraphs.friends.projection import FriendsDoc, FriendshipDoc, UserDoc, projection
from subgraphs.friends.views import Friend, FriendQuestions, FriendView
from tests.support.feeding import FRIENDS, USERS, Feed
from tests.support.views import SqliteUnderTest, rows_of_all

A_B, A_C, B_C = Pair("a", "b"), Pair("a", "c"), Pair("b", "c")


async def friends(build: FriendQuestions, user: str, after: str | None = None, limit: int = 10) -> list[str]:
    return [friend.id for friend in (await build.friends([user], after, limit))[user]]


async def shown(build: FriendView) -> list[Pair]:
    return sorted(await build.friendships([A_B, A_C, B_C]), key=lambda pair: pair.users)


class FriendViewContract(ABC):
    """An adapter's test derives from this and brings the fixture `build`: an empty one."""

    @pytest.fixture
    @abstractmethod
    def build(self) -> FriendView: ...

    @pytest.fixture
    def feed(self, build: FriendView) -> Feed[FriendsDoc]:
        return Feed(build, projection, Codec((*events.EVENT_TYPES, FriendAdded, FriendRemoved)))

    async def test_a_friendship_is_seen_from_both_sides(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        await feed.create("a", "b").add("b", "a").deliver()
        assert await build.friendships([A_B]) == {A_B: FriendshipDoc(A_B, 1, 1_003_000, 0)}
        assert await build.friends(["b", "a"], None, 10) == {
            "a": [Friend("b", 1_003_000)],
            "b": [Friend("a", 1_003_000)],
        }
        assert await build.friend_counts(["a", "b"]) == {"a": 1, "b": 1}

    async def test_a_friendship_ends_and_begins_again(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        await feed.create("a", "b").add("a", "b").deliver()
        await feed.remove("a", "b").deliver()
        assert (await shown(build), await friends(build, "a"), await build.standing("a")) == ([], [], [])
        assert await build.friend_counts(["a", "b"]) == {"a": 0, "b": 0}
        await feed.add("a", "b").remove("a", "b").add("a", "b").deliver()
        assert await build.friendships([A_B]) == {A_B: FriendshipDoc(A_B, 5, 1_007_000, 4)}
        assert await build.friends(["b"], None, 10) == {"b": [Friend("a", 1_007_000)]}

    async def test_pages_follow_each_other_by_id(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        order = ["A", "B", "a", "b", "z", "é", "\uff5e", "😀"]
        feed.create("m", *reversed(order))
        for other in reversed(order):
            feed.add("m", other)
        await feed.deliver()
        assert await friends(build, "m") == order
        assert await friends(build, "m", limit=3) == order[:3]
        assert await friends(build, "m", "a", 3) == order[3:6]
        assert await friends(build, "m", "aa", 3) == order[3:6]
        assert await friends(build, "m", "😀") == []
        assert await friends(build, "m", limit=0) == []
        assert (await build.friend_counts(["m"]))["m"] == len(order)

    async def test_many_users_are_asked_for_in_one_read(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        await feed.create("a", "b", "c", "d").add("a", "b").add("a", "c").add("b", "c").deliver()
        pages = await build.friends(["a", "c", "d", "nobody", "a"], None, 1)
        assert {user: [friend.id for friend in page] for user, page in pages.items()} == {
            "a": ["b"],
            "c": ["a"],
            "d": [],
            "nobody": [],
        }
        assert await build.friend_counts(["a", "d", "nobody", "a"]) == {"a": 2, "d": 0, "nobody": 0}
        assert await build.friends([], None, 1) == {}
        assert await build.friend_counts([]) == {}
        assert await build.friendships([]) == {}
        assert set(await build.friendships([A_B, Pair("a", "d"), B_C, A_B])) == {A_B, B_C}

    async def test_a_friendship_waits_for_its_users(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        await feed.add("a", "b").add("a", "c").add("b", "c").deliver(FRIENDS)
        feed.create("a", "b", "c")
        for users, expected in ((0, []), (1, []), (2, [A_B]), (3, [A_B, A_C, B_C])):
            await feed.deliver(USERS, upto=users)
            assert await shown(build) == expected
            for user in "abc":
                of_user = [pair for pair in expected if user in pair.users]
                assert len(await friends(build, user)) == len(of_user)
                assert await build.friend_counts([user]) == {user: len(of_user)}
        assert await build.standing("a") == [A_B, A_C]

    async def test_a_deleted_user_is_hidden_at_once_and_remembered(
        self, build: FriendView, feed: Feed[FriendsDoc]
    ) -> None:
        await feed.create("a", "b", "c").add("a", "b").add("a", "c").add("b", "c").delete("b").deliver()
        assert await shown(build) == [A_C]
        assert (await friends(build, "a"), await friends(build, "b"), await friends(build, "c")) == (["c"], [], ["a"])
        assert await build.friend_counts(["a", "b", "c"]) == {"a": 1, "b": 0, "c": 1}
        known = await build.users(["a", "b", "nobody"])
        assert known == {"a": UserDoc("a", 1_001_000, 0), "b": UserDoc("b", 1_002_000, 1, deleted=True)}

    async def test_the_standing_friendships_of_a_user_are_there_until_they_end(
        self, build: FriendView, feed: Feed[FriendsDoc]
    ) -> None:
        await feed.create("a", "b", "c").add("a", "b").add("b", "c").add("a", "c").delete("b").deliver()
        assert await build.standing("b") == [A_B, B_C]
        await feed.remove("a", "b").deliver()
        assert await build.standing("b") == [B_C]
        assert await build.standing("nobody") == []

    async def test_records_that_come_again_change_nothing(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        await feed.create("a", "b", "c").add("a", "b").remove("a", "b").add("a", "b").rename("a").deliver()
        await feed.add("a", "c").delete("c").deliver()
        for _ in range(2):
            await feed.deliver(FRIENDS, first=0)
            await feed.deliver(USERS, first=0)
        assert await build.friendships([A_B, A_C]) == {A_B: FriendshipDoc(A_B, 3, 1_006_000, 2)}
        assert await build.friend_counts(["a"]) == {"a": 1}

    async def test_every_question_has_the_answer_of_then(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        # 1_001 to 1_003: users; 1_004: friends; 1_005: not; 1_006: again; 1_007: c is deleted
        await (
            feed.create("a", "b", "c").add("a", "b").remove("a", "b").add("a", "b").delete("c").add("b", "c").deliver()
        )
        lasting = {"1_003": 0, "1_004": 1, "1_005": 0, "1_006": 3, "1_008": 3}
        for then, version in lasting.items():
            past = build.as_of(Moment(int(then) * 1_000))
            since = {0: None, 1: 1_004_000, 3: 1_006_000}[version]
            found = await past.friendships([A_B, B_C])
            assert {pair: (doc.version, doc.since_us) for pair, doc in found.items()} == (
                {A_B: (version, since)} if version else {}
            )
            assert await past.friends(["a"], None, 9) == {"a": [Friend("b", since)] if since else []}
            assert await past.friend_counts(["a", "b", "c"]) == {"a": bool(version), "b": bool(version), "c": 0}
            assert {user: doc.deleted for user, doc in (await past.users(["a", "c"])).items()} == {
                "a": False,
                "c": then == "1_008",
            }
        assert await build.as_of(Moment(1_000_000)).users(["a"]) == {}
        assert await friends(build.as_of(None), "a") == ["b"]

    async def test_a_position_is_a_line_through_both_logs(self, build: FriendView, feed: Feed[FriendsDoc]) -> None:
        await feed.create("a", "b").delete("b").add("a", "b").remove("a", "b").deliver()
        for ends, expected in {(1, 1): [], (2, 0): [], (2, 1): [A_B], (2, 2): [], (3, 1): []}.items():
            then = Position({Partition(USERS, 0): ends[0], Partition(FRIENDS, 0): ends[1]})
            assert list(await build.as_of(then).friendships([A_B])) == expected, ends


class FriendshipsInSqlite(SqliteUnderTest[SqliteFriendView, FriendsDoc]):
    def stream(self, number: int) -> str:
        return f"friendship-a~b{number}"

    def doc(self, number: int, version: int) -> FriendsDoc:
        begun = version - (version - 1) % 2
        return FriendshipDoc(Pair("a", f"b{number}"), version, begun, begun, ended=version % 2 == 0)


class TestSqliteView(ViewContract[FriendsDoc]):
    @pytest.fixture
    async def views(self, tmp_path: Path) -> AsyncIterator[FriendshipsInSqlite]:
        views = FriendshipsInSqlite(tmp_path / "friends", SqliteFriendView, projection.shape)
        yield views
        await views.aclose()


class TestSqliteFriendView(FriendViewContract):
    @pytest.fixture
    async def build(self, tmp_path: Path) -> AsyncIterator[SqliteFriendView]:
        view = await SqliteView.open(
            tmp_path / "friends", SqliteFriendView, shape=projection.shape, logs=[USERS, FRIENDS]
        )
        yield await view.create()
        await view.aclose()

    async def test_documents_are_loaded_as_they_were_saved(
        self, build: SqliteFriendView, feed: Feed[FriendsDoc]
    ) -> None:
        await feed.create("a", "b").delete("b").add("b", "a").add("c", "a").remove("c", "a").deliver()
        loaded = await build.load(["user-a", "user-b", "user-c", "friendship-a~b", "friendship-a~c", "other"])
        assert loaded == {
            "user-a": State(1, 1_001_000, USERS, 0, 0, UserDoc("a", 1_001_000, 0)),
            "user-b": State(2, 1_003_000, USERS, 0, 2, UserDoc("b", 1_002_000, 1, deleted=True)),
            "friendship-a~b": State(1, 1_004_000, FRIENDS, 0, 0, FriendshipDoc(A_B, 1, 1_004_000, 0)),
            "friendship-a~c": State(2, 1_006_000, FRIENDS, 0, 2, FriendshipDoc(A_C, 2, 1_005_000, 1, ended=True)),
        }

    async def test_friendships_and_users_of_the_past_stand_with_time_and_offset_at_both_ends(
        self, build: SqliteFriendView, feed: Feed[FriendsDoc]
    ) -> None:
        await feed.create("a", "b").delete("b").add("a", "b").remove("a", "b").add("a", "b").deliver()
        await feed.remove("a", "b").add("a", "b").deliver()
        intervals = (
            "SELECT user, friend, since_us, since_offset, until_us, until_offset FROM past_friends UNION ALL"
            " SELECT user, friend, since_us, since_offset, NULL, NULL FROM friends ORDER BY 1, 2, 3"
        )
        ends = [(1_004_000, 0, 1_005_000, 1), (1_006_000, 2, 1_007_000, 3), (1_008_000, 4, None, None)]
        assert await build.read(lambda connection: connection.execute(intervals).fetchall()) == [
            (*two, *end) for two in (("a", "b"), ("b", "a")) for end in ends
        ]
        users = "SELECT id, created_us, created_offset, deleted_us, deleted_offset FROM users ORDER BY id"
        assert await build.read(lambda connection: connection.execute(users).fetchall()) == [
            ("a", 1_001_000, 0, None, None),
            ("b", 1_002_000, 1, 1_003_000, 2),
        ]

    async def test_a_build_that_is_filled_in_bulk_has_the_rows_of_one_that_follows(
        self, build: SqliteFriendView, feed: Feed[FriendsDoc], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await build.finish()
        monkeypatch.setattr("eventkernel.adapters.sqlite.build._CAUGHT_UP", 0)
        view = await SqliteView.open(tmp_path / "bulk", SqliteFriendView, shape=projection.shape, logs=[USERS, FRIENDS])
        bulk = await view.create()
        of_bulk = Feed(bulk, projection, Codec((*events.EVENT_TYPES, FriendAdded, FriendRemoved)))
        for feeding in (feed, of_bulk):
            await feeding.create("a", "b", "c").add("a", "b").add("c", "a").add("b", "c").deliver()
            await feeding.remove("a", "b").add("a", "b").remove("b", "c").delete("c").deliver()
        assert await bulk.standing("a") == []
        await bulk.finish()
        assert await bulk.standing("a") == await build.standing("a") == [A_B, A_C]
        assert await bulk.read(rows_of_all) == await build.read(rows_of_all)
        await of_bulk.remove("a", "c").deliver()
        assert await bulk.standing("a") == [A_B]
        await view.aclose()

    async def test_every_question_is_answered_by_keys_and_in_their_order(self, build: SqliteFriendView) -> None:
        def plan(connection: sqlite3.Connection, query: str, parameters: dict[str, str] | tuple[str]) -> list[str]:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters).fetchall()
            steps = [detail for *_, detail in rows if detail.startswith(("SCAN", "SEARCH", "USE"))]
            return [step for step in steps if "VIRTUAL TABLE" not in step]  # the parameter that is a list

        page = {"user": "a", "after": "", "limit": "1"}
        plans = await build.read(
            lambda connection: {
                "users": plan(connection, sqlite.USERS, ("[]",)),
                "friendships": plan(connection, sqlite.FRIENDSHIPS, ("[]",)),
                "friends": plan(connection, sqlite.FRIENDS, page),
                "counts": plan(connection, sqlite.FRIEND_COUNTS, ("[]",)),
                "standing": plan(connection, sqlite.STANDING, ("a",)),
            }
        )
        by_id = "SEARCH {} USING PRIMARY KEY (id=?)".format
        assert plans == {
            "users": [by_id("users")],
            "friendships": [by_id("friendships"), by_id("low"), by_id("high")],
            "friends": [
                "SEARCH friends USING PRIMARY KEY (user=? AND friend>?)",
                by_id("self"),
                by_id("users"),
            ],
            "counts": [by_id("self"), "SEARCH friends USING PRIMARY KEY (user=?)", by_id("users")],
            "standing": ["SEARCH friends USING PRIMARY KEY (user=?)"],
        }
