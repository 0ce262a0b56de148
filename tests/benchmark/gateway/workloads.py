"""The workloads by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.benchmark.gateway.social import Distinct, Social
from tests.benchmark.gateway.wide import Wide
from tests.benchmark.gateway.workload import Workload

WORKLOADS: Mapping[str, Callable[[], Workload]] = {"social": Social, "distinct": Distinct, "wide": Wide}


def named(name: str) -> Workload:
    if name not in WORKLOADS:
        raise SystemExit(f"expected a workload of {', '.join(WORKLOADS)}, found {name!r}")
    return WORKLOADS[name]()
