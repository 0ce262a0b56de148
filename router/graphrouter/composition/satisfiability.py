"""Satisfiability: Merged → Satisfiable, the proof that every query which the supergraph allows can be answered.

The proof walks all paths from the root types and keeps, for the object at the end of a path, the places at which it
can be asked for fields (see `reach.py`). A field is answered if one of these places resolves it; the places behind it
are those of all subgraphs that resolve it, for the router may ask several of them and take from each what it has.

Paths are infinite, but what happens next depends only on the object's type and its places, and on the nearest objects
around it that set a context. So the walk is over these, and each combination is visited once. More places do not always
help, for they may return more types of objects; so a combination is passed over for an equal one only. The walk is
breadth first, so the first path that fails at a field is a shortest one; it is printed as a witness query, with each
subgraph's reason.

A mutation is not repeated: where several subgraphs resolve one mutation field, one of them alone must lead everywhere.
Override labels are switched per request: the proof holds for each combination of up to six labels; beyond, for none,
all, each alone and all but each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations

from graphrouter.composition.diagnostics import Code, Findings, listed
from graphrouter.composition.merged import Merged, MergedComposite, MergedField
from graphrouter.composition.model import ROOT_TYPES, named_type
from graphrouter.composition.reach import Around, Place, Reach, Setter
from graphrouter.composition.runtime_types import check_runtime_types
from graphrouter.composition.unreachable import explain
from graphrouter.composition.witness import Step, witness_query

_LABELS_IN_ALL_COMBINATIONS = 6


@dataclass(frozen=True, slots=True)
class Satisfiable:
    """A supergraph of which every query can be answered."""

    merged: Merged


@dataclass(frozen=True, slots=True)
class Failure:
    """A field that cannot be answered, the shortest path to it and where the object can be asked."""

    step: Step
    tails: tuple[Place, ...]


def prove_satisfiable(merged: Merged, findings: Findings) -> Satisfiable:
    """Report each field for which there is a path on which no subgraph can answer it."""
    reported: set[tuple[str, str]] = set()
    for labels in _label_choices(merged.overrides.labels):
        reach = Reach(merged, labels)
        for failure in _walk_everything(merged, reach, findings):
            coordinate = (failure.step.parent, failure.step.field)
            if coordinate not in reported:
                reported.add(coordinate)
                _report(merged, reach, failure, labels, findings)
    return Satisfiable(merged)


def _label_choices(labels: tuple[str, ...]) -> Iterable[frozenset[str]]:
    if len(labels) <= _LABELS_IN_ALL_COMBINATIONS:
        sizes = list(range(len(labels) + 1))
    else:
        sizes = [0, 1, len(labels) - 1, len(labels)]
    return map(frozenset, chain.from_iterable(combinations(labels, size) for size in sizes))


def _report(merged: Merged, reach: Reach, failure: Failure, labels: frozenset[str], findings: Findings) -> None:
    step = failure.step
    switched = f" (with the override labels {', '.join(sorted(labels))} on)" if labels else ""
    reasons = explain(merged, reach, failure.tails, step.parent, step.field)
    asked = sorted({place.subgraph for place in failure.tails})
    message = "\n".join(
        [
            f'"{step.parent}.{step.field}" cannot always be answered{switched}. This query of the supergraph:',
            *(f"  {line}" for line in witness_query(merged.supergraph, step).splitlines()),
            f'finds the "{step.parent}" in {listed(asked)}, and from there:',
            *(f"- {reason}" for reason in reasons),
        ]
    )
    findings.error(Code.SATISFIABILITY_ERROR, message, f"{step.parent}.{step.field}", *asked)


def _walk_everything(merged: Merged, reach: Reach, findings: Findings) -> Iterator[Failure]:
    walk = _Walk(merged, reach, findings)
    for root in ROOT_TYPES:
        if root == "Mutation":
            yield from _walk_mutations(merged, reach, findings)
        elif root in merged.supergraph.types:
            yield from walk.from_object(root, reach.roots(root), None)


def _walk_mutations(merged: Merged, reach: Reach, findings: Findings) -> Iterator[Failure]:
    """For each mutation field, the failures of the subgraph that has the fewest; none if one of them has none."""
    for field in visible_fields(merged, "Mutation"):
        step = Step("Mutation", field.name)
        roots = reach.roots("Mutation")
        resolvers = reach.resolvers(reach.closure(roots, "Mutation"), field.name)
        check_runtime_types(merged, reach, step, field, resolvers, findings)
        attempts = [list(_Walk(merged, reach, findings).below(step, field, [place])) for place in resolvers]
        if attempts:
            yield from min(attempts, key=len)
        else:
            yield Failure(step, roots)


def visible_fields(merged: Merged, type_name: str) -> Iterator[MergedField]:
    """The fields that clients can select on an object."""
    definition = merged.supergraph.types.get(type_name)
    if isinstance(definition, MergedComposite):
        yield from (field for field in definition.fields.values() if not field.marks.inaccessible)


class _Walk:
    """One breadth-first walk; remembers the pairs (type, places) that it has seen."""

    def __init__(self, merged: Merged, reach: Reach, findings: Findings) -> None:
        self._merged = merged
        self._reach = reach
        self._findings = findings
        self._seen: set[tuple[str, frozenset[Place], frozenset[tuple[tuple[str, str], Setter]]]] = set()
        self._open: deque[tuple[str, tuple[Place, ...], Step | None, Around]] = deque()

    def from_object(self, runtime: str, tails: tuple[Place, ...], before: Step | None) -> Iterator[Failure]:
        """Walk everything below an object of this type that is at these places."""
        self._open.append((runtime, tails, before, {}))
        return self._walk()

    def below(self, step: Step, field: MergedField, resolvers: Iterable[Place]) -> Iterator[Failure]:
        """Walk everything below a field that these places resolve."""
        self._open_children(step, field, resolvers, {})
        return self._walk()

    def _walk(self) -> Iterator[Failure]:
        while self._open:
            runtime, tails, before, around = self._open.popleft()
            closure = self._reach.closure(tails, runtime)
            state = (runtime, frozenset(closure.places), frozenset(around.items()))
            if state in self._seen:
                continue
            self._seen.add(state)
            within = self._reach.within(around, runtime, tails)
            for field in visible_fields(self._merged, runtime):
                step = Step(runtime, field.name, before)
                resolvers = self._reach.resolvers(closure, field.name)
                resolvers += self._reach.resolvers_within(around, closure, runtime, field.name)
                if resolvers:
                    check_runtime_types(self._merged, self._reach, step, field, resolvers, self._findings)
                    self._open_children(step, field, resolvers, within)
                else:
                    yield Failure(step, tails)

    def _open_children(self, step: Step, field: MergedField, resolvers: Iterable[Place], around: Around) -> None:
        type_name = named_type(field.type)
        definition = self._merged.supergraph.types.get(type_name)
        possible = self._merged.supergraph.possible_types
        if not isinstance(definition, MergedComposite) and type_name not in possible:
            return
        for runtime, tails in self._reach.children(resolvers, field.name, type_name):
            child = self._merged.supergraph.types.get(runtime)
            if child is not None and not child.marks.inaccessible:
                self._open.append((runtime, tails, step, around))
