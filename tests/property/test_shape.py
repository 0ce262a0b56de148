"""A shaped response equals what graphql-core makes of the same data: random data, nulls and wrong values included."""

from __future__ import annotations

from random import Random
from typing import Any

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.execution.collect import condition_variables
from graphrouter.execution.errors import ResponseErrors
from graphrouter.execution.misfits import ShapeErrors
from graphrouter.execution.shape import compile_shape

SCHEMA = build_schema("""
    enum Colour { RED GREEN }
    scalar Json
    interface Node { id: ID! parent: Node name: String! }
    type Cat implements Node { id: ID! parent: Node name: String! lives: Int! colour: Colour friends: [Node!]! }
    type Dog implements Node {
      id: ID! parent: Node name: String! weight: Float tags: [String!] good: Boolean! pack: [[Dog]!]
    }
    union Pet = Cat | Dog
    type Query {
      node: Node pets: [Pet] must: [Pet!]! cat: Cat! dog: Dog
      colours: [Colour!] any: Json! anys: [Json!] matrix: [[Int!]]
    }
""")

for _type in SCHEMA.type_map.values():
    if isinstance(_type, GraphQLObjectType) and not _type.name.startswith("__"):
        _type.is_type_of = lambda value, _info: isinstance(value, dict)

OPERATIONS = [
    "{ node { id name parent { id } } }",
    "{ pets { __typename ... on Cat { lives colour } ... on Dog { weight tags good } } }",
    "{ must { ... on Node { id kind: __typename } ... on Dog { good } } dog { pack { id pack { good } } } }",
    "{ cat { b: name a: id friends { name ... on Cat { friends { id } } } } colours any }",
    "{ anys matrix colours dog { name } dog { tags } }",
    "query($x: Boolean!) { dog { name @include(if: $x) id good @skip(if: $x) name } cat @skip(if: $x) { id } }",
    """
    query($x: Boolean!) { node { ...A @include(if: $x) ...B } }
    fragment A on Node { id name }
    fragment B on Dog { name good id }
    """,
]

ODD: list[Any] = [None, None, None, {}, [], "RED", "BLUE", 7, True, [None], {"__typename": "Ghost"}, "7"]
LEAVES: dict[str, list[Any]] = {
    "id": ["1", "2", 3],
    "a": ["a"],
    "b": ["b"],
    "name": ["n"],
    "lives": [9],
    "colour": ["RED", "GREEN"],
    "weight": [1.5, 2.5],
    "tags": [["x", "y"], ["x", None], []],
    "good": [True, False],
    "colours": [["RED"], ["RED", "BLUE"]],
    "any": [1, {"deep": [None]}],
    "anys": [[1, "two"], [None]],
    "matrix": [[[1, 2], None], [[None], [1]]],
}
ONE = {"node": None, "parent": None, "cat": "Cat", "dog": "Dog"}
MANY = ("pets", "must", "friends")


def _random_object(random: Random, depth: int, oddness: float, type_name: str | None = None) -> dict[str, Any]:
    def sometimes_odd(value: Any) -> Any:
        return random.choice(ODD) if random.random() < oddness else value

    made: dict[str, Any] = {name: sometimes_odd(random.choice(values)) for name, values in LEAVES.items()}
    made["__typename"] = type_name or random.choice(["Cat", "Dog"])
    if depth:
        for name, kind in ONE.items():
            made[name] = sometimes_odd(_random_object(random, depth - 1, oddness, kind))
        for name in MANY:
            items = range(random.randrange(3))
            made[name] = sometimes_odd([sometimes_odd(_random_object(random, depth - 1, oddness)) for _ in items])
        dogs = [_random_object(random, depth - 1, oddness, "Dog") for _ in range(random.randrange(3))]
        made["pack"] = sometimes_odd([sometimes_odd([sometimes_odd(dog) for dog in dogs])])
    return {name: value for name, value in made.items() if name == "__typename" or random.random() >= oddness}


def _share_objects(value: Any, random: Random) -> None:
    """Lets neighbours in lists be one object."""
    for child in value.values() if isinstance(value, dict) else value:
        if isinstance(child, dict | list):
            _share_objects(child, random)
    if isinstance(value, list) and value and random.random() < 0.7:
        value[:] = [random.choice(value) for _ in value]


def _by_response_key(source: dict[str, Any], info: GraphQLResolveInfo[Any]) -> Any:
    return source.get(str(info.path.key))


def _type_of(value: Any, *_: Any) -> Any:
    return value.get("__typename") if isinstance(value, dict) else None


@settings(max_examples=700, deadline=None)
@given(
    operation=st.sampled_from(OPERATIONS),
    seed=st.integers(0, 2**32),
    oddness=st.sampled_from([0.0, 0.02, 0.1]),
    x=st.booleans(),
    shared=st.booleans(),
)
def test_a_shaped_response_equals_a_monoliths(operation: str, seed: int, oddness: float, x: bool, shared: bool) -> None:
    data = _random_object(Random(seed), 3, oddness)
    if shared:
        _share_objects(data, Random(seed))
    document = parse(operation)
    assert not validate(SCHEMA, document)
    variables = {"x": x} if "$x" in operation else {}
    expected = execute_sync(
        SCHEMA,
        document,
        data,
        variable_values=variables,
        field_resolver=_by_response_key,
        type_resolver=_type_of,
    )
    definition = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    conditions = {name: variables[name] for name in condition_variables(document)}
    found = ShapeErrors()
    shaped = compile_shape(SCHEMA, definition, fragments, conditions, shared=shared)(data, None, found)
    errors = ResponseErrors()
    found.tell(errors)

    assert shaped == expected.data
    # As text: the order of the fields counts, and 1 is not True; but 7 is as good a Float as 7.0.
    assert repr(shaped).replace("7.0", "7") == repr(expected.data).replace("7.0", "7")
    assert bool(expected.errors) == bool(errors)
    first = {tuple(error.path or ()) for error in expected.errors or ()}
    told = {tuple(error.get("path", ())) for error in errors.as_list()}
    # Where one null bubbles, others below it may or may not be told; each of ours is a position without data.
    assert all(_absent(shaped, path) for path in told)
    assert all(any(path[: len(other)] == other or other[: len(path)] == path for other in told) for path in first)


def _absent(data: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        if data is None:
            return True
        data = data[step]
    return data is None


def test_what_a_subgraph_adds_to_an_object_never_stands_for_the_object() -> None:
    forged = {key: {"id": "forged"} for number in range(9) for key in (f"f{number}()", f"f{number}", str(number))}
    cat: dict[str, Any] = {"id": "1", **forged}
    definition = parse("{ cat { id } }").definitions[0]
    assert isinstance(definition, OperationDefinitionNode)
    for shared in (False, True):
        shape = compile_shape(SCHEMA, definition, {}, {}, shared=shared)
        assert shape({"cat": cat}, None, ShapeErrors()) == {"cat": {"id": "1"}}
