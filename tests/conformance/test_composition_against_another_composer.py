"""Subgraphs with one thing changed compose here where they compose with Apollo's composer, and are refused alike.

The changes are those of `tests/support/schema_mutations.py`. Each difference has a line in `EXPLAINED` that says why.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from graphql import lexicographic_sort_schema, print_schema

from graphrouter.composition import CompositionError, SubgraphSdl, compose
from graphrouter.supergraph import read_supergraph
from tests.support.mutated_subgraphs import SETS
from tests.support.npm import Absent, npm_packages
from tests.support.schema_mutations import Mutation, mutations

pytestmark = pytest.mark.node

COMPOSERS: Final = Path(__file__).parent / "composers"
SHORT: Final = 13
"""The short campaign tries every thirteenth change; a prime meets every kind of change in every set."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The codes of the errors, none where the subgraphs compose, and what clients and planners see then."""

    codes: frozenset[str]
    supergraph: str | None = None

    @property
    def composes(self) -> bool:
        return not self.codes


@dataclass(frozen=True, slots=True)
class Explained:
    """A difference that is meant: what was changed (a pattern), our code, theirs ("" where they compose), and why."""

    what: str
    ours: str
    theirs: str
    why: str

    def covers(self, mutation: Mutation, ours: Verdict, theirs: Verdict) -> bool:
        return (
            re.search(self.what, mutation.what) is not None
            and self.ours in (ours.codes or {""})
            and self.theirs in (theirs.codes or {""})
        )


EXPLAINED: Final = (
    Explained("double", "INVALID_GRAPHQL", "", "GraphQL defines an argument or an enum value once, and gives it once"),
    Explained("tag.name", "INVALID_TAG_NAME", "", "the specification of @tag does not have the empty name"),
    Explained("twice the word", "KEY_INVALID_FIELDS", "", "a field of an object type without selections is no GraphQL"),
    Explained("twice the word", "REQUIRES_INVALID_FIELDS", "", "the same"),
    Explained("twice the word", "PROVIDES_INVALID_FIELDS", "", "the same"),
    Explained(r"drop .*link\.url", "INVALID_LINK_IDENTIFIER", "", "a @link without a URL links nothing"),
    Explained(
        "copy|move", "ROOT_QUERY_USED", "INVALID_GRAPHQL", "both hold; a root type's name is looked at first here"
    ),
    Explained(
        "retype", "INVALID_GRAPHQL", "ROOT_MUTATION_USED", "both hold: one type is the root of two kinds of operations"
    ),
    Explained(
        "retype to String Filter.state",
        "INVALID_GRAPHQL",
        "FIELD_TYPE_MISMATCH",
        "both hold: a default value does not fit in its own subgraph",
    ),
    Explained(
        "make non-null Transaction.amount.unit",
        "",
        "CONTEXT_INVALID_SELECTION",
        "a value that is never null goes where null may not; they forget that the selected field is never null",
    ),
    Explained(
        "make non-null Filter",
        "INVALID_GRAPHQL",
        "REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH",
        "both hold: a default value lacks the field in its own subgraph",
    ),
)


def test_the_subgraphs_that_are_changed_compose_as_they_are() -> None:
    originals = [Mutation(name, subgraphs) for name, subgraphs in SETS.items()]
    assert [verdict.codes for verdict in map(ours, originals)] == [frozenset()] * len(SETS)
    assert [verdict.codes for verdict in theirs(originals)] == [frozenset()] * len(SETS)


@pytest.mark.timeout(1800)
def test_changed_subgraphs_get_the_verdict_of_another_composer(full_campaign: bool) -> None:
    everything = [mutation for subgraphs in SETS.values() for mutation in mutations(subgraphs)]
    tried = everything if full_campaign else everything[::SHORT]
    unexplained: list[str] = []
    used: set[Explained] = set()
    for mutation, their in zip(tried, theirs(tried), strict=True):
        our = ours(mutation)
        if agree(our, their):
            continue
        reasons = [explained for explained in EXPLAINED if explained.covers(mutation, our, their)]
        used.update(reasons)
        if not reasons:
            unexplained.append(f"{mutation}: {sorted(our.codes)} here, {sorted(their.codes)} there")
    assert not unexplained, "\n".join(unexplained)
    if full_campaign:
        assert used == set(EXPLAINED)


def agree(our: Verdict, their: Verdict) -> bool:
    """Whether both refuse, for a reason that both give, or both compose to the same; a composer that breaks refuses."""
    if our.composes and their.composes:
        return our.supergraph == their.supergraph
    broken = "CRASH" in their.codes and not our.composes
    return broken or not our.codes.isdisjoint(their.codes)


def ours(mutation: Mutation) -> Verdict:
    try:
        result = compose([SubgraphSdl(name, f"http://{name}", sdl) for name, sdl in mutation.subgraphs.items()])
    except CompositionError as error:
        return Verdict(frozenset(str(found.code) for found in error.errors))
    return Verdict(frozenset(), seen(result.supergraph_sdl))


def theirs(tried: Sequence[Mutation]) -> list[Verdict]:
    try:
        folder = npm_packages("composers", COMPOSERS, "compose.js")
    except Absent as absent:
        pytest.skip(str(absent))
    sets = [[{"name": name, "sdl": sdl} for name, sdl in mutation.subgraphs.items()] for mutation in tried]
    done = subprocess.run(
        ["node", "compose.js"], cwd=folder, input=json.dumps(sets), capture_output=True, text=True, check=True
    )
    return [
        Verdict(frozenset(code for code, _ in found["errors"]), found["supergraph"] and seen(found["supergraph"]))
        for found in json.loads(done.stdout)
    ]


def seen(sdl: str) -> str:
    """What clients see of a supergraph, and what a planner knows of each subgraph; orders and spellings aside."""
    graph = read_supergraph(sdl)
    lines = [print_schema(lexicographic_sort_schema(graph.api_schema))]
    for name, by_subgraph in sorted(graph.types.items()):
        for subgraph, known in sorted(by_subgraph.items()):
            keys = sorted((key.text, key.resolvable) for key in known.keys)
            lines.append(
                f"{subgraph} {name} {known.kind} {keys} {sorted(known.interfaces)} {known.is_interface_object}"
            )
            lines.append(f"{sorted(known.possible_types)} {sorted(known.enum_values)}")
            lines += [f"  {field}" for _, field in sorted(known.fields.items())]
    lines.append(f"{sorted(graph.contexts.items())} {sorted(graph.costs.items())} {sorted(graph.list_sizes.items())}")
    return "\n".join(lines)
