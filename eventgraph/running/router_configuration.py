"""The configuration of a system's router: that of any router, except for what the system itself says or knows.

Its models take a tenth of a second to import, so only a router that is configured imports this.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graphrouter import RouterOptions
from graphrouter.configuration import ConfigurationError, Loaded, load
from graphrouter.server.reloading import NotUsable

_SETTINGS_OF_THE_SYSTEM: Final = (
    "supergraph",
    "composition",
    "server.host",
    "server.port",
    "server.log_level",
    "server.log_format",
    "server.access_log",
    "server.connections",
    "metrics.enabled",
    "metrics.host",
    "metrics.port",
    "tracing",
)
"""Keys of a router's configuration that have no meaning here."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What a configuration makes of the system's options."""

    options: RouterOptions
    files: frozenset[Path]
    prepared: int
    prepared_seconds: float


def configured(options: RouterOptions, file: Path | None, subgraphs: Collection[str]) -> Configured:
    """The options with what the file, and over it the environment, says of them.

    Raises:
        NotUsable: the configuration is refused, says what a system's router cannot be told, or names what cannot be
            used.
    """
    try:
        loaded = load(file)
    except ConfigurationError as error:
        raise NotUsable(str(error)) from error
    if misplaced := _misplaced(loaded, subgraphs):
        raise NotUsable(misplaced, loaded.files)
    try:
        made = loaded.configuration.options(options)
    except ValueError as error:
        raise NotUsable(str(error), loaded.files) from error
    reload = loaded.configuration.reload
    return Configured(made, loaded.files, reload.prepared_operations, reload.prepared_seconds)


def _misplaced(loaded: Loaded, subgraphs: Collection[str]) -> str:
    """What the configuration says of things that are the system's to say."""
    for key in _SETTINGS_OF_THE_SYSTEM:
        if place := loaded.given_within(tuple(key.split("."))):
            return f"{place}: {key}: expected keys of a system's router, found one that the system sets itself"
    for name, subgraph in loaded.configuration.subgraphs.items():
        place = loaded.place_of(("subgraphs", name))
        if name not in subgraphs:
            known = ", ".join(sorted(subgraphs))
            return f"{place}: subgraphs: expected one of {known}, found {name[:100]!r}"
        if subgraph.url is not None:
            place = loaded.place_of(("subgraphs", name, "url"))
            return f"{place}: subgraphs.{name}.url: expected no URL, because the system sets it"
    return ""
