"""Views in Neo4j pass the contract of views and answer as every adapter of `RecommendationView` does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventkernel.adapters.neo4j.connection import Neo4jConnection
from eventkernel.adapters.neo4j.views import Neo4jView
from eventkernel.testing.view_contract import ViewContract
from eventkernel.views import State
from infra.local import Neo4jAddress
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc, projection
from tests.contract.test_recommendations_view import RecommendationViewContract
from tests.support.feeding import FRIENDS, USERS, Feed
from tests.support.neo4j_views import Neo4jUnderTest, clear, settings_of

pytestmark = pytest.mark.engines


class FriendshipsInNeo4j(Neo4jUnderTest[Neo4jRecommendationView, GraphDoc]):
    def stream(self, number: int) -> str:
        return f"friendship-a~b{number}"

    def doc(self, number: int, version: int) -> GraphDoc:
        begun = version - (version - 1) % 2
        return FriendshipDoc(("a", f"b{number}"), begun, begun, ended=version % 2 == 0)


class UsersInNeo4j(Neo4jUnderTest[Neo4jRecommendationView, GraphDoc]):
    def stream(self, number: int) -> str:
        return f"user-{number}"

    def doc(self, number: int, version: int) -> GraphDoc:
        return UserDoc(str(number), 1_700_000_000_000_001, 1, deleted=version > 2)


class TestNeo4jFriendships(ViewContract[GraphDoc]):
    @pytest.fixture
    async def views(self, neo4j_server: Neo4jAddress, engine_name: str) -> AsyncIterator[FriendshipsInNeo4j]:
        views = FriendshipsInNeo4j(neo4j_server, engine_name, Neo4jRecommendationView, projection.shape)
        yield views
        await views.aclose()


class TestNeo4jRecommendationView(RecommendationViewContract):
    @pytest.fixture
    async def build(self, neo4j_server: Neo4jAddress, engine_name: str) -> AsyncIterator[Neo4jRecommendationView]:
        async with Neo4jConnection(settings_of(neo4j_server)) as connection:
            view = await Neo4jView.open(
                connection, engine_name, Neo4jRecommendationView, shape=projection.shape, logs=[USERS, FRIENDS]
            )
            yield await view.create()
            await view.aclose()
            await clear(connection, engine_name, Neo4jRecommendationView)

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
