"""The workload: four subgraphs, what they know, the operation, and the answer that every gateway must give.

The shape is the one that gateways are usually compared by: users → reviews → product → reviews → author → reviews →
product, and the top products likewise. Texts and figures are made from numbers, so that they are the same in every run.
"""

from __future__ import annotations

from typing import Any

_LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: [%s])\n'

SDLS = {
    "accounts": _LINK % '"@key"'
    + """
type Query { users: [User!]! user(id: ID!): User }
type User @key(fields: "id") { id: ID! name: String! username: String! }
""",
    "products": _LINK % '"@key"'
    + """
type Query { topProducts(first: Int = 5): [Product!]! }
type Product @key(fields: "upc") { upc: ID! name: String! price: Int! weight: Int! }
""",
    "inventory": _LINK % '"@key", "@external", "@requires"'
    + """
type Product @key(fields: "upc") {
  upc: ID!
  price: Int! @external
  weight: Int! @external
  inStock: Boolean!
  shippingEstimate: Int! @requires(fields: "price weight")
}
""",
    "reviews": _LINK % '"@key"'
    + """
type Review @key(fields: "id") { id: ID! body: String! author: User! product: Product! }
type User @key(fields: "id") { id: ID! reviews: [Review!]! }
type Product @key(fields: "upc") { upc: ID! reviews: [Review!]! }
""",
}

OPERATION = """
fragment User on User { id username name }
fragment Review on Review { id body }
fragment Product on Product { inStock name price shippingEstimate upc weight }

query Bench {
  users {
    ...User
    reviews {
      ...Review
      product {
        ...Product
        reviews {
          ...Review
          author { ...User reviews { ...Review product { ...Product } } }
        }
      }
    }
  }
  topProducts {
    ...Product
    reviews {
      ...Review
      author { ...User reviews { ...Review product { ...Product } } }
    }
  }
}
"""

_FIRST = ("Ada", "Blaise", "Carl", "Dorothy", "Emmy", "Florence")
_LAST = ("Lovelace", "Pascal", "Gauss", "Hodgkin", "Noether", "Nightingale")
_THINGS = ("Lamp", "Desk", "Chair", "Shelf", "Kettle", "Carpet", "Mirror", "Clock", "Vase", "Stool", "Radio")
_VERDICTS = ("Steady, and quiet at night.", "Came late; well made.", "I would buy it again.", "Not for small rooms.")

TOP_PRODUCTS = 5
_REVIEWS_OF_A_USER = 5


class Catalogue:
    """What the four subgraphs know.

    `lists` makes the lists that the operation starts from that many times as long, with as many more things in them;
    `words` makes the reviews' texts that many times as long.
    """

    def __init__(self, lists: int = 1, words: int = 1) -> None:
        self._words = words
        people, things = len(_FIRST) * lists, len(_THINGS) * lists
        self.users = {str(n): self._user(n) for n in range(1, people + 1)}
        self.products = {str(n): self._product(n) for n in range(1, things + 1)}
        self.top_products = list(self.products.values())[: TOP_PRODUCTS * lists]
        self._add_reviews()

    @staticmethod
    def _user(number: int) -> dict[str, Any]:
        name = f"{_FIRST[number % len(_FIRST)]} {_LAST[number % len(_LAST)]}"
        username = f"{name.lower().replace(' ', '.')}.{number}"
        return {"__typename": "User", "id": str(number), "name": name, "username": username, "reviews": []}

    @staticmethod
    def _product(number: int) -> dict[str, Any]:
        price, weight = 100 + 37 * number % 900, 50 + 91 * number % 700
        return {
            "__typename": "Product",
            "upc": str(number),
            "name": _THINGS[number % len(_THINGS)],
            "price": price,
            "weight": weight,
            "inStock": number % 3 > 0,
            "shippingEstimate": price * weight // 1000,
            "reviews": [],
        }

    def _add_reviews(self) -> None:
        users, products = list(self.users.values()), list(self.products.values())
        for number in range(_REVIEWS_OF_A_USER * len(users)):
            author = users[number % len(users)]
            product = products[(number + number // len(users)) % len(products)]
            body = " ".join([_VERDICTS[number % len(_VERDICTS)]] * self._words)
            review = {
                "__typename": "Review",
                "id": str(number + 1),
                "body": body,
                "author": author,
                "product": product,
            }
            author["reviews"].append(review)
            product["reviews"].append(review)

    def answer(self) -> dict[str, Any]:
        """The answer to OPERATION, written down by hand: no gateway and no GraphQL library has a part in it."""

        def user(one: dict[str, Any]) -> dict[str, Any]:
            return {name: one[name] for name in ("id", "username", "name")}

        def product(one: dict[str, Any]) -> dict[str, Any]:
            return {name: one[name] for name in ("inStock", "name", "price", "shippingEstimate", "upc", "weight")}

        def review(one: dict[str, Any]) -> dict[str, Any]:
            return {"id": one["id"], "body": one["body"]}

        def author(one: dict[str, Any]) -> dict[str, Any]:
            return {**user(one), "reviews": [{**review(r), "product": product(r["product"])} for r in one["reviews"]]}

        def reviewed(one: dict[str, Any]) -> dict[str, Any]:
            return {**product(one), "reviews": [{**review(r), "author": author(r["author"])} for r in one["reviews"]]}

        return {
            "users": [
                {**user(one), "reviews": [{**review(r), "product": reviewed(r["product"])} for r in one["reviews"]]}
                for one in self.users.values()
            ],
            "topProducts": [reviewed(one) for one in self.top_products],
        }
