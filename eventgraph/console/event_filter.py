"""Which records of the logs are asked for, and moments as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from eventgraph.errors import StartError
from eventkernel.events import Record

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for; what is empty or None asks for all."""

    streams: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is not wanted any more."""

    def has(self, record: Record) -> bool:
        return (
            (not self.streams or record.stream in self.streams)
            and (not self.types or record.type in self.types)
            and (self.since is None or record.time_us >= microseconds(self.since))
            and (self.until is None or record.time_us < microseconds(self.until))
        )


EVERYTHING: Final = Wanted()


def parse_moment(text: str) -> datetime:
    """A moment as people write one: RFC 3339 with its offset from UTC, or a day, which begins at midnight UTC.

    Raises:
        StartError: it is neither.
    """
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _no_moment(text) from None
    if moment.tzinfo is None:
        raise _no_moment(text)
    return moment


def _no_moment(text: str) -> StartError:
    return StartError(
        "a moment is written as 2026-01-31T12:00:00Z, with its offset from UTC, or as 2026-01-31; "
        f"found {text[:_SHOWN]!r}"
    )


def microseconds(moment: datetime) -> int:
    """Since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
