"""`/status` for people and `/status.json` for programs: what runs, how far it is, what waits.

The page is whole without its script, which only keeps it fresh; without scripts it loads itself again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from eventgraph.console.shell import STATUS, Shell, asset_route
from eventgraph.console.status import (
    BuildLine,
    CacheLine,
    PartitionLine,
    ProcessLine,
    StatusSource,
    SubgraphLine,
    SystemStatus,
    TroubleLine,
    encode,
)

_CONTENT: Final = Template(Path(__file__).with_name("status.html").read_text())
_NUMBER: Final = re.compile(r"[\d,.]+( of ([\d,]+|\?))?( m?s|%)?|\?")
_NUMBERS: Final = frozenset(
    {"from version", "waiting", "attempts", "entries", "hits", "misses", "hit rate", "evicted", "time of misses"}
)
_WITHOUT_SCRIPTS: Final = '<noscript><meta http-equiv="refresh" content="5"></noscript>'


def status_routes(source: StatusSource, shell: Shell | None = None, *, charts: bool = False) -> Sequence[BaseRoute]:
    """`shell` is the frame of the console; without one, the page stands alone. `charts`: there is a history to draw."""
    frame = shell or Shell(source.title, [STATUS])
    scripts = ["status.js", *(["charts.js"] if charts else [])]

    async def page(request: Request) -> Response:
        status = await source.status()
        accepted = request.headers.get("accept", "")
        if "application/json" in accepted and "text/html" not in accepted:
            return _json(status)
        content = render(status, source.title, datetime.now(UTC))
        return frame.answer(STATUS, content, scripts=scripts, head=_WITHOUT_SCRIPTS, headers={"vary": "accept"})

    async def document(_request: Request) -> Response:
        return _json(await source.status())

    return (
        Route("/status", page, methods=["GET"]),
        Route("/status.json", document, methods=["GET"]),
        asset_route(),
    )


def _json(status: SystemStatus) -> Response:
    headers = {"cache-control": "no-store", "vary": "accept"}
    return Response(encode(status), media_type="application/json", headers=headers)


def render(status: SystemStatus, title: str, now: datetime) -> str:
    """What the page shows."""
    return _CONTENT.substitute(
        title=escape(title),
        version=escape(status.version),
        process=status.process,
        data=escape(status.data),
        started=escape(status.started.isoformat(sep=" ", timespec="seconds")),
        now=escape(now.isoformat(sep=" ", timespec="seconds")),
        summary=_summary(status),
        readers="\n".join(row for subgraph in status.subgraphs for row in _reader_rows(subgraph)),
        parked=_parked(status),
        troubles=_troubles(status),
        remarks=_remarks(status),
        caches=_table(
            ("cache", "entries", "hits", "misses", "hit rate", "evicted", "time of misses"),
            [_cache_row(name, cache) for name, cache in status.caches.items()],
        ),
    )


def _summary(status: SystemStatus) -> str:
    waiting = len(list(status.parked()))
    failing = len(list(_all_troubles(status)))
    filling = sum(one.view.live is None and one.view.readable for one in status.subgraphs)
    unreadable = sum(not one.view.readable for one in status.subgraphs)
    remarks = sum(len(subgraph.remarks) for subgraph in status.subgraphs)
    found = [
        (waiting, "stream is parked", "streams are parked"),
        (failing, "thing fails and is being tried again", "things fail and are being tried again"),
        (filling, "view is not there yet", "views are not there yet"),
        (unreadable, "view cannot be read", "views cannot be read"),
        (remarks, "remark of a view", "remarks of views"),
    ]
    said = [f"{count} {one if count == 1 else many}" for count, one, many in found if count]
    if not said:
        return '<p class="good">Everything runs.</p>'
    return f'<p class="bad">{escape("; ".join(said))}.</p>'


def _reader_rows(subgraph: SubgraphLine) -> Iterable[str]:
    view = subgraph.view
    if view.live is None:
        state = "none yet" if view.readable else "cannot be read"
        yield _row(subgraph.name, f"view {view.view}", state, "", "", "", "")
    else:
        yield from _partition_rows(subgraph.name, f"view {view.view}", view.live.build, view.live.partitions)
    if view.filling is not None:
        yield from _partition_rows(
            subgraph.name, f"view {view.view}", f"{view.filling.build}, being filled", view.filling.partitions
        )
    for process in subgraph.processes:
        yield from _partition_rows(
            subgraph.name, f"process {process.name}", f"{process.reactions:,} reactions", process.partitions
        )


def _partition_rows(subgraph: str, reader: str, state: str, partitions: Sequence[PartitionLine]) -> Iterable[str]:
    for line in partitions:
        yield _row(
            subgraph,
            reader,
            state,
            line.log,
            f"{line.checkpoint:,} of {'?' if line.head is None else f'{line.head:,}'}",
            "?" if line.lag_events is None else f"{line.lag_events:,}",
            f"{line.lag_seconds:.1f} s",
        )


def _parked(status: SystemStatus) -> str:
    rows = [
        _row(reader, line.stream, str(line.version), f"{line.waiting:,}", line.reason)
        for reader, line in status.parked()
    ]
    table = _table(("where", "stream", "from version", "waiting", "reason"), rows)
    unknown = [name for name, reader in _readers(status) if not reader.parked_known]
    if not unknown:
        return table
    return f"{table if rows else ''}<p>Not known of {escape(', '.join(unknown))}.</p>"


def _readers(status: SystemStatus) -> Iterable[tuple[str, BuildLine | ProcessLine]]:
    for subgraph in status.subgraphs:
        builds = (subgraph.view.live, subgraph.view.filling)
        yield from ((subgraph.view.view, build) for build in builds if build is not None)
        yield from ((process.name, process) for process in subgraph.processes)


def _troubles(status: SystemStatus) -> str:
    rows = [
        _row(reader, trouble.doing, trouble.error, f"{trouble.attempts:,}") for reader, trouble in _all_troubles(status)
    ]
    return _table(("where", "what", "error", "attempts"), rows)


def _remarks(status: SystemStatus) -> str:
    return _table(
        ("where", "what"), [_row(one.view.view, remark) for one in status.subgraphs for remark in one.remarks]
    )


def _all_troubles(status: SystemStatus) -> Iterable[tuple[str, TroubleLine]]:
    for subgraph in status.subgraphs:
        yield from ((subgraph.view.view, trouble) for trouble in subgraph.view.troubles)
    yield from ((name, trouble) for name, reader in _readers(status) for trouble in reader.troubles)


def _cache_row(name: str, cache: CacheLine) -> str:
    asked = cache.hits + cache.misses
    return _row(
        name,
        f"{cache.entries:,}",
        f"{cache.hits:,}",
        f"{cache.misses:,}",
        f"{cache.hits / asked:.1%}" if asked else "",
        f"{cache.evictions:,}",
        f"{cache.seconds * 1000:,.1f} ms",
    )


def _table(titles: Sequence[str], rows: Sequence[str]) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(map(_title, titles))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _title(text: str) -> str:
    number = ' class="number"' if text in _NUMBERS else ""
    return f"<th{number}>{escape(text)}</th>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(text: str) -> str:
    """A number stands to the right."""
    number = ' class="number"' if _NUMBER.fullmatch(text) else ""
    return f"<td{number}>{escape(text)}</td>"
