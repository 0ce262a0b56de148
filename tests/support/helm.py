"""What the chart gives, as objects, and who may reach whom by its network policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from infra.manifests import manifests

Object = Mapping[str, Any]
Labels = Mapping[str, str]

SYSTEMS = ("kith", "bank", "shop")
MANAGED = {
    "kafka.inCluster": "false",
    "kafka.bootstrap": "broker.example.net:9094",
    "mongodb.inCluster": "false",
    "mongodb.url": "mongodb+srv://cluster0.example.net/",
    "neo4j.inCluster": "false",
    "neo4j.url": "neo4j+s://12345678.databases.example.net",
}


class _Loader(yaml.SafeLoader):
    """Refuses a key that a map has twice, of which YAML's own loader and Helm take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(problem=f"twice: {twice}", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read(text: str) -> list[Object]:
    """Documents of YAML that are not empty."""
    return [found for found in yaml.load_all(text, Loader=_Loader) if found]  # a safe one


def rendered(system: str, profile: str, more: Mapping[str, str] | None = None) -> list[Object]:
    """The objects of a system in a profile, with these values on top; rendered once for all tests."""
    return _rendered(system, profile, tuple(sorted((more or {}).items())))


@cache
def _rendered(system: str, profile: str, more: tuple[tuple[str, str], ...]) -> list[Object]:
    return read(manifests(system, profile, dict(more)))


def of_kind(objects: Sequence[Object], *kinds: str) -> Mapping[str, Object]:
    """Those of these kinds, by name."""
    return {found["metadata"]["name"]: found for found in objects if found["kind"] in kinds}


def pods(objects: Sequence[Object]) -> Mapping[str, Object]:
    """What the Pods are made of, by the name of the object that makes them: labels in `metadata`, and `spec`."""
    made = of_kind(objects, "Deployment", "StatefulSet", "Job")
    return {name: found["spec"]["template"] for name, found in made.items()}


def containers(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    for name, pod in pods(objects).items():
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            yield name, container


def selects(selector: Object, labels: Labels) -> bool:
    """https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/: a selector by equality."""
    assert selector.keys() <= {"matchLabels"}
    wanted: Labels = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def reaches(objects: Sequence[Object], source: Labels | None, target: Labels, port: int) -> bool:
    """Whether the policies let a Pod of the first labels (None: something outside) reach one of the second at a port.

    https://kubernetes.io/docs/concepts/services-networking/network-policies/: both sides have to allow it; a side that
    no policy selects allows everything.
    """
    policies = [found["spec"] for found in of_kind(objects, "NetworkPolicy").values()]
    ports = _named_ports(objects, target)
    return _allows(policies, "Ingress", "from", target, source, port, ports) and (
        source is None or _allows(policies, "Egress", "to", source, target, port, ports)
    )


def _named_ports(objects: Sequence[Object], labels: Labels) -> Mapping[str, int]:
    for pod in pods(objects).values():
        if pod["metadata"]["labels"] == labels:
            return {
                port["name"]: port["containerPort"] for found in pod["spec"]["containers"] for port in found["ports"]
            }
    return {}


def _allows(  # one side of a connection, and the other
    policies: Sequence[Object],
    direction: str,
    peers: str,
    own: Labels,
    other: Labels | None,
    port: int,
    ports: Mapping[str, int],
) -> bool:
    held = [spec for spec in policies if direction in spec["policyTypes"] and selects(spec["podSelector"], own)]
    rules = [rule for spec in held for rule in spec.get(direction.lower()) or ()]
    return not held or any(_peer(rule.get(peers), other) and _port(rule.get("ports"), port, ports) for rule in rules)


def _peer(peers: Sequence[Object] | None, other: Labels | None) -> bool:
    if not peers:
        return True
    if other is None:
        return any("podSelector" not in peer for peer in peers)
    return any(list(peer) == ["podSelector"] and selects(peer["podSelector"], other) for peer in peers)


def _port(allowed: Sequence[Object] | None, port: int, ports: Mapping[str, int]) -> bool:
    return not allowed or any(ports.get(entry["port"], entry["port"]) == port for entry in allowed)
