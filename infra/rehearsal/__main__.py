"""`python -m infra.rehearsal`: see the package."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from infra.local.ports import free_ports
from infra.rehearsal.images import make_missing
from infra.rehearsal.machine import RehearsalError, check_programs, container_engine, run
from infra.rehearsal.round_trip import Client, read, write_and_read
from kithgraph.system import SOCIAL_NETWORK

Json: TypeAlias = Any

_IMAGE = "kithgraph:local"
_REPOSITORY = Path(__file__).parents[2]
_PROJECT = "kithgraph-rehearsal"
_HEALTHY_SECONDS = 600.0


class System:
    """The compose file under a project name of its own, with its own port and freshly drawn secrets."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._env = folder / "env"
        run([str(_REPOSITORY / "infra" / "docker" / "draw-secrets"), str(self._env)])
        text = self._env.read_text(encoding="utf-8")
        self._env.write_text(text.replace("KITHGRAPH_PORT=9000", f"KITHGRAPH_PORT={self.port}"), encoding="utf-8")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def compose(self, *arguments: str) -> str:
        """A command of docker-compose for this system."""
        command = ["docker-compose", "--project-name", _PROJECT, "--env-file", str(self._env)]
        return run([*command, *arguments], folder=_REPOSITORY)

    def start(self) -> None:
        """Start everything and wait until each container is healthy.

        Raises:
            RehearsalError: one is not; with the end of its log.
        """
        began = time.monotonic()
        try:
            self.compose("up", "--detach")
            self._wait_until_healthy(began + _HEALTHY_SECONDS)
        except RehearsalError as error:
            raise RehearsalError(f"{error}\n\n{self.compose('logs', '--no-color', '--tail=15')}") from None
        print(f"Everything is healthy after {time.monotonic() - began:.0f} s.", flush=True)

    def state(self) -> None:
        """Print what each container is: user, limits, health."""
        for name, container in self._containers().items():
            settings = container["HostConfig"]
            limits = f"{settings['NanoCpus'] / 1e9:g} cpus, {settings['Memory'] >> 20} MB"
            print(f"  {name}: user {container['Config']['User'] or 'root'}, {limits}, {_health(container)}")

    def check_our_containers(self) -> None:
        """See that what we ship is not root, cannot write its own files and publishes the router's port alone.

        Raises:
            RehearsalError: one does otherwise.
        """
        for name, container in self._containers().items():
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            published = {port for port, hosts in container["NetworkSettings"]["Ports"].items() if hosts}
            if published != ({"9000/tcp"} if service == "router" else set()):
                raise RehearsalError(f"{name} publishes {published or 'nothing'}")
            ours = service in SOCIAL_NETWORK.ports
            if ours and (container["Config"]["User"] in {"", "root"} or not container["HostConfig"]["ReadonlyRootfs"]):
                raise RehearsalError(f"{name} runs as root or may write its own files")

    def _wait_until_healthy(self, deadline: float) -> None:
        while sick := [name for name, container in self._containers().items() if _health(container) != "healthy"]:
            if time.monotonic() > deadline:
                raise RehearsalError(f"not healthy after {_HEALTHY_SECONDS:g} s: {', '.join(sick)}")
            time.sleep(1)

    def _containers(self) -> dict[str, Json]:
        ids = self.compose("ps", "--quiet").split()
        found: list[Json] = json.loads(run(["docker", "inspect", *ids])) if ids else []
        return {container["Name"].lstrip("/"): container for container in found}


def _health(container: Json) -> str:
    state = container["State"]
    return str(state.get("Health", {}).get("Status", state["Status"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Hold the rehearsal; a failure is told in words, with exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m infra.rehearsal", description=__doc__)
    parser.parse_args(arguments)
    try:
        check_programs()
        with tempfile.TemporaryDirectory(prefix="kithgraph-rehearsal-") as work:
            folder = Path(work)
            with container_engine(folder / "dockerd.log"):
                _rehearse(System(folder))
    except RehearsalError as error:
        sys.exit(str(error))


def _rehearse(system: System) -> None:
    print(f"Stand-ins for public images: {', '.join(make_missing()) or 'none'}", flush=True)
    print(f"Building {_IMAGE} …", flush=True)
    run(["docker", "build", "--network=host", "--tag", _IMAGE, str(_REPOSITORY)])
    system.compose("down", "--volumes")  # of a rehearsal that was cut off: its volumes know other passwords
    try:
        system.start()
        system.state()
        system.check_our_containers()
        client = Client(system.endpoint)
        ada = write_and_read(client)
        print("Users and friends are written, and a recommendation is read.", flush=True)
        system.compose("down")
        system.start()
        read(client, ada)
        print("After a stop and a start the same client reads the same answer: the volumes keep it.", flush=True)
    finally:
        system.compose("down", "--volumes")


if __name__ == "__main__":
    main()
