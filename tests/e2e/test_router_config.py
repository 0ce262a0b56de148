"""The router of a system reads a configuration of its own, in both modes, and reads it again when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.patience import seconds
from tests.support.kith import Json, RunningKith, run_kith, running_kith

TWO_ALIASES = "{ a: __typename b: __typename }"


def write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@asynccontextmanager
async def routing(mode: str, folder: Path) -> AsyncGenerator[tuple[RunningKith, Path]]:
    """A router in this mode, and its configuration, which allows one alias."""
    config = folder / "router.yaml"
    write(config, "limits: {aliases: 1}\n")
    command = ("up", "--data", str(folder / "data")) if mode == "embedded" else ("serve", "router")
    environment = {"KITH_ROUTER_CONFIG": str(config), "KITH_PORT": "0"}
    async with running_kith(*command, environment=environment) as running:
        yield running, config


async def told(running: RunningKith, condition: Callable[[Json], bool]) -> Json:
    async with asyncio.timeout(seconds(30)):
        while True:
            found = (await running.client.get(f"{running.origin}/health/ready")).json()["configuration"]
            if condition(found):
                return found
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("mode", ["embedded", "distributed"])
async def test_a_changed_configuration_holds_and_a_wrong_one_is_refused_by_its_place(mode: str, tmp_path: Path) -> None:
    async with routing(mode, tmp_path) as (running, config):
        assert (await running.ask(TWO_ALIASES)).codes == ["TOO_MANY_ALIASES"]
        write(config, "limits: {aliases: 2}\n")
        await told(running, lambda found: found["generation"] == 2)
        assert (await running.ask(TWO_ALIASES)).data == {"a": "Query", "b": "Query"}
        write(config, "limits: {alias: 3}\n")
        refused = (await told(running, lambda found: "refused" in found))["refused"]
        assert "limits.alias" in refused
        assert "aliases" in refused
        assert (await running.ask(TWO_ALIASES)).data == {"a": "Query", "b": "Query"}
        assert await running.stop() == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits: {alias: 3}", "limits.alias"),
        ("server: {port: 4000}", "server.port: expected keys of a system's router"),
        (
            "subgraphs: {nobody: {timeout_seconds: 2}}",
            "expected one of friends, recommendations, users, found 'nobody'",
        ),
    ],
)
async def test_a_start_with_a_configuration_that_does_not_fit_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "router.yaml").write_text(text)
    options = ("--data", str(tmp_path / "data"), "--router-config", str(tmp_path / "router.yaml"), "--port", "0")
    finished = await run_kith("up", *options)
    assert finished.code == 1
    assert message in finished.errors
    assert "Traceback" not in finished.errors
