"""Fields that take arguments from around them (`@fromContext`): the plans, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from graphql import parse

from graphrouter.planning.check import check
from graphrouter.planning.plan import EntityFetch, QueryPlan
from graphrouter.planning.planner import PlanningError, QueryPlanner
from graphrouter.planning.render import render
from graphrouter.supergraph import Supergraph
from tests.support.supergraphs import supergraph

CONTEXT = '@link(url: "https://specs.apollo.dev/context/v0.1", for: SECURITY)'

BANK = """
directive @context(name: String!) repeatable on INTERFACE | OBJECT | UNION
directive @context__fromContext(field: context__ContextFieldValue) on ARGUMENT_DEFINITION
scalar context__ContextFieldValue
type Query @t(ACCOUNTS) @t(BANK) {
  users: [User!]! @f(ACCOUNTS)
  owners: [Owner] @f(BANK)
  latest: Transaction @f(BANK)
}
interface Owner @t(BANK) { last: Transaction }
type User implements Owner
  @t(ACCOUNTS, key: "id") @t(BANK, key: "id") @i(BANK, interface: "Owner") @context(name: "bank__owner") {
  id: ID!
  currency: Currency @f(ACCOUNTS) @f(BANK, external: true)
  last: Transaction @f(BANK)
  friends: [User!] @f(BANK)
}
type Company implements Owner @t(BANK) @i(BANK, interface: "Owner") @context(name: "bank__owner") {
  code: String
  last: Transaction
}
type Currency @t(ACCOUNTS) @t(BANK) { code: String }
type Transaction @t(BANK, key: "id") {
  id: ID!
  next: Transaction
  amount(digits: Int): Int
    @f(BANK, contextArguments: [
      { context: "bank__owner", name: "in", type: "String",
        selection: "{ ... on User { currency { code } } ... on Company { code } }" }
    ])
}
"""


@pytest.fixture(name="bank", scope="module")
def make_bank() -> Supergraph:
    return supergraph(BANK, "ACCOUNTS", "BANK", links=CONTEXT)


def planned(bank: Supergraph, query: str) -> QueryPlan:
    document = parse(query)
    plan = QueryPlanner(bank).plan(document)
    assert check(plan, document, bank) == [], render(plan)
    return plan


def test_clients_do_not_see_the_machinery_of_contexts(bank: Supergraph) -> None:
    assert "context" not in " ".join(bank.api_schema.type_map).lower()
    assert {directive.name for directive in bank.api_schema.directives} >= {"skip", "include"}
    assert "context" not in {directive.name for directive in bank.api_schema.directives}


def test_the_value_is_fetched_on_the_nearest_object_that_sets_the_context_and_passed_on(bank: Supergraph) -> None:
    text = render(planned(bank, "{ users { last { amount(digits: 2) } } }"))
    assert text == (
        """QueryPlan(query) {
  Sequence {
    Fetch(service: "accounts", id: 0) {
      {
        users {
          id
          currency {
            code
          }
        }
      }
    }
    Flatten(path: "users.@") {
      Fetch(service: "bank", id: 1, after: [0]) {
        $representations <- users.@ { __typename: "User" id }
        query ($representations: [_Any!]!) {
          _entities(representations: $representations) {
            ... on User {
              last {
                id
              }
            }
          }
        }
      }
    }
    Flatten(path: "users.@.last") {
      Fetch(service: "bank", id: 2, after: [1]) {
        $representations <- users.@.last { __typename: "Transaction" id }
        $context_0 <- users.@ { currency { code } }
        query ($representations: [_Any!]!, $context_0: String) {
          _entities(representations: $representations) {
            ... on Transaction {
              amount(digits: 2, in: $context_0)
            }
          }
        }
      }
    }
  }
}
"""
    )


def test_of_several_objects_around_it_the_nearest_counts(bank: Supergraph) -> None:
    text = render(planned(bank, "{ users { friends { last { next { amount } } } } }"))
    assert "$context_0 <- users.@.friends.@ { currency { code } }" in text


def test_an_abstract_type_is_taken_apart_where_its_object_types_have_different_values(bank: Supergraph) -> None:
    text = render(planned(bank, "{ owners { last { amount } } }"))
    assert "$context_0 <- owners.@ { ... on User { currency { code } } ... on Company { code } }" in text


def test_groups_of_one_request_keep_their_values_apart(bank: Supergraph) -> None:
    text = render(planned(bank, "{ a: users { last { amount } } users { friends { last { a: amount } } } }"))
    assert "$context_0_e" in text or text.count("$context_0: String") > 1


def test_a_client_s_own_variable_may_have_the_same_name(bank: Supergraph) -> None:
    query = "query ($context_0: Int) { users { last { amount(digits: $context_0) } } }"
    assert "amount(digits: $context_0, in: $_context_0)" in render(planned(bank, query))


def test_without_an_object_that_sets_the_context_there_is_no_plan(bank: Supergraph) -> None:
    with pytest.raises(PlanningError, match=r"Transaction\.amount"):
        QueryPlanner(bank).plan(parse("{ latest { amount } }"))


@pytest.mark.parametrize(
    ("steps", "variable", "expected"),
    [(0, "context_0", "elsewhere than the nearest"), (1, "nobody", "does not take its value from a context")],
)
def test_the_checker_finds_a_value_from_the_wrong_place(
    bank: Supergraph, steps: int, variable: str, expected: str
) -> None:
    query = "{ users { last { amount } } }"
    plan = planned(bank, query)
    *before, last = plan.fetches
    assert isinstance(last, EntityFetch)
    group = last.groups[0]
    target = group.targets[0]
    contexts = tuple(replace(one, steps=steps) for one in target.representation.contexts)
    target = replace(target, representation=replace(target.representation, contexts=contexts))
    group = replace(group, targets=(target,), contexts=((variable, "String"),))
    broken = replace(plan, fetches=(*before, replace(last, groups=(group,))))
    assert any(expected in problem for problem in check(broken, parse(query), bank))
