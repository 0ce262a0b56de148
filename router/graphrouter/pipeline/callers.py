"""Stage 2: who asks, by the token that a request has. Nobody has to be known where no tokens are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping

from graphrouter.authentication import Authentication, Caller
from graphrouter.request import GraphQLAnswer, StreamItem, error_object


class Callers:
    """Says who asks; nobody in particular, without settings of authentication."""

    def __init__(self, settings: Authentication | None) -> None:
        self._tokens = None
        if settings is not None:
            from graphrouter.authentication.tokens import Tokens  # noqa: PLC0415 - of the extra `jwt`

            self._tokens = Tokens(settings)

    async def of(self, headers: Mapping[str, str]) -> Caller | None:
        """Raises RequestRefused where a token is wrong, or missing and required."""
        return None if self._tokens is None else await self._tokens.caller(headers)

    async def aclose(self) -> None:
        if self._tokens is not None:
            await self._tokens.aclose()


async def while_proved(
    items: AsyncGenerator[StreamItem, None], caller: Caller | None
) -> AsyncGenerator[StreamItem, None]:
    """The items of a stream for as long as the caller's token lasts; then an error that says from where to resume."""
    if caller is None or caller.expires is None:
        async for item in items:
            yield item
        return
    until, bookmark = asyncio.get_running_loop().time() + caller.expires - time.time(), ""
    while True:
        timeout = asyncio.timeout_at(until)
        try:
            async with timeout:
                item = await anext(items)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if not timeout.expired():
                raise
            message = "the token has expired: subscribe again with another one, from the bookmark of the last message"
            extensions: dict[str, object] = {"bookmark": bookmark} if bookmark else {}
            yield GraphQLAnswer(None, [error_object(message, "UNAUTHENTICATED")], extensions, refused=True)
            return
        bookmark = item.bookmark or bookmark
        yield item
