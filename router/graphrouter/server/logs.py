"""Log lines on standard error, as text for people or as JSON for machines, with the trace that they belong to."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final, Literal

import orjson

from graphrouter.http.endpoint import ACCESS
from graphrouter.telemetry.tracing import CURRENT

Format = Literal["text", "json"]

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(level: str, shape: Format, access: bool | None) -> None:
    """`level` is in lower case; `access` as for `set_access_log`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if shape == "json" else _Text(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    set_access_log(ACCESS, access)


def set_access_log(access: logging.Logger, wanted: bool | None) -> None:
    """Whether each request has a line, whatever the level of all others; None: where that is `info` or below."""
    access.setLevel({None: logging.NOTSET, True: logging.INFO, False: logging.WARNING}[wanted])


def trace_ids() -> dict[str, str]:
    """The ids of the trace and of the span that the task is in; empty where nothing is traced."""
    here = CURRENT.get()
    return {} if here is None else {"trace_id": here.context.trace_id, "span_id": here.context.span_id}


class _Text(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        ids = "".join(f" {name}={value}" for name, value in trace_ids().items())
        return super().formatMessage(record) + ids


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **trace_ids(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()
