"""What plans look like: a supergraph, an operation, and the requests that it comes to."""

from __future__ import annotations

from textwrap import dedent

import pytest
from graphql import parse, validate

from graphrouter.planning.check import check
from graphrouter.planning.fetch_graph import path_text
from graphrouter.planning.names import Names, draw_names
from graphrouter.planning.plan import EntityFetch, QueryPlan, RootFetch
from graphrouter.planning.planner import PlanningError, QueryPlanner
from graphrouter.planning.render import render
from graphrouter.supergraph import Supergraph
from tests.support.supergraphs import SHOP, SHOP_GRAPHS, SHOP_QUERY, supergraph

SOCIAL = """
type Query @t(USERS) @t(FRIENDS) @t(RECOMMENDATIONS) {
  user(id: ID!): User @f(USERS)
  users: [User!]! @f(USERS)
  recommendations(userId: ID!): [Recommendation!]! @f(RECOMMENDATIONS)
}
type Mutation @t(USERS) @t(FRIENDS) {
  createUser(name: String!): User! @f(USERS)
  renameUser(id: ID!, name: String!): User! @f(USERS)
  addFriend(id: ID!): User! @f(FRIENDS)
}
type User @t(USERS, key: "id") @t(FRIENDS, key: "id") @t(RECOMMENDATIONS, key: "id") {
  id: ID!
  name: String! @f(USERS)
  friends(first: Int): [User!]! @f(FRIENDS)
  friendCount: Int! @f(FRIENDS)
  recommendations: [Recommendation!]! @f(RECOMMENDATIONS)
}
type Recommendation @t(RECOMMENDATIONS) { user: User! score: Int! }
"""
SOCIAL_GRAPHS = ("USERS", "FRIENDS", "RECOMMENDATIONS")


def social() -> Supergraph:
    return supergraph(SOCIAL, *SOCIAL_GRAPHS, more="mutation: Mutation")


def plan_of(graph: Supergraph, text: str, operation_name: str | None = None) -> QueryPlan:
    """The plan, which the checker has nothing against."""
    document = parse(text)
    assert validate(graph.api_schema, document) == []
    plan = QueryPlanner(graph).plan(document, operation_name)
    assert check(plan, document, graph, operation_name) == [], render(plan)
    return plan


def requests(plan: QueryPlan) -> list[str]:
    """One line per fetch: number, subgraph, what it waits for, document."""
    return [
        f"{fetch.id} {fetch.subgraph}{list(fetch.depends_on) or ''} {fetch.document}".replace(
            "query($representations:[_Any!]!){_entities(representations:$representations)", "entities"
        ).replace("$representations:[_Any!]!,", "")
        for fetch in plan.fetches
    ]


def test_a_field_of_another_subgraph_is_looked_up_by_key() -> None:
    plan = plan_of(social(), '{ recommendations(userId: "1") { score user { id name } } }')
    assert requests(plan) == [
        '0 recommendations query{recommendations(userId:"1"){score user{id}}}',
        "1 users[0] entities{...on User{name}}}",
    ]


def test_the_rendered_tree_reads_in_the_words_of_the_field() -> None:
    plan = plan_of(social(), '{ user(id: "1") { name friends { name } } }')
    assert render(plan) == dedent(
        """\
        QueryPlan(query) {
          Sequence {
            Fetch(service: "users", id: 0) {
              {
                user(id: "1") {
                  name
                  id
                }
              }
            }
            Flatten(path: "user") {
              Fetch(service: "friends", id: 1, after: [0]) {
                $representations <- user { __typename: "User" id }
                query ($representations: [_Any!]!) {
                  _entities(representations: $representations) {
                    ... on User {
                      friends {
                        id
                      }
                    }
                  }
                }
              }
            }
            Flatten(path: "user.friends.@") {
              Fetch(service: "users", id: 2, after: [1]) {
                $representations <- user.friends.@ { __typename: "User" id }
                query ($representations: [_Any!]!) {
                  _entities(representations: $representations) {
                    ... on User {
                      name
                    }
                  }
                }
              }
            }
          }
        }
        """
    )


def test_a_path_has_an_at_sign_for_each_list() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { grid: [[Node!]!]! @f(A) }
        interface Node @t(A) { id: ID! one: Cell }
        type Cell implements Node @t(A, key: "id") @t(B, key: "id") @i(A, interface: "Node") {
          id: ID! one: Cell @f(A) x: Int @f(B)
        }
        """,
        "A",
        "B",
    )
    text = render(plan_of(graph, "{ grid { ... on Cell { x one { x } } } }"))
    assert 'Flatten(path: "grid.@.@|[Cell]", "grid.@.@|[Cell].one") {' in text


def test_the_benchmark_operation_needs_seven_requests() -> None:
    plan = plan_of(supergraph(SHOP, *SHOP_GRAPHS), SHOP_QUERY)
    assert [fetch.subgraph for fetch in plan.fetches] == [
        "accounts",
        "products",
        "reviews",
        "inventory",
        "products",
        "accounts",
        "inventory",
    ]
    assert [list(fetch.depends_on) for fetch in plan.fetches] == [[], [], [0, 1], [1], [2], [2], [4]]


def test_equal_selections_on_several_places_share_one_alias_and_others_get_their_own() -> None:
    plan = plan_of(
        social(), '{ a: user(id: "1") { friends { id } } b: users { friends { id } } c: users { friendCount } }'
    )
    (_, fetch) = plan.fetches
    assert isinstance(fetch, EntityFetch)
    assert [(group.alias, group.variable, len(group.targets)) for group in fetch.groups] == [
        ("_e0", "representations_0", 2),
        ("_e1", "representations_1", 1),
    ]
    assert fetch.document == (
        "query($representations_0:[_Any!]!,$representations_1:[_Any!]!)"
        "{_e0:_entities(representations:$representations_0){...on User{friends{id}}}"
        "_e1:_entities(representations:$representations_1){...on User{friendCount}}}"
    )


def test_variables_go_where_they_are_used_with_their_defaults() -> None:
    plan = plan_of(social(), "query ($n: Int = 3, $id: ID!) { user(id: $id) { friends(first: $n) { id } } }")
    assert [fetch.variables for fetch in plan.fetches] == [("id",), ("n",)]
    assert requests(plan)[0] == "0 users query($id:ID!){user(id:$id){id}}"
    assert plan.fetches[1].document.startswith("query($representations:[_Any!]!,$n:Int=3){")


def test_root_fields_of_a_mutation_happen_one_after_the_other_with_all_below_them() -> None:
    plan = plan_of(
        social(),
        'mutation { a: createUser(name: "Ada") { friendCount } b: renameUser(id: "1", name: "B") { id }'
        ' c: renameUser(id: "2", name: "C") { id } d: addFriend(id: "3") { name } }',
    )
    assert requests(plan) == [
        '0 users mutation{a:createUser(name:"Ada"){id}}',
        "1 friends[0] entities{...on User{friendCount}}}",
        '2 users[1] mutation{b:renameUser(id:"1",name:"B"){id}c:renameUser(id:"2",name:"C"){id}}',
        '3 friends[2] mutation{d:addFriend(id:"3"){id}}',
        "4 users[3] entities{...on User{name}}}",
    ]


def test_a_mutation_field_that_several_subgraphs_have_is_asked_of_one_that_can_answer_all_of_it() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { x: Int @f(A) }
        type Mutation @t(A) @t(B) { make: Thing! @f(A) @f(B) }
        type Thing @t(A) @t(B) { a: Int b: Int @f(B) }
        """,
        "A",
        "B",
        more="mutation: Mutation",
    )
    assert requests(plan_of(graph, "mutation { make { a b } }")) == ["0 b mutation{make{a b}}"]


def test_conditions_stay_conditions() -> None:
    plan = plan_of(
        social(),
        "query ($x: Boolean!, $y: Boolean!) { users { id name @include(if: $x) ... @skip(if: $y) { friendCount } } }",
    )
    root, entities = plan.fetches
    assert root.document == "query($x:Boolean!){users{id ... @include(if:$x){name}}}"
    assert isinstance(entities, EntityFetch)
    assert [(c.variable, c.wanted) for c in entities.conditions] == [("y", False)]
    assert entities.document.endswith("{...on User{friendCount}}}")


def test_a_fetch_whose_fields_all_hang_on_a_condition_hangs_on_it_itself() -> None:
    plan = plan_of(social(), 'query ($x: Boolean!) { recommendations(userId: "1") @include(if: $x) { score } }')
    (fetch,) = plan.fetches
    assert fetch.document == 'query{recommendations(userId:"1"){score}}'
    assert [(c.variable, c.wanted) for c in fetch.conditions] == [("x", True)]


def test_the_same_entity_with_and_without_condition_is_one_lookup() -> None:
    plan = plan_of(social(), "query ($x: Boolean!) { users { friendCount ... @include(if: $x) { friends { id } } } }")
    assert len(plan.fetches) == 2
    assert plan.fetches[1].document.endswith("{...on User{friendCount ... @include(if:$x){friends{id}}}}}")


def test_what_a_literal_skips_is_not_planned() -> None:
    plan = plan_of(social(), "{ users { id friendCount @skip(if: true) name @include(if: false) } }")
    assert requests(plan) == ["0 users query{users{id}}"]


def test_introspection_alone_needs_no_request() -> None:
    assert plan_of(social(), "{ __typename __schema { queryType { name } } }").fetches == ()


def test_the_operation_asked_for_is_planned() -> None:
    text = 'query A { users { id } } query B { user(id: "1") { id } }'
    assert requests(plan_of(social(), text, "B")) == ['0 users query{user(id:"1"){id}}']
    with pytest.raises(PlanningError, match="no operation named 'C'") as caught:
        QueryPlanner(social()).plan(parse(text), "C")
    assert caught.value.code == "UNKNOWN_OPERATION"
    with pytest.raises(PlanningError, match="Expected the name of one operation of 2"):
        QueryPlanner(social()).plan(parse(text))


def test_root_types_may_have_other_names() -> None:
    graph = supergraph("type Root @t(A) { x: Int @f(A) }", "A", root="Root")
    assert requests(plan_of(graph, "{ x }")) == ["0 a query{x}"]


def test_a_client_s_alias_does_not_take_the_key_s_place() -> None:
    plan = plan_of(social(), "{ users { id: name friendCount } }")
    assert requests(plan)[0] == "0 users query{users{id:name _id_1:id}}"
    (_, fetch) = plan.fetches
    assert isinstance(fetch, EntityFetch)
    (field,) = fetch.groups[0].targets[0].representation.selections
    assert (field.name, field.source) == ("id", "_id_1")  # type: ignore[union-attr] # a field, no fragment


def test_a_field_that_returns_the_query_type_enters_other_subgraphs_again() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { a: Int @f(A) b: Int @f(B) self: Query! @f(A) }
        """,
        "A",
        "B",
    )
    plan = plan_of(graph, "{ self { a b } }")
    assert requests(plan) == ["0 a query{self{a}}", "1 b[0] query{b}"]
    fetch = plan.fetches[1]
    assert isinstance(fetch, RootFetch)
    assert [step.name for step in fetch.path] == ["self"]  # type: ignore[union-attr] # a key, no type


def test_object_types_of_an_interface_travel_together_by_the_key_that_they_share() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { nodes: [Node!]! @f(A) }
        interface Node @t(A) @t(B) { id: ID! name: String @f(B) }
        type X implements Node @i(A, interface: "Node") @i(B, interface: "Node")
          @t(A, key: "id") @t(B, key: "id") { id: ID! name: String @f(B) }
        type Y implements Node @i(A, interface: "Node") @i(B, interface: "Node")
          @t(A, key: "id") @t(B, key: "id") { id: ID! name: String @f(B) }
        """,
        "A",
        "B",
    )
    assert requests(plan_of(graph, "{ nodes { name } }")) == [
        "0 a query{nodes{__typename id}}",
        "1 b[0] entities{...on Node{name}}}",
    ]


def test_an_unreachable_field_is_named_with_the_reason_in_each_subgraph() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) @t(C) { thing: Thing @f(A) }
        type Thing @t(A) @t(B, key: "id", resolvable: false) @t(C, key: "id") {
          name: String @f(A) other: String @f(B) id: ID @f(B) @f(C) more: Int @f(C)
        }
        """,
        "A",
        "B",
        "C",
    )
    with pytest.raises(PlanningError) as caught:
        QueryPlanner(graph).plan(parse("{ thing { other } }"))
    assert caught.value.code == "UNREACHABLE_FIELD"
    assert caught.value.message == (
        'Thing.other cannot be answered, coming from "a". "a": does not define it; '
        '"b": defines it, but has no resolvable @key of Thing; "c": does not define it.'
    )
    with pytest.raises(PlanningError, match=r'"c": defines it, but {id} cannot be had from there'):
        QueryPlanner(graph).plan(parse("{ thing { more } }"))


def test_an_override_under_a_label_is_not_in_force() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) {
          x: Int @f(A, overrideLabel: "percent(5)") @f(B, override: "a", overrideLabel: "percent(5)")
        }
        """,
        "A",
        "B",
    )
    assert requests(plan_of(graph, "{ x }")) == ["0 a query{x}"]


def test_a_shared_mutation_field_happens_in_one_subgraph_that_leads_everywhere() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) @t(C) { x: Int @f(A) }
        type Mutation @t(A) @t(B) @t(C) { act: Made @f(A) @f(B) other: Int @f(C) }
        type Made @t(A) @t(B) { one: Int two: Int @f(B) query: Query mutation: Mutation }
        """,
        "A",
        "B",
        "C",
        more="mutation: Mutation",
    )
    assert requests(plan_of(graph, "mutation { act { one two } }")) == ["0 b mutation{act{one two}}"]
    assert requests(plan_of(graph, "mutation { act { one } }")) == ["0 a mutation{act{one}}"]
    inner = plan_of(graph, "mutation { act { mutation { act { one two } } } }")
    assert requests(inner) == ["0 b mutation{act{mutation{act{one two}}}}"]
    again = plan_of(graph, "mutation { act { two query { x } } }")
    assert [fetch.subgraph for fetch in again.fetches] == ["b", "a"]
    with pytest.raises(PlanningError, match=r'Mutation\.other cannot be answered, coming from "a"'):
        QueryPlanner(graph).plan(parse("mutation { act { mutation { other } } }"))


def test_each_stage_can_be_printed() -> None:
    planner = QueryPlanner(social())
    stages = planner.explain(parse("{ users { ...F } } fragment F on User { id friendCount }"))
    assert stages["normalize"] == "query {\n  users {\n    id\n    friendCount\n  }\n}\n"
    assert stages["paths"].splitlines() == [
        "- enter@users > users@users > id@users (1002)",
        "- enter@users > users@users > entity(id)@friends > friendCount@friends (2023)",
    ]
    assert stages["fetch graph"].splitlines()[:4] == ["0 users", "  users", "    id", "1 friends at users.@ after 0"]
    assert stages["plan"].startswith("QueryPlan(query) {")
    assert "User => User/friends by id" in str(planner.query_graph).splitlines()


APART = """
type Query @t(A) @t(B) @t(C) { thing: Thing @f(A) @f(B) }
type Thing @t(A) @t(B) @t(C, key: "x y") { x: Int @f(A) @f(C) y: Int @f(B) @f(C) z: Int @f(C) }
"""


def test_a_key_may_come_from_several_subgraphs() -> None:
    plan = plan_of(supergraph(APART, "A", "B", "C"), "{ thing { z } }")
    assert requests(plan) == [
        "0 a query{thing{x}}",
        "1 b query{thing{y}}",
        "2 c[0, 1] entities{...on Thing{z}}}",
    ]


def test_what_a_field_requires_may_come_from_several_subgraphs() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) @t(C) { thing: Thing @f(A) @f(B) }
        type Thing @t(A) @t(B) @t(C, key: "id") {
          id: ID! @f(A) @f(B) @f(C)
          x: Int @f(A) @f(C, external: true)
          y: Int @f(B) @f(C, external: true)
          z: Int @f(C, requires: "x y")
        }
        """,
        "A",
        "B",
        "C",
    )
    plan = plan_of(graph, "{ thing { z } }")
    assert [fetch.subgraph for fetch in plan.fetches] == ["a", "b", "c"]
    assert plan.fetches[2].depends_on == (0, 1)


def test_of_plans_with_equally_many_requests_the_one_with_fewer_in_a_row_is_taken() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { list: List @f(A) }
        type List @t(A, key: "items { id pid }") @t(B, key: "items { id pid }") { items: [Item!]! total: Int @f(B) }
        type Item @t(A) @t(B, key: "id pid") @t(C, key: "id") {
          id: ID! pid: ID @f(B) @f(C) @f(A, external: true) price: Int @f(B) name: String @f(C)
        }
        """,
        "A",
        "B",
        "C",
    )
    plan = plan_of(graph, "{ list { items { name price } } }")
    assert [(fetch.subgraph, fetch.depends_on) for fetch in plan.fetches] == [("a", ()), ("c", (0,)), ("b", (1,))]
    (target,) = plan.fetches[2].groups[0].targets  # type: ignore[union-attr] # an entity fetch
    assert [step.name for step in target.path] == ["list", "items"]  # type: ignore[union-attr] # keys, no types


def test_selections_that_differ_in_type_get_an_alias_and_their_key_back() -> None:
    graph = supergraph(
        """
        type Query @t(A) { all: [Either!]! deep: [Either!]! }
        union Either @t(A) @u(A, member: "X") @u(A, member: "Y") = X | Y
        type X @t(A) { id: ID @f(A, type: "ID!") next: X }
        type Y @t(A) { id: ID next: Y }
        """,
        "A",
    )
    plan = plan_of(graph, "{ all { ... on X { id next { id } } ... on Y { id next { id } } } }")
    (fetch,) = plan.fetches
    assert fetch.document == "query{all{__typename ...on X{id next{id}}...on Y{_id_1:id next{_id_1:id}}}}"
    assert isinstance(fetch, RootFetch)
    assert [(path_text(rename.path), rename.alias, rename.name) for rename in fetch.renames] == [
        ("all.@", "_id_1", "id"),
        ("all.@.next", "_id_1", "id"),
    ]


def test_a_fragment_on_a_type_that_the_subgraph_lacks_is_written_for_its_object_types() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { all: [Node!]! @f(A) }
        interface Node @t(A) @t(B) { id: ID! }
        interface Named @t(B) { name: String }
        type X implements Node & Named @i(A, interface: "Node") @i(B, interface: "Node") @i(B, interface: "Named")
          @t(A, key: "id") @t(B, key: "id") { id: ID! name: String }
        type Y implements Node @i(A, interface: "Node") @t(A, key: "id") { id: ID! }
        type Z implements Node & Named @i(A, interface: "Node") @i(B, interface: "Node") @i(B, interface: "Named")
          @t(A, key: "id") @t(B, key: "id") { id: ID! name: String @f(B) }
        """,
        "A",
        "B",
    )
    plan = plan_of(graph, "{ all { ... on Named { name } } }")
    assert requests(plan) == [
        "0 a query{all{__typename ...on X{name}...on Z{id}}}",
        "1 b[0] entities{...on Z{name}}}",
    ]


def test_of_a_shared_union_only_the_members_that_all_know_are_asked_for() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { shared: Either only: Either @f(A) }
        union Either @t(A) @t(B) @u(A, member: "X") @u(A, member: "Y") @u(B, member: "X") @u(B, member: "Z") = X | Y | Z
        type X @t(A) @t(B) { x: Int }
        type Y @t(A) { y: Int }
        type Z @t(B) { z: Int }
        """,
        "A",
        "B",
    )
    selections = "{ ... on X { x } ... on Y { y } ... on Z { z } }"
    assert requests(plan_of(graph, f"{{ shared {selections} }}")) == ["0 a query{shared{__typename ...on X{x}}}"]
    assert requests(plan_of(graph, f"{{ only {selections} }}")) == ["0 a query{only{__typename ...on X{x}...on Y{y}}}"]


def test_an_interface_s_lookup_keeps_apart_from_those_of_its_object_types() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { blind: [Node!]! @f(B) x: X @f(B) }
        interface Node @t(A, key: "id") @t(B, key: "id", isInterfaceObject: true) { id: ID! }
        type X implements Node @i(A, interface: "Node") @t(A, key: "id") @t(B, key: "id") { id: ID! name: String @f(A) }
        """,
        "A",
        "B",
    )
    plan = plan_of(graph, "{ blind { __typename } x { name } }")
    assert [fetch.document for fetch in plan.fetches] == [
        "query{blind{id}x{id}}",
        "query($representations_0:[_Any!]!,$representations_1:[_Any!]!)"
        "{_e0:_entities(representations:$representations_0){...on Node{__typename}}"
        "_e1:_entities(representations:$representations_1){...on X{name}}}",
    ]


def test_an_interface_object_s_field_is_looked_up_by_the_interface_s_name() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { nodes: [Node!]! @f(A) }
        interface Node @t(A, key: "id") @t(B, key: "id", isInterfaceObject: true) { id: ID! likes: Int @f(B) }
        type X implements Node @i(A, interface: "Node") @t(A, key: "id") { id: ID! likes: Int @join__field }
        """,
        "A",
        "B",
    )
    for text in ("{ nodes { likes } }", "{ nodes { ... on X { likes } } }"):
        plan = plan_of(graph, text)
        (_, fetch) = plan.fetches
        assert fetch.document.endswith("{...on Node{likes}}}")
        assert isinstance(fetch, EntityFetch)
        assert fetch.groups[0].targets[0].representation.typename == "Node"


def test_a_provided_field_needs_no_other_request() -> None:
    graph = supergraph(SHOP, *SHOP_GRAPHS)
    plan = plan_of(graph, "{ me { reviews { author { username } } } }")
    assert requests(plan) == [
        "0 accounts query{me{id}}",
        "1 reviews[0] entities{...on User{reviews{author{username}}}}}",
    ]


def test_introspection_under_a_condition_needs_no_request_either() -> None:
    text = "query ($x: Boolean!) { ... @include(if: $x) { __typename __schema { queryType { name } } } }"
    assert plan_of(social(), text).fetches == ()


def test_a_fragment_that_repeats_its_surroundings_still_asks_for_the_type() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { blind: [Node!]! @f(B) }
        interface Node @t(A, key: "id") @t(B, key: "id", isInterfaceObject: true) { id: ID! }
        type X implements Node @i(A, interface: "Node") @t(A, key: "id") { id: ID! }
        type Y implements Node @i(A, interface: "Node") @t(A, key: "id") { id: ID! }
        """,
        "A",
        "B",
    )
    assert requests(plan_of(graph, "{ blind { id ... on X { id } } }")) == [
        "0 b query{blind{id}}",
        "1 a[0] entities{...on Node{__typename}}}",
    ]


def test_a_subscription_is_one_root_fetch_and_what_follows_each_event() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { x: Int @f(A) }
        type Subscription @t(A) @t(B) { changed(id: ID!): Thing! @f(A) }
        type Thing @t(A, key: "id") @t(B, key: "id") { id: ID! a: Int @f(A) b: Int @f(B) }
        """,
        "A",
        "B",
        more="subscription: Subscription",
    )
    plan = plan_of(graph, "subscription ($i: ID!) { changed(id: $i) { a b } }")
    assert plan.kind == "subscription"
    assert requests(plan) == [
        "0 a subscription($i:ID!){changed(id:$i){a id}}",
        "1 b[0] entities{...on Thing{b}}}",
    ]


def test_conditions_of_a_mutation_s_root_fields_keep_the_order() -> None:
    plan = plan_of(
        social(),
        'mutation ($x: Boolean!) { ... @skip(if: $x) { a: createUser(name: "A") { friendCount } }'
        ' b: addFriend(id: "1") { id } }',
    )
    assert [(fetch.subgraph, fetch.depends_on, len(fetch.conditions)) for fetch in plan.fetches] == [
        ("users", (), 1),
        ("friends", (0,), 1),
        ("friends", (1,), 0),
    ]


def test_drawn_names_are_neither_fields_nor_the_clients() -> None:
    graph = supergraph("type Query @t(A) { _: Int _typename: Int a: Int }", "A")
    assert draw_names(parse("{ a }"), [], graph) == Names("___typename", "__", "representations")
    document = parse("{ a __: a ...F } fragment F on Query { ... { ___typename: a } }")
    variables = ["representations_7", "_representations"]
    assert draw_names(document, variables, graph) == Names("____typename", "___", "__representations")
