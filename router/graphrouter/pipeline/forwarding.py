"""Stage 6: what of a request reaches the subgraphs besides their operations: headers, and the bookmark."""

from __future__ import annotations

import re

from graphrouter import bookmarks
from graphrouter.authentication import Caller
from graphrouter.execution.errors import error_object
from graphrouter.http.actors import HEADER, Actor
from graphrouter.options import RouterOptions
from graphrouter.request import GraphQLRequest, RequestRefused

_CLOCKS_DIFFER = 30.0
"""Seconds that a subgraph's clock may be ahead of the router's."""

_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""https://www.rfc-editor.org/rfc/rfc9110#name-field-values"""


def forwarded(request: GraphQLRequest, options: RouterOptions, caller: Caller | None) -> tuple[tuple[str, str], ...]:
    """The headers that subgraphs get, of the request and of its extensions, in their order; and who asks, signed."""
    forwarded = {name: value for name, value in request.headers.items() if name in options.forwarded_headers}
    for name, text in forwarded.items():
        if not _HEADER_VALUE.fullmatch(text):
            message = f"the header {name} has characters that HTTP does not carry"
            raise RequestRefused(error_object(message, "INVALID_INPUT"))
    for name, header in options.forwarded_extensions.items():
        value = request.extensions.get(name)
        if value is None:
            continue
        text = value if isinstance(value, str) else str(value)
        if not (isinstance(value, str | int | float) and text.isascii() and text.isprintable()):
            raise RequestRefused(error_object(f"extensions.{name} must be a number or printable text", "INVALID_INPUT"))
        forwarded[header] = text
    if options.actor_keys is not None:
        forwarded.pop(HEADER, None)  # a client's own would be anybody's word
        if caller is not None:
            actor = Actor(caller.actor, caller.scopes)
            forwarded[HEADER] = options.actor_keys.sign(actor, options.limits.seconds + _CLOCKS_DIFFER)
    return tuple(sorted(forwarded.items()))


def resume_from(request: GraphQLRequest) -> str:
    """The bookmark after which a stream begins. A browser that comes back sends that of the last event, which is later
    than the request's own: https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header"""
    return _joined(bookmark_of(request), request.headers.get("last-event-id", ""))


def bookmark_of(request: GraphQLRequest) -> str:
    """The bookmark of the request, from its header and its extensions together; an empty text for none."""
    in_header, in_extensions = request.headers.get("bookmark", ""), request.extensions.get("bookmark")
    if in_extensions is None:
        in_extensions = ""
    if not isinstance(in_extensions, str):
        raise RequestRefused(error_object("extensions.bookmark is a string", "INVALID_INPUT"))
    return _joined(in_header, in_extensions)


def _joined(one: str, other: str) -> str:
    try:
        return bookmarks.join_texts((one, other))
    except bookmarks.InvalidBookmark as error:
        raise RequestRefused(error_object(str(error), "INVALID_INPUT")) from error
