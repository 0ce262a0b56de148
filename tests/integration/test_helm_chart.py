"""The Helm chart, of every system in every profile: lint, Kubernetes' schemas, what it refuses, and what it makes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from bank.system import BANK
from eventgraph import System
from eventgraph.console.mode import Mode
from eventgraph.running import claims_keys
from eventgraph.running.settings import (
    ArchiveSettings,
    ConsoleProcessSettings,
    EngineSettings,
    ServeSettings,
    SubgraphUrls,
    loaded,
    settings_of,
)
from infra.local import MissingTool
from infra.local.kubernetes.programs import program, validator
from infra.manifests import CHART, MANIFESTS, PROFILES, helm, manifests, values
from kithgraph.system import SOCIAL_NETWORK
from shop.system import SHOP
from tests.support.helm import MANAGED, SYSTEMS, Object, containers, of_kind, pods, reaches, read, rendered, selects
from tests.support.installed import installed

pytestmark = pytest.mark.engines

DECLARED: Mapping[str, System] = {"kith": SOCIAL_NETWORK, "bank": BANK, "shop": SHOP}
EVERYTHING = {
    "router.service.type": "LoadBalancer",
    "router.service.sourceRanges[0]": "192.0.2.0/24",
    "router.service.annotations.example": "yes",
    "router.ingress.className": "nginx",
    "router.config.limits.depth": "12",
    "router.autoscaling.requestsPerSecond": "200",
    "projectors.autoscaling.lagEvents": "1000",
    "networkPolicies.metricsFrom[0].namespaceSelector.matchLabels.name": "monitoring",
    "networkPolicies.egress[0].ports[0].port": "443",
    "kafka.storage.className": "fast",
    "secret.revision": "2",
    "image.digest": f"sha256:{'0' * 64}",
    "image.pullSecrets[0]": "registry",
}
ALL = [
    *((system, profile, {}) for system in SYSTEMS for profile in PROFILES),
    *((system, "production", MANAGED) for system in SYSTEMS),
    ("kith", "production", EVERYTHING),
]
IDS = [
    f"{system}-{profile}{'-managed' if more is MANAGED else '-everything' if more else ''}"
    for system, profile, more in ALL
]
of_all = pytest.mark.parametrize(("system", "profile", "more"), ALL, ids=IDS)


@pytest.fixture(scope="module", autouse=True)
def chart() -> None:
    """The programs, built before the first test's time runs."""
    try:
        program("helm")
    except MissingTool as missing:
        pytest.skip(str(missing))


@of_all
def test_the_chart_passes_lint(system: str, profile: str, more: Mapping[str, str]) -> None:
    done = helm("lint", "--strict", str(CHART), *values(system, profile, more))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def validate(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Checks objects against the schemas of a version of Kubernetes; gives what is wrong."""
    python = validator()

    def validate(version: str, objects: Sequence[Object]) -> str:
        file = tmp_path_factory.mktemp("objects") / "objects.yaml"
        file.write_text(yaml.safe_dump_all(objects))
        command = [python, "-m", "kubernetes_validate", "--strict", "--quiet", "--kubernetes-version", version]
        done = subprocess.run([*map(str, command), str(file)], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr if done.returncode else ""

    return validate


@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_every_object_is_one_by_kubernetes_schemas(validate: Any, version: str) -> None:
    assert validate(version, list(chain.from_iterable(rendered(*one) for one in ALL))) == ""


def test_the_schemas_refuse_a_field_that_there_is_not(validate: Any) -> None:
    [router] = [found for found in rendered("kith", "one-node") if found["metadata"]["name"] == "kith-router"][:1]
    broken = json.loads(json.dumps(router))
    broken["spec"]["replica"] = 2
    assert "replica" in validate("1.37", [broken])


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_values_of_a_system_are_what_its_declaration_gives(system: str) -> None:
    found = yaml.safe_load((CHART / "systems" / f"{system}.yaml").read_text())["system"]
    declared = DECLARED[system]
    assert (found["name"], found["installation"]) == (declared.name, declared.mark)
    assert list(found["subgraphs"]) == list(declared.names)
    assert [name for name, subgraph in found["subgraphs"].items() if subgraph["log"]] == list(declared.logs)
    on_neo4j = {name for name, subgraph in found["subgraphs"].items() if subgraph["view"] == "neo4j"}
    assert on_neo4j == ({"recommendations"} if system == "kith" else set())


@pytest.mark.parametrize("profile", PROFILES)
def test_the_plain_manifests_are_what_the_chart_gives(profile: str) -> None:
    assert (MANIFESTS / f"kith-{profile}.yaml").read_text() == manifests("kith", profile), "write them: make manifests"


SECRETS = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    *(
        name.upper()
        for kind in (EngineSettings, ServeSettings, ArchiveSettings)
        for name, field in kind.model_fields.items()
        if "SecretStr" in str(field.annotation)
    ),
]
REFUSED = {
    "an unknown key": ({"rotuer.replicas": "2"}, "rotuer"),
    "an unknown key below": ({"router.replica": "2"}, "replica"),
    "a name of another kind": ({"system.name": "Kith"}, "/system/name"),
    "no image": ({"image.repository": ""}, "/image/repository"),
    "no version": ({"image.tag": ""}, "/image"),
    "a version that moves": ({"image.tag": "latest"}, "/image/tag"),
    "a tag in the repository": ({"image.repository": "kithgraph:1"}, "/image/repository"),
    "no secret": ({"secret.name": ""}, "/secret/name"),
    "a secret among the settings": ({"settings.KAFKA_PASSWORD": "hunter2"}, "KAFKA_PASSWORD"),
    "a setting in small letters": ({"settings.log_level": "info"}, "log_level"),
    "a negative number": ({"router.replicas": "-1"}, "/router/replicas"),
    "two nodes of Kafka": ({"kafka.nodes": "2"}, "/kafka/nodes"),
    "a size without a unit": ({"mongodb.storage.size": "20"}, "/mongodb/storage/size"),
    "managed Kafka without an address": ({"kafka.inCluster": "false"}, "/kafka/bootstrap"),
    "managed MongoDB without an address": ({"mongodb.inCluster": "false"}, "/mongodb/url"),
    "managed Neo4j without an address": ({"neo4j.inCluster": "false"}, "neo4j.url"),
    "a password in a URL": ({**MANAGED, "mongodb.url": "mongodb://user:hunter2@db.example.net/"}, "/mongodb/url"),
    "more copies in sync than copies": ({**MANAGED, "kafka.replicas": "1"}, "kafka.inSyncReplicas"),
    "a subgraph that there is not": ({"subgraphs.overrides.posts.replicas": "2"}, "posts"),
    "an Ingress without a host": (
        {"router.ingress.enabled": "true", "router.ingress.host": ""},
        "/router/ingress/host",
    ),
    "metrics at the API's port": ({"metrics.port": "9000"}, "/metrics/port"),
    "nobody who knows who asks": ({"allowAnonymous": "false", "authentication": "null"}, "authentication"),
    "no limits": ({"router.resources.limits": "null"}, "/router/resources"),
}


@pytest.mark.parametrize(("given", "named"), REFUSED.values(), ids=REFUSED)
def test_wrong_values_are_refused_by_name(given: Mapping[str, str], named: str) -> None:
    done = helm("template", "kith", str(CHART), *values("kith", "one-node", given))
    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_taken_among_the_settings(name: str) -> None:
    done = helm("template", "kith", str(CHART), *values("kith", "one-node", {f"settings.{name}": "hunter2"}))
    assert done.returncode != 0
    assert name in done.stderr


def test_a_name_that_is_too_long_is_refused() -> None:
    done = helm("template", "k" * 45, str(CHART), *values("kith", "one-node"))
    assert "has up to 52 characters" in done.stderr


def test_opentelemetrys_own_variables_reach_every_process() -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.tracing:4318", "OTEL_TRACES_SAMPLER": "always_off"}
    endpoint, sampler = variables
    more = {f"settings.{endpoint}": variables[endpoint], f"router.settings.{sampler}": variables[sampler]}
    objects = rendered("kith", "one-node", more)
    for name, container in containers(objects):
        if container["command"] == ["kith"]:
            found = settings_in(container, objects)
            expected = variables if name == "kith-router" else {endpoint: variables[endpoint]}
            assert {key: value for key, value in found.items() if "OTEL" in key} == expected


@of_all
def test_every_process_starts_with_settings_that_it_takes(
    system: str, profile: str, more: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = rendered(system, profile, more)
    declared = DECLARED[system]
    for name, container in containers(objects):
        if container["command"] != [system]:
            continue
        environment = settings_in(container, objects)
        with monkeypatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            patch.setenv(f"{declared.prefix}SECRETS", str(mounted(pods(objects)[name], declared, tmp_path / name)))
            router, console = container["args"] == ["serve", "router"], container["args"] == ["console"]
            kinds = [ConsoleProcessSettings if console else ServeSettings, SubgraphUrls if router else EngineSettings]
            known = {
                f"{declared.prefix}{field.upper()}"
                for kind in kinds
                for field in settings_of(declared, kind).model_fields
            }
            assert environment.keys() - known <= {"TMPDIR", f"{declared.prefix}PROJECT"}
            serve = loaded(declared, ServeSettings)
            assert (serve.host, serve.port) == ("0.0.0.0", container["ports"][0]["containerPort"])  # noqa: S104  # in a Pod
            serve.check_exposure(serve.host, knows_actors=serve.authentication is not None or not (router or console))
            if router:
                loaded(declared, SubgraphUrls)
                continue
            engines = loaded(declared, EngineSettings)
            assert claims_keys.from_settings(declared, engines).keys() == set(declared.logs)
            assert engines.name == declared.mark
            assert engines.kafka_password
            if console:
                assert loaded(declared, ConsoleProcessSettings).console_mode(serve.host) is not Mode.OFF
            else:
                assert serve.actors


def settings_in(container: Object, objects: Sequence[Object]) -> Mapping[str, str]:
    """The container's environment."""
    maps = of_kind(objects, "ConfigMap")
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]["data"]
    return found | {entry["name"]: entry["value"] for entry in container["env"]}


def mounted(pod: Object, system: System, folder: Path) -> Path:
    """The Pod's secrets as the kubelet lays them out: the names are links into a folder that is a link itself."""
    drawn = subprocess.run(
        [CHART / "draw-secrets", "kith", *system.logs], check=True, capture_output=True, text=True
    ).stdout
    [secret] = read(drawn)
    has = secret["stringData"] | {"kafka-user": "someone", "mongodb-user": "someone"}
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    [volume] = [volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume]
    for item in volume["items"]:
        (folder / "..data" / item["path"]).write_text(has[item["key"]])
        (folder / item["path"]).symlink_to(f"..data/{item['path']}")
    return folder


@of_all
def test_a_process_gets_the_secrets_that_it_needs_and_no_others(
    system: str, profile: str, more: Mapping[str, str]
) -> None:
    managed = ["kafka-user"] if more is MANAGED else []
    users = ["mongodb-user"] if more is MANAGED else []
    for name, pod in pods(rendered(system, profile, more)).items():
        [volume] = [volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume]
        found = {item["key"] for item in volume["items"]}
        labels = pod["metadata"]["labels"]
        on_neo4j = labels.get("subgraph") == "recommendations"
        engine = {"neo4j-password"} if on_neo4j else {"mongodb-password", *users}
        match labels["app.kubernetes.io/component"]:
            case "router":
                assert found == {"actor-keys"}
            case "console":
                every = {"neo4j-password"} if system == "kith" else set[str]()
                assert found == {"claims-keys", "kafka-password", "mongodb-password", *managed, *users, *every}
            case "subgraph" | "projector":
                assert found == {"actor-keys", "claims-keys", "kafka-password", *managed, *engine}, name
            case "mongodb":
                assert found == {"mongodb-password", "mongodb-replica-set-key"}
            case component:
                assert found == {f"{component.removesuffix('-setup')}-password"}


@of_all
def test_no_container_can_do_more_than_it_needs(system: str, profile: str, more: Mapping[str, str]) -> None:
    objects = rendered(system, profile, more)
    for name, pod in pods(objects).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False
        assert spec["serviceAccountName"] in of_kind(objects, "ServiceAccount")
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for name, container in containers(objects):
        security = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["securityContext"] == security, name
        for kind in ("requests", "limits"):
            assert container["resources"][kind].keys() == {"cpu", "memory"}, name


@of_all
def test_everything_that_names_another_object_names_one(system: str, profile: str, more: Mapping[str, str]) -> None:
    objects = rendered(system, profile, more)
    made = pods(objects)
    labels = {name: pod["metadata"]["labels"] for name, pod in made.items()}
    for name, found in of_kind(objects, "Deployment", "StatefulSet").items():
        assert [other for other in made if selects(found["spec"]["selector"], labels[other])] == [name]
    for name, service in of_kind(objects, "Service").items():
        chosen = [other for other in made if service["spec"]["selector"].items() <= labels[other].items()]
        assert len(chosen) == 1, name
        ports = {port["name"] for found in made[chosen[0]]["spec"]["containers"] for port in found["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for name, budget in of_kind(objects, "PodDisruptionBudget").items():
        assert [other for other in made if selects(budget["spec"]["selector"], labels[other])] == [name]
    for name, policy in of_kind(objects, "NetworkPolicy").items():
        assert any(selects(policy["spec"]["podSelector"], found) for found in labels.values()), name
    for scaler in of_kind(objects, "HorizontalPodAutoscaler").values():
        scaled = of_kind(objects, "Deployment")[scaler["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in scaled["spec"]
        assert scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]
    for pod in made.values():
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in of_kind(objects, "ConfigMap")
    assert len({(found["kind"], found["metadata"]["name"]) for found in objects}) == len(objects)


@of_all
def test_the_router_finds_each_subgraph_at_its_service(system: str, profile: str, more: Mapping[str, str]) -> None:
    objects = rendered(system, profile, more)
    services = of_kind(objects, "Service")
    routing = of_kind(objects, "ConfigMap")[f"{system}-routing"]["data"]
    for name in DECLARED[system].names:
        host, _, port = routing[f"{system.upper()}_{name.upper()}_URL"].removesuffix("/graphql")[7:].partition(":")
        assert services[host]["spec"]["selector"]["subgraph"] == name
        assert [entry["port"] for entry in services[host]["spec"]["ports"]] == [int(port)]


@pytest.mark.parametrize("profile", PROFILES)
def test_who_reaches_whom_is_what_each_process_needs(profile: str) -> None:
    objects = rendered("kith", profile)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects).items()}
    ports = {
        name: [port["containerPort"] for found in pod["spec"]["containers"] for port in found.get("ports", ())]
        for name, pod in pods(objects).items()
    }
    found = {
        (short(source), short(target), port)
        for source in labels
        for target in labels
        for port in ports[target]
        if source != target and reaches(objects, labels[source], labels[target], port)
    }
    subgraphs = ("users", "friends", "recommendations")
    keepers = [
        f"{kind}-{name}" for kind in ("subgraph", "projector") for name in subgraphs if f"kith-{kind}-{name}" in labels
    ]
    on_mongodb = [name for name in keepers if "recommendations" not in name] + ["console", "mongodb-setup"]
    assert found == {
        *(("router", f"subgraph-{name}", 9000) for name in subgraphs),
        *((name, "kafka", 9092) for name in [*keepers, "console"]),
        *((name, "mongodb", 27017) for name in on_mongodb),
        *((name, "neo4j", 7687) for name in [*(name for name in keepers if "recommendations" in name), "console"]),
    }
    assert {(name, port) for name in labels for port in ports[name] if reaches(objects, None, labels[name], port)} == {
        ("kith-router", 9000)
    }
    for engine, own in {"kafka": (9093, 19092), "mongodb": (27017,)}.items():
        assert all(reaches(objects, labels[f"kith-{engine}"], labels[f"kith-{engine}"], port) for port in own)


def short(name: str) -> str:
    name = name.removeprefix("kith-")
    return "mongodb-setup" if name.startswith("mongodb-setup") else name


@of_all
def test_a_process_has_the_time_that_draining_takes(system: str, profile: str, more: Mapping[str, str]) -> None:
    objects = rendered(system, profile, more)
    drain = float(of_kind(objects, "ConfigMap")[f"{system}-settings"]["data"][f"{system.upper()}_DRAIN_SECONDS"])
    for deployment in of_kind(objects, "Deployment").values():
        spec = deployment["spec"]
        assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > drain + 5  # requests under way have 5 s more
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        [container] = spec["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        if profile == "production":
            assert drain > 2 * container["readinessProbe"]["periodSeconds"]


@of_all
def test_a_subgraph_that_is_not_ready_takes_nobody_the_router(
    system: str, profile: str, more: Mapping[str, str]
) -> None:
    for name, found in of_kind(rendered(system, profile, more), "Deployment").items():
        template = found["spec"]["template"]
        [container] = template["spec"]["containers"]
        paths = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
        alone = template["metadata"]["labels"]["app.kubernetes.io/component"] in {"router", "console"}
        assert paths == ["/health/live", "/health/live", "/health/live" if alone else "/health/ready"], name


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_is_ended_that_fills_a_ledger_or_recovers_its_log(profile: str) -> None:
    listening = [found for _, found in containers(rendered("kith", profile)) if "ports" in found]
    probes = [container["startupProbe"] for container in listening]
    assert len(probes) >= 7
    assert all(probe["periodSeconds"] * probe["failureThreshold"] >= 6 * 3600 for probe in probes)


@pytest.mark.parametrize(
    ("member", "program"), [("kith-mongodb-0", "docker-entrypoint.sh"), ("kith-mongodb-1", "mongod")]
)
def test_a_member_of_mongodb_starts_again_in_its_pod(tmp_path: Path, member: str, program: str) -> None:
    script = of_kind(rendered("kith", "one-node"), "ConfigMap")["kith-mongodb"]["data"]["run.sh"]
    secrets, programs, file = tmp_path / "secrets", tmp_path / "programs", tmp_path / "run.sh"
    here = script.replace("/tmp/", f"{tmp_path}/")  # noqa: S108  # the Pod's
    file.write_text(here.replace("/run/secrets", str(secrets)))
    secrets.mkdir()
    (secrets / "mongodb-replica-set-key").write_text("c0ffee")
    programs.mkdir()
    for name in ("docker-entrypoint.sh", "mongod"):
        (programs / name).write_text('#!/bin/sh\necho "${0##*/}"\n')
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOSTNAME": member, "CACHE_GIGABYTES": "0.5"}
    # Root would write to every file; in the Pod nobody has its rights.
    rights = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    for _ in range(2):
        command = [*rights, "bash", str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{program}\n", "")
    key = tmp_path / "replica-set.key"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("c0ffee", 0o400)


MONGOSH = """
let config = CONFIG;
const urls = [];
function refused(codeName) { return Object.assign(new Error(codeName), { codeName }); }
const commands = {
  replSetGetConfig() {
    if (config === null) throw refused("NotYetInitialized");
    return { config: structuredClone(config) };
  },
  replSetInitiate({ replSetInitiate: given }) { config = { version: 1, ...given }; },
  replSetReconfig({ replSetReconfig: given }) {
    const members = given.members.length - config.members.length;
    if (given.version !== config.version + 1 || members !== 1) throw refused("NewReplicaSetConfigurationIncompatible");
    config = structuredClone(given);
  },
  hello() { return { primary: config.members[0].host }; },
};
function print() {}
function sleep() { throw new Error("waited in vain"); }
class Mongo {
  constructor(url) { urls.push(url); }
  getDB() { return { runCommand: (command) => commands[Object.keys(command)[0]](command) }; }
}
process.on("exit", () => console.log(JSON.stringify({ urls, members: config.members })));
"""
"""What the script of the Job uses of mongosh, with one replica set that is not made yet (null) or has members."""


@pytest.mark.node
@pytest.mark.parametrize("members", [0, 1, 3])
def test_the_job_gives_the_replica_set_the_members_that_it_lacks(tmp_path: Path, members: int) -> None:
    hosts = [f"kith-mongodb-{number}.kith-mongodb:27017" for number in range(3)]
    has = {"version": 4, "members": [{"_id": number, "host": hosts[number]} for number in range(members)]}
    script = of_kind(rendered("kith", "production"), "ConfigMap")["kith-mongodb"]["data"]["initiate.js"]
    (tmp_path / "mongodb-password").write_text("hunter/2\n")
    file = tmp_path / "initiate.cjs"
    file.write_text(
        MONGOSH.replace("CONFIG", json.dumps(has if members else None)) + script.replace("/run/secrets", str(tmp_path))
    )
    done = subprocess.run([installed("node", "nodejs"), str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "urls": [f"mongodb://eventgraph:hunter%2F2@{hosts[0]}/?authSource=admin&directConnection=true"],
        "members": [{"_id": number, "host": host} for number, host in enumerate(hosts)],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("antiAffinity", "none"), ("secret.name", "other"), ("mongodb.image", "mongo:8.2"), ("mongodb.nodes", "1")],
)
def test_a_job_of_other_pods_has_another_name_because_its_pods_cannot_be_changed(name: str, value: str) -> None:
    [(before, job)] = of_kind(rendered("kith", "production"), "Job").items()
    [(after, other)] = of_kind(rendered("kith", "production", {name: value}), "Job").items()
    assert job["spec"]["template"] != other["spec"]["template"]
    assert before != after


def test_engines_of_somebody_else_leave_nothing_of_them_in_the_cluster() -> None:
    objects = rendered("kith", "production", MANAGED)
    assert not of_kind(objects, "StatefulSet", "Job")
    settings = of_kind(objects, "ConfigMap")["kith-engines"]["data"]
    assert settings["KITH_KAFKA_BOOTSTRAP"] == MANAGED["kafka.bootstrap"]
    assert settings["KITH_KAFKA_SECURITY"] == "SASL_SSL"
    assert settings["KITH_MONGODB_URL"] == MANAGED["mongodb.url"]
    assert settings["KITH_NEO4J_URL"] == MANAGED["neo4j.url"]
    outside = {name: egress_ports(objects, name) for name in ("kith-subgraph-users", "kith-subgraph-recommendations")}
    assert outside == {"kith-subgraph-users": {53, 9094, 27017}, "kith-subgraph-recommendations": {53, 9094, 7687}}


def test_who_checks_tokens_reaches_the_keys_of_their_issuers() -> None:
    issuer = "authentication.issuers[1]"
    more = {
        f"{issuer}.name": "other",
        f"{issuer}.audiences[0]": "kithgraph",
        f"{issuer}.actor_prefix": "other:",
        f"{issuer}.keys": "https://other.example.com:8443/realms/a:1234/keys",
    }
    objects = rendered("kith", "production", more)
    assert egress_ports(objects, "kith-router") == {53, 9000, 443, 8443}
    assert egress_ports(objects, "kith-console") == {53, 9092, 27017, 7687, 443, 8443}
    assert egress_ports(objects, "kith-subgraph-users") == {53, 9092, 27017}
    assert egress_ports(rendered("kith", "one-node"), "kith-router") == {53, 9000}


def egress_ports(objects: Sequence[Object], name: str) -> set[int]:
    rules = of_kind(objects, "NetworkPolicy")[name]["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_a_changed_setting_makes_new_pods_of_those_that_read_it_and_of_no_others() -> None:
    def changed(name: str, value: str) -> set[str]:
        before, after = pods(rendered("kith", "production")), pods(rendered("kith", "production", {name: value}))
        assert before.keys() == after.keys()
        return {short(pod) for pod in before if before[pod] != after[pod]}

    ours = {short(name) for name in of_kind(rendered("kith", "production"), "Deployment")}
    assert changed("settings.LOG_LEVEL", "debug") == ours
    assert changed("image.tag", "0.2.0") == ours
    assert changed("secret.revision", "2") == ours
    assert changed("neo4j.database", "other") == ours - {"router"}
    assert changed("router.ingress.host", "other.example.com") == {"router", "console"}
    assert changed("subgraphs.overrides.users.settings.CONNECTIONS", "2000") == {"subgraph-users"}
    assert changed("neo4j.heap", "3g") == {"neo4j"}
    assert changed("router.autoscaling.maxReplicas", "20") == set()


def test_production_is_spread_scaled_and_interrupted_one_at_a_time() -> None:
    objects = rendered("kith", "production")
    several = of_kind(objects, "Deployment").keys() - {"kith-console"}
    assert of_kind(objects, "HorizontalPodAutoscaler").keys() == several
    assert of_kind(objects, "PodDisruptionBudget").keys() == several | {"kith-kafka", "kith-mongodb"}
    for name in ("kith-kafka", "kith-mongodb"):
        stateful = of_kind(objects, "StatefulSet")[name]["spec"]
        assert stateful["replicas"] == 3
        affinity = stateful["template"]["spec"]["affinity"]["podAntiAffinity"]
        [term] = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert selects(term["labelSelector"], stateful["template"]["metadata"]["labels"])
    assert all("affinity" in pod["spec"] for name, pod in pods(objects).items() if name in several)


def test_one_node_asks_for_no_second_one() -> None:
    objects = rendered("kith", "one-node")
    assert not of_kind(objects, "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress")
    assert all("affinity" not in pod["spec"] for pod in pods(objects).values())
    assert {found["spec"]["replicas"] for found in of_kind(objects, "Deployment", "StatefulSet").values()} == {1}
    settings = of_kind(objects, "ConfigMap")["kith-engines"]["data"]
    assert (settings["KITH_KAFKA_REPLICAS"], settings["KITH_KAFKA_IN_SYNC_REPLICAS"]) == ("1", "1")


def test_autoscalers_count_requests_and_lag_where_that_is_asked_for() -> None:
    scalers = of_kind(rendered("kith", "production", EVERYTHING), "HorizontalPodAutoscaler")
    of_router = {metric["type"]: metric for metric in scalers["kith-router"]["spec"]["metrics"]}
    assert of_router["Pods"]["pods"]["target"] == {"type": "AverageValue", "averageValue": "200"}
    of_users = {metric["type"]: metric for metric in scalers["kith-projector-users"]["spec"]["metrics"]}
    assert of_users["External"]["external"]["metric"]["name"] == "eventgraph_reader_lag"
    assert of_users["External"]["external"]["target"]["averageValue"] == "1000"
