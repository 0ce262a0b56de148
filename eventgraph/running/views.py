"""The views of the system: who keeps each, what fills it, which logs it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eventkernel.adapters.sqlite.views import SqliteViewBuild
from eventkernel.reading.views import Projection
from eventkernel.writing.codec import Codec
from subgraphs.friends import events as users_for_friends
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.domain import EVENT_TYPES as FRIENDS_EVENT_TYPES
from subgraphs.friends.projection import projection as friends_projection
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES as GRAPH_EVENT_TYPES
from subgraphs.recommendations.projection import projection as recommendations_projection
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.domain import EVENT_TYPES as USERS_EVENT_TYPES
from subgraphs.users.projection import projection as users_projection


@dataclass(frozen=True, slots=True)
class ViewKind:
    """One view on SQLite."""

    build: type[SqliteViewBuild[Any]]
    projection: Projection[Any]  # any document: whoever reads it here looks at its fields by name
    codecs: Mapping[str, Codec]
    """By the name of the log that it reads."""


_graph: Final = Codec(GRAPH_EVENT_TYPES, skip_others=True)

VIEWS: Final[Mapping[str, ViewKind]] = {
    "users": ViewKind(SqliteUserView, users_projection, {"users": Codec(USERS_EVENT_TYPES)}),
    "friends": ViewKind(
        SqliteFriendView,
        friends_projection,
        {
            "users": Codec(users_for_friends.EVENT_TYPES, skip_others=True),
            "friends": Codec(FRIENDS_EVENT_TYPES),
        },
    ),
    "recommendations": ViewKind(
        SqliteRecommendationView, recommendations_projection, {"users": _graph, "friends": _graph}
    ),
}
