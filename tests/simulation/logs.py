"""What a log says, read from its bare messages by the rules that every reader keeps to. Imports nothing of the product.

Per partition: behind a fence nothing of an older generation counts, and of each version of a stream the first record
does (docs/events.md, docs/distributed.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

FENCE_TYPE = "fence"


class LogMessage(Protocol):
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that counts."""

    log: str
    partition: int
    offset: int
    stream: str
    version: int
    first: int
    size: int
    type: str
    data: Mapping[str, Any]
    command: str
    taken: frozenset[str]
    given_up: frozenset[str]


@dataclass(frozen=True, slots=True)
class Log:
    id: str
    entries: Sequence[Entry]
    """In order, partition after partition; without those that remember a command only."""
    ends: Mapping[int, int]
    """By partition: the offset after the last message."""
    gaps: frozenset[str]
    """Streams with a version that nothing comes before."""
    generation: int
    """How often its ledger was filled."""

    def streams(self) -> Mapping[str, Sequence[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.stream, []).append(entry)
        return found

    def before(self, offsets: Mapping[str, int]) -> Mapping[str, Sequence[Entry]]:
        """The streams as of a bookmark's position."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.offset < offsets.get(f"{self.id}/{entry.partition}", 0):
                found.setdefault(entry.stream, []).append(entry)
        return found


def read(partitions: Sequence[Sequence[LogMessage]]) -> Log:
    entries: list[Entry] = []
    gaps: set[str] = set()
    log, newest = "", 0
    for number, messages in enumerate(partitions):
        generation = 0
        versions: dict[str, int] = {}
        for message in messages:
            headers = {name.removeprefix("ce_"): value.decode() for name, value in message.headers}
            try:
                written = int(headers["generation"])
                version = int(headers["streamversion"])
            except (KeyError, ValueError):
                continue
            log = log or headers["source"]
            if message.key is None:
                generation = max(generation, written)
                newest = max(newest, generation)
                continue
            stream = headers["subject"]
            if written < generation or not version or version <= versions.get(stream, 0):
                continue
            if version > versions.get(stream, 0) + 1:
                gaps.add(stream)
                continue
            versions[stream] = version
            entries.append(_entry(headers, message, number, stream, version))
    return Log(log, entries, {number: len(found) for number, found in enumerate(partitions)}, frozenset(gaps), newest)


def _entry(headers: Mapping[str, str], message: LogMessage, number: int, stream: str, version: int) -> Entry:
    return Entry(
        log=headers["source"],
        partition=number,
        offset=message.offset,
        stream=stream,
        version=version,
        first=int(headers["commitfirst"]),
        size=int(headers["commitsize"]),
        type=headers["type"].partition(".")[2],
        data=json.loads(message.value or b"{}"),
        command=headers.get("commandid", ""),
        taken=frozenset(headers.get("claimstaken", "").split()),
        given_up=frozenset(headers.get("claimsgivenup", "").split()),
    )


def commits(log: Log) -> Iterator[Sequence[Entry]]:
    """The entries of each commit."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in log.entries:
        found.setdefault((entry.stream, entry.command), []).append(entry)
    yield from found.values()
