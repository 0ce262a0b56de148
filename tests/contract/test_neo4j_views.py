"""Views in Neo4j pass the contract of views and answer as every adapter of `RecommendationView` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from eventkernel.reading.views import Change, Fold, State
from eventkernel.testing.view_contract import ViewContract
from eventkernel.writing.store import Checkpoint
from infra.local import Neo4jAddress
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc, projection
from tests.contract.test_recommendations_view import KNOWN, RecommendationViewContract, graph
from tests.support.feeding import FRIENDS, USERS, Feed
from tests.support.neo4j_views import Neo4jUnderTest, empty_graph

pytestmark = pytest.mark.engines


class FriendshipsInNeo4j(Neo4jUnderTest[Neo4jRecommendationView, GraphDoc]):
    def stream(self, number: int) -> str:
        return f"friendship-a~b{number}"

    def doc(self, number: int, version: int) -> GraphDoc:
        begun = version - (version - 1) % 2
        return FriendshipDoc(("a", f"b{number}"), begun, begun, ended=version % 2 == 0)


class TestNeo4jFriendships(ViewContract[GraphDoc]):
    @pytest.fixture
    async def views(self, neo4j_server: Neo4jAddress, engine_name: str) -> AsyncIterator[FriendshipsInNeo4j]:
        views = FriendshipsInNeo4j(neo4j_server, engine_name, Neo4jRecommendationView, projection.shape)
        yield views
        await views.aclose()


class TestNeo4jRecommendationView(RecommendationViewContract):
    @pytest.fixture
    async def build(self, neo4j_server: Neo4jAddress) -> AsyncIterator[Neo4jRecommendationView]:
        async with empty_graph(neo4j_server) as build:
            yield build

    async def test_documents_are_loaded_as_they_were_saved(
        self, build: Neo4jRecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await feed.create("a", "b").delete("b").add("b", "a").add("c", "a").remove("c", "a").deliver()
        loaded = await build.load(["user-a", "user-b", "user-c", "friendship-a~b", "friendship-a~c", "other"])
        assert loaded == {
            "user-a": State(1, 1_001_000, USERS, 0, 0, UserDoc("a", 1_001_000, 0)),
            "user-b": State(2, 1_003_000, USERS, 0, 2, UserDoc("b", 1_002_000, 1, deleted=True)),
            "friendship-a~b": State(1, 1_004_000, FRIENDS, 0, 0, FriendshipDoc(("a", "b"), 1_004_000, 0)),
            "friendship-a~c": State(2, 1_006_000, FRIENDS, 0, 2, FriendshipDoc(("a", "c"), 1_005_000, 1, ended=True)),
        }

    async def test_what_the_past_was_stands_on_relationships_with_time_and_offset_at_both_ends(
        self, build: Neo4jRecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await feed.create("a", "b").delete("b").add("a", "b").remove("a", "b").add("a", "b").deliver()
        await feed.remove("a", "b").add("a", "b").deliver()
        rows = await build.read(
            "MATCH (low:Person {build: $build})-[r:FRIEND|WAS_FRIEND]->(high) RETURN low.id, high.id, type(r),"
            " r.since_us, r.since_offset, r.until_us, r.until_offset ORDER BY r.since_us",
            {},
        )
        assert rows == [
            ["a", "b", "WAS_FRIEND", 1_004_000, 0, 1_005_000, 1],
            ["a", "b", "WAS_FRIEND", 1_006_000, 2, 1_007_000, 3],
            ["a", "b", "FRIEND", 1_008_000, 4, None, None],
        ]
        rows = await build.read(
            "MATCH (p:Person {build: $build}) RETURN p.id, p.created_us, p.created_offset, p.deleted_us,"
            " p.deleted_offset, p:User ORDER BY p.id",
            {},
        )
        assert rows == [["a", 1_001_000, 0, None, None, True], ["b", 1_002_000, 1, 1_003_000, 2, False]]

    async def test_the_browsers_query_shows_users_and_friends(
        self, build: Neo4jRecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "1234567", KNOWN).deliver()
        # MATCH (n) OPTIONAL MATCH (n)-[r]-() RETURN n, r, as people type it; here beside other tests' graphs.
        rows = await build.read("MATCH (n:Person {build: $build}) OPTIONAL MATCH (n)-[r]-() RETURN n, r", {})
        assert all("User" in node.labels for node, _ in rows)
        assert Counter(node["id"] for node, _ in rows) == Counter("".join(KNOWN))
        assert {edge.type for _, edge in rows} == {"FRIEND"}

    async def test_an_event_that_changes_nothing_after_an_end_is_no_other_end(
        self, build: Neo4jRecommendationView
    ) -> None:
        def state(version: int, ended: bool) -> State[GraphDoc]:
            return State(version, version * 1_000, FRIENDS, 0, version, FriendshipDoc(("a", "b"), 1_000, 1, ended))

        for versions in ((1, 2, 3), (1, 2, 3, 4), (4, 5)):
            states = tuple(state(version, version > 1) for version in versions)
            await build.save(Fold([Change("friendship-a~b", states)], Checkpoint()))
        rows = await build.read("MATCH (:Person {build: $build})-[r:WAS_FRIEND]->() RETURN r.until_us", {})
        assert rows == [[2_000]]
        assert (await build.load(["friendship-a~b"]))["friendship-a~b"] == state(5, True)

    async def test_a_user_is_never_taken_back_to_before_their_deletion(
        self, build: Neo4jRecommendationView, feed: Feed[GraphDoc]
    ) -> None:
        await graph(feed, "123", ["12", "23"]).delete("3").deliver()
        deleted = await build.load(["user-3"])
        created: State[GraphDoc] = State(1, 1_003_000, USERS, 0, 2, UserDoc("3", 1_003_000, 2))
        await build.save(Fold([Change("user-3", (created,))], Checkpoint()))
        assert await build.load(["user-3"]) == deleted
        assert deleted["user-3"].version == 2
        assert (await build.recommended(["1"], 9, 99))["1"] == []
