"""Reads an answer that comes in parts as a client does: it knows the format's rules, and nothing of the router.

https://github.com/graphql/graphql-spec/pull/1110
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]
Place = tuple[str | int, ...]


@dataclass
class Merged:
    """The answer as it is when all parts have come. `failed` are the places of fragments, and of lists whose rest
    did not come; `pending` the places and labels of what the first part says is to come."""

    data: Any = None
    errors: list[Body] = field(default_factory=list)
    pending: set[tuple[Place, str | None]] = field(default_factory=set)
    failed: list[Place] = field(default_factory=list)
    lists: set[Place] = field(default_factory=set)
    """The places of lists to which items were added."""
    parts: int = 0


def merged(bodies: Iterable[Body]) -> Merged:
    """All parts applied in their order; AssertionError where one of them is not allowed."""
    found = Merged()
    open_: dict[str, Place] = {}
    used: set[str] = set()
    is_over = False
    for number, body in enumerate(map(deepcopy, bodies)):
        assert not is_over, "a part after the last one"
        found.parts += 1
        if number == 0:
            assert not {"incremental", "completed"} & body.keys()
            found.data = body["data"]
            found.errors += body.get("errors", ())
        else:
            assert not {"data", "errors"} & body.keys()
        for pending in body.get("pending", ()):
            assert pending["id"] not in used, f"the id {pending['id']} once more"
            used.add(pending["id"])
            open_[pending["id"]] = tuple(pending["path"])
            if number == 0:
                found.pending.add((tuple(pending["path"]), pending.get("label")))
        for increment in body.get("incremental", ()):
            place = (*open_[increment["id"]], *increment.get("subPath", ()))
            target = at(found.data, place)
            if "items" in increment:
                assert isinstance(target, list), f"there is no list at {place}"
                assert increment["items"], f"nothing comes at {place}"
                target.extend(increment["items"])
                found.lists.add(place)
            else:
                assert isinstance(target, dict), f"there is no object at {place}"
                repeated = target.keys() & increment["data"].keys()
                assert not repeated, f"{repeated} comes twice at {place}"
                target.update(increment["data"])
            found.errors += increment.get("errors", ())
        for pending in body.get("pending", ()):
            assert isinstance(at(found.data, pending["path"]), dict | list), pending
        for completed in body.get("completed", ()):
            place = open_.pop(completed["id"])
            if "errors" in completed:
                found.errors += completed["errors"]
                found.failed.append(place)
        is_over = not body.get("hasNext", False)
        assert is_over is (not open_), "hasNext is whether a fragment is pending"
    assert is_over
    return found


def at(data: Any, path: Sequence[str | int]) -> Any:
    """What stands at a place; None below a null."""
    for step in path:
        if data is None:
            return None
        data = data[step]
    return data


def differences(parts: Merged, whole: Any) -> list[str]:
    """How the merged data differ from those that came at once, beyond what failed fragments explain."""
    return list(_differences(parts.data, whole, (), parts.failed))


def _differences(found: Any, whole: Any, place: Place, failed: list[Place]) -> Iterator[str]:
    if found == whole:
        return
    if whole is None and any(one[: len(place)] == place for one in failed):
        return  # a null that has come up from a deferred fragment
    if isinstance(found, dict) and isinstance(whole, dict):
        for key in found.keys() | whole.keys():
            if key not in found:
                if not any(place[: len(one)] == one for one in failed):
                    yield f"{[*place, key]} did not come"
            elif key not in whole:
                yield f"{[*place, key]} was not asked for"
            else:
                yield from _differences(found[key], whole[key], (*place, key), failed)
    elif isinstance(found, list) and isinstance(whole, list) and _is_long_enough(found, whole, place in failed):
        for index, (one, other) in enumerate(zip(found, whole, strict=False)):
            yield from _differences(one, other, (*place, index), failed)
    else:
        yield f"at {list(place)} expected {whole!r:.200}, found {found!r:.200}"


def _is_long_enough(found: list[Any], whole: list[Any], has_failed: bool) -> bool:
    return len(found) < len(whole) if has_failed else len(found) == len(whole)
