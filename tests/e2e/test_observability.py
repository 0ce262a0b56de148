"""Dashboards and alert rules on a real Prometheus, which scrapes systems that run under load."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from infra.observability.dashboards import FOLDER
from infra.patience import seconds
from tests.support.bank import TRANSFER, Bank
from tests.support.installed import installed
from tests.support.kith import RunningKith, kith_up
from tests.support.prometheus import Prometheus, filled, node_exporter, prometheus

Found = TypeVar("Found")

CREATE = 'mutation { createUser(input: {firstName: "Ada", lastName: "Lovelace", username: "NAME"}) { user { id } } }'


async def use_kith(kith: RunningKith) -> None:
    """Changes, refusals, queries, of which some are too deep and some invalid, without end. What is answered is of no
    interest here."""
    for number in itertools.count():
        for _ in range(2):
            await kith.ask(CREATE.replace("NAME", f"ada{number}"))
        for query in ("{ users { edges { node { id } } } }", "{" + "a {" * 200 + "b" + "}" * 201, "{ nothing }"):
            await kith.ask(query)


async def use_bank(running: RunningKith) -> None:
    """Transfers without end."""
    bank = Bank(running)
    source, target = await bank.account("ada", "1000.00 EUR"), await bank.account("grace")
    while True:
        await running.ask(
            TRANSFER, {"input": {"sourceId": source, "targetId": target, "amount": "0.01 EUR", "memo": ""}}
        )


@asynccontextmanager
async def load(*uses: Awaitable[None]) -> AsyncGenerator[None]:
    """Goes on while the block does; what fails of it fails the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(use)) for use in uses]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _awaited(use: Awaitable[None]) -> None:
    await use


async def until(condition: Callable[[], Awaitable[Found | None]], left: Callable[[], object]) -> Found:
    """What it gives as soon as it gives something; `left` is told where it never does."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds(60)):
            while True:
                if (found := await condition()) is not None:
                    return found
                await asyncio.sleep(0.25)
    raise AssertionError(left())


@pytest.mark.timeout(600)
async def test_every_panel_shows_something_of_systems_under_load_and_every_rule_is_evaluated(tmp_path: Path) -> None:
    for program in ("prometheus", "prometheus-node-exporter"):
        installed(program, program)  # before systems are started for it
    async with (
        kith_up(tmp_path / "kith") as kith,
        kith_up(tmp_path / "bank", system="bank") as bank,
        node_exporter(tmp_path) as machine,
        prometheus(
            tmp_path, {"kith": urlsplit(kith.origin).netloc, "bank": urlsplit(bank.origin).netloc}, machine
        ) as server,
        load(use_kith(kith), use_bank(bank)),
    ):
        await everything_is_shown(server)
        await the_systems_are_told_apart(server)
        await rules_are_healthy(server)


async def everything_is_shown(server: Prometheus) -> None:
    dashboards = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))]
    empty = {
        (dashboard["title"], panel["title"], target["expr"]): dashboard["templating"]["list"]
        for dashboard in dashboards
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    }
    assert len(empty) > 60

    async def shown() -> bool | None:
        for (title, panel, promql), variables in list(empty.items()):
            if await server.series(filled(promql, await server.selected(variables))):
                del empty[title, panel, promql]
        return None if empty else True

    await until(shown, lambda: f"without data: {list(empty)}")


async def the_systems_are_told_apart(server: Prometheus) -> None:
    by_type = await server.series("sum by (system, cloudevents_event_type) (eventgraph_log_events_total)")
    types = {(one["system"], one["cloudevents_event_type"].partition(".")[0]) for one in by_type}
    assert types >= {("kith", "users"), ("bank", "accounts"), ("bank", "transfers")}
    assert await server.get("label/system/values") == ["bank", "kith"]


async def rules_are_healthy(server: Prometheus) -> None:
    async def evaluated() -> dict[str, str] | None:
        groups = (await server.get("rules"))["groups"]
        health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        return None if "unknown" in health.values() else health

    health = await until(evaluated, lambda: "rules that were not evaluated")
    assert len(health) > 30
    assert set(health.values()) == {"ok"}, health
