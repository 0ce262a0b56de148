"""The users subgraph: the system of record for users."""

from __future__ import annotations

from typing import Final

from eventgraph import Api, Builds, Subgraph
from eventkernel.writing.aggregates import Aggregate, SnapshotForm
from subgraphs.users.domain import EVENT_TYPES, STREAM_PREFIX, UserState, claims, decider
from subgraphs.users.projection import UserDoc, projection
from subgraphs.users.views import UserView

USER: Final = Aggregate(
    "user",
    STREAM_PREFIX,
    decider,
    EVENT_TYPES,
    claims=claims,
    answer=projection.evolve,
    snapshots=SnapshotForm(projection.shape, UserState, UserDoc | None),
)


def _on_sqlite() -> type[UserView]:
    from subgraphs.users.adapters.sqlite import SqliteUserView  # noqa: PLC0415  # with the mode

    return SqliteUserView


def _on_mongodb() -> type[UserView]:
    from subgraphs.users.adapters.mongodb import MongoUserView  # noqa: PLC0415  # loads the driver

    return MongoUserView


def _api() -> Api[UserView]:
    from subgraphs.users.lookalikes import Lookalikes  # noqa: PLC0415  # with the schema
    from subgraphs.users.schema import SUBSCRIPTIONS, UserMutations, schema  # noqa: PLC0415  # loads Strawberry

    return Api(
        schema,
        lambda ports: UserMutations(ports.commands(USER), Lookalikes(ports.gate, ports.store)),
        SUBSCRIPTIONS,
    )


USERS: Final[Subgraph[UserView]] = Subgraph(
    name="users",
    aggregates=(USER,),
    projection=projection,
    view=Builds(_on_sqlite, _on_mongodb),
    api=_api,
)
