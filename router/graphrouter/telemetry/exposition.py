"""`/metrics` in Prometheus' text format, or OpenMetrics' where the request accepts it.

The format is written by `prometheus_client` (the extra `serve`), which is loaded when somebody asks for the first time.

https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from graphrouter.telemetry.measures import Distribution, Family, exposed

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Written

Source: TypeAlias = Callable[[], Iterable[Family] | Awaitable[Iterable[Family]]]
"""What has metrics: asked on the event loop, each time that somebody reads them."""

PATH: Final = "/metrics"


def metrics_route(*sources: Source) -> BaseRoute:
    """The route of `/metrics`. Families of one metric may come from several sources."""

    async def metrics(request: Request) -> Response:
        # All at once: together they take no longer than one that waits for an engine.
        asked = await asyncio.gather(*map(_families_of, sources))
        found = [family for families in asked for family in families]
        # The library takes a moment to load, and text of large systems one to write.
        body, content_type = await asyncio.to_thread(written, found, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    return Route(PATH, metrics, methods=["GET"])


async def _families_of(source: Source) -> Iterable[Family]:
    families = source()
    return await families if inspect.isawaitable(families) else families


def metrics_app(*sources: Source) -> Starlette:
    """An app that has nothing but `/metrics`, for an address of its own."""
    app = Starlette(routes=[metrics_route(*sources)])
    app.router.redirect_slashes = False
    return app


def written(families: Iterable[Family], accept: str) -> tuple[bytes, str]:
    """The text, and its content type."""
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - see above

    encode, content_type = choose_encoder(accept)
    return encode(_Collected(_merged(families))), content_type


@dataclass(frozen=True, slots=True)
class _Collected:
    """A registry, as far as an encoder looks at one."""

    families: Sequence[Family]

    def collect(self) -> Iterable[Written]:
        return map(_for_prometheus, self.families)


def _merged(families: Iterable[Family]) -> list[Family]:
    """One family for each metric, in the order of their names: the format wants its samples together."""
    found: dict[str, Family] = {}
    for family in families:
        name = family.metric.name
        known = found.get(name)
        if known is not None:
            family = Family(family.metric, {**known.values, **family.values}, family.bounds)  # noqa: PLW2901
        found[name] = family
    return [found[name] for name in sorted(found)]


def _for_prometheus(family: Family) -> Written:
    from prometheus_client.metrics_core import (  # noqa: PLC0415 - see above
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    metric = family.metric
    name, names = metric.exposed_name, [exposed(label) for label in metric.labels]
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(name, metric.meaning, labels=names)
        bounds = [*map(str, family.bounds), "+Inf"]
        for labels, value in family.values.items():
            assert isinstance(value, Distribution)  # noqa: S101 - a histogram's family has no other values
            histogram.add_metric(labels, list(zip(bounds, accumulate(value.counts), strict=True)), value.sum)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    told = kind(name, metric.meaning, labels=names)
    for labels, value in family.values.items():
        assert not isinstance(value, Distribution)  # noqa: S101 - and no other family has these
        told.add_metric(labels, value)
    return told
