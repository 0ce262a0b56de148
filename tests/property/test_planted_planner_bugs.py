"""Bugs that are planted in the planner are found by random federations, and soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import pytest
from graphql import DocumentNode, OperationDefinitionNode

from graphrouter.execution import representations
from graphrouter.pipeline import operations
from graphrouter.pipeline.operation import PreparedOperation
from graphrouter.planning import assemble, paths
from graphrouter.planning.own_selections import OwnSelections
from graphrouter.planning.plan import InputField
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


def never_separate(document: DocumentNode) -> dict[str, DocumentNode]:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return {node.name.value if node.name else "": document for node in operations}


def keep_first_shape(self: Any, variables: Any, shared: bool) -> Any:
    """The shape by the first of the conditions alone."""
    key = (shared, *(variables.get(name) is True for name in self.condition_variables[:1]))
    if (found := self.variants.get(key)) is None:
        found = original_variant(self, variables, shared)
        self.variants.put(key, found)
    return found


def null_for_what_is_missing(source: Any, selections: Any, into: Any) -> bool:
    missing = {one.source: None for one in selections if isinstance(one, InputField) and one.source not in source}
    return original_copy({**source, **missing}, selections, into)


def read_null(typename: str | None, sources: Sequence[str]) -> Callable[[Any], tuple[object, ...]]:
    return lambda found: (typename or found["__typename"], *(found.get(source) for source in sources))


def send_nulls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(representations, "_copy_fields", null_for_what_is_missing)
    patch.setattr(representations, "_reader", read_null)


original_variant = PreparedOperation.variant
original_copy = representations._copy_fields

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
    "a document's operations have one plan": lambda patch: patch.setattr(
        operations, "separate_operations", never_separate
    ),
    "a shape is kept under the first of two conditions": lambda patch: patch.setattr(
        PreparedOperation, "variant", keep_first_shape
    ),
    "what a failed request was to bring is sent as null": send_nulls,
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
        await campaign.federation(seed, operations=3)
