"""What the servers consist of, fetched once into the cache folder.

An installation is made in a temporary folder beside its place and renamed when it is whole, so a folder that is there
is complete, and of two that install at once one wins and the other's is thrown away.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from infra.local import environment
from infra.local.errors import ServerError
from infra.local.tools import run, tool

_MAVEN = "{http://maven.apache.org/POM/4.0.0}"


def jars(pom: Path) -> Path:
    """The folder with the dependencies of a Maven project file, in `<artifactId>-<version>` of the cache."""
    root = ET.parse(pom).getroot()  # noqa: S314 - a file of this package
    name = f"{root.findtext(_MAVEN + 'artifactId')}-{root.findtext(_MAVEN + 'version')}"

    def fetch(folder: Path) -> None:
        maven = tool("mvn", f"Fetching {name}")
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}"]
        run([maven, "--quiet", "--batch-mode", "--file", str(pom), *goal], f"Fetching {name} with Maven")

    return _installed(name, fetch) / "jars"


def python_environment(requirements: Path) -> Path:
    """The interpreter of an environment with what a one-line file requires, in `<name>-<version>` of the cache."""
    name = requirements.read_text(encoding="utf-8").strip().lower().replace("==", "-")

    def make(folder: Path) -> None:
        run([sys.executable, "-m", "venv", str(folder / "venv")], f"Making a virtual environment for {name}")
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", str(requirements)]
        run([str(folder / "venv" / "bin" / "python"), *pip], f"Fetching {name} with pip")

    return _installed(name, make) / "venv" / "bin" / "python"


def go_sources(module: Path) -> Path:
    """The program of a Go module of ours, by its folder, in `<name>-<fingerprint of its files>` of the cache."""
    files = [file for file in sorted(module.iterdir()) if file.name in {"go.mod", "go.sum"} or file.suffix == ".go"]
    fingerprint = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]

    def build(folder: Path) -> None:
        go = tool("go", f"Building {module.name}")
        run(
            [go, "build", "-C", str(module), "-buildvcs=false", "-o", str(folder / module.name), "."],
            f"Building {module.name} with Go",
        )

    return _installed(f"{module.name}-{fingerprint}", build) / module.name


def go_program(module: Path) -> Path:
    """The program of the Go package that a one-line file names with its version, in `<name>-<version>` of the cache."""
    package = module.read_text(encoding="utf-8").strip()
    name, _, version = package.rpartition("/")[2].partition("@")

    def build(folder: Path) -> None:
        go = tool("go", f"Building {name}")
        run([go, "install", package], f"Building {name} with Go", variables=os.environ | {"GOBIN": str(folder)})

    return _installed(f"{name}-{version}", build) / name


def go_tool(module: Path, package: str, name: str, version_in: str = "") -> Path:
    """The program of a Go package that a module's `go.mod` requires, in `<name>-<version>` of the cache.

    Args:
        module: the folder of `go.mod` and `go.sum`, which pin everything that the program is made of.
        package: the package's path.
        name: what the program is called.
        version_in: a variable that gets the version, where the program's own build does that.
    """
    versions = re.findall(r"^\t(\S+) (v\S+)", (module / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    version = next(version for path, version in versions if package == path or package.startswith(f"{path}/"))

    def build(folder: Path) -> None:
        go = tool("go", f"Building {name}")
        linked = f"-s -w -X {version_in}={version}" if version_in else "-s -w"
        options = ["-mod=readonly", "-trimpath", f"-ldflags={linked}", "-o", str(folder / name)]
        variables = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": ""}
        run([go, "build", "-C", str(module), *options, package], f"Building {name} with Go", variables=variables)

    return _installed(f"{name}-{version}", build) / name


def _installed(name: str, make: Callable[[Path], None]) -> Path:
    place = environment.cache() / name
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=place.parent))
    try:
        make(draft)
        draft.rename(place)
    except OSError as error:
        if not place.exists():
            raise ServerError(f"{place} could not be filled: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place
