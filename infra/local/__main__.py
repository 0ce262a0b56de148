"""`python -m infra.local fetch | up | down | status`: a set of servers that stays until it is stopped."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from infra.local.addresses import Address
from infra.local.errors import ServerError
from infra.local.kafka import fetch as fetch_kafka
from infra.local.kafka import kafka
from infra.local.kubernetes.programs import fetch as fetch_kubernetes
from infra.local.mongodb import fetch as fetch_mongodb
from infra.local.mongodb import mongodb
from infra.local.neo4j import fetch as fetch_neo4j
from infra.local.neo4j import neo4j
from infra.local.process import Process, processes_in
from infra.local.s3 import fetch as fetch_s3
from infra.local.s3 import s3
from infra.local.shared import shared

_NAMES = ("kafka", "mongodb", "neo4j")
_MORE = ("s3",)
"""What a system does without: only started where it is named."""
_POLL_SECONDS = 0.5
_CREDENTIALS = re.compile("//[^@/]*@")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a failure is told in words, with exit code 1."""
    options = _parser().parse_args(arguments)
    commands = {"fetch": _fetch, "up": _up, "down": _down, "status": _status}
    try:
        commands[options.command](options)
    except ServerError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="install what is not installed, so that later starts take seconds")
    up = commands.add_parser("up", help="start servers, write their addresses to FOLDER/env and print them")
    up.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join((*_NAMES, *_MORE))} (default: {', '.join(_NAMES)})"
    )
    up.add_argument("--brokers", type=int, default=1, choices=(1, 3), help="how many of Kafka (default: 1)")
    up.add_argument("--secure", action="store_true", help="with TLS and credentials on each server")
    for name in (*_NAMES, *_MORE):
        up.add_argument(f"--{name}-port", type=int, metavar="PORT", help="default: any free one")
    down = commands.add_parser("down", help="stop all; their data stay")
    down.add_argument("--after", type=int, metavar="PID", help="wait until this process has ended")
    status = commands.add_parser("status", help="say which processes run")
    for command in (up, down, status):
        command.add_argument(
            "--data", type=Path, default=Path("data/servers"), metavar="FOLDER", help="default: data/servers"
        )
    return parser


def _up(options: argparse.Namespace) -> None:
    folder: Path = options.data.resolve()
    servers: dict[str, Callable[[], Address]] = {
        "kafka": lambda: shared(
            folder / "kafka",
            partial(kafka, brokers=options.brokers, port=options.kafka_port, secure=options.secure),
        ),
        "mongodb": lambda: shared(
            folder / "mongodb", partial(mongodb, port=options.mongodb_port, secure=options.secure)
        ),
        "neo4j": lambda: shared(folder / "neo4j", partial(neo4j, port=options.neo4j_port, secure=options.secure)),
        "s3": lambda: shared(folder / "s3", partial(s3, port=options.s3_port)),
    }
    names: Sequence[str] = options.names or _NAMES
    unknown = sorted(set(names) - servers.keys())
    if unknown:
        raise ServerError(f"expected names of {', '.join(servers)}, found {', '.join(unknown)}")
    with ThreadPoolExecutor() as pool:
        starting = [pool.submit(servers[name]) for name in names]
        variables = {key: value for start in starting for key, value in start.result().variables().items()}
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    file = folder / "env"
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    for name, value in variables.items():
        if "PASSWORD" not in name:
            print(f"{name}={_CREDENTIALS.sub('//…@', value)}")
    print(f"All of it as a shell takes it, with the passwords: . {file}")


def _fetch(_options: argparse.Namespace) -> None:
    for fetch in (fetch_kafka, fetch_mongodb, fetch_neo4j, fetch_s3):
        print(fetch())
    for program in fetch_kubernetes():
        print(program)


def _down(options: argparse.Namespace) -> None:
    while options.after and _exists(options.after):
        time.sleep(_POLL_SECONDS)
    running = processes_in(options.data)
    if running:
        with ThreadPoolExecutor(len(running)) as pool:
            list(pool.map(Process.stop, running))


def _status(options: argparse.Namespace) -> None:
    for process in processes_in(options.data):
        print(f"{process.name}: process {process.pid}, log {process.folder / 'log'}")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
