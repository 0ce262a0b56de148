"""What a version of a system promises, as plain values: events, schemas, settings, names. `released.json` keeps those
of the last release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from graphql import print_schema
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from eventgraph.describing.event_schemas import Json, data_schema, draft_07, personal_fields, tags_of_fields
from eventgraph.describing.schema_files import supergraph_sdl
from eventgraph.running.settings import (
    ArchiveSettings,
    ConsoleProcessSettings,
    EngineSettings,
    ServeSettings,
    Settings,
    SubgraphUrls,
    settings_of,
)
from eventgraph.system import Subgraph, System
from eventkernel.events import DomainEvent
from eventkernel.reacting.reactions import Reactions
from eventkernel.writing.codec import EventType
from graphrouter.supergraph import read_supergraph

FILE: Final = "released.json"

_SETTINGS: Final[Mapping[str, type[BaseSettings]]] = {
    "up": Settings,
    "serve": ServeSettings,
    "console": ConsoleProcessSettings,
    "serve router": SubgraphUrls,
    "engines": EngineSettings,
    "archive": ArchiveSettings,
}
"""By what they are read for: a setting may have another default in another command."""
_HIDDEN: Final = str(SecretStr("x"))


class EventDescription(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A type of event, as its owner or a reader declares it."""

    schema: Json
    """Of its data in clear text (JSON Schema, draft 07)."""
    schema_version: int = 1
    old_names: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    """The fields that are encrypted where there is a cipher."""
    tags: dict[str, str] = {}
    """The names of tags, by field."""
    omits_defaults: bool = False
    """Whether a field that has its default is left out where it is written."""
    upcasters: tuple[int, ...] = ()
    """The schema versions from which an upcaster leads on."""


class AggregateDescription(msgspec.Struct, frozen=True):
    prefix: str
    """What its streams' names begin with."""
    events: tuple[str, ...]


class SubgraphDescription(msgspec.Struct, frozen=True):
    sdl: str
    aggregates: dict[str, AggregateDescription] = {}
    events: dict[str, EventDescription] = {}
    """Of the log that it owns, by their tags."""
    reads: dict[str, dict[str, EventDescription]] = {}
    """What it takes from the logs of others: by log and tag."""
    processes: dict[str, tuple[str, ...]] = {}
    """Its process managers: the tags of the types that they react to."""


class SettingDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    schema: Json
    default: Any = None
    required: bool = False


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of a system promises."""

    format: Literal[1] = 1
    system: str
    version: str
    installation: str
    """What its topics, databases and groups begin with by default; the mark of its data folders."""
    subgraphs: dict[str, SubgraphDescription]
    settings: dict[str, dict[str, SettingDescription]]
    """By command, then by variable."""
    operations: dict[str, str] = {}
    """The playground's prepared examples, by title: what the version's own clients ask."""
    api: str
    """The SDL that clients see."""


def describe(system: System) -> Description:
    """What a system promises now."""
    api = read_supergraph(supergraph_sdl(system, system.urls)).with_defer().api_schema
    return Description(
        system=system.name,
        version=system.version,
        installation=system.mark,
        subgraphs={subgraph.name: _subgraph(subgraph) for subgraph in system.subgraphs},
        settings={command: _settings(settings_of(system, kind)) for command, kind in _SETTINGS.items()},
        operations={one.title: one.query for one in system.examples()},
        api=print_schema(api),
    )


def text_of(description: Description) -> str:
    """The description as JSON."""
    return msgspec.json.format(msgspec.json.encode(description), indent=2).decode() + "\n"


def read_description(path: Path) -> Description:
    """A description that was kept.

    Raises:
        ValueError: there is none, or it is of another format; the message says what is wrong.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Description)
    except OSError as error:
        raise ValueError(f"{path}: expected the description of a release, found none: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: expected the description of a release, found: {str(error)[:200]}") from error


def _subgraph(subgraph: Subgraph[Any]) -> SubgraphDescription:
    return SubgraphDescription(
        sdl=subgraph.api().schema.as_str(),
        aggregates={
            one.name: AggregateDescription(one.prefix, tuple(_events(one.events))) for one in subgraph.aggregates
        },
        events=_events(subgraph.events, subgraph.upcasters),
        reads={log: _events(types) for log, types in subgraph.reads.items()},
        processes={one.name: _reacts_to(one) for one in subgraph.processes},
    )


def _events(
    event_types: Iterable[type[DomainEvent] | EventType], upcasters: Iterable[tuple[str, int]] = ()
) -> dict[str, EventDescription]:
    declared = [one if isinstance(one, EventType) else EventType(one) for one in event_types]
    by_tag = {str(one.event.__struct_config__.tag): one for one in declared}
    return {
        tag: _event(one, tuple(sorted(version for upcast, version in upcasters if upcast == tag)))
        for tag, one in by_tag.items()
    }


def _event(declared: EventType, upcasters: tuple[int, ...]) -> EventDescription:
    return EventDescription(
        schema=data_schema(declared.event),
        schema_version=declared.schema_version,
        old_names=tuple(declared.event.old_names),
        personal=tuple(personal_fields(declared.event)),
        tags=dict(tags_of_fields(declared.event)),
        omits_defaults=declared.event.__struct_config__.omit_defaults,
        upcasters=upcasters,
    )


def _reacts_to(process: Reactions[Any]) -> tuple[str, ...]:
    return tuple(sorted({str(one.__struct_config__.tag) for one in (*process.steps, *process.deadlines)}))


def _settings(kind: type[BaseSettings]) -> dict[str, SettingDescription]:
    whole: Json = kind.model_json_schema()
    prefix = str(kind.model_config.get("env_prefix", ""))
    components: Mapping[str, Json] = whole.get("$defs", {})
    return {
        f"{prefix}{name}".upper(): _setting(draft_07(schema, components), name in whole.get("required", ()))
        for name, schema in whole["properties"].items()
    }


def _setting(schema: Json, required: bool) -> SettingDescription:
    kept = {word: value for word, value in schema.items() if word not in {"title", "description", "default"}}
    default = schema.get("default")
    return SettingDescription(kept, "(a secret)" if default == _HIDDEN else default, required)
