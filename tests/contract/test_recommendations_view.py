"""What every adapter of `RecommendationView` answers alike; and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.errors import TooCostly
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import Moment
from eventkernel.reading.views import State
from eventkernel.testing.view_contract import ViewContract
from eventkernel.writing.codec import Codec
from subgraphs.recommendations.adapters import sqlite
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc, projection
from subgraphs.recommendations.views import RecommendationQuestions, RecommendationView
from tests.support.feeding import FRIENDS, USERS, Feed
from tests.support.views import SqliteUnderTest

NO_BOUND = 1_000_000
KNOWN = ["12", "13", "14", "25", "35", "36", "46", "47"]


def graph(feed: Feed[GraphDoc], users: str, pairs: Sequence[str]) -> Feed[GraphDoc]:
    feed.create(*users)
    for pair in pairs:
        feed.add(pair[0], pair[1])
    return feed


async def recommended(
    build: RecommendationQuestions, user: str, limit: int = 10, bound: int = NO_BOUND
) -> list[tuple[str, int]]:
    found = await build.recommended([user], limit, bound)
    return [(one.id, one.mutual_friends) for one in found[user]]


async def mutual(build: RecommendationQuestions, one: str, other: str, limit: int | None = None) -> str:
    found = await build.mutual_friends([(one, other)], limit, NO_BOUND)
    return "".join(found[one, other])


class RecommendationViewContract(ABC):
    """An adapter's test derives from this and brings the fixture `build`: an empty one."""

    @pytest.fixture
    @abstractmethod
    def build(self) -> RecommendationView: ...

    @pytest.fixture
    def feed(self, build: RecommendationView) -> Feed[GraphDoc]:
        return Feed(build, projection, Codec(EVENT_TYPES))

    async def test_the_known_answer(self, build: RecommendationView, feed: Feed[GraphDoc]) -> None:
        await graph(feed, "1234567", KNOWN).deliver()
        assert await recommended(build, "1") == [("5", 2), ("6", 2), ("7", 1)]
        assert await recommended(build, "1", limit=2) == [("5", 2), ("6", 2)]
        assert await recommended(build, "1", limit=0) == []
        assert (await mutual(build, "1", "5"), await mutual(build, "6", "1")) == ("23", "34")
        assert await mutual(build, "1", "5", limit=1) == "2"

    async def test_many_are_asked_for_in_one_read(self, build: RecommendationView, feed: Feed[GraphDoc]) -> None:
        await graph(feed, "1234567", KNOWN).deliver()
        found = await build.recommended(["7", "nobody", "1", "7"], 1, NO_BOUND)
        assert {user: [one.id for one in others] for user, others in found.items()} == {
            "7": ["1"],
            "nobody": [],
            "1": ["5"],
        }
        twos = [("1", "5"), ("5", "1"), ("1", "nobody"), ("1", "1"), ("1", "2")]
        shared = await build.mutual_friends(twos, None, NO_BOUND)
        assert {two: list(users) for two, users in shared.items()} == dict(
            zip(twos, [["2", "3"], ["2", "3"], [], [], []], strict=True)
        )
        assert await build.recommended([], 1, 0) == {}
        assert await build.mutual_friends([], None, 0) == {}

    async def test_ties_are_in_the_order_of_code_points(self, build: RecommendationView, feed: Feed[GraphDoc]) -> None:
        others = ["A", "B", "a", "b", "z", "é", "\uff5e", "😀"]
        feed.create("1", "2", *reversed(others)).add("1", "2")
        for other in reversed(others):
            feed.add("2", other)
        await feed.deliver()
        assert [user for user, _ in await recommended(build, "1")] == others
        assert await recommended(build, "1", limit=3) == [("A", 1), ("B", 1), ("a", 1)]

    async def test_users_that_are_not_known_yet_are_nobody(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "", KNOWN).deliver(FRIENDS)
        assert await build.users(list("1234567")) == {}
        feed.create(*"123457")
        await feed.deliver(USERS, upto=5)
        assert await recommended(build, "1") == [("5", 2)]
        assert (await mutual(build, "1", "5"), await mutual(build, "5", "6"), await mutual(build, "6", "1")) == (
            "23",
            "",
            "",
        )
        feed.create("6")
        await feed.deliver()
        assert await recommended(build, "1") == [("5", 2), ("6", 2), ("7", 1)]

    async def test_deleted_users_are_nobody_and_are_remembered(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "1234567", KNOWN).delete("3").delete("7").deliver()
        assert await recommended(build, "1") == [("5", 1), ("6", 1)]
        assert (await mutual(build, "1", "5"), await mutual(build, "1", "3")) == ("2", "")
        assert await recommended(build, "3") == []
        assert {user: doc.deleted for user, doc in (await build.users(["1", "3", "8"])).items()} == {
            "1": False,
            "3": True,
        }

    async def test_friendships_end_and_begin_again(self, build: RecommendationView, feed: Feed[GraphDoc]) -> None:
        await graph(feed, "1234567", KNOWN).remove("1", "3").deliver()
        assert await recommended(build, "1") == [("5", 1), ("6", 1), ("7", 1)]
        await feed.remove("1", "4").add("3", "1").deliver()
        assert await recommended(build, "1") == [("5", 2), ("6", 1)]
        await feed.add("1", "4").remove("1", "4").add("1", "4").deliver()
        assert await recommended(build, "1") == [("5", 2), ("6", 2), ("7", 1)]
        await feed.add("1", "5").rename("6").deliver()
        assert await recommended(build, "1") == [("6", 2), ("7", 1)]

    async def test_records_that_come_again_change_nothing(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "1234567", KNOWN).remove("1", "2").add("1", "2").delete("7").deliver()
        for _ in range(2):
            await feed.deliver(FRIENDS, first=0)
            await feed.deliver(USERS, first=0)
        assert await recommended(build, "1") == [("5", 2), ("6", 2)]
        # 1 has the friends 2, 3, 4 with 2 + 3 + 3 friends.
        assert await recommended(build, "1", bound=8) == [("5", 2), ("6", 2)]
        with pytest.raises(TooCostly):
            await recommended(build, "1", bound=7)

    async def test_work_beyond_the_bound_is_refused_before_it_is_done(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "1234567", KNOWN).deliver()
        # 1 has the friends 2, 3, 4 with 2 + 3 + 3 friends, and 7 has 4 with 3.
        assert await build.recommended(["1", "7"], 1, 11)
        with pytest.raises(TooCostly, match="expected at most 10 steps from friend to friend in one request"):
            await build.recommended(["1", "7"], 1, 10)
        with pytest.raises(TooCostly):
            await build.recommended(["1"], 1, 2)
        # 1 and 5 have 3 and 2 friends, 1 and 7 have 3 and 1.
        assert await build.mutual_friends([("1", "5"), ("1", "7")], None, 3)
        with pytest.raises(TooCostly):
            await build.mutual_friends([("1", "5"), ("1", "7")], None, 2)
        await feed.remove("1", "4").deliver()
        assert await build.recommended(["1"], 1, 5)
        with pytest.raises(TooCostly):
            await build.recommended(["1"], 1, 4)

    async def test_a_friendship_that_ends_and_begins_within_one_batch_is_one_step(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "1234567", KNOWN).deliver()
        await feed.remove("4", "7").add("4", "7").add("5", "6").remove("5", "6").deliver()
        assert await recommended(build, "1", bound=8) == [("5", 2), ("6", 2), ("7", 1)]
        with pytest.raises(TooCostly):
            await recommended(build, "1", bound=7)

    async def test_what_nobody_sees_counts_as_work_all_the_same(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "1234567", KNOWN).delete("3").delete("7").deliver()
        assert await recommended(build, "1", bound=8) == [("5", 1), ("6", 1)]
        with pytest.raises(TooCostly):
            await recommended(build, "1", bound=7)

    async def test_a_crowd_of_friends_recommends_nobody(self, build: RecommendationView, feed: Feed[GraphDoc]) -> None:
        crowd = "abcdefghijkl"
        await graph(feed, crowd, [one + other for one, other in combinations(crowd, 2)]).deliver()
        assert await recommended(build, "a") == []
        assert await mutual(build, "a", "l") == crowd[1:-1]

    async def test_every_question_has_the_answer_of_then(self, build: RecommendationView, feed: Feed[GraphDoc]) -> None:
        await graph(feed, "1234567", KNOWN).deliver()
        before = Moment(1_015_000)
        await feed.remove("1", "3").remove("3", "6").add("3", "6").delete("7").create("8").add("8", "2").deliver()
        past = build.as_of(before)
        assert await recommended(past, "1") == [("5", 2), ("6", 2), ("7", 1)]
        assert (await mutual(past, "1", "5"), await mutual(past, "6", "1", limit=1)) == ("23", "3")
        assert "8" not in await past.users(["8"])
        assert [doc.deleted for doc in (await past.users(["7"])).values()] == [False]
        after = build.as_of(Moment(1_016_000))
        assert await recommended(after, "1") == [("5", 1), ("6", 1), ("7", 1)]
        position = Position({Partition(USERS, 0): 7, Partition(FRIENDS, 0): 8})
        assert await recommended(build.as_of(position), "1", limit=1) == [("5", 2)]
        assert await recommended(build.as_of(None), "1") == [("5", 1), ("6", 1), ("8", 1)]

    async def test_friends_are_all_there_are_shown_or_not_now_and_then(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "123", ["12", "13", "14"]).remove("1", "3").delete("2").deliver()
        assert sorted(await build.friends_of("1", 2)) == ["2", "4"]
        assert sorted(await build.friends_of("4", 1)) == ["1"]
        assert (list(await build.friends_of("nobody", 0)), list(await build.friends_of("3", 0))) == ([], [])
        for offset, friends in enumerate([[], ["2"], ["2", "3"], ["2", "3", "4"], ["2", "4"]]):
            then = build.as_of(Position.of(FRIENDS, 0, offset))
            assert sorted(await then.friends_of("1", 3)) == friends
        for asked in (build, build.as_of(Position.of(FRIENDS, 0, 2))):
            with pytest.raises(TooCostly):
                await asked.friends_of("1", 1)

    async def test_what_was_and_is_counts_as_work_about_then(
        self, build: RecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "1234567", KNOWN).deliver()
        await feed.remove("4", "7").add("4", "7").remove("1", "2").deliver()
        past = build.as_of(Moment(1_015_000))
        # Then, 1 had the friends 2, 3, 4; in all, these have or had 2 + 3 + 4 friendships.
        assert await recommended(past, "1", bound=9) == [("5", 2), ("6", 2), ("7", 1)]
        with pytest.raises(TooCostly):
            await recommended(past, "1", bound=8)
        assert await past.mutual_friends([("4", "5")], None, 2)
        with pytest.raises(TooCostly):
            await past.mutual_friends([("4", "5")], None, 1)


class FriendshipsInSqlite(SqliteUnderTest[SqliteRecommendationView, GraphDoc]):
    def stream(self, number: int) -> str:
        return f"friendship-a~b{number}"

    def doc(self, number: int, version: int) -> GraphDoc:
        begun = version - (version - 1) % 2
        return FriendshipDoc(("a", f"b{number}"), begun, begun, ended=version % 2 == 0)


class TestSqliteView(ViewContract[GraphDoc]):
    @pytest.fixture
    async def views(self, tmp_path: Path) -> AsyncIterator[FriendshipsInSqlite]:
        views = FriendshipsInSqlite(tmp_path / "recommendations", SqliteRecommendationView, projection.shape)
        yield views
        await views.aclose()


class TestSqliteRecommendationView(RecommendationViewContract):
    @pytest.fixture
    async def build(self, tmp_path: Path) -> AsyncIterator[SqliteRecommendationView]:
        view = await SqliteView.open(
            tmp_path / "recommendations", SqliteRecommendationView, shape=projection.shape, logs=[USERS, FRIENDS]
        )
        yield await view.create()
        await view.aclose()

    async def test_documents_are_loaded_as_they_were_saved(
        self, build: SqliteRecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await feed.create("a", "b").delete("b").add("b", "a").add("c", "a").remove("c", "a").deliver()
        loaded = await build.load(["user-a", "user-b", "user-c", "friendship-a~b", "friendship-a~c", "other"])
        assert loaded == {
            "user-a": State(1, 1_001_000, USERS, 0, 0, UserDoc("a", 1_001_000, 0)),
            "user-b": State(2, 1_003_000, USERS, 0, 2, UserDoc("b", 1_002_000, 1, deleted=True)),
            "friendship-a~b": State(1, 1_004_000, FRIENDS, 0, 0, FriendshipDoc(("a", "b"), 1_004_000, 0)),
            "friendship-a~c": State(2, 1_006_000, FRIENDS, 0, 2, FriendshipDoc(("a", "c"), 1_005_000, 1, ended=True)),
        }

    async def test_friendships_and_users_of_the_past_stand_with_time_and_offset_at_both_ends(
        self, build: SqliteRecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await feed.create("a", "b").delete("b").add("a", "b").remove("a", "b").add("a", "b").deliver()
        await feed.remove("a", "b").add("a", "b").deliver()

        def intervals(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
            return connection.execute(
                "SELECT one.id, other.id, since_us, since_offset, until_us, until_offset FROM"
                " (SELECT user, friend, since_us, since_offset, until_us, until_offset FROM past_friends UNION ALL"
                " SELECT user, friend, since_us, since_offset, NULL, NULL FROM friends)"
                " JOIN users AS one ON one.number = user JOIN users AS other ON other.number = friend ORDER BY 1, 2, 3"
            ).fetchall()

        ends = [(1_004_000, 0, 1_005_000, 1), (1_006_000, 2, 1_007_000, 3), (1_008_000, 4, None, None)]
        assert await build.read(intervals) == [(*two, *end) for two in (("a", "b"), ("b", "a")) for end in ends]
        users = "SELECT id, created_us, created_offset, deleted_us, deleted_offset FROM users ORDER BY id"
        assert await build.read(lambda connection: connection.execute(users).fetchall()) == [
            ("a", 1_001_000, 0, None, None),
            ("b", 1_002_000, 1, 1_003_000, 2),
        ]

    async def test_every_question_is_answered_from_indexes(self, build: SqliteRecommendationView) -> None:
        def plan(
            connection: sqlite3.Connection, query: str, parameters: Mapping[str, str | int] | tuple[str | int]
        ) -> list[str]:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters).fetchall()
            return [detail for *_, detail in rows if "json_each" not in detail]

        walk = {"user": 1, "limit": 10}
        plans = await build.read(
            lambda connection: {
                "users": plan(connection, sqlite.USERS, ("[]",)),
                "nodes": plan(connection, sqlite.NODES, ("[]",)),
                "steps": plan(connection, sqlite.STEPS, (1,)),
                "recommended": plan(connection, sqlite.RECOMMENDED, walk),
                "friends": plan(connection, sqlite.FRIENDS_OF, {"user": "1", "limit": 1}),
                "mutual friends": plan(connection, sqlite.MUTUAL_FRIENDS, {"fewer": 1, "more": 2, "limit": 1}),
            }
        )
        by_id = ["SEARCH users USING INDEX sqlite_autoindex_users_1 (id=?)", "LIST SUBQUERY 1"]
        assert plans["users"] == plans["nodes"] == by_id
        for question in ("steps", "recommended", "friends", "mutual friends"):
            scans = [detail for detail in plans[question] if detail.startswith("SCAN")]
            assert scans == (["SCAN found"] if question == "recommended" else []), plans[question]
