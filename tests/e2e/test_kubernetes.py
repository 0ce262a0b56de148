"""The Helm chart in a real API server, with a real controller manager: installed, upgraded, rolled back, uninstalled.

There is no scheduler and no kubelet: Pods are made and stay pending.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local import KubernetesAddress, MissingTool, kubernetes
from infra.local.kubernetes.programs import fetch
from infra.manifests import CHART, helm, values
from infra.patience import seconds
from tests.support.helm import MANAGED, Object, of_kind, read, rendered

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

_KINDS = {
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "apis/apps/v1/namespaces/{}/statefulsets",
    "ReplicaSet": "apis/apps/v1/namespaces/{}/replicasets",
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "Pod": "api/v1/namespaces/{}/pods",
    "Service": "api/v1/namespaces/{}/services",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Secret": "api/v1/namespaces/{}/secrets",
    "ServiceAccount": "api/v1/namespaces/{}/serviceaccounts",
    "PersistentVolumeClaim": "api/v1/namespaces/{}/persistentvolumeclaims",
    "NetworkPolicy": "apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Ingress": "apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "PodDisruptionBudget": "apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
}


@pytest.fixture(scope="module")
def cluster(engines_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[KubernetesAddress]:
    """It ends with this module, and at the latest with the session."""
    try:
        fetch()
        server = kubernetes(engines_folder / tmp_path_factory.mktemp("kubernetes").name)
    except MissingTool as missing:
        pytest.skip(str(missing))
    with server:
        yield server.address


class Namespace:
    """A namespace of the cluster that enforces the Pod Security Standard `restricted`, and Helm in it."""

    def __init__(self, cluster: KubernetesAddress, name: str) -> None:
        self.name = name
        self._kubeconfig = cluster.kubeconfig
        self._http = httpx.Client(
            base_url=cluster.url,
            headers={"Authorization": f"Bearer {cluster.token}"},
            verify=ssl.create_default_context(cafile=str(cluster.authority)),
            timeout=seconds(30),
            trust_env=False,
        )
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.post(
            "api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        )

    def post(self, path: str, made: Object) -> Object:
        """Make an object, with unknown fields refused."""
        answer = self._http.post(f"/{path}", params={"fieldValidation": "Strict"}, json=made)
        assert answer.status_code == 201, answer.text
        found: Object = answer.json()
        return found

    def every(self, kind: str) -> Mapping[str, Object]:
        """The objects of a kind, by name."""
        answer = self._http.get("/" + _KINDS[kind].format(self.name))
        assert answer.status_code == 200, answer.text
        return {found["metadata"]["name"]: found for found in answer.json()["items"]}

    def helm(self, *arguments: str) -> str:
        done = helm(*arguments, f"--namespace={self.name}", kubeconfig=self._kubeconfig)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def release(self, verb: str, system: str, profile: str, more: Mapping[str, str] | None = None) -> Object:
        """Install or upgrade; gives the release as Helm tells it."""
        told: Object = json.loads(self.helm(verb, system, str(CHART), *values(system, profile, more), "--output=json"))
        return told

    def draw_secrets(self, *logs: str) -> None:
        command = [str(CHART / "draw-secrets"), "kith", *logs]
        drawn = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        [secret] = read(drawn)
        self.post(_KINDS["Secret"].format(self.name), secret)

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def namespace(cluster: KubernetesAddress, request: pytest.FixtureRequest) -> Generator[Callable[[str], Namespace]]:
    made: list[Namespace] = []

    def make(name: str) -> Namespace:
        made.append(Namespace(cluster, name))
        return made[-1]

    yield make
    for one in made:
        one.close()


def eventually(seen: Callable[[], Any], expected: Any) -> None:
    """Wait until the controllers have come to this; what they have come to instead is what the failure says."""
    deadline = time.monotonic() + seconds(120)
    while (found := seen()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == expected


def pods_wanted(objects: Sequence[Object]) -> Mapping[str, int]:
    """How many Pods there are to be, by the object that says so; an autoscaler sees to its least number at once."""
    made = of_kind(objects, "Deployment", "StatefulSet", "Job")
    least = {name: found["spec"]["minReplicas"] for name, found in of_kind(objects, "HorizontalPodAutoscaler").items()}
    return {name: least.get(name) or found["spec"].get("replicas", 1) for name, found in made.items()}


def templates(objects: Mapping[str, Object]) -> Mapping[str, Object]:
    """What Pods are made of, by the name of what makes them."""
    return {name: found["spec"]["template"] for name, found in objects.items()}


def revision(replica_set: Object) -> int:
    return int(replica_set["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def image_of(found: Object) -> str:
    [container] = found["spec"]["template"]["spec"]["containers"]
    image: str = container["image"]
    return image


def test_a_release_is_installed_upgraded_rolled_back_and_uninstalled(namespace: Callable[[str], Namespace]) -> None:
    kith = namespace("kith")
    kith.draw_secrets("users", "friends")
    secret = kith.every("Secret")["kith"]

    # Installed: each object is there, and controllers make what follows from it.
    assert kith.release("install", "kith", "production")["info"]["status"] == "deployed"
    wanted = rendered("kith", "production")
    for kind in {found["kind"] for found in wanted}:
        assert of_kind(wanted, kind).keys() <= kith.every(kind).keys(), kind
    deployments, stateful = kith.every("Deployment"), kith.every("StatefulSet")

    def newest() -> Mapping[str, str]:
        """The ReplicaSet of each Deployment's present template."""
        sets = sorted(kith.every("ReplicaSet").values(), key=revision)
        return {found["metadata"]["ownerReferences"][0]["name"]: found["metadata"]["name"] for found in sets}

    def pods_of() -> Mapping[str, int]:
        owners = [pod["metadata"]["ownerReferences"][0]["name"] for pod in kith.every("Pod").values()]
        return {owner: owners.count(owner) for owner in owners}

    eventually(lambda: newest().keys(), deployments.keys())
    first = newest()
    # Each Pod is one that the Pod Security Standard `restricted` takes.
    count = pods_wanted(wanted)
    eventually(pods_of, {first.get(name, name): number for name, number in count.items()})
    assert kith.every("PersistentVolumeClaim").keys() == {
        *(f"data-kith-kafka-{number}" for number in range(3)),
        *(f"data-kith-mongodb-{number}" for number in range(3)),
        "data-kith-neo4j-0",
    }

    def budgets() -> Mapping[str, int]:
        found = kith.every("PodDisruptionBudget")
        return {name: budget.get("status", {}).get("expectedPods") for name, budget in found.items()}

    eventually(budgets, {name: count[name] for name in of_kind(wanted, "PodDisruptionBudget")})

    # Upgraded to another image: every process of ours has new Pods, no engine has.
    kith.release("upgrade", "kith", "production", {"image.tag": "0.2.0"})
    after = kith.every("Deployment")
    assert {image_of(found) for found in after.values()} == {"registry.example.com/kithgraph:0.2.0"}
    eventually(lambda: len(kith.every("ReplicaSet")), 2 * len(first))
    assert templates(kith.every("StatefulSet")) == templates(stateful)

    # A changed setting of the router: another annotation, and with it other Pods, of the router alone.
    kith.release("upgrade", "kith", "production", {"image.tag": "0.2.0", "router.ingress.host": "other.example.com"})
    changed = kith.every("Deployment")
    of_before, of_now = templates(after), templates(changed)
    assert {name for name in of_now if of_now[name] != of_before[name]} == {"kith-router", "kith-console"}
    annotations = [found["kith-router"]["spec"]["template"]["metadata"]["annotations"] for found in (after, changed)]
    assert {name for name in annotations[0] if annotations[0][name] != annotations[1][name]} == {"checksum/routing"}
    assert kith.every("ConfigMap")["kith-routing"]["data"]["KITH_ALLOW_HOSTS"] == "other.example.com"
    eventually(lambda: len(kith.every("ReplicaSet")), 2 * len(first) + 2)

    # Rolled back to the beginning: the ReplicaSets of the beginning take over again.
    kith.helm("rollback", "kith", "1")
    assert templates(kith.every("Deployment")) == templates(deployments)
    assert kith.every("ConfigMap")["kith-routing"]["data"]["KITH_ALLOW_HOSTS"] == "api.example.com"
    eventually(newest, first)
    history = json.loads(kith.helm("history", "kith", "--output=json"))
    assert [entry["status"] for entry in history] == ["superseded", "superseded", "superseded", "deployed"]

    # Uninstalled: what it made is collected; the Secret and the volumes' claims are left, the Secret never changed.
    kith.helm("uninstall", "kith")
    gone = _KINDS.keys() - {"Secret", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim"}
    eventually(lambda: [name for kind in gone for name in kith.every(kind)], [])
    assert len(kith.every("PersistentVolumeClaim")) == 7
    assert kith.every("Secret")["kith"]["data"] == secret["data"]
    assert kith.every("Secret").keys() == {"kith"}


@pytest.mark.parametrize(
    ("system", "profile", "more"),
    [("kith", "one-node", {}), ("bank", "one-node", {}), ("shop", "production", MANAGED)],
    ids=["kith-one-node", "bank-one-node", "shop-managed"],
)
def test_every_system_and_profile_is_taken_and_gets_its_pods(
    namespace: Callable[[str], Namespace], system: str, profile: str, more: Mapping[str, str]
) -> None:
    place = namespace(f"{system}-{profile}")
    assert place.release("install", system, profile, more)["info"]["status"] == "deployed"
    eventually(lambda: len(place.every("Pod")), sum(pods_wanted(rendered(system, profile, more)).values()))
    assert not any(pod["spec"].get("nodeName") for pod in place.every("Pod").values())
    place.helm("uninstall", system)


def test_the_server_refuses_a_field_that_there_is_not(namespace: Callable[[str], Namespace]) -> None:
    place = namespace("strict")
    broken = json.loads(json.dumps(of_kind(rendered("kith", "one-node"), "Service")["kith-router"]))
    broken["spec"]["prot"] = 80
    with pytest.raises(AssertionError, match="prot"):
        place.post(_KINDS["Service"].format("strict"), broken)


def test_the_namespace_refuses_a_pod_that_may_do_more(namespace: Callable[[str], Namespace]) -> None:
    place = namespace("restricted")
    template = rendered("kith", "one-node")
    pod = json.loads(json.dumps(of_kind(template, "Deployment")["kith-router"]["spec"]["template"]))
    pod["spec"]["containers"][0]["securityContext"].pop("capabilities")
    pod["spec"]["serviceAccountName"] = "default"
    made = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {**pod["metadata"], "name": "router"}}
    eventually(lambda: "default" in place.every("ServiceAccount"), True)
    with pytest.raises(AssertionError, match="restricted"):
        place.post(_KINDS["Pod"].format("restricted"), made)
