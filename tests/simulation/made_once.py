"""What comes out the same in every history is made once for all of them, which changes nothing but the time they take.

A replica starts once or twice in a history, and would print its schema, look through its event types and parse and
validate the clients' few documents each time.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Final
from unittest.mock import patch

from eventgraph.serving.execution import Document, Documents, InvalidDocument
from eventgraph.serving.federation import FederatedSchema
from eventkernel.writing import codec

_prepare: Final = Documents._prepared
_documents: Final[dict[tuple[int, str], Document | InvalidDocument]] = {}

_register: Final = cache(codec._register)
_as_str: Final = cache(FederatedSchema.as_str)


def _prepared(documents: Documents, text: str) -> Document | InvalidDocument:
    key = (id(documents.schema), text)  # a subgraph's schema lives as long as its module
    if key not in _documents:
        _documents[key] = _prepare(documents, text)
    return _documents[key]


@contextmanager
def made_once() -> Generator[None]:
    with (
        patch.object(Documents, "_prepared", _prepared),
        patch.object(FederatedSchema, "as_str", _as_str),
        patch.object(codec, "_register", _register),
    ):
        yield
