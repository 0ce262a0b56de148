"""Giving values fetched under an alias their response key back, before an answer is merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphrouter.execution.errors import ResponsePath
from graphrouter.execution.merge import JsonObject
from graphrouter.execution.places import objects_at
from graphrouter.planning.plan import Rename


def rename(roots: Sequence[JsonObject], renames: Sequence[Rename]) -> None:
    """Applies the renames to the objects at their paths below each of `roots`.

    The deepest paths come first: an outer rename would hide what an inner one looks for.
    """
    for step in sorted(renames, key=lambda step: -len(step.path)):
        for root in roots:
            for found in objects_at(root, step.path):
                if step.alias in found:
                    found[step.name] = found.pop(step.alias)


def rename_path(path: ResponsePath, names: Mapping[str, str]) -> list[str | int]:
    """An error's path with the planner's aliases replaced by the response keys they stand for."""
    return [names.get(step, step) if isinstance(step, str) else step for step in path]
