"""The sets of subgraphs that the comparison with another composer mutates: together they use all that composes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_FEDERATION = "https://specs.apollo.dev/federation/v2."


def _link(minor: int, *names: str) -> str:
    imports = ", ".join(f'"@{name}"' for name in names)
    return f'extend schema @link(url: "{_FEDERATION}{minor}", import: [{imports}])\n'


SETS: Final[Mapping[str, Mapping[str, str]]] = {
    "requirements": {
        "products": _link(3, "key", "shareable", "tag", "inaccessible")
        + """
        type Query { product(id: ID!): Product products: [Product!]! }
        type Product @key(fields: "id") @key(fields: "sku brand { name }") {
          id: ID! sku: String! brand: Brand!
          price(currency: Currency!, places: Int = 2): Float! @tag(name: "money")
          weight: Int @inaccessible
          size: Size @shareable
        }
        type Brand { name: String! @shareable country: String }
        type Size @shareable { width: Int! height: Int! }
        enum Currency { EUR USD }
        """,
        "shipping": _link(3, "key", "shareable", "external", "requires", "provides")
        + """
        type Query { cheapest: Product @provides(fields: "size { width }") }
        type Product @key(fields: "id") {
          id: ID! @shareable
          price(currency: Currency!, places: Int = 2): Float! @external
          weight: Int @external
          size: Size @external
          cost: Float @requires(fields: "weight price(currency: EUR) size { height }")
        }
        type Size @shareable { width: Int! height: Int! }
        enum Currency { EUR USD }
        """,
    },
    "abstract types": {
        "media": _link(3, "key", "shareable", "inaccessible")
        + """
        type Query { node(id: ID!): Node! search: [Found!] @shareable first: Node @shareable }
        interface Node @key(fields: "id") { id: ID! title: String }
        type Book implements Node @key(fields: "id") { id: ID! title: String @shareable pages: Int }
        type Film implements Node @key(fields: "id") { id: ID! title: String @shareable length: Length }
        union Found = Book | Film
        enum Length { SHORT LONG @inaccessible }
        """,
        "reviews": _link(3, "key", "shareable", "interfaceObject", "external", "requires")
        + """
        type Query { best: Node }
        type Node @key(fields: "id") @interfaceObject {
          id: ID! title: String @external stars: Int! summary: String @requires(fields: "title")
        }
        """,
        "search": _link(3, "key", "shareable")
        + """
        type Query { search: [Found!] @shareable }
        union Found = Book
        type Book @key(fields: "id", resolvable: false) { id: ID! }
        """,
    },
    "inputs and overrides": {
        "orders": _link(7, "key", "shareable", "override", "tag", "inaccessible")
        + """
        schema { query: Root mutation: Mutation }
        type Root { orders(filter: Filter = { state: OPEN }, first: Int = 10): [Order!] @shareable }
        type Mutation { place(order: NewOrder!): Order }
        input Filter { state: State text: String @tag(name: "new") minimum: Int = 1 }
        input NewOrder { items: [ID!]! note: String @inaccessible }
        enum State { OPEN CLOSED }
        scalar Date @specifiedBy(url: "https://example.com/date")
        type Order @key(fields: "id") {
          id: ID! placed: Date @override(from: "legacy") state: State @shareable
          total: Int @override(from: "legacy", label: "percent(10)")
        }
        """,
        "legacy": _link(7, "key", "shareable", "external", "provides")
        + """
        type Query { orders(filter: Filter = { state: OPEN }, first: Int = 10): [Order!] @shareable old: Old }
        input Filter { state: State minimum: Int = 1 }
        enum State { OPEN CLOSED }
        scalar Date
        type Old { order: Order @provides(fields: "state") }
        type Order @key(fields: "id") { id: ID! placed: Date total: Int state: State @external }
        """,
    },
    "contexts and costs": {
        "bank": _link(9, "key", "context", "fromContext", "cost", "listSize", "shareable")
        + """
        type Query {
          users(first: Int, last: Int): [User!]! @listSize(slicingArguments: ["first", "last"], assumedSize: 20)
          page: Page @listSize(sizedFields: ["items"], requireOneSlicingArgument: false) @cost(weight: 3)
        }
        type Page @cost(weight: 2) { items: [User] }
        type User @key(fields: "id") @context(name: "user") { id: ID! currency: String! last: Transaction }
        type Transaction @key(fields: "id") {
          id: ID! amount(unit: String @fromContext(field: "$user { currency }"), exact: Boolean @cost(weight: 1)): Int
        }
        enum Mood @cost(weight: 1) { GOOD BAD @deprecated(reason: "never") }
        """,
        "moods": _link(9, "key", "cost", "shareable")
        + """
        type User @key(fields: "id") { id: ID! @cost(weight: 4) mood: Mood feeling: Feeling }
        enum Mood @cost(weight: 2) { GOOD BAD }
        type Feeling { name: String! depth: Int }
        """,
    },
    "composed directives": {
        "owned": 'extend schema @link(url: "https://specs.example.com/owner/v1.2", import: ["@owner"])'
        ' @composeDirective(name: "@owner")\n'
        + _link(5, "key", "composeDirective", "extends", "external", "shareable")
        + """
        directive @owner(team: String!, since: Int = 1) repeatable on OBJECT | FIELD_DEFINITION | FIELD
        directive @live(every: Int) on QUERY | FIELD
        type Query { me: User @owner(team: "x") hers: String @deprecated }
        type User @key(fields: "id") @owner(team: "a") @owner(team: "b", since: 3) { id: ID! name: String }
        """,
        "plain": 'extend schema @link(url: "https://specs.example.com/owner/v1.3", import: ["@owner"])\n'
        + _link(5, "key", "extends", "external", "shareable")
        + """
        directive @owner(team: String!, since: Int = 1) repeatable on OBJECT | FIELD_DEFINITION | FIELD
        directive @live(every: Int) on QUERY | FIELD
        type User @key(fields: "id") @extends { id: ID! @external age: Int @owner(team: "y") }
        type Subscription { ticks: Int }
        """,
    },
    "federation 1": {
        "accounts": """
        type Query { me: User top: [User] }
        type User @key(fields: "id") @key(fields: "email") { id: ID! email: String! name: Name @tag(name: "n") }
        type Name { first: String last: String }
        """,
        "posts": """
        extend type Query { posts: [Post] }
        extend type User @key(fields: "id") {
          id: ID! @external name: Name @external posts: [Post] shown: String @requires(fields: "name { first }")
        }
        extend type Name { first: String last: String }
        type Post { author: User @provides(fields: "name { last }") text: String kind: Kind }
        enum Kind { SHORT LONG }
        """,
    },
}
"""By name, the SDL of each subgraph. As they are, all of them compose."""
