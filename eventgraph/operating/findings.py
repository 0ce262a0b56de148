"""What the command `doctor` has found, and what it says of every reader of logs, wherever that keeps how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec

from eventkernel.events import Partition, Position
from eventkernel.reading.status import ParkedStream

_BEHIND: Final = 10_000
"""Events; as many as the health of a subgraph allows."""


class Finding(msgspec.Struct, frozen=True):
    severity: Literal["error", "notice"]
    where: str
    what: str
    why: str
    """Why it matters."""
    do: str
    """What to do about it."""


def not_on_the_log(where: str, position: Position, ends: Mapping[Partition, int], do: str) -> Iterator[Finding]:
    """What a reader has read that no log has; `do` says how it is mended."""
    logs = {partition.log for partition in ends}
    for partition, offset in position.items():
        if partition.log not in logs:
            what = f"it has read the log {partition.log}, which is not here"
            yield Finding("error", where, what, "it shows what other logs say", do)
        elif offset > ends.get(partition, 0):
            what = f"it has read up to {offset} of the log {partition.log}/{partition.number}, which ends at "
            yield Finding(
                "error", where, f"{what}{ends.get(partition, 0)}", "it shows events that the log has lost", do
            )


def behind(where: str, position: Position, ends: Mapping[Partition, int]) -> Iterator[Finding]:
    """How far a reader of these logs is behind, where that is much."""
    for log in sorted({partition.log for partition in ends}):
        missing = sum(max(0, end - position.get(one, 0)) for one, end in ends.items() if one.log == log)
        if missing > _BEHIND:
            what = f"it is {missing:,} events behind the log {log}"
            yield Finding("notice", where, what, "answers are old", "wait; if it does not get less, look at /status")


def remarks(where: str, lines: Iterable[str]) -> Iterator[Finding]:
    """What a view's own documents have for an operator to know."""
    for line in lines:
        why = "the view's documents say so; the system works with it"
        yield Finding("notice", where, line, why, "decide whether anything has to be done about it")


def waiting(command: str, where: str, parked: Iterable[ParkedStream]) -> Iterator[Finding]:
    """The streams that a reader has parked; `command` is the system's."""
    for one in parked:
        what = f"the stream {one.stream} is parked at version {one.version} ({one.waiting} records): {one.reason}"
        why = "what happened to it since is not shown"
        show = f"{command} parked show {one.stream}"
        todo = f"{show}; fix the cause, then `{command} parked retry`, or skip it with a reason"
        yield Finding("error", where, what, why, todo)
