"""What must hold of every history, asked of bare data: the messages on the logs, and what clients were told.

Nothing of the product is imported here: the log is read by `logs.py`, bookmarks as docs/bookmarks.md has them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from tests.simulation.logs import Entry, Log, commits


class AskedFor(Protocol):
    """The part of a client's operation that oracles look at."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def key(self) -> str: ...
    @property
    def slot(self) -> int: ...


class Told(Protocol):
    """What a client was told (`clients.Call`)."""

    @property
    def op(self) -> AskedFor: ...
    @property
    def outcome(self) -> str: ...
    @property
    def about(self) -> Sequence[str]: ...
    @property
    def stream(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def sent(self) -> str: ...
    @property
    def bookmark(self) -> str: ...
    @property
    def shown(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def began(self) -> float: ...
    @property
    def ended(self) -> float: ...
    @property
    def replica(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Violation:
    oracle: str
    words: str

    def __str__(self) -> str:
        return f"{self.oracle}: {self.words}"


LOST: Final = "nothing acknowledged is lost"
ONCE: Final = "one answer per key"
WHOLE: Final = "a commit is whole"
HOLDER: Final = "one holder per claim"
FOLD: Final = "views = fold"
EXPLAINED: Final = "every answer is explained by its bookmark"
REFUSED: Final = "a refusal has a reason"
REFILLED: Final = "a ledger is filled anew for a reason"
CONDITION: Final = "no append breaks the condition of another"
MONEY: Final = "money is constant"
PARKED: Final = "no stream waits for what is there"
ALIVE: Final = "it goes on by itself"

_TYPES: Final = {
    "create": "UserCreated",
    "update": "UserUpdated",
    "delete": "UserDeleted",
    "befriend": "FriendAdded",
    "unfriend": "FriendRemoved",
    "open": "Opened",
    "deposit": "Deposited",
    "transfer": "Asked",
    "book": "Booked",
}
_READS: Final = ("read", "look", "friends")


def lost(logs: Mapping[str, Log], calls: Iterable[Told]) -> Iterator[Violation]:
    """What was acknowledged is in effect, at the version that was told."""
    there = {(entry.stream, entry.version): entry for log in logs.values() for entry in log.entries}
    for call in calls:
        if call.outcome != "done" or call.op.kind in _READS:
            continue
        entry = there.get((call.stream, call.version))
        if entry is None:
            yield Violation(
                LOST, f"{call.stream} version {call.version}, acknowledged at {call.ended:.3f} s, is not there"
            )
        elif entry.type != _TYPES[call.op.kind] or _key_of(entry) not in ("", call.op.key):
            yield Violation(
                LOST, f"{call.stream} version {call.version} was acknowledged to key {call.op.key}, and is another's"
            )


def _key_of(entry: Entry) -> str:
    """The idempotency key that an event was asked for with, where its data says so."""
    return str(entry.data.get("first_name") or entry.data.get("key") or "")


def once(logs: Mapping[str, Log], calls: Sequence[Told]) -> Iterator[Violation]:
    """A command has one effect, and none where it was refused."""
    effects: dict[str, list[Entry]] = {}
    commands: dict[tuple[str, str], set[tuple[str, int]]] = {}
    for log in logs.values():
        for entry in log.entries:
            if _key_of(entry):
                effects.setdefault(_key_of(entry), []).append(entry)
            commands.setdefault((log.id, entry.command), set()).add((entry.stream, entry.first))
    for (_, command), places in commands.items():
        if len(places) > 1:
            yield Violation(ONCE, f"the command {command} has the effects {sorted(places)}")
    for call in calls:
        found = effects.get(call.op.key, [])
        if call.op.kind == "transfer":
            found = [
                entry for log in logs.values() for entry in log.entries if entry.stream == f"transfer-{call.op.key}"
            ]
            found = [entry for entry in found if entry.type == "Asked"]
        if len(found) > 1:
            yield Violation(ONCE, f"key {call.op.key} has {len(found)} effects")
        if found and call.outcome not in ("done", "unknown"):
            yield Violation(
                ONCE,
                f"key {call.op.key} was answered {call.outcome}, and has an effect: {found[0].stream} version "
                f"{found[0].version}",
            )


def refusals(logs: Mapping[str, Log], calls: Sequence[Told]) -> Iterator[Violation]:
    """A refusal has a reason on the logs: a username that somebody has had, a user who was deleted or not yet there, an
    account that was not open yet."""
    users = logs["users"].streams() if "users" in logs else {}
    had = {change.data.get("username"): stream for stream, changes in users.items() for change in changes}
    deleted = {stream for stream, changes in users.items() if changes[-1].type == "UserDeleted"}
    opened = {call.stream: call.ended for call in calls if call.op.kind == "open" and call.outcome == "done"}
    for call in calls:
        account = f"account-{call.op.slot}"
        if call.op.kind == "deposit" and call.outcome == "NOT_FOUND" and call.began > opened.get(account, call.began):
            yield Violation(REFUSED, f"key {call.op.key}: NOT_FOUND, and {account} was open before")
        if call.outcome == "USERNAME_TAKEN" and call.op.name not in had:
            yield Violation(REFUSED, f"key {call.op.key}: nobody has ever had the username {call.op.name}")
        if call.outcome == "NOT_FOUND" and call.op.kind in ("befriend", "update", "delete"):
            there = [stream for stream in call.about if stream in users and stream not in deleted]
            if len(there) == len(call.about):
                yield Violation(REFUSED, f"key {call.op.key}: NOT_FOUND, and {' and '.join(there)} are there")


def refilled(logs: Mapping[str, Log], before: Mapping[str, int]) -> Iterator[Violation]:
    """`before`: by system, the generation of its ledger at the start. Filling one costs as much as its log is long."""
    for system, log in logs.items():
        if log.generation > before.get(system, log.generation):
            yield Violation(
                REFILLED, f"that of {system} has the generation {log.generation}, and had {before[system]} at the start"
            )


def whole(logs: Mapping[str, Log]) -> Iterator[Violation]:
    for log in logs.values():
        for commit in commits(log):
            if len(commit) != commit[0].size:
                yield Violation(WHOLE, f"{len(commit)} of {commit[0].size} records of {commit[0].command}")


def holder(logs: Mapping[str, Log]) -> Iterator[Violation]:
    """At the end no two streams hold one claim."""
    for log in logs.values():
        holders: dict[str, str] = {}
        for stream, entries in log.streams().items():
            held: set[str] = set()
            for entry in entries:
                held = (held - entry.given_up) | entry.taken
            for claim in held:
                if claim in holders:
                    yield Violation(HOLDER, f"one claim is held by {holders[claim]} and {stream}")
                holders[claim] = stream


def positions(bookmark: str) -> Mapping[str, int]:
    """A bookmark's offsets, by `LOG/PARTITION`."""
    if not bookmark:
        return {}
    keys = msgspec.msgpack.decode(base64.urlsafe_b64decode(bookmark + "=" * (-len(bookmark) % 4)), type=dict[str, int])
    return {key: offset for key, offset in keys.items() if key.count("/") == 1}


def parked(logs: Mapping[str, Log], gaps: Iterable[str]) -> Iterator[Violation]:
    """A stream that was parked for want of a record lacks one on its log."""
    lacking = frozenset[str]().union(*(log.gaps for log in logs.values()))
    for stream in sorted(gaps):
        if stream not in lacking:
            yield Violation(PARKED, f"{stream} was parked for a gap, and the log has none")


def explained(logs: Mapping[str, Log], calls: Iterable[Told], since: Mapping[str, float]) -> Iterator[Violation]:
    """What a read shows is not older than the bookmark that was sent, nor newer than the one that was answered.

    `since`: by log, when it lost its end; what was read before that is not asked about.
    """
    for call in calls:
        if call.outcome != "done" or call.op.kind not in _READS:
            continue
        system = {"read": "users", "friends": "friends", "look": "bank"}[call.op.kind]
        log = logs[system]
        if call.began < since.get(system, 0.0):
            continue
        sent = log.before(positions(call.sent))
        answered = log.before(positions(call.bookmark)) if call.op.kind != "look" else log.streams()
        for stream, state in call.shown.items():
            version = int(state["version"])
            if version > len(answered.get(stream, ())):
                yield Violation(
                    EXPLAINED,
                    f"key {call.op.key}: {call.replica} shows version {version} of {stream}, and the answer's bookmark "
                    f"covers {len(answered.get(stream, ()))}",
                )
            if version < len(sent.get(stream, ())):
                yield Violation(
                    EXPLAINED,
                    f"key {call.op.key}: {call.replica} shows version {version} of {stream}, and the bookmark that was "
                    f"sent promises {len(sent[stream])}",
                )
        for stream, entries in sent.items():
            if stream in call.shown or call.op.kind == "friends" or not stream.startswith(("user-", "account-")):
                continue
            if all(entry.type != "UserDeleted" for entry in answered.get(stream, entries)):
                yield Violation(
                    EXPLAINED,
                    f"key {call.op.key}: {call.replica} does not show {stream}, which the bookmark that was sent has",
                )


def covered(logs: Mapping[str, Log], calls: Iterable[Told], since: Mapping[str, float]) -> Iterator[Violation]:
    """The bookmark of a command's answer covers what the command has done."""
    for call in calls:
        if call.outcome != "done" or call.op.kind in _READS or not call.bookmark:
            continue
        system = _SYSTEMS[call.stream.partition("-")[0]]
        if since.get(system):
            continue  # what was put on the log again stands at another place
        found = len(logs[system].before(positions(call.bookmark)).get(call.stream, ()))
        if found < call.version:
            yield Violation(
                EXPLAINED,
                f"key {call.op.key}: {call.replica} answered version {call.version} of {call.stream}, and the answer's "
                f"bookmark covers {found}",
            )


_SYSTEMS: Final = {"user": "users", "friendship": "friends", "account": "bank", "transfer": "bank", "booking": "bank"}


def users(entries: Mapping[str, Sequence[Entry]]) -> Mapping[str, Mapping[str, Any]]:
    """The users that there are: what `users` shows, by stream."""
    found: dict[str, Mapping[str, Any]] = {}
    for stream, changes in entries.items():
        state: dict[str, Any] = {}
        for change in changes:
            state |= {"version": change.version}
            state |= {"firstName": change.data.get("first_name") or state.get("firstName")}
            state |= {"username": change.data.get("username") or state.get("username")}
        if changes[-1].type != "UserDeleted":
            found[stream] = {"id": stream.removeprefix("user-"), **state}
    return found


def friendships(entries: Mapping[str, Sequence[Entry]], users_log: Mapping[str, Sequence[Entry]]) -> Mapping[str, int]:
    """Those that stand, each with its version; without those with a user whom a log that was put back has lost."""
    standing = {stream: len(changes) for stream, changes in entries.items() if changes[-1].type == "FriendAdded"}
    return {
        stream: version
        for stream, version in standing.items()
        if all(f"user-{user}" in users_log for user in stream.removeprefix("friendship-").split("~"))
    }


def accounts(entries: Mapping[str, Sequence[Entry]]) -> Mapping[str, Mapping[str, Any]]:
    """Accounts and transfers: what the bank's view has."""
    found: dict[str, Mapping[str, Any]] = {}
    for stream, changes in entries.items():
        balance = sum(_SIGN.get(change.type, 0) * change.data.get("amount", 0) for change in changes)
        owner = next((change.data["owner"] for change in changes if change.type == "Opened"), "")
        last = changes[-1].type.lower() if stream.startswith("transfer-") else ""
        found[stream] = {"version": len(changes), "balance": balance, "owner": owner, "transfer": last}
    return found


_SIGN: Final = {"Deposited": 1, "Credited": 1, "Debited": -1}


def waits(log: Log, transfer: str) -> bool:
    """Whether a stream that this transfer is about waits for an operator, who has to look at a gap in it."""
    asked = next((entry.data for entry in log.entries if entry.stream == transfer and entry.type == "Asked"), {})
    return not log.gaps.isdisjoint((transfer, asked.get("source", ""), asked.get("target", "")))


def conditions(log: Log) -> Iterator[Violation]:
    """Each booking of a box was decided on all that came before it: so no two knew of as many."""
    known: dict[tuple[str, int], str] = {}
    for entry in log.entries:
        if entry.type == "Booked":
            decided_on = (entry.data["box"], entry.data["before"])
            if decided_on in known:
                yield Violation(
                    CONDITION, f"{known[decided_on]} and {entry.stream} were both decided on {entry.data['before']}"
                )
            known[decided_on] = entry.stream
    for (box, before), stream in known.items():
        if before and (box, before - 1) not in known:
            yield Violation(CONDITION, f"{stream} was decided on {before} bookings, which are not there")


def money(log: Log) -> Iterator[Violation]:
    """No account is below zero; a transfer that is completed has moved its money once, one that failed has not."""
    streams = log.streams()
    moved: dict[str, list[tuple[str, int]]] = {}
    for entry in log.entries:
        if "transfer" in entry.data:
            moved.setdefault(entry.data["transfer"], []).append(
                (entry.stream, _SIGN[entry.type] * entry.data["amount"])
            )
    for stream, entries in streams.items():
        if stream.startswith("account-"):
            balance = 0
            for entry in entries:
                balance += _SIGN.get(entry.type, 0) * entry.data.get("amount", 0)
                if balance < 0:
                    yield Violation(MONEY, f"{stream} is at {balance} at version {entry.version}")
        elif not stream.startswith("transfer-") or waits(log, stream):
            continue
        elif [entry.type for entry in entries] not in (["Asked", "Completed"], ["Asked", "Failed"]):
            yield Violation(MONEY, f"{stream} went through {', '.join(entry.type for entry in entries)}")
        else:
            asked = entries[0].data
            there: list[tuple[str, int]] = []
            if entries[1].type == "Completed":
                there = [(asked["source"], -asked["amount"]), (asked["target"], asked["amount"])]
            found = moved.get(stream, [])
            back = [(asked["source"], -asked["amount"]), (asked["source"], asked["amount"])]
            if sorted(found) != sorted(there) and not (not there and sorted(found) == sorted(back)):
                yield Violation(MONEY, f"{stream} is {entries[1].type.lower()}, and has moved {found}")
