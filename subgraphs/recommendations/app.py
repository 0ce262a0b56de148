"""The recommendations subgraph out of its ports: queries against the graph, which follows the logs of the others."""

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
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import LogReader
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import projection
from subgraphs.recommendations.schema import schema
from subgraphs.recommendations.views import RecommendationView

NAME: Final = "recommendations"


def recommendations_subgraph(
    users_log: LogReader,
    friends_log: LogReader,
    view: View[RecommendationView],
    *,
    log_names: Collection[str],
    clock: Clock = SYSTEM_CLOCK,
    membership: Membership | None = None,
) -> Subgraph:
    """`view` is a view of `projection` over both logs, `log_names` the names of all logs of the system, which a
    bookmark may speak of, `clock` the one that the events have their times from, `membership` the place of this process
    among those that share the work."""
    logs = [users_log, friends_log]
    audit = Audit(view, logs)

    async def readiness() -> Readiness:
        return await readiness_of(view, logs, audit)

    gate = BookmarkGate(view, logs, log_names, clock, audit)
    app = subgraph_app(schema, gate=gate, writes=None, readiness=readiness)
    codec = Codec(EVENT_TYPES, skip_others=True)
    sources = [Source(log, codec) for log in logs]
    projector = Projector(projection, sources, view, membership=membership or Alone(), audit=audit)
    return Subgraph(name=NAME, app=app, sdl=schema.as_str(), projector=projector, audit=audit)
