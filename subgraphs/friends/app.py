"""The friends subgraph out of its ports: commands against the event store, queries against the view."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from eventgraph.serving.app import subgraph_app
from eventgraph.serving.mutations import Mutations
from eventgraph.serving.readiness import Readiness, readiness_of
from eventgraph.serving.subgraph import Subgraph
from eventkernel.clock import Clock
from eventkernel.errors import Unavailable
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reading.audit import Audit
from eventkernel.reading.gate import SYSTEM_CLOCK, BookmarkGate
from eventkernel.reading.membership import Alone, Membership
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import View
from eventkernel.writing.aggregates import CommandHandlers
from eventkernel.writing.codec import Codec
from eventkernel.writing.snapshots import SnapshotStore
from eventkernel.writing.store import EventStore, LogReader
from subgraphs.friends import endings, events
from subgraphs.friends.domain import EVENT_TYPES
from subgraphs.friends.friendships import FRIENDSHIPS
from subgraphs.friends.projection import projection
from subgraphs.friends.replica import UserReplica
from subgraphs.friends.schema import FriendWrites, schema
from subgraphs.friends.views import FriendView

NAME: Final = "friends"
LOG: Final = "friends"
"""The name of the log that this subgraph owns."""


def friends_subgraph(
    store: EventStore,
    users_log: LogReader,
    view: View[FriendView],
    checkpoints: CheckpointStore,
    *,
    log_names: Collection[str],
    clock: Clock = SYSTEM_CLOCK,
    membership: Membership | None = None,
    snapshots: SnapshotStore | None = None,
) -> Subgraph:
    """`store` is the friends' log, `view` a view of `projection` over both logs, `checkpoints` is where its process
    manager keeps how far it is, `log_names` the names of all logs of the system, which a bookmark may speak of, `clock`
    the one that the events have their times from, `membership` the place of this process among those that share the
    work, `snapshots` where what long streams have become is kept."""
    codec = Codec(EVENT_TYPES)
    handlers = CommandHandlers(store, codec, [FRIENDSHIPS], snapshots)
    audit = Audit(view, [users_log, store])
    gate = BookmarkGate(view, [users_log, store], log_names, clock, audit)

    async def readiness() -> Readiness:
        found = await readiness_of(view, [users_log, store], audit, store)
        try:
            set_aside = sum(not entry.skipped for entry in await checkpoints.parked(endings.NAME))
        except Unavailable as unavailable:
            reason = f"the checkpoints of process managers cannot be read: {unavailable}"
            return replace(found, reasons=[*found.reasons, reason])
        if not set_aside:
            return found
        warning = f"{set_aside} reactions of the process manager {endings.NAME} are set aside"
        return replace(found, warnings=[*found.warnings, warning])

    app = subgraph_app(
        schema,
        gate=gate,
        writes=FriendWrites(Mutations(handlers.of(FRIENDSHIPS)), UserReplica(users_log, gate)),
        readiness=readiness,
    )
    member = membership or Alone()
    sources = [Source(users_log, Codec(events.EVENT_TYPES, skip_others=True)), Source(store, codec)]
    return Subgraph(
        name=NAME,
        app=app,
        sdl=schema.as_str(),
        projector=Projector(projection, sources, view, membership=member, audit=audit),
        audit=audit,
        store=store,
        processes=[
            endings.ENDINGS.process(handlers, sources, checkpoints, gate=gate, membership=member),
        ],
    )
