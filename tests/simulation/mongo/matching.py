"""Which documents a query finds, as far as the adapters ask (https://www.mongodb.com/docs/manual/reference/operator/query/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Document: TypeAlias = dict[str, Any]

MISSING: Final = object()


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """The value of a field, or of one inside of another (`a.b`); `MISSING` where there is none."""
    if path in document:
        return document[path]
    if "." not in path:
        return MISSING
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def matches(document: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    for name, wanted in query.items():
        if name == "$and":
            met = all(matches(document, part) for part in wanted)
        elif name == "$or":
            met = any(matches(document, part) for part in wanted)
        elif name.startswith("$"):
            raise NotImplementedError(f"the simulated MongoDB knows no {name}")
        else:
            met = _is_met(value_at(document, name), wanted)
        if not met:
            return False
    return True


def _is_met(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(name.startswith("$") for name in wanted):
        return all(_OPERATORS[name](value, operand) for name, operand in wanted.items())
    return _equals(value, wanted)


def _equals(value: Any, wanted: Any) -> bool:
    if value is MISSING:
        return wanted is None
    return value == wanted or (isinstance(value, list) and wanted in value)


def _any_of(value: Any, wanted: Sequence[Any]) -> bool:
    if isinstance(value, list):
        return any(item in wanted for item in value)
    return (None if value is MISSING else value) in wanted


def _compared(comparison: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(value: Any, wanted: Any) -> bool:
        if isinstance(value, list):
            return any(compare(item, wanted) for item in value)
        if value is MISSING or value is None or isinstance(value, str) != isinstance(wanted, str):
            return False
        return comparison(value, wanted)

    return compare


def _element_matches(value: Any, wanted: Any) -> bool:
    return isinstance(value, list) and any(_is_met(item, wanted) for item in value)


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$eq": _equals,
    "$ne": lambda value, wanted: not _equals(value, wanted),
    "$in": _any_of,
    "$nin": lambda value, wanted: not _any_of(value, wanted),
    "$exists": lambda value, wanted: (value is not MISSING) == bool(wanted),
    "$gt": _compared(lambda value, wanted: value > wanted),
    "$gte": _compared(lambda value, wanted: value >= wanted),
    "$lt": _compared(lambda value, wanted: value < wanted),
    "$lte": _compared(lambda value, wanted: value <= wanted),
    "$all": lambda value, wanted: all(_equals(value, item) for item in wanted),
    "$elemMatch": _element_matches,
}
