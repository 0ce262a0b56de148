"""A supergraph as Federation 1 composes it (join v0.1): read, planned, checked and executed over its subgraphs."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse, validate

from graphrouter import GraphRouter
from graphrouter.planning.check import check
from graphrouter.planning.plan import EntityFetch
from graphrouter.planning.planner import QueryPlanner
from graphrouter.planning.render import render
from graphrouter.supergraph import read_supergraph
from tests.support.tiny_subgraph import TinySubgraph

SUPERGRAPH = """
schema
  @core(feature: "https://specs.apollo.dev/core/v0.2")
  @core(feature: "https://specs.apollo.dev/join/v0.1", for: EXECUTION)
{ query: Query mutation: Mutation }

directive @core(feature: String!, as: String, for: core__Purpose) repeatable on SCHEMA
directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet) on FIELD_DEFINITION
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on OBJECT | INTERFACE
directive @join__owner(graph: join__Graph!) on OBJECT | INTERFACE
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
enum core__Purpose { EXECUTION SECURITY }
scalar join__FieldSet
enum join__Graph {
  ACCOUNTS @join__graph(name: "accounts", url: "")
  INVENTORY @join__graph(name: "inventory", url: "")
  PRODUCTS @join__graph(name: "products", url: "")
  REVIEWS @join__graph(name: "reviews", url: "")
}

type Mutation { review(upc: String!, body: String!): Review @join__field(graph: REVIEWS) }

interface Priced { price: Int }

type Product implements Priced
  @join__owner(graph: PRODUCTS)
  @join__type(graph: PRODUCTS, key: "upc")
  @join__type(graph: PRODUCTS, key: "sku")
  @join__type(graph: INVENTORY, key: "upc")
  @join__type(graph: REVIEWS, key: "upc")
{
  upc: String! @join__field(graph: PRODUCTS)
  sku: String @join__field(graph: PRODUCTS)
  name: String @join__field(graph: PRODUCTS)
  price: Int @join__field(graph: PRODUCTS)
  weight: Int @join__field(graph: PRODUCTS)
  size: Size @join__field(graph: PRODUCTS)
  inStock: Boolean @join__field(graph: INVENTORY)
  shipping: Int @join__field(graph: INVENTORY, requires: "price weight")
  reviews: [Review] @join__field(graph: REVIEWS)
}

type Query {
  me: User @join__field(graph: ACCOUNTS)
  products(first: Int = 2): [Product] @join__field(graph: PRODUCTS)
  latest: Review @join__field(graph: REVIEWS)
}

type Review @join__owner(graph: REVIEWS) @join__type(graph: REVIEWS, key: "id") {
  id: ID! @join__field(graph: REVIEWS)
  body: String @join__field(graph: REVIEWS)
  author: User @join__field(graph: REVIEWS, provides: "username")
  product: Product @join__field(graph: REVIEWS)
}

type Size { width: Int unit: Unit }
enum Unit { CM INCH }

type User @join__owner(graph: ACCOUNTS) @join__type(graph: ACCOUNTS, key: "id") @join__type(graph: REVIEWS, key: "id") {
  id: ID! @join__field(graph: ACCOUNTS)
  name: String @join__field(graph: ACCOUNTS)
  username: String @join__field(graph: ACCOUNTS)
  reviews: [Review] @join__field(graph: REVIEWS)
}
"""

ACCOUNTS = """
type Query { me: User }
type User @key(fields: "id") { id: ID! name: String username: String }
"""
INVENTORY = """
type Query
type Product @key(fields: "upc") {
  upc: String! @external
  weight: Int @external
  price: Int @external
  inStock: Boolean
  shipping: Int @requires(fields: "price weight")
}
"""
PRODUCTS = """
type Query { products(first: Int = 2): [Product] }
interface Priced { price: Int }
type Product implements Priced @key(fields: "upc") @key(fields: "sku") {
  upc: String! sku: String name: String price: Int weight: Int size: Size
}
type Size { width: Int unit: Unit }
enum Unit { CM INCH }
"""
REVIEWS = """
type Query { latest: Review }
type Mutation { review(upc: String!, body: String!): Review }
type Review @key(fields: "id") { id: ID! body: String author: User @provides(fields: "username") product: Product }
type User @key(fields: "id") { id: ID! @external username: String @external reviews: [Review] }
type Product @key(fields: "upc") { upc: String! @external reviews: [Review] }
"""

_PRODUCTS: dict[str, dict[str, Any]] = {
    "t": {"upc": "t", "sku": "sku-t", "name": "Table", "price": 100, "weight": 7, "size": {"width": 9, "unit": "CM"}},
    "c": {"upc": "c", "sku": "sku-c", "name": "Chair", "price": 50, "weight": 3, "size": None},
}
_REVIEWS: dict[str, dict[str, Any]] = {
    "1": {"id": "1", "body": "solid", "author": {"id": "u", "username": "@ada"}, "product": {"upc": "t"}},
    "2": {"id": "2", "body": "wobbly", "author": {"id": "u", "username": "@ada"}, "product": {"upc": "c"}},
}


def _of_product(upc: str) -> list[dict[str, Any]]:
    return [_with_reviews(one) for one in _REVIEWS.values() if one["product"]["upc"] == upc]


def _with_reviews(review: dict[str, Any]) -> dict[str, Any]:
    product, author = review["product"], review["author"]
    return {
        **review,
        "product": {**product, "reviews": lambda _info: _of_product(product["upc"])},
        "author": {**author, "reviews": lambda _info: [_with_reviews(one) for one in _REVIEWS.values()]},
    }


def _review(_info: Any, upc: str, body: str) -> dict[str, Any]:
    return _with_reviews({"id": "3", "body": body, "author": {"id": "u", "username": "@ada"}, "product": {"upc": upc}})


def _inventory(one: dict[str, Any]) -> dict[str, Any]:
    shipping = one["price"] + one["weight"] if "price" in one else None
    return {"upc": one["upc"], "inStock": one["upc"] == "t", "shipping": shipping}


def subgraphs() -> dict[str, TinySubgraph]:
    user = {"id": "u", "name": "Ada", "username": "@ada"}
    all_products = list(_PRODUCTS.values())
    by_sku = {one["sku"]: one for one in all_products}
    return {
        "accounts": TinySubgraph(ACCOUNTS, {"me": user}, {"User": lambda _one: user}),
        "inventory": TinySubgraph(INVENTORY, {}, {"Product": _inventory}),
        "products": TinySubgraph(
            PRODUCTS,
            {"products": lambda _info, first: all_products[:first]},
            {"Product": lambda one: _PRODUCTS[one["upc"]] if "upc" in one else by_sku[one["sku"]]},
        ),
        "reviews": TinySubgraph(
            REVIEWS,
            {"latest": _with_reviews(_REVIEWS["2"]), "review": _review},
            {
                "Product": lambda one: {"upc": one["upc"], "reviews": _of_product(one["upc"])},
                "User": lambda one: {"id": one["id"], "reviews": [_with_reviews(two) for two in _REVIEWS.values()]},
                "Review": lambda one: _with_reviews(_REVIEWS[one["id"]]),
            },
        ),
    }


CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "value types and enums belong to whoever is asked": (
        "{ products { name size { width unit } } }",
        {"products": [{"name": "Table", "size": {"width": 9, "unit": "CM"}}, {"name": "Chair", "size": None}]},
        ["products"],
    ),
    "an extension's fields are looked up by the owner's key": (
        "{ products(first: 1) { inStock reviews { body } } }",
        {"products": [{"inStock": True, "reviews": [{"body": "solid"}]}]},
        ["inventory", "products", "reviews"],
    ),
    "what a field requires comes from the owner": (
        "{ latest { product { shipping price } } }",
        {"latest": {"product": {"shipping": 53, "price": 50}}},
        ["inventory", "products", "reviews"],
    ),
    "what is provided needs no other request": (
        "{ latest { author { id username } } }",
        {"latest": {"author": {"id": "u", "username": "@ada"}}},
        ["reviews"],
    ),
    "what is not provided does": (
        "{ latest { author { name } } me { reviews { id } } }",
        {"latest": {"author": {"name": "Ada"}}, "me": {"reviews": [{"id": "1"}, {"id": "2"}]}},
        ["accounts", "accounts", "reviews", "reviews"],
    ),
    "an interface of the owner": (
        "{ products(first: 1) { __typename ... on Priced { price } } }",
        {"products": [{"__typename": "Product", "price": 100}]},
        ["products"],
    ),
    "a mutation": (
        'mutation { review(upc: "t", body: "new") { body product { name inStock } } }',
        {"review": {"body": "new", "product": {"name": "Table", "inStock": True}}},
        ["inventory", "products", "reviews"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_federation_1_supergraph_is_executed(case: tuple[str, dict[str, Any], list[str]]) -> None:
    query, expected, requests = case
    supergraph, document = read_supergraph(SUPERGRAPH), parse(query)
    assert validate(supergraph.api_schema, document) == []
    plan = QueryPlanner(supergraph).plan(document)
    assert check(plan, document, supergraph) == [], render(plan)
    apps = subgraphs()
    async with GraphRouter.from_supergraph(SUPERGRAPH, apps) as router:
        answer = await router.execute(query)
    assert answer.body() == {"data": expected}, render(plan)
    assert sorted(name for name, app in apps.items() for _ in app.requests) == requests


def test_a_subgraph_is_asked_by_no_other_key_than_its_own() -> None:
    plan = QueryPlanner(read_supergraph(SUPERGRAPH)).plan(parse("{ products { sku inStock } }"))
    lookup = plan.fetches[-1]
    assert isinstance(lookup, EntityFetch)
    assert render(plan).count('{ __typename: "Product" upc }') == 1
