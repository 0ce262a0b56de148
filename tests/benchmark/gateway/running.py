"""Processes of a benchmark run: started on one core, waited for, measured, stopped."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in seconds since the start, resident memory now in bytes; of a process and all below it."""

    cpu: float
    memory: int


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def pinned(core: int, command: tuple[str, ...]) -> list[str]:
    """The command on one core, where the machine has that many."""
    return ["taskset", "--cpu-list", str(core % (os.cpu_count() or 1)), *command]


@contextlib.contextmanager
def running(
    core: int,
    command: tuple[str, ...],
    log: Path,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Generator[subprocess.Popen[bytes]]:
    """The program, until the end of the `with` block; what it prints goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(core, command), env={**os.environ, **(environment or {})}, cwd=cwd, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition: str, process: subprocess.Popen[bytes], log: Path, holds: Callable[[], bool]) -> None:
    """Waits until `holds()`; an error with the program's last words where it ends or that takes too long."""
    until = time.monotonic() + _PATIENCE
    while not holds():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"not {condition}: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.1)


def usage(pid: int) -> Usage:
    """Read from /proc: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    cpu, memory = 0.0, 0
    for one in _tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        # utime and stime of the process, cutime and cstime of those of its children that have ended
        cpu += sum(map(int, fields[11:15])) / _TICK
        memory += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return Usage(cpu, memory)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        children = (thread / "children" for thread in Path(f"/proc/{one}/task").iterdir())
        found += [int(child) for file in children for child in file.read_text().split()]
    return found
