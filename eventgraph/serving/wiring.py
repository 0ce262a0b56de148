"""A subgraph out of its declaration and its ports: commands against the event store, queries against the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from eventgraph.ports import Adapters, Ports, ViewT
from eventgraph.serving.app import subgraph_app
from eventgraph.serving.metrics import SubgraphMetrics
from eventgraph.serving.readiness import Readiness, readiness_of
from eventgraph.serving.served import ServedSubgraph
from eventgraph.serving.subscriptions import Beside, Feed, Subscriptions
from eventgraph.serving.tracing import TracedSubgraph
from eventgraph.system import ChangesOf, Subgraph
from eventkernel.errors import Unavailable
from eventkernel.events import Record
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reacting.process import ProcessManager
from eventkernel.reacting.reactions import Reactions
from eventkernel.reading.audit import Audit
from eventkernel.reading.change_feed import ChangeFeed
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.projector import Projector, Source
from eventkernel.tracing import NOT_TRACED, Tracer
from eventkernel.writing.aggregates import CommandHandlers
from eventkernel.writing.codec import Codec
from graphrouter.http.actors import ActorKeys


def served(
    subgraph: Subgraph[ViewT],
    adapters: Adapters[ViewT],
    actors: ActorKeys | None = None,
    metrics: SubgraphMetrics | None = None,
    streams: int | None = None,
    traced: TracedSubgraph | None = None,
) -> ServedSubgraph:
    """The subgraph; `actors` are the keys of the routers that say who asks. Without any, nobody is known, and everybody
    may do everything. `metrics` count what it does, `traced` gives that a place in traces. `streams` may be open at the
    same time; None: as many as usual.

    Raises:
        TypeError: the adapters are not those that the subgraph's declaration needs.
    """
    view, store = adapters.view, adapters.store
    logs = [adapters.logs[name] for name in subgraph.codecs]
    sources = [Source(adapters.logs[name], codec) for name, codec in subgraph.codecs.items()]
    codecs = {adapters.logs[name].log: codec for name, codec in subgraph.codecs.items()}
    audit = Audit(view, logs)
    gate = BookmarkGate(view, logs, adapters.known_logs, adapters.clock, audit)
    tracer = NOT_TRACED if traced is None else traced.tracer
    ports = Ports(subgraph.name, gate, adapters.logs, adapters.clock, _handlers(subgraph, adapters, tracer))
    api = subgraph.api()
    writes = api.services(ports)
    feeds = {name: _feed(changes, subgraph, adapters) for name, changes in api.subscriptions.items()}
    processes = [_process(process, ports, sources, adapters) for process in subgraph.processes]

    async def readiness() -> Readiness:
        found = await readiness_of(view, logs, audit, store)
        return await _with_processes(found, processes, adapters.checkpoints)

    async def remarks() -> Sequence[str]:
        try:
            return await view.live().remarks()
        except Unavailable:  # the status says that of the view itself
            return ()

    return ServedSubgraph(
        name=subgraph.name,
        app=subgraph_app(
            api.schema,
            gate=gate,
            writes=writes,
            readiness=readiness,
            actors=actors,
            metrics=metrics,
            streams=streams,
            tracing=None if traced is None else traced.requests,
            subscriptions=lambda documents: Subscriptions(documents, feeds, gate, writes),
        ),
        sdl=api.schema.as_str(),
        projector=Projector(
            subgraph.projection, sources, view, membership=adapters.membership, audit=audit, tracer=tracer
        ),
        audit=audit,
        readiness=readiness,
        store=store,
        processes=processes,
        remarks=remarks,
        metrics=metrics,
        reads=partial(_reads, codecs, None if store is None else store.log),
    )


def _reads(codecs: Mapping[str, Codec], own: str | None, record: Record) -> bool:
    """Of its own log a view reads everything: a type that it does not know parks the stream."""
    codec = codecs.get(record.log)
    return codec is not None and (record.log == own or codec.knows(record.type))


def _feed(followed: ChangesOf, subgraph: Subgraph[ViewT], adapters: Adapters[ViewT]) -> Feed:
    if not {followed.log, *followed.beside} <= subgraph.codecs.keys():
        raise TypeError(f"{subgraph.name}: expected subscriptions to follow logs that its view is filled from")
    source = Source(adapters.logs[followed.log], subgraph.codecs[followed.log])
    around = followed.around
    changes = ChangeFeed([source], followed.keys, links=around.links if around else None)
    beside = Beside(changes, [adapters.logs[name] for name in followed.beside]) if followed.beside else None
    return Feed(followed.argument, changes, around.neighbours if around else None, beside)


def _handlers(subgraph: Subgraph[ViewT], adapters: Adapters[ViewT], tracer: Tracer) -> CommandHandlers | None:
    if subgraph.owns_log != (adapters.store is not None):
        raise TypeError(f"{subgraph.name}: expected its own log to be written exactly where it owns one")
    if adapters.store is None:
        return None
    codec = subgraph.codecs[subgraph.name]
    return CommandHandlers(adapters.store, codec, subgraph.aggregates, adapters.snapshots, tracer)


def _process(
    reactions: Reactions[Any], ports: Ports[ViewT], sources: Sequence[Source], adapters: Adapters[ViewT]
) -> ProcessManager[Any]:
    if adapters.checkpoints is None:
        raise TypeError(f"{ports.name}: expected a store of checkpoints for the process manager {reactions.name}")
    return reactions.process(
        ports.handlers,
        sources,
        adapters.checkpoints,
        gate=ports.gate,
        clock=adapters.clock,
        membership=adapters.membership,
    )


async def _with_processes(
    found: Readiness, processes: Sequence[ProcessManager[Any]], checkpoints: CheckpointStore | None
) -> Readiness:
    """What hinders process managers, too."""
    if checkpoints is None:
        return found
    warnings: list[str] = []
    try:
        for process in processes:
            set_aside = (await checkpoints.waiting(process.name)).records
            if set_aside:
                warnings.append(f"{set_aside} reactions of the process manager {process.name} are set aside")
    except Unavailable as unavailable:
        reason = f"the checkpoints of process managers cannot be read: {unavailable}"
        return replace(found, reasons=[*found.reasons, reason])
    return replace(found, warnings=[*found.warnings, *warnings])
