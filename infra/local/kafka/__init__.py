"""Kafka in KRaft mode: brokers that are controllers, too, one process each."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from infra.local import install
from infra.local.addresses import KafkaAddress, Login
from infra.local.certificates import certificate
from infra.local.errors import ServerError
from infra.local.ports import free_ports
from infra.local.probes import kafka_brokers
from infra.local.process import JAVA_FOR_A_SHORT_LIFE, Server, ServerProcess
from infra.local.remembered import remembered
from infra.local.tools import run, tool

_POM = Path(__file__).with_name("pom.xml")
_USER = "kithgraph"
_FORMATTING = ("-Xmx128m", "-XX:+UseSerialGC", *JAVA_FOR_A_SHORT_LIFE)
_SERVING = ("-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.showDateTime=true")
# For many short lives on a small machine: few threads, small internal topics, groups that do not wait for members.
_SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.num.partitions": "5",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "controlled.shutdown.max.retries": "1",
    # How long a broker that was killed counts as there: it cannot start again before (9 seconds if nothing is said).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


class _Broker(msgspec.Struct, frozen=True):
    """The ports of one broker."""

    plain: int
    controller: int
    secured: int


class _Cluster(msgspec.Struct, frozen=True):
    """What a cluster keeps for its life."""

    id: str
    brokers: list[_Broker]
    secure: bool
    password: str


def fetch() -> Path:
    """Install the server unless it is installed; the folder of its jars."""
    return install.jars(_POM)


def kafka(
    folder: Path, *, brokers: int = 1, port: int | None = None, secure: bool = False, short_lived: bool = False
) -> Server[KafkaAddress]:
    """A cluster in a folder: formatted at its first start, the same again at every later one.

    Args:
        folder: keeps data, ports, passwords and logs; one folder, one cluster.
        brokers: 1 or 3; with 3, internal topics have three replicas of which two must be in sync.
        port: of the first broker; without it any free one.
        secure: a second listener with TLS, and a user of SCRAM-SHA-512.
        short_lived: starts with half the work and serves slower, for tests.

    Raises:
        MissingTool: Java (or, at the first use on a machine, Maven) is not there.
        ServerError: the folder holds another kind of cluster.
    """
    if brokers not in {1, 3}:
        raise ServerError(f"Kafka: expected 1 or 3 brokers, found {brokers}")
    folder = folder.resolve()
    java = tool("java", "Kafka")
    classes = str(fetch() / "*")
    cluster = remembered(folder, _Cluster, lambda: _new_cluster(brokers, port, secure))
    if (len(cluster.brokers), cluster.secure) != (brokers, secure):
        raise ServerError(
            f"Kafka: {folder} holds a cluster with {len(cluster.brokers)} brokers and secure={cluster.secure}, "
            f"asked for were {brokers} and secure={secure}"
        )
    serving = (*_SERVING, *(JAVA_FOR_A_SHORT_LIFE if short_lived else ()))
    processes: list[ServerProcess] = []
    for number, broker in enumerate(cluster.brokers, 1):
        home = folder / f"broker-{number}"
        settings = _write_settings(home, _broker_settings(home, cluster, number))
        if not (home / "data" / "meta.properties").exists():
            _format([java, *_FORMATTING, "-cp", classes], settings, cluster)
        processes.append(
            ServerProcess(
                f"Kafka broker {number}" if brokers > 1 else "Kafka",
                home,
                [java, *serving, "-cp", classes, "kafka.Kafka", str(settings)],
                ports=(broker.plain, broker.controller, *((broker.secured,) if secure else ())),
                answers=partial(_knows, broker.plain, brokers),
            )
        )
    return Server(_address(folder, cluster), tuple(processes))


def _new_cluster(brokers: int, port: int | None, secure: bool) -> _Cluster:
    ports = free_ports(3 * brokers)
    if port is not None:
        ports[0] = port
    return _Cluster(
        id=base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "_"),
        brokers=[_Broker(*ports[start : start + 3]) for start in range(0, len(ports), 3)],
        secure=secure,
        password=secrets.token_hex(16),
    )


def _broker_settings(home: Path, cluster: _Cluster, number: int) -> Mapping[str, str]:
    broker = cluster.brokers[number - 1]
    replicas = len(cluster.brokers)
    in_sync = 2 if replicas > 2 else 1
    listeners = {"PLAINTEXT": broker.plain}
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
    tls: dict[str, str] = {}
    if cluster.secure:
        pem = certificate(home.parent / "tls")
        listeners["SECURED"] = broker.secured
        protocols["SECURED"] = "SASL_SSL"
        tls = {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secured.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.secured.ssl.keystore.type": "PEM",
            "listener.name.secured.ssl.keystore.location": str(pem.both),
        }
    voters = (f"{voter}@127.0.0.1:{member.controller}" for voter, member in enumerate(cluster.brokers, 1))
    return (
        _SETTINGS
        | tls
        | {
            "node.id": str(number),
            "controller.quorum.voters": ",".join(voters),
            "listeners": _listed(listeners | {"CONTROLLER": broker.controller}),
            "advertised.listeners": _listed(listeners),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "log.dirs": str(home / "data"),
            "default.replication.factor": str(replicas),
            "offsets.topic.replication.factor": str(replicas),
            "transaction.state.log.replication.factor": str(replicas),
            "transaction.state.log.min.isr": str(in_sync),
            "share.coordinator.state.topic.replication.factor": str(replicas),
            "share.coordinator.state.topic.min.isr": str(in_sync),
        }
    )


def _listed(listeners: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())


def _write_settings(home: Path, settings: Mapping[str, str]) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    file = home / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    return file


def _format(java: Sequence[str], settings: Path, cluster: _Cluster) -> None:
    scram = ["--add-scram", f"SCRAM-SHA-512=[name={_USER},password={cluster.password}]"] if cluster.secure else []
    storage = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster.id, "--config", str(settings)]
    run([*java, *storage, "--ignore-formatted", *scram], "Formatting Kafka's folder")


def _knows(port: int, brokers: int) -> bool:
    return kafka_brokers(port) == brokers


def _address(folder: Path, cluster: _Cluster) -> KafkaAddress:
    plain = ",".join(f"127.0.0.1:{broker.plain}" for broker in cluster.brokers)
    if not cluster.secure:
        return KafkaAddress(plain)
    secured = ",".join(f"127.0.0.1:{broker.secured}" for broker in cluster.brokers)
    return KafkaAddress(plain, secured, Login(_USER, cluster.password, certificate(folder / "tls").chain))
