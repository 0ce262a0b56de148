"""What the environment says of traces, by OpenTelemetry's variables.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from graphrouter.telemetry.tracing import Recorder, Tracing

_PARENT: Final = "parentbased_"
_RATIOS: Final = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}
"""What is recorded of traces that begin here, by the sampler; None: what its argument says."""

_log: Final = logging.getLogger("graphrouter.tracing")


class TracingUnavailable(Exception):
    """Traces are asked for, and cannot be exported."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Whether traces are exported, and which. `endpoint` is where to, if not where the environment says."""

    enabled: bool = False
    endpoint: str | None = None
    ratio: float = 1.0
    follows_parents: bool = True
    """Whether a parent that is trusted decides; its trace is gone on with in either case."""

    @classmethod
    def read(
        cls,
        *,
        endpoint: str | None = None,
        ratio: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> TracingSettings:
        """What is given wins over the environment. An endpoint turns tracing on, `OTEL_SDK_DISABLED` turns it off.

        Raises:
            TracingUnavailable: another protocol than OTLP over HTTP is asked for.
        """

        variables = os.environ if environment is None else environment

        def said(*names: str) -> str:
            return next((text for name in names if (text := variables.get(name, "").strip())), "")

        there = endpoint or said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        exporter = said("OTEL_TRACES_EXPORTER") or "otlp"
        if said("OTEL_SDK_DISABLED").lower() == "true" or exporter == "none":
            return cls()
        if exporter != "otlp":
            _log.warning("OTEL_TRACES_EXPORTER: expected otlp or none, found %r: nothing is traced", exporter[:50])
            return cls()
        if not there:
            return cls()
        protocol = said("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
        if protocol != "http/protobuf":
            raise TracingUnavailable(f"OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf, found {protocol[:50]!r}")
        sampler = said("OTEL_TRACES_SAMPLER").lower() or "parentbased_always_on"
        own = sampler.removeprefix(_PARENT)
        if own not in _RATIOS:
            # As its specification has it: a wrong value is told, and the default holds.
            _log.warning("OTEL_TRACES_SAMPLER: expected a sampler that is known, found %r", sampler[:50])
            sampler, own = "parentbased_always_on", "always_on"
        found = _RATIOS[own]
        if ratio is not None:
            found = ratio
        elif found is None:
            found = _ratio(said("OTEL_TRACES_SAMPLER_ARG"))
        return cls(enabled=True, endpoint=endpoint, ratio=found, follows_parents=sampler.startswith(_PARENT))

    @contextmanager
    def recording(self, service: str, version: str) -> Generator[Recorder | None]:
        """What records the spans of this process, which has this name; None where nothing is to be recorded.

        Raises:
            TracingUnavailable: what exports them is not installed.
        """
        if not self.enabled:
            yield None
            return
        try:
            from graphrouter.telemetry.otlp import OtlpRecorder  # noqa: PLC0415 - only where it is asked for
        except ImportError as error:
            expected = "expected the extra tracing (graphrouter[tracing]) to be installed"
            raise TracingUnavailable(f"traces are to be exported: {expected}, found no {error.name}") from error
        recorder = OtlpRecorder(service, version, self.endpoint)
        try:
            yield recorder
        finally:
            recorder.close()

    def tracing(self, recorder: Recorder | None, *, trusts_parents: bool) -> Tracing | None:
        """Of an endpoint whose callers are trusted, or not; None without a recorder."""
        if recorder is None:
            return None
        return Tracing(recorder, self.ratio, trusts_parents=trusts_parents, follows_parents=self.follows_parents)


def _ratio(text: str) -> float:
    try:
        found = float(text or "1")
    except ValueError:
        found = -1
    if not 0 <= found <= 1:
        _log.warning("OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, found %r", text[:50])
        return 1.0
    return found
