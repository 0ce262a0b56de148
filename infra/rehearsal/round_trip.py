"""A client of the running system: users, friendships, a recommendation, each answer no older than the one before."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, TypeAlias

from infra.rehearsal.machine import RehearsalError

Json: TypeAlias = Any

_PATIENCE_SECONDS = 60.0
_CREATE_USER = """
mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id firstName } } }"""
_ADD_FRIEND = """
mutation ($input: AddFriendInput!) { addFriend(input: $input) { friendship { id } } }"""
_RECOMMENDATIONS = """
query ($id: ID!) { recommendations(userId: $id) { user { firstName } mutualFriendCount } }"""


class Client:
    """Keeps the bookmark, as a client that wants to read what it has written."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._bookmark = ""

    def ask(self, document: str, **variables: object) -> Mapping[str, object]:
        """The data of an answer; asked again for a minute while the answer is that it would be out of date.

        Raises:
            RehearsalError: it has errors.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        answer = self._send(document, variables)
        while _out_of_date(answer) and time.monotonic() < deadline:
            answer = self._send(document, variables)
        if "errors" in answer:
            raise RehearsalError(f"the router answered with errors: {json.dumps(answer['errors'])}")
        self._bookmark = answer["extensions"]["bookmark"]
        data: Mapping[str, object] = answer["data"]
        return data

    def _send(self, document: str, variables: Mapping[str, object]) -> dict[str, Json]:
        body = json.dumps({"query": document, "variables": variables}).encode()
        headers = {"Content-Type": "application/json", "Bookmark": self._bookmark}
        request = urllib.request.Request(self._endpoint, body, headers)  # noqa: S310 - our own endpoint
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - as above
            answer: dict[str, Json] = json.load(response)
        return answer


def write_and_read(client: Client) -> str:
    """Make Ada, Bob and Cy, who have Bob between them; see Cy recommended to Ada. Ada's id."""
    ids = [
        _id_of(client.ask(_CREATE_USER, input={"firstName": name, "lastName": "Li"})) for name in ("Ada", "Bob", "Cy")
    ]
    ada, bob, cy = ids
    client.ask(_ADD_FRIEND, input={"userId": ada, "friendId": bob})
    client.ask(_ADD_FRIEND, input={"userId": bob, "friendId": cy})
    read(client, ada)
    return ada


def read(client: Client, ada: str) -> None:
    """See that Cy is recommended to Ada.

    Raises:
        RehearsalError: nobody is, or somebody else.
    """
    found = client.ask(_RECOMMENDATIONS, id=ada)["recommendations"]
    expected = [{"user": {"firstName": "Cy"}, "mutualFriendCount": 1}]
    if found != expected:
        raise RehearsalError(f"recommendations: expected {expected}, found {found}")


def _out_of_date(answer: dict[str, Json]) -> bool:
    return any(error["extensions"]["code"] == "OUT_OF_DATE" for error in answer.get("errors", []))


def _id_of(data: Mapping[str, object]) -> str:
    match data:
        case {"createUser": {"user": {"id": str(found)}}}:
            return found
        case _:
            raise RehearsalError(f"createUser: expected a user with an id, found {data}")
