"""What a trace tells of an operation: its type, its name where that is known, and which text it is."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from graphrouter.telemetry.tracing import Span

_VALUES: Final = re.compile(
    r'"""(?:\\"""|[^"]|"(?!""))*"""|"(?:\\.|[^"\\\n])*"|(?<![_0-9A-Za-z])-?\d[\d.]*(?:[eE][+-]?\d+)?|#[^\n\r]*'
)
"""Texts, numbers and comments: https://spec.graphql.org/draft/#sec-Language.Source-Text.Lexical-Tokens"""


def tell_operation(span: Span, operation: tuple[str, str], text: str) -> None:
    """Sets the attributes of an operation, by its type and the name that it is counted by."""
    kind, name = operation
    span.set("graphql.operation.type", kind)
    if name:
        span.set("graphql.operation.name", name)
    span.set("graphql.document.hash", document_hash(text))


def document_hash(text: str) -> str:
    """SHA-256 of a document without its values, in hexadecimal digits: what a client has written into it can neither be
    read nor guessed."""
    return hashlib.sha256(_VALUES.sub("?", text).encode("utf-8", "surrogatepass")).hexdigest()
