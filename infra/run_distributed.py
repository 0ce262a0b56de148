"""`make run-distributed`: the distributed mode on this machine, without containers.

Kafka, MongoDB's stand-in and Neo4j as `infra.local` starts them, and a process each for the three subgraphs and the
router. Ctrl-C ends all of it; the data stay in the folder, and the next start goes on with them.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from infra import patience
from infra.local import ServerError, kafka, mongodb, neo4j

KITH = Path(sys.executable).with_name("kith")
SUBGRAPHS = {"users": 1, "friends": 2, "recommendations": 3}
"""Each with its distance from the router's port."""
_STOP_SECONDS = 15.0
_NOTICE = (
    "SecantusDB stands in for MongoDB here, one broker for Kafka's three: this shows the system and tests it; keep no\n"
    "data in it that you cannot lose."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until Ctrl-C, or until one of the processes ends; a failure is told in words, with exit code 1."""
    parser = argparse.ArgumentParser(prog="make run-distributed", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data-distributed"), metavar="FOLDER")
    parser.add_argument("--port", type=int, default=9000, help="the router's; the subgraphs are on the next three")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # however it is told to end, nothing stays behind
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            sys.exit(_run(options.data.resolve(), options.port, stack))
    except ServerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Stopped.")


def _run(folder: Path, port: int, stack: ExitStack) -> int:
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
    environment = _environment(variables, _keys(folder / "claims.keys"))
    urls = {f"KITH_{name.upper()}_URL": f"http://127.0.0.1:{port + far}/graphql" for name, far in SUBGRAPHS.items()}
    children: dict[int, str] = {}
    for name, far in {**SUBGRAPHS, "router": 0}.items():
        child = _start(stack, ["serve", name, "--port", str(port + far)], environment | urls)
        children[child.pid] = f"kith serve {name}"
    print(_NOTICE, flush=True)
    ended, status = os.wait()
    which, code = children.get(ended, "a server"), os.waitstatus_to_exitcode(status)
    print(f"{which} has ended with exit code {code}, so the others are stopped.")
    return 1


def _environment(servers: Mapping[str, str], keys: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("KITH_")}
    return own | {
        "KITH_KAFKA_BOOTSTRAP": servers["KAFKA_BOOTSTRAP"],
        "KITH_KAFKA_REPLICAS": "1",
        "KITH_KAFKA_IN_SYNC_REPLICAS": "1",
        "KITH_MONGODB_URL": servers["MONGODB_URL"],
        "KITH_NEO4J_URL": servers["NEO4J_URL"],
        "KITH_NEO4J_USER": servers["NEO4J_USER"],
        "KITH_NEO4J_PASSWORD": servers["NEO4J_PASSWORD"],
        "KITH_CLAIMS_KEYS_FILE": str(keys),
    }


def _keys(file: Path) -> Path:
    """The claims keys, drawn at the first start."""
    if not file.exists():
        drawn = subprocess.run([KITH, "claims-keys"], check=True, capture_output=True).stdout
        draft = file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_bytes(drawn)
        draft.rename(file)
    return file


def _start(stack: ExitStack, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([str(KITH), *arguments], env=dict(environment), start_new_session=True)
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
