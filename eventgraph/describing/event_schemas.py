"""The JSON Schema of an event's data, and which of its fields are personal or tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from eventkernel.events import DomainEvent, Personal, Tag

Json = dict[str, Any]


def data_schema(event_type: type[DomainEvent]) -> Json:
    """The schema (draft 07) of an event's data: its fields in clear text, without its type, which is an attribute."""
    (whole,), components = msgspec.json.schema_components([event_type])
    schema = components.pop(whole["$ref"].rpartition("/")[2])
    properties = {name: draft_07(one, components) for name, one in schema["properties"].items() if name != "type"}
    required = [name for name in schema["required"] if name != "type"]
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def personal_fields(event_type: type[DomainEvent]) -> Sequence[str]:
    """The fields that hold personal data, as JSON has them."""
    marks = _marks(event_type)
    return [name for name, found in marks.items() if any(isinstance(mark, Personal) for mark in found)]


def tags_of_fields(event_type: type[DomainEvent]) -> Mapping[str, str]:
    """The names of the tags that fields give, by field, as JSON has it."""
    marks = _marks(event_type)
    return {name: mark.name for name, found in marks.items() for mark in found if isinstance(mark, Tag)}


def _marks(event_type: type[DomainEvent]) -> Mapping[str, Sequence[object]]:
    names = {field.name: field.encode_name for field in msgspec.structs.fields(event_type)}
    hints = get_type_hints(event_type, include_extras=True)
    return {
        names[name]: get_args(hint)[1:]
        for name, hint in hints.items()
        if name in names and get_origin(hint) is Annotated
    }


def draft_07(schema: Json | list[Any] | str | float | None, components: Mapping[str, Json]) -> Any:
    """A schema by itself: types that it names are put in their places (one that holds itself is any value there), and
    a tuple's items have another name (`prefixItems` came with draft 2020-12)."""
    if isinstance(schema, list):
        return [draft_07(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        others = {other: described for other, described in components.items() if other != name}
        return draft_07(untitled(components.get(name, {})), others)
    found = {name: draft_07(described, components) for name, described in schema.items()}
    if "prefixItems" not in found:
        return found
    rest = {name: value for name, value in found.items() if name not in {"prefixItems", "items"}}
    return rest | {"items": found["prefixItems"], "additionalItems": False}


def untitled(schema: Json) -> Json:
    return {name: value for name, value in schema.items() if name not in {"title", "description"}}
