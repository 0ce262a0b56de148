"""The AsyncAPI document of the topics and their events, for people and programs that read them from Kafka.

https://www.asyncapi.com/docs/reference/specification/v3.0.0

Everything in it comes from the code: the event types' classes, and the envelope. Attributes are Kafka headers and so
are texts, numbers too; the data are JSON. Schemas are draft 07, which is what AsyncAPI's own schema format extends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from eventgraph.describing.event_schemas import data_schema, personal_fields, untitled
from eventgraph.system import EventTypes, System
from eventkernel.events import COMMAND_REFUSED, COMMAND_REMEMBERED, FENCE, STREAM_RESUMED, DomainEvent
from eventkernel.writing.codec import EventType
from eventkernel.writing.envelope import attributes_schema
from eventkernel.writing.fences import FenceData
from eventkernel.writing.refusals import Refused

_Json = dict[str, Any]

_BINDING_VERSION: Final = "0.5.0"
_ENVELOPE: Final = {"$ref": "#/components/schemas/envelope"}
_ENCRYPTED: Final = {"$ref": "#/components/schemas/encrypted"}


def document(system: System) -> str:
    """The document of a system's topics as JSON text."""
    topics = {subgraph.name: _classes(subgraph.events) for subgraph in system.subgraphs if subgraph.owns_log}
    whole: _Json = {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{system.title}'s events",
            "version": system.version,
            "description": (
                "Each subgraph that owns data has one topic, which is its event log: never compacted, never expired. "
                "Every message is a CloudEvents 1.0 event in Kafka's binary mode. docs/events.md specifies the "
                "envelope: what its attributes mean, and that readers pass over repeated versions of a stream and, "
                "behind a fence, over older generations."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name, event_types, system) for name, event_types in topics.items()},
        "operations": {f"publish-{name}": _operation(name) for name in topics},
        "components": {
            "messages": _messages(topics),
            "messageTraits": {"record": _record_trait()},
            "schemas": {"envelope": _envelope(), "encrypted": _encrypted()},
        },
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _channel(name: str, event_types: Iterable[type[DomainEvent]], system: System) -> _Json:
    tags = [
        *(_tag(event_type) for event_type in event_types),
        COMMAND_REMEMBERED,
        COMMAND_REFUSED,
        STREAM_RESUMED,
        FENCE,
    ]
    return {
        "address": "{system}." + name,
        "description": f"The log of the subgraph {name}, in order per stream; a stream stays in one partition.",
        "parameters": {
            "system": {
                "description": f"The name of the installation (setting {system.prefix}NAME).",
                "default": system.mark,
            }
        },
        "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in tags},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1},
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _classes(event_types: EventTypes) -> list[type[DomainEvent]]:
    return [one.event if isinstance(one, EventType) else one for one in event_types]


def _operation(name: str) -> _Json:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": f"The subgraph {name} is the only one that writes here.",
    }


def _messages(topics: Mapping[str, Iterable[type[DomainEvent]]]) -> _Json:
    described = {
        _tag(event_type): message_of(event_type) for event_types in topics.values() for event_type in event_types
    }
    described[COMMAND_REMEMBERED] = _message(
        COMMAND_REMEMBERED, "A command that changed nothing, so that its id is remembered.", {"type": "object"}
    )
    (refused,) = msgspec.json.schema_components([Refused])[1].values()
    described[COMMAND_REFUSED] = _message(
        COMMAND_REFUSED, "A command that was refused, so that it has no other answer.", untitled(refused)
    )
    described[STREAM_RESUMED] = _message(
        STREAM_RESUMED,
        "An operator has let a stream go on that had a gap: later versions that stand before this have no effect.",
        {"type": "object", "properties": {"reason": {"type": "string"}}, "required": ["reason"]},
    )
    (fence,) = msgspec.json.schema_components([FenceData])[1].values()
    described[FENCE] = _message(
        FENCE, "The first record of each partition, and of each generation in it.", untitled(fence)
    )
    return described


def message_of(event_type: type[DomainEvent]) -> _Json:
    """The message of an event type, under its tag; its old names are named."""
    return _message(_tag(event_type), vars(event_type)["__doc__"], _payload(event_type), event_type.old_names)


def _message(tag: str, summary: str | None, payload: _Json, old_names: Sequence[str] = ()) -> _Json:
    renamed = f"Older records have the type {' or '.join(old_names)}, and mean the same."
    return {
        "name": tag,
        "title": tag,
        **({"summary": " ".join(summary.split())} if summary else {}),
        **({"description": renamed} if old_names else {}),
        "traits": [{"$ref": "#/components/messageTraits/record"}],
        "headers": {"type": "object", "allOf": [_ENVELOPE, {"properties": {"ce_type": _one_of(tag, *old_names)}}]},
        "payload": payload,
    }


def _one_of(*names: str) -> _Json:
    return {"const": names[0]} if len(names) == 1 else {"enum": list(names)}


def _record_trait() -> _Json:
    key = {"type": "string", "description": "The stream (ce_subject); a fence has none."}
    return {
        "contentType": "application/json",
        "bindings": {"kafka": {"key": key, "bindingVersion": _BINDING_VERSION}},
    }


def _payload(event_type: type[DomainEvent]) -> _Json:
    """The schema of an event's data, of which a personal field may be encrypted."""
    payload = data_schema(event_type)
    for name in personal_fields(event_type):
        clear = payload["properties"][name]
        payload["properties"][name] = {"description": "Personal data.", "anyOf": [clear, _ENCRYPTED]}
    return payload


def _envelope() -> _Json:
    properties, always = attributes_schema()
    return {
        "type": "object",
        "properties": {_header(name): _as_text(described) for name, described in properties.items()},
        "required": [_header(name) for name in always],
    }


def _header(attribute: str) -> str:
    return "content-type" if attribute == "datacontenttype" else f"ce_{attribute}"


def _as_text(described: Mapping[str, object]) -> _Json:
    """An attribute as a header: text, and left out where it has no value."""
    if described.get("type") == "integer":
        return {"type": "string", "pattern": "^[0-9]+$"}
    return {"type": "string"} | {name: value for name, value in described.items() if name in {"enum", "minLength"}}


def _encrypted() -> _Json:
    return {
        "description": "A personal field in a log with a cipher: whose key, and the ciphertext.",
        "type": "object",
        "properties": {
            "$person": {"type": "string"},
            "$encrypted": {"type": "string"},
            "$json": {"type": "boolean", "description": "Whether the clear text is JSON, of a value that is no text."},
        },
        "required": ["$person", "$encrypted"],
    }


def _tag(event_type: type[DomainEvent]) -> str:
    return str(event_type.__struct_config__.tag)
