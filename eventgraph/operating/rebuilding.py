"""The command `rebuild`: fill views anew from the logs, while the live ones answer queries."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import msgspec

from eventgraph.errors import StartError
from eventgraph.operating.installation import Installation
from eventgraph.progress_bar import progress_bar


class Rebuilt(msgspec.Struct, frozen=True):
    view: str
    build: str
    """The new live build's name."""
    records: int
    """How far in the logs it was when it went live."""
    seconds: float


def rebuild(installation: Installation, views: Sequence[str]) -> Sequence[Rebuilt]:
    """One view after the other; none named: all of them.

    Raises:
        StartError: there is no such view, it is being rebuilt already, or it cannot be had.
    """
    with installation.operated() as control:
        known = [subgraph.view.view for subgraph in control.status().subgraphs]
        unknown = [view for view in views if view not in known]
        if unknown:
            raise StartError(f"there is no view {unknown[0]!r}, only {', '.join(known)}")
        found: list[Rebuilt] = []
        for view in dict.fromkeys(views or known):
            begun = perf_counter()
            with progress_bar(f"rebuild {view}") as advance:
                build = control.rebuild(view, advance)
            seconds = perf_counter() - begun
            lines = {subgraph.view.view: subgraph.view for subgraph in control.status().subgraphs}
            live = lines[view].live
            found.append(Rebuilt(view, build, live.progress()[0] if live else 0, round(seconds, 3)))
        return found
