"""Stage 2: who asks, by the token that a request has. Nobody has to be known where no tokens are."""

from __future__ import annotations

from collections.abc import Mapping

from graphrouter.authentication import Authentication, Caller


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
