"""The checker finds what is wrong with a plan: good plans, spoilt on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from graphql import parse

from graphrouter.planning.check import check
from graphrouter.planning.plan import (
    Condition,
    EntityFetch,
    InputField,
    Key,
    QueryPlan,
    Representation,
    RootFetch,
    Target,
)
from graphrouter.planning.planner import QueryPlanner
from tests.support.supergraphs import supergraph

GRAPH = supergraph(
    """
    type Query @t(A) @t(B) { shop: Shop @f(A) things: [Thing!]! @f(A) }
    type Mutation @t(A) @t(B) { one: Shop @f(A) two: Shop @f(B) }
    interface Thing @t(A) { id: ID! }
    type Shop implements Thing @i(A, interface: "Thing")
      @t(A, key: "id") @t(B, key: "id") @t(B, key: "code", resolvable: false) {
      id: ID!
      code: ID @f(A) @f(B)
      name: String @f(A) @f(B, external: true)
      size(unit: String): Int @f(A) @f(B, external: true)
      motto: String @f(B)
      sign: String @f(B, requires: "name size(unit: \\"m\\")")
      mark: String @f(B, requires: "size(unit: \\"ft\\")")
    }
    type Book implements Thing @i(A, interface: "Thing") @t(A, key: "id") { id: ID! pages: Int }
    """,
    "A",
    "B",
    more="mutation: Mutation",
)
SIGN = "{ shop { sign motto } }"


def spoilt(text: str, change: Callable[[QueryPlan], QueryPlan]) -> list[str]:
    """What the checker says of a changed plan; of the unchanged one it must say nothing."""
    document = parse(text)
    plan = QueryPlanner(GRAPH).plan(document)
    assert check(plan, document, GRAPH) == []
    return check(change(plan), document, GRAPH)


def documents(old: str, new: str) -> Callable[[QueryPlan], QueryPlan]:
    """Every document with a part of its text exchanged."""

    def change(plan: QueryPlan) -> QueryPlan:
        assert any(old in fetch.document for fetch in plan.fetches)
        changed = (replace(fetch, document=fetch.document.replace(old, new)) for fetch in plan.fetches)
        return replace(plan, fetches=tuple(changed))

    return change


def targets(change: Callable[[Target], Target]) -> Callable[[QueryPlan], QueryPlan]:
    """The targets of the last fetch, changed."""

    def apply(plan: QueryPlan) -> QueryPlan:
        *others, last = plan.fetches
        assert isinstance(last, EntityFetch)
        (group,) = last.groups
        new = replace(group, targets=tuple(map(change, group.targets)))
        return replace(plan, fetches=(*others, replace(last, groups=(new,))))

    return apply


def mixed(plan: QueryPlan) -> QueryPlan:
    """The targets of the last fetch read all that any of them reads."""
    *others, last = plan.fetches
    assert isinstance(last, EntityFetch)
    everything = tuple(s for group in last.groups for t in group.targets for s in t.representation.selections)
    read = Representation("Shop", tuple(dict.fromkeys(everything)))
    groups = (replace(g, targets=tuple(replace(t, representation=read) for t in g.targets)) for g in last.groups)
    return replace(plan, fetches=(*others, replace(last, groups=tuple(groups))))


def inputs(*names: str) -> Callable[[Target], Target]:
    """A target whose representation has these fields only."""

    def change(target: Target) -> Target:
        kept = tuple(s for s in target.representation.selections if isinstance(s, InputField) and s.name in names)
        return replace(target, representation=replace(target.representation, selections=kept))

    return change


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ("{ shop { name } }", documents("name", "code"), "shop.name: Shop.name is not fetched"),
        ("{ shop { name } }", documents("{name}", "{name:code}"), "expected name, the plan puts code there"),
        ("{ shop { name } }", documents("name", "nome"), "Cannot query field 'nome' on type 'Shop'"),
        (SIGN, documents("motto", "motto name"), "Shop.name is not resolved there"),
        (SIGN, documents('unit:"m"', 'unit:"ft"'), "Shop.sign lacks what it requires"),
        (SIGN, targets(inputs("name", "size")), "no resolvable key of Shop in the representation of Shop"),
        (SIGN, targets(inputs("id", "size")), "Shop.sign lacks what it requires"),
        ("{ shop { sign mark } }", mixed, "the representation of Shop reads size from _size_1 and size"),
        ("{ shop { id motto } }", documents("{id}", "{name}"), "the representation reads Shop.id, not fetched yet"),
        (
            "{ shop { motto } }",
            targets(lambda target: replace(target, path=(Key("shops"),))),
            "nothing that it waits for has fetched shops on its path",
        ),
        (
            "{ shop { motto } }",
            targets(lambda t: replace(t, representation=Representation("Book", t.representation.selections))),
            "Shop is not a Book",
        ),
        (
            "query ($x: Boolean!) { shop { name motto @include(if: $x) } }",
            targets(lambda target: replace(target, conditions=(Condition("x", wanted=False),))),
            "shop.motto: Shop.motto is not fetched (with $x=true)",
        ),
        ("{ things { ... on Book { pages } } }", documents("__typename", "id"), "the type of Book is not fetched"),
        (
            "{ shop { motto } }",
            lambda plan: replace(plan, fetches=tuple(replace(f, depends_on=()) for f in plan.fetches)),
            "nothing that it waits for has fetched shop on its path",
        ),
        (
            "{ shop { motto } }",
            lambda plan: replace(plan, fetches=plan.fetches[::-1]),
            "fetch 1 waits for 0, which does not come before",
        ),
        (
            "query ($u: String) { shop { size(unit: $u) } }",
            lambda plan: replace(plan, fetches=tuple(replace(f, variables=()) for f in plan.fetches)),
            "fetch 0 declares ['u'], the plan says []",
        ),
        (
            "mutation { one { motto } two { id } }",
            lambda plan: replace(
                plan,
                fetches=tuple(
                    replace(f, depends_on=(0,)) if isinstance(f, RootFetch) and f.depends_on else f
                    for f in plan.fetches
                ),
            ),
            "fetch 2 begins a root field and does not wait for [1]",
        ),
        (
            "mutation { one { id } two { id } }",
            lambda plan: replace(plan, fetches=(*plan.fetches, replace(plan.fetches[1], id=2, depends_on=(1,)))),
            "the mutation's root fields are ['one', 'two'], the plan asks for ['one', 'two', 'two']",
        ),
    ],
)
def test_a_spoilt_plan_is_found_out(text: str, change: Callable[[QueryPlan], QueryPlan], expected: str) -> None:
    problems = spoilt(text, change)
    assert any(expected in problem for problem in problems), problems
