"""Whether a view and its logs can be read, asked of the ports: true wherever its projector runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eventkernel.errors import Unavailable
from eventkernel.events import Position
from eventkernel.reading.audit import Audit
from eventkernel.reading.views import View, ViewBuild
from eventkernel.writing.store import EventStore, LogReader

LAG_LIMIT: Final = 10_000
"""How many records a view may be behind its logs before it counts as not ready."""


_SHOWN: Final = 20
"""So many streams that wait are named."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a subgraph can do its work: it can where there are no `reasons` against it; `warnings` are for people."""

    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()


async def readiness_of(
    view: View[ViewBuild[Any]], logs: Sequence[LogReader], audit: Audit | None = None, store: EventStore | None = None
) -> Readiness:
    """`store` is where the subgraph's commands go, where it takes any."""
    reasons: list[str] = []
    warnings: list[str] = []
    if store is not None:
        writing = await store.writing()
        if writing.refused:
            reasons.append(f"the log {store.log} takes no commands: {writing.refused}")
        warnings += writing.waiting[:_SHOWN]
    if audit is not None:
        reasons += [f"the view {view.name} is not what its logs say: {flaw}" for flaw in audit.flaws()]
        reasons += [f"a log is damaged: {damage}" for damage in audit.damage()]
    heads = Position()
    for log in logs:
        try:
            heads = heads.join(await log.head())
        except Unavailable as unavailable:
            reasons.append(f"the log {log.log} does not answer: {unavailable}")
    try:
        build = view.live()
        checkpoint = (await build.checkpoint()).position
        parked = await build.parked_streams()
    except Unavailable as unavailable:
        reasons.append(f"the view {view.name} cannot be read: {unavailable}")
    else:
        behind = sum(max(0, head - checkpoint.get(partition, 0)) for partition, head in heads.items())
        if behind > LAG_LIMIT:
            reasons.append(f"the view {view.name} is {behind} records behind, more than {LAG_LIMIT}")
        if parked:
            warnings.append(f"parked streams in the view {view.name}: {len(parked)}")
    return Readiness(reasons, warnings)
