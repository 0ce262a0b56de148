"""The last requests that a router has executed: what each was, and how far the subgraphs were that answered its parts.

    options = RouterOptions(recent=RecentRequests(), forwarded_headers=... | {CORRELATION_HEADER})

With it, each mutation has a correlation: the header `Correlation-Id` of its request, or else an id that is drawn here.
Subgraphs get it, and the answer tells it in `extensions.correlation`. Variables and data are not kept.

Changes and queries have room of their own, so that many queries push out no change.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

CORRELATION_HEADER: Final = "correlation-id"

_KEPT: Final = 1_000
_PARTS: Final = 50
_CODES: Final = 10
_LONGEST: Final = 200
_LONGEST_CORRELATION: Final = 512

_Kept = tuple[object, ...]
"""Correlation, kind, name, begin, end, codes, and then of each part its subgraph, place and bookmark: one object, for
it is made with each request, and read with few."""
_HEAD: Final = 6

Headers = tuple[tuple[str, str], ...]
Fetched = Sequence[tuple[str, str, Sequence[object]]]
"""Of each fetch that was answered its subgraph, its place, and the bookmarks that came with the answer."""


class AnsweredPart(NamedTuple):
    """A part of an answer: who gave it, where it stands in the response, and the bookmark that came with it."""

    subgraph: str
    place: str
    bookmark: str


class RecentRequest(NamedTuple):
    """A request that was executed; `at` is when it began, in seconds since 1970."""

    correlation: str
    """Empty: it has none."""
    kind: str
    name: str
    """The operation's; empty where it has none."""
    at: float
    seconds: float
    codes: tuple[str, ...]
    """Those of its errors."""
    parts: tuple[AnsweredPart, ...]
    """The first ones, where they are very many."""


class RecentRequests:
    """Of one process; a router's successors after a reload go on with the same."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._changes: deque[_Kept] = deque(maxlen=kept)
        self._queries: deque[_Kept] = deque(maxlen=kept)
        self.since = time.time()
        """When it was begun: of earlier requests nothing is known."""

    def executed(
        self,
        kind: str,
        name: str,
        headers: Headers,
        at: float,
        errors: Sequence[Mapping[str, Any]],
        fetched: Fetched,
    ) -> None:
        """A request that began then has come to its end. It keeps no plan and no header alive, and nothing long."""
        codes = tuple([str(error["extensions"]["code"])[:_LONGEST] for error in errors[:_CODES]]) if errors else ()
        flat: list[object] = [correlation_of(headers), kind, name[:_LONGEST], at, time.time(), codes]
        for subgraph, place, given in fetched[:_PARTS]:
            flat += (subgraph, place, _text(given))
        (self._queries if kind == "query" else self._changes).append(tuple(flat))

    def of(self, correlation: str) -> Sequence[RecentRequest]:
        """Those of a correlation, the oldest first."""
        found = [_told(one) for one in (*self._changes, *self._queries) if one[0] == correlation]
        return sorted(found, key=lambda one: one.at)

    def queries_since(self, at: float) -> Sequence[RecentRequest]:
        """The queries that began at this moment or later, the oldest first."""
        return sorted((_told(one) for one in self._queries if cast("float", one[3]) >= at), key=lambda one: one.at)

    def kept_since(self, kind: str) -> float:
        """From when on requests of this kind are known, in seconds since 1970."""
        kept = self._queries if kind == "query" else self._changes
        return cast("float", kept[0][4]) if len(kept) == kept.maxlen else self.since


def correlated(headers: Headers) -> Headers:
    """The headers for subgraphs with a correlation, which is drawn where there is none."""
    if any(name == CORRELATION_HEADER for name, _ in headers):
        return headers
    return (*headers, (CORRELATION_HEADER, secrets.token_hex(16)))


def correlation_of(headers: Headers) -> str:
    """The correlation in the headers; empty where there is none, or one that is too long to be kept."""
    for name, value in headers:
        if name == CORRELATION_HEADER:
            return value if len(value) <= _LONGEST_CORRELATION else ""
    return ""


def _told(kept: _Kept) -> RecentRequest:
    correlation, kind, name, at, end, codes = cast("tuple[str, str, str, float, float, tuple[str, ...]]", kept[:_HEAD])
    rest = cast("tuple[str, ...]", kept[_HEAD:])
    parts = tuple([AnsweredPart(*rest[start : start + 3]) for start in range(0, len(rest), 3)])
    return RecentRequest(correlation, kind, name, at, end - at, tuple(dict.fromkeys(codes)), parts)


def _text(given: Sequence[object]) -> str:
    """The bookmark of an answer that has one in its headers, in its extensions, or in both."""
    return next((text for text in reversed(given) if isinstance(text, str)), "")
