"""The command `doctor`: what is wrong with a data folder or the system that runs on it, why it matters, what to do.

It only reads, and asks the running system where there is one. An *error* needs somebody; a *notice* mends itself or can
wait.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import stat
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

from eventgraph.console.status import SystemStatus
from eventgraph.errors import StartError
from eventgraph.operating.findings import Examination, Finding
from eventgraph.running.control_socket import Control
from eventgraph.running.data_folder import FORMAT, log_file, logs_behind_views, marker_file
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

_LITTLE_ROOM: Final = 512 * 1024 * 1024
_BACK_UP: Final = "stop the system, keep a copy of the folder, and go back to a back-up or an export"
_REACTED: Final = "it has reacted to events that the log has lost"
_READ_AGAIN: Final = "nothing: the next start lets it read the log from the start again"


async def examine(system: System, data: Path) -> Sequence[Finding]:
    """What is wrong.

    Raises:
        StartError: there is no such folder, or this user may not read it.
    """
    examination = FolderExamination(system, data)
    try:
        await examination.of_everything()
    except OSError as error:
        raise StartError(f"{error.filename or data} cannot be read: {error.strerror}") from error
    return examination.found


class FolderExamination(Examination):
    """Of a data folder; logs first: where these end is what their readers are compared with.

    Raises:
        StartError: there is no such folder.
    """

    def __init__(self, system: System, data: Path) -> None:
        if not data.is_dir():
            raise StartError(f"there is no data folder {data.absolute()}: name one with --data")
        super().__init__(system.name)
        self._system = system
        self._data = data
        self._ends: dict[str, int] = {}
        """Of the logs that can be read, by their ids."""

    async def of_everything(self) -> None:
        self.of_marker()
        self.of_room()
        status = self.of_process()
        needed = logs_behind_views(self._data, self._system)
        for name in self._system.logs:
            self.of_log(name, needed=name in needed)
        for subgraph in self._system.subgraphs:
            await self.of_view(subgraph, running=status is not None)
        await self.of_process_managers()
        if status is not None:
            self.of_running(status)

    def of_marker(self) -> None:
        path = marker_file(self._data, self._system)
        why = "without it nobody knows which release can read the folder"
        try:
            found: object = json.loads(path.read_bytes())["format"]
        except FileNotFoundError:
            self.error(path.name, "it is missing", why, "is this the right folder? A start makes a new one")
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.error(path.name, f"it is damaged: {error}", why, f'write {{"format": {FORMAT}}} into it')
        else:
            if not isinstance(found, int) or not 1 <= found <= FORMAT:
                what = f"its format is {found!r}, this release reads 1 to {FORMAT}"
                self.error(path.name, what, "this release cannot start on it", f"use a newer {self._system.title}")

    def of_room(self) -> None:
        free = shutil.disk_usage(self._data).free
        if free < _LITTLE_ROOM:
            what = f"{free // 1024 // 1024} MiB are free on its disk"
            self.error(str(self._data), what, "on a full disk every mutation is UNAVAILABLE", "make room")

    def of_process(self) -> SystemStatus | None:
        """The status of the system that runs on the folder; None: none does, or none that answers."""
        try:
            control = Control(self._data)
            if control.answers():
                return control.status()
            self._lock()
        except StartError as error:
            self.error("control.sock", error, "commands cannot reach the running system", "look at its log")
        return None

    def _lock(self) -> None:
        path = self._data / "lock"
        if not path.exists():
            return
        with path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                what = f"process {lock.read().strip() or 'unknown'} has it and does not answer on control.sock"
                todo = "look at that process; stop it if it hangs"
                self.error("lock", what, "nothing else can open the folder", todo)

    def of_log(self, name: str, *, needed: bool) -> None:
        path = log_file(self._data, name)
        where = str(path.relative_to(self._data))
        if not needed and not path.exists():
            why = f"the subgraph {name} has not run on this folder yet"
            self.notice(where, "it is not there", why, "nothing: the next start makes it")
            return
        try:
            log = read_log(path).log
            self._ends[log] = end_of_log(path)
        except KernelError as error:
            self.error(where, f"it cannot be read: {error}", "the system cannot start without it", _BACK_UP)
            return
        try:
            for flaw in full_check(path):
                self.error(where, f"SQLite finds it damaged: {flaw}", "events may be lost", _BACK_UP)
            for flaw in flaws_of_log(path):
                self.error(where, flaw, "views and answers to retries rest on it", _BACK_UP)
            for flaw in damage_of_log(path):
                why = "the system starts; what belongs to these streams is refused, and views do not show it"
                self.error(where, flaw, why, _BACK_UP)
            self._future(path, where)
        except KernelError as error:
            why = "the system starts, and is not ready; what cannot be read is refused"
            self.error(where, f"a part of it cannot be read: {error}", why, _BACK_UP)
        self._key(path, where)

    def _future(self, path: Path, where: str) -> None:
        now_us = SystemClock().now_us()
        count, latest_us = from_the_future(path, now_us + LARGEST_STEP_SECONDS * 1_000_000)
        if count:
            what = f"events that are dated after now: {count}, the latest {moment(latest_us).isoformat()}"
            why = "a question about a past between now and then does not see them"
            self.notice(where, what, why, "is the clock of this machine right? If it is, it was ahead once")

    def _key(self, path: Path, where: str) -> None:
        key = claims_key_path(path)
        try:
            check_key(path)
        except KernelError as error:
            why = "without its key nobody can tell which claims are taken"
            self.error(f"{where}.claims-key", error, why, "get it from the back-up of this log")
            return
        mode = stat.S_IMODE(key.stat().st_mode)
        if mode & 0o077:
            why = "with it, anybody can tell from the log who holds which claim"
            where = str(key.relative_to(self._data))
            self.error(where, f"others may open it (mode {mode:o})", why, f"chmod 600 {key}")

    async def of_view(self, subgraph: Subgraph[Any], *, running: bool) -> None:
        folder = self._data / "views" / subgraph.name
        where = f"views/{subgraph.name}"
        again = self._rebuild(subgraph.name)
        live = live_build(folder)
        if live is None or not live.exists():
            todo = again if running else "the next start fills it again from the logs"
            self.notice(where, "it has no live build", "requests are refused until it is filled", todo)
            return
        try:
            flaws = list(full_check(live))
            build = look_at(live)
        except KernelError as error:
            flaws, build = [str(error)], None
        for flaw in flaws:
            self.error(where, f"its live build is damaged: {flaw}", "answers may be wrong", again)
        if build is None:
            return
        if build.identity != sqlite_identity(subgraph, [log for log in self._ends if log_name(log) in subgraph.codecs]):
            why = "this release fills it with another shape, other tables or other logs"
            self.notice(where, "its live build is of another kind", why, "the next start fills it again")
        self._reader(where, subgraph, build, again)
        await self._build(where, subgraph, live)
        self._kept_aside(folder, where)
        left = sorted(file.stem for file in folder.glob("*.sqlite") if file != live)
        if left and not running:
            what = f"builds that are not live: {', '.join(left)}"
            self.notice(where, what, "they take room", "nothing: the next start removes them")

    async def _build(self, where: str, subgraph: Subgraph[Any], live: Path) -> None:
        """Whether the live build was filled from the logs as they are, and what its documents have to say. Of files
        that cannot be read is told elsewhere."""
        with suppress(KernelError), BuildSnapshot(live, sqlite_build(subgraph)) as build:
            with suppress(KernelError):
                await self._fit(where, subgraph, build)
            self.remarks(where, build.remarks())

    async def _fit(self, where: str, subgraph: Subgraph[Any], build: BuildSnapshot[Any]) -> None:
        async with AsyncExitStack() as stack:
            files = [log_file(self._data, name) for name in subgraph.codecs]
            logs = [await stack.enter_async_context(await SqliteLog.open_read_only(file)) for file in files]
            try:
                await check_fit(build, logs)
            except CheckpointMismatch as mismatch:
                what = f"its live build is of another history: {mismatch}"
                why = "it shows events that the log has lost, and not those that came instead"
                self.error(where, what, why, f"{_BACK_UP}; or start: it is kept aside and filled again from the logs")

    def _kept_aside(self, folder: Path, where: str) -> None:
        for kept in sorted((folder / ASIDE).glob("*.txt")):
            what = f"a build from another history of a log is kept in {where}/{ASIDE}/{kept.stem}.sqlite: "
            why = "the log has lost acknowledged events, and this build may show some of them"
            todo = f"look for what was lost, or go back to the right log; then remove {where}/{ASIDE}"
            self.error(where, f"{what}{kept.read_text().strip()}", why, todo)

    async def of_process_managers(self) -> None:
        path = self._data / "processes.sqlite"
        if not path.exists():
            return
        todo = "stop the system and remove the file: every reaction is done again, with one effect"
        stand_still = "process managers stand still"
        try:
            for flaw in full_check(path):
                self.error(path.name, f"it is damaged: {flaw}", stand_still, todo)
            subgraphs = self._system.subgraphs
            readers = [(one, look_at(path, process.name)) for one in subgraphs for process in one.processes]
        except KernelError as error:
            self.error(path.name, f"it cannot be read: {error}", stand_still, todo)
            return
        for subgraph, found in readers:
            self._reader(path.name, subgraph, found, todo)
            for name in map(log_name, self._ends):
                async with await SqliteLog.open_read_only(log_file(self._data, name)) as log:
                    await self.misread(path.name, log, found.checkpoint, _REACTED, _READ_AGAIN)

    def _reader(self, where: str, subgraph: Subgraph[Any], found: ReaderFile, again: str) -> None:
        now = {Partition(log, 0): end for log, end in self._ends.items()}
        past = [one for one, offset in found.position.items() if one in now and offset > now[one]]
        now |= {one: end_of_log(log_file(self._data, log_name(one.log))) for one in past}  # it may have grown meanwhile
        self.not_on_the_log(where, found.position, now, f"{_BACK_UP}; or {again}")
        self.behind(
            where, found.position, {one: end for one, end in now.items() if log_name(one.log) in subgraph.codecs}
        )
        self.waiting(where, found.parked)

    def of_running(self, status: SystemStatus) -> None:
        for subgraph in status.subgraphs:
            for damage in subgraph.damage:
                why = "the streams that it is in are refused, and the system is not ready"
                self.error(subgraph.name, f"a log that it reads is damaged: {damage}", why, _BACK_UP)
            view = subgraph.view
            for flaw in subgraph.flaws:
                what = f"its live build is not what the logs say: {flaw}"
                self.error(subgraph.name, what, "it answers nobody", self._rebuild(view.view))
            troubles = [*view.troubles, *(view.live.troubles if view.live else ())]
            troubles += [trouble for process in subgraph.processes for trouble in process.troubles]
            for one in troubles:
                what = f"{one.doing} has failed {one.attempts} times in a row: {one.error}"
                self.error(subgraph.name, what, "it makes no progress meanwhile", "fix what the error names")

    def _rebuild(self, view: str) -> str:
        return f"run `{self._system.name} rebuild {view}`: it is filled again from the logs"
