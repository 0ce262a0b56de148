"""What every adapter of `UserView` answers alike; and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from itertools import repeat
from pathlib import Path

import pytest

from eventkernel.adapters.memory_views import MemoryView
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.events import DomainEvent, Position, Record, RecordedEvent
from eventkernel.reading.as_of import AsOf, Moment
from eventkernel.reading.views import Change, Fold, State
from eventkernel.testing.view_contract import ViewContract, state
from eventkernel.writing.store import Checkpoint
from subgraphs.users.adapters.memory import MemoryUserView
from subgraphs.users.adapters.sqlite import SqliteUserView, search_by_user, search_by_word
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated, stream_of, username_claim
from subgraphs.users.projection import UserDoc, evolve, projection
from subgraphs.users.usernames import UNICODE_VERSION, skeleton
from subgraphs.users.views import UserView
from tests.support.views import rows_of_all

LOG = "users.x"


class Feed:
    """Folds events into a build as a projector does: the events of a user come in batches, offsets grow.

    The clock moves by one of `paces` (microseconds) for each event; back, too. The times of a user never go back.
    """

    def __init__(self, build: UserView, paces: Iterable[int] = repeat(1_000)) -> None:
        self.build = build
        self.offset = 0
        self._paces = iter(paces)
        self._clock_us = 0
        self.states: dict[str, list[State[UserDoc]]] = {}

    async def take(self, *events: tuple[str, DomainEvent]) -> None:
        """Saves one batch of (user id, event)."""
        changed: dict[str, list[State[UserDoc]]] = {}
        for user_id, event in events:
            state = self._next(user_id, event)
            self.states.setdefault(user_id, []).append(state)
            changed.setdefault(user_id, []).append(state)
        changes = [Change(stream_of(user_id), tuple(states)) for user_id, states in changed.items()]
        await self.build.save(Fold(changes, Checkpoint(Position.of(LOG, 0, self.offset))))

    def _next(self, user_id: str, event: DomainEvent) -> State[UserDoc]:
        self.offset += 1
        self._clock_us += next(self._paces)
        before = self.states.get(user_id, [])
        record = Record(
            log=LOG,
            partition=0,
            offset=self.offset,
            id=f"e{self.offset}",
            type="any",
            time_us=max(self._clock_us, before[-1].time_us if before else 0),
            stream=stream_of(user_id),
            version=len(before) + 1,
            first_version=len(before) + 1,
            commit_size=1,
            command_id=f"c{self.offset}",
            fingerprint="f",
        )
        doc = evolve(before[-1].doc if before else None, RecordedEvent(event, record))
        return State(record.version, record.time_us, LOG, 0, self.offset, doc)


def created(first_name: str, last_name: str = "X", username: str | None = None) -> UserCreated:
    return UserCreated(first_name=first_name, last_name=last_name, username=username, username_unicode=UNICODE_VERSION)


def created_before(username: str) -> UserCreated:
    """With a username whose look-alikes are not claimed."""
    return UserCreated(first_name="X", last_name="X", username=username)


def ids(docs: Iterable[UserDoc]) -> list[str]:
    return [doc.id for doc in docs]


class UserViewContract(ABC):
    """An adapter's test derives from this and brings the fixture `build`: an empty one."""

    @pytest.fixture
    @abstractmethod
    def build(self) -> UserView: ...

    @pytest.fixture
    def feed(self, build: UserView) -> Feed:
        return Feed(build)

    async def test_users_are_found_by_id_in_one_read(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada", "Lovelace", "ada")), ("b", created("Grace")))
        found = await build.users(["b", "nobody", "a", "a"])
        assert found == {"a": UserDoc("a", 1, "Ada", "Lovelace", "ada", 1_000, 1_000), "b": feed.states["b"][0].doc}
        assert await build.users(["a"]) == {"a": found["a"]}
        assert await build.users(["nobody"]) == {}
        assert await build.users([]) == {}

    async def test_a_user_is_shown_as_after_the_latest_event(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada")), ("a", UserUpdated(username="ada")))
        await feed.take(("a", UserUpdated(first_name="Augusta")), ("a", UserUpdated(username_removed=True)))
        assert (await build.users(["a"]))["a"] == UserDoc("a", 4, "Augusta", "X", None, 1_000, 4_000)

    async def test_a_deleted_user_is_in_no_answer(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada")), ("b", created("Ada")))
        await feed.take(("a", UserDeleted()))
        await feed.take(("c", created("Ada")), ("c", UserDeleted()))
        assert await build.users(["a", "c"]) == {}
        assert ids(await build.page(None, 9)) == ["b"]
        assert ids(await build.search(["ada"], None, 9)) == ["b"]

    async def test_usernames_without_a_claim_of_their_look_alikes_are_found_by_what_they_look_like(
        self, build: UserView, feed: Feed
    ) -> None:
        anna = skeleton("anna")
        await feed.take(("b", created_before("Anna")), ("c", created_before("\u0410nna")), ("d", created_before("Ann")))
        await feed.take(("a", created_before("a\u200bnna")), ("e", created("Anna", username="anna")))
        assert await build.of_skeleton(anna) == [feed.states[user][0].doc for user in ("a", "b", "c")]
        (remark,) = await build.remarks()
        assert remark.startswith("3 users have usernames that look alike: a, b, c. ")
        await feed.take(("a", UserUpdated(first_name="Y")), ("b", UserDeleted()))
        await feed.take(("c", UserUpdated(username="anna", username_unicode=UNICODE_VERSION)))
        assert ids(await build.of_skeleton(anna)) == ["a"]
        assert list(await build.remarks()) == []
        await feed.take(("a", UserUpdated(username_removed=True)))
        assert await build.of_skeleton(anna) == []

    async def test_a_deleted_user_stays_as_a_tombstone(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada", username="ada")), ("a", UserDeleted()))
        loaded = await build.load([stream_of("a"), stream_of("nobody")])
        assert loaded == {stream_of("a"): feed.states["a"][-1]}
        assert (loaded[stream_of("a")].doc.deleted, loaded[stream_of("a")].doc.first_name) == (True, "")

    async def test_pages_follow_each_other_by_id(self, build: UserView, feed: Feed) -> None:
        order = ["A", "B", "a", "b", "z", "é", "\uff5e", "😀"]
        await feed.take(*((user_id, created("Ada")) for user_id in reversed(order)))
        assert ids(await build.page(None, 100)) == order
        assert ids(await build.page(None, 3)) == order[:3]
        assert ids(await build.page("a", 3)) == order[3:6]
        assert ids(await build.page("aa", 3)) == order[3:6]
        assert ids(await build.page("😀", 3)) == []
        assert ids(await build.page(None, 0)) == []

    async def test_every_prefix_begins_some_word_of_the_names(self, build: UserView, feed: Feed) -> None:
        await feed.take(
            ("a", created("Ada", "Lovelace")),
            ("b", created("Adèle", "Lévy-Dubois")),
            ("c", created("Lo", "Adler")),
            ("d", created("Love", "Love")),
        )
        for prefixes, expected in {
            ("ad",): ["a", "b", "c"],
            ("ad", "lo"): ["a", "c"],
            ("lo", "ad"): ["a", "c"],
            ("adele", "dub"): ["b"],
            ("levy",): ["b"],
            ("love",): ["a", "d"],
            ("ovelace",): [],
            ("adax",): [],
            ("ad", "x"): [],
            ("\U0010ffff",): [],
        }.items():
            assert ids(await build.search(prefixes, None, 9)) == expected, prefixes

    async def test_a_search_goes_page_by_page(self, build: UserView, feed: Feed) -> None:
        await feed.take(*((user_id, created("Ada", "Adams")) for user_id in "edcba"))
        assert ids(await build.search(["ad"], None, 2)) == ["a", "b"]
        assert ids(await build.search(["ad"], "b", 2)) == ["c", "d"]
        assert ids(await build.search(["ad", "ada"], "d", 2)) == ["e"]

    async def test_only_words_of_now_are_found(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada", "Byron")))
        await feed.take(("a", UserUpdated(last_name="King")), ("a", UserUpdated(last_name="Lovelace")))
        assert ids(await build.search(["love"], None, 9)) == ["a"]
        for past in ("byron", "king"):
            assert await build.search([past], None, 9) == []
        await feed.take(("a", UserUpdated(last_name="Byron")), ("a", UserUpdated(first_name="Byron")))
        assert ids(await build.search(["byron"], None, 9)) == ["a"]
        assert await build.search(["ada"], None, 9) == []

    async def test_a_batch_that_comes_again_changes_nothing(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada")), ("a", UserUpdated(first_name="Augusta")), ("b", created("Grace")))
        again = [Change(stream_of(user_id), tuple(states)) for user_id, states in feed.states.items()]
        await build.save(Fold(again, Checkpoint(Position.of(LOG, 0, 3))))
        assert ids(await build.page(None, 9)) == ["a", "b"]
        assert (await build.users(["a"]))["a"].version == 2
        assert await build.search(["ada"], None, 9) == []

    async def test_a_username_is_somebodys_whatever_its_case(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada", username="ÄDA")), ("b", created("Grace")))
        ada = feed.states["a"][0].doc
        assert await build.of_username(username_claim("äda")) == ada
        assert await build.of_username(username_claim("ada")) is None
        await feed.take(("a", UserDeleted()))
        assert await build.of_username(username_claim("äda")) is None

    async def test_every_question_has_the_answer_of_then(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada", "Byron", "ada")), ("b", created("Grace")))
        await feed.take(("a", UserUpdated(last_name="Lovelace", username="countess")), ("b", UserDeleted()))
        await feed.take(("c", created("Carol", "Byron", "ada")))
        ada, ada_after = [state.doc for state in feed.states["a"]]
        grace, carol = feed.states["b"][0].doc, feed.states["c"][0].doc
        pasts: list[tuple[AsOf, AsOf, dict[str, UserDoc], list[str], UserDoc | None]] = [
            (Moment(999), Position.of(LOG, 0, 1), {}, [], None),
            (Moment(1_000), Position.of(LOG, 0, 2), {"a": ada}, ["a"], ada),
            (Moment(2_999), Position.of(LOG, 0, 3), {"a": ada, "b": grace}, ["a"], ada),
            (Moment(3_000), Position.of(LOG, 0, 4), {"a": ada_after, "b": grace}, [], None),
            (Moment(4_000), Position.of(LOG, 0, 5), {"a": ada_after}, [], None),
            (Moment(9_000), Position.of(LOG, 0, 6), {"a": ada_after, "c": carol}, ["c"], carol),
        ]
        for moment, position, people, byrons, holder in pasts:
            for then in (moment, position):
                past = build.as_of(then)
                assert await past.users(["a", "b", "c"]) == people
                assert await past.page(None, 9) == list(people.values())
                assert ids(await past.page("a", 1)) == [i for i in people if i > "a"][:1]
                assert ids(await past.search(["byr"], None, 9)) == byrons
                assert await past.of_username(username_claim("Ada")) == holder
        assert ids(await build.as_of(None).page(None, 9)) == ["a", "c"]

    async def test_a_prefix_is_found_at_the_beginning_of_a_word_only(self, build: UserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada", "Lovelace")))
        await feed.take(("a", UserUpdated(first_name="Augusta")))
        for questions, first in ((build.as_of(None), "aug"), (build.as_of(Moment(1_000)), "ad")):
            assert ids(await questions.search(["lov", first], None, 9)) == ["a"]
            assert ids(await questions.search(["lovel", first[1:]], None, 9)) == []
            assert ids(await questions.search(["ovelace"], None, 9)) == []


class TestMemoryUserView(UserViewContract):
    @pytest.fixture
    def build(self) -> UserView:
        return MemoryUserView("build")


class TestSqliteUserView(UserViewContract):
    @pytest.fixture
    async def build(self, tmp_path: Path) -> AsyncIterator[SqliteUserView]:
        view = await SqliteView.open(tmp_path / "users", SqliteUserView, shape=projection.shape, logs=[LOG])
        build = await view.create()
        await build.finish()
        yield build
        await view.aclose()

    async def test_every_state_stands_in_the_past_with_its_validity(self, build: SqliteUserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada")), ("a", UserUpdated(first_name="Augusta")), ("b", created("Grace")))
        await feed.take(("a", UserUpdated(username="ada")), ("b", UserDeleted()))

        def states(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
            return connection.execute(
                "SELECT id, version, first_name, since_us, since_offset, until_us, until_offset FROM user_past"
                " UNION ALL SELECT id, version, first_name, since_us, since_offset, NULL, NULL FROM user ORDER BY 1, 2"
            ).fetchall()

        assert await build.read(states) == [
            ("a", 1, "Ada", 1_000, 1, 2_000, 2),
            ("a", 2, "Augusta", 2_000, 2, 4_000, 4),
            ("a", 3, "Augusta", 4_000, 4, None, None),
            ("b", 1, "Grace", 3_000, 3, 5_000, 5),
            ("b", 2, "", 5_000, 5, None, None),
        ]

    async def test_a_word_leads_to_who_has_it_and_to_who_had_it(self, build: SqliteUserView, feed: Feed) -> None:
        await feed.take(("a", created("Ada", "Byron")), ("a", UserUpdated(last_name="King")))
        await feed.take(("b", created("Ada", "Byron")))
        assert await build.read(led_to) == [("ada", "a"), ("ada", "b"), ("byron", "b"), ("king", "a")]
        assert await build.read(led_to_by_the_past) == [("ada", "a"), ("byron", "a")]
        await feed.take(("a", UserUpdated(last_name="Byron")), ("b", UserDeleted()))
        assert await build.read(led_to) == [("ada", "a"), ("byron", "a")]
        await feed.take(("a", UserDeleted()))
        assert await build.read(led_to) == []
        assert await build.read(led_to_by_the_past) == [
            ("ada", "a"), ("ada", "b"), ("byron", "a"), ("byron", "b"), ("king", "a"),
        ]  # fmt: skip

    @pytest.mark.parametrize("fails", [None, "derived", "indexes"])
    async def test_a_build_that_is_filled_in_bulk_has_the_rows_of_one_that_follows(
        self, build: SqliteUserView, feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str | None
    ) -> None:
        monkeypatch.setattr("eventkernel.adapters.sqlite.build._CAUGHT_UP", 0)
        view = await SqliteView.open(tmp_path / "bulk", SqliteUserView, shape=projection.shape, logs=[LOG])
        bulk = await view.create()
        for feeding in (feed, Feed(bulk)):
            await feeding.take(("a", created("Ada", "Byron")), ("b", created("Émile", "Ada", username="e")))
            await feeding.take(("a", UserUpdated(last_name="King")), ("c", created("Ada", "ada")), ("d", created("D")))
            await feeding.take(("a", UserUpdated(last_name="Byron")), ("c", UserDeleted()))
        assert await bulk.read(led_to) == []
        if fails is not None:
            with monkeypatch.context() as patch:
                patch.setattr(SqliteUserView, fails, f"{getattr(SqliteUserView, fails)}; SELECT missing")
                with pytest.raises(sqlite3.OperationalError):
                    await bulk.finish()
        await bulk.finish()
        assert len(await bulk.read(led_to)) == 6
        assert await bulk.read(rows_of_all) == await build.read(rows_of_all)
        await Feed(bulk).take(("z", created("Zoë")))
        assert ("zoe", "z") in await bulk.read(led_to)
        await view.aclose()

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("SELECT id FROM user WHERE id = ? AND deleted = 0", {"SEARCH user USING PRIMARY KEY (id=?)"}),
            (
                "SELECT id FROM user WHERE id IN (SELECT value FROM json_each(?)) AND deleted = 0",
                {"SEARCH user USING PRIMARY KEY (id=?)"},
            ),
            (
                "SELECT id FROM user WHERE id > ? AND deleted = 0 ORDER BY id LIMIT ?",
                {"SEARCH user USING PRIMARY KEY (id>?)"},
            ),
        ],
    )
    async def test_users_and_pages_are_read_by_the_key(
        self, build: SqliteUserView, query: str, expected: set[str]
    ) -> None:
        assert await build.read(lambda connection: steps(connection, query)) == expected

    async def test_a_search_for_a_rare_beginning_goes_by_the_index_of_words(self, build: SqliteUserView) -> None:
        query, _ = search_by_word("love", ["ad"])
        assert await build.read(lambda connection: steps(connection, query)) == {
            "SEARCH word USING PRIMARY KEY (word>? AND word<?)",
            "SEARCH user USING PRIMARY KEY (id=?)",
        }

    async def test_a_search_for_a_common_beginning_goes_by_the_order_of_users(self, build: SqliteUserView) -> None:
        query, _ = search_by_user("love", ["ad"])
        assert await build.read(lambda connection: steps(connection, query)) == {
            "SEARCH user USING PRIMARY KEY (id>?)",
        }


class TestSqliteUserViewWhereEveryBeginningIsCommon(TestSqliteUserView):
    @pytest.fixture(autouse=True)
    def common(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SqliteUserView, "many", 1)


def led_to(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT word, id FROM word ORDER BY 1, 2").fetchall()


def led_to_by_the_past(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT word, id FROM past_word ORDER BY 1, 2").fetchall()


class _UsersUnderTest:
    """Documents for the contract that every view fulfils."""

    def stream(self, number: int) -> str:
        return stream_of(str(number))

    def doc(self, number: int, version: int) -> UserDoc:
        time_us = state(version, None).time_us
        return UserDoc(str(number), version, f"Jörg {version}", "Müller", f"jörg{number}", 1_600_000, time_us)


class MemoryUsersUnderTest(_UsersUnderTest):
    def __init__(self) -> None:
        self._view = MemoryView("users", MemoryUserView)

    async def open(self) -> MemoryView[MemoryUserView]:
        return self._view

    async def stop_writes(self, after: int = 0) -> None:
        self._view.live().available = False

    async def resume_writes(self) -> None:
        self._view.live().available = True


class TestMemoryUserViewAsAView(ViewContract[UserDoc]):
    @pytest.fixture
    def views(self) -> MemoryUsersUnderTest:
        return MemoryUsersUnderTest()


class SqliteUsersUnderTest(_UsersUnderTest):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._view: SqliteView[SqliteUserView] | None = None

    async def open(self) -> SqliteView[SqliteUserView]:
        await self.close()
        self._view = await SqliteView.open(self._folder, SqliteUserView, shape=projection.shape, logs=[LOG])
        return self._view

    async def stop_writes(self, after: int = 0) -> None:
        self._limit(0)

    async def resume_writes(self) -> None:
        self._limit(1_000_000)

    def _limit(self, pages: int) -> None:
        """As a full disk does: the file may not grow any more."""
        assert self._view is not None
        connection = self._view.live()._connection
        assert connection is not None
        connection.execute(f"PRAGMA max_page_count = {pages or 1}").fetchone()

    async def close(self) -> None:
        if self._view is not None:
            await self._view.aclose()


class TestSqliteUserViewAsAView(ViewContract[UserDoc]):
    @pytest.fixture
    async def views(self, tmp_path: Path) -> AsyncIterator[SqliteUsersUnderTest]:
        views = SqliteUsersUnderTest(tmp_path / "users")
        yield views
        await views.close()


def steps(connection: sqlite3.Connection, query: str) -> set[str]:
    """How SQLite goes through the tables (https://www.sqlite.org/eqp.html), temporary trees and sorting left out."""
    rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", [None] * query.count("?")).fetchall()
    return {
        row[3]
        for row in rows
        if row[3].startswith(("SEARCH user", "SEARCH word", "SEARCH own", "SCAN user", "SCAN word"))
    }
