"""Deferred fragments learn where they stand, and keep only what nobody around them asks for.

A field that is asked for at once, too, is not deferred: what the deferred fragment selects below it is deferred there.
What several fragments on the same objects defer belongs to all of them. A fragment that is deferred then has nothing
else of its own: its type condition, its conditions and its directives stand on a fragment around it.

Only fields that stand on the same objects in any case are compared. Of others, values are fetched twice at worst: which
objects have which fields at once is known when their types are (`execution/deferring.py`). Objects must not be: two
requests could give two lists, which nobody could put together. So where a field of objects would be asked for at two
times, under conditions that differ, nothing of the operation is fetched later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from graphrouter.planning.plan import AT_ONCE, NO_DIRECTIVES, Deferral, Deferrals
from graphrouter.planning.selection import Field, Fragment, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph


def place_deferrals(operation: Operation, _supergraph: Supergraph) -> Operation:
    """Each deferral has its path and the one around it."""
    placed = _placed(operation.selections, (), None)
    return replace(operation, selections=_at_once(placed) if _is_torn([(placed, AT_ONCE)]) else placed)


def _is_torn(sets: Iterable[tuple[Selections, Deferrals]]) -> bool:
    """Whether objects in one field would be asked for at two times. `sets`: of the same objects, and when."""
    asked: dict[str, list[tuple[Selections, Deferrals]]] = {}
    for selections, deferrals in sets:
        for field, when in _fields(selections, deferrals):
            if field.selections:
                asked.setdefault(field.response_key, []).append((field.selections, when))
    return any(len({when for _, when in found}) > 1 or _is_torn(found) for found in asked.values())


def _fields(selections: Selections, deferrals: Deferrals) -> Iterator[tuple[Field, Deferrals]]:
    for one in selections:
        if isinstance(one, Field):
            yield one, deferrals
        else:
            yield from _fields(one.selections, one.deferrals or deferrals)


def _at_once(selections: Selections) -> Selections:
    return tuple(
        replace(one, selections=_at_once(one.selections))
        if isinstance(one, Field)
        else replace(one, selections=_at_once(one.selections), deferrals=AT_ONCE)
        for one in selections
    )


def _placed(selections: Selections, path: tuple[str, ...], parent: Deferral | None) -> Selections:
    return _pushed_down([_place(selection, path, parent) for selection in selections])


def _place(selection: Selection, path: tuple[str, ...], parent: Deferral | None) -> Selection:
    if isinstance(selection, Field):
        if not selection.selections:
            return selection
        return replace(selection, selections=_placed(selection.selections, (*path, selection.response_key), parent))
    if not selection.deferrals:
        return replace(selection, selections=_placed(selection.selections, path, parent))
    deferral = Deferral(next(iter(selection.deferrals)).number, path, parent)
    inner = Fragment(None, (), _placed(selection.selections, path, deferral), deferrals=frozenset((deferral,)))
    if selection.type_condition or selection.conditions or selection.directives:
        return Fragment(selection.type_condition, selection.conditions, (inner,), selection.directives)
    return inner


_Key = tuple[str, str]


def _pushed_down(selections: Iterable[Selection]) -> Selections:
    """The selections on the same objects, without deferred fields that are asked for at once."""
    at_once = {_key(one): one for one in selections if isinstance(one, Field)}
    below: dict[_Key, list[Selection]] = {}
    left: list[Selection] = []
    for selection in selections:
        if isinstance(selection, Field) or not selection.deferrals:
            left.append(selection)
        elif inner := _left(selection, at_once, below):
            left.append(replace(selection, selections=inner))
    found = [_with_below(one, below) if isinstance(one, Field) else one for one in left]
    return tuple(_together(found))


def _left(fragment: Fragment, at_once: Mapping[_Key, Field], below: dict[_Key, list[Selection]]) -> Selections:
    """What the deferred fragment keeps; the rest goes to where it stands `below` a field."""
    kept: list[Selection] = []
    for one in fragment.selections:
        if isinstance(one, Field) and _key(one) in at_once:
            if one.selections:
                below.setdefault(_key(one), []).append(Fragment(None, (), one.selections, deferrals=fragment.deferrals))
        elif isinstance(one, Fragment) and one.deferrals:
            if inner := _left(one, at_once, below):
                kept.append(replace(one, selections=inner))
        else:
            kept.append(one)
    return tuple(kept)


def _with_below(field: Field, below: Mapping[_Key, list[Selection]]) -> Field:
    more = below.get(_key(field))
    return replace(field, selections=_pushed_down((*field.selections, *more))) if more else field


def _together(selections: list[Selection]) -> Iterator[Selection]:
    """What several deferred fragments have in common becomes one fragment, deferred by all of them. That is the field
    where they select differently below it: two requests for it could give two lists."""
    deferred = [one for one in selections if isinstance(one, Fragment) and one.deferrals]
    if len(deferred) < 2:
        yield from selections
        return
    yield from (one for one in selections if one not in deferred)
    equal: dict[object, list[tuple[Selection, Deferrals]]] = {}
    for fragment in deferred:
        for one in fragment.selections:
            equal.setdefault(_key(one) if isinstance(one, Field) else one, []).append((one, fragment.deferrals))
    by_deferrals: dict[Deferrals, list[Selection]] = {}
    for found in equal.values():
        deferrals = frozenset[Deferral]().union(*(by for _, by in found))
        by_deferrals.setdefault(deferrals, []).append(_in_common(found))
    for deferrals, together in by_deferrals.items():
        yield Fragment(None, (), tuple(together), NO_DIRECTIVES, deferrals)


def _in_common(found: Sequence[tuple[Selection, Deferrals]]) -> Selection:
    """The one selection; a field has what each of the fragments selects below it deferred there."""
    first, _ = found[0]
    if not isinstance(first, Field) or all(one == first for one, _ in found):
        return first
    below = [Fragment(None, (), one.selections, deferrals=by) for one, by in found if isinstance(one, Field)]
    return replace(first, selections=_pushed_down(below))


def _key(field: Field) -> _Key:
    return field.response_key, field.directives
