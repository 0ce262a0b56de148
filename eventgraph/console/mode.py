"""What a console does."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    OFF = "off"
    READ_ONLY = "read-only"
    """It shows how the system is and what stands on the logs, without the events' data."""
    ON = "on"
    """It also shows the events' data, and carries out orders."""
