"""The errors of one response: where they come from, which code they bear, and at which positions they stand.

Codes of the router itself, for what goes wrong between it and a subgraph:

SUBREQUEST_FAILED       no answer came
SUBREQUEST_TIMEOUT      no answer in time
SUBREQUEST_TOO_LARGE    the answer went over the size limit
SUBREQUEST_HTTP_ERROR   an HTTP status of failure, without a GraphQL body
SUBREQUEST_MALFORMED    not JSON, not a GraphQL response, or not of the shape that was asked for
SUBGRAPH_ERROR          the subgraph reported an error without a code of its own
INVALID_VALUE           a subgraph gave a value that the schema does not allow at that place
TOO_MANY_OBJECTS        with a subgraph's answer there are more objects than one response may have
NULL_VALUE              a subgraph gave null where the schema has none, and no error that explains it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from graphrouter.json_text import dumps, fault_of
from graphrouter.request import ErrorObject, ResponsePath, error_object

__all__ = ["ErrorObject", "ResponseErrors", "ResponsePath", "SubgraphError", "error_object"]

SUBREQUEST_HTTP_ERROR: Final = "SUBREQUEST_HTTP_ERROR"
SUBREQUEST_MALFORMED: Final = "SUBREQUEST_MALFORMED"
SUBGRAPH_ERROR: Final = "SUBGRAPH_ERROR"
INVALID_VALUE: Final = "INVALID_VALUE"
NULL_VALUE: Final = "NULL_VALUE"
TOO_MANY_ERRORS: Final = "TOO_MANY_ERRORS"
TOO_MANY_OBJECTS: Final = "TOO_MANY_OBJECTS"

_MAX_MESSAGE: Final = 2_000
"""Characters of a subgraph's message that are passed on: it may stand at many positions."""

_MAX_EXTENSION_BYTES: Final = 8_000
"""The longest entry of a subgraph's `extensions` that is passed on, as JSON text with its name; `code` comes first, and
all of them together have twice as much room."""

# What servers add for their developers is not for the clients of the router.
_INTERNAL_EXTENSIONS = frozenset({"stacktrace", "exception", "debug"})


class ResponseErrors:
    """Collects the errors of one response, at most `limit`; whether there were more is the last one."""

    __slots__ = ("_dropped", "_emptied", "_errors", "_limit")

    def __init__(self, limit: int = 100) -> None:
        self._errors: list[ErrorObject] = []
        self._limit = limit
        self._dropped = 0
        self._emptied: set[tuple[str | int, ...]] = set()

    def __bool__(self) -> bool:
        return bool(self._errors)

    @property
    def room(self) -> int:
        """How many more errors will be listed."""
        return self._limit - len(self._errors)

    def drop(self, count: int) -> None:
        """So many errors are not even looked at."""
        self._dropped += max(count, 0)

    def explain_fields_of(self, path: ResponsePath) -> None:
        """An error that is listed already took all that a subgraph was to give for the object at this position."""
        self._emptied.add(tuple(path))

    def add(self, error: ErrorObject) -> None:
        if len(self._errors) < self._limit:
            self._errors.append(error)
        else:
            self._dropped += 1

    def add_at(
        self, paths: Iterable[ResponsePath], message: str, code: str, service: str, extensions: Mapping[str, object]
    ) -> None:
        """The same error at each of these positions; without a path where there is none.

        Positions beyond the limit are not even looked for.
        """
        told = False
        for path in paths:
            if len(self._errors) >= self._limit:
                self._dropped += 1
                return
            self._errors.append(error_object(message, code, path=path, service=service, extensions=extensions))
            told = True
        if not told:
            self.add(error_object(message, code, service=service, extensions=extensions))

    def add_nulls(self, paths: Sequence[list[str | int]]) -> None:
        """Nulls met where the schema has none, except those that an error at, above or below the position explains,
        or that come from a whole object's loss.

        https://spec.graphql.org/October2021/#sec-Handling-Field-Errors
        """
        explained: set[tuple[str | int, ...]] = set()
        above: set[tuple[str | int, ...]] = set()
        for error in self._errors:
            position = tuple(error.get("path", ()))
            explained.add(position)
            above.update(position[:length] for length in range(1, len(position)))
        for path in paths:
            position = tuple(path)
            if position in above or position[:-1] in self._emptied:
                continue
            if any(position[:length] in explained for length in range(1, len(position) + 1)):
                continue
            self.add(error_object(f"cannot give null for the non-null field {_field_of(path)}", NULL_VALUE, path=path))

    def as_list(self) -> list[ErrorObject]:
        if not self._dropped:
            return self._errors
        return [*self._errors, error_object("there are more errors than are listed", TOO_MANY_ERRORS)]


def _field_of(path: ResponsePath) -> str:
    return next((str(step) for step in reversed(path) if isinstance(step, str)), "")


def _passed_on(given: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    room = 2 * _MAX_EXTENSION_BYTES
    for name in ("code", *given):
        if room <= 0:
            break
        value = given.get(name)
        if name not in given or name in found or name in _INTERNAL_EXTENSIONS or fault_of(value):
            continue
        size = len(dumps(name)) + len(dumps(value))
        if size <= min(room, _MAX_EXTENSION_BYTES):
            found[name] = value
            room -= size
    return found


class SubgraphError:
    """One entry of a subgraph's `errors`, read tolerantly: whatever is not as the specification says is left out."""

    __slots__ = ("code", "extensions", "message", "path")

    def __init__(self, raw: object) -> None:
        entry = cast("dict[str, object]", raw) if isinstance(raw, dict) else {}
        message, path, extensions = entry.get("message"), entry.get("path"), entry.get("extensions")
        self.message = message if isinstance(message, str) else "the subgraph reported an error without a message"
        if len(self.message) > _MAX_MESSAGE:
            self.message = f"{self.message[:_MAX_MESSAGE]}…"
        self.path: list[str | int] | None = None
        if isinstance(path, list):
            steps = cast("list[object]", path)
            self.path = [step for step in steps if isinstance(step, str | int) and not isinstance(step, bool)]
        self.extensions: dict[str, object] = {}
        if isinstance(extensions, dict):
            self.extensions = _passed_on(cast("dict[str, object]", extensions))
        code = self.extensions.get("code")
        self.code = code if isinstance(code, str) else SUBGRAPH_ERROR
