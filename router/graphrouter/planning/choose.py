"""Chooses one path for each demand, so that all of them together cost least.

Paths share their steps, so the price of a path depends on what has been chosen before: finding the best combination is
a search. Three things keep it small. Demands with one way are settled first, and what they need is free from then on.
Leaves that hang on the same steps are one decision. A greedy choice (each decision takes what is cheapest at that
moment) gives an upper bound; the search then looks for something better, fewest ways first, leaves a branch as soon as
it costs as much as the best so far, and ends after a fixed number of decisions: from there on the best so far stands.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphrouter.planning.demands import AnyOf, Demands, Leaf
from graphrouter.planning.steps import Step, cost_of

MAX_DECISIONS = 1000

Decision = Leaf | AnyOf


def choose(demands: Demands) -> tuple[Step, ...]:
    """The last steps of the chosen paths, in the order of the demands where that has no influence."""
    taken: set[Step] = set()
    chosen: list[Step] = []
    open_decisions = _settle(demands, taken, chosen)
    groups = _grouped(open_decisions)
    greedy = list[Step]()
    seen = set(taken)
    bound = sum(_take_cheapest(group[0], group, seen, greedy) for group in groups)
    best = _Search(bound, greedy).run(groups, taken)
    return (*chosen, *best)


def cheapest(demands: Demands, taken: set[Step]) -> tuple[Step, ...]:
    """A good choice without a search; the steps taken are free, and the chosen ones are added to them."""
    chosen: list[Step] = []
    for group in _grouped(_settle(demands, taken, chosen)):
        _take_cheapest(group[0], group, taken, chosen)
    return tuple(chosen)


def _settle(demands: Demands, taken: set[Step], chosen: list[Step]) -> list[Decision]:
    """Take what has no alternative, and give back the rest."""
    left: list[Decision] = []
    for demand in demands:
        if isinstance(demand, Leaf):
            if len(demand.alternatives) == 1:
                chosen.append(demand.alternatives[0])
                cost_of(demand.alternatives, taken)
            else:
                left.append(demand)
        elif len(demand.options) == 1:
            left += _settle(demand.options[0], taken, chosen)
        else:
            left.append(demand)
    return left


def _grouped(decisions: Iterable[Decision]) -> list[list[Decision]]:
    """Decisions that hang on the same steps, together; those with the fewest ways first."""
    groups: dict[object, list[Decision]] = {}
    for decision in decisions:
        key: object = decision
        if isinstance(decision, Leaf):
            key = tuple((step.parent, step.requires) for step in decision.alternatives)
        groups.setdefault(key, []).append(decision)
    return sorted(groups.values(), key=lambda group: _ways(group[0]))


def _ways(decision: Decision) -> int:
    return len(decision.alternatives) if isinstance(decision, Leaf) else len(decision.options)


def _take_cheapest(decision: Decision, group: list[Decision], taken: set[Step], chosen: list[Step]) -> int:
    """Settle a group of equal decisions by what costs least now; the cost."""
    tried: list[tuple[int, set[Step], list[Step]]] = []
    for way in range(_ways(decision)):
        seen = set(taken)
        steps: list[Step] = []
        tried.append((sum(_take(one, way, seen, steps) for one in group), seen, steps))
    cost, seen, steps = min(tried, key=lambda one: one[0])
    taken |= seen
    chosen += steps
    return cost


def _take(decision: Decision, way: int, taken: set[Step], chosen: list[Step]) -> int:
    if isinstance(decision, Leaf):
        step = decision.alternatives[way]
        chosen.append(step)
        return cost_of([step], taken)
    settled: list[Step] = []
    left = _settle(decision.options[way], set(taken), settled)
    cost = cost_of(settled, taken)
    chosen += settled
    return cost + sum(_take_cheapest(group[0], group, taken, chosen) for group in _grouped(left))


class _Search:
    """Branch and bound over groups of decisions."""

    def __init__(self, bound: int, best: list[Step]) -> None:
        self._bound = bound
        self._best = best
        self._left = MAX_DECISIONS

    def run(self, groups: list[list[Decision]], taken: set[Step]) -> list[Step]:
        floors = [0]
        for group in reversed(groups):
            floors.append(floors[-1] + len(group))
        self._visit(groups, 0, taken, 0, [], floors[::-1])
        return self._best

    def _visit(
        self, groups: list[list[Decision]], at: int, taken: set[Step], cost: int, chosen: list[Step], floors: list[int]
    ) -> None:
        if at == len(groups):
            if cost < self._bound:
                self._bound, self._best = cost, list(chosen)
            return
        tried: list[tuple[int, set[Step], list[Step]]] = []
        for way in range(_ways(groups[at][0])):
            self._left -= 1
            if self._left < 0:
                return
            seen = set(taken)
            steps: list[Step] = []
            tried.append((sum(_take(one, way, seen, steps) for one in groups[at]), seen, steps))
        for extra, seen, steps in sorted(tried, key=lambda one: one[0]):
            # Every leaf still open costs at least its own field.
            if cost + extra + floors[at + 1] < self._bound:
                self._visit(groups, at + 1, seen, cost + extra, chosen + steps, floors)
