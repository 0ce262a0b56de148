"""The oracle of the social network: ten lines a question, straight from the events; imports nothing of the product."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Network:
    """What a fold of both logs says: who there is, who is friends with whom."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    friends: dict[str, set[str]] = field(default_factory=dict)

    def recommendations(self, user: str) -> list[tuple[str, list[str]]]:
        """(candidate, mutual friends), most mutual friends first, ties by id."""
        friends = self.friends.get(user, set())
        between: dict[str, list[str]] = {}
        for friend in sorted(friends):
            for candidate in self.friends[friend] - friends - {user}:
                between.setdefault(candidate, []).append(friend)
        return sorted(between.items(), key=lambda row: (-len(row[1]), row[0]))


def fold(lines: Iterable[str]) -> Network:
    """From CloudEvents JSON lines, each log's in its order; logs in any order."""
    users: dict[str, dict[str, Any]] = {}
    pairs: set[tuple[str, str]] = set()
    versions: Counter[str] = Counter()
    for line in lines:
        event = json.loads(line)
        kind, stream, data = event["type"], event["subject"], event.get("data", {})
        if not kind.startswith(("users.", "friends.")):
            continue
        versions[stream] += 1
        assert event["streamversion"] == versions[stream], f"{stream} forks or has a gap"
        subject = stream.split("-", 1)[1]
        match kind:
            case "users.UserCreated":
                users[subject] = {"id": subject, "version": 1, **names(data)}
            case "users.UserUpdated":
                users[subject] |= {"version": versions[stream], **names(data)}
            case "users.UserDeleted":
                del users[subject]
            case "friends.FriendAdded":
                one, other = subject.split("~")
                pairs.add((one, other))
            case "friends.FriendRemoved":
                one, other = subject.split("~")
                pairs.remove((one, other))
            case _:
                raise AssertionError(f"an event that the oracle does not know: {kind}")
    friends: dict[str, set[str]] = {}
    for one, other in pairs:
        if one in users and other in users:
            friends.setdefault(one, set()).add(other)
            friends.setdefault(other, set()).add(one)
    return Network(users, friends)


def names(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a user that an event sets."""
    spelled = {"first_name": "firstName", "last_name": "lastName", "username": "username"}
    given = {name: data[key] for key, name in spelled.items() if data.get(key) is not None}
    return given | ({"username": None} if data.get("username_removed") else {})
