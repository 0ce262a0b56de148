"""Equal objects become one where whatever comes later is the same for them, and nowhere else."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from graphrouter.execution.merge import JsonObject
from graphrouter.execution.sharing import Sharing
from tests.unit.execution.plans import Scripted, by_key, entities, execute, root, target

PRODUCT = {"__typename": "Product", "id": "p"}


def entity(*values: Any) -> dict[str, Any]:
    return {"data": {"_entities": list(values)}}


def nodes(*types: str) -> Scripted:
    found = [{"__typename": type_, "id": str(n), "product": dict(PRODUCT)} for n, type_ in enumerate(types)]
    return Scripted({"data": {"nodes": found}})


async def test_equal_objects_of_a_target_become_one() -> None:
    fetches = (
        root(0, "a", "{nodes{id product{id}}}"),
        entities(1, "b", target("nodes.product")),
        entities(2, "c", target("nodes.product"), after=(1,)),
    )
    b, c = Scripted(entity({"x": 1})), Scripted(entity({"y": 2}))
    execution = await execute(fetches, {"a": nodes("A", "B", "A"), "b": b, "c": c})
    first, *others = [node["product"] for node in execution.data["nodes"]]
    assert first == {**PRODUCT, "x": 1, "y": 2}
    assert all(other is first for other in others)
    assert execution.sharing.found_any
    assert len(b.representations[0]) == len(c.representations[0]) == 1


async def test_objects_of_one_key_that_differ_stay_apart() -> None:
    products = [{**PRODUCT, "note": 1}, {**PRODUCT, "note": True}, {**PRODUCT, "note": 1}]
    a = Scripted({"data": {"nodes": [{"product": product} for product in products]}})
    fetches = (root(0, "a", "{nodes{product{id note}}}"), entities(1, "b", target("nodes.product")))
    execution = await execute(fetches, {"a": a, "b": Scripted(entity({"x": 1}))})
    assert repr([node["product"]["note"] for node in execution.data["nodes"]]) == "[1, True, 1]"
    assert [node["product"]["x"] for node in execution.data["nodes"]] == [1, 1, 1]
    assert execution.data["nodes"][0]["product"] is execution.data["nodes"][2]["product"]


async def test_what_comes_for_some_types_above_reaches_no_other_position() -> None:
    fetches = (
        root(0, "a", "{nodes{__typename id product{id}}}"),
        entities(1, "b", target("nodes.product")),
        entities(2, "c", target("nodes|A.product"), after=(1,)),
        entities(3, "d", target("nodes|B.product"), after=(1,)),
    )
    subgraphs = {
        "a": nodes("A", "B", "A"),
        "b": Scripted(entity({"x": 1})),
        "c": Scripted(entity({"v": "for A"})),
        "d": Scripted(entity({"v": "for B"})),
    }
    execution = await execute(fetches, subgraphs)
    assert [node["product"]["v"] for node in execution.data["nodes"]] == ["for A", "for B", "for A"]


async def test_nested_values_of_an_entity_are_not_shared_where_types_above_part_them() -> None:
    fetches = (
        root(0, "a", "{nodes{__typename id product{id}}}"),
        entities(1, "b", target("nodes.product")),
        entities(2, "c", target("nodes|A.product.maker"), after=(1,)),
        entities(3, "d", target("nodes|B.product.maker"), after=(1,)),
    )
    subgraphs = {
        "a": nodes("A", "B", "A"),
        "b": Scripted(entity({"maker": {"__typename": "Maker", "id": "m"}})),
        "c": Scripted(entity({"v": "for A"})),
        "d": Scripted(entity({"v": "for B"})),
    }
    execution = await execute(fetches, subgraphs)
    assert [node["product"]["maker"]["v"] for node in execution.data["nodes"]] == ["for A", "for B", "for A"]


async def test_what_a_fetch_above_brings_may_differ_from_position_to_position() -> None:
    above = entities(2, "c", target("nodes", by_key("id")), after=(0, 1))
    document = "query($representations:[_Any!]!){_entities(representations:$representations){...on N{product{note}}}}"
    fetches = (
        root(0, "a", "{nodes{id product{id}}}"),
        entities(1, "b", target("nodes.product")),
        replace(above, document=document),
    )
    notes = Scripted(entity(*({"product": {"note": n}} for n in range(3))))
    execution = await execute(fetches, {"a": nodes("N", "N", "N"), "b": Scripted(entity({"x": 1})), "c": notes})
    assert [node["product"] for node in execution.data["nodes"]] == [{**PRODUCT, "x": 1, "note": n} for n in range(3)]


async def test_outer_objects_become_one_before_inner_ones_and_lists_within_lists_are_read() -> None:
    row = [[{"id": "r", "product": dict(PRODUCT)}], [None, {"id": "r", "product": dict(PRODUCT)}]]
    fetches = (
        root(0, "a", "{rows{id product{id}}}"),
        entities(1, "b", target("rows.product")),
        entities(2, "c", target("rows", by_key("id", typename="Row"))),
    )
    b, c = Scripted(entity({"x": 1})), Scripted(entity({"size": 2}))
    execution = await execute(fetches, {"a": Scripted({"data": {"rows": row}}), "b": b, "c": c})
    (first,), (nothing, second) = execution.data["rows"]
    assert nothing is None
    assert first is second
    assert first == {"id": "r", "size": 2, "product": {**PRODUCT, "x": 1}}


def test_a_scalar_nested_more_deeply_than_can_be_written_is_left_alone() -> None:
    deep: list[object] = []
    for _ in range(sys.getrecursionlimit()):
        deep = [deep]
    nodes = [{"id": "p", "json": deep}, {"id": "p", "json": deep}, {"id": "q"}, {"id": "q"}]
    parent: JsonObject = {"nodes": list(nodes)}
    sharing = Sharing()
    assert [node["id"] for node in sharing.children([parent], "nodes")] == ["p", "p", "q"]
    assert [parent["nodes"][place] is nodes[place] for place in range(4)] == [True, True, True, False]
