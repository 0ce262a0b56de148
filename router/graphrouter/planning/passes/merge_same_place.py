"""Fetches that look up the same objects in the same subgraph become one.

Without required fields an entity can be looked up at any time, so such a fetch is folded into any other one of its
place: into an earlier one, or into a later one if nothing waits for it. One with required fields is folded into another
that is not ready any sooner than itself. Where nothing waits for it, the other one may also come to wait for what it
requires, as long as that holds nobody up.

Two fetches that need different values under one name (a field required with different arguments) stay two: one
representation has one value for each name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from graphrouter.planning.fetch_graph import Fetch, FetchGraph
from graphrouter.planning.plan import InputField, InputFragment, InputSelection


def merge_same_place(graph: FetchGraph) -> None:
    """Merge until nothing changes."""
    groups: dict[object, list[Fetch]] = {}
    for fetch in graph.fetches:
        if fetch.representation:
            key = (
                fetch.order,
                fetch.subgraph,
                fetch.path,
                fetch.selected.type_name,
                fetch.representation.typename,
                fetch.deferrals,
            )
            groups.setdefault(key, []).append(fetch)
    for group in groups.values():
        while len(group) > 1 and (pair := _find(graph, group, _can_fold) or _find(graph, group, _can_wait)):
            fetch, into = pair
            _fold(graph, fetch, into)
            group.remove(fetch)


def _find(
    graph: FetchGraph, group: list[Fetch], fits: Callable[[FetchGraph, Fetch, Fetch], bool]
) -> tuple[Fetch, Fetch] | None:
    """A fetch of the group and another one that can do its work."""
    for fetch in group:
        for into in group:
            if fetch is not into and fits(graph, fetch, into):
                return fetch, into
    return None


def _can_fold(graph: FetchGraph, fetch: Fetch, into: Fetch) -> bool:
    if not _agree(into.entity.selections, fetch.entity.selections):
        return False
    if not set(into.conditions) <= set(fetch.conditions):
        return False
    if fetch.has_requirements and not (
        fetch.depends_on <= into.ancestors() and set(into.conditions) == set(fetch.conditions)
    ):
        return False  # what is required is not there yet, or not in every case
    # What waits for the fetch must not wait longer; so it is nothing that the other one waits for, either.
    return not graph.dependents(fetch) or _depth(into) <= _depth(fetch)


def _can_wait(graph: FetchGraph, fetch: Fetch, into: Fetch) -> bool:
    """Whether a fetch that nothing waits for can be folded into one that will wait for all that both require."""
    if not _agree(into.entity.selections, fetch.entity.selections):
        return False
    if set(into.conditions) != set(fetch.conditions) or graph.dependents(fetch) or into in fetch.ancestors():
        return False
    return not graph.dependents(into) or _depth(fetch) <= _depth(into)


def _agree(first: tuple[InputSelection, ...], second: tuple[InputSelection, ...]) -> bool:
    """Whether both read every name from the same place, for each object type."""
    others = list(_with_types(second, None))
    return all(
        one.source == other.source and _agree(one.selections or (), other.selections or ())
        for types, one in _with_types(first, None)
        for other_types, other in others
        if one.name == other.name and (types is None or other_types is None or types & other_types)
    )


def _with_types(
    selections: tuple[InputSelection, ...], types: frozenset[str] | None
) -> Iterator[tuple[frozenset[str] | None, InputField]]:
    """Every field, with the object types for which it counts; None stands for all of them."""
    for part in selections:
        if isinstance(part, InputField):
            yield types, part
        else:
            yield from _with_types(part.selections, part.types if types is None else types & part.types)


def _depth(fetch: Fetch) -> int:
    return 1 + max((_depth(before) for before in fetch.depends_on), default=-1)


def _fold(graph: FetchGraph, fetch: Fetch, into: Fetch) -> None:
    extra = tuple(condition for condition in fetch.conditions if condition not in into.conditions)
    into.selected.fragment(None, extra).merge(fetch.selected)
    if fetch.has_requirements:
        into.representation = replace(
            into.entity,
            selections=_union(into.entity.selections, fetch.entity.selections),
            contexts=tuple(dict.fromkeys((*into.entity.contexts, *fetch.entity.contexts))),
        )
        into.has_requirements = True
        into.depends_on |= fetch.depends_on
    graph.replace(fetch, into)


def _union(first: tuple[InputSelection, ...], second: tuple[InputSelection, ...]) -> tuple[InputSelection, ...]:
    """All of both; fields of one name and source become one."""
    found: dict[object, InputSelection] = {}
    for part in (*first, *second):
        key = part.types if isinstance(part, InputFragment) else (part.name, part.source)
        before = found.get(key)
        if isinstance(before, InputField) and isinstance(part, InputField):
            below = _union(before.selections or (), part.selections or ()) or None
            found[key] = InputField(part.name, part.source, below)
        elif isinstance(before, InputFragment) and isinstance(part, InputFragment):
            found[key] = InputFragment(part.types, _union(before.selections, part.selections))
        else:
            found[key] = part
    return tuple(found.values())
