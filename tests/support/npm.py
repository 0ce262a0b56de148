"""Packages from npm for tests and benchmarks: locked, and installed once, outside the work tree."""

from __future__ import annotations

import filecmp
import shutil
import subprocess
from pathlib import Path

CACHE = Path.home() / ".cache" / "kithgraph" / "peers"
_SHIPPED = ("package.json", "package-lock.json", ".npmrc")


class Absent(Exception):
    """What is asked for cannot be had on this machine; the message says why."""


def npm_packages(name: str, shipped: Path, *programs: str) -> Path:
    """The folder with the packages that `shipped` locks, and with its programs; Absent where they cannot be had."""
    folder = CACHE / name
    lock = folder / "installed-lock.json"
    if shutil.which("node") is None:
        raise Absent("node is not installed")
    if not (lock.exists() and filecmp.cmp(lock, shipped / "package-lock.json", shallow=False)):
        _install(folder, shipped)
        shutil.copy(shipped / "package-lock.json", lock)
    for program in programs:
        shutil.copy(shipped / program, folder)
    return folder


def _install(folder: Path, shipped: Path) -> None:
    if shutil.which("npm") is None:
        raise Absent("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    for file in _SHIPPED:
        shutil.copy(shipped / file, folder)
    # Without scripts: what these packages build or download on installation, nobody here uses.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Absent(f"npm could not install {folder.name}: {done.stderr.strip()[-300:]}")
