"""The passes over the fetch graph, each on a graph of a few fetches."""

from __future__ import annotations

import pytest

from graphrouter.planning.fetch_graph import Fetch, FetchGraph, Selected, SelectedField
from graphrouter.planning.passes.drop_redundant_waits import drop_redundant_waits
from graphrouter.planning.passes.merge_same_place import merge_same_place
from graphrouter.planning.passes.mutate_in_order import mutate_in_order
from graphrouter.planning.passes.set_depths import set_depths
from graphrouter.planning.plan import Condition, InputField, InputFragment, Key, OperationKind, Representation
from graphrouter.planning.steps import FieldMove

X = Condition("x", wanted=True)


class Graph:
    """Draws a fetch graph: `root("a")`, `entity("b", after=[root], field="f")`."""

    def __init__(self, kind: OperationKind = "query") -> None:
        self.graph = FetchGraph(kind, [])

    def root(self, subgraph: str, order: int = 0, field: str = "r") -> Fetch:
        return self._add(Fetch(len(self.graph.fetches), subgraph, order, (), (), selects(field)))

    def entity(
        self,
        subgraph: str,
        after: list[Fetch],
        *,
        field: str = "f",
        requires: str | None = None,
        conditions: tuple[Condition, ...] = (),
    ) -> Fetch:
        needs = [InputField(name, name) for name in ("id", requires) if name]
        return self._add(
            Fetch(
                len(self.graph.fetches),
                subgraph,
                after[0].order,
                (Key("t"),),
                conditions,
                selects(field),
                Representation("T", tuple(needs)),
                has_requirements=requires is not None,
                depends_on=set(after),
            )
        )

    def _add(self, fetch: Fetch) -> Fetch:
        self.graph.fetches.append(fetch)
        return fetch

    def lines(self) -> list[str]:
        """`3 b after 0, 1: f g`."""
        return [
            f"{fetch.id} {fetch.subgraph}{waits(fetch)}: {' '.join(fields(fetch.selected))}"
            for fetch in self.graph.fetches
        ]


def waits(fetch: Fetch) -> str:
    numbers = sorted(before.id for before in fetch.depends_on)
    return f" after {', '.join(map(str, numbers))}" if numbers else ""


def selects(field: str) -> Selected:
    move = FieldMove(field, field, "", "", frozenset(), is_leaf=True, type_text="Int")
    return Selected("T", {field: SelectedField(move, None)})


def fields(selected: Selected) -> list[str]:
    inner = [f"({' '.join(fields(below))})" for below in selected.fragments.values()]
    return [*selected.fields, *inner]


def test_lookups_of_the_same_objects_become_one() -> None:
    g = Graph()
    root = g.root("a")
    g.entity("b", [root], field="f")
    g.entity("b", [root], field="g")
    merge_same_place(g.graph)
    assert g.lines() == ["0 a: r", "1 b after 0: g f"] or g.lines() == ["0 a: r", "2 b after 0: g f"]


def reading(fetch: Fetch, *selections: InputField | InputFragment) -> Fetch:
    fetch.representation = Representation("T", (InputField("id", "id"), *selections))
    return fetch


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (InputField("w", "w"), InputField("w", "_w_1")),
        (InputField("v", "v", (InputField("w", "w"),)), InputField("v", "v", (InputField("w", "_w_1"),))),
        (InputField("w", "w"), InputFragment(frozenset("A"), (InputField("w", "_w_1"),))),
        (
            InputFragment(frozenset("AB"), (InputField("w", "w"),)),
            InputFragment(frozenset("BC"), (InputField("w", "_w_1"),)),
        ),
    ],
)
def test_lookups_that_bring_different_values_under_one_name_stay_two(
    one: InputField | InputFragment, other: InputField | InputFragment
) -> None:
    g = Graph()
    root = g.root("a")
    reading(g.entity("b", [root], field="f", requires="w"), one)
    reading(g.entity("b", [root], field="g", requires="w"), other)
    before = g.lines()
    merge_same_place(g.graph)
    assert g.lines() == before


def test_lookups_that_bring_different_values_for_different_types_become_one() -> None:
    g = Graph()
    root = g.root("a")
    reading(g.entity("b", [root], field="f", requires="w"), InputFragment(frozenset("A"), (InputField("w", "w"),)))
    reading(g.entity("b", [root], field="g", requires="w"), InputFragment(frozenset("B"), (InputField("w", "x"),)))
    merge_same_place(g.graph)
    assert len(g.graph.fetches) == 2


def test_a_lookup_that_nothing_waits_for_goes_along_with_a_later_one() -> None:
    g = Graph()
    root = g.root("a")
    g.entity("b", [root], field="f")
    other = g.entity("c", [root], field="w")
    g.entity("b", [root, other], field="g", requires="w")
    merge_same_place(g.graph)
    assert g.lines() == ["0 a: r", "2 c after 0: w", "3 b after 0, 2: g f"]


def test_a_lookup_that_others_wait_for_is_not_delayed() -> None:
    g = Graph()
    root = g.root("a")
    early = g.entity("b", [root], field="f")
    g.entity("d", [early], field="h")
    other = g.entity("c", [root], field="w")
    g.entity("b", [other], field="g", requires="w")
    before = g.lines()
    merge_same_place(g.graph)
    assert g.lines() == before


def test_a_lookup_is_not_folded_into_one_that_reads_what_it_brings() -> None:
    g = Graph()
    root = g.root("a")
    first = g.entity("b", [root], field="f")
    second = g.entity("c", [first], field="w", requires="f")
    g.entity("b", [second], field="g", requires="w")
    before = g.lines()
    merge_same_place(g.graph)
    assert g.lines() == before


def test_a_late_lookup_by_key_alone_is_done_by_an_earlier_one() -> None:
    g = Graph()
    root = g.root("a")
    early = g.entity("b", [root], field="f")
    between = g.entity("c", [early], field="w")
    late = g.entity("b", [between], field="g")
    g.entity("d", [late], field="h")
    merge_same_place(g.graph)
    assert g.lines() == ["0 a: r", "1 b after 0: f g", "2 c after 1: w", "4 d after 1: h"]


def test_required_fields_of_merged_lookups_are_sent_together() -> None:
    g = Graph()
    root = g.root("a")
    g.entity("b", [root], field="f", requires="v")
    g.entity("b", [root], field="g", requires="w")
    merge_same_place(g.graph)
    (merged,) = g.graph.fetches[1:]
    assert {part.name for part in merged.entity.selections if isinstance(part, InputField)} == {"id", "v", "w"}


def test_a_conditional_lookup_goes_along_under_its_condition_but_brings_no_requirement() -> None:
    g = Graph()
    root = g.root("a")
    g.entity("b", [root], field="f")
    g.entity("b", [root], field="g", conditions=(X,))
    g.entity("b", [root], field="h", requires="w", conditions=(X,))
    merge_same_place(g.graph)
    assert g.lines() == ["0 a: r", "1 b after 0: f (g)", "3 b after 0: h"] or g.lines() == [
        "0 a: r",
        "1 b after 0: f",
        "3 b after 0: h g",
    ]


def test_waits_that_others_imply_are_dropped() -> None:
    g = Graph()
    root = g.root("a")
    first = g.entity("b", [root])
    g.entity("c", [root, first])
    drop_redundant_waits(g.graph)
    assert g.lines() == ["0 a: r", "1 b after 0: f", "2 c after 1: f"]


def test_fetches_come_after_those_that_they_wait_for() -> None:
    g = Graph()
    root = g.root("a")
    first = g.entity("b", [root])
    second = g.entity("c", [first])
    g.graph.fetches.reverse()
    set_depths(g.graph)
    assert [(fetch.id, fetch.depth) for fetch in g.graph.fetches] == [(root.id, 0), (first.id, 1), (second.id, 2)]


def test_root_fields_of_a_mutation_wait_for_all_before_and_neighbours_of_one_subgraph_stay_together() -> None:
    g = Graph("mutation")
    first = g.root("a", 0, "one")
    g.entity("b", [first])
    g.root("a", 1, "two")
    third = g.root("a", 2, "three")
    g.entity("b", [third])
    g.root("a", 3, "four")
    mutate_in_order(g.graph)
    drop_redundant_waits(g.graph)
    assert g.lines() == [
        "0 a: one",
        "1 b after 0: f",
        "2 a after 1: two three",
        "4 b after 2: f",
        "5 a after 4: four",
    ]


def test_root_fields_of_a_query_wait_for_nothing() -> None:
    g = Graph()
    g.root("a")
    g.root("b")
    mutate_in_order(g.graph)
    assert g.lines() == ["0 a: r", "1 b: r"]
