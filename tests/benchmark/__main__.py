"""`make bench`: every benchmark, one after the other; docs/benchmarks.md has one run's figures and what they mean."""

from __future__ import annotations

import os
import subprocess
import sys

BENCHMARKS = ("appends", "rebuild", "recommendations", "router", "system")


def main() -> None:
    wanted = sys.argv[1:] or BENCHMARKS
    unknown = sorted(set(wanted) - set(BENCHMARKS))
    if unknown:
        raise SystemExit(f"expected any of {', '.join(BENCHMARKS)}, found {unknown[0]!r}")
    failed: list[str] = []
    for name in wanted:
        sys.stdout.write(f"\n{name} (load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)\n")
        sys.stdout.flush()
        if subprocess.run([sys.executable, "-m", f"tests.benchmark.bench_{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
