"""What a router and its neighbours tell of themselves: counts that are read when somebody asks for them."""

from graphrouter.telemetry.exposition import metrics_app, metrics_route
from graphrouter.telemetry.process import ProcessMetrics
from graphrouter.telemetry.router import RouterMetrics, caches

__all__ = ["ProcessMetrics", "RouterMetrics", "caches", "metrics_app", "metrics_route"]
