"""docs/metrics.md, from the declarations of what is measured: `python -m tests.support.metrics_page` writes it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from eventgraph.running import metrics as readers
from eventgraph.serving import metrics as subgraphs
from graphrouter.telemetry import process, router
from graphrouter.telemetry.measures import Metric, exposed

PAGE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"

DECLARED: Final[Sequence[tuple[str, Sequence[Metric]]]] = (
    ("Requests, operations, subgraphs, caches", router.METRICS),
    ("Subgraphs: appends to the logs, documents", subgraphs.METRICS),
    ("Views and process managers", readers.METRICS),
    ("The process", process.METRICS),
)

_HEAD: Final = """\
# Metrics

Generated from the declarations in the code by `python -m tests.support.metrics_page`.

Every process tells what it has counted at `/metrics`, in Prometheus' text format, or in OpenMetrics' where the request
accepts it: `kith up`, `kith serve` for a subgraph or the router, `kith project`, and `graphrouter serve`. A process
tells what it does itself: a router reports requests and subgraphs; a subgraph reports its requests, documents and
appends; a process that keeps a view reports that view.

Anybody who reaches a server's port can read it, under the same rules for `Host` as everything else. It has no personal
data, and names no stream and no client. `KITH_METRICS_PORT` (and `KITH_METRICS_HOST`, by default 127.0.0.1) moves it to
a port of its own; `KITH_METRICS=false` turns it off. For `graphrouter serve` these are `metrics.port`, `metrics.host`
and `metrics.enabled` ([router/configuration.md](../router/configuration.md)).

Clients choose the names of their operations, so only known names are labels: trusted operations, the playground's
examples, and what `metrics.operations` lists in the router's configuration. All others are counted as `_OTHER`; an
operation without a name has an empty label. An unknown method or code becomes `_OTHER` as well.

What waits is counted by each engine where it is kept: reading the metrics reads no parked record, however many there
are. (Deadlines of process managers that have failed are looked for among those that are pending, and on MongoDB
`eventgraph_subgraph_ready` looks, as `/health/ready` does, at which streams wait. `/status` lists each of them, and so
reads them.)

```yaml
scrape_configs:
  - job_name: kithgraph
    static_configs: [{targets: ["127.0.0.1:9000"]}]
```

Names, units and attributes are OpenTelemetry's where its [semantic
conventions](https://opentelemetry.io/docs/specs/semconv/) have one, and formed like them elsewhere. The tables give the
name in Prometheus' format, with `_bucket`, `_sum` and `_count` behind that of a histogram.
"""


def text() -> str:
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    for title, declared in DECLARED:
        yield from (f"## {title}", "", "| name | kind | unit | labels | |", "|---|---|---|---|---|")
        for metric in declared:
            labels = ", ".join(f"`{exposed(label)}`" for label in metric.labels)
            name = f"`{metric.exposed_name}`"
            yield f"| {name} | {metric.kind} | `{metric.unit}` | {labels} | {metric.meaning} |"
        yield ""


def main() -> None:
    """Write the page, or with `--check` exit with 1 where it is another one."""
    if "--check" in sys.argv:
        if PAGE.read_text(encoding="utf-8") != text():
            sys.exit(f"{PAGE.name} is not what the code declares: write it anew with make generate")
    else:
        PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
