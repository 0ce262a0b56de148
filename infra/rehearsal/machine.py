"""What the rehearsal needs of this machine: programs, and a container engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-compose": "docker-compose",
    "debootstrap": "debootstrap",
    "java": "openjdk-17-jre-headless",
    "mvn": "maven",
    "npm": "npm",
}
_ENGINE_SECONDS = 60


class RehearsalError(Exception):
    """The rehearsal failed, or cannot be held here; the message says what to do or what was seen."""


def check_programs() -> None:
    """Install nothing, but say what is missing.

    Raises:
        RehearsalError: a program is missing, or we are not root, which debootstrap and dockerd ask for.
    """
    missing = sorted({package for program, package in _PROGRAMS.items() if shutil.which(program) is None})
    if missing:
        raise RehearsalError(f"the rehearsal needs more programs: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        raise RehearsalError("the rehearsal needs root, because it runs debootstrap and dockerd")


@contextmanager
def container_engine(log: Path) -> Generator[None]:
    """The engine that runs already, or one started for as long as the context lasts."""
    if _engine_answers():
        yield
        return
    command = [shutil.which("dockerd") or "dockerd"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as engine:
        try:
            deadline = time.monotonic() + _ENGINE_SECONDS
            while not _engine_answers():
                if engine.poll() is not None or time.monotonic() > deadline:
                    raise RehearsalError(f"dockerd does not answer; the end of its log:\n{log.read_text()[-2000:]}")
                time.sleep(0.5)
            yield
        finally:
            engine.terminate()


def run(command: Sequence[str], *, quiet: bool = True, folder: Path | None = None) -> str:
    """Run a program to its end; what it printed to its standard output.

    Raises:
        RehearsalError: it failed, with the end of what it printed.
    """
    done = subprocess.run(command, cwd=folder, capture_output=quiet, text=True, check=False)
    if done.returncode:
        printed = f":\n{(done.stdout + done.stderr)[-4000:]}" if quiet else ""
        raise RehearsalError(f"{' '.join(command[:4])} … failed with exit code {done.returncode}{printed}")
    return done.stdout if quiet else ""


def succeeds(command: Sequence[str]) -> bool:
    """Whether a program ends with exit code 0."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _engine_answers() -> bool:
    return succeeds(["docker", "info"])
