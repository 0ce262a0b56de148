"""Alertmanager: who is told of which alert, and which alerts are silenced by another one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from infra.local.ports import free_ports
from infra.patience import seconds
from tests.support.installed import installed

CONFIGURATION = Path(__file__).parents[3] / "infra" / "observability" / "alertmanager" / "alertmanager.yml"
PACKAGE = "prometheus-alertmanager"

VIEW = {"system": "kith", "messaging_consumer_group_name": "doors"}
SUBGRAPH = {"system": "kith", "graphql_subgraph_name": "doors"}
OTHER = {"system": "bank"}


def test_amtool_takes_the_configuration() -> None:
    checked = subprocess.run(
        [installed("amtool", PACKAGE), "check-config", CONFIGURATION], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "SystemDown", "severity": "critical", "system": "kith"}, "page"),
        ({"alertname": "SagaOverdue", "severity": "critical", **VIEW}, "page"),
        ({"alertname": "ParkedStreams", "severity": "warning", **VIEW}, "ticket"),
        ({"alertname": "OfSomebodyElse"}, "ticket"),
    ],
)
def test_what_is_critical_goes_to_whom_is_paged_and_everything_else_does_not(
    labels: Mapping[str, str], receiver: str
) -> None:
    given = [f"{name}={value}" for name, value in labels.items()]
    amtool = installed("amtool", PACKAGE)
    found = subprocess.run(
        [amtool, "config", "routes", "test", "--config.file", CONFIGURATION, "--verify.receivers", receiver, *given],
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr


Labels: TypeAlias = Mapping[str, str]
States: TypeAlias = Mapping[frozenset[tuple[str, str]], str]

SILENCING: Sequence[tuple[Labels, Sequence[Labels], Sequence[Labels]]] = [
    (
        {"alertname": "SystemDown", "system": "kith"},
        [{"alertname": "ReaderLagging", **VIEW}, {"alertname": "ProcessDown", "system": "kith", "instance": "a"}],
        [{"alertname": "ParkedStreams", **OTHER}, {"alertname": "DiskFull", "instance": "node"}],
    ),
    (
        {"alertname": "NothingScraped"},
        [{"alertname": "SubgraphNotReady", **SUBGRAPH}, {"alertname": "RouterErrors", **OTHER}],
        [{"alertname": "DiskFull", "instance": "node"}],
    ),
    (
        {"alertname": "SubgraphNotReady", **SUBGRAPH},
        [{"alertname": "SubgraphUnreachable", **SUBGRAPH}, {"alertname": "SubgraphErrors", **SUBGRAPH}],
        [
            {"alertname": "SubgraphErrors", "system": "kith", "graphql_subgraph_name": "windows"},
            {"alertname": "SubgraphUnreachable", "system": "bank", "graphql_subgraph_name": "doors"},
            {"alertname": "LogDamaged", **VIEW},
        ],
    ),
    (
        {"alertname": "ReaderFarBehind", **VIEW},
        [{"alertname": "ReaderLagging", **VIEW}],
        [{"alertname": "ParkedStreams", **VIEW}, {"alertname": "ReaderLagging", **VIEW, "system": "bank"}],
    ),
    ({"alertname": "ViewFlawed", **VIEW}, [{"alertname": "ReaderLagging", **VIEW}], []),
    (
        {"alertname": "LedgerBacklogStays", "system": "kith", "messaging_destination_name": "doors"},
        [{"alertname": "LedgerBacklog", "system": "kith", "messaging_destination_name": "doors"}],
        [{"alertname": "LedgerBacklog", "system": "kith", "messaging_destination_name": "windows"}],
    ),
]
"""Alerts with those that they silence, and others that they do not."""


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """A real one, at a free port, whose receivers lead nowhere."""
    for name in ("page", "ticket"):
        (folder / name).write_text("http://127.0.0.1:9/")
    configuration = folder / "alertmanager.yml"
    configuration.write_text(CONFIGURATION.read_text().replace("/etc/alertmanager/secrets", str(folder)))
    (port,) = free_ports(1)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            installed("prometheus-alertmanager", PACKAGE),
            f"--config.file={configuration}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=seconds(10)) as client:
            async with asyncio.timeout(seconds(30)):
                while not await is_ready(client):
                    assert process.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.05)
            yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def test_what_is_down_silences_its_symptoms_and_nothing_else(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as client:
        for source, silenced, told in SILENCING:
            alerts = [source, *silenced, *told]
            await send(client, alerts)
            expected = {key(one): "suppressed" if one in silenced else "active" for one in alerts}

            # Alertmanager learns on the side of what silences: the ones that are silenced show that it has.
            def known(states: States, few: Sequence[Labels] = silenced, number: int = len(alerts)) -> bool:
                silent = all(states.get(key(one)) == "suppressed" for one in few)
                return silent and len(states) == number and "unprocessed" not in states.values()

            assert await until(client, known) == expected
            await send(client, alerts, startsAt="2025-01-01T00:00:00Z", endsAt="2026-01-01T00:00:00Z")
            await until(client, lambda states: not states)


def key(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


async def send(client: httpx.AsyncClient, alerts: Sequence[Labels], **more: str) -> None:
    answer = await client.post("/api/v2/alerts", json=[{"labels": labels, **more} for labels in alerts])
    assert answer.status_code == 200, answer.text


async def until(client: httpx.AsyncClient, condition: Callable[[States], bool]) -> States:
    """The states of all alerts, once they are so."""
    async with asyncio.timeout(seconds(30)):
        while True:
            found = (await client.get("/api/v2/alerts")).json()
            states = {key(one["labels"]): one["status"]["state"] for one in found}
            if condition(states):
                return states
            await asyncio.sleep(0.05)
