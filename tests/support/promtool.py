"""Prometheus' own judgement of metrics: `promtool check metrics` (Debian's package `prometheus`)."""

from __future__ import annotations

import asyncio

from tests.support.installed import installed

_OF_OPENTELEMETRY = (
    'process_open_file_descriptor_count non-histogram and non-summary metrics should not have "_count" suffix\n'
)
"""Said of a name that is OpenTelemetry's."""


async def remarks(text: str) -> str:
    """What it has to say of metrics in Prometheus' text format; nothing where they are right, also as OpenTelemetry
    has it."""
    process = await asyncio.create_subprocess_exec(
        installed("promtool", "prometheus"),
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(text.encode())
    return said.decode().replace(_OF_OPENTELEMETRY, "")
