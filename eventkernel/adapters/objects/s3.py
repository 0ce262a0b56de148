"""A bucket of whatever speaks S3 as an object store, through obstore.

An object is written with `If-None-Match: *`, which a server has to know
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html): one that ignores it would let two
archivers replace each other's manifests. What a server answers is not repeated in errors but for its code: it may hold
the access key.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from eventkernel.errors import CorruptData, Unavailable
from eventkernel.retrying import Backoff

if TYPE_CHECKING:  # they are only in its stubs
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config

_LISTED_AT_ONCE: Final = 1_000
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3}[A-Za-z ]{0,40})")
_REASON: Final = re.compile(r" - (HTTP error: [a-z ]{1,80})")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where a bucket is and who asks. What is None is looked for where AWS's own tools look: AWS_ACCESS_KEY_ID and the
    others, a web identity, the machine's role."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    """None: AWS."""
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    patience: float = 60.0
    """Seconds for one request with its repetitions; at most a third of it for each attempt."""


class S3ObjectStore:
    """The port `ObjectStore`.

    It calls obstore in threads: a task of its asynchronous half may outlive what it was awaited for, and aborts the
    process where it then meets an interpreter that is ending.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._patience = settings.patience
        self._name = f"the bucket {settings.bucket}" + (f", below {settings.prefix}" if settings.prefix else "")
        attempt = timedelta(seconds=settings.patience / 3)
        given: S3Config = {}
        if settings.endpoint is not None:
            given["endpoint"] = settings.endpoint
        if settings.region is not None:
            given["region"] = settings.region
        if settings.access_key is not None and settings.secret_key is not None:
            given["access_key_id"], given["secret_access_key"] = settings.access_key, settings.secret_key
        if settings.session_token is not None:
            given["session_token"] = settings.session_token
        client: ClientConfig = {"timeout": attempt, "connect_timeout": attempt}
        if settings.endpoint is not None:
            client["allow_http"] = settings.endpoint.startswith("http://")
        retries: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=settings.patience)}
        try:
            self._store = S3Store(
                settings.bucket,
                prefix=settings.prefix or None,
                config=given,
                client_options=client,
                retry_config=retries,
            )
        except (BaseError, ValueError) as error:
            raise Unavailable(f"{self._name}: the settings are refused: {type(error).__name__}") from None

    @property
    def name(self) -> str:
        return self._name

    async def put(self, name: str, content: bytes) -> bool:
        return await asyncio.to_thread(self._put, name, content)

    async def get(self, name: str, at_most: int) -> bytes | None:
        return await asyncio.to_thread(self._get, name, at_most)

    async def names(self, level: str = "") -> AsyncGenerator[str, None]:
        pages = obstore.list(self._store, level or None, chunk_size=_LISTED_AT_ONCE)  # pyright: ignore[reportUnknownMemberType]  # its overload for Arrow
        while page := await asyncio.to_thread(self._next, pages):
            for one in page:
                yield one["path"]

    def _put(self, name: str, content: bytes) -> bool:
        until = time.monotonic() + self._patience
        for delay in Backoff().delays():
            if self._created(name, content):
                return True
            # Also where an answer was lost and the request was repeated: then the object is the one that was sent.
            size = self._size(name)
            if size is not None:
                return size == len(content) and self._get(name, len(content)) == content
            # A server may refuse while another writer's object is not to be seen yet, and that writer may still fail.
            if time.monotonic() + delay > until:
                break
            time.sleep(delay)
        raise Unavailable(f"{self._name}: {name} cannot be written: it exists for the server, and cannot be found")

    def _created(self, name: str, content: bytes) -> bool:
        """Whether it was written; False where the server says that it exists."""
        try:
            obstore.put(self._store, name, content, mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise self._failed(f"{name} cannot be written", error) from None
        return True

    def _get(self, name: str, at_most: int) -> bytes | None:
        try:
            found = obstore.get(self._store, name)
            if found.meta["size"] <= at_most:
                return bytes(found.bytes())
        except (BaseError, OSError) as error:
            if _is_missing(error):
                return None
            raise self._failed(f"{name} cannot be read", error) from None
        raise CorruptData(f"{name}: expected at most {at_most} bytes, found {found.meta['size']}")

    def _next(self, pages: Iterator[Sequence[ObjectMeta]]) -> Sequence[ObjectMeta]:
        try:
            return next(pages, ())
        except (BaseError, OSError) as error:
            raise self._failed("it cannot be listed", error) from None

    def _size(self, name: str) -> int | None:
        try:
            return obstore.head(self._store, name)["size"]
        except (BaseError, OSError) as error:
            if _is_missing(error):
                return None
            raise self._failed(f"{name} cannot be read", error) from None

    def _failed(self, what: str, error: Exception) -> Unavailable:
        text = str(error)
        told = [found[1].strip() for pattern in (_STATUS, _CODE, _REASON) if (found := pattern.search(text))]
        return Unavailable(f"{self._name}: {what}: {', '.join(told) or type(error).__name__}")


def _is_missing(error: Exception) -> bool:
    """Whether it is the object that is missing: a missing bucket, or a user that is not known, are other answers with
    the same status."""
    code = _CODE.search(str(error))
    return isinstance(error, FileNotFoundError) and (code is None or code[1] == "NoSuchKey")
