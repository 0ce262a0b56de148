"""The command `doctor`: what is wrong with a data folder or the system that runs on it, why it matters, what to do.

It only reads, and asks the running system where there is one. An *error* needs somebody; a *notice* mends itself or can
wait.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

from eventgraph.errors import StartError
from eventgraph.operating.findings import Finding, behind, not_on_the_log, remarks, waiting
from eventgraph.running.control_socket import Control
from eventgraph.running.data_folder import FORMAT, log_file, logs_behind_views, marker_file
from eventgraph.running.status import SystemStatus
from eventgraph.running.views import sqlite_build, sqlite_identity
from eventgraph.system import Subgraph, System
from eventkernel.adapters.sqlite.build_check import ReaderFile, live_build, look_at
from eventkernel.adapters.sqlite.build_snapshot import BuildSnapshot
from eventkernel.adapters.sqlite.event_store import SqliteLog
from eventkernel.adapters.sqlite.log_check import damage_of_log, end_of_log, flaws_of_log, from_the_future, full_check
from eventkernel.adapters.sqlite.log_file import check_key, claims_key_path, read_log
from eventkernel.adapters.sqlite.views import ASIDE
from eventkernel.clock import LARGEST_STEP_SECONDS, SystemClock
from eventkernel.errors import CheckpointMismatch, KernelError
from eventkernel.events import Partition, log_name, moment
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.landmarks import compare

_LITTLE_ROOM: Final = 512 * 1024 * 1024
_BACK_UP: Final = "stop the system, keep a copy of the folder, and go back to a back-up or an export"


def examine(system: System, data: Path) -> Iterator[Finding]:
    """What is wrong, one finding after the other.

    Raises:
        StartError: there is no such folder, or this user may not read it.
    """
    if not data.is_dir():
        raise StartError(f"there is no data folder {data.absolute()}: name one with --data")
    try:
        yield from _examine(system, data)
    except OSError as error:
        raise StartError(f"{error.filename or data} cannot be read: {error.strerror}") from error


def _examine(system: System, data: Path) -> Iterator[Finding]:
    yield from _marker(system, data)
    yield from _room(data)
    status = None
    try:
        control = Control(data)
        status = control.status() if control.answers() else None
        if status is None:
            yield from _lock(data)
    except StartError as error:
        yield Finding(
            "error", "control.sock", str(error), "commands cannot reach the running system", "look at its log"
        )
    ends: dict[str, int] = {}
    needed = logs_behind_views(data, system)
    for name in system.logs:
        yield from _log(data, name, ends, needed=name in needed)
    for subgraph in system.subgraphs:
        yield from _view(system, data, subgraph, ends, running=status is not None)
    yield from _processes(system, data, ends)
    if status is not None:
        yield from _running(system, status)


def _rebuild(system: System, view: str) -> str:
    return f"run `{system.name} rebuild {view}`: it is filled again from the logs"


def _marker(system: System, data: Path) -> Iterator[Finding]:
    path = marker_file(data, system)
    why = "without it nobody knows which release can read the folder"
    try:
        found: object = json.loads(path.read_bytes())["format"]
    except FileNotFoundError:
        yield Finding("error", path.name, "it is missing", why, "is this the right folder? A start makes a new one")
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding("error", path.name, f"it is damaged: {error}", why, f'write {{"format": {FORMAT}}} into it')
    else:
        if not isinstance(found, int) or not 1 <= found <= FORMAT:
            what = f"its format is {found!r}, this release reads 1 to {FORMAT}"
            yield Finding("error", path.name, what, "this release cannot start on it", f"use a newer {system.title}")


def _room(data: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(data).free
    if free < _LITTLE_ROOM:
        what = f"{free // 1024 // 1024} MiB are free on its disk"
        yield Finding("error", str(data), what, "on a full disk every mutation is UNAVAILABLE", "make room")


def _lock(data: Path) -> Iterator[Finding]:
    path = data / "lock"
    if not path.exists():
        return
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"process {lock.read().strip() or 'unknown'} has it and does not answer on control.sock"
            yield Finding(
                "error", "lock", what, "nothing else can open the folder", "look at that process; stop it if it hangs"
            )


def _log(data: Path, name: str, ends: dict[str, int], *, needed: bool) -> Iterator[Finding]:
    path = log_file(data, name)
    where = str(path.relative_to(data))
    if not needed and not path.exists():
        why = f"the subgraph {name} has not run on this folder yet"
        yield Finding("notice", where, "it is not there", why, "nothing: the next start makes it")
        return
    try:
        log = read_log(path).log
        end = end_of_log(path)
    except KernelError as error:
        yield Finding("error", where, f"it cannot be read: {error}", "the system cannot start without it", _BACK_UP)
        return
    ends[log] = end
    try:
        for flaw in full_check(path):
            yield Finding("error", where, f"SQLite finds it damaged: {flaw}", "events may be lost", _BACK_UP)
        for flaw in flaws_of_log(path):
            yield Finding("error", where, flaw, "views and answers to retries rest on it", _BACK_UP)
        for flaw in damage_of_log(path):
            why = "the system starts; what belongs to these streams is refused, and views do not show it"
            yield Finding("error", where, flaw, why, _BACK_UP)
        yield from _future(path, where)
    except KernelError as error:
        why = "the system starts, and is not ready; what cannot be read is refused"
        yield Finding("error", where, f"a part of it cannot be read: {error}", why, _BACK_UP)
    key = claims_key_path(path)
    try:
        check_key(path)
    except KernelError as error:
        why = "without its key nobody can tell which claims are taken"
        yield Finding("error", f"{where}.claims-key", str(error), why, "get it from the back-up of this log")
        return
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        why = "with it, anybody can tell from the log who holds which claim"
        yield Finding(
            "error", str(key.relative_to(data)), f"others may open it (mode {mode:o})", why, f"chmod 600 {key}"
        )


def _future(path: Path, where: str) -> Iterator[Finding]:
    now_us = SystemClock().now_us()
    count, latest_us = from_the_future(path, now_us + LARGEST_STEP_SECONDS * 1_000_000)
    if count:
        what = f"events that are dated after now: {count}, the latest {moment(latest_us).isoformat()}"
        why = "a question about a past between now and then does not see them"
        yield Finding("notice", where, what, why, "is the clock of this machine right? If it is, it was ahead once")


def _view(
    system: System, data: Path, subgraph: Subgraph[Any], ends: Mapping[str, int], *, running: bool
) -> Iterator[Finding]:
    view = subgraph.name
    folder = data / "views" / view
    where = f"views/{view}"
    live = live_build(folder)
    todo = _rebuild(system, view) if running else "the next start fills it again from the logs"
    if live is None or not live.exists():
        yield Finding("notice", where, "it has no live build", "requests are refused until it is filled", todo)
        return
    try:
        flaws = list(full_check(live))
        build = look_at(live)
    except KernelError as error:
        flaws, build = [str(error)], None
    for flaw in flaws:
        yield Finding(
            "error", where, f"its live build is damaged: {flaw}", "answers may be wrong", _rebuild(system, view)
        )
    if build is None:
        return
    if build.identity != sqlite_identity(subgraph, [log for log in ends if log_name(log) in subgraph.codecs]):
        why = "this release fills it with another shape, other tables or other logs"
        yield Finding("notice", where, "its live build is of another kind", why, "the next start fills it again")
    yield from _reader(system, data, subgraph, where, build, ends, _rebuild(system, view))
    yield from _misfit(data, subgraph, live)
    yield from _remarks(where, subgraph, live)
    yield from _kept_aside(folder, where)
    left = sorted(file.stem for file in folder.glob("*.sqlite") if file != live)
    if left and not running:
        what = f"builds that are not live: {', '.join(left)}"
        yield Finding("notice", where, what, "they take room", "nothing: the next start removes them")


def _remarks(where: str, subgraph: Subgraph[Any], live: Path) -> Iterator[Finding]:
    async def read() -> Sequence[str]:
        with BuildSnapshot(live, sqlite_build(subgraph)) as build:
            return build.remarks()

    with suppress(KernelError):  # of a build that cannot be read is told elsewhere
        yield from remarks(where, asyncio.run(read()))


def _misfit(data: Path, subgraph: Subgraph[Any], live: Path) -> Iterator[Finding]:
    """Whether the live build was filled from the logs as they are."""

    async def misfit() -> str:
        async with AsyncExitStack() as stack:
            files = [log_file(data, name) for name in subgraph.codecs]
            logs = [await stack.enter_async_context(await SqliteLog.open_read_only(file)) for file in files]
            build = stack.enter_context(BuildSnapshot(live, sqlite_build(subgraph)))
            try:
                await check_fit(build, logs)
            except CheckpointMismatch as mismatch:
                return str(mismatch)
        return ""

    with suppress(KernelError):  # of a file that cannot be read is told elsewhere
        flaw = asyncio.run(misfit())
        if flaw:
            why = "it shows events that the log has lost, and not those that came instead"
            todo = f"{_BACK_UP}; or start: it is kept aside and filled again from the logs"
            yield Finding("error", f"views/{subgraph.name}", f"its live build is of another history: {flaw}", why, todo)


def _kept_aside(folder: Path, where: str) -> Iterator[Finding]:
    for kept in sorted((folder / ASIDE).glob("*.txt")):
        what = f"a build from another history of a log is kept in {where}/{ASIDE}/{kept.stem}.sqlite: "
        why = "the log has lost acknowledged events, and this build may show some of them"
        todo = f"look for what was lost, or go back to the right log; then remove {where}/{ASIDE}"
        yield Finding("error", where, f"{what}{kept.read_text().strip()}", why, todo)


def _processes(system: System, data: Path, ends: Mapping[str, int]) -> Iterator[Finding]:
    path = data / "processes.sqlite"
    if not path.exists():
        return
    todo = "stop the system and remove the file: every reaction is done again, with one effect"
    try:
        for flaw in full_check(path):
            yield Finding("error", path.name, f"it is damaged: {flaw}", "process managers stand still", todo)
        readers = [
            (subgraph, look_at(path, process.name)) for subgraph in system.subgraphs for process in subgraph.processes
        ]
    except KernelError as error:
        yield Finding("error", path.name, f"it cannot be read: {error}", "process managers stand still", todo)
        return
    for subgraph, found in readers:
        yield from _reader(system, data, subgraph, path.name, found, ends, todo)
        yield from _misread(data, path.name, found, ends)


def _misread(data: Path, where: str, found: ReaderFile, ends: Mapping[str, int]) -> Iterator[Finding]:
    """What process managers have read, and the log has not any more."""

    async def misread(name: str) -> str:
        async with await SqliteLog.open_read_only(log_file(data, name)) as log:
            try:
                await compare(log, found.checkpoint)
            except CheckpointMismatch as mismatch:
                return str(mismatch)
        return ""

    for log in ends:
        flaw = asyncio.run(misread(log_name(log)))
        if flaw:
            why = "it has reacted to events that the log has lost"
            yield Finding(
                "error", where, flaw, why, "nothing: the next start lets it read the log from the start again"
            )


def _reader(
    system: System,
    data: Path,
    subgraph: Subgraph[Any],
    where: str,
    found: ReaderFile,
    ends: Mapping[str, int],
    again: str,
) -> Iterator[Finding]:
    now = {Partition(log, 0): end for log, end in ends.items()}
    past = [one for one, offset in found.position.items() if one in now and offset > now[one]]
    now |= {one: end_of_log(log_file(data, log_name(one.log))) for one in past}  # it may have grown meanwhile
    yield from not_on_the_log(where, found.position, now, f"{_BACK_UP}; or {again}")
    read = {one: end for one, end in now.items() if log_name(one.log) in subgraph.codecs}
    yield from behind(where, found.position, read)
    yield from waiting(system.name, where, found.parked)


def _running(system: System, status: SystemStatus) -> Iterator[Finding]:
    for subgraph in status.subgraphs:
        for damage in subgraph.damage:
            why = "the streams that it is in are refused, and the system is not ready"
            yield Finding("error", subgraph.name, f"a log that it reads is damaged: {damage}", why, _BACK_UP)
        for flaw in subgraph.flaws:
            what = f"its live build is not what the logs say: {flaw}"
            yield Finding("error", subgraph.name, what, "it answers nobody", _rebuild(system, subgraph.view.view))
        view = subgraph.view
        troubles = [*view.troubles, *(view.live.troubles if view.live else ())]
        troubles += [trouble for process in subgraph.processes for trouble in process.troubles]
        for trouble in troubles:
            what = f"{trouble.doing} has failed {trouble.attempts} times in a row: {trouble.error}"
            yield Finding("error", subgraph.name, what, "it makes no progress meanwhile", "fix what the error names")
