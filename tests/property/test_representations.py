"""Objects at targets become a list of representations, each once, and get their entities back: against plain loops.

The oracles look at one object at a time, and know nothing of columns: a representation is a dict, written by the
standard library, whose text decides equality.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graphrouter.execution.merge import merge_objects
from graphrouter.execution.places import objects_at
from graphrouter.execution.representations import MISSING, UNFIT, Placement, Representations, TargetReader
from graphrouter.execution.sharing import Sharing
from graphrouter.planning.plan import InputField, InputFragment, Key, Representation, Target

LEAVES = st.one_of(
    st.sampled_from([0, 1, -1, 2**63, 2**64, -(2**70), True, False, None, 0.0, -0.0, 1.0, 0.5, 1e400, "", "0", "1"]),
    st.text(max_size=2),
)
FEW = st.sampled_from([None, 0, "text"])
VALUES = st.one_of(LEAVES, LEAVES, LEAVES, st.lists(LEAVES, max_size=2))
OBJECTS = st.fixed_dictionaries(
    {},
    optional={"__typename": st.sampled_from(["User", "User", "Pet", 1, None, ["User"]]), "id": VALUES, "sku": VALUES},
)
LIKELY = st.fixed_dictionaries({"__typename": st.sampled_from(["User", "User", "Pet", 1]), "id": LEAVES, "sku": LEAVES})
LISTS = st.one_of(
    st.lists(OBJECTS, max_size=6),
    st.lists(LIKELY, max_size=8),
    st.lists(st.fixed_dictionaries({"__typename": st.just("User"), "id": st.text(max_size=3), "sku": st.text("ab")})),
)
REPRESENTATIONS = st.sampled_from(
    [
        Representation(None, (InputField("id", "id"),)),
        Representation(None, (InputField("sku", "id"),)),
        Representation(None, (InputField("__typename", "__typename"), InputField("id", "id"))),
        Representation("Node", (InputField("id", "id"),)),
        Representation(None, (InputField("id", "sku"), InputField("sku", "id"))),
        Representation("Node", (InputField("id", "id"), InputField("sku", "sku"))),
    ]
)


ABSENT: Any = object()


def said(value: Any, representation: Representation) -> str | int:
    """The text of an object's representation, or why there is none."""
    built: dict[str, Any] = {"__typename": representation.typename or value.get("__typename", ABSENT)}
    for field in representation.selections:
        assert isinstance(field, InputField)
        if field.name != "__typename":
            built[field.name] = value.get(field.source, ABSENT)
    if any(one is ABSENT for one in built.values()):
        return MISSING
    text = json.dumps(built)
    return UNFIT if not isinstance(built["__typename"], str) or "Infinity" in text else text


@given(st.lists(st.tuples(LISTS, REPRESENTATIONS), min_size=1, max_size=3))
def test_equal_representations_are_sent_once_and_every_object_knows_its_own(
    asked: list[tuple[list[dict[str, Any]], Representation]],
) -> None:
    representations = Representations()
    texts: list[str] = []
    for found, representation in asked:
        reader = TargetReader(Target((Key("them"),), representation), False, {})
        unfit: list[Any] = []
        placement = reader.collect({"them": found}, None, representations, unfit)
        expected = [said(one, representation) for one in found]
        assert [id(one) for one in unfit] == [
            id(one) for one, text in zip(found, expected, strict=True) if text == UNFIT
        ]
        fit = [(text, one) for one, text in zip(found, expected, strict=True) if isinstance(text, str)]
        assert [id(one) for one in placement.objects] == [id(one) for _, one in fit]
        texts = list(dict.fromkeys([*texts, *(text for text, _ in fit)]))
        assert [texts[number] for number in placement.numbers] == [text for text, _ in fit]
    sent = json.loads(b"[%b]" % representations.text)
    assert [json.dumps(one) for one in sent] == texts
    assert representations.count == len(texts)


def test_numbers_of_many_distinct_objects_are_a_range_and_their_text_is_as_orjson_writes_it() -> None:
    found: list[Any] = [{"__typename": "User", "id": f"é\n\u2028{n}", "age": n} for n in range(1000)]
    target = Target((Key("them"),), Representation(None, (InputField("id", "id"), InputField("age", "age"))))
    representations = Representations()
    placement = TargetReader(target, False, {}).collect({"them": found}, None, representations, [])
    assert placement == Placement(range(1000), found)
    expected = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    assert representations.text.decode() == expected[1:-1]


TREES = st.recursive(
    st.one_of(st.none(), st.integers(), st.just("text")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        st.lists(st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_size=3),
    ),
    max_leaves=12,
)


def reached(value: Any, path: tuple[str, ...]) -> list[Any]:
    if isinstance(value, list):
        return [found for item in value for found in reached(item, path)]
    if not isinstance(value, dict):
        return []
    return reached(value.get(path[0]), path[1:]) if path else [value]


@given(TREES, TREES, st.lists(st.sampled_from("ab"), min_size=1, max_size=3))
def test_a_path_leads_to_each_object_once_in_order_though_lists_and_objects_are_shared(
    one: Any, other: Any, path: list[str]
) -> None:
    root: dict[str, Any] = {"a": [one, other, {"a": one, "b": [other]}, one], "b": [[{"a": other}], {"a": [one, one]}]}
    expected = list({id(found): found for found in reached(root, tuple(path))})
    assert [id(found) for found in objects_at(root, tuple(map(Key, path)))] == expected


@given(st.lists(st.one_of(st.none(), st.dictionaries(st.sampled_from("abc"), FEW, max_size=3)), max_size=5), st.data())
def test_entities_are_merged_field_by_field_and_null_takes_the_place_of_nothing(
    sources: list[dict[str, Any] | None], data: st.DataObject
) -> None:
    known = st.dictionaries(st.sampled_from("bcd"), FEW, max_size=3)
    into = data.draw(st.lists(known, min_size=len(sources), max_size=len(sources)))
    expected = [
        {**one, **{k: v for k, v in (source or {}).items() if v is not None or one.get(k) is None}}
        for one, source in zip(into, sources, strict=True)
    ]
    merge_objects(into, list(sources), frozenset())
    assert list(map(repr, into)) == list(map(repr, expected))


@given(LISTS, LISTS, REPRESENTATIONS)
def test_objects_become_one_exactly_where_all_that_they_have_is_equal(
    some: list[dict[str, Any]], more: list[dict[str, Any]], representation: Representation
) -> None:
    root: dict[str, Any] = {"groups": [{"them": some}, {"them": [*more, some]}, {"them": None}, {"them": some}]}
    before, apart = json.dumps(root), {id(one) for one in reached(root, ("groups", "them"))}
    sharing = Sharing()
    target = Target((Key("groups"), Key("them")), representation)
    found = TargetReader(target, True, {}).share(root, sharing)
    assert json.dumps(root) == before
    objects = reached(root, ("groups", "them"))
    assert list(map(json.dumps, found)) == list(dict.fromkeys(map(json.dumps, objects)))
    assert {id(one) for one in objects} == {id(one) for one in found}
    assert sharing.found_any == (len(found) < len(apart))


def test_a_representation_with_a_fragment_has_its_fields_where_the_type_says_so() -> None:
    fragment = InputFragment(frozenset({"User"}), (InputField("sku", "sku"),))
    reader = TargetReader(Target((Key("them"),), Representation(None, (InputField("id", "id"), fragment))), False, {})
    representations = Representations()
    found: list[Any] = [{"__typename": name, "id": "1", "sku": "2"} for name in ("User", "Pet", "User")]
    placement = reader.collect({"them": found}, None, representations, [])
    assert placement.numbers == [0, 1, 0]
    assert json.loads(b"[%b]" % representations.text) == [
        {"__typename": "User", "id": "1", "sku": "2"},
        {"__typename": "Pet", "id": "1"},
    ]
