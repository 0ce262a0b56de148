"""The commands `parked`: streams that a view or a process manager cannot go on with, and what to do about them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec

from eventgraph.console.event_filter import Wanted
from eventgraph.console.status import ParkedLine
from eventgraph.errors import StartError
from eventgraph.operating.event_log import recorded
from eventgraph.operating.installation import Installation
from eventgraph.running.control_socket import Control
from eventkernel.writing.envelope import to_attributes


class ParkedIn(msgspec.Struct, frozen=True):
    """A stream that waits, and where."""

    view: str
    stream: str
    log: str
    version: int
    """Of the record that could not be applied."""
    reason: str
    waiting: int
    """Records, that one included."""


class Waiting(msgspec.Struct, frozen=True):
    """What waits of one stream in one view."""

    parked: ParkedIn
    records: tuple[dict[str, str | int], ...]
    """Their CloudEvents attributes, oldest first."""
    data: tuple[msgspec.Raw, ...]
    """Their data, which may be personal: empty unless asked for."""


def parked(installation: Installation, view: str | None) -> list[ParkedIn]:
    """Every stream that waits.

    Raises:
        StartError: there is no view or process manager of this name, or the system cannot be reached.
    """
    with installation.operated() as control:
        return _parked(control, view)


def show(installation: Installation, stream: str, view: str | None, *, values: bool) -> list[Waiting]:
    """What waits of a stream, in each view that has parked it.

    Raises:
        StartError: nothing of it waits, or as for `parked`.
    """
    with installation.operated() as control:
        return [
            asyncio.run(_waiting(installation, entry, values))
            for entry in _of_stream(installation, control, stream, view)
        ]


def retry(installation: Installation, stream: str, view: str | None) -> list[ParkedIn]:
    """Try again what waits of a stream; gives what still waits.

    Raises:
        StartError: as for `show`.
    """
    with installation.operated() as control:
        for entry in _of_stream(installation, control, stream, view):
            control.retry(entry.view, stream)
        return [entry for entry in _parked(control, view) if entry.stream == stream]


def skip(installation: Installation, stream: str, view: str | None, reason: str) -> list[ParkedIn]:
    """Let the first record that waits have no effect, and try those behind it; gives what still waits.

    Raises:
        StartError: as for `show`, or the stream waits in several views and none is named.
    """
    with installation.operated() as control:
        entries = _of_stream(installation, control, stream, view)
        if len(entries) > 1:
            views = ", ".join(entry.view for entry in entries)
            raise StartError(f"the stream {stream!r} waits in {views}: name one of them with --view")
        control.skip(entries[0].view, stream, reason)
        return [entry for entry in _parked(control, view) if entry.stream == stream]


def resume(installation: Installation, log: str, stream: str, reason: str) -> None:
    """Let a stream of a log go on that waits behind a gap.

    Raises:
        StartError: there is no such stream or log, or the system cannot be reached.
    """
    with installation.operated() as control:
        control.resume(log, stream, reason)


def _parked(control: Control, view: str | None) -> list[ParkedIn]:
    status = control.status()
    if view is not None and view not in status.readers():
        raise StartError(f"there is no view {view!r}, only {', '.join(status.readers())}")
    return [_entry(name, line) for name, line in status.parked() if view in {None, name}]


def _of_stream(installation: Installation, control: Control, stream: str, view: str | None) -> list[ParkedIn]:
    found = [entry for entry in _parked(control, view) if entry.stream == stream]
    if not found:
        where = "any view" if view is None else view
        told = f"`{installation.system.name} parked list` shows what waits"
        raise StartError(f"no record of the stream {stream!r} waits in {where}: {told}")
    return found


def _entry(view: str, line: ParkedLine) -> ParkedIn:
    return ParkedIn(view, line.stream, line.log, line.version, line.reason, line.waiting)


async def _waiting(installation: Installation, entry: ParkedIn, values: bool) -> Waiting:
    wanted = Wanted(streams=frozenset({entry.stream}))
    async with installation.logs([entry.log.rpartition(".")[0]]) as logs:
        ends = [await log.head() for log in logs]
        async with aclosing(recorded(logs, ends)) as records:
            found = [record async for record in records if wanted.has(record) and record.version >= entry.version]
    found = found[: entry.waiting]
    return Waiting(
        entry,
        tuple(to_attributes(record) for record in found),
        tuple(msgspec.Raw(record.data) for record in found) if values else (),
    )
