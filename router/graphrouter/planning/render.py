"""Shows a plan: as a readable tree in the words of the field, and as JSON.

A plan is a graph. The tree is derived from it: parts that have nothing to do with one another stand side by side in a
`Parallel`, and within a part the fetches follow one another in a `Sequence`, by the number of fetches before them.
Every fetch also says its number and which ones it waits for, because that is what it really starts after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from graphql import parse, print_ast

from graphrouter.planning.fetch_graph import path_text
from graphrouter.planning.plan import (
    Condition,
    EntityFetch,
    Fetch,
    InputField,
    InputSelection,
    QueryPlan,
    Rename,
    RootFetch,
    Target,
)
from graphrouter.planning.selection import conditions_text, deferrals_text

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"


def render(plan: QueryPlan) -> str:
    """The tree: `QueryPlan { Sequence { Fetch(service: "users") { … } Flatten(path: "…") { … } } }`."""
    lines = [f"QueryPlan({plan.kind}) {{"]
    lines += _nested(_parallel(_node(part) for part in _parts(plan.fetches)), 1)
    return "\n".join([*lines, "}"]) + "\n"


def to_json(plan: QueryPlan) -> dict[str, Json]:
    """The plan's graph, for tools: every fetch with what it waits for."""
    return {"kind": plan.kind, "fetches": [_fetch_json(fetch) for fetch in plan.fetches], "text": render(plan)}


def _parts(fetches: Iterable[Fetch]) -> list[list[Fetch]]:
    """The fetches by connected part of the graph, each part in the plan's order."""
    parts: list[list[Fetch]] = []
    for fetch in fetches:
        waits = set(fetch.depends_on)
        touched = [part for part in parts if any(one.id in waits for one in part)]
        parts = [part for part in parts if part not in touched]
        parts.append(sorted([*(one for part in touched for one in part), fetch], key=lambda one: one.id))
    return sorted(parts, key=lambda part: part[0].id)


def _node(part: list[Fetch]) -> list[str]:
    """The lines of one connected part: its fetches in sequence, equally deep ones in parallel."""
    depths: dict[int, int] = {}
    by_depth: dict[int, list[Fetch]] = {}
    for fetch in part:
        depths[fetch.id] = 1 + max((depths[before] for before in fetch.depends_on), default=-1)
        by_depth.setdefault(depths[fetch.id], []).append(fetch)
    waves = [_parallel(_fetch(fetch) for fetch in by_depth[depth]) for depth in sorted(by_depth)]
    return waves[0] if len(waves) == 1 else _block("Sequence", [line for wave in waves for line in wave])


def _parallel(nodes: Iterable[list[str]]) -> list[str]:
    all_of = list(nodes)
    if len(all_of) < 2:
        return all_of[0] if all_of else []
    return _block("Parallel", [line for node in all_of for line in node])


def _fetch(fetch: Fetch) -> list[str]:
    waits = f", after: [{', '.join(map(str, fetch.depends_on))}]" if fetch.depends_on else ""
    head = f'Fetch(service: "{fetch.subgraph}", id: {fetch.id}{waits}){deferrals_text(fetch.deferrals)}'
    document = print_ast(parse(fetch.document)).splitlines()
    if isinstance(fetch, RootFetch):
        lines = _block(head, [*document, *_renames(fetch.renames)])
        if fetch.path:
            lines = _block(f'Flatten(path: "{path_text(fetch.path)}")', lines)
    else:
        lines = _block(head, [*_inputs(fetch), *document])
        paths = [f'"{path_text(target.path)}"' for group in fetch.groups for target in group.targets]
        lines = _block(f"Flatten(path: {', '.join(dict.fromkeys(paths))})", lines)
    return _block(f"Condition({_conditions(fetch.conditions)})", lines) if fetch.conditions else lines


def _inputs(fetch: EntityFetch) -> Iterator[str]:
    for group in fetch.groups:
        for target in group.targets:
            conditions = f" if {_conditions(target.conditions)}" if target.conditions else ""
            yield f"${group.variable} <- {path_text(target.path)} {_representation(target)}{conditions}"
            for (name, _), one in zip(group.contexts, target.representation.contexts, strict=True):
                above = path_text(target.path[: one.steps]) or "the root"
                yield f"${name} <- {above} {{ {' '.join(map(_input, one.selections))} }}"
        yield from _renames(group.renames)


def _representation(target: Target) -> str:
    typename = target.representation.typename
    head = f'__typename: "{typename}"' if typename else "__typename"
    return f"{{ {' '.join((head, *map(_input, target.representation.selections)))} }}"


def _input(selection: InputSelection) -> str:
    if isinstance(selection, InputField):
        name = selection.name if selection.name == selection.source else f"{selection.name}: {selection.source}"
        below = selection.selections
    else:
        name, below = f"... on {' | '.join(sorted(selection.types))}", selection.selections
    return name if below is None else f"{name} {{ {' '.join(map(_input, below))} }}"


def _renames(renames: Iterable[Rename]) -> Iterator[str]:
    for rename in renames:
        path = path_text(rename.path)
        yield f"rename {f'{path}.' if path else ''}{rename.alias} to {rename.name}"


def _conditions(conditions: tuple[Condition, ...]) -> str:
    return conditions_text(conditions).strip()


def _block(head: str, lines: list[str]) -> list[str]:
    return [f"{head} {{", *_nested(lines, 1), "}"]


def _nested(lines: list[str], depth: int) -> list[str]:
    return [f"{'  ' * depth}{line}" for line in lines]


def _fetch_json(fetch: Fetch) -> dict[str, Json]:
    found: dict[str, Json] = {
        "id": fetch.id,
        "service": fetch.subgraph,
        "dependsOn": list(fetch.depends_on),
        "document": fetch.document,
        "variables": list(fetch.variables),
    }
    if fetch.deferrals:
        found["deferrals"] = [*sorted(one.number for one in fetch.deferrals)]
    if fetch.conditions:
        found["conditions"] = _conditions(fetch.conditions)
    if isinstance(fetch, EntityFetch):
        found["representations"] = [
            {
                "variable": group.variable,
                "path": path_text(target.path),
                "representation": _representation(target),
                **({"conditions": _conditions(target.conditions)} if target.conditions else {}),
            }
            for group in fetch.groups
            for target in group.targets
        ]
    elif fetch.path:
        found["path"] = path_text(fetch.path)
    return found
