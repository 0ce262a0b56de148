"""Dockerfile, docker-compose.yml and .env.example: what they name is there, and they agree with one another."""

from __future__ import annotations

import re
import stat
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from eventgraph.cli import command_line
from eventgraph.commands.loading import Asked
from eventgraph.load.schedule import planned
from eventgraph.running import claims_keys
from eventgraph.running.settings import EngineSettings, ServeSettings, SubgraphUrls, settings_of
from infra.rehearsal.images import STAND_INS
from kithgraph.system import SOCIAL_NETWORK

REPOSITORY = Path(__file__).parents[2]
COMPOSE = (REPOSITORY / "docker-compose.yml").read_text()
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
yaml: Any = pytest.importorskip("yaml")  # comes with pre-commit; has no types
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
OURS = set(SOCIAL_NETWORK.ports)
OBSERVING = {name for name, service in SERVICES.items() if service.get("profiles") == ["observability"]}
OBSERVABILITY = REPOSITORY / "infra" / "observability"


def variables(env: Path) -> dict[str, str]:
    lines = [line for line in env.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    env = tmp_path / "env"
    subprocess.run([REPOSITORY / "infra/docker/draw-secrets", env], check=True)
    return env


def test_everything_that_compose_asks_for_is_drawn_and_readable_by_its_owner_only(drawn: Path) -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    found = variables(drawn)
    assert wanted <= found.keys()
    assert all(found.values())
    assert stat.S_IMODE(drawn.stat().st_mode) == 0o600


def test_the_drawn_claims_keys_are_keys_that_the_services_take(drawn: Path) -> None:
    text = variables(drawn)["KITH_CLAIMS_KEYS"]
    settings = settings_of(SOCIAL_NETWORK, EngineSettings).model_validate(
        {"claims_keys": text.removeprefix("'").removesuffix("'")}
    )
    assert claims_keys.from_settings(SOCIAL_NETWORK, settings).keys() == {"users", "friends"}


def test_secrets_that_are_there_are_never_drawn_again(drawn: Path) -> None:
    before = drawn.read_bytes()
    again = subprocess.run(
        [REPOSITORY / "infra/docker/draw-secrets", drawn], check=False, capture_output=True, text=True
    )
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert drawn.read_bytes() == before


def test_two_drawings_have_no_secret_in_common(drawn: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run([REPOSITORY / "infra/docker/draw-secrets", other], check=True)
    first, second = variables(drawn), variables(other)
    assert [name for name in first if first[name] == second[name]] == ["KITHGRAPH_PORT"]


def test_no_secret_stands_in_the_compose_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|KEY|AUTH|JAAS", name):
                # Of a service with a profile Compose would ask also where it is not started.
                optional = service.get("profiles") and re.fullmatch(r"\$\{\w+:-\}", value)
                assert optional or ":?run infra/docker/draw-secrets first}" in value, name


def test_every_setting_of_our_services_exists() -> None:
    kinds = [settings_of(SOCIAL_NETWORK, kind) for kind in (EngineSettings, ServeSettings, SubgraphUrls)]
    known = {f"KITH_{name.upper()}" for kind in kinds for name in kind.model_fields}
    for name in OURS:
        assert SERVICES[name]["environment"].keys() <= known


def test_every_service_has_limits_restarts_and_waits_for_healthy_ones() -> None:
    for name, service in SERVICES.items():
        assert {"cpus", "mem_limit", "restart", "stop_grace_period"} <= service.keys(), name
        assert "healthcheck" in service or name in OURS  # whose check stands in the Dockerfile
        for wanted in service.get("depends_on", {}).values():
            assert wanted == {"condition": "service_healthy"}
    assert "\nHEALTHCHECK " in DOCKERFILE
    assert "\nUSER kith\n" in DOCKERFILE


def test_the_profile_load_drives_the_router_and_keeps_its_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    service = SERVICES["load"]
    assert service["profiles"] == ["load"]
    assert service["restart"] == "no"
    asked: list[Asked] = []
    monkeypatch.setattr("kithgraph.load.command.open_loop", lambda _system, given: asked.append(given))
    command_line(SOCIAL_NETWORK)(service["command"], standalone_mode=False)
    (given,) = asked
    assert planned(given.rate, given.duration, given.ramp, given.stages).seconds == 120
    # In the router's network, so where the command asks unless it is told otherwise.
    assert service["network_mode"] == "service:router"
    assert given.endpoint == f"http://127.0.0.1:{SERVICES['router']['environment']['KITH_PORT']}/graphql"
    volume, folder = service["volumes"][0].split(":")
    assert volume in yaml.safe_load(COMPOSE)["volumes"]
    assert {str(file.parent) for file in given.reports} == {folder}
    # A new volume gets the owner of the image's folder.
    assert f"install --directory --owner=kith --group=kith --mode=0700 {folder}\n" in DOCKERFILE


def test_only_the_router_is_published_beyond_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.pop("router") == ["${KITHGRAPH_PORT:-9000}:9000"]
    assert published
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_containers_and_local_servers_have_the_same_versions() -> None:
    def version(name: str) -> str:
        found = ET.parse(REPOSITORY / "infra" / "local" / name / "pom.xml").findtext("{*}version")  # noqa: S314 - our own file
        assert found
        return found

    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version('kafka')}"
    assert SERVICES["neo4j"]["image"] == f"neo4j:{version('neo4j')}-community"


def test_the_rehearsal_stands_in_for_the_images_that_are_named() -> None:
    named = {service["image"] for name, service in SERVICES.items() if "build" not in service and name not in OBSERVING}
    named |= set(re.findall(r"^ARG \w+_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert set(STAND_INS.values()) == named


def test_the_image_is_built_with_the_uv_of_the_makefile() -> None:
    wanted = re.search(r"^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert wanted
    assert f"ARG UV_VERSION={wanted[1]}\n" in DOCKERFILE


def test_what_the_image_copies_is_there_and_reaches_the_builder() -> None:
    sent = {
        line.removeprefix("!") for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (REPOSITORY / source).exists()
            assert any(fnmatch(source, name) or source.split("/")[0] == name for name in sent), source


def test_what_observes_is_started_by_its_profile_alone_in_pinned_versions() -> None:
    assert {"prometheus", "alertmanager", "grafana", "node-exporter"} == OBSERVING
    for name in OBSERVING:
        assert re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"]), name
        assert set(SERVICES[name]["networks"]) <= {"observability", "subgraphs"}, "the engines are not asked"
    for name in SERVICES.keys() - OBSERVING:
        assert not set(SERVICES[name].get("depends_on", {})) & OBSERVING


def test_grafana_does_not_start_without_a_password(tmp_path: Path, drawn: Path) -> None:
    shell, option, script = SERVICES["grafana"]["entrypoint"]
    started = tmp_path / "run.sh"
    started.write_text("#!/bin/sh\necho started\n")
    started.chmod(0o755)
    command = [shell, option, script.replace("$$", "$").replace("/run.sh", str(started))]
    found = subprocess.run(command, check=False, capture_output=True, text=True, env={})
    assert (found.returncode, found.stdout) == (1, "")
    assert "GRAFANA_PASSWORD" in found.stderr
    password = {"GF_SECURITY_ADMIN_PASSWORD": variables(drawn)["GRAFANA_PASSWORD"]}
    found = subprocess.run(command, check=False, capture_output=True, text=True, env=password)
    assert (found.returncode, found.stdout) == (0, "started\n")


def test_what_is_mounted_is_there_and_where_it_is_read() -> None:
    for name in OBSERVING:
        for volume in SERVICES[name]["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (REPOSITORY / source).exists(), source
    provisioning = yaml.safe_load((OBSERVABILITY / "grafana/provisioning/dashboards/dashboards.yml").read_text())
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provisioning["providers"][0]["options"]["path"] in mounted


def test_prometheus_asks_every_process_by_the_names_of_compose() -> None:
    configuration = yaml.safe_load((OBSERVABILITY / "prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    asked = {name: found["port"] for found in jobs["systems"]["dns_sd_configs"] for name in found["names"]}
    assert asked == {name: SERVICES[name]["environment"]["KITH_PORT"] for name in OURS}
    replaced = {rule["target_label"]: rule.get("replacement") for rule in jobs["systems"]["relabel_configs"]}
    assert replaced == {"component": None, "system": SOCIAL_NETWORK.name}
    others = [jobs[job]["static_configs"] for job in ("machines", "alertmanager")]
    others.append(configuration["alerting"]["alertmanagers"][0]["static_configs"])
    named = {target.partition(":")[0] for statics in others for static in statics for target in static["targets"]}
    assert named <= OBSERVING
