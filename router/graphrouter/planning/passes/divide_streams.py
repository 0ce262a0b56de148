"""What is fetched for the items of a list whose rest comes later (`@stream`) is fetched for the first ones by itself.

A subgraph gives a list as a whole. What makes a client wait for the first items is what other subgraphs add to all of
them. So each fetch whose objects are in the items of such a list becomes two: one is for the first items and waits for
nothing that is not, the other is for the rest, and is marked as made for that. Both have the same document, and start
when the one would have started.

A fetch stays one where something outside of the items waits for it, as a field does that requires something of all of
them. In a rest nothing is divided again. So a fetch below `n` lists within one another, all of them streamed, becomes
`n + 1`, and not `2 ** n`.

A list in a deferred fragment has a rest that comes after the fragment. A fragment on the items is another one in the
rest, and comes after that.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace

from graphrouter.planning.fetch_graph import Fetch, FetchGraph
from graphrouter.planning.plan import AT_ONCE, DEFER, STREAM, Deferral, Deferrals, Key, Path, Slice, outermost


def divide_streams(graph: FetchGraph) -> None:
    """Divide the fetches below each streamed list, outer lists first."""
    for path, stream in sorted(graph.streams.items(), key=lambda one: len(one[0])):
        rest = Deferral(stream.number, path, directive=STREAM)
        _divide(graph, rest, stream.initial_count)


def _divide(graph: FetchGraph, rest: Deferral, count: int) -> None:
    divided = _separable(graph, {fetch for fetch in graph.fetches if _is_below(fetch.path, rest.path)})
    twins = {fetch: _twin(graph, fetch, rest, count, number) for number, fetch in enumerate(divided)}
    for fetch, twin in twins.items():
        twin.depends_on = {twins.get(before, before) for before in fetch.depends_on}
        fetch.path = _sliced(fetch.path, rest.path, Slice(count))
    graph.fetches = [one for fetch in graph.fetches for one in (fetch, twins.get(fetch)) if one]


def _is_below(path: Path, list_path: tuple[str, ...]) -> bool:
    """Whether a path leads through the list, and not through the rest of another one."""
    keys = [step for step in path if isinstance(step, Key)]
    return tuple(key.name for key in keys[: len(list_path)]) == list_path and not any(
        key.slice and key.slice.rest for key in keys
    )


def _separable(graph: FetchGraph, fetches: AbstractSet[Fetch]) -> list[Fetch]:
    """Those that nothing else waits for."""
    kept = set(fetches)
    waiting = [before for fetch in graph.fetches if fetch not in kept for before in fetch.depends_on]
    while waiting:
        fetch = waiting.pop()
        if fetch in kept:
            kept.remove(fetch)
            waiting.extend(fetch.depends_on)
    return [fetch for fetch in graph.fetches if fetch in kept]


def _twin(graph: FetchGraph, fetch: Fetch, rest: Deferral, count: int, number: int) -> Fetch:
    return Fetch(
        id=max(one.id for one in graph.fetches) + 1 + number,
        subgraph=fetch.subgraph,
        order=fetch.order,
        path=_sliced(fetch.path, rest.path, Slice(count, rest=True)),
        conditions=fetch.conditions,
        selected=fetch.selected,
        representation=fetch.representation,
        has_requirements=fetch.has_requirements,
        depth=fetch.depth,
        deferrals=_in_rest(fetch.deferrals, rest),
    )


def _sliced(path: Path, list_path: tuple[str, ...], slice_: Slice) -> Path:
    ends = [number for number, step in enumerate(path) if isinstance(step, Key)]
    at = ends[len(list_path) - 1]
    step = path[at]
    assert isinstance(step, Key)  # noqa: S101 - as it was chosen
    return (*path[:at], replace(step, slice=slice_), *path[at + 1 :])


def _in_rest(deferrals: Deferrals, rest: Deferral) -> Deferrals:
    """What the same comes with where it belongs to the rest of the list."""
    if deferrals == AT_ONCE:
        return frozenset((rest,))
    return outermost(_one_in_rest(one, rest) for one in deferrals)


def _one_in_rest(deferral: Deferral, rest: Deferral) -> Deferral:
    if deferral.directive != DEFER or deferral.path[: len(rest.path)] != rest.path:
        return rest  # a fragment around the list
    return replace(deferral, parent=_one_in_rest(deferral.parent, rest) if deferral.parent else rest)
