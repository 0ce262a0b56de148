"""The router's configuration: where values come from, which wins, and what is said of those that are refused."""

from __future__ import annotations

import json
import ssl
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from graphrouter import (
    Authentication,
    Breaker,
    Hooks,
    Issuer,
    Limits,
    PersistedOperations,
    RateLimit,
    Retries,
    RouterOptions,
    Traffic,
)
from graphrouter.configuration import Configuration, ConfigurationError, load, reference
from graphrouter.configuration.keys import all_keys
from graphrouter.configuration.settings import Given
from graphrouter.http.connections import ConnectionLimits
from graphrouter.http.websocket import WebSocketSettings
from graphrouter.options import DEFAULT_FORWARDED_HEADERS, Example

HOOKS = Hooks(plan=(print,))
ROUTER = Path(__file__).resolve().parents[3] / "router"

EVERYTHING = """
supergraph: all.graphql
subgraphs:
  users:
    url: https://users.example/graphql
    timeout_seconds: 2.5
    subscriptions_url: wss://users.example/graphql
    headers: {X-Key: secret, authorization: "Bearer ${TOKEN}"}
    tls: {ca: ca.pem}
    health_path: /health
    traffic: {breaker: {failed: 0.25}}
  reviews: {url: "http://127.0.0.1:4001/graphql"}
  nobody:
all_subgraphs:
  timeout_seconds: 7
  response_bytes: 1000
  tls: {ca: ca.pem, certificate: own.pem, key: own.key}
  traffic: {retries: {}, connections: 3}
authentication: {issuers: [{name: "https://i.example", keys: "https://i.example/jwks", audiences: [a]}]}
composition: {poll_seconds: 3}
server:
  host: 0.0.0.0
  port: 4100
  log_level: warning
  hosts: [api.example.com]
  cors_origins: ["https://app.example.com"]
  concurrent_requests: 9
  concurrent_streams: 8
  websockets: {operations: 7}
  adaptive_concurrency: true
  rate_limit: {per_second: 5}
  health_seconds: 1
  playground: false
  examples: [{title: Me, query: "{ me { id } }", variables: {a: 1}}]
  connections: {connections: 10}
limits: {depth: 5, seconds: 1.5, cost: 1000}
operations:
  introspection: false
  defer: false
  query_plans: false
  costs: true
  join_equal_queries: false
  join_equal_requests: true
  override_labels: {moved: 25}
  persisted: {trusted: [operations.json], only_by_id: true}
forwarding:
  headers: {X-Tenant: true, authorization: false}
  extensions: {asOf: null, tenant: x-tenant}
  actor_keys: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
hooks: tests.unit.router_server.test_configuration:HOOKS
reload: {prepared_operations: 0}
metrics: {operations: [Me]}
caches: {documents: 1, document_characters: 2, plans: 3, bytes: 4}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "operations.json").write_text('{"me-1": "{ me { id } }"}')
    own = authority.issue_cert("router.example")
    own.private_key_pem.write_to_path(tmp_path / "own.key")
    own.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
    return tmp_path


def loaded(folder: Path, text: str, *options: Given, **environment: str) -> Configuration:
    file = folder / "router.yaml"
    file.write_text(text)
    return load(file, options, environment).configuration


def refused(folder: Path, text: str, *options: Given, **environment: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        loaded(folder, text, *options, **environment)
    return list(error.value.findings)


def test_an_empty_configuration_is_the_library_with_its_defaults(tmp_path: Path) -> None:
    for text in ("", "# nothing\n", "limits:\nsubgraphs:\nserver:\n  rate_limit:\n"):
        assert loaded(tmp_path, text).options() == RouterOptions()


def test_every_option_of_the_library_has_a_key(folder: Path) -> None:
    options = loaded(folder, EVERYTHING, TOKEN="t").options()
    same = [
        one.name for one in fields(RouterOptions) if getattr(options, one.name) == getattr(RouterOptions(), one.name)
    ]
    # What has been counted and kept, and is traced, lasts longer than a configuration; pages are the program's.
    assert same == ["playground_links", "story_page", "metrics", "recent", "tracing"]
    assert isinstance(options.subgraph_tls, ssl.SSLContext)
    assert options.subgraph_tls_of.keys() == {"users"}
    assert options.actor_keys is not None
    assert replace(options, subgraph_tls=None, subgraph_tls_of={}, actor_keys=None) == RouterOptions(
        limits=Limits(depth=5, seconds=1.5, cost=1000),
        concurrent_requests=9,
        concurrent_streams=8,
        websockets=WebSocketSettings(operations=7),
        adaptive_concurrency=True,
        rate_limit=RateLimit(5),
        hosts=("api.example.com",),
        cors_origins=("https://app.example.com",),
        introspection=False,
        defer=False,
        playground=False,
        persisted=PersistedOperations(trusted={"me-1": "{ me { id } }"}, only_by_id=True),
        examples=(Example("Me", "{ me { id } }", {"a": 1}),),
        measured_operations=frozenset({"Me"}),
        expose_query_plan=False,
        expose_cost=True,
        join_equal_queries=False,
        join_equal_requests=True,
        forwarded_headers=DEFAULT_FORWARDED_HEADERS - {"authorization"} | {"x-tenant"},
        forwarded_extensions={"bookmarkTimeout": "bookmark-timeout", "tenant": "x-tenant"},
        authentication=Authentication((Issuer("https://i.example", "https://i.example/jwks", ("a",)),)),
        hooks=HOOKS,
        override_labels={"moved": 25},
        subgraph_seconds=7,
        subgraph_timeouts={"users": 2.5},
        subgraph_subscriptions={"users": "wss://users.example/graphql"},
        subgraph_headers={"users": {"x-key": "secret", "authorization": "Bearer t"}},
        traffic=Traffic(retries=Retries(), connections=3),
        traffic_to={"users": Traffic(breaker=Breaker(failed=0.25))},
        subgraph_response_bytes=1000,
        cached_documents=1,
        cached_document_characters=2,
        cached_plans=3,
        cached_bytes=4,
        health_paths={"users": "/health"},
        health_seconds=1,
    )


def test_the_rest_of_the_file_is_for_the_server(folder: Path) -> None:
    configuration = loaded(folder, EVERYTHING, TOKEN="t")
    server = configuration.server
    assert (server.host, server.port, server.log_level) == ("0.0.0.0", 4100, "warning")  # noqa: S104 - a value
    assert server.connections == ConnectionLimits(connections=10)
    assert configuration.composition.poll_seconds == 3
    assert configuration.reload.prepared_operations == 0
    assert configuration.supergraph == folder / "all.graphql"
    assert configuration.urls() == {
        "users": "https://users.example/graphql",
        "reviews": "http://127.0.0.1:4001/graphql",
    }


def test_what_has_no_key_or_is_not_set_stays_as_the_caller_has_it() -> None:
    own = RouterOptions(
        hosts=("a.example",),
        examples=(Example("a", "{ a }"),),
        health_paths={"users": "/ready"},
        forwarded_headers=DEFAULT_FORWARDED_HEADERS | {"correlation-id"},
    )
    assert Configuration().options(own) == own


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    text = "limits: {depth: 1, tokens: 1, fields: 1}\n"
    environment = {"GRAPHROUTER_LIMITS__TOKENS": "2", "GRAPHROUTER_LIMITS__FIELDS": "2"}
    limits = loaded(tmp_path, text, Given(("limits", "fields"), 3, "--limit"), **environment).limits
    assert (limits.depth, limits.tokens, limits.fields, limits.aliases) == (1, 2, 3, Limits().aliases)


def test_every_key_has_a_variable(folder: Path) -> None:
    environment = {
        "GRAPHROUTER_SUPERGRAPH": "all.graphql",
        "GRAPHROUTER_SUBGRAPHS__USERS__URL": "http://users.example/",
        "GRAPHROUTER_SUBGRAPHS__USERS__HEADERS__X_KEY": "12",
        "GRAPHROUTER_SUBGRAPHS__USERS__TLS__CA": str(folder / "ca.pem"),
        "GRAPHROUTER_SERVER__HOSTS": "a.example, b.example",
        "GRAPHROUTER_SERVER__EXAMPLES": '[{title: a, query: "{ a }"}]',
        "GRAPHROUTER_SERVER__PLAYGROUND": "false",
        "GRAPHROUTER_SERVER__CONNECTIONS__HEADERS": "5",
        "GRAPHROUTER_FORWARDING__HEADERS__X_TENANT": "true",
        "GRAPHROUTER_OPERATIONS__OVERRIDE_LABELS": "{moved: 3}",
        "GRAPHROUTER_LIMITS__SECONDS": "0.5",
        "GRAPHROUTER_CONFIG": str(folder / "named.yaml"),
        # What Kubernetes sets for a service of that name.
        "GRAPHROUTER_PORT": "tcp://10.0.0.1:80",
        "GRAPHROUTER_SERVICE_HOST": "10.0.0.1",
    }
    (folder / "named.yaml").write_text("limits: {seconds: 7, depth: 3}\n")
    found = load(None, (), environment).configuration
    options = found.options()
    assert found.supergraph == Path("all.graphql")
    assert found.urls() == {"users": "http://users.example/"}
    assert options.subgraph_headers == {"users": {"x-key": "12"}}
    assert options.subgraph_tls_of.keys() == {"users"}
    assert options.hosts == ("a.example", "b.example")
    assert options.examples == (Example("a", "{ a }"),)
    assert "x-tenant" in options.forwarded_headers
    assert options.override_labels == {"moved": 3}
    assert options.limits.depth == 3
    assert (options.playground, options.limits.seconds, found.server.connections.headers) == (False, 0.5, 5)


def test_a_variable_reaches_what_the_file_names_with_other_signs(tmp_path: Path) -> None:
    text = "subgraphs: {My-Users: {url: 'http://a/', headers: {X-Key: a}}}\n"
    environment = {
        "GRAPHROUTER_SUBGRAPHS__MY_USERS__URL": "http://b/",
        "GRAPHROUTER_SUBGRAPHS__MY_USERS__HEADERS__X_KEY": "b",
    }
    found = loaded(tmp_path, text, **environment)
    assert found.urls() == {"My-Users": "http://b/"}
    assert found.options().subgraph_headers == {"My-Users": {"x-key": "b"}}


def test_secrets_come_from_variables_and_files_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-file\n")
    text = "subgraphs: {users: {headers: {a: 'x ${SECRET} $${SECRET}', b_file: key}}}\n"
    environment = {"GRAPHROUTER_SUBGRAPHS__USERS__HEADERS__C_FILE": str(tmp_path / "key"), "SECRET": "of-the-variable"}
    file = tmp_path / "router.yaml"
    file.write_text(text)
    found = load(file, (), environment)
    options = found.configuration.options()
    assert options.subgraph_headers == {
        "users": {"a": "x of-the-variable ${SECRET}", "b": "of-the-file", "c": "of-the-file"}
    }
    assert found.files == {file, tmp_path / "key"}
    assert "of-the" not in repr(found) + repr(options) + str(found.configuration.model_dump())


def test_words_are_words_as_yaml_1_2_has_them(tmp_path: Path) -> None:
    text = "subgraphs: {no: {headers: {on: 'off', a: yes, b: 1_000, c: 2026-01-01}}, off: {}}\n"
    headers = loaded(tmp_path, text).options().subgraph_headers
    assert headers == {"no": {"on": "off", "a": "yes", "b": "1_000", "c": "2026-01-01"}}
    assert loaded(tmp_path, "limits: {depth: 012}\n").limits.depth == 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nlimits:\n  dept: 3\n", "router.yaml:3: limits.dept: no such key; did you mean limits.depth?"),
        ("depth: 3\n", "router.yaml:1: depth: no such key; did you mean limits.depth?"),
        ("hosts: []\n", "router.yaml:1: hosts: no such key; did you mean server.hosts?"),
        ("zzz: {limits: 1}\n", "router.yaml:1: zzz: no such key"),
        (
            "subgraphs:\n  a:\n    ur1: x\n",
            "yaml:3: subgraphs.a.ur1: no such key; did you mean subgraphs.a.url?",
        ),
        ("server:\n  connections:\n    header: 3\n", "did you mean server.connections.headers?"),
        ("limits:\n  depth: deep\n", "router.yaml:2: limits.depth: expected a whole number, found 'deep'"),
        ("limits:\n  depth: 1.5\n", "router.yaml:2: limits.depth: expected a whole number, found 1.5"),
        ("limits: {depth: 0}\n", "router.yaml:1: limits.depth: expected a number above 0, found 0"),
        ("limits: {seconds: -1}\n", "router.yaml:1: limits.seconds: expected a number above 0, found -1"),
        ("server: {connections: {headers: 0}}\n", "server.connections.headers: expected a number above 0, found 0"),
        ("all_subgraphs: {traffic: {retries: {share: 0}}}\n", "retries.share: expected a number above 0, found 0"),
        ("server: {rate_limit: {per_second: 0}}\n", "server.rate_limit: a rate limit has per_second above 0"),
        ("authentication: {issuers: []}\n", "authentication: expected at least one issuer, found none"),
        ("authentication: {issuers: [{name: a}]}\n", "authentication.issuers.0.keys: expected a value, found none"),
        ("server: {port: 70000}\n", "server.port: expected less than or equal to 65535, found 70000"),
        ("server: {playground: 3}\n", "server.playground: expected true or false, found 3"),
        ("server: {hosts: a}\n", "server.hosts: expected a list, found 'a'"),
        ("server: {hosts: ['https://a/']}\n", "expected a name such as api.example.com"),
        ("server: {cors_origins: [a]}\n", "expected an origin such as https://app.example.com, found 'a'"),
        ("server: {log_level: off}\n", "server.log_level: expected debug, info, warning or error, found 'off'"),
        ("server: {examples: [{title: a}]}\n", "server.examples.0.query: expected a value, found none"),
        ("limits: 3\n", "router.yaml:1: limits: expected keys, found 3"),
        ("subgraphs: [a]\n", "router.yaml:1: subgraphs: expected keys, found ['a']"),
        ("subgraphs: {a: {url: 'ftp://me:secret@b'}}\n", "begins with http:// or https:// and has a host, found 'b'"),
        (
            "subgraphs: {a: {headers: {host: b}}}\n",
            "a header that the router does not set itself, found 'host'",
        ),
        ("subgraphs: {a: {headers: {'b c': d}}}\n", "expected the name of a header, found 'b c'"),
        (
            'subgraphs: {a: {headers: {b: "secret\\nx"}}}\n',
            "expected text in one line as the value of b, found something",
        ),
        ("subgraphs: {a: {headers: {b: [secret]}}}\n", "router.yaml:1: subgraphs.a.headers.b: expected text"),
        ("subgraphs: {a: {headers: {b: '${ABSENT}'}}}\n", "subgraphs.a.headers.b: the variable ABSENT is not set"),
        ("subgraphs: {a: {headers: {b_file: absent}}}\n", "cannot read"),
        ("subgraphs: {a: {headers: {b_file: 3}}}\n", "subgraphs.a.headers.b_file: expected a file, found 3"),
        ("subgraphs: {a: {headers: {b: c, b_file: d}}}\n", "expected this key or subgraphs.a.headers.b, found both"),
        ("subgraphs: {a: {tls: {ca: absent.pem}}}\n", "subgraphs.a.tls.ca: cannot read"),
        ("subgraphs: {a: {tls: {ca: router.yaml}}}\n", "subgraphs.a.tls.ca: expected certificates in PEM, found none"),
        ("subgraphs: {a: {tls: {key: own.key}}}\n", "expected a certificate beside the key, found a key alone"),
        ("subgraphs: {a: {tls: {certificate: ca.pem}}}\n", "expected a certificate and its key in PEM"),
        ("operations: {override_labels: {a: 101}}\n", "expected less than or equal to 100, found 101"),
        ("forwarding: {headers: {a: 3}}\n", "forwarding.headers.a: expected true or false, found 3"),
        ("a: 1\nb:\n  - c: {\n", "router.yaml:4: expected YAML: "),
        ("limits: {depth: 1}\nlimits: {depth: 2}\n", "router.yaml:2: expected each key once, found 'limits' again"),
        ("- a\n", "router.yaml:1: expected keys, found ['a']"),
        ("? [a]\n: b\n", "router.yaml:1: expected a word as a key"),
        ("a: &a\n  b: *a\n", "expected values, found one that contains itself"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(folder: Path, text: str, expected: str) -> None:
    found = refused(folder, text)
    assert any(expected in line for line in found), found
    assert not any("secret" in line or "\n" in line for line in found)
    assert all(line.startswith("router.yaml") for line in found)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        "limits: {depth: no, tokens: 0}\nserverr: 1\n",
        Given(("limits", "fields"), -1, "--limit fields"),
        GRAPHROUTER_LIMITS__ALIASES="many",
        GRAPHROUTER_LIMITS__ERORS="1",
        GRAPHROUTER_LIMITS="3",
    )
    assert sorted(found) == [
        "--limit fields: expected a number above 0, found -1",
        "GRAPHROUTER_LIMITS: expected a key of the section limits, found the section",
        "GRAPHROUTER_LIMITS__ALIASES: limits.aliases: expected a whole number, found 'many'",
        "GRAPHROUTER_LIMITS__ERORS: no such key; did you mean GRAPHROUTER_LIMITS__ERRORS?",
        "router.yaml:1: limits.depth: expected a whole number, found 'no'",
        "router.yaml:1: limits.tokens: expected a number above 0, found 0",
        "router.yaml:2: serverr: no such key; did you mean server?",
    ]


def test_nothing_long_is_repeated(tmp_path: Path) -> None:
    for text in (f"limits: {{depth: {'x' * 5000}}}\n", f"{'x' * 900}: 1\n", f"limits: {{{'y' * 5000}: 1}}\n"):
        assert all(len(line) < 500 for line in refused(tmp_path, text))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a: \xff")
    for file, reason in (
        (tmp_path / "absent", "No such file"),
        (tmp_path / "latin", "not UTF-8"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            load(file, (), {})


def test_the_files_that_a_configuration_depends_on_are_known(folder: Path) -> None:
    file = folder / "router.yaml"
    file.write_text(EVERYTHING)
    names = {"router.yaml", "all.graphql", "operations.json", "ca.pem", "own.pem", "own.key"}
    assert load(file, (), {"TOKEN": "t"}).files == {folder / name for name in names}


def test_the_published_schema_and_page_are_those_of_the_model() -> None:
    assert (ROUTER / "configuration.schema.json").read_text() == reference.schema_text()
    assert (ROUTER / "configuration.md").read_text() == reference.page()


def test_the_page_lists_every_key_that_has_a_value() -> None:
    page = reference.page()
    keys = [".".join(key) for key in all_keys(Configuration)]
    values = [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]
    assert len(values) > 50
    assert [key for key in values if f"| `{key}` |" not in page] == []


def test_the_schema_names_what_may_hold_a_file_and_what_describes_each_key() -> None:
    schema: dict[str, Any] = json.loads(reference.schema_text())
    subgraph = schema["$defs"]["Subgraph"]["properties"]
    assert subgraph["url_file"]["type"] == "string"
    assert "timeout_seconds_file" not in subgraph
    undescribed = [
        (name, key)
        for name, section in {**schema["$defs"], "": schema}.items()
        for key, entry in section["properties"].items()
        if "description" not in entry and "$ref" not in entry and f"`{key}`" not in section.get("description", "")
    ]
    assert undescribed == []


@pytest.mark.parametrize(
    ("persisted", "message"),
    [
        ("{trusted: [nothing.json]}", "cannot read"),
        ("{trusted: [wrong.json]}", "wrong.json: expected the text of an operation by each id"),
        (
            "{trusted: [operations.json], automatic: true}",
            "automatic or trusted operations that are enforced, found both",
        ),
    ],
)
def test_trusted_operations_that_cannot_be_used_are_told(persisted: str, message: str, folder: Path) -> None:
    (folder / "wrong.json").write_text('{"a": 5}')
    (finding,) = refused(folder, f"operations:\n  persisted: {persisted}\n")
    assert "operations.persisted" in finding
    assert message in finding
