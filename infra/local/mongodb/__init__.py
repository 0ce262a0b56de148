"""SecantusDB, which speaks MongoDB's protocol over WiredTiger in one Python process.

There is no mongod on PyPI, npm or Maven Central. What passes against this server has been tested against it and not
against mongod; where MONGODB_URL names a real one, tests use that. Only writes with `j: true` survive that its process
is killed: unlike mongod's, its `w: "majority"` alone does not imply the journal.
"""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from urllib.parse import quote_plus

import msgspec

from infra.local import install
from infra.local.addresses import Login, MongodbAddress
from infra.local.certificates import certificate
from infra.local.errors import ServerError
from infra.local.ports import free_ports
from infra.local.probes import mongodb_answers
from infra.local.process import Server, ServerProcess
from infra.local.remembered import remembered
from infra.local.tools import run

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_USER = "kithgraph"
# Run by the server's own interpreter, which has pymongo; port, name on the command line, the password on its input.
_ADD_USER = """
import sys, pymongo
port, name = sys.argv[1:]
admin = pymongo.MongoClient("127.0.0.1", int(port), directConnection=True).admin
admin.command("createUser", name, pwd=sys.stdin.read(), roles=[{"role": "root", "db": "admin"}])
"""


class _Store(msgspec.Struct, frozen=True):
    """What a server keeps for its life."""

    port: int
    secure: bool
    password: str


def fetch() -> Path:
    """Install the server unless it is installed; its interpreter."""
    return install.python_environment(_REQUIREMENTS)


def mongodb(folder: Path, *, port: int | None = None, secure: bool = False) -> Server[MongodbAddress]:
    """A server in a folder, a replica set of one; the same again at every later start.

    Args:
        folder: keeps data, port, password and log; one folder, one server.
        port: without it any free one.
        secure: TLS only, and a user with SCRAM-SHA-256; adding the user starts the server once without either.

    Raises:
        ServerError: the folder holds another kind of server, or PyPI could not be reached at the first use.
    """
    folder = folder.resolve()
    python = fetch()
    store = remembered(folder, _Store, lambda: _Store(port or free_ports(1)[0], secure, secrets.token_hex(16)))
    if store.secure != secure:
        raise ServerError(f"MongoDB: {folder} holds a server with secure={store.secure}, asked for was secure={secure}")
    if not secure:
        plain = MongodbAddress(f"mongodb://127.0.0.1:{store.port}/")
        return Server(plain, (_process(python, folder, store, (), None),))
    pem = certificate(folder / "tls")
    if not (folder / "user-added").exists():
        with Server(None, (_process(python, folder, store, (), None),)):
            run([str(python), "-c", _ADD_USER, str(store.port), _USER], "Adding MongoDB's user", text=store.password)
        (folder / "user-added").touch()
    url = (
        f"mongodb://{_USER}:{quote_plus(store.password)}@127.0.0.1:{store.port}/"
        f"?authSource=admin&tls=true&tlsCAFile={quote_plus(str(pem.chain))}"
    )
    options = ("--auth", "--tls-cert-file", str(pem.chain), "--tls-key-file", str(pem.key))
    process = _process(python, folder, store, options, pem.chain)
    return Server(MongodbAddress(url, Login(_USER, store.password, pem.chain)), (process,))


def _process(
    python: Path, folder: Path, store: _Store, options: tuple[str, ...], authority: Path | None
) -> ServerProcess:
    place = ["--host", "127.0.0.1", "--port", str(store.port), "--storage-path", str(folder / "data")]
    return ServerProcess(
        "SecantusDB",
        folder,
        [str(python), "-I", "-m", "secantus", *place, "--cache-size", "256M", "--log-level", "WARNING", *options],
        ports=(store.port,),
        answers=partial(mongodb_answers, store.port, authority),
    )
