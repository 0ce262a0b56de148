"""A program that makes or restores a back-up again and again, and is killed before another step of it each time.

`python -m tests.support.killed_at_each_step create|restore|again SOURCE FOLDER`: in FOLDER/N the work was killed before
the N-th time that it made, renamed, removed or opened for writing a file or a folder, by SIGKILL: nothing is cleaned
up, nothing is closed. It ends with the N that the work did not reach. `again` restores where a restore was killed.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from eventgraph.operating.backup import create, restore
from eventgraph.progress_bar import progress_bar
from eventgraph.running.data_folder import marker_file, processes_file
from kithgraph.system import SOCIAL_NETWORK

STEPS = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir"})
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def writes(event: str, arguments: tuple[object, ...]) -> bool:
    if event == "open":
        flags = arguments[2]
        return isinstance(flags, int) and flags & WRITING != 0
    return event in STEPS or (event == "sqlite3.connect" and "mode=ro" not in str(arguments[0]))


def killed_before(step: int, folder: Path) -> None:
    """From now on this process ends before its step of this number below the folder."""
    left = itertools.count(step, -1)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        there = any(str(folder) in str(argument) for argument in arguments)
        if there and writes(event, arguments) and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def half_filled(data: Path) -> None:
    """What a restore leaves that is killed before its last step: the logs are not in their place yet."""
    (data / "import.draft" / "logs").mkdir(parents=True)
    processes_file(data).write_text("of the killed one")
    marker_file(data, SOCIAL_NETWORK).write_text('{"format": 1}')


def work(action: str, source: Path, folder: Path) -> None:
    if action == "create":
        create(SOCIAL_NETWORK, source, folder / "monday")
    else:
        restore(SOCIAL_NETWORK, source, folder / "data")


def main(action: str, source: Path, folder: Path) -> None:
    with progress_bar("nothing"):
        pass  # it has loaded now what each of the children would load
    for step in itertools.count():
        here = folder / str(step)
        here.mkdir()
        if action == "again":
            half_filled(here / "data")
        if (child := os.fork()) == 0:
            killed_before(step, here)
            work(action, source, here)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
