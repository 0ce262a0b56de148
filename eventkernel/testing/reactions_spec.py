"""Checks of a process manager without a log: when an event, then commands; and what follows them, to the end.

    def test_a_transfer_debits_its_source_first():
        spec = ReactionsSpec(MONEY_TRANSFERS)
        asked = spec.when("transfer-1", Requested(source="a", target="b", amount=3))
        asked.then(send(ACCOUNTS, "a", Debit(3, "1")))
        asked.refused("account-a", TooLittle("…")).then(send(TRANSFERS, "1", Fail("…")))
        spec.late("transfer-1", Requested(…)).then(send(TRANSFERS, "1", GiveUp()))

Whatever does not hold raises `AssertionError`: any test runner will do, or none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from eventkernel.errors import Refusal
from eventkernel.events import DomainEvent, Record, RecordedEvent
from eventkernel.reacting.reactions import Reactions, Send, placed
from eventkernel.writing.refusals import Refused

NOTHING_READ: Final = object()


@dataclass(frozen=True)
class ReactionsSpec:
    """The reactions of one process manager. Each event is looked at by itself, as its reactions do."""

    reactions: Reactions[Any]

    def when(self, stream: str, event: DomainEvent, *, found: object = NOTHING_READ, time_us: int = 0) -> Sent:
        """This happens. `found` is what the reaction's reading has found, for one that reads."""
        step = self.reactions.steps.get(type(event))
        assert step is not None, f"{self.reactions.name} does not react to {type(event).__name__}"
        return self._sent(step.react, event, _record(stream, event, time_us), found)

    def late(self, stream: str, event: DomainEvent, *, found: object = NOTHING_READ, time_us: int = 0) -> Sent:
        """This has happened, and its deadline is over."""
        deadline = self.reactions.deadlines.get(type(event))
        assert deadline is not None, f"{self.reactions.name} has no deadline for {type(event).__name__}"
        return self._sent(deadline.step.react, event, _record(stream, event, time_us), found)

    def deadline(self, stream: str, event: DomainEvent, *, time_us: int = 0) -> datetime | None:
        """The moment when the event's deadline is over; None for one without."""
        return self.reactions.deadline_of(RecordedEvent(event, _record(stream, event, time_us)))

    def _sent(self, react: Any, event: DomainEvent, record: Record, found: object) -> Sent:
        arguments = (event, record) if found is NOTHING_READ else (event, record, found)
        sent = Sent.of(react(*arguments))
        again = Sent.of(react(*arguments))
        assert sent.commands == again.commands, f"{type(event).__name__}: another reaction the second time"
        return sent


@dataclass(frozen=True)
class Sent:
    """What a reaction sends."""

    sends: tuple[Send, ...]

    @classmethod
    def of(cls, sends: Iterable[Send]) -> Sent:
        return cls(tuple(placed(sends).values()))

    @property
    def commands(self) -> list[tuple[str, object]]:
        """Streams and commands, in order."""
        return [(sent.stream, sent.command) for sent in self.sends]

    def then(self, *expected: Send) -> Sent:
        """These commands are sent, in this order, and no others. What follows them is looked at by itself."""
        wanted = Sent(expected).commands
        assert self.commands == wanted, f"expected {wanted}, found {self.commands}"
        return self

    def refused(self, stream: str, refusal: Refusal) -> Sent:
        """What follows where the command for this stream is refused like this, as remembered."""
        return Sent.of(self._to(stream).after_refusal(Refused.of(refusal).refusal()))

    def done(self, stream: str) -> Sent:
        """What follows where the command for this stream has taken effect."""
        return Sent.of(self._to(stream).following)

    def _to(self, stream: str) -> Send:
        found = [sent for sent in self.sends if sent.stream == stream]
        assert found, f"expected a command for {stream}, found {self.commands}"
        return found[0]


def _record(stream: str, event: DomainEvent, time_us: int) -> Record:
    return Record(
        log="spec.0",
        partition=0,
        offset=0,
        id="event-0",
        type=str(event.__struct_config__.tag),
        time_us=time_us,
        stream=stream,
        version=1,
        first_version=1,
        commit_size=1,
        command_id="command-0",
        fingerprint="",
    )
