"""The users subgraph out of its ports: commands against the event store, queries against the view."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from eventgraph.serving.app import subgraph_app
from eventgraph.serving.readiness import Readiness, readiness_of
from eventgraph.serving.subgraph import Subgraph
from eventkernel.clock import Clock
from eventkernel.reading.audit import Audit
from eventkernel.reading.gate import SYSTEM_CLOCK, BookmarkGate
from eventkernel.reading.membership import Alone, Membership
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import View
from eventkernel.writing.aggregates import Aggregate, CommandHandlers, SnapshotForm
from eventkernel.writing.codec import Codec
from eventkernel.writing.snapshots import SnapshotStore
from eventkernel.writing.store import EventStore
from subgraphs.users.domain import EVENT_TYPES, STREAM_PREFIX, UserState, claims, decider
from subgraphs.users.lookalikes import Lookalikes
from subgraphs.users.projection import UserDoc, projection
from subgraphs.users.schema import UserMutations, schema
from subgraphs.users.views import UserView

NAME: Final = "users"
LOG: Final = "users"
"""The name of the log that this subgraph owns."""
USERS: Final = Aggregate(
    "user",
    STREAM_PREFIX,
    decider,
    EVENT_TYPES,
    claims=claims,
    answer=projection.evolve,
    snapshots=SnapshotForm(projection.shape, UserState, UserDoc | None),
)


def users_subgraph(
    store: EventStore,
    view: View[UserView],
    *,
    log_names: Collection[str],
    clock: Clock = SYSTEM_CLOCK,
    membership: Membership | None = None,
    snapshots: SnapshotStore | None = None,
) -> Subgraph:
    """`store` is the users' log, `view` a view of `projection`, `log_names` the names of all logs of the system, which
    a bookmark may speak of, `clock` the one that the events have their times from, `membership` the place of this
    process among those that share the work, `snapshots` where what long streams have become is kept."""
    codec = Codec(EVENT_TYPES)
    commands = CommandHandlers(store, codec, [USERS], snapshots).of(USERS)
    audit = Audit(view, [store])

    async def readiness() -> Readiness:
        return await readiness_of(view, [store], audit, store)

    gate = BookmarkGate(view, [store], log_names, clock, audit)
    app = subgraph_app(
        schema,
        gate=gate,
        writes=UserMutations(commands, Lookalikes(gate, store)),
        readiness=readiness,
    )
    projector = Projector(projection, [Source(store, codec)], view, membership=membership or Alone(), audit=audit)
    return Subgraph(name=NAME, app=app, sdl=schema.as_str(), projector=projector, audit=audit, store=store)
