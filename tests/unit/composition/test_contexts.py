"""`@context` and `@fromContext`: what comes out in the supergraph, and what is proved of it."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, printed, refused, shape

ACCOUNTS = 'type Query { users: [User] } type User @key(fields: "id") { id: ID! currency: String! }'
BANK = """
type User @key(fields: "id") @context(name: "owner") { id: ID! currency: String! @external last: Transaction }
type Transaction @key(fields: "id") {
  id: ID!
  amount(digits: Int, unit: String @fromContext(field: "$owner { currency }")): Int
}
"""
SELECTED = 'unit: String @fromContext(field: "%s")'


def test_an_argument_from_a_context_is_the_router_s_and_not_the_clients() -> None:
    result = composed(accounts=ACCOUNTS, bank=BANK)
    assert printed(result, "User") == shape("""
        type User
          @context(name: "bank__owner")
          @join__type(graph: ACCOUNTS, key: "id")
          @join__type(graph: BANK, key: "id")
        {
          id: ID!
          currency: String! @join__field(graph: ACCOUNTS) @join__field(graph: BANK, external: true)
          last: Transaction @join__field(graph: BANK)
        }
    """)
    assert printed(result, "Transaction") == shape(
        """
        type Transaction
          @join__type(graph: BANK, key: "id")
        {
          id: ID!
          amount(digits: Int): Int @join__field(graph: BANK, contextArguments: [{context: "bank__owner", \
name: "unit", type: "String", selection: "{ currency }"}])
        }
    """.replace("\\\n", "")
    )
    assert '@link(url: "https://specs.apollo.dev/context/v0.1", for: SECURITY)' in result.supergraph_sdl
    assert '@link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)' in result.supergraph_sdl


def test_without_contexts_nothing_of_them_is_in_the_supergraph() -> None:
    assert "ontext" not in composed(accounts=ACCOUNTS).supergraph_sdl


def test_a_path_on_which_nothing_sets_the_context_cannot_be_answered() -> None:
    (error,) = refused(accounts=ACCOUNTS, bank=BANK + "type Query { latest: Transaction }")
    assert error.code == Code.SATISFIABILITY_ERROR
    assert "latest {" in error.message
    assert 'no object around it sets "owner"' in error.message


def test_the_object_that_has_the_field_does_not_count_as_around_it() -> None:
    sdl = """
        type Query { user: User }
        type User @key(fields: "id") @context(name: "owner") {
          id: ID! currency: String! friend: User
          greeting(unit: String @fromContext(field: "$owner { currency }")): String
        }
    """
    (error,) = refused(a=sdl)
    assert error.code == Code.SATISFIABILITY_ERROR


def test_a_value_that_cannot_be_got_cannot_be_passed_on() -> None:
    secret = """
        type Query { users: [User] }
        type User @context(name: "owner") @key(fields: "id", resolvable: false) {
          id: ID! currency: String! @external last: Transaction
        }
        type Transaction @key(fields: "id") {
          id: ID! amount(unit: String @fromContext(field: "$owner { currency }")): Int
        }
    """
    found = refused(bank=secret, accounts='type User @key(fields: "number") { number: ID! currency: String! }')
    assert Code.SATISFIABILITY_ERROR in codes(found)


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ("$owner { id currency }", "selects 2 fields"),
        ("$owner { nope }", "which \"User\" does not have"),
        ("$owner { id }", "is of type \"ID!\", the argument of type \"String\""),
        ("$owner { last }", "must end at a leaf"),
        ("$owner { currency { code } }", "must end at a leaf"),
        ("$owner { ... on Nobody { currency } }", "does not exist"),
        ("$owner { ... on Transaction { id } }", "selects 0 fields"),
        ("$owner { last { amount } }", "has arguments"),
    ],
)  # fmt: skip
def test_a_selection_has_to_come_to_one_value_of_the_argument_s_type(selection: str, reason: str) -> None:
    found = refused(accounts=ACCOUNTS, bank=BANK.replace("$owner { currency }", selection))
    (error,) = (one for one in found if one.code == Code.CONTEXT_INVALID_SELECTION)
    assert reason in error.message
    assert "Transaction.amount(unit:)" in error.message


def test_a_value_within_lists_goes_into_an_argument_of_lists() -> None:
    lists = """
        type Query { user: User }
        type User @context(name: "owner") { tags: [Tag!]! last: Transaction }
        type Tag { names: [String!]! }
        type Transaction @key(fields: "id") {
          id: ID! amount(names: [[String!]] @fromContext(field: "$owner { tags { names } }")): Int
        }
    """
    assert 'type: "[[String!]]"' in composed(a=lists).supergraph_sdl
    (error,) = refused(a=lists.replace("[[String!]] @", "[String!] @"))
    assert error.code == Code.CONTEXT_INVALID_SELECTION


def test_an_interface_s_field_takes_nothing_from_a_context() -> None:
    sdl = """
        type Query { user: User }
        type User @context(name: "owner") { name: String last: Transaction }
        interface Booking { amount: Int }
        type Transaction implements Booking @key(fields: "id") {
          id: ID! amount(name: String @fromContext(field: "$owner { name }")): Int
        }
    """
    (error,) = refused(a=sdl)
    assert error.code == Code.CONTEXT_INVALID_SELECTION
    assert "interface" in error.message
