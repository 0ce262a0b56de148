"""Starting, stopping and refusing to start, as the person at the command line sees it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from infra.patience import seconds
from tests.support.event_stream import listening_at
from tests.support.kith import COMMAND, Json, clean_environment, kith_up, run_kith, running_kith

CREATE = 'mutation { createUser(input: {firstName: "Ada", lastName: "Lovelace"}) { user { id } bookmark } }'


async def test_a_second_run_finds_the_data_of_the_first(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as first:
        payload = (await first.ask(CREATE)).data["createUser"]
        assert await first.stop() == 0
    async with kith_up(tmp_path / "data") as second:
        answer = await second.ask(
            "query ($id: ID!) { user(id: $id) { firstName } }",
            {"id": payload["user"]["id"]},
            bookmark=payload["bookmark"],
        )
        assert answer.data == {"user": {"firstName": "Ada"}}


async def test_a_second_signal_stops_without_a_word_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with kith_up(tmp_path / "data") as running:
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
    assert capfd.readouterr().err == ""


UNNEEDED = (
    "aiokafka",
    "graphrouter.configuration",
    "graphrouter.planning.check",
    "jwt",
    "kithgraph.load.run",
    "neo4j",
    "obstore",
    "pymongo",
    "rich.progress",
    "yaml",
)
"""What others need: engines, a configuration, tokens, plans that are checked, bars."""


async def test_it_imports_nothing_before_it_is_ready_that_it_does_not_need(tmp_path: Path) -> None:
    command = (sys.executable, "-X", "importtime", str(COMMAND), "up", "--port", "0", "--data", str(tmp_path / "data"))
    with (tmp_path / "imports").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, env=clean_environment(), stdout=asyncio.subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        async with asyncio.timeout(seconds(60)):
            assert b"is ready" in await process.stdout.readline()
            process.send_signal(signal.SIGINT)
            await process.communicate()
    told = (tmp_path / "imports").read_text()
    imported = {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}
    assert "graphrouter.pipeline" in imported
    assert sorted(imported.intersection(UNNEEDED)) == []


async def test_the_banner_names_playground_endpoint_health_and_data(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as running:
        assert f"{running.origin}/\n" in running.banner
        assert f"{running.origin}/graphql" in running.banner
        assert f"{running.origin}/health/ready" in running.banner
        assert str(tmp_path / "data") in running.banner


async def test_with_http_each_subgraph_answers_on_a_port_of_its_own(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data", "--http") as running:
        for name in ("users", "friends", "recommendations"):
            line = next(line for line in running.banner.splitlines() if line.split()[:1] == [name])
            response = await running.client.post(line.split()[1], json={"query": "{ _service { sdl } }"})
            assert "type Query" in response.json()["data"]["_service"]["sdl"]


async def test_the_environment_says_how_many_connections_and_subscriptions_are_open(tmp_path: Path) -> None:
    environment = {"KITH_CONNECTIONS": "2", "KITH_CONCURRENT_STREAMS": "1"}
    arguments = ("up", "--http", "--port", "0", "--data", str(tmp_path / "data"))
    async with running_kith(*arguments, environment=environment) as running:
        subscription = 'subscription { friendshipsChanged(userId: "ada") { id } }'
        friends, headers = running.line("friends"), {"accept": "text/event-stream"}
        async with listening_at(running.client, friends, subscription):
            response = await running.client.post(friends, json={"query": subscription}, headers=headers)
            assert (response.status_code, code_of(response.json())) == (503, "OVERLOADED")

        url = f"{running.origin}/graphql".replace("http", "ws", 1)
        protocols = [Subprotocol("graphql-transport-ws")]
        async with connect(url, subprotocols=protocols) as first, connect(url, subprotocols=protocols):
            response = await running.client.post(f"{running.origin}/graphql", json={"query": "{ __typename }"})
            assert response.status_code == 503
            await first.send('{"type": "connection_init"}')
            for name in ("1", "2"):
                payload = {"query": subscription}
                await first.send(json.dumps({"id": name, "type": "subscribe", "payload": payload}))
            while (message := json.loads(await first.recv()))["type"] != "error":
                pass
            assert message["payload"][0]["extensions"]["code"] == "OVERLOADED"


def code_of(body: Json) -> str:
    code: str = body["errors"][0]["extensions"]["code"]
    return code


def one_line(errors: str) -> str:
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    return lines[0]


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = await run_kith("up", "--port", str(port), "--data", str(tmp_path / "data"))
    assert finished.code != 0
    assert f"port {port}" in one_line(finished.errors)
    assert not (tmp_path / "data").exists()


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    finished = await run_kith("up", "--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert finished.code != 0
    assert str(tmp_path / "file" / "data") in one_line(finished.errors)


async def test_a_folder_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kithgraph.json").write_text(json.dumps({"format": 999}))
    finished = await run_kith("up", "--port", "0", "--data", str(tmp_path))
    assert finished.code != 0
    assert "format 999" in one_line(finished.errors)
    assert not list((tmp_path / "logs").glob("*"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "one"}', '{"format": 0}'])
async def test_a_damaged_marker_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "kithgraph.json").write_text(content)
    finished = await run_kith("up", "--port", "0", "--data", str(tmp_path))
    assert finished.code != 0
    assert "kithgraph.json is damaged" in one_line(finished.errors)


async def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as running:
        finished = await run_kith("up", "--port", "0", "--data", str(tmp_path / "data"))
        assert finished.code != 0
        assert f"in use by process {running.process.pid}" in one_line(finished.errors)
        assert (await running.ask("{ users { edges { cursor } } }")).data == {"users": {"edges": []}}


async def test_a_wrong_setting_is_named_in_one_line(tmp_path: Path) -> None:
    finished = await run_kith("up", "--port", "99999", "--data", str(tmp_path / "data"))
    assert finished.code != 0
    assert "port" in one_line(finished.errors)


async def test_the_version_is_printed() -> None:
    finished = await run_kith("--version")
    assert (finished.code, finished.output.split()[0]) == (0, "kith")


@pytest.mark.parametrize("name", ["users", "friends"])
@pytest.mark.parametrize("what", ["gone", "empty"])
async def test_a_log_that_was_lost_is_not_begun_anew(tmp_path: Path, name: str, what: str) -> None:
    async with kith_up(tmp_path) as first:
        await first.ask(CREATE)
        assert await first.stop() == 0
    log = tmp_path / "logs" / f"{name}.sqlite"
    log.unlink()
    if what == "empty":
        log.touch()
    finished = await run_kith("up", "--port", "0", "--data", str(tmp_path))
    assert finished.code != 0
    assert f"the log {log} is {what}" in one_line(finished.errors)
    assert log.exists() == (what == "empty")


async def test_a_disk_without_space_for_the_lock_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("/dev/full")
    finished = await run_kith("up", "--port", "0", "--data", str(tmp_path))
    assert finished.code != 0
    assert f"the data folder {tmp_path} cannot be written" in one_line(finished.errors)


@pytest.mark.parametrize("command", [["up", "--port", "0"], ["events"], ["doctor"]])
async def test_an_empty_folder_name_is_refused(command: list[str]) -> None:
    finished = await run_kith(*command, "--data", "")
    assert finished.code != 0
    assert "found an empty text" in " ".join(finished.errors.replace("│", " ").split())


async def test_a_new_data_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "new" / "data"):
        assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700


async def test_a_process_that_is_terminated_drains_first_where_it_is_told_to() -> None:
    """With Ctrl-C it does not: somebody waits."""
    drained = {"KITH_DRAIN_SECONDS": "3600", "KITH_PORT": "0"}
    async with running_kith("serve", "router", environment=drained) as running:
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(seconds(30)):
            while True:
                answer = await running.client.get(f"{running.origin}/health/ready")
                if answer.json().get("reason") == "the server is going to stop":
                    break
        assert (answer.status_code, answer.headers["connection"]) == (503, "close")
        assert (await running.client.get(f"{running.origin}/health/live")).status_code == 200
        assert await running.stop() == 0
