"""Neo4j's community edition, started by its own entry point, with authentication on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from infra.local import install
from infra.local.addresses import Neo4jAddress
from infra.local.certificates import certificate
from infra.local.errors import ServerError
from infra.local.ports import free_ports
from infra.local.probes import neo4j_answers
from infra.local.process import JAVA_FOR_A_SHORT_LIFE, Server, ServerProcess
from infra.local.remembered import remembered
from infra.local.tools import run, tool

_POM = Path(__file__).with_name("pom.xml")
_USER = "neo4j"
# https://neo4j.com/docs/java-reference/5/java-embedded/: packages that its off-heap memory and its network use
_OPENED = ("java.lang", "java.nio", "java.io", "java.util.concurrent", "sun.nio.ch")
_OPENS = tuple(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED)
_SETTINGS = {
    "server.default_listen_address": "127.0.0.1",
    "server.bolt.enabled": "true",
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "server.memory.heap.initial_size": "256m",
    "server.memory.heap.max_size": "1g",
    "server.memory.pagecache.size": "256m",
    "db.tx_log.preallocate": "false",
    "dbms.security.auth_enabled": "true",
    "dbms.usage_report.enabled": "false",
    # Without it a stop waits 10 seconds for connections that nobody makes.
    "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
}


class _Store(msgspec.Struct, frozen=True):
    """What a server keeps for its life."""

    port: int
    secure: bool
    password: str


def fetch() -> Path:
    """Install the server unless it is installed; the folder of its jars."""
    return install.jars(_POM)


def neo4j(
    folder: Path, *, port: int | None = None, secure: bool = False, short_lived: bool = False
) -> Server[Neo4jAddress]:
    """A server in a folder, with a password drawn at its first start; the same again at every later one.

    Args:
        folder: keeps data, port, password and log; one folder, one server.
        port: of Bolt; without it any free one.
        secure: the port takes TLS, too.
        short_lived: starts with half the work and serves slower, for tests.

    Raises:
        MissingTool: Java (or, at the first use on a machine, Maven) is not there.
        ServerError: the folder holds another kind of server.
    """
    folder = folder.resolve()
    java = tool("java", "Neo4j")
    classes = str(fetch() / "*")
    store = remembered(folder, _Store, lambda: _Store(port or free_ports(1)[0], secure, secrets.token_hex(16)))
    if store.secure != secure:
        raise ServerError(f"Neo4j: {folder} holds a server with secure={store.secure}, asked for was secure={secure}")
    home = folder / "home"
    variables = _write_settings(home, _server_settings(folder, store))
    if not (home / "data" / "dbms" / "auth.ini").exists():
        admin = [
            java,
            *JAVA_FOR_A_SHORT_LIFE,
            *_OPENS,
            "-cp",
            classes,
            "org.neo4j.cli.AdminTool",
            "dbms",
            "set-initial-password",
        ]
        run([*admin, "--", store.password], "Setting Neo4j's password", variables=os.environ | variables)
    entry = ["org.neo4j.server.CommunityEntryPoint", f"--home-dir={home}", f"--config-dir={home / 'conf'}"]
    serving = ("-Xms256m", "-Xmx1g", "-XX:+UseG1GC", *(JAVA_FOR_A_SHORT_LIFE if short_lived else ()))
    process = ServerProcess(
        "Neo4j",
        folder,
        [java, *serving, *_OPENS, "-cp", classes, *entry, "--console-mode"],
        ports=(store.port,),
        answers=partial(neo4j_answers, store.port),
        variables=variables,
    )
    authority = certificate(folder / "tls").chain if secure else None
    return Server(Neo4jAddress(f"bolt://127.0.0.1:{store.port}", _USER, store.password, authority), (process,))


def _server_settings(folder: Path, store: _Store) -> Mapping[str, str]:
    settings = _SETTINGS | {"server.bolt.listen_address": f"127.0.0.1:{store.port}"}
    if not store.secure:
        return settings
    pem = certificate(folder / "tls")
    return settings | {
        "server.bolt.tls_level": "OPTIONAL",
        "dbms.ssl.policy.bolt.enabled": "true",
        "dbms.ssl.policy.bolt.base_directory": str(pem.key.parent),
        "dbms.ssl.policy.bolt.private_key": pem.key.name,
        "dbms.ssl.policy.bolt.public_certificate": pem.chain.name,
        "dbms.ssl.policy.bolt.client_auth": "NONE",
    }


def _write_settings(home: Path, settings: Mapping[str, str]) -> Mapping[str, str]:
    """Write `neo4j.conf`; the variables by which Neo4j's programs find it."""
    conf = home / "conf"
    for part in (conf, home / "data", home / "logs", home / "plugins"):
        part.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    (conf / "neo4j.conf").write_text(text, encoding="utf-8")
    return {"NEO4J_HOME": str(home), "NEO4J_CONF": str(conf)}
