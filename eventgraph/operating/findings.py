"""What the command `doctor` has found, and what it says of every reader of logs, wherever that keeps how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from eventkernel.errors import CheckpointMismatch, KernelError
from eventkernel.events import Partition, Position
from eventkernel.reading.landmarks import compare
from eventkernel.reading.status import ParkedStream
from eventkernel.writing.store import Checkpoint, LogReader

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


class Examination:
    """Looks at one thing after the other, and keeps what it finds. `command` is the system's."""

    def __init__(self, command: str) -> None:
        self.found: list[Finding] = []
        self._command = command

    def error(self, where: str, what: object, why: str, do: str) -> None:
        self.found.append(Finding("error", where, str(what), why, do))

    def notice(self, where: str, what: object, why: str, do: str) -> None:
        self.found.append(Finding("notice", where, str(what), why, do))

    def not_on_the_log(self, where: str, position: Position, ends: Mapping[Partition, int], do: str) -> None:
        """What a reader has read that no log has; `do` says how it is mended."""
        logs = {partition.log for partition in ends}
        for one, offset in position.items():
            if one.log not in logs:
                self.error(
                    where, f"it has read the log {one.log}, which is not here", "it shows what other logs say", do
                )
            elif offset > (end := ends.get(one, 0)):
                what = f"it has read up to {offset} of the log {one.log}/{one.number}, which ends at {end}"
                self.error(where, what, "it shows events that the log has lost", do)

    def behind(self, where: str, position: Position, ends: Mapping[Partition, int]) -> None:
        """How far a reader of these logs is behind, where that is much."""
        for log in sorted({partition.log for partition in ends}):
            missing = sum(max(0, end - position.get(one, 0)) for one, end in ends.items() if one.log == log)
            if missing > _BEHIND:
                what = f"it is {missing:,} events behind the log {log}"
                self.notice(where, what, "answers are old", "wait; if it does not get less, look at /status")

    def waiting(self, where: str, parked: Iterable[ParkedStream]) -> None:
        """The streams that a reader has parked."""
        for one in parked:
            what = f"the stream {one.stream} is parked at version {one.version} ({one.waiting} records): {one.reason}"
            show = f"{self._command} parked show {one.stream}"
            todo = f"{show}; fix the cause, then `{self._command} parked retry`, or skip it with a reason"
            self.error(where, what, "what happened to it since is not shown", todo)

    def remarks(self, where: str, lines: Iterable[str]) -> None:
        """What a view's own documents have for an operator to know."""
        why = "the view's documents say so; the system works with it"
        for line in lines:
            self.notice(where, line, why, "decide whether anything has to be done about it")

    async def misread(self, where: str, log: LogReader, checkpoint: Checkpoint, why: str, do: str) -> None:
        """What a reader has read of a log, and the log has not any more; of a log that cannot be read nothing is told
        here."""
        try:
            await compare(log, checkpoint)
        except CheckpointMismatch as mismatch:
            self.error(where, mismatch, why, do)
        except KernelError:
            return
