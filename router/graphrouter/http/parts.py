"""An answer in parts as one HTTP response: `multipart/mixed`, each part as soon as it is there.

https://github.com/graphql/graphql-over-http/blob/main/rfcs/IncrementalDelivery.md

There are two formats. The current one names each fragment that is to come, and later its name only. The one of August
2022, which many clients of Apollo's speak, has the path in each part instead, and tells nothing of what is to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

from starlette.types import Send

from graphrouter.http.media_types import ACCEPT_LIMIT, weight
from graphrouter.json_text import dumps
from graphrouter.request import AnswerPart, GraphQLAnswer, Items

_MULTIPART: Final = "multipart/mixed"
_OLD: Final = "deferspec=20220824"
_CURRENT: Final = ("incrementalspec=v0.2", "incrementaldeliveryspec=3283f8a")
"""What clients call the current format, if anything."""
_OTHERS: Final = ("deferspec", "incrementalspec", "incrementaldeliveryspec", "subscriptionspec")

_PART: Final = b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"
_DELIMITER: Final = b"\r\n---"
"""Of the boundary `-`, which no JSON text has at the beginning of a line."""
_SIGN_OF_LIFE: Final = dumps({"hasNext": True})


@dataclass(frozen=True, slots=True)
class Format:
    """How the parts are written. `name` is the parameter of the media type by which the client has asked for it."""

    name: str
    is_old: bool

    def content_type(self) -> bytes:
        parameter = f"; {self.name}" if self.name else ""
        return f'{_MULTIPART}; boundary="-"{parameter}'.encode()

    def texts(self, part: AnswerPart) -> Iterator[bytes]:
        """The part as it is sent; nothing where this format has nothing to say."""
        if not self.is_old:
            yield part.text()
        elif part.first is not None:
            yield dumps({**part.first.body(), "hasNext": part.has_next})
        elif entries := list(_old_entries(part)):
            extensions = {"extensions": part.extensions} if part.extensions else {}
            yield dumps({"incremental": entries, **extensions, "hasNext": part.has_next})
        elif not part.has_next:
            yield dumps({"hasNext": False})


def asked_format(accept: str | None) -> Format | None:
    """The format in which the client takes parts; it has to ask for it by name."""
    if accept is None or len(accept) > ACCEPT_LIMIT or _MULTIPART not in accept.lower():
        return None
    return _asked_format(accept)


@lru_cache(256)
def _asked_format(accept: str) -> Format | None:
    found: list[tuple[float, Format]] = []
    for media_range, *parameters in ([text.strip() for text in part.split(";")] for part in accept.split(",")):
        if media_range.lower() != _MULTIPART or weight([one.lower() for one in parameters]) <= 0:
            continue
        known = [one for one in parameters if one.lower().replace('"', "") in (_OLD, *_CURRENT)]
        named = [one for one in parameters if one.lower().partition("=")[0].strip() in _OTHERS]
        if named == known[:1] or not named:
            name = known[0] if known else ""
            is_old = name.lower().replace('"', "") == _OLD
            found.append((weight([one.lower() for one in parameters]), Format(name, is_old)))
    return max(found, key=lambda one: one[0])[1] if found else None


async def send_parts(
    send: Send,
    first: AnswerPart,
    parts: AsyncGenerator[GraphQLAnswer | AnswerPart, None],
    format_: Format,
    silence_seconds: float,
) -> None:
    """Writes the response; where nothing has come for so many seconds, a part that says that there is more to come."""
    headers = (
        (b"content-type", format_.content_type()),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),  # nginx would keep parts back
    )
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": True})

    # Each part with the delimiter behind it, so that its reader knows where it ends before the next one comes.
    await write(_DELIMITER + b"".join(_PART + text + _DELIMITER for text in format_.texts(first)))
    following = asyncio.ensure_future(_next(parts))
    try:
        while True:
            done, _ = await asyncio.wait((following,), timeout=silence_seconds)
            if not done:
                await write(_PART + _SIGN_OF_LIFE + _DELIMITER)
                continue
            part = following.result()
            if part is None:
                break
            following = asyncio.ensure_future(_next(parts))
            for text in format_.texts(part):
                await write(_PART + text + _DELIMITER)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await send({"type": "http.response.body", "body": b"--\r\n"})


async def _next(parts: AsyncGenerator[GraphQLAnswer | AnswerPart, None]) -> AnswerPart | None:
    return cast("AnswerPart | None", await anext(parts, None))


def _old_entries(part: AnswerPart) -> Iterator[dict[str, object]]:
    for one in part.incremental:
        entry: dict[str, object]
        if isinstance(one, Items):
            entry = {"items": one.items, "path": [*one.pending.path, one.first]}
        else:
            entry = {"data": one.data, "path": [*one.pending.path, *one.sub_path]}
        if one.pending.label is not None:
            entry["label"] = one.pending.label
        yield {**entry, "errors": one.errors} if one.errors else entry
    for completed in part.completed:
        if completed.errors:
            path = completed.pending.path
            failed: dict[str, object] = {"data": None, "path": path, "errors": completed.errors}
            if completed.first is not None:
                failed = {"items": None, "path": [*path, completed.first], "errors": completed.errors}
            yield failed if completed.pending.label is None else {**failed, "label": completed.pending.label}
