"""Server-Sent Events as text: written for clients, and read from subgraphs.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Final

COMPLETE: Final = b"event: complete\ndata:\n\n"
"""https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md: the operation has come to its end."""


class EventTooLarge(Exception):
    """An event has more bytes than allowed."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """`data` is None for a block that dispatches no event; its id counts all the same. `id` is the last one that came,
    in this block or before it."""

    name: str
    data: bytes | None
    id: str


def next_event(data: bytes, bookmark: str) -> bytes:
    """A response, which is JSON in one line. The bookmark is the event's id, with which a browser comes back."""
    return b"event: next\n%bdata: %b\n\n" % (_id(bookmark), data)


def progress(bookmark: str) -> bytes:
    """No event, which is a sign of life, and sets the id with which a browser comes back."""
    return b":\n%b\n" % _id(bookmark)


def _id(bookmark: str) -> bytes:
    # An empty id would make the browser forget the one before.
    return b"id: %b\n" % bookmark.encode() if bookmark else b""


async def read_events(chunks: AsyncIterable[bytes], limit: int) -> AsyncGenerator[ServerSentEvent, None]:
    """The blocks of a stream, as soon as each is complete; one that breaks off is dropped.

    Raises:
        EventTooLarge: a block has more than `limit` bytes.
    """
    name, data, last_id, size = "", list[bytes](), "", 0
    begun = list[bytes]()  # pieces of a line
    async for chunk in chunks:
        # A line ends with CR LF, LF or CR. What is read here ends lines with LF, some servers with CR LF.
        head, *lines = chunk.split(b"\n")
        begun.append(head)
        if lines:
            lines.insert(0, b"".join(begun))
            begun = [lines.pop()]
        size += len(chunk)
        for ended in lines:
            line = ended.removesuffix(b"\r")
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if not line:
                yield ServerSentEvent(name or "message", b"\n".join(data) if data else None, last_id)
                name, data, size = "", [], len(begun[0])
            elif field == b"data":
                data.append(value)
            elif field == b"event":
                name = value.decode(errors="replace")
            elif field == b"id":
                last_id = value.decode(errors="replace")
        if size > limit:
            raise EventTooLarge
