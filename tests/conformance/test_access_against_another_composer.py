"""Who may see what composes as with Apollo's composer: the same verdicts, and the same rules on every element."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest
from graphql import parse

from graphrouter.composition import CompositionError, SubgraphSdl, compose
from graphrouter.supergraph import Access, read_supergraph
from graphrouter.supergraph.access_directives import _Reader
from graphrouter.supergraph.features import directive_of, read_features
from tests.support.npm import Absent, npm_packages

pytestmark = pytest.mark.node

COMPOSERS: Final = Path(__file__).parent / "composers"
LINK: Final = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@external",'
    ' "@requires", "@interfaceObject", "@authenticated", "@requiresScopes", "@policy", "@context", "@fromContext",'
    ' "@override", "@inaccessible"])\n'
)
Subgraphs = dict[str, str]

COMPOSING: Final[dict[str, Subgraphs]] = {
    "on fields and types of one subgraph": {
        "a": """
            type Query { user: User open: String closed: String @authenticated }
            type User @key(fields: "id") @authenticated {
                id: ID!
                email: String @requiresScopes(scopes: [["email"], ["admin", "all"]])
                salary: Money @policy(policies: [["hr", "boss"]])
                role: Role
            }
            scalar Money @requiresScopes(scopes: [["money"]])
            enum Role @authenticated { A B }
        """,
    },
    "any subgraph's rule counts": {
        "a": 'type Query { u: User } type User @key(fields: "id") @authenticated { id: ID! name: String @shareable }',
        "b": 'type User @key(fields: "id") { id: ID! name: String @shareable @authenticated }',
    },
    "alternatives of several subgraphs all count": {
        "a": """type Query { f: Int @shareable @requiresScopes(scopes: [["a"], ["b", "c"]]) }""",
        "b": """type Query { f: Int @shareable @requiresScopes(scopes: [["a", "d"], ["c"]]) }""",
        "c": """type Query { f: Int @shareable @requiresScopes(scopes: [["c", "b"]]) @policy(policies: [["p"]]) }""",
        "d": """type Query { f: Int @shareable @policy(policies: [["q"], ["p"]]) }""",
    },
    "equal groups count once": {
        "a": """type Query { f: Int @shareable @requiresScopes(scopes: [["a", "b"]]) }""",
        "b": """type Query { f: Int @shareable @requiresScopes(scopes: [["b", "a"]]) }""",
    },
    "no group asks for nothing": {
        "a": """type Query { f: Int @shareable @requiresScopes(scopes: []) }""",
        "b": """type Query { f: Int @shareable @requiresScopes(scopes: [["a"]]) }""",
    },
    "an empty group asks for nothing": {
        "a": """type Query { f: Int @shareable @requiresScopes(scopes: [[], ["z"]]) }""",
        "b": """type Query { f: Int @shareable @requiresScopes(scopes: [["a"]]) }""",
    },
    "what is not a list stands for one": {"a": """type Query { f: Int @requiresScopes(scopes: "a") }"""},
    "an interface needs what its types need": {
        "a": """
            type Query { nodes: [Node] named: Named }
            interface Node { id: ID! secret: String }
            interface Named implements Node { id: ID! secret: String name: String }
            type A implements Node & Named @authenticated { id: ID! secret: String name: String }
            type B implements Node {
                id: ID! @requiresScopes(scopes: [["b"]])
                secret: String @requiresScopes(scopes: [["s"], ["t"]])
            }
            type C implements Node @requiresScopes(scopes: [["c"]]) {
                id: ID!
                secret: String @requiresScopes(scopes: [["u"]])
            }
        """,
    },
    "what another subgraph says of a type reaches its interface": {
        "a": """
            type Query { node: Node }
            interface Node { id: ID! }
            type A implements Node @key(fields: "id") { id: ID! }
        """,
        "b": 'type A @key(fields: "id") @policy(policies: [["p"]]) { id: ID! more: Int }',
    },
    "a union needs nothing": {
        "a": "type Query { u: U } union U = A | B type A @authenticated { a: Int } type B { b: Int }",
    },
    "what an interface object resolves": {
        "a": """
            type Query { media: Media }
            interface Media @key(fields: "id") { id: ID! title: String }
            interface Titled { title: String rating: Int }
            type Book implements Media & Titled @key(fields: "id") { id: ID! title: String rating: Int @external }
            type Film implements Media @key(fields: "id") { id: ID! title: String }
        """,
        "b": """
            type Media @key(fields: "id") @interfaceObject {
                id: ID!
                rating: Int @requiresScopes(scopes: [["rating"]])
            }
        """,
    },
    "a requirement that is covered by the field": {
        "a": """
            type Query { p: P }
            type P @key(fields: "id") { id: ID! price: Int @requiresScopes(scopes: [["p"], ["q"]]) }
        """,
        "b": """
            type P @key(fields: "id") {
                id: ID! price: Int @external
                shipping: Int @requires(fields: "price") @requiresScopes(scopes: [["p", "x"], ["q", "y"]])
            }
        """,
    },
    "a requirement that is covered by the field's type": {
        "a": """
            type Query { p: P }
            type P @key(fields: "id") @authenticated { id: ID! price: Money }
            scalar Money @authenticated
        """,
        "b": """
            type P @key(fields: "id") { id: ID! price: Money @external shipping: Int @requires(fields: "price") }
            scalar Money
        """,
    },
    "a context that is covered": {
        "a": """
            type Query { u: U }
            type U @key(fields: "id") @context(name: "u") @authenticated { id: ID! plan: String child: T }
            type T @key(fields: "id") { id: ID! f(plan: String @fromContext(field: "$u { plan }")): Int @authenticated }
        """,
        "b": "type Query { other: Int @shareable }",
    },
    "renamed": {
        "a": """
            extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
                import: [{ name: "@authenticated", as: "@known" }])
            type Query { a: Int @known b: Int @federation__requiresScopes(scopes: [["s"]]) }
        """,
    },
}

REFUSED: Final[dict[str, tuple[str, Subgraphs]]] = {
    "on an interface": (
        "AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE",
        {"a": "type Query { n: N } interface N @authenticated { id: ID } type A implements N { id: ID }"},
    ),
    "on a field of an interface": (
        "AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE",
        {"a": "type Query { n: N } interface N { id: ID @authenticated } type A implements N { id: ID }"},
    ),
    "on an interface object": (
        "AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE",
        {
            "a": """
                type Query { n: N }
                interface N @key(fields: "id") { id: ID! }
                type A implements N @key(fields: "id") { id: ID! }
            """,
            "b": 'type N @key(fields: "id") @interfaceObject @authenticated { id: ID! x: Int }',
        },
    ),
    "on a union": ("INVALID_GRAPHQL", {"a": "type Query { u: U } union U @authenticated = A type A { a: Int }"}),
    "on an argument": ("INVALID_GRAPHQL", {"a": "type Query { f(a: Int @authenticated): Int }"}),
    "without scopes": ("INVALID_GRAPHQL", {"a": "type Query { f: Int @requiresScopes }"}),
    "before its version": (
        "INVALID_LINK_DIRECTIVE_USAGE",
        {
            "a": """
                extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@policy"])
                type Query { f: Int @policy(policies: [["p"]]) }
            """
        },
    ),
    "a requirement that needs more than the field": (
        "MISSING_TRANSITIVE_AUTH_REQUIREMENTS",
        {
            "a": 'type Query { p: P } type P @key(fields: "id") { id: ID! price: Int @authenticated }',
            "b": 'type P @key(fields: "id") { id: ID! price: Int @external shipping: Int @requires(fields: "price") }',
        },
    ),
    "a requirement that one alternative of the field does not cover": (
        "MISSING_TRANSITIVE_AUTH_REQUIREMENTS",
        {
            "a": """
                type Query { p: P }
                type P @key(fields: "id") { id: ID! c: Int @requiresScopes(scopes: [["p"]]) }
            """,
            "b": """
                type P @key(fields: "id") {
                    id: ID! c: Int @external
                    s: Int @requires(fields: "c") @requiresScopes(scopes: [["p"], ["q"]])
                }
            """,
        },
    ),
    "a requirement inside of another type": (
        "MISSING_TRANSITIVE_AUTH_REQUIREMENTS",
        {
            "a": """
                type Query { p: P }
                type P @key(fields: "id") { id: ID! size: Size }
                type Size @authenticated { cm: Int @shareable }
            """,
            "b": """
                type P @key(fields: "id") { id: ID! size: Size @external s: Int @requires(fields: "size { cm }") }
                type Size { cm: Int @shareable }
            """,
        },
    ),
    "a context that needs more than the field": (
        "MISSING_TRANSITIVE_AUTH_REQUIREMENTS",
        {
            "a": """
                type Query { u: U }
                type U @key(fields: "id") @context(name: "u") { id: ID! plan: String @authenticated child: T }
                type T @key(fields: "id") { id: ID! f(plan: String @fromContext(field: "$u { plan }")): Int }
            """,
            "b": "type Query { other: Int @shareable }",
        },
    ),
}


def linked(subgraphs: Subgraphs) -> Subgraphs:
    return {name: sdl if "@link" in sdl else LINK + sdl for name, sdl in subgraphs.items()}


def ours(subgraphs: Subgraphs) -> tuple[set[str], str | None]:
    try:
        result = compose([SubgraphSdl(name, f"http://{name}", sdl) for name, sdl in linked(subgraphs).items()])
    except CompositionError as error:
        return {str(found.code) for found in error.errors}, None
    return set(), result.supergraph_sdl


@pytest.fixture(scope="module")
def theirs() -> dict[str, tuple[set[str], str | None]]:
    try:
        folder = npm_packages("composers", COMPOSERS, "compose.js")
    except Absent as absent:
        pytest.skip(str(absent))
    sets = {**COMPOSING, **{name: subgraphs for name, (_, subgraphs) in REFUSED.items()}}
    given = [[{"name": name, "sdl": sdl} for name, sdl in linked(subgraphs).items()] for subgraphs in sets.values()]
    done = subprocess.run(
        ["node", "compose.js"], cwd=folder, input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return {
        name: ({code for code, _ in found["errors"]}, found["supergraph"])
        for name, found in zip(sets, json.loads(done.stdout), strict=True)
    }


def written(sdl: str) -> dict[str, Access]:
    """What the text itself says of each element, without what the router derives from it."""
    document = parse(sdl)
    features = read_features(document)
    names = ("authenticated", "requiresScopes", "policy")
    reader = _Reader(*(directive_of(features, name, name) for name in names))
    found: dict[str, Access] = {}
    for node in document.definitions:
        name = getattr(getattr(node, "name", None), "value", "")
        found[name] = reader.access(node)
        for field in getattr(node, "fields", None) or ():
            found[f"{name}.{field.name.value}"] = reader.access(field)
    return {name: access for name, access in found.items() if access}


@pytest.mark.parametrize("name", COMPOSING)
def test_rules_compose_to_the_same(name: str, theirs: dict[str, tuple[set[str], str | None]]) -> None:
    codes, supergraph = ours(COMPOSING[name])
    their_codes, their_supergraph = theirs[name]
    assert (codes, their_codes) == (set(), set())
    assert supergraph is not None
    assert their_supergraph is not None
    assert written(supergraph) == written(their_supergraph)
    assert read_supergraph(supergraph).access == read_supergraph(their_supergraph).access
    assert written(supergraph) or name == "a union needs nothing"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_there_is_refused_here(name: str, theirs: dict[str, tuple[set[str], str | None]]) -> None:
    code, subgraphs = REFUSED[name]
    assert code in ours(subgraphs)[0]
    assert code in theirs[name][0]
