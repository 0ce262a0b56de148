"""Where log lines go: standard error, one line each, readable by people on a terminal and by machines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from eventgraph.running.settings import LogLevel
from graphrouter.server.logs import set_access_log, trace_ids

_ACCESS: Final = ("graphrouter.access", "subgraphs.access")


def log_to_stderr(level: LogLevel, *, access: bool | None = None) -> None:
    """`access` says whether each request has a line; None: as the level says."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries log (uvicorn, asyncio, the router) by the standard library's logging takes the same way.
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _with_trace,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in _ACCESS:
        set_access_log(logging.getLogger(name), access)
    # It tells of every attempt at every connection, thousands a minute while brokers are away. Whoever uses it reports
    # the same failures with what they mean, once when they begin and once when they are over (`Troubles`).
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _with_trace(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The line, with the ids of the trace and of the span that the task is in."""
    return {**line, **trace_ids()}
