"""Stage 1: an operation that is asked for by its id gets its text; where it has to be trusted, others are refused.

Automatic persisted queries: a client sends the hash of its operation alone; one that is not known here is answered by
`PersistedQueryNotFound`, and the client sends hash and text together, once. What is kept is bounded, and is no list of
what is allowed. https://www.apollographql.com/docs/apollo-server/performance/apq#protocol

Trusted operations are listed by their ids when the clients are built (`PersistedOperations.trusted`).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Final, cast

from graphrouter.cache import LruCache
from graphrouter.options import PersistedOperations
from graphrouter.request import GraphQLRequest, RequestRefused, error_object

_log = logging.getLogger("graphrouter.pipeline")

_TOLD: Final = 1_000
"""Operations that are remembered as told, so that the log has a line for each and not for each request."""
_NAME_CHARACTERS: Final = 100


class Persisted:
    """The operations that are known by their ids."""

    def __init__(self, options: PersistedOperations) -> None:
        self._options = options
        self._trusted = options.trusted or {}
        self._texts = frozenset(self._trusted.values())
        self._automatic: LruCache[str] = LruCache(options.automatic_entries, options.automatic_characters)
        self._told: LruCache[bool] = LruCache(_TOLD)

    def text_of(self, request: GraphQLRequest) -> str:
        """The text of the operation.

        Raises:
            RequestRefused: its id is not known, or it is not one that is allowed.
        """
        text, known = request.query, request.document_id
        if not text:
            text = self._by_id(known or "")
        elif known is not None and self._options.automatic and _is_hash_of(known, text):
            self._automatic.put(known, text, weight=len(text))
        if self._options.trusted is not None and self._options.mode != "off":
            self._check_trusted(text, request)
        return text

    def trusts(self, text: str) -> bool:
        """Whether it is the text of a trusted operation."""
        return text in self._texts

    def _by_id(self, known: str) -> str:
        text = self._trusted.get(known)
        if text is None and self._options.automatic:
            text = self._automatic.get(known)
        if text is not None:
            return text
        if self._options.automatic:
            raise RequestRefused(error_object("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"))
        message = "expected the id of an operation that is trusted here, found another one"
        raise RequestRefused(error_object(message, "PERSISTED_QUERY_NOT_FOUND"))

    def _check_trusted(self, text: str, request: GraphQLRequest) -> None:
        if self._options.only_by_id and request.query:
            reason = "expected the id of a trusted operation, found its text"
        elif text not in self._texts:
            reason = "expected a trusted operation, found another one"
        else:
            return
        if self._options.mode == "enforce":
            raise RequestRefused(error_object(reason, "OPERATION_NOT_TRUSTED"))
        digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        if self._told.get(digest) is None:
            self._told.put(digest, True)
            name = (request.operation_name or "-")[:_NAME_CHARACTERS]
            _log.warning("%s: operation %r with the SHA-256 %s", reason, name, digest)


def _is_hash_of(known: str, text: str) -> bool:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest() == known


def read_operations(text: str) -> Mapping[str, str]:
    """The operations of a manifest by their ids: Apollo's format (`apollo-persisted-query-manifest`, version 1), or
    Relay's, a JSON object of texts by ids.

    Raises:
        ValueError: it is neither.
    """
    try:
        found = cast("object", json.loads(text))
    except ValueError as error:
        raise ValueError(f"expected a manifest of operations in JSON, found: {error}") from error
    entries = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    if "format" in entries:
        operations = entries.get("operations")
        if (entries["format"], entries.get("version")) != ("apollo-persisted-query-manifest", 1):
            raise ValueError("expected the format apollo-persisted-query-manifest in version 1, found another one")
        listed = cast("list[object]", operations if isinstance(operations, list) else [None])
        bodies = [cast("dict[str, object]", one) if isinstance(one, dict) else {} for one in listed]
        pairs = [(body.get("id"), body.get("body")) for body in bodies]
    else:
        pairs = list(entries.items()) or [(None, None)]
    for known, body in pairs:
        if not (isinstance(known, str) and known and isinstance(body, str) and body):
            raise ValueError("expected the text of an operation by each id, found an entry without one of them")
    return cast("dict[str, str]", dict(pairs))
