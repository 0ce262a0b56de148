"""The recommendations subgraph: it owns no events; its graph follows the logs of the others."""

from __future__ import annotations

from typing import Final

from eventgraph import Api, Builds, Subgraph
from subgraphs.recommendations.events import FRIENDS_LOG, FRIENDSHIP_EVENTS, USER_EVENTS, USERS_LOG
from subgraphs.recommendations.projection import projection
from subgraphs.recommendations.views import RecommendationView


def _on_sqlite() -> type[RecommendationView]:
    from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView  # noqa: PLC0415  # with the mode

    return SqliteRecommendationView


def _on_neo4j() -> type[RecommendationView]:
    from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView  # noqa: PLC0415  # loads the driver

    return Neo4jRecommendationView


def _api() -> Api[RecommendationView]:
    from subgraphs.recommendations.schema import SUBSCRIPTIONS, schema  # noqa: PLC0415  # loads Strawberry

    return Api(schema, subscriptions=SUBSCRIPTIONS)


RECOMMENDATIONS: Final[Subgraph[RecommendationView]] = Subgraph(
    name="recommendations",
    reads={USERS_LOG: USER_EVENTS, FRIENDS_LOG: FRIENDSHIP_EVENTS},
    projection=projection,
    view=Builds(_on_sqlite, _on_neo4j),
    api=_api,
)
