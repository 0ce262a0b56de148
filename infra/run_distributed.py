"""`make run-distributed`: the distributed mode on this machine, without containers.

Kafka, MongoDB's stand-in and Neo4j as `infra.local` starts them, and a process each for the subgraphs and the router of
a system: the social network, or the one that `--system module:NAME` names. Ctrl-C ends all of it; the data stay in the
folder, and the next start goes on with them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from eventgraph import System
from infra import patience
from infra.local import ServerError, kafka, mongodb, neo4j

SOCIAL_NETWORK = "kithgraph.system:SOCIAL_NETWORK"
_STOP_SECONDS = 15.0
_NOTICE = (
    "SecantusDB stands in for MongoDB here, one broker for Kafka's three: this shows the system and tests it; keep no\n"
    "data in it that you cannot lose."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until Ctrl-C, or until one of the processes ends; a failure is told in words, with exit code 1."""
    parser = argparse.ArgumentParser(prog="make run-distributed", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data-distributed"), metavar="FOLDER")
    parser.add_argument("--port", type=int, default=9000, help="the router's; the subgraphs are on those behind it")
    parser.add_argument("--system", default=SOCIAL_NETWORK, metavar="MODULE:NAME", help="its declaration")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # however it is told to end, nothing stays behind
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            sys.exit(_run(options.system, options.data.resolve(), options.port, stack))
    except ServerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Stopped.")


def _run(place: str, folder: Path, port: int, stack: ExitStack) -> int:
    system, command = _system(place)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    print("Starting Kafka, MongoDB's stand-in and Neo4j; the first time they are installed before that …", flush=True)
    servers = (kafka(folder / "kafka"), mongodb(folder / "mongodb"), neo4j(folder / "neo4j"))
    with ThreadPoolExecutor() as pool:
        started = [pool.submit(server.start) for server in servers]
    for server in servers:
        stack.callback(server.stop)
    for one in started:
        one.result()
    variables = {name: value for server in servers for name, value in server.address.variables().items()}
    environment = _environment(system, variables, _keys(command, folder / "claims.keys"))
    ports = {name: port + far for far, name in enumerate(system.ports)}
    for name in system.names:
        environment[f"{system.prefix}{name.upper()}_URL"] = f"http://127.0.0.1:{ports[name]}/graphql"
    children: dict[int, str] = {}
    for name in (*system.names, "router"):
        child = _start(stack, [*command, "serve", name, "--port", str(ports[name])], environment)
        children[child.pid] = f"{system.name} serve {name}"
    print(_NOTICE, flush=True)
    ended, status = os.wait()
    which, code = children.get(ended, "a server"), os.waitstatus_to_exitcode(status)
    print(f"{which} has ended with exit code {code}, so the others are stopped.")
    return 1


def _system(place: str) -> tuple[System, Sequence[str]]:
    """The system that is declared there, and its command."""
    module, _, name = place.partition(":")
    try:
        system = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ServerError(f"--system {place}: expected a declaration as {SOCIAL_NETWORK}: {error}") from error
    if not isinstance(system, System):
        raise ServerError(f"--system {place}: expected a System, found {type(system).__name__}")
    run = f"from eventgraph.cli import command; from {module} import {name}; command({name})()"
    return system, [sys.executable, "-c", run]


def _environment(system: System, servers: Mapping[str, str], keys: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(system.prefix)}
    settings = {
        "KAFKA_BOOTSTRAP": servers["KAFKA_BOOTSTRAP"],
        "KAFKA_REPLICAS": "1",
        "KAFKA_IN_SYNC_REPLICAS": "1",
        "MONGODB_URL": servers["MONGODB_URL"],
        "NEO4J_URL": servers["NEO4J_URL"],
        "NEO4J_USER": servers["NEO4J_USER"],
        "NEO4J_PASSWORD": servers["NEO4J_PASSWORD"],
        "CLAIMS_KEYS_FILE": str(keys),
    }
    return own | {f"{system.prefix}{name}": value for name, value in settings.items()}


def _keys(command: Sequence[str], file: Path) -> Path:
    """The claims keys, drawn at the first start."""
    if not file.exists():
        drawn = subprocess.run([*command, "claims-keys"], check=True, capture_output=True).stdout
        draft = file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_bytes(drawn)
        draft.rename(file)
    return file


def _start(stack: ExitStack, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(command, env=dict(environment), start_new_session=True)
    stack.callback(_stop, child)
    return child


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(patience.seconds(_STOP_SECONDS))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
