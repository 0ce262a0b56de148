"""Every code, with the smallest subgraphs that give it: each error and each hint once, on its own."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code, CompositionError, Severity, SubgraphSdl, compose
from tests.unit.composition.composing import texts

Q = "type Query { q: Int } "
X = 'type X @key(fields: "id") { id: ID! %s } '
RUNTIME = "type %s implements I @shareable { n: Int%s } "
QX = "type Query { x: X } "
LINK = 'extend schema @link(url: "%s") ' + Q

BANK = """
type Query { users: [User] transactions: [Transaction] }
type User @key(fields: "id") @context(name: "%s") { id: ID! currency: String! last: Transaction }
type Transaction @key(fields: "id"%s) { id: ID! amount(unit: String @fromContext(field: "%s")): Int }
"""

ERRORS: dict[Code, dict[str, str]] = {
    # one subgraph
    Code.AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE: {
        "a": "type Query { i: I } interface I @authenticated { n: Int } " + RUNTIME % ("P", "")
    },
    Code.MISSING_TRANSITIVE_AUTH_REQUIREMENTS: {
        "a": QX + X % "n: Int @authenticated",
        "b": X % 'n: Int @external m: Int @requires(fields: "n")',
    },
    Code.INVALID_SUBGRAPH_NAME: {"_": Q},
    Code.INVALID_GRAPHQL: {"a": "type Query { q: Missing }"},
    Code.INVALID_LINK_DIRECTIVE_USAGE: {
        "a": 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.0", import: ["@kee"]) ' + Q
    },
    Code.INVALID_LINK_IDENTIFIER: {"a": LINK % "federation"},
    Code.UNKNOWN_FEDERATION_LINK_VERSION: {"a": LINK % "https://specs.apollo.dev/federation/v2.99"},
    Code.UNKNOWN_LINK_VERSION: {"a": LINK % "https://specs.apollo.dev/link/v9.0"},
    Code.UNSUPPORTED_FEATURE: {"a": LINK % "https://specs.apollo.dev/connect/v0.1"},
    Code.ROOT_QUERY_USED: {"a": "#fed1\nschema { query: Q } type Q { q: Query } type Query { q: Int }"},
    Code.ROOT_MUTATION_USED: {
        "a": "#fed1\nschema { query: Query mutation: M } type M { m: Int } type Mutation { m: Int }" + Q
    },
    Code.ROOT_SUBSCRIPTION_USED: {
        "a": "#fed1\nschema { query: Query subscription: S } type S { s: Int } type Subscription { s: Int }" + Q
    },
    Code.KEY_INVALID_FIELDS_TYPE: {"a": QX + "type X @key(fields: 1) { id: ID! }"},
    Code.KEY_INVALID_FIELDS: {"a": QX + 'type X @key(fields: "nope") { id: ID! }'},
    Code.KEY_UNSUPPORTED_ON_INTERFACE: {
        "a": 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.2", import: ["@key"])'
        ' type Query { i: I } interface I @key(fields: "id") { id: ID! }'
        ' type X implements I @key(fields: "id") { id: ID! }'
    },
    Code.KEY_FIELDS_HAS_ARGS: {"a": QX + 'type X @key(fields: "n") { n(x: Int): ID! }'},
    Code.KEY_FIELDS_SELECT_INVALID_TYPE: {
        "a": QX + 'type X @key(fields: "u { __typename }") { u: U } union U = Y type Y { a: Int }'
    },
    Code.KEY_DIRECTIVE_IN_FIELDS_ARG: {"a": QX + 'type X @key(fields: "id @skip(if: true)") { id: ID! }'},
    Code.PROVIDES_INVALID_FIELDS_TYPE: {"a": "type Query { x: X @provides(fields: true) } type X { a: Int }"},
    Code.PROVIDES_INVALID_FIELDS: {"a": 'type Query { x: X @provides(fields: "a {") } type X { a: Int }'},
    Code.PROVIDES_FIELDS_HAS_ARGS: {
        "a": 'type Query { x: X @provides(fields: "a(n: 1)") } ' + X % "a(n: Int): Int @external",
        "b": X % "a(n: Int): Int",
    },
    Code.PROVIDES_FIELDS_MISSING_EXTERNAL: {"a": 'type Query { x: X @provides(fields: "a") } type X { a: Int }'},
    Code.PROVIDES_DIRECTIVE_IN_FIELDS_ARG: {
        "a": 'type Query { x: X @provides(fields: "a @include(if: true)") } type X { a: Int }'
    },
    Code.PROVIDES_ON_NON_OBJECT_FIELD: {"a": 'type Query { q: Int @provides(fields: "a") }'},
    Code.PROVIDES_UNSUPPORTED_ON_INTERFACE: {
        "a": 'type Query { i: I } interface I { x: X @provides(fields: "a") } type X { a: Int }'
    },
    Code.REQUIRES_INVALID_FIELDS_TYPE: {"a": QX + X % "n: Int @requires(fields: null)"},
    Code.REQUIRES_INVALID_FIELDS: {"a": QX + X % 'n: Int @requires(fields: "m: id")'},
    Code.REQUIRES_FIELDS_MISSING_EXTERNAL: {"a": QX + X % 'm: Int n: Int @requires(fields: "m")'},
    Code.REQUIRES_DIRECTIVE_IN_FIELDS_ARG: {"a": QX + X % 'n: Int @requires(fields: "id @skip(if: true)")'},
    Code.REQUIRES_UNSUPPORTED_ON_INTERFACE: {
        "a": 'type Query { i: I } interface I { m: Int n: Int @requires(fields: "m") }'
    },
    Code.EXTERNAL_UNUSED: {"a": QX + X % "n: Int @external", "b": X % "n: Int"},
    Code.EXTERNAL_ON_INTERFACE: {"a": "type Query { i: I } interface I { n: Int @external }"},
    Code.EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE: {
        "a": QX + X % 'm: Int @external n: Int @external @requires(fields: "m")',
        "b": X % "m: Int n: Int",
    },
    Code.CONTEXT_NAME_INVALID: {"a": 'type Query { x: X } type X @context(name: "a_b") { n: Int }'},
    Code.CONTEXT_NOT_SET: {"a": BANK % ("other", "", "$user { currency }")},
    Code.NO_CONTEXT_IN_SELECTION: {"a": BANK % ("user", "", "{ currency }")},
    Code.CONTEXT_NO_RESOLVABLE_KEY: {"a": BANK % ("user", ", resolvable: false", "$user { currency }")},
    Code.CONTEXT_INVALID_SELECTION: {"a": BANK % ("user", "", "$user { last { amount } }")},
    Code.CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS: {
        "a": """
            type Query { user: User } type User @context(name: "user") { currency: String! last: Transaction }
            type Transaction @key(fields: "id") {
              id: ID! amount(unit: String @fromContext(field: "$user { currency }")): Int @shareable
            }
        """,
        "b": 'type Transaction @key(fields: "id") { id: ID! amount(unit: String!): Int @shareable }',
    },
    Code.COST_APPLIED_TO_INTERFACE_FIELD: {"a": "type Query { i: I } interface I { n: Int @cost(weight: 1) }"},
    Code.LIST_SIZE_APPLIED_TO_NON_LIST: {"a": "type Query { q: Int @listSize(assumedSize: 1) }"},
    Code.LIST_SIZE_INVALID_ASSUMED_SIZE: {"a": "type Query { q: [Int] @listSize(assumedSize: -1) }"},
    Code.LIST_SIZE_INVALID_SLICING_ARGUMENT: {"a": 'type Query { q(n: ID): [Int] @listSize(slicingArguments: ["n"]) }'},
    Code.LIST_SIZE_INVALID_SIZED_FIELD: {"a": QX + 'type X { q: X @listSize(sizedFields: ["gone"]) }'},
    Code.INVALID_SHAREABLE_USAGE: {"a": "type Query { i: I } interface I { n: Int @shareable }"},
    Code.INTERFACE_OBJECT_USAGE_ERROR: {"a": Q + "type I @interfaceObject { id: ID! }"},
    Code.INTERFACE_KEY_NOT_ON_IMPLEMENTATION: {
        "a": 'type Query { i: I } interface I @key(fields: "id") { id: ID! } type X implements I { id: ID! }'
    },
    Code.OVERRIDE_FROM_SELF_ERROR: {"a": QX + X % 'n: Int @override(from: "a")'},
    Code.OVERRIDE_LABEL_INVALID: {
        "a": QX + X % 'n: Int @override(from: "b", label: "percent(101)")',
        "b": X % "n: Int",
    },
    Code.OVERRIDE_ON_INTERFACE: {"a": 'type Query { i: I } interface I { n: Int @override(from: "b") }', "b": Q},
    Code.INVALID_TAG_NAME: {"a": 'type Query { q: Int @tag(name: "a b") }'},
    # several subgraphs
    Code.NO_QUERIES: {"a": X % "a: Int", "b": X % "b: Int"},
    Code.TYPE_KIND_MISMATCH: {"a": QX + X % "", "b": "input X { a: Int } type Query { n(x: X): Int }"},
    Code.FIELD_TYPE_MISMATCH: {"a": QX + X % "n: Int @shareable", "b": X % "n: String @shareable"},
    Code.FIELD_ARGUMENT_TYPE_MISMATCH: {
        "a": "type Query { q(n: Int): Int @shareable }",
        "b": "type Query { q(n: ID): Int @shareable }",
    },
    Code.FIELD_ARGUMENT_DEFAULT_MISMATCH: {
        "a": "type Query { q(n: Int = 1): Int @shareable }",
        "b": "type Query { q(n: Int = 2): Int @shareable }",
    },
    Code.REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH: {
        "a": "type Query { q(n: Int!): Int @shareable }",
        "b": "type Query { q: Int @shareable }",
    },
    Code.INPUT_FIELD_DEFAULT_MISMATCH: {
        "a": "type Query { a(f: F): Int } input F { n: Int = 1 }",
        "b": "type Query { b(f: F): Int } input F { n: Int = 2 }",
    },
    Code.REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH: {
        "a": "type Query { a(f: F): Int } input F { n: Int m: Int! }",
        "b": "type Query { b(f: F): Int } input F { n: Int }",
    },
    Code.EMPTY_MERGED_INPUT_TYPE: {
        "a": "type Query { a(f: F): Int } input F { n: Int }",
        "b": "type Query { b(f: F): Int } input F { m: Int }",
    },
    Code.ENUM_VALUE_MISMATCH: {
        "a": "type Query { a(e: E): Int } enum E { P Q }",
        "b": "type Query { b: E } enum E { P }",
    },
    Code.EMPTY_MERGED_ENUM_TYPE: {
        "a": "type Query { a(e: E): Int } enum E { P }",
        "b": "type Query { b(e: E): Int } enum E { Q }",
    },
    Code.INVALID_FIELD_SHARING: {"a": QX + X % "n: Int", "b": X % "n: Int"},
    Code.EXTENSION_WITH_NO_BASE: {"a": 'type Query { x: X } extend type X @key(fields: "id") { id: ID! }'},
    Code.DIRECTIVE_COMPOSITION_ERROR: {"a": 'extend schema @composeDirective(name: "owner") ' + Q},
    Code.MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL: {
        "a": QX + X % 'm: Int @external @inaccessible n: Int @requires(fields: "m")',
        "b": X % "m: Int",
    },
    Code.EXTERNAL_MISSING_ON_BASE: {"a": QX + X % 'm: Int @external n: Int @requires(fields: "m")'},
    Code.EXTERNAL_TYPE_MISMATCH: {
        "a": QX + X % 'm: Int @external n: Int @requires(fields: "m")',
        "b": X % "m: String",
    },
    Code.EXTERNAL_ARGUMENT_MISSING: {
        "a": QX + X % 'm: Int @external n: Int @requires(fields: "m")',
        "b": X % "m(x: Int): Int",
    },
    Code.EXTERNAL_ARGUMENT_TYPE_MISMATCH: {
        "a": QX + X % 'm(x: ID): Int @external n: Int @requires(fields: "m")',
        "b": X % "m(x: Int): Int",
    },
    Code.EXTERNAL_ARGUMENT_DEFAULT_MISMATCH: {
        "a": QX + X % 'm(x: Int = 2): Int @external n: Int @requires(fields: "m")',
        "b": X % "m(x: Int = 1): Int",
    },
    Code.INTERFACE_FIELD_NO_IMPLEM: {
        "a": "type Query { i: I } interface I { a: Int b: Int } type X implements I { a: Int @shareable b: Int }",
        "b": "type Query { j: I } interface I { a: Int } type Y implements I { a: Int }",
    },
    Code.INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE: {
        "a": 'type Query { i: I } interface I @key(fields: "id") { id: ID! }' + X.replace("X", "X implements I") % "",
        "b": "interface I { id: ID! } type Y implements I { id: ID! }",
    },
    Code.OVERRIDE_SOURCE_HAS_OVERRIDE: {
        "a": QX + X % 'n: Int @override(from: "b")',
        "b": X % 'n: Int @override(from: "c")',
        "c": X % "n: Int",
    },
    Code.OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE: {
        "a": QX + X % 'm: Int @external n: Int @requires(fields: "m") @override(from: "b")',
        "b": X % "m: Int n: Int",
    },
    Code.QUERY_ROOT_TYPE_INACCESSIBLE: {"a": "type Query @inaccessible { q: Int }"},
    Code.ONLY_INACCESSIBLE_CHILDREN: {"a": QX + "type X { n: Int @inaccessible }"},
    Code.REFERENCED_INACCESSIBLE: {"a": "type Query { q: Int x: X } type X @inaccessible { n: Int }"},
    Code.IMPLEMENTED_BY_INACCESSIBLE: {
        "a": "type Query { i: I } interface I { n: Int } type X implements I { n: Int @inaccessible m: Int }"
    },
    Code.REQUIRED_INACCESSIBLE: {"a": "type Query { q(n: Int! @inaccessible): Int }"},
    Code.DEFAULT_VALUE_USES_INACCESSIBLE: {
        "a": "type Query { q(e: [F] = [{ e: Q }]): Int } input F { e: E } enum E { P Q @inaccessible }"
    },
    Code.SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES: {
        "a": "type Query { u: U @shareable } union U = X type X { n: Int }",
        "b": "type Query { u: U @shareable } union U = Y type Y { n: Int }",
    },
    Code.SATISFIABILITY_ERROR: {"a": QX + "type X { id: ID! @shareable }", "b": "type X { id: ID! @shareable n: Int }"},
}

HINTS: dict[Code, dict[str, str]] = {
    Code.INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE: {
        "a": "type Query { q: Int @shareable }",
        "b": "type Query { q: Int! @shareable }",
    },
    Code.INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE: {
        "a": "type Query { q(n: Int): Int @shareable }",
        "b": "type Query { q(n: Int!): Int @shareable }",
    },
    Code.INCONSISTENT_DEFAULT_VALUE_PRESENCE: {
        "a": "type Query { q(n: Int = 1): Int @shareable }",
        "b": "type Query { q(n: Int): Int @shareable }",
    },
    Code.INCONSISTENT_ARGUMENT_PRESENCE: {
        "a": "type Query { q(n: Int): Int @shareable }",
        "b": "type Query { q: Int @shareable }",
    },
    Code.INCONSISTENT_OBJECT_VALUE_TYPE_FIELD: {
        "a": "type Query { v: V @shareable } type V @shareable { n: Int }",
        "b": "type Query { v: V @shareable } type V @shareable { n: Int m: Int }",
    },
    Code.INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD: {
        "a": "type Query { a: I } interface I { n: Int } type P implements I @shareable { n: Int m: Int }",
        "b": "type Query { b: I } interface I { n: Int m: Int } type P implements I @shareable { n: Int m: Int }",
    },
    Code.INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN: {
        "a": "type Query { i: I @shareable } interface I { n: Int } " + RUNTIME % ("P", "") + RUNTIME % ("O", ""),
        "b": "type Query { i: I @shareable } interface I { n: Int } " + RUNTIME % ("P", ""),
    },
    Code.MERGED_NON_REPEATABLE_DIRECTIVE_ARGUMENTS: {
        "a": "type Query { q: Int @shareable @cost(weight: 1) }",
        "b": "type Query { q: Int @shareable @cost(weight: 2) }",
    },
    Code.DIRECTIVE_COMPOSITION_INFO: {"a": 'extend schema @composeDirective(name: "@tag") ' + Q},
    Code.INCONSISTENT_INPUT_OBJECT_FIELD: {
        "a": "type Query { a(f: F): Int } input F { n: Int m: Int }",
        "b": "type Query { b(f: F): Int } input F { n: Int }",
    },
    Code.INCONSISTENT_UNION_MEMBER: {
        "a": "type Query { a: U } union U = X | Y type X @shareable { n: Int } type Y { n: Int }",
        "b": "type Query { b: U } union U = X type X @shareable { n: Int }",
    },
    Code.INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM: {
        "a": "type Query { a(e: E): Int } enum E { P Q }",
        "b": "type Query { b(e: E): Int } enum E { P }",
    },
    Code.INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM: {
        "a": "type Query { a: E } enum E { P Q }",
        "b": "type Query { b: E } enum E { P }",
    },
    Code.INCONSISTENT_DESCRIPTION: {
        "a": 'type Query { "one" q: Int @shareable }',
        "b": 'type Query { "two" q: Int @shareable }',
    },
    Code.INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS: {
        "a": 'type Query { t: T } scalar T @specifiedBy(url: "https://a.example")',
        "b": 'type Query { u: T } scalar T @specifiedBy(url: "https://b.example")',
    },
    Code.INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE: {"a": Q + "directive @live on FIELD", "b": X % ""},
    Code.INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS: {
        "a": Q + "directive @live on FIELD | QUERY",
        "b": X % "" + "directive @live on FIELD",
    },
    Code.NO_EXECUTABLE_DIRECTIVE_LOCATIONS_INTERSECTION: {
        "a": Q + "directive @live on QUERY",
        "b": X % "" + "directive @live on FIELD",
    },
    Code.FROM_SUBGRAPH_DOES_NOT_EXIST: {"a": QX + X % 'n: Int @override(from: "gone")'},
    Code.OVERRIDDEN_FIELD_CAN_BE_REMOVED: {"a": QX + X % 'n: Int @override(from: "b")', "b": X % "n: Int"},
    Code.OVERRIDE_DIRECTIVE_CAN_BE_REMOVED: {"a": QX + X % 'n: Int @override(from: "b")', "b": X % ""},
    Code.TYPE_SYSTEM_DIRECTIVE_NOT_COMPOSED: {"a": Q + "directive @owner(name: String) on OBJECT"},
}


def test_every_code_has_its_case() -> None:
    assert set(ERRORS) | set(HINTS) == set(Code)
    assert not set(ERRORS) & set(HINTS)


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_is_given_by_its_case_alone_and_names_its_subgraphs(code: Code) -> None:
    with pytest.raises(CompositionError) as caught:
        compose(texts(ERRORS[code]))
    assert [error.code for error in caught.value.errors] == [code]
    error = caught.value.errors[0]
    assert error.severity == Severity.ERROR
    assert error.coordinate is None or error.coordinate in error.message
    assert all(name in error.message for name in error.subgraphs)
    assert code in str(caught.value)


@pytest.mark.parametrize("code", HINTS)
def test_a_hint_is_given_by_its_case_alone_and_stops_nothing(code: Code) -> None:
    hints = compose(texts(HINTS[code])).hints
    assert {hint.code for hint in hints} == {code}
    assert all(hint.severity == Severity.HINT for hint in hints)


def test_two_subgraphs_of_one_name_are_refused() -> None:
    with pytest.raises(CompositionError, match=r'2 subgraphs of the name "a"'):
        compose([SubgraphSdl("a", "http://a", Q), SubgraphSdl("a", "http://b", Q)])


@pytest.mark.parametrize("subgraphs", [{}, {"a": "type Query"}], ids=["no subgraph", "no field"])
def test_nothing_to_ask_is_no_supergraph(subgraphs: dict[str, str]) -> None:
    with pytest.raises(CompositionError) as caught:
        compose(texts(subgraphs))
    assert [error.code for error in caught.value.errors] == [Code.NO_QUERIES]


def test_all_errors_of_a_phase_are_told_at_once_and_errors_come_before_hints() -> None:
    with pytest.raises(CompositionError) as caught:
        compose(
            texts(
                {
                    "a": "type Query { n: Int @shareable e: E @shareable m: Int } enum E { P Q }",
                    "b": "type Query { n: ID @shareable e: E @shareable m: Int } enum E { P }",
                }
            )
        )
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [
        Code.FIELD_TYPE_MISMATCH,
        Code.INVALID_FIELD_SHARING,
        Code.INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM,
    ]
