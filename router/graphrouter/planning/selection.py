"""A normalised operation: fields and inline fragments only, each response key once per selection set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from graphrouter.planning.names import Names
from graphrouter.planning.plan import (
    AT_ONCE,
    DEFER,
    NO_DIRECTIVES,
    STREAM,
    Condition,
    Deferrals,
    Directives,
    OperationKind,
    Stream,
    Streams,
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field: `arguments` and `directives` are canonical text, `variables` the names that these mention.

    A field that is asked for with different directives is several fields under one response key. `stream` makes no
    difference to what is selected.
    """

    response_key: str
    name: str
    arguments: str = ""
    directives: str = ""
    variables: frozenset[str] = frozenset()
    selections: Selections = ()
    stream: Stream | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Fragment:
    """Selections that count for some types, or under conditions, or that have directives of their own.

    One that is deferred has, once it is normalised, nothing else of its own.
    """

    type_condition: str | None
    conditions: tuple[Condition, ...]
    selections: Selections
    directives: Directives = NO_DIRECTIVES
    deferrals: Deferrals = AT_ONCE


Selection: TypeAlias = Field | Fragment
Selections: TypeAlias = tuple[Selection, ...]


TYPENAME_FIELD = Field("__typename", "__typename")
"""What is left of selections that all count for nothing: that there is an object, and of which type."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the operation: `definition` is the text that declares it, `$limit:Int=1 @mark`."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Operation:
    """What is to be planned: one operation without named fragments. `root_type` is the type of its selections.

    `names` are those that the planner has drawn for what it adds. `directives` are those on the operation itself, as
    far as they may stand on the operations that subgraphs are sent, by the kind of these. `streams` are the lists whose
    rest comes later.
    """

    kind: OperationKind
    name: str | None
    root_type: str
    variables: Mapping[str, Variable]
    selections: Selections
    names: Names
    directives: Mapping[OperationKind, Directives]
    streams: Streams = field(default_factory=dict[tuple[str, ...], Stream])

    def __str__(self) -> str:
        definitions = ",".join(variable.definition for variable in self.variables.values())
        head = f"{self.kind}{f' {self.name}' if self.name else ''}{f'({definitions})' if definitions else ''}"
        return f"{head}{self.directives[self.kind]} {{\n{_lines(self.selections, 1)}}}\n"


def conditions_text(conditions: tuple[Condition, ...]) -> str:
    """` @include(if:$a) @skip(if:$b)`: each with a leading space; empty if there are none."""
    return "".join(f" @{'include' if c.wanted else 'skip'}(if:${c.variable})" for c in conditions)


def deferrals_text(deferrals: Deferrals) -> str:
    """` @defer(1) @stream(0)`: the numbers of the directives."""
    numbers = {
        name: sorted({str(one.number) for one in deferrals if one.directive == name}) for name in (DEFER, STREAM)
    }
    return "".join(f" @{name}({','.join(found)})" for name, found in numbers.items() if found)


def _lines(selections: Selections, depth: int) -> str:
    return "".join(_line(selection, depth) for selection in selections)


def _line(selection: Selection, depth: int) -> str:
    if isinstance(selection, Field):
        alias = "" if selection.response_key == selection.name else f"{selection.response_key}: "
        head = f"{alias}{selection.name}{selection.arguments}{selection.directives}"
        if selection.stream:
            head += f" @stream({selection.stream.number})"
    else:
        on = f" on {selection.type_condition}" if selection.type_condition else ""
        head = f"...{on}{conditions_text(selection.conditions)}{selection.directives}"
        head += deferrals_text(selection.deferrals)
    indent = "  " * depth
    if not selection.selections:
        return f"{indent}{head}\n"
    return f"{indent}{head} {{\n{_lines(selection.selections, depth + 1)}{indent}}}\n"
