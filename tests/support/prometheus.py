"""A real Prometheus (Debian's package `prometheus`) beside systems that run, and what it is asked."""

from __future__ import annotations

import asyncio
import math
import re
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from infra.local.ports import free_ports
from infra.patience import factor, seconds
from tests.support.installed import installed

CONFIGURATION: Final = Path(__file__).parents[2] / "infra" / "observability" / "prometheus" / "prometheus.yml"


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    client: httpx.AsyncClient
    scrape_seconds: int

    async def get(self, path: str, **parameters: str) -> Any:
        answer = await self.client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text[:200]
        return answer.json()["data"]

    async def series(self, promql: str) -> Sequence[Mapping[str, str]]:
        """The labels of what a query gives now, as far as it is a number."""
        found = (await self.get("query", query=promql))["result"]
        return [one["metric"] for one in found if math.isfinite(float(one["value"][1]))]

    async def selected(self, variables: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """What Grafana puts in place of a dashboard's variables where all their values are chosen."""
        found = {"__rate_interval": f"{4 * self.scrape_seconds}s"}
        for variable in variables:
            query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert query, variable
            values = await self.get(f"label/{query[2]}/values", **{"match[]": filled(query[1], found)})
            found[variable["name"]] = "(" + "|".join(re.escape(value).replace("\\", "\\\\") for value in values) + ")"
        return found


def filled(promql: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: variables[name[1]], promql)


@asynccontextmanager
async def prometheus(
    folder: Path, systems: Mapping[str, str], machine: str | None = None
) -> AsyncGenerator[Prometheus]:
    """One that scrapes these systems, each in one process at its address, and a node exporter; with the rules of the
    project, and otherwise configured as that."""
    configuration: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    # A scrape may take as long as there is between two of them: on a slow or busy machine there is more.
    scrape_seconds = min(15, math.ceil(factor()))
    configuration["global"] |= {"scrape_interval": f"{scrape_seconds}s", "evaluation_interval": f"{scrape_seconds}s"}
    configuration["rule_files"] = [str(CONFIGURATION.parent / pattern) for pattern in configuration["rule_files"]]
    del configuration["alerting"]
    targets = [
        {"targets": [address], "labels": {"system": system, "component": "all"}} for system, address in systems.items()
    ]
    configuration["scrape_configs"] = [
        {"job_name": "systems", "static_configs": targets},
        {"job_name": "machines", "static_configs": [{"targets": [machine]}]},
    ]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    (port,) = free_ports(1)
    program = installed("prometheus", "prometheus")
    options = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}", "--log.level=warn"]
    async with (
        running(folder / "prometheus.log", program, *options, f"--web.listen-address=127.0.0.1:{port}"),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=seconds(20)) as client,
    ):
        await answers(client, "/-/ready")
        yield Prometheus(client, scrape_seconds)


@asynccontextmanager
async def node_exporter(folder: Path) -> AsyncGenerator[str]:
    """A node exporter of this machine; its address."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    program = installed("prometheus-node-exporter", "prometheus-node-exporter")
    async with running(folder / "exporter.log", program, f"--web.listen-address={address}"):
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=seconds(20)) as client:
            await answers(client, "/")
        yield address


@asynccontextmanager
async def running(log: Path, *command: str) -> AsyncGenerator[None]:
    """A process that is ended at the end."""
    with log.open("wb") as to:
        process = await asyncio.create_subprocess_exec(*command, stdout=to, stderr=to)
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), seconds(20))
            except TimeoutError:
                process.kill()
        await process.wait()


async def answers(client: httpx.AsyncClient, path: str) -> None:
    """Waits until it does."""
    async with asyncio.timeout(seconds(30)):
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(path)).status_code == 200:
                    return
            await asyncio.sleep(0.05)
