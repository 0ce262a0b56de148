"""`make bench`: every benchmark, one after the other; docs/benchmarks.md has one run's figures and what they mean."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from infra.local import MissingTool, kafka, mongodb, neo4j
from infra.local.environment import given_kafka, given_mongodb, given_neo4j

ON_ENGINES = ("bank_engines", "kafka_commands", "mongodb_views", "neo4j_view", "replica_start")
BENCHMARKS = (
    "appends",
    "bank",
    "features",
    "long_streams",
    "loop_pause",
    "metrics",
    "rebuild",
    "recommendations",
    "router",
    "shop",
    "sizes",
    "sizes_engines",
    "system",
    *ON_ENGINES,
)


def main() -> None:
    wanted = sys.argv[1:] or BENCHMARKS
    unknown = sorted(set(wanted) - set(BENCHMARKS))
    if unknown:
        raise SystemExit(f"expected any of {', '.join(BENCHMARKS)}, found {unknown[0]!r}")
    with ExitStack() as stack:
        environment = _servers(stack) if not set(wanted).isdisjoint(ON_ENGINES) else {}
        _run(wanted, {**os.environ, **environment})


def _servers(stack: ExitStack) -> Mapping[str, str]:
    """Where the engines are: those of the environment, or own ones for as long as the benchmarks run."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kith-bench-")))
    try:
        addresses = (
            given_kafka() or stack.enter_context(kafka(folder / "kafka")).address,
            given_mongodb() or stack.enter_context(mongodb(folder / "mongodb")).address,
            given_neo4j() or stack.enter_context(neo4j(folder / "neo4j")).address,
        )
    except MissingTool as missing:
        raise SystemExit(f"{', '.join(ON_ENGINES)} cannot run here: {missing}") from missing
    return {name: value for address in addresses for name, value in address.variables().items()}


def _run(wanted: Sequence[str], environment: Mapping[str, str]) -> None:
    failed: list[str] = []
    for name in wanted:
        sys.stdout.write(f"\n{name} (load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)\n")
        sys.stdout.flush()
        if subprocess.run(
            [sys.executable, "-m", f"tests.benchmark.bench_{name}"], env=environment, check=False
        ).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
