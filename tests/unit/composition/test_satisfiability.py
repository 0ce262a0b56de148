"""Satisfiability: every query that the supergraph allows can be answered, or a witness shows one that cannot."""

from __future__ import annotations

import pytest
from graphql import build_schema, parse, validate

from graphrouter.composition import Code, Diagnostic
from tests.unit.composition.composing import codes, composed, refused

ROOT = "type Query { x: X } "
X = 'type X @key(fields: "id") { id: ID! @shareable %s } '

ANSWERED: dict[str, dict[str, str]] = {
    "a key leads to the field": {"a": ROOT + X % "", "b": X % "n: Int"},
    "one key leads to the next": {
        "a": ROOT + 'type X @key(fields: "p") { p: ID! }',
        "b": 'type X @key(fields: "p") @key(fields: "q") { p: ID! q: ID! }',
        "c": 'type X @key(fields: "q") { q: ID! n: Int }',
    },
    "a key is collected from two subgraphs": {
        "a": ROOT + X % "",
        "b": X % "p: ID! @shareable",
        "c": X % "q: ID! @shareable",
        "d": 'type X @key(fields: "p q") { p: ID! q: ID! n: Int }',
    },
    "a nested key's field comes from another entity": {
        "a": ROOT + X % "y: Y! @shareable" + 'type Y @key(fields: "id") { id: ID! }',
        "b": 'type Y @key(fields: "id") { id: ID! code: ID! @shareable }',
        "c": 'type X @key(fields: "y { code }") { y: Y! n: Int } type Y { code: ID! }',
    },
    "a value is shared by two subgraphs that know its parent": {
        "a": ROOT + X % "",
        "b": X % "v: V @shareable" + "type V { p: Int @shareable }",
        "c": X % "v: V @shareable" + "type V { p: Int @shareable q: Int }",
    },
    "a shared root is asked twice": {
        "a": "type Query { x: X @shareable } type X { id: ID! @shareable p: Int }",
        "b": "type Query { x: X @shareable } type X { id: ID! @shareable q: Int }",
    },
    "a field that gives the root back": {
        "a": "type Query { a: A } type A { query: Query! }",
        "b": "type Query { b: Int }",
    },
    "what is required comes from elsewhere": {
        "a": ROOT + X % 'p: Int @external n: Int @requires(fields: "p")',
        "b": X % "p: Int",
    },
    "a requirement's requirement": {
        "a": ROOT + X % "",
        "b": X % 'q: Int @external p: Int @requires(fields: "q")',
        "c": X % "q: Int",
        "d": X % 'p: Int @external n: Int @requires(fields: "p")',
    },
    "a requirement below an entity": {
        "a": ROOT + X % 'y: Y @external n: Int @requires(fields: "y { p }")' + "type Y @external { p: Int }",
        "b": X % "y: Y" + 'type Y @key(fields: "id") { id: ID! }',
        "c": 'type Y @key(fields: "id") { id: ID! p: Int }',
    },
    "a provided field on that path alone": {
        "a": 'type Query { x: X @provides(fields: "n") } type X { n: Int @external m: Int }',
        "b": "type X { n: Int @shareable }",
    },
    "a field provided through an interface": {
        "a": 'type Query { i: I @provides(fields: "... on X { n }") } interface I { m: Int } '
        "type X implements I { n: Int @external m: Int }",
        "b": "type X { n: Int @shareable }",
    },
    "a member that only one subgraph returns": {
        "a": "type Query { u: U @shareable } union U = X | Y type X @shareable { n: Int } type Y { p: Int }",
        "b": "type Query { u: U @shareable } union U = X | Z type X @shareable { n: Int } type Z { q: Int }",
    },
    "a member that one of the subgraphs cannot return, so that it never comes": {
        "a": "type Query { u: U @shareable } union U = X | Y type X @shareable { n: Int } type Y { p: Int @shareable }",
        "b": "type Query { u: U @shareable } union U = X type X @shareable { n: Int }",
        "c": "type Query { y: Y } type Y { p: Int @shareable q: Int }",
    },
    "an interface object learns the type first": {
        "a": 'interface I @key(fields: "id") { id: ID! } type X implements I @key(fields: "id") { id: ID! p: Int } '
        "type Query { i: I }",
        "b": 'type I @interfaceObject @key(fields: "id") { id: ID! q: Int } type Query { j: I }',
        "c": 'type X @key(fields: "id") { id: ID! n: Int }',
    },
    "a hidden field nobody could reach": {"a": ROOT + "type X { p: Int }", "b": "type X { n: Int @inaccessible }"},
    "an override with a label, both ways": {
        "a": ROOT + X % "n: Int",
        "b": X % 'n: Int @override(from: "a", label: "percent(5)")',
    },
    "keys in a circle": {
        "a": ROOT + 'type X @key(fields: "y { id }") { y: Y! } type Y @key(fields: "id") { id: ID! }',
        "b": 'type Y @key(fields: "x { y { id } }") @key(fields: "id") { id: ID! x: X! } '
        'type X @key(fields: "y { id }") { y: Y! n: Int }',
    },
    "a mutation that one of two subgraphs answers in full": {
        "a": "type Query { a: Int } type Mutation { m: R @shareable } type R { p: Int @shareable }",
        "b": "type Mutation { m: R @shareable } type R { p: Int @shareable q: Int }",
    },
    "a hidden type's field nobody could reach": {
        "a": "type Query { u: U } union U = X | Y type X { n: Int } type Y @inaccessible { p: Int @shareable }",
        "b": "type Y { p: Int @shareable q: Int }",
    },
    "an interface key that does not resolve, in a subgraph that does not know all types": {
        "a": 'type Query { i: I } interface I @key(fields: "id", resolvable: false) { id: ID! } '
        'type X implements I @key(fields: "id") { id: ID! }',
        "b": 'interface I { id: ID! } type Y implements I @key(fields: "id") { id: ID! }',
    },
    "a mutation of one subgraph whose result another knows": {
        "a": "type Query { a: Int } type Mutation { m: X } " + X % "",
        "b": X % "n: Int",
    },
}


@pytest.mark.parametrize("subgraphs", ANSWERED.values(), ids=ANSWERED)
def test_answered(subgraphs: dict[str, str]) -> None:
    assert composed(**subgraphs).supergraph_sdl


NOT_ANSWERED: dict[str, tuple[dict[str, str], str, str, list[str]]] = {
    "no key at all": (
        {"a": ROOT + "type X { id: ID! @shareable }", "b": "type X { id: ID! @shareable n: Int }"},
        "X.n",
        "{ x { n } }",
        [
            'subgraph "a" does not have "X.n"',
            'subgraph "b", which has "X.n", cannot be entered: "X" has no resolvable @key there',
        ],
    ),
    "a key that does not resolve": (
        {"a": ROOT + X % "", "b": 'type X @key(fields: "id", resolvable: false) { id: ID! n: Int }'},
        "X.n",
        "{ x { n } }",
        [
            'subgraph "a" does not have "X.n"',
            'subgraph "b", which has "X.n", cannot be entered: "X" has no resolvable @key there',
        ],
    ),
    "a key that cannot be filled": (
        {"a": ROOT + X % "", "b": 'type X @key(fields: "y { id }") { y: Y! @shareable n: Int } type Y { id: ID! }'},
        "X.n",
        "{ x { n } }",
        [
            'subgraph "a" does not have "X.n"',
            'subgraph "b", which has "X.n", cannot be entered by @key(fields: "y { id }"): '
            '"y" cannot be got from subgraph "a"',
        ],
    ),
    "two requirements of each other": (
        {
            "a": ROOT + X % "",
            "b": X % 'q: Int @external p: Int @requires(fields: "q")',
            "c": X % 'p: Int @external q: Int @requires(fields: "p")',
        },
        "X.p",
        "{ x { p } }",
        [
            'subgraph "a" does not have "X.p"',
            'subgraph "b" has "X.p" with @requires(fields: "q"), but "q" cannot be got',
            'subgraph "c" has "X.p" as @external only, and no @provides on the way promises it',
        ],
    ),
    "a requirement in a subgraph that cannot be entered again": (
        {
            "a": ROOT + 'type X @key(fields: "id", resolvable: false) { id: ID! p: Int @external '
            'n: Int @requires(fields: "p") }',
            "b": X % "p: Int",
        },
        "X.n",
        "{ x { n } }",
        [
            'subgraph "a" has "X.n" with @requires, but "X" has no resolvable @key there by which to bring what it '
            "requires",
            'subgraph "b" does not have "X.n"',
        ],
    ),
    "provided on one path, not on the other": (
        {
            "a": 'type Query { x: X @provides(fields: "n") other: X } type X { n: Int @external m: Int }',
            "b": "type X { n: Int @shareable }",
        },
        "X.n",
        "{ other { n } }",
        [
            'subgraph "a" has "X.n" as @external only, and no @provides on the way promises it',
            'subgraph "b", which has "X.n", cannot be entered: "X" has no resolvable @key there',
        ],
    ),
    "a later path on which fewer subgraphs know the object": (
        {
            "a": "type Query { x: X @shareable only: X } type X { id: ID! @shareable p: Int }",
            "b": "type Query { x: X @shareable } type X { id: ID! @shareable q: Int }",
        },
        "X.q",
        "{ only { q } }",
        [
            'subgraph "a" does not have "X.q"',
            'subgraph "b", which has "X.q", cannot be entered: "X" has no resolvable @key there',
        ],
    ),
    "an implementation that only one of the subgraphs returns": (
        {
            "a": "type Query { i: I @shareable } interface I { p: Int } type Y implements I { p: Int @shareable }"
            " type Z implements I @shareable { p: Int }",
            "b": "type Query { i: I @shareable } interface I { p: Int } type X implements I { p: Int }"
            " type Z implements I @shareable { p: Int }",
            "c": "type Query { y: Y } type Y { p: Int @shareable q: Int }",
        },
        "Y.q",
        "{ i { ... on Y { q } } }",
        [
            'subgraph "a" does not have "Y.q"',
            'subgraph "c", which has "Y.q", cannot be entered: "Y" has no resolvable @key there',
        ],
    ),
    "a later path on which more subgraphs return more types": (
        {
            "a": "type Query { one: X both: X @shareable } type X @shareable { i: I } interface I { p: Int } "
            "type P implements I { p: Int } type Z implements I @shareable { p: Int }",
            "b": "type Query { both: X @shareable } type X @shareable { i: I } interface I { p: Int } "
            "type Y implements I { p: Int @shareable } type Z implements I @shareable { p: Int }",
            "c": "type Query { y: Y } type Y { p: Int @shareable q: Int }",
        },
        "Y.q",
        "{ both { i { ... on Y { q } } } }",
        [
            'subgraph "b" does not have "Y.q"',
            'subgraph "c", which has "Y.q", cannot be entered: "Y" has no resolvable @key there',
        ],
    ),
    "one type of an interface": (
        {
            "a": 'type Query { i(first: Int!): [I!] } interface I { id: ID! } type Y implements I @key(fields: "id") '
            "{ id: ID! } type X implements I { id: ID! @shareable }",
            "b": "interface I { id: ID! n: Int } type X implements I { id: ID! @shareable n: Int } "
            'type Y implements I @key(fields: "id") { id: ID! n: Int }',
        },
        "X.n",
        "{ i(first: 1) { ... on X { n } } }",
        [
            'subgraph "a" does not have "X.n"',
            'subgraph "b", which has "X.n", cannot be entered: "X" has no resolvable @key there',
        ],
    ),
    "an interface object that never learns its type": (
        {
            "a": 'interface I @key(fields: "id", resolvable: false) { id: ID! } '
            'type X implements I @key(fields: "id") { id: ID! p: Int } type Query { a: Int }',
            "b": 'type I @interfaceObject @key(fields: "id") { id: ID! } type Query { i: I }',
        },
        "X.p",
        "{ i { ... on X { p } } }",
        [
            'subgraph "b" does not have "I.p"',
            'subgraph "a", which has "X.p", cannot be entered by @key(fields: "id"): '
            'no subgraph reached can tell that the object is a "X"',
        ],
    ),
    "a mutation that two subgraphs share, each of them half": (
        {
            "a": "type Query { a: Int } type Mutation { m: R @shareable } type R { p: Int }",
            "b": "type Mutation { m: R @shareable } type R { q: Int }",
        },
        "R.q",
        "mutation { m { q } }",
        [
            'subgraph "a" does not have "R.q"',
            'subgraph "b", which has "R.q", cannot be entered: "R" has no resolvable @key there',
        ],
    ),
    "an override with a label, where the old subgraph cannot be entered": (
        {
            "a": "type Query { a: Int } type X { id: ID! @shareable n: Int }",
            "b": ROOT + 'type X { id: ID! @shareable n: Int @override(from: "a", label: "new") }',
        },
        "X.n",
        "{ x { n } }",
        [
            'subgraph "b" does not answer "X.n": @override gives it to subgraph "a"',
            'subgraph "a", which has "X.n", cannot be entered: "X" has no resolvable @key there',
        ],
    ),
    "an override with a label, where the old subgraph cannot be left": (
        {
            "a": ROOT + "type X @shareable { id: ID! } extend type X { n: Int }",
            "b": 'type X { id: ID! @shareable n: Int @override(from: "a", label: "new") }',
        },
        "X.n",
        "{ x { n } }",
        [
            'subgraph "a" does not answer "X.n": @override gives it to subgraph "b"',
            'subgraph "b", which has "X.n", cannot be entered: "X" has no resolvable @key there',
        ],
    ),
}


@pytest.mark.parametrize(
    ("subgraphs", "coordinate", "witness", "reasons"), NOT_ANSWERED.values(), ids=list(NOT_ANSWERED)
)
def test_not_answered(subgraphs: dict[str, str], coordinate: str, witness: str, reasons: list[str]) -> None:
    errors = refused(**subgraphs)
    assert set(codes(errors)) == {Code.SATISFIABILITY_ERROR}
    error = next(error for error in errors if error.coordinate == coordinate)
    assert " ".join(query_of(error).split()) == witness
    assert [line.removeprefix("- ") for line in error.message.splitlines() if line.startswith("- ")] == reasons


def test_a_witness_is_a_valid_query_with_all_that_it_needs() -> None:
    query = "list(f: F!, e: E!, n: [Int!]!, s: S!, b: Boolean!, o: O!, d: Int! = 3): [U!]!"
    types = """
        input F { x: Float! y: G! z: Int } input G { i: ID! t: String! } input O @oneOf { p: Int q: Int }
        enum E { HIDDEN %s SHOWN } scalar S
        union U = X | Y type X { id: ID! %s } type Y { id: ID! }
    """
    own = f"type Query {{ {query} }} {types % ('@inaccessible', '@shareable')}"
    (error,) = refused(a=own, b="type X { id: ID! @shareable w: W } type W { n: Int }")
    document = parse(query_of(error))
    api = f"type Query {{ {query} }} {types % ('', 'w: W')} type W {{ n: Int }}"
    assert validate(build_schema(api), document) == []
    assert "e: SHOWN" in query_of(error)
    assert " ".join(query_of(error).split()).endswith("... on X { w { __typename } } } }")


def test_a_field_is_reported_once_with_a_shortest_path() -> None:
    errors = refused(
        a="type Query { deep: D x: X } type D { x: X d: D } type X { id: ID! @shareable }",
        b="type X { id: ID! @shareable n: Int }",
    )
    assert [" ".join(query_of(error).split()) for error in errors] == ["{ x { n } }"]


def test_sixty_subgraphs_in_a_chain_of_keys_are_walked_once() -> None:
    count = 60
    subgraphs = {
        f"s{n:02}": f'type X @key(fields: "k{n}") @key(fields: "k{n + 1}") '
        f"{{ k{n}: ID! k{n + 1}: ID! f{n}: Int x{n}: X @shareable }}"
        for n in range(count)
    }
    subgraphs["s00"] += " type Query { x: X }"
    assert composed(**subgraphs).supergraph_sdl.count("@join__graph(") == count + 1


def query_of(error: Diagnostic) -> str:
    lines = error.message.splitlines()
    return "\n".join(line for line in lines[1:] if line.startswith("  "))
