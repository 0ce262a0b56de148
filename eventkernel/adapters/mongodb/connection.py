"""The one module that knows MongoDB's drivers: a client from settings, and what failures mean to the kernel.

    connection = MongoConnection(MongoSettings("mongodb://db.example/", username="library", password=secret))
    books = connection.database("books")["books"]
    async with translated("looking up a book"):
        found = await books.find_one({"_id": isbn})

Everything is read from the primary as a majority of the servers has it, and a write is answered when a majority has it
in its journal: what was read or acknowledged is not rolled back. Every await on a database is inside `translated`:
nothing waits longer than that allows.

The driver is PyMongo's asynchronous client, or Motor, which is deprecated in its favour. The adapters call
only what both share; where they differ, a function here speaks for them.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, cast

from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from eventkernel.cancelling import delivered_cancellation
from eventkernel.errors import CannotOpen, Unavailable

Document: TypeAlias = dict[str, Any]  # what a document holds is known by whom it belongs to
Collection: TypeAlias = AsyncCollection[Document]
Database: TypeAlias = AsyncDatabase[Document]
Driver: TypeAlias = Literal["pymongo", "motor"]

PATIENCE_SECONDS: Final = 10.0
"""After so long whatever was asked of a database is `Unavailable`."""

_LONGEST_OPERATION_SECONDS: Final = 8.0
"""For one operation of the driver, its retries included: shorter, so that it gives up before nobody waits for it."""

DUPLICATE_KEY: Final = 11000
"""The code of a unique index's "no"."""

_REFUSED: Final = frozenset({13, 18})
"""Unauthorized, AuthenticationFailed: no waiting makes these pass.
All codes: https://github.com/mongodb/mongo/blob/r8.0.0/src/mongo/base/error_codes.yml"""

_MAY_PASS: Final = frozenset(
    {
        6, 7, 43, 50, 64, 89, 91, 100, 112, 133, 134, 175, 189, 202, 237, 246, 262, 365, 384, 402, 9001, 10058, 10107,
        11600, 11601, 11602, 13388, 13435, 13436, 14031,
    }
)  # fmt: skip
"""Hosts, primaries and cursors that are gone, time that ran out, writes in each other's way, a full disk."""


@dataclass(frozen=True, slots=True)
class MongoSettings:
    """Where the servers are and how to speak to them; what the URL says too, is taken from here.

    `authority` is a file of certificates (PEM) that vouch for the servers; with it, TLS is asked for. `certificate` is
    a file with this client's certificate and key (PEM), where the servers want one. `driver` is the library that speaks
    to the servers; both do the same.
    """

    url: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    authority: Path | None = None
    certificate: Path | None = None
    driver: Driver = "pymongo"


class MongoConnection:
    """A client with its pool of connections: one is enough for a process. It connects when it is first used."""

    def __init__(self, settings: MongoSettings) -> None:
        """
        Raises:
            CannotOpen: the settings are malformed, or name a file that cannot be used.
        """
        if not settings.url.startswith(("mongodb://", "mongodb+srv://")):
            raise CannotOpen("the URL of MongoDB: expected mongodb://… or mongodb+srv://…, found something else")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # so the driver speaks of an option that it does not take
                self._client = _client(settings)
        except (InvalidURI, ConfigurationError, ValueError, OSError, UserWarning) as error:
            # The driver's own words may quote the URL, which may hold a password.
            raise CannotOpen(f"the settings of MongoDB cannot be used ({type(error).__name__})") from None

    def database(self, name: str) -> Database:
        return self._client[name]

    async def ping(self) -> None:
        """
        Raises:
            Unavailable: no primary can be reached.
            CannotOpen: the credentials are wrong.
        """
        async with translated("reaching MongoDB"):
            await self._client.admin.command("ping")

    async def aclose(self) -> None:
        closing: object = self._client.close()
        if inspect.isawaitable(closing):  # Motor's is done at once
            await closing

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def aggregated(collection: Collection, pipeline: Sequence[Document], **options: Any) -> list[Document]:
    """All that an aggregation gives."""
    asked: Any = collection.aggregate(pipeline, **options)
    # PyMongo's cursor is awaited, Motor's is there at once.
    cursor = await asked if inspect.isawaitable(asked) else asked
    found: list[Document] = await cursor.to_list(None)
    return found


@asynccontextmanager
async def translated(doing: str, seconds: float = PATIENCE_SECONDS) -> AsyncGenerator[None]:
    """What is awaited inside ends within `seconds`, and fails in the kernel's words; `doing` begins the message.

    A unique index's "no" goes through (`DuplicateKeyError`; `BulkWriteError`, where it is the only trouble), and so
    does whatever is a defect of the caller.

    Raises:
        Unavailable: it may pass by itself. A write has perhaps been done.
        CannotOpen: the servers refuse these credentials.
    """
    try:
        with delivered_cancellation():
            async with asyncio.timeout(seconds):
                yield
    except TimeoutError:
        raise Unavailable(f"{doing}: MongoDB has not answered for {seconds:g} seconds") from None
    except DuplicateKeyError:
        raise
    except PyMongoError as error:
        code = _code(error)
        # Only the kind of an error and its code are told: its text may quote documents.
        words = f"{doing}: {type(error).__name__}" + (f", code {code}" if code else "")
        if code in _REFUSED:
            raise CannotOpen(f"{words}: MongoDB refuses the credentials, or what was asked with them") from None
        if _may_pass(error, code):
            raise Unavailable(f"{words}, from MongoDB") from error
        raise


def _client(settings: MongoSettings) -> AsyncMongoClient[Document]:
    if settings.driver == "pymongo":
        return AsyncMongoClient[Document](settings.url, **_options(settings))
    from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415  # only those who choose it need to have it installed

    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(settings.url, **_options(settings))
    return cast("AsyncMongoClient[Document]", client)  # it takes the same calls


async def missing_indexes(collection: Collection, expected: Sequence[IndexModel]) -> Sequence[str]:
    """Which indexes of a collection are not there, over the keys and with the options that they were made with."""
    there: Mapping[str, Mapping[str, Any]] = await collection.index_information()
    flaws: list[str] = []
    for index in expected:
        wanted = dict(index.document)
        name, keys = str(wanted.pop("name")), list(dict(wanted.pop("key")).items())
        found = there.get(name)
        if found is None:
            flaws.append(f"the index {name} of {collection.name} is missing")
        elif [(str(key), kind) for key, kind in found["key"]] != keys or any(
            found.get(one) != value for one, value in wanted.items()
        ):
            flaws.append(f"the index {name} of {collection.name} has other keys or options than it was made with")
    return flaws


def _options(settings: MongoSettings) -> dict[str, Any]:  # options of the driver, of as many types
    options: dict[str, Any] = {
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "readPreference": "primary",
        "retryWrites": True,
        "retryReads": True,
        "timeoutMS": round(_LONGEST_OPERATION_SECONDS * 1_000),
        "connectTimeoutMS": 3_000,
        "serverSelectionTimeoutMS": 5_000,
        "tz_aware": True,
    }
    if settings.username is not None:
        options |= {"username": settings.username, "password": settings.password}
    if settings.tls or settings.authority or settings.certificate:
        options["tls"] = True
    if settings.authority:
        options["tlsCAFile"] = str(settings.authority)
    if settings.certificate:
        options["tlsCertificateKeyFile"] = str(settings.certificate)
    return options


def _code(error: PyMongoError) -> int | None:
    if isinstance(error, BulkWriteError):
        details = dict(error.details or {})
        unkept: list[Document] = details.get("writeConcernErrors") or [
            failed for failed in details.get("writeErrors", ()) if failed.get("code") != DUPLICATE_KEY
        ]
        return int(unkept[0].get("code", 0)) if unkept else None
    return error.code if isinstance(error, OperationFailure) else None


def _may_pass(error: PyMongoError, code: int | None) -> bool:
    if isinstance(error, BulkWriteError):
        return bool((error.details or {}).get("writeConcernErrors")) or code in _MAY_PASS
    return (
        error.timeout
        or isinstance(error, ConnectionFailure | WTimeoutError | WaitQueueTimeoutError)
        or code in _MAY_PASS
        or error.has_error_label("RetryableWriteError")
    )
