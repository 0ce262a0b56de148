"""What a pipeline makes of a collection's documents, as far as the views ask.

https://www.mongodb.com/docs/manual/reference/operator/aggregation-pipeline/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from tests.simulation.mongo.matching import MISSING, Document, matches, value_at

Collections: TypeAlias = Callable[[str], Iterable[Document]]
"""The documents of a collection, by its name."""


def aggregated(
    documents: Iterable[Document], pipeline: Sequence[Mapping[str, Any]], others: Collections
) -> list[Document]:
    found = list(documents)
    for stage in pipeline:
        ((name, what),) = stage.items()
        match name:
            case "$match":
                found = [document for document in found if matches(document, what)]
            case "$sort":
                for field, direction in reversed(list(what.items())):
                    found.sort(key=partial(_value_of, field), reverse=direction < 0)
            case "$limit":
                found = found[:what]
            case "$project":
                found = [projected(document, what) for document in found]
            case "$group":
                found = _grouped(found, what)
            case "$lookup":
                found = [_with_others(document, what, others) for document in found]
            case "$unionWith":
                more = aggregated(others(what["coll"]), what.get("pipeline", ()), others)
                found = [*found, *more]
            case _:
                raise NotImplementedError(f"the simulated MongoDB knows no {name}")
    return found


def _value_of(field: str, document: Document) -> Any:
    return value_at(document, field)


def projected(document: Document, wanted: Mapping[str, Any]) -> Document:
    if any(value not in (0, 1) for value in wanted.values()):
        raise NotImplementedError(f"the simulated MongoDB projects whole fields only, not {dict(wanted)}")
    names = [name for name, value in wanted.items() if value]
    if not names:
        return {name: value for name, value in document.items() if name not in wanted}
    if wanted.get("_id", 1):
        names = ["_id", *names]
    return {name: document[name] for name in names if name in document}


def _grouped(documents: Sequence[Document], group: Mapping[str, Any]) -> list[Document]:
    """Counts, sums, and the first and the last of each group, of documents in order."""
    groups: dict[str, tuple[Any, list[Document]]] = {}
    for document in documents:
        key = _evaluated(document, group["_id"])
        groups.setdefault(repr(key), (key, []))[1].append(document)
    return [
        {"_id": key, **{name: _accumulated(members, what) for name, what in group.items() if name != "_id"}}
        for key, members in groups.values()
    ]


def _accumulated(members: Sequence[Document], what: Mapping[str, Any]) -> Any:
    ((operator, of),) = what.items()
    match operator:
        case "$first":
            return _evaluated(members[0], of)
        case "$last":
            return _evaluated(members[-1], of)
        case "$sum" if of == 1:
            return len(members)
        case "$sum" if isinstance(of, str):
            values = [_evaluated(member, of) for member in members]
            return sum(value for value in values if isinstance(value, int | float))  # MongoDB leaves out the others
        case _:
            raise NotImplementedError(f"the simulated MongoDB accumulates no {dict(what)}")


def _evaluated(document: Document, expression: Any) -> Any:
    """Of expressions: a field, the document itself, a document of such, or nothing."""
    if isinstance(expression, Mapping):
        return {name: _evaluated(document, value) for name, value in expression.items()}
    if expression is None or expression == "$$ROOT":
        return None if expression is None else document
    return value_at(document, expression.removeprefix("$"))


def _with_others(document: Document, lookup: Mapping[str, Any], others: Collections) -> Document:
    value = value_at(document, lookup["localField"])
    wanted = {lookup["foreignField"]: None if value is MISSING else value}
    there = [other for other in others(lookup["from"]) if matches(other, wanted)]
    return {**document, lookup["as"]: aggregated(there, lookup.get("pipeline", ()), others)}
