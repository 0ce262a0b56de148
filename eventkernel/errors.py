"""Everything that the kernel refuses or fails at, as one tree of exceptions with stable codes.

KernelError
├── Refusal                  the caller's request cannot be had; asking again in the same way changes nothing
│   ├── InvalidInput         INVALID_INPUT
│   ├── NotFound             NOT_FOUND
│   ├── AlreadyExists        ALREADY_EXISTS
│   ├── Forbidden            FORBIDDEN
│   ├── ClaimTaken           CLAIM_TAKEN (a domain gives it its own name, such as NAME_TAKEN)
│   ├── VersionConflict      VERSION_CONFLICT
│   ├── TooCostly            TOO_COSTLY
│   └── IdempotencyMismatch  IDEMPOTENCY_MISMATCH
├── ConcurrencyConflict      the stream has moved on between reading and appending: decide again
├── UnexpectedRefusal        a process manager has no branch for what a rule has said to its command
├── AppendConditionFailed    VERSION_CONFLICT: events that the decision rests on have come since: decide again
├── OutOfDate                OUT_OF_DATE: a view did not reach the bookmark in time
├── Unavailable              UNAVAILABLE: unknown outcome; a retry with the same command id is safe
│   └── StreamWaits          the stream has a gap on the log: nothing comes onto it until an operator says so
├── CannotOpen               a log or a file does not fit what opens it: another format, another key
└── CorruptData              what is stored contradicts itself; for people who operate the system
    ├── CheckpointMismatch   a reader has read another history of the log than the log has now
    └── UnknownEventType     a record's type is none that the codec was given
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar


class KernelError(Exception):
    """Has a stable `code`, a message for people, and never a secret or personal data in either."""

    code: ClassVar[str] = "INTERNAL"


class Refusal(KernelError):
    """A rule says no. No event was appended.

    Of a refusal that is remembered the code alone tells which one it was. So each has a code of its own; a class that
    derives from another may keep its code.

    Raises:
        TypeError: a class is defined with the code of another one.
    """

    remembered: ClassVar[tuple[str, ...]] = ()
    """The attributes that are kept with the code and the message where the refusal is remembered (`refusals.py`)."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        code = cls.__dict__.get("code")
        for other in kinds_of(Refusal):
            # A module that is loaded again defines its classes again.
            again = (other.__module__, other.__qualname__) == (cls.__module__, cls.__qualname__)
            if code is not None and other.__dict__.get("code") == code and not (again or other in cls.__mro__):
                raise TypeError(
                    f"{cls.__module__}.{cls.__qualname__}: expected a code of its own, found {cls.code}, which is that"
                    f" of {other.__module__}.{other.__qualname__}"
                )


RefusalT = TypeVar("RefusalT", bound=Refusal)


def kinds_of(kind: type[RefusalT]) -> Iterator[type[RefusalT]]:
    """A class of refusals, and all that derive from it."""
    yield kind
    for derived in kind.__subclasses__():
        yield from kinds_of(derived)


class InvalidInput(Refusal):
    """A value is malformed: the message names it, what was expected and what was found."""

    code = "INVALID_INPUT"


class NotFound(Refusal):
    code = "NOT_FOUND"


class AlreadyExists(Refusal):
    code = "ALREADY_EXISTS"


class ClaimTaken(Refusal):
    """Another stream holds the claim. `claim` is the clear text that the caller asked for; empty in a refusal that was
    remembered, because clear text is not kept."""

    code = "CLAIM_TAKEN"
    claim: str = ""

    def __init__(self, claim: str) -> None:
        super().__init__("the claim is held by another stream")
        self.claim = claim


class Forbidden(Refusal):
    """The caller may not do this."""

    code = "FORBIDDEN"


class VersionConflict(Refusal):
    """The caller expected another version than the stream has."""

    code = "VERSION_CONFLICT"
    remembered = ("stream", "expected", "actual")

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream}: expected version {expected}, found version {actual}")
        self.stream, self.expected, self.actual = stream, expected, actual


class TooCostly(Refusal):
    """An exact answer would take more work than one request may; nothing else than an exact one is given."""

    code = "TOO_COSTLY"


class IdempotencyMismatch(Refusal):
    """The command id was used before, for a command with other content."""

    code = "IDEMPOTENCY_MISMATCH"


class ConcurrencyConflict(KernelError):
    """Raised by `EventStore.append` when the stream is not at the expected version any more."""

    code = "VERSION_CONFLICT"

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream}: expected version {expected}, found version {actual}")
        self.stream, self.expected, self.actual = stream, expected, actual


class UnexpectedRefusal(KernelError):
    """A process manager branches on a command's refusal, and has no branch for the one that came: a defect."""

    def __init__(self, stream: str, code: str) -> None:
        super().__init__(f"{stream[:200]}: expected a refusal that there is a branch for, found {code}")


class AppendConditionFailed(KernelError):
    """Raised by `EventStore.append` when an event has come that the append's condition excludes."""

    code = "VERSION_CONFLICT"

    def __init__(self, event_type: str) -> None:
        super().__init__(f"expected no more events that the decision rests on, found one of type {event_type[:200]}")
        self.event_type = event_type


class OutOfDate(KernelError):
    code = "OUT_OF_DATE"


class Unavailable(KernelError):
    code = "UNAVAILABLE"


class StreamWaits(Unavailable):
    """A record of the stream does not follow the one before it on the log; the other streams go on."""

    def __init__(self, log: str, stream: str, end: int, found: int) -> None:
        self.stream = stream
        super().__init__(
            f"{log}: the stream {stream[:200]} waits behind a gap: it ends at version {end}, "
            f"and version {found} came after that"
        )


class CannotOpen(KernelError):
    """What is to be opened was made by something else: another format, another key. The message says what to do."""

    code = "CANNOT_OPEN"


class CorruptData(KernelError):
    code = "CORRUPT_DATA"


class CheckpointMismatch(CorruptData):
    """A reader has read another history of a log than the one that the log has now."""


class UnknownEventType(CorruptData):
    """A record's type is none that the codec was given."""

    def __init__(self, event_type: str) -> None:
        super().__init__(f"no event type {event_type!r} is known here")
        self.event_type = event_type
