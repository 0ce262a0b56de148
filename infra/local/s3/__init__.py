"""Versity S3 Gateway, which speaks S3 over a folder in one Go process; each folder in its own is a bucket.

It is built from its Go module: there is no S3 server on PyPI, npm or Maven Central that is more than a mock. Building
takes some minutes of two cores, once.
"""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path

import msgspec

from infra.local import install
from infra.local.addresses import S3Address
from infra.local.ports import free_ports
from infra.local.probes import http_answers
from infra.local.process import Server, ServerProcess
from infra.local.remembered import remembered

_MODULE = Path(__file__).with_name("module.txt")
_REGION = "us-east-1"
_BUCKET = "archive"


class _Store(msgspec.Struct, frozen=True):
    """What a server keeps for its life."""

    port: int
    access_key: str
    secret_key: str


def fetch() -> Path:
    """Build the server unless it is built; its program."""
    return install.go_program(_MODULE)


def s3(folder: Path, *, port: int | None = None) -> Server[S3Address]:
    """A server in a folder, with one bucket; the same again at every later start.

    Args:
        folder: keeps data, port, keys and log; one folder, one server.
        port: without it any free one.

    Raises:
        ServerError: the folder holds another kind of server, or the module could not be fetched at the first use.
    """
    folder = folder.resolve()
    program = fetch()
    store = remembered(
        folder, _Store, lambda: _Store(port or free_ports(1)[0], secrets.token_hex(8), secrets.token_hex(16))
    )
    for kept in (folder / "data" / _BUCKET, folder / "attributes"):
        kept.mkdir(parents=True, exist_ok=True)
    address = S3Address(f"http://127.0.0.1:{store.port}", _REGION, _BUCKET, store.access_key, store.secret_key)
    command = [str(program), "--port", f"127.0.0.1:{store.port}", "--region", _REGION, "--quiet", "--health", "/health"]
    process = ServerProcess(
        "Versity S3 Gateway",
        folder,
        # What belongs to an object stands beside it in files: not every file system has extended attributes.
        [*command, "posix", "--sidecar", str(folder / "attributes"), str(folder / "data")],
        ports=(store.port,),
        answers=partial(http_answers, store.port, "/health"),
        variables={"ROOT_ACCESS_KEY": store.access_key, "ROOT_SECRET_KEY": store.secret_key},
    )
    return Server(address, (process,))
