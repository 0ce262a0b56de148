"""A GraphQL request, its answer and its errors, apart from any transport."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NotRequired, TypeAlias, TypedDict, cast

import msgspec

from graphrouter.json_text import dumps, dumps_in_pieces

ResponsePath: TypeAlias = Sequence[str | int]
"""A position in the response: response keys and list indices. https://spec.graphql.org/October2021/#sec-Errors"""

MESSAGE_LIMIT: Final = 200
"""Characters of a message that may hold what a client sent."""

_ECHOED: Final = re.compile(
    r"(?P<before>cannot represent [\w -]*value|, found|; found)?: (?(before)|[{\[]).*", re.DOTALL
)
"""A value at the end of a message: as graphql-core tells of one which is not of its type."""
_NO_NAME: Final = re.compile(r"Value '(?![_A-Za-z][_0-9A-Za-z]*' ).*' does not exist in (?='\w+' enum\.)", re.DOTALL)
"""A text in place of an enum's value which is no name, and so no misspelt one either."""


class ErrorObject(TypedDict):
    """An error as it is written into the response. `extensions` has at least `code`."""

    message: str
    locations: NotRequired[list[dict[str, int]]]
    path: NotRequired[list[str | int]]
    extensions: dict[str, object]


def error_object(
    message: str,
    code: str,
    *,
    path: ResponsePath | None = None,
    service: str | None = None,
    extensions: Mapping[str, object] | None = None,
) -> ErrorObject:
    """An error with its code. `service` names the subgraph to blame: the message is then the subgraph's and stays
    whole; any other is clipped."""
    error: ErrorObject = {
        "message": message if service is not None else clipped(message),
        "extensions": {**(extensions or {}), "code": code},
    }
    if path is not None:
        error["path"] = list(path)
    if service is not None:
        error["extensions"]["service"] = service
    return error


def clipped(message: str) -> str:
    """At most `MESSAGE_LIMIT` characters: the middle, where echoes of the request stand, is left out. Nothing is told
    of a value that is not of its type: it may be a secret in the wrong place, or have one beside what is wrong."""
    message = _NO_NAME.sub("Value … does not exist in ", _ECHOED.sub(r"\g<before>: …", message))
    if len(message) <= MESSAGE_LIMIT:
        return message
    return f"{message[: MESSAGE_LIMIT - 61]} … {message[-58:]}"


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A request as a client makes it; header names in lower case.

    `only_queries` is for transports such as GET that must change nothing.
    """

    query: str
    variables: Mapping[str, object] = field(default_factory=dict[str, object])
    operation_name: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    extensions: Mapping[str, object] = field(default_factory=dict[str, object])
    only_queries: bool = False
    document_id: str | None = None
    """What the client knows its operation by; `query` may then be empty."""


@dataclass(frozen=True, slots=True)
class GraphQLAnswer:
    """The answer to a request. `refused`: the request itself was wrong, and nothing was executed (there is no data);
    `status` is then its HTTP status for clients that accept `application/graphql-response+json`.

    Equal parts of `data` may be one object, and requests may share an answer: it is for reading only.

    https://spec.graphql.org/October2021/#sec-Response-Format
    """

    data: dict[str, object] | None
    errors: list[ErrorObject]
    extensions: dict[str, object]
    refused: bool = False
    status: int = 400
    _text: list[bytes] = field(default_factory=list[bytes], init=False, repr=False, compare=False)
    _struct: msgspec.Struct | None = field(default=None, init=False, repr=False, compare=False)
    """What `data` is made of where nobody has looked at it yet: its text needs no dicts."""

    @classmethod
    def of_struct(cls, data: msgspec.Struct, errors: list[ErrorObject], extensions: dict[str, object]) -> GraphQLAnswer:
        """An answer whose data are a struct, with fields by the names of the response keys."""
        answer = cls(None, errors, extensions)
        object.__setattr__(answer, "_struct", data)
        object.__delattr__(answer, "data")
        return answer

    if not TYPE_CHECKING:  # a checker would take it that there is every attribute

        def __getattr__(self, name: str) -> object:
            if name != "data" or self._struct is None:
                raise AttributeError(name)
            object.__setattr__(self, "data", msgspec.to_builtins(self._struct))
            object.__setattr__(self, "_struct", None)
            return self.data

    @property
    def bookmark(self) -> str | None:
        return cast("str | None", self.extensions.get("bookmark"))

    @property
    def is_written(self) -> bool:
        return bool(self._text)

    def body(self) -> dict[str, object]:
        """The response's JSON map, without empty entries."""
        body: dict[str, object] = {}
        if self.errors:
            body["errors"] = self.errors
        if not self.refused:
            body["data"] = self.data
        if self.extensions:
            body["extensions"] = self.extensions
        return body

    def text(self) -> bytes:
        """The same as JSON; written once, however many requests share the answer."""
        if not self._text:
            self._text.append(dumps(self.body()) if self._struct is None else self._text_of(self._struct))
        return self._text[0]

    def _text_of(self, data: msgspec.Struct) -> bytes:
        errors = b'"errors":%b,' % dumps(self.errors) if self.errors else b""
        extensions = b',"extensions":%b' % dumps(self.extensions) if self.extensions else b""
        return b'{%b"data":%b%b}' % (errors, msgspec.json.encode(data), extensions)

    def write_in_pieces(self) -> None:
        """Writes the text of a large answer, in a thread: between the pieces others get their turn."""
        if not self._text:
            self._text.append(dumps_in_pieces(self.body()))


@dataclass(frozen=True, slots=True)
class Pending:
    """A deferred fragment or the rest of a list that is still to come: where, and by which name the client calls it."""

    id: str
    path: list[str | int]
    label: str | None

    def body(self) -> dict[str, object]:
        found: dict[str, object] = {"id": self.id, "path": self.path}
        return found if self.label is None else {**found, "label": self.label}


@dataclass(frozen=True, slots=True)
class Increment:
    """Fields of the object at `sub_path` below a pending fragment."""

    pending: Pending
    sub_path: list[str | int]
    data: dict[str, object]
    errors: list[ErrorObject]

    def body(self) -> dict[str, object]:
        found: dict[str, object] = {"data": self.data, "id": self.pending.id}
        if self.sub_path:
            found["subPath"] = self.sub_path
        return {**found, "errors": self.errors} if self.errors else found


@dataclass(frozen=True, slots=True)
class Items:
    """Items of the list that is pending; `first` is the index of the first one."""

    pending: Pending
    first: int
    items: list[object]
    errors: list[ErrorObject]

    def body(self) -> dict[str, object]:
        found: dict[str, object] = {"items": self.items, "id": self.pending.id}
        return {**found, "errors": self.errors} if self.errors else found


@dataclass(frozen=True, slots=True)
class Completed:
    """What was pending has come as a whole; with `errors`, nothing of it comes. `first` is where the rest of a list
    would have begun."""

    pending: Pending
    errors: list[ErrorObject]
    first: int | None = None

    def body(self) -> dict[str, object]:
        return {"id": self.pending.id, "errors": self.errors} if self.errors else {"id": self.pending.id}


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """One part of an answer that comes in several; `first` is what is there at once.

    https://github.com/graphql/graphql-spec/pull/1110
    """

    has_next: bool
    first: GraphQLAnswer | None = None
    pending: Sequence[Pending] = ()
    incremental: Sequence[Increment | Items] = ()
    completed: Sequence[Completed] = ()
    extensions: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def errors(self) -> list[ErrorObject]:
        """All that is told in the part."""
        first = [] if self.first is None else self.first.errors
        later = [error for one in self.incremental for error in one.errors]
        return [*first, *later, *(error for one in self.completed for error in one.errors)]

    @property
    def bookmark(self) -> None:
        """A query is not resumed; where its data are as of is in the extensions."""
        return

    def body(self) -> dict[str, object]:
        """The part's JSON map, without empty entries."""
        body: dict[str, object] = {} if self.first is None else self.first.body()
        for name, entries in (
            ("pending", self.pending),
            ("incremental", self.incremental),
            ("completed", self.completed),
        ):
            if entries:
                body[name] = [entry.body() for entry in entries]
        if self.extensions:
            body["extensions"] = self.extensions
        body["hasNext"] = self.has_next
        return body

    def text(self) -> bytes:
        return dumps(self.body())


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """How far a stream of answers is where nothing has come for a while: whoever resumes it from `bookmark` misses
    nothing."""

    bookmark: str


StreamItem: TypeAlias = GraphQLAnswer | AnswerPart | StreamProgress
"""What a subscription sends, or a query whose answer comes in parts. The bookmark of a subscription's answer is where
to resume the stream after it."""


class StreamInterrupted(Exception):
    """A stream of answers ends here, and its operation does not: it can be resumed from the last bookmark."""


class RequestRefused(Exception):
    """The request cannot be executed; its errors say why."""

    def __init__(self, *errors: ErrorObject) -> None:
        super().__init__(errors[0]["message"])
        self.errors = list(errors)
