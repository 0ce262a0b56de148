"""The command `graphrouter`, as somebody types it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import trustme
import uvicorn
from typer.testing import CliRunner, Result

from graphrouter.cli import app
from infra.patience import seconds
from tests.support import promtool
from tests.support.kith import clean_environment
from tests.support.otlp import receiver
from tests.support.raw_server import OK, raw_server
from tests.support.tiny_subgraph import reviews_subgraph, users_subgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, sdl in (
        ("users", 'type Query { me: User } type User @key(fields: "id") { id: ID! name: String! }'),
        ("reviews", 'type User @key(fields: "id") { id: ID! reviews: [Review!]! } type Review { body: String! }'),
    ):
        (tmp_path / f"{name}.graphql").write_text(LINK + sdl)
    (tmp_path / "me.graphql").write_text("query Me { me { name reviews { body } } } query Other { me { id } }")
    run("compose", *(f"{n}={tmp_path / n}.graphql" for n in ("users", "reviews")), "-o", str(tmp_path / "all.graphql"))
    return tmp_path


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


def test_compose_writes_a_supergraph_that_every_stage_reads(folder: Path) -> None:
    supergraph = ("-s", str(folder / "all.graphql"))
    operation = (str(folder / "me.graphql"), *supergraph, "--operation", "Me")
    for command, expected in (
        ("normalize", "reviews"),
        ("paths", "users"),
        ("plan", 'Fetch(service: "reviews"'),
        ("check", "the plan is right"),
    ):
        result = run(command, *operation)
        assert (result.exit_code, expected in result.stdout) == (0, True), result.output
    assert "users" in run("graph", *supergraph).stdout
    assert "Fetch" in run("plan", "-", *supergraph, stdin="{ me { id } }").stdout


def test_labels_of_override_are_put_on_by_name_and_no_line_is_empty_at_the_end(folder: Path) -> None:
    link = LINK.replace('["@key"]', '["@key", "@override"]').replace("v2.3", "v2.7")
    (folder / "old.graphql").write_text(
        link + 'type Query { me: User } type User @key(fields: "id") { id: ID! age: Int }'
    )
    (folder / "new.graphql").write_text(
        link + 'type User @key(fields: "id") { id: ID! age: Int @override(from: "old", label: "moved") }'
    )
    sources = (f"{name}={folder / name}.graphql" for name in ("old", "new"))
    composed = run("compose", *sources)
    (folder / "both.graphql").write_text(composed.stdout)
    asked = ("-", "-s", str(folder / "both.graphql"))
    off, on = (run("plan", *asked, *label, stdin="{ me { age } }") for label in ((), ("--label", "moved")))
    assert ('service: "new"' in off.stdout, 'service: "new"' in on.stdout) == (False, True)
    checked = run("check", *asked, "--label", "moved", stdin="{ me { age } }")
    assert checked.stdout == "the plan is right\n"
    outputs = [composed, off, on, run("graph", "-s", asked[2]), run("normalize", *asked, stdin="{ me { age } }")]
    outputs.append(run("paths", *asked, "--label", "moved", stdin="{ me { age } }"))
    assert all(result.stdout.endswith("\n") and not result.stdout.endswith("\n\n") for result in outputs)
    unknown = run("plan", *asked, "--label", "gone", stdin="{ me { age } }")
    assert (unknown.exit_code, "(moved), found 'gone'" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("compose", "users"), 2, "expected NAME=…, found 'users'"),
        (("compose", "users=absent.graphql"), 2, "cannot read absent.graphql"),
        (("compose", "users=http://127.0.0.1:9/graphql"), 2, "subgraph users: the subgraph could not be reached"),
        (("plan", "-", "-s", "absent.graphql"), 2, "cannot read absent.graphql"),
        (("serve", "-s", "absent.graphql"), 2, "cannot read absent.graphql"),
        (("serve", "-s", "a", "--limit", "speed=1"), 2, "--limit: expected the name of a limit, found 'speed'"),
        (("serve", "-s", "a", "--limit", "depth=0"), 2, "expected NAME=NUMBER above 0, found 'depth=0'"),
        (("serve", "-s", "a", "--limit", "__class__=1"), 2, "--limit: expected the name of a limit"),
        (("serve", "-s", "a", "--limit", "objects=0.5"), 2, "--limit objects: expected a whole number, found 0.5"),
        (("serve", "-s", "a", "--subgraph-timeout", "users=soon"), 2, "expected NAME=NUMBER above 0"),
        (("serve", "-s", "a", "--timeout", "nan"), 2, "--timeout: expected a finite number, found nan"),
        (("serve", "-s", "a", "--timeout=-1"), 2, "--timeout: expected a number above 0, found -1"),
        (("serve", "-s", "a", "--log-level", "basic_format"), 2, "--log-level: expected debug, info"),
        (("serve", "-s", "a", "--subgraph-ca", __file__), 2, "--subgraph-ca: expected certificates in PEM"),
        (("serve", "-s", "a", "--subgraph-ca", "absent.pem"), 2, "cannot read absent.pem: No such file"),
        (("compose", "users=http://"), 2, "subgraph users: a subgraph's URL begins with http://"),
        (("compose", "users=http://127.0.0.1:99999/"), 2, "subgraph users: Port out of range"),
        (("compose", "users=http://me:secret@a b/"), 2, "printable ASCII without spaces, found 'a b/'"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(folder: Path) -> None:
    for place in (folder / "absent" / "all.graphql", folder):
        result = run("compose", f"users={folder / 'users.graphql'}", "-o", str(place))
        assert (result.exit_code, result.stderr.startswith(f"cannot write {place}: ")) == (2, True)
    assert not list(folder.parent.glob(".*.new"))


def test_a_pipe_is_written_to_and_a_link_keeps_its_place(folder: Path) -> None:
    """Replaced as a file is, a device such as /dev/null would be gone for every program."""
    pipe, link, file = folder / "pipe", folder / "link.graphql", folder / "all.graphql"
    os.mkfifo(pipe)
    link.symlink_to(file)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for output in (pipe, link):
            assert run("compose", f"users={folder / 'users.graphql'}", "-o", str(output)).exit_code == 0
        assert os.read(reading, 1_000_000).decode() == file.read_text()
    finally:
        os.close(reading)
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_settings_that_would_do_nothing_are_told(folder: Path) -> None:
    serve = ("serve", "-s", str(folder / "all.graphql"), "--subgraph=users=http://a", "--subgraph=reviews=http://a")
    result = run(*serve, "--subgraph-timeout", "nobody=1")
    assert (result.exit_code, result.stderr) == (
        2,
        "--subgraph-timeout: the supergraph has no subgraph 'nobody'\n",
    )
    result = run(*serve, "--allow-host", "https://api.example.com/")
    assert (result.exit_code, "hosts: expected a name such as" in result.stderr) == (2, True)


def test_what_is_refused_is_said_with_its_code(folder: Path) -> None:
    supergraph = ("-s", str(folder / "all.graphql"))
    result = run("plan", "-", *supergraph, stdin="{ nobody }")
    assert (result.exit_code, "nobody" in result.stderr) == (1, True)
    (folder / "users.graphql").write_text(LINK + 'type Query { me: User } type User @key(fields: "nope") { id: ID! }')
    result = run("compose", f"users={folder / 'users.graphql'}")
    assert (result.exit_code, result.stderr.startswith("KEY_INVALID_FIELDS")) == (1, True)
    result = run("plan", "-", "-s", str(folder / "me.graphql"), stdin="{ me { id } }")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_a_taken_port_and_an_unknown_subgraph_are_told(folder: Path) -> None:
    serve = (
        "serve",
        "-s",
        str(folder / "all.graphql"),
        *(f"--subgraph={n}=http://127.0.0.1:9/" for n in ("users", "reviews")),
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(*serve, "--port", str(taken.getsockname()[1]))
        assert (result.exit_code, "cannot listen on 127.0.0.1 port" in result.stderr) == (2, True)
    result = run(*serve, "--subgraph", "nobody=http://127.0.0.1:9/")
    assert (result.exit_code, "no subgraph 'nobody'" in result.stderr) == (2, True)


@pytest.fixture
async def subgraph_urls() -> AsyncGenerator[dict[str, str]]:
    urls: dict[str, str] = {}
    servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []
    for name, subgraph in (("users", users_subgraph()), ("reviews", reviews_subgraph())):
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(subgraph, log_config=None))
        servers.append((server, asyncio.create_task(server.serve(sockets=[listener]))))
        urls[name] = f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
    yield urls
    for server, task in servers:
        server.should_exit = True
        await task


async def test_serve_answers_and_stops_at_a_signal(tmp_path: Path, subgraph_urls: dict[str, str]) -> None:
    command = [sys.executable, "-m", "graphrouter"]
    file = str(tmp_path / "all.graphql")
    composing = await asyncio.create_subprocess_exec(
        *command, "compose", *(f"{name}={url}" for name, url in subgraph_urls.items()), "--output", file
    )
    assert await composing.wait() == 0
    options = ["--limit", "depth=3", "--limit", "head_bytes=4000", "--limit", "concurrent_requests=9"]
    options += ["--no-query-plans", "--cors-origin", "https://app.example.com", "--allow-host", "api.example.com"]
    serving = await asyncio.create_subprocess_exec(
        *command, "serve", "-s", file, "--port", "0", *options, stderr=asyncio.subprocess.PIPE
    )
    assert serving.stderr is not None
    url = (await asyncio.wait_for(serving.stderr.readline(), seconds(20))).decode().strip()
    async with httpx.AsyncClient(timeout=seconds(20)) as client:
        response = await client.post(url, json={"query": "{ me { name reviews { body } } }"})
        deep = await client.post(url, json={"query": "{ me { reviews { author { name } } } }"})
        plan = await client.post(url, json={"query": "{ me { id } }"}, headers={"query-plan": "1"})
        huge = await client.get(url, headers={"x": "x" * 5000})
        foreign = await client.get(url, headers={"host": "evil.example"})
        named = await client.get(url, params={"query": "{ me { id } }"}, headers={"host": "api.example.com"})
        asked = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
        preflight = await client.options(url, headers=asked)
    assert response.json()["data"] == {"me": {"name": "Ada", "reviews": [{"body": "first"}, {"body": "third"}]}}
    assert deep.json()["errors"][0]["extensions"]["code"] == "TOO_DEEP"
    assert plan.json() == named.json() == {"data": {"me": {"id": "1"}}}
    assert (huge.status_code, foreign.status_code, preflight.status_code) == (431, 421, 200)
    serving.send_signal(signal.SIGINT)
    log = (await serving.stderr.read()).decode()
    assert await serving.wait() == 130  # what shells know an interrupted command by
    assert "operation=- errors=-" in log
    assert "Traceback" not in log


async def test_serve_asks_a_subgraph_whose_authority_it_is_given(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with raw_server(tls) as server:
        body = b'{"data":{"n":1}}'
        server.answer = OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)
        (tmp_path / "a.graphql").write_text("type Query { n: Int }")
        run("compose", f"a={tmp_path / 'a.graphql'}", "-o", str(tmp_path / "all.graphql"))
        serving = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "graphrouter", "serve", "-s", str(tmp_path / "all.graphql"), "--port", "0"),
            *("--subgraph", f"a=https://127.0.0.1:{server.port}/graphql", "--subgraph-ca", str(tmp_path / "ca.pem")),
            stderr=asyncio.subprocess.PIPE,
        )
        assert serving.stderr is not None
        url = (await asyncio.wait_for(serving.stderr.readline(), seconds(20))).decode().strip()
        async with httpx.AsyncClient(timeout=seconds(20)) as client:
            response = await client.post(url, json={"query": "{ n }"})
        serving.terminate()
        await serving.communicate()
    assert response.json() == {"data": {"n": 1}}


OLD = "type Query { me: User } type User { id: ID! name: String! }"


@pytest.mark.parametrize(
    ("new", "operation", "code", "lines"),
    [
        (OLD, None, 0, []),
        (OLD.replace("name", "nick: Int name"), None, 0, ["safe: FIELD_ADDED: Field User.nick"]),
        (OLD.replace(" name: String!", ""), None, 1, ["breaking: FIELD_REMOVED: Field User.name"]),
        (
            OLD.replace(" name: String!", ""),
            "query Me { me { id } }",
            0,
            ["breaking: FIELD_REMOVED: Field User.name", "0 of 1 operations break"],
        ),
        (
            OLD.replace(" name: String!", ""),
            "query Me { me { name } }",
            1,
            ["breaking: FIELD_REMOVED: Field User.name", "Me breaks: Cannot query field", "1 of 1 operations break"],
        ),
    ],
)
def test_diff_tells_changes_and_broken_operations_and_exits_by_them(
    tmp_path: Path, new: str, operation: str | None, code: int, lines: list[str]
) -> None:
    (tmp_path / "old.graphql").write_text(OLD)
    (tmp_path / "new.graphql").write_text(new)
    recorded: tuple[str, ...] = ()
    if operation is not None:
        (tmp_path / "recorded" / "web").mkdir(parents=True)
        (tmp_path / "recorded" / "web" / "me.graphql").write_text(operation)
        recorded = ("--operations", str(tmp_path / "recorded"))
    result = run("diff", str(tmp_path / "old.graphql"), str(tmp_path / "new.graphql"), *recorded)
    printed = result.stdout.splitlines()
    assert (result.exit_code, len(printed)) == (code, len(lines))
    assert all(expected in line for expected, line in zip(lines, printed, strict=True))
    as_json = run("diff", str(tmp_path / "old.graphql"), str(tmp_path / "new.graphql"), "--json", *recorded)
    assert as_json.exit_code == code
    found = json.loads(as_json.stdout)
    assert [change["weight"] for change in found["changes"]] == [
        line.split(":")[0] for line in lines if line.count(": ") > 1 and "breaks" not in line
    ]
    assert [checked["breaks"] for checked in found["operations"]] == ([code == 1] if operation is not None else [])


@pytest.mark.parametrize(
    ("files", "operations", "message"),
    [
        ({"old": "type Query {", "new": OLD}, None, "old.graphql: INVALID_SUPERGRAPH"),
        ({"old": OLD}, None, "cannot read"),
        ({"old": OLD, "new": OLD}, "empty", "expected files *.graphql or *.gql in it, found none"),
        ({"old": OLD, "new": OLD, "recorded": "{"}, "recorded.graphql", "recorded.graphql: Syntax Error"),
    ],
)
def test_diff_says_what_it_cannot_use(
    tmp_path: Path, files: dict[str, str], operations: str | None, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    for name, text in files.items():
        (tmp_path / f"{name}.graphql").write_text(text)
    recorded = ("--operations", str(tmp_path / operations)) if operations is not None else ()
    result = run("diff", str(tmp_path / "old.graphql"), str(tmp_path / "new.graphql"), *recorded)
    assert (result.exit_code, message in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a=a.graphql",), "--watch: expected a file to write to, --output FILE"),
        (("a=http://127.0.0.1:9/", "-o", "all.graphql"), "--watch: expected a subgraph that is a file"),
    ],
)
def test_watch_says_what_it_needs(arguments: tuple[str, ...], message: str) -> None:
    result = run("compose", "--watch", *arguments)
    assert (result.exit_code, message in result.stderr) == (2, True)


async def test_watch_composes_again_when_a_file_changes_and_keeps_what_composed_last(folder: Path) -> None:
    output = folder / "watched.graphql"
    users = folder / "users.graphql"
    sources = (f"{name}={folder / name}.graphql" for name in ("users", "reviews"))
    command = [sys.executable, "-m", "graphrouter", "compose", "--watch", *sources, "-o", str(output)]
    watching = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert watching.stderr is not None

    async def told() -> str:
        assert watching.stderr is not None
        return (await asyncio.wait_for(watching.stderr.readline(), seconds(60))).decode()

    assert await told() == f"composed {output}\n"
    first = output.read_text()
    text = users.read_text()
    users.write_text(text.replace("name: String!", "name: String! age: Int"))
    assert await told() == f"composed {output}\n"
    second = output.read_text()
    assert "age: Int" in second
    assert "age: Int" not in first
    broken = folder / "broken.graphql"
    broken.write_text(text.replace('fields: "id"', 'fields: "number"'))
    broken.replace(users)  # as editors do
    assert (await told()).startswith("KEY_INVALID_FIELDS: ")
    assert output.read_text() == second
    users.write_text(text)
    assert await told() == f"composed {output}\n"
    assert output.read_text() == first
    watching.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(watching.wait(), seconds(60)) == 0


async def test_serve_reads_its_configuration_and_sends_a_subgraph_its_own_headers(tmp_path: Path) -> None:
    async with raw_server() as server:
        body = b'{"data":{"n":1}}'
        server.answer = OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)
        (tmp_path / "a.graphql").write_text("type Query { n: Int }")
        run("compose", f"a={tmp_path / 'a.graphql'}", "-o", str(tmp_path / "all.graphql"))
        (tmp_path / "router.yaml").write_text(
            "supergraph: all.graphql\n"
            "server: {port: 0, playground: false}\n"
            "subgraphs:\n"
            "  a:\n"
            f"    url: http://127.0.0.1:{server.port}/graphql\n"
            "    headers: {x-key: '${SECRET}', Authorization: own}\n"
        )
        environment = os.environ | {"SECRET": "5", "GRAPHROUTER_LIMITS__ALIASES": "1"}
        command = (sys.executable, "-m", "graphrouter", "serve", "--config", str(tmp_path / "router.yaml"))
        checking = await asyncio.create_subprocess_exec(
            *command, "--check", env=environment, stdout=asyncio.subprocess.PIPE
        )
        assert (await checking.communicate())[0] == b"the configuration is right\n"
        serving = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        assert serving.stderr is not None
        url = (await asyncio.wait_for(serving.stderr.readline(), seconds(20))).decode().strip()
        async with httpx.AsyncClient(timeout=seconds(20)) as client:
            asked = await client.post(url, json={"query": "{ n }"}, headers={"authorization": "the client's"})
            refused = await client.post(url, json={"query": "{ a: n b: n }"})
            page = await client.get(url.replace("/graphql", "/"), headers={"accept": "text/html"})
        serving.terminate()
        await serving.communicate()
    assert asked.json() == {"data": {"n": 1}}
    assert refused.json()["errors"][0]["extensions"]["code"] == "TOO_MANY_ALIASES"
    assert page.status_code == 404
    lines = [head.lower().split(b"\r\n") for head in server.heads]
    assert [(b"x-key: 5" in head, head.count(b"authorization: own")) for head in lines] == [(True, 1)]
    assert b"the client's" not in b"".join(server.heads)


async def test_serve_composes_the_subgraphs_that_it_is_given(subgraph_urls: dict[str, str]) -> None:
    subgraphs = [f"--subgraph={name}={url}" for name, url in subgraph_urls.items()]
    serving = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graphrouter", "serve", "--port", "0", *subgraphs), stderr=asyncio.subprocess.PIPE
    )
    assert serving.stderr is not None
    url = (await asyncio.wait_for(serving.stderr.readline(), seconds(20))).decode().strip()
    async with httpx.AsyncClient(timeout=seconds(20)) as client:
        response = await client.post(url, json={"query": "{ me { name reviews { body } } }"})
    serving.terminate()
    await serving.communicate()
    assert response.json()["data"] == {"me": {"name": "Ada", "reviews": [{"body": "first"}, {"body": "third"}]}}


async def test_serve_tells_its_metrics_exports_its_traces_and_logs_each_request(
    tmp_path: Path, subgraph_urls: dict[str, str]
) -> None:
    config: dict[str, object] = {
        "subgraphs": {name: {"url": url} for name, url in subgraph_urls.items()},
        "server": {"port": 0, "log_level": "warning", "log_format": "json", "access_log": True},
        "metrics": {"operations": ["Mine"]},
    }
    async with receiver() as spans:
        config["tracing"] = {"endpoint": f"{spans.url}/v1/traces", "trust_clients": True}
        (tmp_path / "router.yaml").write_text(json.dumps(config))
        serving = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "graphrouter", "serve", "--config", str(tmp_path / "router.yaml")),
            env={**clean_environment(), "OTEL_BSP_SCHEDULE_DELAY": "100"},
            stderr=asyncio.subprocess.PIPE,
        )
        assert serving.stderr is not None
        url = (await asyncio.wait_for(serving.stderr.readline(), seconds(20))).decode().strip()
        async with httpx.AsyncClient(timeout=seconds(20)) as client:
            for flags in ("00", "01"):
                sent = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-{flags}"}
                asked = {"query": "query Mine { me { name reviews { body } } }", "operationName": "Mine"}
                assert "errors" not in (await client.post(url, json=asked, headers=sent)).json()
            metrics = (await client.get(url.replace("/graphql", "/metrics"))).text
            found = await spans.until(lambda found: any(span.kind == "server" for span in found))
        serving.terminate()
        _, said = await serving.communicate()
    assert {(span.service, span.trace_id) for span in found} == {("graphrouter", "a" * 32)}
    assert sorted(span.kind for span in found) == ["client", "client", "internal", "server"]
    assert 'graphql_server_operation_duration_seconds_count{graphql_operation_name="Mine"' in metrics
    assert await promtool.remarks(metrics) == ""
    lines = [json.loads(line) for line in said.decode().splitlines()]
    assert [line["logger"] for line in lines] == ["graphrouter.access"] * 2
    assert [line["trace_id"] for line in lines] == ["a" * 32] * 2
    assert [line["event"].split(" ms ")[1] for line in lines] == ["operation=Mine errors=-"] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits: {dept: 1}", "router.yaml:1: limits.dept: no such key; did you mean limits.depth?\n"),
        ("", "expected a supergraph (--supergraph FILE) or subgraphs (--subgraph NAME=URL), found neither\n"),
        ("subgraphs: {a: {}}", "subgraphs.a.url: expected a URL, because no supergraph says where it is, found none\n"),
        ("supergraph: all.graphql\nsubgraphs:\n  b: {}", "router.yaml:3: the supergraph has no subgraph 'b'\n"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_told(folder: Path, text: str, message: str) -> None:
    for name in ("users", "reviews"):
        text = text if "all" not in text else f"{text}\n  {name}: {{url: 'http://a/'}}"
    (folder / "router.yaml").write_text(text)
    for check in ((), ("--check",)):
        result = run("serve", "--config", str(folder / "router.yaml"), *check)
        assert (result.exit_code, result.stdout, result.stderr) == (2, "", message)


def test_the_published_forms_are_printed_written_and_compared(tmp_path: Path) -> None:
    for what in ("schema", "reference"):
        file = tmp_path / what
        assert run("config", what, "--check", str(file)).exit_code == 1
        assert run("config", what, "--output", str(file)).exit_code == 0
        assert run("config", what).stdout == file.read_text()
        assert run("config", what, "--check", str(file)).exit_code == 0
        file.write_text("old")
        assert (run("config", what, "--check", str(file)).exit_code, file.read_text()) == (1, "old")


async def test_serve_calls_the_hooks_that_its_configuration_names(
    tmp_path: Path, subgraph_urls: dict[str, str]
) -> None:
    example = EXAMPLES / "router_alone"
    text = (example / "router.yaml").read_text()
    for name, port in (("users", "4002"), ("reviews", "4001")):
        text = text.replace(f"http://127.0.0.1:{port}/graphql", subgraph_urls[name])
    (tmp_path / "router.yaml").write_text(text)
    serving = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graphrouter", "serve", "--port", "0", "--config", str(tmp_path / "router.yaml")),
        env={**os.environ, "PYTHONPATH": str(example)},
        stderr=asyncio.subprocess.PIPE,
    )
    assert serving.stderr is not None
    url = (await asyncio.wait_for(serving.stderr.readline(), seconds(20))).decode().strip()
    async with httpx.AsyncClient(timeout=seconds(20), headers={"x-api-key": "red-key"}) as client:
        answered = (await client.post(url, json={"query": "{ me { name reviews { body } } }"})).json()
        refused = (await client.post(url, json={"query": "{ me { name } }"}, headers={"x-api-key": "no"})).json()
    serving.terminate()
    await serving.communicate()
    assert answered["data"] == {"me": {"name": "Ada", "reviews": [{"body": "first"}, {"body": "third"}]}}
    assert [one["subgraph"] for one in answered["extensions"]["subgraphs"]] == ["users", "reviews"]
    assert [error["extensions"]["code"] for error in refused["errors"]] == ["UNKNOWN_TENANT"]
