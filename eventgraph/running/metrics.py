"""`/metrics` of a process of a system: what it has counted, and how far its views and process managers are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from socket import socket
from typing import Final

import structlog
from starlette.routing import BaseRoute

from eventgraph.console.status import BuildLine, PartitionLine, ProcessLine, SubgraphLine, subgraph_line
from eventgraph.running.servers import Servers, listen, origin_of
from eventgraph.running.settings import Reach
from eventgraph.serving.metrics import SubgraphMetrics
from eventgraph.serving.served import ServedSubgraph
from eventkernel.errors import KernelError
from eventkernel.writing.store import EventStore
from graphrouter.server.servers import Endpoint
from graphrouter.telemetry.exposition import PATH, Source, metrics_app, metrics_route
from graphrouter.telemetry.http import connections
from graphrouter.telemetry.measures import Family, Labels, Metric, looked_up
from graphrouter.telemetry.process import ProcessMetrics

_READER: Final = ("messaging.consumer.group.name",)
_PARTITION: Final = (*_READER, "messaging.destination.name", "messaging.destination.partition.id")
_LOG: Final = ("messaging.destination.name",)

CONSUMED: Final = Metric(
    "messaging.client.consumed.messages",
    "counter",
    "{message}",
    _READER,
    "Events that a view has taken since this process follows its live build.",
)
REACTIONS: Final = Metric(
    "eventgraph.process_manager.reactions",
    "counter",
    "{reaction}",
    _READER,
    "Completed reactions of a process manager.",
)
DEADLINES: Final = Metric(
    "eventgraph.process_manager.deadlines",
    "gauge",
    "{deadline}",
    _READER,
    "Deadlines of a process manager that are to come, or over and not dealt with yet.",
)
OVERDUE: Final = Metric(
    "eventgraph.process_manager.overdue_duration",
    "gauge",
    "s",
    _READER,
    "How long the oldest of these deadlines has been over; 0 where none is. One whose reaction has failed waits among "
    "the parked streams, and is due again half a minute later.",
)
LAG: Final = Metric(
    "eventgraph.reader.lag",
    "gauge",
    "{event}",
    _PARTITION,
    "Records of a partition that a view or a process manager has not dealt with.",
)
LAG_DURATION: Final = Metric(
    "eventgraph.reader.lag_duration",
    "gauge",
    "s",
    _PARTITION,
    "Age of the oldest record that was read and not dealt with.",
)
PARKED: Final = Metric(
    "eventgraph.reader.parked_streams",
    "gauge",
    "{stream}",
    _READER,
    "Streams that wait: parked by a view, or set aside by a process manager.",
)
PARKED_RECORDS: Final = Metric(
    "eventgraph.reader.parked_records", "gauge", "{record}", _READER, "Records that wait in these streams."
)
TROUBLES: Final = Metric(
    "eventgraph.reader.troubles", "gauge", "{trouble}", _READER, "What fails at this moment, and is being tried again."
)
LIVE: Final = Metric(
    "eventgraph.view.live", "gauge", "{build}", _READER, "1 where the view has a build that answers, else 0."
)
REBUILDS: Final = Metric(
    "eventgraph.view.rebuilds",
    "counter",
    "{build}",
    _READER,
    "Builds of a view that this process has filled and made live, the first one too.",
)
REBUILDING: Final = Metric(
    "eventgraph.view.rebuild_progress",
    "gauge",
    "1",
    _READER,
    "Part of the logs that a build which is not live yet has; there only while one is filled.",
)
FLAWS: Final = Metric(
    "eventgraph.view.flaws", "gauge", "{flaw}", _READER, "In what the view is not what its logs say: it answers nobody."
)
DAMAGE: Final = Metric(
    "eventgraph.view.log_damage", "gauge", "{record}", _READER, "What is damaged in the logs that the view reads."
)
BACKLOG: Final = Metric(
    "eventkernel.ledger.backlog",
    "gauge",
    "{commit}",
    _LOG,
    "Commits in the ledger that are not known to be on the log yet; on SQLite there are none.",
)
READY: Final = Metric(
    "eventgraph.subgraph.ready",
    "gauge",
    "{subgraph}",
    ("graphql.subgraph.name",),
    "1 where the subgraph can do its work, as its `/health/ready` tells it with the reasons; else 0. Told by the "
    "processes that answer its requests.",
)
READABLE: Final = Metric(
    "eventgraph.status.readable",
    "gauge",
    "{subgraph}",
    ("graphql.subgraph.name",),
    "1 where the readers of a subgraph could be asked how far they are; 0: an engine does not answer, or what it has "
    "is damaged, and nothing is told of them.",
)

METRICS: Final = (
    CONSUMED, REACTIONS, LAG, LAG_DURATION, PARKED, PARKED_RECORDS, TROUBLES, LIVE, REBUILDS, REBUILDING, FLAWS,
    DAMAGE, BACKLOG, DEADLINES, OVERDUE, READY, READABLE,
)  # fmt: skip

_ASKING_SECONDS: Final = 5.0
"""How long a reading of the metrics waits for engines; Prometheus waits for 10 s."""

_log = structlog.get_logger()


def sources_of(
    servers: Servers,
    subgraphs: Sequence[ServedSubgraph],
    router: Sequence[Source] = (),
    *,
    answers: bool = True,
    keeps_views: bool = True,
) -> Sequence[Source]:
    """What a process tells: of itself, of the router that it serves (`SystemRouter.measured`), of its subgraphs; where
    it answers their requests, whether they are ready; where it keeps them, of views and process managers."""
    found: list[Source] = [ProcessMetrics().families, connections(lambda: servers.connections), *router]
    found += [subgraph.metrics.families for subgraph in subgraphs if subgraph.metrics is not None]
    found += [_backlog(subgraph.name, subgraph.store) for subgraph in subgraphs if subgraph.store is not None]
    if answers:
        found += map(_readiness, subgraphs)
    if keeps_views:
        found += map(_readers, subgraphs)
    return found


def listen_for_metrics(settings: Reach) -> socket | None:
    """A listening socket, where metrics have an address of their own; StartError where it is taken."""
    if not settings.metrics or settings.metrics_port is None:
        return None
    return listen(settings.metrics_host, settings.metrics_port)


@dataclass(frozen=True, slots=True)
class Exposed:
    """Where `/metrics` is: beside other routes, or at an address of its own."""

    routes: Sequence[BaseRoute] = ()
    endpoints: Sequence[Endpoint] = ()
    told: Mapping[str, str] = field(default_factory=dict[str, str])
    """A row for the person who has started the process, where it is an address of its own."""

    @classmethod
    def of(cls, settings: Reach, listener: socket | None, sources: Sequence[Source]) -> Exposed:
        if not settings.metrics:
            return cls()
        if listener is None:
            return cls(routes=[metrics_route(*sources)])
        endpoint = Endpoint(metrics_app(*sources), listener, settings.hosts)
        return cls(endpoints=[endpoint], told={"metrics": f"{origin_of(listener)}{PATH}"})


def metrics_of(names: Iterable[str], system: str) -> Mapping[str, SubgraphMetrics]:
    """The metrics of subgraphs, by their names."""
    return {name: SubgraphMetrics(name, system) for name in names}


def _readiness(subgraph: ServedSubgraph) -> Source:
    async def families() -> Iterable[Family]:
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                ready = not (await subgraph.readiness()).reasons
        except (KernelError, TimeoutError):
            ready = False
        return [looked_up(READY, [((subgraph.name,), ready)])]

    return families


def _readers(subgraph: ServedSubgraph) -> Source:
    async def families() -> Iterable[Family]:
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                line = await subgraph_line(subgraph, listed=False)
        except (KernelError, TimeoutError) as error:
            _log.warning("metrics without readers", subgraph=subgraph.name, error=str(error) or "no answer in time")
            return [looked_up(READABLE, [((subgraph.name,), 0)])]
        return [looked_up(READABLE, [((subgraph.name,), 1)]), *_families(line)]

    return families


def _backlog(name: str, store: EventStore) -> Source:
    async def families() -> Iterable[Family]:
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                return [looked_up(BACKLOG, [((name,), await store.backlog())])]
        except (KernelError, TimeoutError):
            return []

    return families


def _families(line: SubgraphLine) -> Iterator[Family]:
    view = line.view
    here: Labels = (view.view,)
    readers: list[tuple[str, BuildLine | ProcessLine]] = [
        *([] if view.live is None else [(view.view, view.live)]),
        *((process.name, process) for process in line.processes),
    ]
    yield looked_up(LIVE, [(here, int(view.live is not None))])
    yield looked_up(REBUILDS, [(here, view.rebuilds)])
    if view.live is not None:
        yield looked_up(CONSUMED, [(here, view.live.events_folded)])
    if view.filling is not None:
        done, of = view.filling.progress()
        yield looked_up(REBUILDING, [(here, done / of if of else 1.0)])
    yield looked_up(REACTIONS, [((process.name,), process.reactions) for process in line.processes])
    yield looked_up(DEADLINES, [((process.name,), process.deadlines) for process in line.processes])
    yield looked_up(OVERDUE, [((process.name,), process.overdue_seconds) for process in line.processes])
    yield looked_up(LAG, _of_partitions(readers, lambda partition: partition.lag_events))
    yield looked_up(LAG_DURATION, _of_partitions(readers, lambda partition: partition.lag_seconds))
    known = [(name, reader) for name, reader in readers if reader.parked_known]
    yield looked_up(PARKED, [((name,), reader.waiting.streams) for name, reader in known])
    yield looked_up(PARKED_RECORDS, [((name,), reader.waiting.records) for name, reader in known])
    troubles = [((name,), len(reader.troubles)) for name, reader in readers]
    yield looked_up(TROUBLES, [*troubles, (here, len(view.troubles))])
    yield looked_up(FLAWS, [(here, len(line.flaws))])
    yield looked_up(DAMAGE, [(here, len(line.damage))])


def _of_partitions(
    readers: Sequence[tuple[str, BuildLine | ProcessLine]], value: Callable[[PartitionLine], float | None]
) -> Iterator[tuple[Labels, float]]:
    for name, reader in readers:
        for partition in reader.partitions:
            found = value(partition)
            if found is not None:
                # A log's id has its name before the dot; what is behind it would make another series of each log.
                yield (name, partition.log.partition(".")[0], str(partition.partition)), found
