"""Programs of this machine that the servers need: found or named as missing, run to their end or explained."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from infra.local.errors import MissingTool, ServerError

_INSTALL = {
    "go": "Go, 1.26 or later (https://go.dev/doc/install)",
    "java": "a Java runtime, 17 or later (on Debian: apt-get install openjdk-17-jre-headless)",
    "mvn": "Maven (on Debian: apt-get install maven)",
    "openssl": "OpenSSL (on Debian: apt-get install openssl)",
}
_SHOWN_LINES = 25


def tool(name: str, purpose: str) -> str:
    """The program's path.

    Raises:
        MissingTool: it is not on the PATH.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingTool(f"{purpose} needs `{name}`, which is not on the PATH: install {_INSTALL[name]}")
    return path


def run(
    command: Sequence[str], doing: str, *, variables: Mapping[str, str] | None = None, text: str | None = None
) -> None:
    """Run a program to its end.

    Raises:
        ServerError: it failed; the message says what it was doing and shows the end of what it printed.
    """
    done = subprocess.run(command, env=variables, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"{doing} failed with exit code {done.returncode}:\n{tail(done.stdout + done.stderr)}")


def tail(text: str) -> str:
    """The end of a log, indented."""
    lines = text.rstrip().splitlines()[-_SHOWN_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (nothing was printed)"
