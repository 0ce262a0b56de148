"""The AsyncAPI document says what is on the topics: the events as they are encoded, in the envelope that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from eventgraph.describing import asyncapi
from eventgraph.describing.schema_files import stale
from eventkernel.adapters.kafka.records import to_message
from eventkernel.events import COMMAND_REFUSED, COMMAND_REMEMBERED, FENCE, STREAM_RESUMED, DomainEvent, Personal, Record
from eventkernel.writing.codec import Codec
from eventkernel.writing.fences import fence
from kithgraph.system import SOCIAL_NETWORK
from subgraphs.friends.domain import EVENT_TYPES as FRIENDS_EVENT_TYPES
from subgraphs.friends.domain import FriendAdded, FriendRemoved
from subgraphs.users.domain import EVENT_TYPES as USERS_EVENT_TYPES
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated

DOCUMENT: dict[str, Any] = json.loads(asyncapi.document(SOCIAL_NETWORK))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]

EVENTS = [
    UserCreated(first_name="Ada", last_name="Lovelace"),
    UserCreated(first_name="Ada", last_name="Lovelace", username="ada"),
    UserUpdated(last_name="King", username_removed=True),
    UserDeleted(),
    FriendAdded(users=("user-1", "user-2")),
    FriendRemoved(users=("user-1", "user-2"), reason="by hand"),
]


def fits(value: object, schema: dict[str, Any]) -> bool:
    """Whether a value is what a schema says, as far as this document's schemas go (JSON Schema, draft 07)."""
    if "$ref" in schema:
        return fits(value, SCHEMAS[schema["$ref"].removeprefix("#/components/schemas/")])
    if "anyOf" in schema and not any(fits(value, choice) for choice in schema["anyOf"]):
        return False
    kind = {"object": dict, "string": str, "boolean": bool, "array": list, "null": type(None)}.get(
        schema.get("type", "")
    )
    if kind is not None and not isinstance(value, kind):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return set(schema.get("required", ())) <= value.keys() and all(
            fits(value[name], properties[name]) for name in value.keys() & properties.keys()
        )
    if isinstance(value, list):
        items = schema["items"]
        return len(value) == len(items) and all(map(fits, value, items))
    return value in schema.get("enum", [value]) and (
        "pattern" not in schema or (isinstance(value, str) and re.search(schema["pattern"], value) is not None)
    )


def refers(node: object) -> list[str]:
    if isinstance(node, dict):
        return [*([node["$ref"]] if "$ref" in node else []), *(ref for child in node.values() for ref in refers(child))]
    return [ref for child in node for ref in refers(child)] if isinstance(node, list) else []


def headers_of(record: Record) -> dict[str, str]:
    return {name: value.decode() for name, value in to_message(record).headers}


def test_every_topic_has_its_events_and_what_the_kernel_adds() -> None:
    added = {COMMAND_REMEMBERED, COMMAND_REFUSED, STREAM_RESUMED, FENCE}
    topics = {name: channel["messages"].keys() for name, channel in DOCUMENT["channels"].items()}
    assert topics == {
        "users": {"users.UserCreated", "users.UserUpdated", "users.UserDeleted"} | added,
        "friends": {"friends.FriendAdded", "friends.FriendRemoved"} | added,
    }


def test_whatever_is_referred_to_is_there() -> None:
    for reference in refers(DOCUMENT):
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_as_it_is_encoded_is_what_its_schema_says(event: DomainEvent) -> None:
    encoded = Codec([*USERS_EVENT_TYPES, *FRIENDS_EVENT_TYPES]).encode(event, "user-1")
    payload = MESSAGES[encoded.type]["payload"]
    data = json.loads(encoded.data)
    assert data.keys() <= payload["properties"].keys()
    assert fits(data, payload)
    for required in payload.get("required", ()):
        assert not fits({name: value for name, value in data.items() if name != required}, payload)


def test_an_encrypted_field_is_what_its_schema_says_where_it_is_personal() -> None:
    encrypted = {"$person": "user-1", "$encrypted": "…"}
    assert fits({"first_name": encrypted, "last_name": "L", "username": None}, MESSAGES["users.UserCreated"]["payload"])
    assert not fits({"users": encrypted}, MESSAGES["friends.FriendAdded"]["payload"])


def test_a_records_headers_are_what_the_envelope_says() -> None:
    record = Record(
        log="users.x7f3k2q9", partition=0, offset=1, id="user-1@1", type="users.UserCreated", time_us=0,
        stream="user-1", version=1, first_version=1, commit_size=1, command_id="c", fingerprint="f", actor="me",
    )  # fmt: skip
    envelope = SCHEMAS["envelope"]
    for headers in (headers_of(record), headers_of(fence("users.x7f3k2q9", 0, 1, "ab" * 32, 0))):
        assert headers.keys() <= envelope["properties"].keys()
        assert fits(headers, envelope)
        for required in envelope["required"]:
            assert not fits({name: value for name, value in headers.items() if name != required}, envelope)
    assert not fits(headers_of(record) | {"ce_streamversion": "one"}, envelope)


def test_a_fence_carries_what_its_schema_says() -> None:
    data = json.loads(fence("users.x7f3k2q9", 0, 1, "ab" * 32, 0).data)
    assert fits(data, MESSAGES[FENCE]["payload"])
    assert data.keys() == MESSAGES[FENCE]["payload"]["properties"].keys()


class Renamed(DomainEvent, frozen=True, tag="doors.Unlocked"):
    old_names: ClassVar = ("doors.Opened", "doors.SetOpen")


def test_a_type_that_was_renamed_is_described_with_its_old_names() -> None:
    message = asyncapi.message_of(Renamed)
    assert message["name"] == "doors.Unlocked"
    assert message["headers"]["allOf"][1] == {
        "properties": {"ce_type": {"enum": ["doors.Unlocked", "doors.Opened", "doors.SetOpen"]}}
    }
    assert message["description"] == "Older records have the type doors.Opened or doors.SetOpen, and mean the same."
    assert message["payload"]["properties"] == {}
    assert "description" not in asyncapi.message_of(FriendAdded)


class Street(msgspec.Struct):
    name: str
    crossing: list[Street] = []


class Housed(DomainEvent, frozen=True, tag="club.Housed"):
    home: Street
    others: Annotated[tuple[Street, ...], Personal()] = ()


def test_types_inside_of_an_event_stand_where_they_are_used_and_nothing_refers_to_nowhere() -> None:
    payload = asyncapi.message_of(Housed)["payload"]
    home = payload["properties"]["home"]
    assert (home["type"], home["required"], home["properties"]["name"]) == ("object", ["name"], {"type": "string"})
    assert home["properties"]["crossing"]["items"] == {}
    assert payload["properties"]["others"]["anyOf"][0]["items"]["required"] == ["name"]
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(payload))) == {"#/components/schemas/encrypted"}


def test_the_file_in_the_repository_is_this_document() -> None:
    root = Path(__file__).parents[3]
    assert root / "asyncapi.json" not in stale(SOCIAL_NETWORK, root)


def test_a_file_that_is_missing_or_differs_is_stale(tmp_path: Path) -> None:
    file = tmp_path / "asyncapi.json"
    assert file in stale(SOCIAL_NETWORK, tmp_path)
    file.write_text(asyncapi.document(SOCIAL_NETWORK))
    assert file not in stale(SOCIAL_NETWORK, tmp_path)
    file.write_text(asyncapi.document(SOCIAL_NETWORK).replace("users.UserCreated", "users.UserMade"))
    assert file in stale(SOCIAL_NETWORK, tmp_path)
