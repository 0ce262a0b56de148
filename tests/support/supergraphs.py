"""Small supergraphs for tests, written as the join specification has them."""

from __future__ import annotations

from graphrouter.supergraph import Supergraph, read_supergraph

HEAD = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
  %s
{ query: %s %s }
enum join__Graph { %s }
"""


def supergraph_sdl(body: str, *graphs: str, root: str = "Query", more: str = "", links: str = "") -> str:
    """A supergraph's text; in `body`, `@t(A)` stands for `@join__type(graph: A)`, the others of its kind likewise."""
    for short, name in (
        ("@t(", "@join__type(graph: "),
        ("@f(", "@join__field(graph: "),
        ("@i(", "@join__implements(graph: "),
        ("@u(", "@join__unionMember(graph: "),
        ("@v(", "@join__enumValue(graph: "),
    ):
        body = body.replace(short, name)
    names = " ".join(
        f'{graph} @join__graph(name: "{graph.lower()}", url: "http://{graph.lower()}")' for graph in graphs
    )
    return HEAD % (links, root, more, names) + body


def supergraph(body: str, *graphs: str, root: str = "Query", more: str = "", links: str = "") -> Supergraph:
    """The same, read."""
    return read_supergraph(supergraph_sdl(body, *graphs, root=root, more=more, links=links))


SHOP = """
type Product @t(INVENTORY, key: "upc") @t(PRODUCTS, key: "upc") @t(REVIEWS, key: "upc") {
  upc: String!
  weight: Int @f(INVENTORY, external: true) @f(PRODUCTS)
  price: Int @f(INVENTORY, external: true) @f(PRODUCTS)
  inStock: Boolean @f(INVENTORY)
  shippingEstimate: Int @f(INVENTORY, requires: "price weight")
  name: String @f(PRODUCTS)
  reviews: [Review] @f(REVIEWS)
}
type Query @t(ACCOUNTS) @t(INVENTORY) @t(PRODUCTS) @t(REVIEWS) {
  me: User @f(ACCOUNTS)
  users: [User] @f(ACCOUNTS)
  topProducts(first: Int): [Product] @f(PRODUCTS)
}
type Review @t(REVIEWS, key: "id") {
  id: ID!
  body: String
  product: Product
  author: User @f(REVIEWS, provides: "username")
}
type User @t(ACCOUNTS, key: "id") @t(REVIEWS, key: "id") {
  id: ID!
  name: String @f(ACCOUNTS)
  username: String @f(ACCOUNTS) @f(REVIEWS, external: true)
  reviews: [Review] @f(REVIEWS)
}
"""
SHOP_GRAPHS = ("ACCOUNTS", "INVENTORY", "PRODUCTS", "REVIEWS")

SHOP_QUERY = """
fragment User on User { id username name }
fragment Review on Review { id body }
fragment Product on Product { inStock name price shippingEstimate upc weight }
fragment Author on Review { author { ...User reviews { ...Review product { ...Product } } } }
query {
  users { ...User reviews { ...Review product { ...Product reviews { ...Review ...Author } } } }
  topProducts { ...Product reviews { ...Review ...Author } }
}
"""
"""The operation of the public gateway benchmark."""
