"""The choice of paths: cheapest together, not each by itself."""

from __future__ import annotations

import time

from graphrouter.planning.choose import choose
from graphrouter.planning.demands import AnyOf, Leaf
from graphrouter.planning.steps import Enter, FieldMove, Position, Step, closure

POSITION = Position()


def enter(subgraph: str) -> Step:
    return Step(None, Enter(0), subgraph, "Q", static="Q", types=frozenset("Q"), position=POSITION)


def field(parent: Step, name: str) -> Step:
    move = FieldMove(name, name, "", "", frozenset(), is_leaf=True, type_text="Int")
    return parent.next(
        name, lambda: Step(parent, move, parent.subgraph, "", static="", types=frozenset(), position=POSITION)
    )


def leaf(name: str, *parents: Step) -> Leaf:
    return Leaf(tuple(field(parent, name) for parent in parents))


def subgraphs(chosen: tuple[Step, ...]) -> set[str]:
    return {step.subgraph for last in chosen for step in closure(last)}


def test_what_is_settled_is_free_for_the_others() -> None:
    a, b = enter("a"), enter("b")
    assert subgraphs(choose((leaf("x", a, b), leaf("y", b)))) == {"b"}


def test_the_search_finds_what_taking_the_cheapest_each_time_misses() -> None:
    a, b, c, d = map(enter, "abcd")
    # Taken one by one, `x` goes to `a` and `y` to `c`; only together is it seen that `b` has both.
    demands = (leaf("x", a, b), leaf("y", c, b), leaf("z", d, b))
    assert subgraphs(choose(demands)) == {"b"}


def test_the_smallest_set_of_subgraphs_is_found() -> None:
    every = [enter(name) for name in "abcdef"]
    demands = tuple(leaf(f"f{n}", *(every[(n + k) % 6] for k in range(3))) for n in range(6))
    assert len(subgraphs(choose(demands))) == 2


def test_of_several_options_the_cheapest_is_taken_with_all_of_its_demands() -> None:
    a, b, c = map(enter, "abc")
    dear = (leaf("x", a), leaf("y", b))
    cheap = (leaf("x", c), leaf("y", c))
    chosen = choose((AnyOf((dear, cheap)),))
    assert subgraphs(chosen) == {"c"}
    assert len(chosen) == 2


def test_options_take_into_account_what_is_there_anyway() -> None:
    a, b = enter("a"), enter("b")
    chosen = choose((AnyOf(((leaf("x", a),), (leaf("x", b), leaf("y", b)))), leaf("z", b)))
    assert subgraphs(chosen) == {"b"}


def test_many_open_decisions_end_in_time() -> None:
    every = [enter(f"s{n}") for n in range(30)]
    demands = tuple(leaf(f"f{n}", *(every[(n * k + 7) % 30] for k in range(1, 9))) for n in range(400))
    start = time.perf_counter()
    chosen = choose(demands)
    assert time.perf_counter() - start < 2
    assert len(chosen) == 400
