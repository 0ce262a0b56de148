"""The past that is asked for: a moment, or a position in the logs; and the text that clients name it by.

A *moment* has everything in it that happened at it or before, by the events' own times. A *position* has everything
before it. Either is a line through every log at once, so that views which read several logs, and several views, show
the same past.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from eventkernel.errors import InvalidInput
from eventkernel.events import Partition, Position
from eventkernel.reading.bookmark import Bookmark

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,20}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)  # https://www.rfc-editor.org/rfc/rfc3339#section-5.6
_SHOWN: Final = 40
"""How many characters of a malformed text an error repeats."""


@dataclass(frozen=True, slots=True)
class Moment:
    """After everything that happened at this time or before."""

    time_us: int
    """Microseconds since 1970 UTC."""


AsOf: TypeAlias = Moment | Position
"""Where the past that is asked for ends."""


def happened(as_of: AsOf, time_us: int, partition: Partition, offset: int) -> bool:
    """Whether an event of this time and place had happened by then."""
    if isinstance(as_of, Moment):
        return time_us <= as_of.time_us
    return offset < as_of.get(partition, 0)


def read_as_of(text: str) -> AsOf:
    """What a client's text stands for: a moment as RFC 3339 has it, or a bookmark.

    What is finer than a microsecond is cut off: no event's time is.

    Raises:
        InvalidInput: it is neither.
    """
    moment = _RFC3339.fullmatch(text)
    if moment is not None:
        day, time, fraction, offset = moment.groups()
        try:
            second = datetime.fromisoformat(f"{day}T{time}{'+00:00' if offset in 'Zz' else offset}")
        except ValueError:
            raise _malformed(text) from None
        return Moment((second - _EPOCH) // timedelta(microseconds=1) + int((fraction or "")[:6].ljust(6, "0")))
    try:
        position = Bookmark.decode(text).position
    except InvalidInput:
        raise _malformed(text) from None
    if not position:
        raise _malformed(text)
    return position


def _malformed(text: str) -> InvalidInput:
    return InvalidInput(
        "As-Of: expected a moment as RFC 3339 has it, such as 2026-11-21T09:30:00Z, or a bookmark, found "
        f"{text[:_SHOWN]!a}"
    )
