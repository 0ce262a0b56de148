"""Local images under public names: Debian by debootstrap, and on it what the Dockerfile and docker-compose.yml name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local.kafka import fetch as fetch_kafka
from infra.local.neo4j import fetch as fetch_neo4j
from infra.rehearsal.machine import run, succeeds

_IMAGES = Path(__file__).with_name("images")
_LOCAL = _IMAGES.parents[1] / "local"
_DEBIAN = "kithgraph-rehearsal/debian"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# Whatever reaches the network from inside a build trusts whom this machine trusts.
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_TRUST = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

STAND_INS: Mapping[str, str] = {
    "python": "python:3.11-slim-bookworm",
    "node": "node:20-bookworm-slim",
    "kafka": "apache/kafka:4.1.0",
    "mongodb": "mongo:8.0",
    "neo4j": "neo4j:5.26.12-community",
}
"""Which folder of `images/` makes which public name."""


def make_missing() -> list[str]:
    """Make what is not there; the names that were made or are stand-ins from an earlier rehearsal."""
    needed = [name for name, public in STAND_INS.items() if not _exists(public)]
    if needed:
        _make_debian()
        if {"kafka", "neo4j"} & set(needed):
            _build("java", "kithgraph-rehearsal/java", lambda _: None)
        if "mongodb" in needed:
            _build("python", "kithgraph-rehearsal/python", lambda _: None)
    for name in needed:
        _build(name, STAND_INS[name], _CONTENTS.get(name, lambda _: None))
    return [public for public in STAND_INS.values() if _is_stand_in(public)]


def _make_debian() -> None:
    if _exists(_DEBIAN):
        return
    print("Making a Debian image with debootstrap …", flush=True)
    with tempfile.TemporaryDirectory(prefix="kithgraph-rehearsal-") as work:
        root = Path(work) / "root"
        run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)])
        if _AUTHORITIES.exists():
            shutil.copyfile(_AUTHORITIES, root / _AUTHORITIES.relative_to("/"))
        trust = [f"--change=ENV {name}={_AUTHORITIES}" for name in _TRUST]
        archive = Path(work) / "debian.tar"
        run(["tar", "--directory", str(root), "--create", "--file", str(archive), "."])
        label = "--change=LABEL kithgraph.rehearsal=stand-in"
        run(["docker", "import", *trust, label, str(archive), _DEBIAN])


def _build(name: str, image: str, add_contents: Callable[[Path], None]) -> None:
    print(f"Making {image} …", flush=True)
    with tempfile.TemporaryDirectory(prefix="kithgraph-rehearsal-") as work:
        context = Path(work) / name
        shutil.copytree(_IMAGES / name, context)
        add_contents(context)
        run(["docker", "build", "--network=host", "--tag", image, str(context)])


def _add_node(context: Path) -> None:
    npm = Path(run(["npm", "root", "--global"]).strip()) / "npm"
    shutil.copyfile(run(["node", "-p", "process.execPath"]).strip(), context / "node")
    (context / "node").chmod(0o755)
    shutil.copytree(npm, context / "npm", symlinks=True)


_CONTENTS: Mapping[str, Callable[[Path], None]] = {
    "node": _add_node,
    "kafka": lambda context: _copy(fetch_kafka(), context / "jars"),
    "neo4j": lambda context: _copy(fetch_neo4j(), context / "jars"),
    "mongodb": lambda context: _copy(_LOCAL / "mongodb" / "requirements.txt", context / "requirements.txt"),
}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _exists(image: str) -> bool:
    return succeeds(["docker", "image", "inspect", image])


def _is_stand_in(image: str) -> bool:
    return "stand-in" in run(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image])
