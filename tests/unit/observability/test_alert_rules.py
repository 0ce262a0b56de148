"""Alert rules: each fires, does not fire just below, and resolves, as `promtool test rules` evaluates them."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import yaml
from typer.main import get_command

from eventgraph.cli import command_line
from graphrouter.cli import app as graphrouter
from kithgraph.system import SOCIAL_NETWORK
from tests.support.installed import installed
from tests.support.metrics_page import DECLARED

REPOSITORY = Path(__file__).parents[3]
PROMETHEUS = REPOSITORY / "infra" / "observability" / "prometheus"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
FILES: Final = sorted((PROMETHEUS / "rules").glob("*.yml"))
RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    rule["alert"]: rule
    for file in FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}

Value: TypeAlias = float | None
"""What a gauge has, or by how much a counter grows in a second; None: the series is not there."""

MINUTES: Final = 20
"""So long is each of three phases: quiet, loud, quiet again."""

INSTANCE: Final = 'system="kith",instance="a:1"'
VIEW: Final = 'system="kith",instance="a:1",messaging_consumer_group_name="doors"'
PARTITION: Final = f'{VIEW},messaging_destination_name="doors",messaging_destination_partition_id="%d"'
SUBGRAPH: Final = f'{INSTANCE},graphql_subgraph_name="doors"'
LOG: Final = f'{INSTANCE},messaging_destination_name="doors"'
TYPE: Final = 'graphql_operation_type="query"'


@dataclass(frozen=True)
class Case:
    """Series with what they have while it is quiet and while it is loud, and labels of the alert."""

    alert: str
    series: Mapping[str, tuple[Value, Value]]
    labels: str = 'system="kith"'
    before: Value = None
    """What the first series had before all that."""


def errors(labels: str, code: str, quiet: float, loud: float) -> Mapping[str, tuple[Value, Value]]:
    """Of ten operations in a second."""
    return {
        f'graphql_server_operation_errors_total{{{labels},{TYPE},error_type="{code}"}}': (quiet, loud),
        f'graphql_server_operation_errors_total{{{labels},{TYPE},error_type="NOT_FOUND"}}': (5, 5),
        f"graphql_server_operation_duration_seconds_count{{{labels},{TYPE}}}": (10, 10),
    }


def asked(subgraph: str, quiet: float, loud: float) -> Mapping[str, tuple[Value, Value]]:
    labels = f'{INSTANCE},graphql_subgraph_name="{subgraph}"'
    return {
        f'http_client_request_duration_seconds_count{{{labels},error_type="SUBREQUEST_FAILED"}}': (quiet, loud),
        f'http_client_request_duration_seconds_count{{{labels},http_response_status_code="200"}}': (
            100 - quiet,
            100 - loud,
        ),
    }


REACTIONS: Final = {f"eventgraph_process_manager_reactions_total{{{VIEW}}}": (1.0, 1.0)}
ROUTER: Final = 'system="kith",instance="a:1",graphql_subgraph_name=""'

CASES: Final = [
    Case("SystemDown", {'up{system="kith",component="router"}': (1, 0), 'up{system="kith",component="doors"}': (1, 1)}),
    Case(
        "SystemDown", {'up{system="kith",component="router"}': (1, None), 'up{system="kith",component="doors"}': (1, 1)}
    ),
    Case("SystemDown", {'up{system="kith",component="all"}': (1, 0)}),
    Case("NothingScraped", {'up{system="kith",component="all"}': (0, None), 'up{job="machines"}': (1, 1)}, ""),
    Case(
        "ProcessDown",
        {'up{system="kith",component="doors"}': (1, 0), 'up{job="machines"}': (0, 0)},
        'component="doors"',
    ),
    Case("SubgraphNotReady", {f"eventgraph_subgraph_ready{{{SUBGRAPH}}}": (1, 0)}, 'graphql_subgraph_name="doors"'),
    Case("SubgraphNotReady", {f"eventgraph_subgraph_ready{{{SUBGRAPH}}}": (1, None)}, 'graphql_subgraph_name="doors"'),
    Case(
        "SubgraphNotReady",
        {
            f"eventgraph_subgraph_ready{{{SUBGRAPH}}}": (1, 0),
            'eventgraph_subgraph_ready{system="kith",instance="b:1",graphql_subgraph_name="doors"}': (0, 0),
        },
    ),
    Case("SubgraphProcessNotReady", {f"eventgraph_subgraph_ready{{{SUBGRAPH}}}": (1, 0)}, 'instance="a:1"'),
    Case("RouterNotServing", {f"graphql_router_configuration_generation{{{INSTANCE}}}": (1, 0)}),
    Case("RouterConfigurationRefused", {f"graphql_router_configuration_refused{{{INSTANCE}}}": (0, 1)}),
    Case("ReaderLagging", {f"eventgraph_reader_lag_duration_seconds{{{PARTITION % 0}}}": (30, 31)}),
    Case(
        "ReaderFarBehind",
        {
            f"eventgraph_reader_lag{{{PARTITION % 0}}}": (5000, 5000),
            f"eventgraph_reader_lag{{{PARTITION % 1}}}": (5000, 5001),
        },
    ),
    Case("ReaderTroubled", {f"eventgraph_reader_troubles{{{VIEW}}}": (0, 1)}),
    Case("ReadersUnreadable", {f"eventgraph_status_readable{{{SUBGRAPH}}}": (1, 0)}),
    Case("ParkedStreams", {f"eventgraph_reader_parked_streams{{{VIEW}}}": (0, 1)}),
    Case("ReactionsSetAside", {f"eventgraph_reader_parked_streams{{{VIEW}}}": (0, 1), **REACTIONS}),
    Case("SagaOverdue", {f"eventgraph_process_manager_overdue_duration_seconds{{{VIEW}}}": (60, 61)}),
    Case("ViewNotLive", {f"eventgraph_view_live{{{VIEW}}}": (1, 0)}),
    Case("ViewFlawed", {f"eventgraph_view_flaws{{{VIEW}}}": (0, 1)}),
    Case("LogDamaged", {f"eventgraph_view_log_damage{{{VIEW}}}": (0, 1)}),
    Case("LedgerBacklog", {f"eventkernel_ledger_backlog{{{LOG}}}": (1000, 1001)}),
    Case("LedgerBacklogStays", {f"eventkernel_ledger_backlog{{{LOG}}}": (0, 1)}, 'messaging_destination_name="doors"'),
    Case(
        "AppendsFail",
        {
            f'messaging_client_operation_duration_seconds_count{{{LOG},error_type="Unavailable"}}': (0.02, 0.03),
            f'messaging_client_operation_duration_seconds_count{{{LOG},error_type="ConcurrencyConflict"}}': (5, 5),
        },
    ),
    Case("RouterErrors", errors(ROUTER, "UNAVAILABLE", 0.2, 0.21)),
    Case("RouterErrors", errors(ROUTER, "SUBREQUEST_FAILED", 0.2, 0.21)),
    Case("SubgraphErrors", errors(SUBGRAPH, "INTERNAL", 0.2, 0.21), 'graphql_subgraph_name="doors"'),
    Case("SubgraphUnreachable", asked("doors", 5, 6), 'graphql_subgraph_name="doors"'),
    Case(
        "IssuerKeysUnreadable",
        {f'graphql_server_operation_errors_total{{{ROUTER},error_type="AUTHENTICATION_UNAVAILABLE"}}': (0, 0.1)},
    ),
    Case("RequestsRefused", {f'graphql_server_limit_hits_total{{{ROUTER},error_type="OVERLOADED"}}': (0, 0.1)}),
    Case(
        "RequestsNearLimit",
        {f"http_server_active_requests{{{ROUTER}}}": (80, 81), f"http_server_request_limit{{{ROUTER}}}": (100, 100)},
    ),
    Case("RequestLimitLowered", {f"http_server_request_limit{{{ROUTER}}}": (128, 127)}, before=256),
    Case(
        "ConnectionsNearLimit",
        {
            f"http_server_open_connections{{{INSTANCE}}}": (80, 81),
            f"http_server_connection_limit{{{INSTANCE}}}": (100, 100),
        },
    ),
    Case("ConnectionsRefused", {f"http_server_refused_connections_total{{{INSTANCE}}}": (0, 0.1)}),
    Case(
        "EventLoopLate",
        {
            f'asyncio_eventloop_delay_seconds_bucket{{{INSTANCE},le="0.1"}}': (1.9, 1.7),
            f'asyncio_eventloop_delay_seconds_bucket{{{INSTANCE},le="0.25"}}': (2, 2),
            f'asyncio_eventloop_delay_seconds_bucket{{{INSTANCE},le="+Inf"}}': (2, 2),
        },
    ),
    Case(
        "DiskFull",
        {
            'node_filesystem_avail_bytes{instance="n",mountpoint="/",fstype="ext4"}': (10, 9),
            'node_filesystem_size_bytes{instance="n",mountpoint="/",fstype="ext4"}': (100, 100),
            'node_filesystem_avail_bytes{instance="n",mountpoint="/run",fstype="tmpfs"}': (0, 0),
            'node_filesystem_size_bytes{instance="n",mountpoint="/run",fstype="tmpfs"}': (100, 100),
        },
        'mountpoint="/"',
    ),
    Case(
        "MemoryShort",
        {
            'node_memory_MemAvailable_bytes{instance="n"}': (10, 9),
            'node_memory_MemTotal_bytes{instance="n"}': (100, 100),
        },
        'instance="n"',
    ),
    Case(
        "PodRestarts",
        {'kube_pod_container_status_restarts_total{namespace="k",pod="p",container="c"}': (2 / 900, 2.1 / 900)},
        'pod="p"',
    ),
    Case(
        "DeploymentIncomplete",
        {
            'kube_deployment_status_replicas_available{namespace="k",deployment="d"}': (3, 2),
            'kube_deployment_spec_replicas{namespace="k",deployment="d"}': (3, 3),
        },
        'deployment="d"',
    ),
]

SILENT: Final = [
    # One process of several, a view's streams and a process manager's reactions, what the client has done.
    ("SubgraphNotReady", {f"eventgraph_subgraph_ready{{{SUBGRAPH}}}": 0,
                          'eventgraph_subgraph_ready{system="kith",instance="b:1",graphql_subgraph_name="doors"}': 1}),
    ("ParkedStreams", {f"eventgraph_reader_parked_streams{{{VIEW}}}": 1, **dict.fromkeys(REACTIONS, 1)}),
    ("ReactionsSetAside", {f"eventgraph_reader_parked_streams{{{VIEW}}}": 1}),
    ("ReaderFarBehind", {f"eventgraph_reader_lag{{{PARTITION % 0}}}": 6000,
                         f"eventgraph_reader_lag{{{(PARTITION % 0).replace('a:1', 'b:1')}}}": 6000}),
    ("RouterErrors", dict.fromkeys(errors(ROUTER, "USERNAME_TAKEN", 5, 5), 5)),
    ("SubgraphErrors", dict.fromkeys(errors(ROUTER, "UNAVAILABLE", 5, 5), 5)),
    ("RouterErrors", dict.fromkeys(errors(SUBGRAPH, "UNAVAILABLE", 5, 5), 5)),
    ("RequestsRefused", {f'graphql_server_limit_hits_total{{{ROUTER},error_type="TOO_DEEP"}}': 1}),
]  # fmt: skip


def is_counter(series: str) -> bool:
    return series.partition("{")[0].endswith(("_total", "_count", "_bucket"))


def samples(series: str, phases: Sequence[Value]) -> str:
    """A value for each minute, as promtool reads them."""
    values: Iterable[Value] = [value for value in phases for _ in range(MINUTES)]
    if is_counter(series):
        values = itertools.accumulate((value or 0) * 60 for value in values)
    return " ".join("_" if value is None else f"{value:.6f}" for value in values)


def minutes(rule: Mapping[str, Any]) -> int:
    assert re.fullmatch(r"\d+m", rule["for"])
    return int(rule["for"][:-1])


def firing(alert: str, labels: str, minute: int, count: int) -> Mapping[str, Any]:
    found = [{"labels": "{}", "value": count}] if count else []
    chosen = (
        f'ALERTS{{alertname="{alert}",alertstate="firing",severity="{RULES[alert]["labels"]["severity"]}",{labels}}}'
    )
    return {"expr": f"sum({chosen})", "eval_time": f"{minute}m", "exp_samples": found}


def promtool_test(series: Mapping[str, str], checks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    given = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": given, "promql_expr_test": checks}


def loud_test(case: Case) -> Mapping[str, Any]:
    series = {name: samples(name, (quiet, loud, quiet)) for name, (quiet, loud) in case.series.items()}
    if case.before is not None:
        first = next(iter(series))
        series[first] = f"{case.before} {series[first].partition(' ')[2]}"
    held = MINUTES + minutes(RULES[case.alert]) - 1
    checks = {MINUTES - 1: 0, held: 0, 2 * MINUTES - 1: 1, 3 * MINUTES - 1: 0}
    return promtool_test(series, [firing(case.alert, case.labels, minute, count) for minute, count in checks.items()])


def silent_test(alert: str, values: Mapping[str, float]) -> Mapping[str, Any]:
    series = {name: samples(name, (value, value)) for name, value in values.items()}
    return promtool_test(series, [firing(alert, "", 2 * MINUTES - 1, 0)])


def evaluate(folder: Path, tests: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Runs the tests of each alert on its rule alone, which is quicker than on all of them. JSON is YAML."""
    files: list[str] = []
    for alert, of_alert in tests.items():
        rules = folder / f"{alert}.rules.json"
        rules.write_text(json.dumps({"groups": [{"name": "one", "rules": [RULES[alert]]}]}))
        file = folder / f"{alert}.tests.json"
        files.append(str(file))
        file.write_text(json.dumps({"rule_files": [rules.name], "evaluation_interval": "1m", "tests": of_alert}))
    command = [installed("promtool", "prometheus"), "test", "rules", *files]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_alert_fires_in_time_and_not_before_and_resolves(tmp_path: Path) -> None:
    evaluate(tmp_path, {alert: [loud_test(case) for case in CASES if case.alert == alert] for alert in RULES})


def test_alerts_are_silent_where_something_else_is_the_case(tmp_path: Path) -> None:
    alerts = {alert for alert, _ in SILENT}
    evaluate(
        tmp_path, {one: [silent_test(alert, values) for alert, values in SILENT if alert == one] for one in alerts}
    )


def test_an_alert_says_where_its_runbook_is(tmp_path: Path) -> None:
    test = {
        "interval": "1m",
        "external_labels": {"runbooks": "https://docs.example.com/runbooks"},
        "input_series": [{"series": f"eventgraph_reader_lag_duration_seconds{{{PARTITION % 0}}}", "values": "90x5"}],
        "alert_rule_test": [
            {
                "eval_time": "5m",
                "alertname": "ReaderLagging",
                "exp_alerts": [
                    {
                        "exp_labels": {
                            "system": "kith",
                            "messaging_consumer_group_name": "doors",
                            "severity": "warning",
                        },
                        "exp_annotations": {
                            "summary": "doors is 1m 30s behind its logs",
                            "description": RULES["ReaderLagging"]["annotations"]["description"],
                            "runbook_url": "https://docs.example.com/runbooks/reader-lagging.md",
                        },
                    }
                ],
            }
        ],
    }
    evaluate(tmp_path, {"ReaderLagging": [test]})


@pytest.mark.parametrize("name", ["prometheus.yml", "kubernetes.yml"])
def test_prometheus_takes_the_configurations_and_the_rules(tmp_path: Path, name: str) -> None:
    text = (PROMETHEUS / name).read_text(encoding="utf-8").replace("rules/*.yml", f"{PROMETHEUS}/rules/*.yml")
    # Debian's Prometheus is built without discovery in Kubernetes: it reads everything else.
    text = re.sub(r"kubernetes_sd_configs: .+", 'static_configs: [{targets: ["a:1"]}]', text)
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    promtool = installed("promtool", "prometheus")
    checked = subprocess.run([promtool, "check", "config", file], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("rules found") == len(FILES)


def test_the_pods_of_the_chart_are_found_by_what_it_gives_them() -> None:
    chart = REPOSITORY / "infra" / "helm" / "templates"
    given = "".join(file.read_text(encoding="utf-8") for file in chart.glob("_*.tpl"))
    configuration = yaml.safe_load((PROMETHEUS / "kubernetes.yml").read_text(encoding="utf-8"))
    (job,) = [job for job in configuration["scrape_configs"] if job["job_name"] == "systems"]
    asked = {
        label for rule in job["relabel_configs"] for label in [*rule["source_labels"], rule.get("target_label", "")]
    }
    # Pods that have ended are listed until they are collected.
    dropped = [rule["regex"] for rule in job["relabel_configs"] if rule.get("action") == "drop"]
    phases = ("Pending", "Running", "Succeeded", "Failed")
    assert {phase for phase in phases for one in dropped if re.fullmatch(one, phase)} == {"Succeeded", "Failed"}
    keys = ("app.kubernetes.io/instance", "app.kubernetes.io/component", "prometheus.io/scrape", "prometheus.io/port")
    for key in keys:
        assert f"{key}: " in given
        assert any(label.endswith(re.sub(r"\W", "_", key)) for label in asked), key


def test_every_alert_is_tested() -> None:
    assert {case.alert for case in CASES} == RULES.keys()


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_says_what_is_wrong_and_has_a_runbook(alert: str) -> None:
    rule = RULES[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page = rule["annotations"]["runbook_url"].removeprefix("{{ $externalLabels.runbooks }}/")
    text = (RUNBOOKS / page).read_text(encoding="utf-8")
    assert f"`{alert}`" in text, "the page names each of its alerts"
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What you see", "How to look", "Causes", "What to do", "When it is over"]


def test_every_runbook_belongs_to_an_alert() -> None:
    pages = {rule["annotations"]["runbook_url"].rpartition("/")[2] for rule in RULES.values()}
    assert {page.name for page in RUNBOOKS.glob("*.md")} == pages | {"README.md"}


def test_every_metric_that_a_rule_names_is_told_by_us_or_by_an_exporter() -> None:
    named = {
        name for rule in RULES.values() for name in re.findall(r"\b([a-z]\w+)(?=[{\[)]|_over_time|\s)", rule["expr"])
    }
    suffixes = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    ours = {
        f"{metric.exposed_name}{suffix}"
        for _, metrics in DECLARED
        for metric in metrics
        for suffix in suffixes[metric.kind]
    }
    metrics = {
        name
        for name in named
        if name.startswith(
            ("eventgraph_", "eventkernel_", "graphql_", "http_", "messaging_client", "asyncio_", "process_", "cpython_")
        )
    }
    labels = {label.replace(".", "_") for _, declared in DECLARED for one in declared for label in one.labels}
    assert metrics - labels <= ours
    assert len(metrics - labels) > 20, "names were found"


COMMANDS: Final = {"kith": command_line(SOCIAL_NETWORK), "graphrouter": get_command(graphrouter)}
WRITTEN: Final = sorted(
    {
        (page.name, found)
        for page in RUNBOOKS.glob("*.md")
        for found in re.findall(r"(?:`|^)((?:kith|graphrouter) [a-z][^`#\n]*)", page.read_text("utf-8"), re.MULTILINE)
    }
)


@pytest.mark.parametrize(("page", "written"), WRITTEN)
def test_every_command_of_a_runbook_exists(page: str, written: str) -> None:
    program, *words = written.split()
    command: Any = COMMANDS[program]
    for word in words:
        commands = getattr(command, "commands", {})
        if not commands:
            break
        assert word in commands, f"{page}: {written}"
        command = commands[word]
    options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    assert {word for word in words if word.startswith("--")} <= options, f"{page}: {written}"


def test_every_link_of_a_runbook_leads_somewhere() -> None:
    for page in RUNBOOKS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
