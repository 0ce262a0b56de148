"""What a subgraph gives without having been asked for it, where others are asked: it must not stand for their answer.

Most of what nobody asked for is never read. But where another fetch brings a field to the same place, a value of the
same name that came unasked would overwrite the right one, or stand there when the right one is null or has failed. So a
field is dropped

- from an answer's own objects, those that are merged, where only others bring it to their place;
- from the objects at a fetch's target, before the fetch asks for it, where nobody else brings it;
- from objects inside an answer, where others bring it along with such objects of their own.

The first two are seen where each object is looked at anyway; only the last, which is rare, takes a walk of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphrouter.execution.merge import JsonObject
from graphrouter.execution.places import objects_below
from graphrouter.execution.representations import NO_KEYS
from graphrouter.planning.plan import Key, Path

Asked: TypeAlias = "Mapping[str, Asked]"
"""Response key → what is asked of the objects under it."""

_Place: TypeAlias = tuple[str, ...]
"""The keys of a path. Type conditions are left out: an object of another type may stand there as well."""


@dataclass(frozen=True, slots=True)
class Strays:
    """What one answer must not give: fields of its objects, fields of objects inside of them; and what its targets,
    in order, must not have before."""

    own: frozenset[str] = frozenset()
    inside: tuple[tuple[Path, frozenset[str]], ...] = ()
    before: tuple[frozenset[str], ...] = ()


def find_strays(answers: Sequence[tuple[Sequence[Path], Asked]]) -> list[Strays]:
    """For each answer, given by the paths that it is merged at and what was asked for."""
    bringing: dict[_Place, dict[str, set[int]]] = {}
    merged_at = [{_place(path) for path in paths} for paths, _ in answers]
    for number, (_, asked) in enumerate(answers):
        for place in merged_at[number]:
            for below, keys in _objects(asked, ()):
                known = bringing.setdefault((*place, *below), {})
                for key in keys:
                    known.setdefault(key, set()).add(number)
    found: list[Strays] = []
    for number, (paths, asked) in enumerate(answers):
        inside: list[tuple[Path, frozenset[str]]] = []
        own: frozenset[str] = frozenset()
        for below, keys in _objects(asked, ()):
            at = {(*place, *below) for place in merged_at[number]}
            others = frozenset(
                key
                for place in at
                for key, who in bringing[place].items()
                if key not in keys and (not below or any(place not in merged_at[one] for one in who))
            )
            if not below:
                own = others
            elif others:
                inside.append((tuple(Key(key) for key in below), others))
        before = tuple(
            frozenset(
                key
                for key, who in bringing[_place(path)].items()
                if all(one == number or _never_meet(answers[one][0], path) for one in who)
            )
            for path in paths
        )
        found.append(Strays(own, tuple(inside), before))
    return found


def drop_strays(roots: list[JsonObject], strays: Strays) -> None:
    own = strays.own
    if own and not own.isdisjoint(NO_KEYS.union(*roots)):
        for root in roots:
            _drop(root, own)
    for path, others in strays.inside:
        for found in objects_below(roots, path):
            _drop(found, others)


def _drop(found: JsonObject, names: frozenset[str]) -> None:
    for name in names & found.keys():
        del found[name]


def _never_meet(paths: Sequence[Path], path: Path) -> bool:
    """Whether what is merged at the paths, as far as it comes to this one, comes to other items of a list."""
    place = _place(path)
    return all(_are_apart(other, path) for other in paths if _place(other) == place[: len(_place(other))])


def _are_apart(one: Path, other: Path) -> bool:
    slices = [[step.slice for step in path if isinstance(step, Key)] for path in (one, other)]
    return any(a and b and a.rest != b.rest for a, b in zip(*slices, strict=False))


def _place(path: Path) -> _Place:
    return tuple(step.name for step in path if isinstance(step, Key))


def _objects(asked: Asked, above: _Place) -> Iterator[tuple[_Place, frozenset[str]]]:
    yield above, frozenset(asked)
    for key, below in asked.items():
        if below:
            yield from _objects(below, (*above, key))
