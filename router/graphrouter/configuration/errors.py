"""What is wrong with a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_LONGEST: Final = 200


class ConfigurationError(Exception):
    """A configuration that is refused: `findings` has a line for each fault, with its place, never with a secret."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = tuple(findings)


class Unreadable(ConfigurationError):
    """A file that the configuration names, or the configuration's own, cannot be read."""


def shown(value: object) -> str:
    """A value as a message repeats it."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def dotted(path: Sequence[str]) -> str:
    """A key as a message repeats it."""
    text = ".".join(path)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
