"""Which media type an answer has: content negotiation by the `Accept` header.

https://www.rfc-editor.org/rfc/rfc9110#name-accept
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from graphrouter.http.refusal import HttpRefusal

GRAPHQL_RESPONSE: Final = b"application/graphql-response+json; charset=utf-8"
JSON: Final = b"application/json; charset=utf-8"
EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"

_NEW, _OLD = "application/graphql-response+json", "application/json"
_RANGES: Final = {
    _NEW: (_NEW, "application/*", "*/*"),
    _OLD: (_OLD, "application/*", "*/*", ""),
}
"""What matches each type, the most specific first."""
ACCEPT_LIMIT: Final = 1_000
"""Characters of an `Accept` header that are looked at."""


def negotiate(accept: str | None) -> bytes:
    """The media type of the answer: the one of higher weight; of equal ones the new type where it is asked for by name,
    and plain JSON for everybody else. HttpRefusal where neither is acceptable."""
    if accept is None:
        return JSON
    if len(accept) > ACCEPT_LIMIT:
        raise HttpRefusal(406, "NOT_ACCEPTABLE", f"an Accept header has at most {ACCEPT_LIMIT} characters")
    found = _negotiated(accept)
    if found is None:
        raise HttpRefusal(406, "NOT_ACCEPTABLE", f"answers are {_NEW} or {_OLD}")
    return found


def takes_json(accept: str | None) -> bool:
    """Whether an answer may be one of the types of `negotiate`."""
    return accept is None or (len(accept) <= ACCEPT_LIMIT and _negotiated(accept) is not None)


def asks_for_events(accept: str | None) -> bool:
    """Whether the answer is wanted as a stream of Server-Sent Events, which has to be asked for by name."""
    return accept is not None and len(accept) <= ACCEPT_LIMIT and _asks_for_events(accept)


@lru_cache(256)
def _asks_for_events(accept: str) -> bool:
    ranges = [[text.strip().lower() for text in part.split(";")] for part in accept.split(",")]
    return any(media_range == "text/event-stream" and weight(parameters) > 0 for media_range, *parameters in ranges)


@lru_cache(256)
def _negotiated(accept: str) -> bytes | None:
    weights: dict[str, float] = {}
    for part in accept.split(","):
        media_range, *parameters = [text.strip().lower() for text in part.split(";")]
        weights[media_range] = max(weights.get(media_range, 0.0), weight(parameters))
    new, old = (
        next((weights[one] for one in ranges if one in weights), 0.0) for ranges in (_RANGES[_NEW], _RANGES[_OLD])
    )
    if new == old == 0:
        return None
    return GRAPHQL_RESPONSE if new > old or (new == old and _NEW in weights) else JSON


def weight(parameters: list[str]) -> float:
    """The parameter q, from 0 to 1; 1 where there is none, 0 where it is malformed."""
    text = next((one.partition("=")[2].strip() for one in parameters if one.partition("=")[0].strip() == "q"), "1")
    if not (len(text) <= 5 and text.isascii() and text.replace(".", "", 1).isdecimal()):
        return 0.0
    return min(float(text), 1.0)
