"""The friends subgraph: the system of record for friendships, with a replica of the users as far as it needs them."""

from __future__ import annotations

from typing import Final

from eventgraph import Api, Builds, Subgraph
from subgraphs.friends import events
from subgraphs.friends.endings import ENDINGS
from subgraphs.friends.friendships import FRIENDSHIPS
from subgraphs.friends.projection import projection
from subgraphs.friends.views import FriendView


def _on_sqlite() -> type[FriendView]:
    from subgraphs.friends.adapters.sqlite import SqliteFriendView  # noqa: PLC0415  # with the mode

    return SqliteFriendView


def _on_mongodb() -> type[FriendView]:
    from subgraphs.friends.adapters.mongodb import MongoFriendView  # noqa: PLC0415  # loads the driver

    return MongoFriendView


def _api() -> Api[FriendView]:
    from subgraphs.friends.replica import UserReplica  # noqa: PLC0415  # with the schema
    from subgraphs.friends.schema import SUBSCRIPTIONS, FriendMutations, FriendWrites, schema  # noqa: PLC0415  # loads Strawberry

    return Api(
        schema,
        lambda ports: FriendWrites(
            FriendMutations(ports.commands(FRIENDSHIPS)), UserReplica(ports.logs[events.USERS_LOG], ports.gate)
        ),
        SUBSCRIPTIONS,
    )


FRIENDS: Final[Subgraph[FriendView]] = Subgraph(
    name="friends",
    aggregates=(FRIENDSHIPS,),
    reads={events.USERS_LOG: events.EVENT_TYPES},
    projection=projection,
    view=Builds(_on_sqlite, _on_mongodb),
    processes=(ENDINGS,),
    api=_api,
)
