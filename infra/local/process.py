"""Server processes that outlive the one that started them, and the servers made of them.

A process is found again by the file `pid` in its folder; it counts as alive while that pid's command line names the
folder, so a pid that the system has given to somebody else, or one that has ended and waits to be reaped, does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from infra import patience
from infra.local.errors import ServerError
from infra.local.ports import taken
from infra.local.tools import tail

A_co = TypeVar("A_co", covariant=True)

_POLL_SECONDS = 0.05
_START_SECONDS = 90.0
_STOP_SECONDS = 30.0
"""Of a quiet machine of the usual speed."""
# Half of a Java server's start is compiling what it runs once: the first compiler alone starts it twice as fast.
JAVA_FOR_A_SHORT_LIFE = ("-XX:TieredStopAtLevel=1",)
# What this process has started: kept so that each one is reaped, however it ends, and may outlive its object.
_children: list[subprocess.Popen[bytes]] = []


class Process:
    """A process that somebody has started with this folder in its command line."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    @property
    def pid(self) -> int | None:
        """The pid of the living process; None when it is not running."""
        for child in _children:
            child.poll()
        try:
            pid = int((self.folder / "pid").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if _is_alive(pid, self.folder) else None

    def stop(self) -> None:
        """Let the server end in its own way; after 30 seconds it is killed."""
        self.resume()
        if not self._end(signal.SIGTERM, patience.seconds(_STOP_SECONDS)):
            self.kill()

    def kill(self) -> None:
        """End the process at once, as a crash would (SIGKILL)."""
        if not self._end(signal.SIGKILL, patience.seconds(_STOP_SECONDS)):
            raise ServerError(f"{self.name} (process {self.pid}) is still there long after SIGKILL")

    def pause(self) -> None:
        """Let the process stand still with its connections open (SIGSTOP), as a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def _end(self, number: signal.Signals, seconds: float) -> bool:
        self._signal(number)
        deadline = time.monotonic() + seconds
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS / 5)
        (self.folder / "pid").unlink(missing_ok=True)
        return True

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class ServerProcess(Process):
    """A process of a server, and how to start it: its command, its ports, its log, the question that it must answer."""

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str],
        *,
        ports: Sequence[int],
        answers: Callable[[], bool],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, folder)
        self.log = folder / "log"
        self.ports = tuple(ports)
        self._command = list(command)
        self._answers = answers
        self._variables = variables

    def start(self) -> None:
        """Launch the process and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process if it is not running, without waiting for its answer.

        Raises:
            ServerError: one of its ports is taken.
        """
        if self.pid is not None:
            return
        for port in self.ports:
            if taken(port):
                raise ServerError(f"{self.name} cannot start: port {port} is in use by another process")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=None if self._variables is None else os.environ | self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _children.append(child)
        (self.folder / "pid").write_text(str(child.pid), encoding="ascii")

    def wait_until_ready(self, limit: float = _START_SECONDS) -> None:
        """Wait until the server answers; `limit` is in seconds of a quiet machine of the usual speed.

        Raises:
            ServerError: it ended, or the time is over; with the end of its log.
        """
        began = time.monotonic()
        while not self._answers():
            if self.pid is None:
                raise ServerError(f"{self.name} ended while it started. The end of {self.log}:\n{self._log_tail()}")
            waited = time.monotonic() - began
            if waited > limit and waited > patience.seconds(limit):
                raise ServerError(
                    f"{self.name} does not answer after {waited:.0f} s. The end of {self.log}:\n{self._log_tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def _log_tail(self) -> str:
        return tail(self.log.read_text(encoding="utf-8", errors="replace")) if self.log.exists() else "    (no log)"


@dataclass(frozen=True, slots=True)
class Server(Generic[A_co]):
    """The processes of one server and where it answers; as a context it runs inside and is stopped at the end."""

    address: A_co
    processes: tuple[ServerProcess, ...]

    @property
    def running(self) -> bool:
        """Whether every process is alive."""
        return all(process.pid is not None for process in self.processes)

    def start(self) -> None:
        """Start every process that is not running and wait until all answer.

        Raises:
            ServerError: one of them does not come up; those that this call started are ended.
        """
        stood = {process for process in self.processes if process.pid is not None}
        try:
            for process in self.processes:
                process.launch()
            for process in self.processes:
                process.wait_until_ready()
        except BaseException:
            for process in self.processes:
                if process not in stood:
                    process.kill()
            raise

    def stop(self) -> None:
        """Let every process end in its own way, all at one time: members of a quorum wait for one another."""
        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(Process.stop, self.processes))

    def kill(self) -> None:
        """End every process at once."""
        for process in self.processes:
            process.kill()

    def pause(self) -> None:
        """Let every process stand still."""
        for process in self.processes:
            process.pause()

    def resume(self) -> None:
        """Let every paused process go on."""
        for process in self.processes:
            process.resume()

    def __enter__(self) -> Server[A_co]:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def processes_in(folder: Path) -> list[Process]:
    """The processes of every server below a folder that are alive, named by their places in it."""
    pids = sorted([*folder.resolve().glob("*/pid"), *folder.resolve().glob("*/*/pid")])
    found = [Process(str(pid.parent.relative_to(folder.resolve())), pid.parent) for pid in pids]
    return [process for process in found if process.pid is not None]


def _is_alive(pid: int, folder: Path) -> bool:
    """Whether the process runs a command that names the folder, or is about to end and still holds files and ports."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        if Path("/proc/self").exists():
            return False
        listed = subprocess.run(
            ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return str(folder) in listed.stdout
    # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: a zombie may still have threads, which hold its ports
    state, threads = status[0], int(status[17])
    return (state not in {"Z", "X"} or threads > 1) and (not command or str(folder) in command)
