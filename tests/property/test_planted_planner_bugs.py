"""Bugs that are planted in the planner are found by random federations, and soon."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from graphrouter.planning import assemble, paths
from graphrouter.planning.own_selections import OwnSelections
from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.steps import Position, Step
from tests.support.federations.campaign import OPERATIONS, Campaign

FEDERATIONS = 60
"""More than the short run has; most bugs are found within ten."""


def never_wait(_request: object, _ids: object) -> tuple[int, ...]:
    return ()


def take_any_name(_self: Position, name: str, _arguments: str) -> str:
    return name


def fold_always(*_: object) -> bool:
    return True


def farthest(self: Any, context: str, tail: Step) -> Step | None:
    around = [step for step in tail.around() if step.types <= self._supergraph.contexts[context]]
    return around[-1] if around else None


def give_in_spite_of_requirements(self: QueryGraph, type_name: str, subgraph: str, field: str) -> object:
    found = self.known(type_name, subgraph).fields.get(field)
    return found if found and found.resolvable else None


def without_requirements(self: OwnSelections, fields: Any, parent: str, position: Position) -> Any:
    return original_inputs(self, fields[:1], parent, position)


original_inputs = OwnSelections.inputs

BUGS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "requests do not wait for those that they read from": lambda patch: patch.setattr(assemble, "_waits", never_wait),
    "the planner's own selections take the client's response keys": lambda patch: patch.setattr(
        Position, "key_for", take_any_name
    ),
    "a fetch is merged into one that starts too early": lambda patch: patch.setattr(
        import_module("graphrouter.planning.passes.merge_same_place"), "_can_fold", fold_always
    ),
    "a fetch is merged into one that reads another value under the same name": lambda patch: patch.setattr(
        import_module("graphrouter.planning.passes.merge_same_place"), "_agree", fold_always
    ),
    "a value comes from the farthest object that sets a context": lambda patch: patch.setattr(
        paths._Walk, "_setter", farthest
    ),
    "required fields are not brought along": lambda patch: patch.setattr(
        QueryGraph, "field", give_in_spite_of_requirements
    ),
    "only the first field of a key is sent": lambda patch: patch.setattr(OwnSelections, "inputs", without_requirements),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("plant", BUGS.values(), ids=BUGS)
async def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    campaign = Campaign(shrink_seconds=0)
    with pytest.raises(AssertionError, match="differs"):
        await compare(campaign)
    print(f"found after {campaign.met[OPERATIONS]} operations")


async def compare(campaign: Campaign) -> None:
    for seed in range(FEDERATIONS):
        await campaign.federation(seed, operations=6)
