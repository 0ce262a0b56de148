"""Why no subgraph answers a field: a reason for every subgraph that might have."""

from __future__ import annotations

from collections.abc import Iterator

from graphrouter.composition.diagnostics import listed
from graphrouter.composition.merged import Merged
from graphrouter.composition.model import ObjectType
from graphrouter.composition.reach import Place, Reach


def explain(merged: Merged, reach: Reach, tails: tuple[Place, ...], runtime: str, field: str) -> list[str]:
    """One line for each place that cannot answer, and for each subgraph that could, but cannot be entered."""
    closure = reach.closure(tails, runtime)
    lines = [reason for place in closure.places for reason in _inside(reach, tails, place, runtime, field)]
    entered = {(place.subgraph, place.type) for place in closure.places}
    above = {name for name, possible in merged.supergraph.possible_types.items() if runtime in possible}
    for subgraph in merged.subgraphs:
        for name in sorted({runtime} | above):
            definition = subgraph.types.get(name)
            stands = name == runtime or (isinstance(definition, ObjectType) and definition.interface_object)
            place = Place(subgraph.name, name)
            if stands and (subgraph.name, name) not in entered and reach.resolves(place, field):
                lines += _outside(reach, tails, place, runtime, field)
    return list(dict.fromkeys(lines))


def _inside(reach: Reach, tails: tuple[Place, ...], place: Place, runtime: str, field: str) -> Iterator[str]:
    """Why a subgraph that is reached does not answer."""
    here = f'subgraph "{place.subgraph}"'
    definition = reach.definition(place, field)
    taken_over = reach.taken_over_by(place, field)
    if definition is None:
        yield f'{here} does not have "{place.type}.{field}"'
    elif taken_over is not None:
        yield f'{here} does not answer "{place.type}.{field}": @override gives it to subgraph "{taken_over}"'
    elif definition.external and not reach.resolves(place, field):
        yield f'{here} has "{place.type}.{field}" as @external only, and no @provides on the way promises it'
    elif definition.contextual:
        names = " and ".join(sorted({f'"{argument.context}"' for argument in definition.contextual}))
        yield (
            f'{here} has "{place.type}.{field}" with @fromContext, but on this path no object around it sets {names}, '
            "or the value or a key to bring it by cannot be got"
        )
    elif definition.requires is not None:
        missing = reach.missing(definition.requires.selections, tails, runtime)
        if missing is not None:
            needed = f'@requires(fields: "{definition.requires}")'
            yield f'{here} has "{place.type}.{field}" with {needed}, but "{missing}" cannot be got'
        else:
            yield (
                f'{here} has "{place.type}.{field}" with @requires, but "{place.type}" has no resolvable @key there '
                "by which to bring what it requires"
            )


def _outside(reach: Reach, tails: tuple[Place, ...], place: Place, runtime: str, field: str) -> Iterator[str]:
    """Why a subgraph that would answer cannot be entered."""
    there = f'subgraph "{place.subgraph}", which has "{place.type}.{field}"'
    entries = [entry for entry in reach.entries(runtime) if entry.place == place]
    if not entries:
        yield f'{there}, cannot be entered: "{place.type}" has no resolvable @key there'
        return
    known = reach.names_known(reach.closure(tails, runtime), runtime)
    for entry in entries:
        key = f'@key(fields: "{entry.key.fields}")'
        missing = reach.missing(entry.key.fields.selections, tails, runtime)
        if missing is not None:
            asked = listed(sorted({tail.subgraph for tail in reach.closure(tails, runtime).places}))
            yield f'{there}, cannot be entered by {key}: "{missing}" cannot be got from {asked}'
        elif entry.name not in known:
            yield f'{there}, cannot be entered by {key}: no subgraph reached can tell that the object is a "{runtime}"'
