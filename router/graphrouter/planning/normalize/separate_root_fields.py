"""A mutation's root fields, each by itself, in the order in which they happen.

https://spec.graphql.org/October2021/#sec-Mutation. A response key may stand there several times under different
conditions: `a @include(if: $x)  b  a @include(if: $y)`. It happens once, where it stands first of what holds, and with
the selections of all that holds. So it becomes several root fields that exclude one another: here `a` under `$x`, with
the second one's selections under `$y`; and, after `b`, `a` under `$y` and not `$x`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphrouter.planning.plan import Condition
from graphrouter.planning.selection import Field, Fragment, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph

Conditions = tuple[Condition, ...]


def separate_root_fields(operation: Operation, _supergraph: Supergraph) -> Operation:
    """Leave queries alone; of a mutation, make root fields that exclude one another or have different keys."""
    if operation.kind != "mutation":
        return operation
    occurrences = list(_occurrences(operation.selections, ()))
    return replace(operation, selections=tuple(_separated(occurrences)))


def _occurrences(selections: Selections, conditions: Conditions) -> Iterator[tuple[Conditions, Field]]:
    for selection in selections:
        if isinstance(selection, Fragment):
            yield from _occurrences(selection.selections, (*conditions, *selection.conditions))
        else:
            yield tuple(dict.fromkeys(conditions)), selection


def _separated(occurrences: list[tuple[Conditions, Field]]) -> Iterator[Selection]:
    for number, (conditions, field) in enumerate(occurrences):
        same = [(n, c, f) for n, (c, f) in enumerate(occurrences) if f.response_key == field.response_key]
        selections = list[Selection](field.selections)
        for _, later, other in (one for one in same if one[0] > number):
            selections += other.selections if not later else _under(later, other.selections)
        whole = replace(field, selections=tuple(selections))
        for held in _without([conditions], [c for n, c, _ in same if n < number]):
            yield Fragment(None, held, (whole,)) if held else whole


def _under(conditions: Conditions, selections: Selections) -> Selections:
    return (Fragment(None, conditions, selections),) if selections else ()


def _without(cases: list[Conditions], earlier: list[Conditions]) -> list[Conditions]:
    """The cases in which none of the earlier conditions holds, as cases that exclude one another."""
    for conditions in earlier:
        cases = [
            narrowed
            for case in cases
            for number, condition in enumerate(conditions)
            if (narrowed := _both(case, (*conditions[:number], _not(condition)))) is not None
        ]
    return cases


def _both(one: Conditions, other: Conditions) -> Conditions | None:
    """All conditions together; None if they contradict one another."""
    together = tuple(dict.fromkeys((*one, *other)))
    return None if any(_not(condition) in together for condition in together) else together


def _not(condition: Condition) -> Condition:
    return Condition(condition.variable, not condition.wanted)
