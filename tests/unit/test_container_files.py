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
                assert ":?run infra/docker/draw-secrets first}" in value, name


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


def test_only_the_router_is_published() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"router"}


def test_containers_and_local_servers_have_the_same_versions() -> None:
    def version(name: str) -> str:
        found = ET.parse(REPOSITORY / "infra" / "local" / name / "pom.xml").findtext("{*}version")  # noqa: S314 - our own file
        assert found
        return found

    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version('kafka')}"
    assert SERVICES["neo4j"]["image"] == f"neo4j:{version('neo4j')}-community"


def test_the_rehearsal_stands_in_for_the_images_that_are_named() -> None:
    named = {service["image"] for service in SERVICES.values() if "build" not in service}
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
