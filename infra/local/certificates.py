"""A certificate for servers on this machine, which is its own authority."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.local.tools import run, tool

_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"
_DAYS = "30"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files, and both in one as Kafka wants them."""

    key: Path
    chain: Path
    both: Path


def certificate(folder: Path) -> Certificate:
    """The certificate kept in a folder, made when there is none."""
    found = Certificate(folder / "server.key", folder / "server.crt", folder / "server.pem")
    if not found.both.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subject = ["-subj", "/CN=localhost/O=Kithgraph local servers", "-addext", _NAMES, "-days", _DAYS]
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(found.key)]
        command = [tool("openssl", "TLS"), "req", "-x509", *key, "-out", str(found.chain), *subject]
        run(command, "Making a certificate")
        found.both.touch(mode=0o600)
        found.both.write_text(found.key.read_text(encoding="ascii") + found.chain.read_text(encoding="ascii"), "ascii")
    return found
