"""The one module that speaks to Neo4j's driver: a pool of connections from settings, and what failures mean here.

    async with Neo4jConnection(Neo4jSettings("bolt://graph.example", user="neo4j", password=secret)) as connection:
        rows = await connection.read("UNWIND $ids AS id MATCH (b:Book {id: id}) RETURN b.id, b.title", {"ids": ids})

A statement is a transaction of its own, and one round trip: the driver's transaction functions take two more. What may
pass by itself (a deadlock, a connection that a restarted server has cut) is tried again a few times; so a statement
that writes must be one that may be repeated. Nothing waits longer than it is told to, on either side.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlsplit

from neo4j import READ_ACCESS, WRITE_ACCESS, AsyncGraphDatabase, Query
from neo4j.exceptions import (
    AuthError,
    ConnectionPoolError,
    DatabaseError,
    DriverError,
    Forbidden,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from eventkernel.errors import CannotOpen, Unavailable

Row: TypeAlias = list[Any]  # what a statement returns is known by who wrote it
Parameters: TypeAlias = Mapping[str, Any]  # whatever Bolt can carry

_ATTEMPTS: Final = 6
_FIRST_PAUSE_SECONDS: Final = 0.01
_CONNECT_SECONDS: Final = 3.0
_SCHEMES: Final = {"bolt": False, "neo4j": False, "bolt+s": True, "neo4j+s": True}
_RATE_LIMIT: Final = "Neo.ClientError.Security.AuthenticationRateLimit"
_ENDED_BY_THE_SERVER: Final = frozenset(
    {
        "Neo.ClientError.Transaction.TransactionTimedOut",
        "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
        "Neo.ClientError.Database.DatabaseNotFound",
        "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
    }
)
"""Errors of the "client" that are none: https://neo4j.com/docs/status-codes/current/errors/all-errors/"""


@dataclass(frozen=True, slots=True)
class Neo4jSettings:
    """Where the server is and how to speak to it.

    `bolt+s://` and `neo4j+s://` are with TLS. `authority` is a file of certificates (PEM) that vouch for the server,
    where they are none that this machine trusts anyway; with it, TLS is asked for.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    authority: Path | None = None
    database: str = "neo4j"
    patience: float = 10.0
    """Seconds after which whatever was asked is `Unavailable`, where it does not say otherwise."""


class Neo4jConnection:
    """A pool of connections: one is enough for a process. It connects when it is first used."""

    def __init__(self, settings: Neo4jSettings) -> None:
        """
        Raises:
            CannotOpen: the settings are malformed, or name a file that cannot be used.
        """
        url, context = _address(settings)
        auth = None if settings.user is None else (settings.user, settings.password or "")
        self._database = settings.database
        self._patience = settings.patience
        # In a cluster a statement may go to another server than the one before it, and waits there until it sees that.
        clustered = urlsplit(url).scheme.startswith("neo4j")
        self._bookmarks = AsyncGraphDatabase.bookmark_manager() if clustered else None
        self._driver = AsyncGraphDatabase.driver(  # pyright: ignore[reportUnknownMemberType]  # its options are untyped
            url,
            auth=auth,
            ssl_context=context,
            connection_timeout=_CONNECT_SECONDS,
            connection_write_timeout=settings.patience,
            connection_acquisition_timeout=settings.patience,
            notifications_min_severity="OFF",  # hints for authors of statements, with every answer
            telemetry_disabled=True,
        )

    async def read(self, statement: str, parameters: Parameters, *, seconds: float | None = None) -> list[Row]:
        """The rows that a statement returns.

        Raises:
            Unavailable: Neo4j cannot answer now, or has not within `seconds`.
            CannotOpen: it refuses the credentials.
        """
        return await self._run(READ_ACCESS, statement, parameters, seconds)

    async def write(self, statement: str, parameters: Parameters, *, seconds: float | None = None) -> list[Row]:
        """The same of a statement that writes, all or nothing. It may be done more than once.

        Raises:
            Unavailable: as for `read`; perhaps it was done.
            CannotOpen: as for `read`.
        """
        return await self._run(WRITE_ACCESS, statement, parameters, seconds)

    async def ping(self) -> None:
        """
        Raises:
            Unavailable: no server can be reached.
            CannotOpen: the credentials are wrong.
        """
        await self.read("RETURN 1", {})

    async def aclose(self) -> None:
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, access: str, statement: str, parameters: Parameters, longest: float | None) -> list[Row]:
        seconds = self._patience if longest is None else longest
        # The driver wants literals, and these are put together from literals.
        query = Query(statement, timeout=seconds)  # pyright: ignore[reportArgumentType]
        pause = _FIRST_PAUSE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                for attempt in range(1, _ATTEMPTS + 1):
                    try:
                        return await self._attempt(access, query, parameters)
                    except (Neo4jError, DriverError) as error:
                        if attempt == _ATTEMPTS or not error.is_retryable():
                            raise
                    await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # apart, not unpredictable
                    pause *= 2
        except TimeoutError:
            raise Unavailable(f"Neo4j has not answered for {seconds:g} seconds") from None
        except (Neo4jError, DriverError) as error:
            raise _translated(error) from error
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, access: str, query: Query, parameters: Parameters) -> list[Row]:
        # No more rows are asked for than a statement has: all of them come with the answer, without another trip.
        session = self._driver.session(  # pyright: ignore[reportUnknownMemberType]  # its options are untyped
            default_access_mode=access, database=self._database, fetch_size=-1, bookmark_manager=self._bookmarks
        )
        async with session:
            result = await session.run(query, dict(parameters))
            return await result.values()


def _address(settings: Neo4jSettings) -> tuple[str, ssl.SSLContext | None]:
    """The URL as the driver wants it beside a context of ours, and that context."""
    parts = urlsplit(settings.url)
    if parts.scheme not in _SCHEMES or not parts.hostname or "@" in parts.netloc:
        schemes = ", ".join(f"{scheme}://host" for scheme in _SCHEMES)
        raise CannotOpen(f"the URL of Neo4j: expected one of {schemes}, without credentials, found something else")
    if not (_SCHEMES[parts.scheme] or settings.authority):
        return settings.url, None
    try:
        context = ssl.create_default_context(cafile=settings.authority)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise CannotOpen(
            f"the authority of Neo4j's certificate: {settings.authority} cannot be used: {reason}"
        ) from None
    return parts._replace(scheme=parts.scheme.removesuffix("+s")).geturl(), context


def _translated(error: Neo4jError | DriverError) -> Exception:
    """The kernel's error for this one; itself where a statement or a parameter is to blame."""
    # Only the kind of an error and its code are told: its text may quote values.
    code = getattr(error, "code", None)
    words = f"Neo4j: {type(error).__name__}" + (f", {code}" if code else "")
    if isinstance(error, AuthError | Forbidden) and code != _RATE_LIMIT:
        return CannotOpen(f"{words}: it refuses the credentials, or what was asked with them")
    passing = TransientError | DatabaseError | ServiceUnavailable | SessionExpired | ConnectionPoolError
    if isinstance(error, passing) or error.is_retryable() or code in _ENDED_BY_THE_SERVER or code == _RATE_LIMIT:
        return Unavailable(words)
    return error
