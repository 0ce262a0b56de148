"""A mutation's root fields, each by itself, in the order in which they happen.

https://spec.graphql.org/October2021/#sec-Mutation. A response key may stand there several times under different
conditions: `a @include(if: $x)  b  a @include(if: $y)`. It happens once, where it stands first of what holds, and with
the selections of all that holds. So it becomes several root fields that exclude one another: here `a` under `$x`, with
the second one's selections under `$y`; and, after `b`, `a` under `$y` and not `$x`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphrouter.planning.plan import Condition, Directives
from graphrouter.planning.selection import Field, Fragment, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph

Conditions = tuple[Condition, ...]


def separate_root_fields(operation: Operation, _supergraph: Supergraph) -> Operation:
    """Leave queries alone; of a mutation, make root fields that exclude one another or have different keys."""
    if operation.kind != "mutation":
        return operation
    found = enumerate(_occurrences(operation.selections, (), ()))
    occurrences = [_Occurrence(number, *one) for number, one in found]
    return replace(operation, selections=tuple(_separated(occurrences)))


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """A root field where the client has written it: under which conditions, in fragments with which directives."""

    number: int
    conditions: Conditions
    around: tuple[Directives, ...]
    field: Field


def _occurrences(
    selections: Selections, conditions: Conditions, around: tuple[Directives, ...]
) -> Iterator[tuple[Conditions, tuple[Directives, ...], Field]]:
    for selection in selections:
        if isinstance(selection, Fragment):
            inner = (*around, selection.directives) if selection.directives else around
            yield from _occurrences(selection.selections, (*conditions, *selection.conditions), inner)
        else:
            yield tuple(dict.fromkeys(conditions)), around, selection


def _separated(occurrences: list[_Occurrence]) -> Iterator[Selection]:
    for one in occurrences:
        same = [other for other in occurrences if other.field.response_key == one.field.response_key]
        whole = _with_later(one.field, [other for other in same if other.number > one.number])
        for held in _without([one.conditions], [other.conditions for other in same if other.number < one.number]):
            inner: Selection = whole
            for directives in reversed(one.around):
                inner = Fragment(None, (), (inner,), directives)
            yield Fragment(None, held, (inner,)) if held else inner


def _with_later(field: Field, later: list[_Occurrence]) -> Field:
    """The field with the selections of its later occurrences, each under its conditions.

    It is sent once, so it has the directives of one occurrence: the first one that has any and is there in any case.
    """
    selections = list[Selection](field.selections)
    for other in later:
        selections += (
            other.field.selections if not other.conditions else _under(other.conditions, other.field.selections)
        )
    sure = (field, *(other.field for other in later if not other.conditions))
    marked = next((one for one in sure if one.directives), field)
    variables = field.variables | marked.variables
    return replace(field, selections=tuple(selections), directives=marked.directives, variables=variables)


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
