"""The lists whose rest comes later (`@stream`), by the response keys that lead to them.

Fetches and shapes go by these keys. A list of one type may be streamed while one of another type under the same keys
is not, or has more items at first. Such lists come as a whole: a server need not stream what it is asked to stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphrouter.planning.plan import Stream
from graphrouter.planning.selection import Field, Operation, Selections
from graphrouter.supergraph import Supergraph

_Keys = tuple[str, ...]


def place_streams(operation: Operation, _supergraph: Supergraph) -> Operation:
    """The operation with its streams."""
    found: dict[_Keys, Stream] = {}
    counts: dict[_Keys, set[int | None]] = {}
    for path, field in _fields(operation.selections, ()):
        counts.setdefault(path, set()).add(field.stream.initial_count if field.stream else None)
        if field.stream:
            found.setdefault(path, field.stream)
    return replace(operation, streams={path: one for path, one in found.items() if len(counts[path]) == 1})


def _fields(selections: Selections, above: _Keys) -> Iterator[tuple[_Keys, Field]]:
    for one in selections:
        if isinstance(one, Field):
            path = (*above, one.response_key)
            yield path, one
            yield from _fields(one.selections, path)
        else:
            yield from _fields(one.selections, above)
