"""Whole runs against an endpoint that does as it is told, and what a command makes of them."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from eventgraph.cli import command_line
from eventgraph.errors import StartError
from eventgraph.load.results import Limits, Results
from eventgraph.load.run import Plan, arrivals, run
from eventgraph.load.schedule import Arrivals, Schedule, Stage, planned
from eventgraph.load.workload import Workload, parsed
from infra.patience import seconds
from kithgraph.system import SOCIAL_NETWORK
from tests.support.kith import COMMAND, Finished, clean_environment, run_kith
from tests.unit.load.endpoint import serving
from tests.unit.open_loop.test_workload import DOORS

Json: TypeAlias = Any
Answers: TypeAlias = Callable[[str, dict[str, Json]], Response | None]

PLENTY = seconds(60)
"""No request of these runs takes so long, on a machine however slow."""


def answered(data: Json, *codes: str, bookmark: str = "") -> Response:
    errors = [{"message": "no", "extensions": {"code": code}} for code in codes]
    body = {"data": data, **({"errors": errors} if codes else {}), "extensions": {"bookmark": bookmark}}
    return Response(json.dumps(body), media_type="application/graphql-response+json")


class Doors:
    """A system of doors; `answers` may say something else than a right one."""

    def __init__(self, answers: Answers = lambda _operation, _payload: None, pause: float = 0) -> None:
        self._pause = pause
        self.asked: list[tuple[str, dict[str, Json], dict[str, str]]] = []
        self._answers = answers
        self._numbers = count()
        self.app = Starlette(routes=[Route("/graphql", self._serve, methods=["POST"])])

    @property
    def operations(self) -> Counter[str]:
        return Counter(operation for operation, _, _ in self.asked)

    async def _serve(self, request: Request) -> Response:
        payload = json.loads(await request.body())
        if "__typename" in payload["query"]:
            return self._answers("typename", payload) or answered({"__typename": "Query"})
        operation = "install" if "install" in payload["query"] else "show"
        self.asked.append((operation, payload, dict(request.headers)))
        await asyncio.sleep(self._pause)
        found = self._answers(operation, payload)
        if found is not None:
            return found
        number = next(self._numbers)
        data = {"install": {"door": {"id": f"door {number}"}}} if operation == "install" else {"door": {"id": "x"}}
        return answered(data, bookmark=f"b{number}")


def plan(endpoint: str = "http://127.0.0.1:1/graphql", workload: Workload | None = None, **more: Any) -> Plan:
    given: dict[str, Any] = {
        "schedule": Schedule([Stage(0.5, 60, 60)]),
        "arrivals": Arrivals.CONSTANT,
        "seed": 1,
        "at_most": 20,
        "timeout": PLENTY,
        "token": None,
        "limits": Limits(),
        **more,
    }
    return Plan(
        system=SOCIAL_NETWORK, endpoint=endpoint, workload=workload or parsed(DOORS, None, "doors.toml"), **given
    )


async def driven(doors: Doors, **more: Any) -> Results:
    async with serving(doors) as endpoint:
        return await run(plan(endpoint, **more), lambda _drive, _figures: nullcontext())


async def test_all_that_arrive_are_sent_and_told_by_operation() -> None:
    doors = Doors()
    found = await driven(doors)
    assert (found.all.arrived, found.all.answered, found.all.failed) == (30, 30, 0)
    by_operation = {line.operation: line.arrived for line in found.operations}
    # Three more filled the pool before.
    assert by_operation == {"show": doors.operations["show"], "install": doors.operations["install"] - 3}
    assert found.all.latency.count == 30
    assert found.asked_rate == 60
    assert found.seconds >= 0.48


async def test_pools_are_filled_before_and_their_values_asked_with_the_bookmarks_they_came_with() -> None:
    doors = Doors()
    await driven(doors)
    assert [operation for operation, _, _ in doors.asked[:3]] == ["install"] * 3
    for operation, payload, headers in doors.asked:
        if operation == "show":
            number = payload["variables"]["id"].removeprefix("door ")
            assert headers["bookmark"] == f"b{number}"
            assert 0 < float(headers["bookmark-timeout"]) <= 60


async def test_a_token_is_sent_with_every_request_and_told_nowhere() -> None:
    doors = Doors()
    found = await driven(doors, token="s3cret")
    assert {headers["authorization"] for _, _, headers in doors.asked} == {"Bearer s3cret"}
    assert "s3cret" not in repr(found)


async def test_a_password_in_the_endpoint_is_told_nowhere() -> None:
    async with serving(Doors()) as endpoint:
        secret = endpoint.replace("//", "//ada:s3cret@")
        found = await run(plan(secret), lambda _drive, _figures: nullcontext())
    assert found.endpoint == endpoint
    with pytest.raises(StartError) as error:
        await run(plan(secret), lambda _drive, _figures: nullcontext())
    assert "s3cret" not in str(error.value)


def wrong(operation: str, payload: dict[str, Json]) -> Response | None:
    if operation != "show":
        return None
    match payload["variables"]["id"]:
        case "door 0":
            return answered(None, "INTERNAL")
        case "door 1":
            return answered({"door": None}, "GONE", "GONE")
        case _:
            return Response("<html>", status_code=502, media_type="text/html")


async def test_errors_are_told_by_code_and_expected_ones_apart() -> None:
    workload = parsed(DOORS.replace("weight = 9", 'weight = 9\nexpected = ["GONE"]'), "show=1", "doors.toml")
    found = await driven(Doors(wrong), workload=workload, limits=Limits("0", None))
    (line,) = found.operations
    assert set(line.errors) == {"INTERNAL", "HTTP_502"}
    assert line.refusals == {"GONE": 30 - line.failed}
    assert line.lost == line.errors["HTTP_502"]
    assert line.answered == 30 - line.lost
    assert not found.held
    assert found.verdicts[0].found.startswith(f"{line.failed} of 30 ")


NO_UTF8 = b'{"errors": [{"extensions": {"code": "\xff"}}]}'
DEEP = pytest.param(b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep")


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"{", b'{"data": null}', b'{"data": null, "errors": null}', NO_UTF8, DEEP]
)
async def test_what_is_no_answer_of_graphql_is_lost(body: bytes) -> None:
    def answers(operation: str, payload: dict[str, Json]) -> Response | None:
        return Response(body, media_type="application/json") if operation == "show" else None

    found = await driven(Doors(answers), workload=parsed(DOORS, "show=1", "doors.toml"))
    assert found.all.errors == {"HTTP_200": 30}


async def test_what_a_pool_cannot_read_is_lost() -> None:
    """Other than in what every answer has, it is seen when a pool looks at the data."""
    first = count()

    def answers(operation: str, payload: dict[str, Json]) -> Response | None:
        body = b'{"data": {"install": "\xff"}}'
        is_load = operation == "install" and next(first) >= 3
        return Response(body, media_type="application/json") if is_load else None

    found = await driven(Doors(answers), workload=parsed(DOORS, "install=1", "doors.toml"))
    assert found.all.errors == {"NO_JSON": 30}


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the first question of a run, and to all others closes the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(int(length.partition(b":")[2]))
    if b"__typename" in body:
        told = b'{"data":{"__typename":"Query"}}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(told), told))
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_connections_that_break_are_counted_and_do_not_end_the_run() -> None:
    workload = parsed(DOORS.replace('"$door"', '"x"'), "show=1", "doors.toml")
    workload = replace(workload, pools={})
    server = await asyncio.start_server(closes, "127.0.0.1", 0)
    async with server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql"
        found = await run(plan(endpoint, workload), lambda _drive, _figures: nullcontext())
    assert found.all.arrived == found.all.lost == found.all.failed == 30
    assert set(found.all.errors) <= {"ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError"}


async def test_a_pool_whose_operation_is_refused_is_told_with_the_code() -> None:
    def answers(operation: str, payload: dict[str, Json]) -> Response | None:
        return answered(None, "FORBIDDEN") if operation == "install" else None

    with pytest.raises(StartError, match="install: expected an answer that fills a pool, found FORBIDDEN, 5 times"):
        await driven(Doors(answers))


async def test_a_pool_whose_path_leads_nowhere_is_told() -> None:
    workload = parsed(DOORS.replace("install.door.id", "install.gate.id"), None, "doors.toml")
    with pytest.raises(StartError, match=r"pool 'door': expected 3 values at install\.gate\.id .* found 0"):
        await driven(Doors(), workload=workload)


async def test_where_nothing_answers_it_does_not_begin() -> None:
    with pytest.raises(StartError, match="expected a GraphQL API"):
        await run(plan(), lambda _drive, _figures: nullcontext())


async def test_where_a_page_answers_it_does_not_begin() -> None:
    def answers(operation: str, payload: dict[str, Json]) -> Response | None:
        return Response("<html>", status_code=404, media_type="text/html")

    with pytest.raises(StartError, match="expected a GraphQL API"):
        await driven(Doors(answers))


async def test_where_the_token_is_refused_it_does_not_begin() -> None:
    def answers(operation: str, payload: dict[str, Json]) -> Response | None:
        return answered(None, "UNAUTHENTICATED") if operation == "typename" else None

    doors = Doors(answers)
    with pytest.raises(StartError, match="found UNAUTHENTICATED"):
        await driven(doors)
    assert doors.asked == []


def test_the_same_seed_asks_the_same_operations_at_the_same_moments() -> None:
    def asked(seed: int) -> list[object]:
        schedule = planned(100, "2s", None, ())
        return list(arrivals(plan(schedule=schedule, arrivals=Arrivals.POISSON, seed=seed)))

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)


def test_operations_come_by_their_weights() -> None:
    workload = parsed(DOORS, "show=90,install=10", "doors.toml")
    asked = arrivals(plan(workload=workload, schedule=planned(1000, "10s", None, ())))
    found = Counter(arrival.operation for arrival in asked)
    assert found.total() == 10_000
    # Four standard deviations of 10,000 draws at a tenth; the seed is the same each time.
    assert abs(found["install"] - 1000) < 120


async def load(doors: Doors, *options: str) -> Finished:
    async with serving(doors) as endpoint:
        return await run_kith("load", "--endpoint", endpoint, *options)


@pytest.fixture
def operations(tmp_path: Path) -> str:
    file = tmp_path / "doors.toml"
    file.write_text(DOORS)
    return str(file)


BRIEF = ("--rate", "40", "--duration", "250ms")


async def test_the_command_tells_people_writes_files_and_keeps_to_its_limits(tmp_path: Path, operations: str) -> None:
    html, data = tmp_path / "load.html", tmp_path / "load.json"
    options = ("--operations", operations, "--report", str(html), "--report", str(data), "--max-errors", "0")
    finished = await load(Doors(), *BRIEF, *options, "--max-p99", "1h")
    assert finished.code == 0, finished.errors
    assert "--max-errors: expected at most 0, found 0 of 10 (0.00%): kept" in finished.output
    assert "10 requests in" in finished.output
    assert html.read_text().startswith("<!doctype html>")
    assert json.loads(data.read_text())["all"]["arrived"] == 10


@pytest.mark.parametrize("limit", [("--max-errors", "10%"), ("--max-p99", "1ms")])
async def test_a_limit_that_is_not_kept_is_exit_code_1(operations: str, limit: tuple[str, str]) -> None:
    def answers(operation: str, payload: dict[str, Json]) -> Response | None:
        return answered(None, "INTERNAL") if operation == "show" else None

    options = ("--operations", operations, "--mix", "show=1", "--json")
    finished = await load(Doors(answers, pause=0.01), *BRIEF, *options, *limit)
    assert finished.code == 1
    told = json.loads(finished.output)
    assert told["all"]["errors"] == {"INTERNAL": 10}
    assert [verdict["held"] for verdict in told["verdicts"]] == [False]
    assert finished.errors == ""


async def test_ctrl_c_ends_a_run_and_what_was_measured_is_still_told(tmp_path: Path, operations: str) -> None:
    begun, file = asyncio.Event(), tmp_path / "load.json"

    def answers(operation: str, payload: dict[str, Json]) -> Response | None:
        if operation == "show":
            begun.set()
        return None

    async with serving(Doors(answers)) as endpoint:
        options = ("--rate", "50", "--duration", "1h", "--operations", operations, "--report", str(file))
        process = await asyncio.create_subprocess_exec(
            COMMAND, "load", "--endpoint", endpoint, *options, stdout=asyncio.subprocess.PIPE, env=clean_environment()
        )
        async with asyncio.timeout(seconds(60)):
            await begun.wait()
            process.send_signal(signal.SIGINT)
            output, _ = await process.communicate()
    assert process.returncode == 130
    assert b"stopped before its end" in output
    told = json.loads(file.read_text())
    assert told["interrupted"]
    assert told["all"]["arrived"] >= 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("parallel", "--rate", "5"), "load: expected no --rate, --ramp or --stage with a preset"),
        (("--people", "5", "--rate", "5"), "load: expected no --rate, --ramp or --stage with --people"),
        (("--concurrency", "5", "--rate", "5"), "with --concurrency"),
        (("--duration", "5s", "--mix", "user=1"), "load: expected --rate, --ramp or --stage with --duration, --mix"),
        (("--arrivals", "poisson"), "load: expected --rate, --ramp or --stage with --arrivals"),
        (("--rate", "5", "--arrivals", "even"), "--arrivals: expected constant or poisson, found 'even'"),
        (("--rate", "5", "--timeout", "2m"), "--timeout: expected at most 60 s, found '2m'"),
        (("--rate", "5", "--max-errors", "many"), "--max-errors: expected a number or a share"),
        (("--rate", "5", "--max-errors", "101%"), "--max-errors: expected a number or a share"),
        (("--rate", "5", "--max-p99", "250"), "--max-p99: expected a time with its unit"),
        (("--rate", "5", "--mix", "like=1"), "--mix: operation 'like' is not known; known: addFriend"),
        (("--rate", "5", "--report", "load.txt"), "--report: expected a name that ends with .html or .json"),
        (("--rate", "5", "--report", "/nowhere/load.html"), "/nowhere/load.html: expected a file that can be written"),
        (("--rate", "5", "--token-file", "/nowhere"), "/nowhere: expected a file with a token; No such file"),
        (("--rate", "5", "--operations", "/nowhere"), "/nowhere: expected a file of operations; No such file"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_a_line(options: tuple[str, ...], expected: str) -> None:
    line = command_line(SOCIAL_NETWORK)
    with pytest.raises(StartError) as error:
        line(["load", *options, "--endpoint", "http://127.0.0.1:1/graphql"], standalone_mode=False)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
