"""Dashboards: the files are what is declared, as Grafana's schema has them, and name what there is."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from infra.local import install
from infra.observability.dashboards import DASHBOARDS, FOLDER
from infra.observability.panels import SOURCE, Dashboard, written
from tests.support.metrics_page import DECLARED
from tests.unit.observability.test_alert_rules import RULES

GRAFANA = FOLDER.parent
SCHEMA = Path(__file__).parents[2] / "support" / "grafana_schema"
METRICS: Final = {metric.exposed_name: metric for _, declared in DECLARED for metric in declared}
LABELS: Final = {label.replace(".", "_") for metric in METRICS.values() for label in metric.labels}

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


def read(dashboard: Dashboard) -> Any:
    return json.loads((FOLDER / f"{dashboard.uid}.json").read_text(encoding="utf-8"))


def queries(dashboard: Dashboard) -> Iterator[str]:
    yield from (target["expr"] for panel in read(dashboard)["panels"] for target in panel.get("targets", ()))


@every_dashboard
def test_the_file_is_what_is_declared(dashboard: Dashboard) -> None:
    assert (FOLDER / f"{dashboard.uid}.json").read_text(encoding="utf-8") == written(dashboard), "make generate"


def test_there_are_four_and_no_other_file() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {
        "domain.json",
        "services.json",
        "log-and-projections.json",
        "router.json",
    }


@pytest.mark.engines
@pytest.mark.timeout(900)
def test_every_dashboard_is_as_grafanas_schema_has_it(tmp_path: Path) -> None:
    program = install.go_sources(SCHEMA)
    files = [FOLDER / f"{dashboard.uid}.json" for dashboard in DASHBOARDS]
    checked = subprocess.run([program, *files], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "")
    text = files[0].read_text(encoding="utf-8")
    for wrong in (text.replace('"expr"', '"exprs"', 1), text.replace('"graphTooltip": 1', '"graphTooltip": "1"')):
        file = tmp_path / "wrong.json"
        file.write_text(wrong, encoding="utf-8")
        assert wrong != text
        assert subprocess.run([program, file], check=False, capture_output=True).returncode == 1


@every_dashboard
def test_systems_and_instances_can_be_selected_and_every_query_heeds_it(dashboard: Dashboard) -> None:
    variables = {one["name"]: one for one in read(dashboard)["templating"]["list"]}
    assert variables.keys() >= {"system", "instance"}
    assert all(one["multi"] and one["includeAll"] for one in variables.values())
    for promql in queries(dashboard):
        if "node_" not in promql:
            selectors = re.findall(r"{([^}]*)}", promql)
            assert selectors, promql
            assert all('system=~"$system",instance=~"$instance"' in selector for selector in selectors), promql
        assert set(re.findall(r"\$(\w+)", promql)) <= variables.keys() | {"__rate_interval"}, promql


@every_dashboard
def test_a_panel_has_an_id_of_its_own_a_meaning_and_the_provisioned_source(dashboard: Dashboard) -> None:
    panels = read(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
            assert all(source == {"type": "prometheus", "uid": SOURCE.uid} for source in sources)
            for alert in re.findall(r"\b(?:Alerts?[^:]*: )([A-Z][A-Za-z, ]+)\.", panel["description"]):
                assert set(alert.split(", ")) <= RULES.keys(), panel["title"]


@every_dashboard
def test_every_metric_of_a_panel_is_one_that_is_told(dashboard: Dashboard) -> None:
    known = METRICS.keys() | {
        f"{name}_{suffix}"
        for name, metric in METRICS.items()
        for suffix in ("bucket", "sum", "count")
        if metric.kind == "histogram"
    }
    for promql in queries(dashboard):
        for metric, selector in re.findall(r"(\w+){([^}]*)}", promql):
            assert metric in known | {"up", "node_cpu_seconds_total"}, promql
            labels = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selector)) - {"system", "instance"}
            assert labels <= LABELS | {"mode"}, promql


def test_every_metric_of_the_project_is_on_a_dashboard_or_in_an_alert() -> None:
    text = " ".join(
        [
            *(query for dashboard in DASHBOARDS for query in queries(dashboard)),
            *(rule["expr"] for rule in RULES.values()),
        ]
    )
    unseen = {name for name in METRICS if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", text)}
    assert unseen == {
        "cpython_gc_collected_objects_total",
        "eventgraph_view_rebuild_progress_ratio",
        "graphql_server_document_cache_entries",
        "graphql_server_document_cache_evictions_total",
        "graphql_server_document_cache_miss_duration_seconds_total",
        "graphql_server_document_cache_size",
    }, "what is looked at when something else has led there"


def test_grafana_is_given_the_source_and_the_folder() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert [(one["type"], one["uid"]) for one in sources] == [("prometheus", SOURCE.uid)]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "dashboards.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
