"""Kubernetes without nodes: etcd, the API server and the controller manager as three Go processes, on loopback alone.

What is installed there is checked, stored, and turned into ReplicaSets, Pods and status, as in any cluster; there is no
scheduler and no kubelet, so no Pod runs. Everything is built from Go modules (`go.mod`): minutes of two cores, once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from infra.local.addresses import KubernetesAddress
from infra.local.certificates import Certificate, certificate
from infra.local.errors import ServerError
from infra.local.kubernetes.programs import program
from infra.local.ports import free_ports
from infra.local.probes import http_answers
from infra.local.process import Server, ServerProcess
from infra.local.remembered import remembered
from infra.local.tools import run, tool


class _Store(msgspec.Struct, frozen=True):
    """What a cluster keeps for its life."""

    ports: list[int]
    """Of etcd for its clients and its peers, of the API server, of the controller manager."""
    token: str


def kubernetes(folder: Path) -> Server[KubernetesAddress]:
    """A cluster without nodes in a folder, for tests: what it stores does not survive a power failure.

    Raises:
        MissingTool: Go (at the first use on a machine) or OpenSSL is not there.
        ServerError: the folder holds another kind of server, or a program could not be built.
    """
    folder = folder.resolve()
    store = remembered(folder, _Store, lambda: _Store(free_ports(4), secrets.token_hex(24)))
    pem = certificate(folder / "tls")
    kubeconfig = _written(folder / "kubeconfig", _kubeconfig(store, pem))
    address = KubernetesAddress(f"https://127.0.0.1:{store.ports[2]}", store.token, pem.chain, kubeconfig)
    made = [_etcd(folder, store), _api_server(folder, store, pem), _controllers(folder, store, pem, kubeconfig)]
    return _InOrder(address, tuple(made))


class _InOrder(Server[KubernetesAddress]):
    """Each process needs the one before. They are killed: ended gently, each waits for those that it serves."""

    def start(self) -> None:
        try:
            for process in self.processes:
                process.start()
        except ServerError:
            self.stop()
            raise

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()


def _etcd(folder: Path, store: _Store) -> ServerProcess:
    client, peers = (f"http://127.0.0.1:{port}" for port in store.ports[:2])
    options = {
        "data-dir": str(folder / "etcd" / "data"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
        # What a power failure would take is of no use to a test.
        "unsafe-no-fsync": "true",
    }
    answers = partial(http_answers, store.ports[0], "/health")
    return _process("etcd", folder, options, store.ports[:2], answers)


def _api_server(folder: Path, store: _Store, pem: Certificate) -> ServerProcess:
    # A user of this group may do everything.
    tokens = _written(folder / "tokens.csv", f"{store.token},tester,tester,system:masters\n")
    key = _signing_key(folder)
    options = {
        "cert-dir": str(folder / "kube-apiserver"),  # unused: the command line has to name the process's folder
        "etcd-servers": f"http://127.0.0.1:{store.ports[0]}",
        "bind-address": "127.0.0.1",
        "secure-port": str(store.ports[2]),
        "tls-cert-file": str(pem.chain),
        "tls-private-key-file": str(pem.key),
        "token-auth-file": str(tokens),
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": str(key),
        "service-account-signing-key-file": str(key),
        "service-cluster-ip-range": "10.0.0.0/24",
        # An address of loopback is none that Pods could reach, and there are no Pods that ask.
        "endpoint-reconciler-type": "none",
    }
    answers = partial(http_answers, store.ports[2], "/readyz", pem.chain, store.token)
    return _process("kube-apiserver", folder, options, store.ports[2:3], answers)


def _controllers(folder: Path, store: _Store, pem: Certificate, kubeconfig: Path) -> ServerProcess:
    options = {
        "cert-dir": str(folder / "kube-controller-manager"),  # unused, see above
        "kubeconfig": str(kubeconfig),
        "authentication-kubeconfig": str(kubeconfig),
        "authorization-kubeconfig": str(kubeconfig),
        "bind-address": "127.0.0.1",
        "secure-port": str(store.ports[3]),
        "tls-cert-file": str(pem.chain),
        "tls-private-key-file": str(pem.key),
        "leader-elect": "false",
        "service-account-private-key-file": str(_signing_key(folder)),
        "root-ca-file": str(pem.chain),
    }
    # Each namespace gets one from a controller, and without it no Pod is taken.
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    answers = partial(http_answers, store.ports[2], account, pem.chain, store.token)
    return _process("kube-controller-manager", folder, options, store.ports[3:], answers)


def _process(
    name: str, folder: Path, options: dict[str, str], ports: Sequence[int], answers: Callable[[], bool]
) -> ServerProcess:
    command = [str(program(name)), *(f"--{option}={value}" for option, value in options.items())]
    return ServerProcess(name, folder / name, command, ports=ports, answers=answers)


def _signing_key(folder: Path) -> Path:
    """Signs the tokens of service accounts."""
    key = folder / "service-accounts.key"
    if not key.exists():
        run([tool("openssl", "Kubernetes"), "genrsa", "-out", str(key), "2048"], "Making a key for service accounts")
    return key


def _kubeconfig(store: _Store, pem: Certificate) -> str:
    """https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/"""
    cluster = {"server": f"https://127.0.0.1:{store.ports[2]}", "certificate-authority": str(pem.chain)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "tester", "user": {"token": store.token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "tester"}}],
        "current-context": "local",
    }
    return msgspec.json.format(msgspec.json.encode(config)).decode()


def _written(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    return file
