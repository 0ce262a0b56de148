"""What an update makes of a document, as far as the adapters ask; a document that was read never changes.

https://www.mongodb.com/docs/manual/reference/operator/update/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from tests.simulation.mongo.matching import MISSING, Document, value_at


def updated(document: Document, update: Mapping[str, Any], now: datetime, *, inserting: bool = False) -> Document:
    changed = dict(document)
    for operator, fields in update.items():
        if operator == "$setOnInsert":
            if inserting:
                for path, value in fields.items():
                    _put(changed, path, value)
            continue
        change = _changes(operator, now)
        for path, operand in fields.items():
            value = change(value_at(changed, path), operand)
            if value is MISSING:
                _remove(changed, path)
            else:
                _put(changed, path, value)
    return changed


def _changes(operator: str, now: datetime) -> Callable[[Any, Any], Any]:
    """The new value of a field, from the one that it has and the operand."""
    if operator == "$currentDate":
        return lambda _value, _operand: now
    if operator not in _CHANGES:
        raise NotImplementedError(f"the simulated MongoDB knows no {operator}")
    return _CHANGES[operator]


_CHANGES: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "$set": lambda _, operand: operand,
    "$unset": lambda _value, _operand: MISSING,
    "$inc": lambda value, operand: operand if value is MISSING else value + operand,
    "$max": lambda value, operand: operand if value is MISSING else max(value, operand),
    "$min": lambda value, operand: operand if value is MISSING else min(value, operand),
    "$pull": lambda value, operand: (
        MISSING if value is MISSING else [item for item in value if item not in operand["$in"]]
    ),
    "$push": lambda value, operand: [operand] if value is MISSING else [*value, operand],
}


def _put(document: Document, path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for name in outer:
        document[name] = document = dict(document.get(name, {}))
    document[last] = value


def _remove(document: Document, path: str) -> None:
    if value_at(document, path) is MISSING:
        return
    *outer, last = path.split(".")
    for name in outer:
        document[name] = document = dict(document[name])
    del document[last]
