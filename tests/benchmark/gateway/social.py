"""Users, their reviews, and products: the operation that gateways are usually compared by, and one without repetition.

`Social` is users → reviews → product → reviews → author → reviews → product, and the top products likewise: the same
few objects at many positions. In `Distinct` every object of the answer stands at one position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tests.benchmark.gateway.workload import LINK, Values

SDLS: Mapping[str, str] = {
    "accounts": LINK % '"@key"'
    + """
type Query { users: [User!]! user(id: ID!): User }
type User @key(fields: "id") { id: ID! name: String! username: String! }
""",
    "products": LINK % '"@key"'
    + """
type Query { topProducts(first: Int = 5): [Product!]! }
type Product @key(fields: "upc") { upc: ID! name: String! price: Int! weight: Int! }
""",
    "inventory": LINK % '"@key", "@external", "@requires"'
    + """
type Product @key(fields: "upc") {
  upc: ID!
  price: Int! @external
  weight: Int! @external
  inStock: Boolean!
  shippingEstimate: Int! @requires(fields: "price weight")
}
""",
    "reviews": LINK % '"@key"'
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


class _Catalogue:
    """What the four subgraphs know: `users`, `products` with their reviews, and which products are the top ones."""

    sdls: ClassVar[Mapping[str, str]] = SDLS
    entities: ClassVar[Mapping[str, str]] = {
        "accounts": "User",
        "products": "Product",
        "inventory": "Product",
        "reviews": "User | Product | Review",
    }

    def __init__(self, people: int, things: int, words: int = 1) -> None:
        self._words = words
        self.users = {str(n): self._user(n) for n in range(1, people + 1)}
        self.products = {str(n): self._product(n) for n in range(1, things + 1)}
        self.top_products = list(self.products.values())

    @property
    def root(self) -> Values:
        return {
            "users": list(self.users.values()),
            "user": lambda _info, id: self.users.get(id),
            "topProducts": lambda _info, first: self.top_products[: first * len(self.top_products) // 5],
        }

    def entity(self, representation: Values) -> Values:
        if representation["__typename"] == "User":
            return self.users[representation["id"]]
        return {**self.products[representation["upc"]], **representation}

    @staticmethod
    def _user(number: int) -> Values:
        name = f"{_FIRST[number % len(_FIRST)]} {_LAST[number % len(_LAST)]}"
        username = f"{name.lower().replace(' ', '.')}.{number}"
        return {"__typename": "User", "id": str(number), "name": name, "username": username, "reviews": []}

    @staticmethod
    def _product(number: int) -> Values:
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

    def _add_review(self, number: int, author: Values, product: Values) -> None:
        body = " ".join([_VERDICTS[number % len(_VERDICTS)]] * self._words)
        review = {"__typename": "Review", "id": str(number + 1), "body": body, "author": author, "product": product}
        author["reviews"].append(review)
        product["reviews"].append(review)


class Social(_Catalogue):
    """Six users with five reviews each, of eleven products. `words` makes reviews that many times as long."""

    operation: ClassVar[str] = OPERATION

    def __init__(self, lists: int = 1, words: int = 1) -> None:
        super().__init__(len(_FIRST) * lists, len(_THINGS) * lists, words)
        self.top_products = list(self.products.values())[: TOP_PRODUCTS * lists]
        users, products = list(self.users.values()), list(self.products.values())
        for number in range(_REVIEWS_OF_A_USER * len(users)):
            product = products[(number + number // len(users)) % len(products)]
            self._add_review(number, users[number % len(users)], product)

    def answer(self) -> Values:
        """The answer to OPERATION, written down by hand: no gateway and no GraphQL library has a part in it."""

        def user(one: Values) -> Values:
            return {name: one[name] for name in ("id", "username", "name")}

        def product(one: Values) -> Values:
            return {name: one[name] for name in ("inStock", "name", "price", "shippingEstimate", "upc", "weight")}

        def review(one: Values) -> Values:
            return {"id": one["id"], "body": one["body"]}

        def author(one: Values) -> Values:
            return {**user(one), "reviews": [{**review(r), "product": product(r["product"])} for r in one["reviews"]]}

        def reviewed(one: Values) -> Values:
            return {**product(one), "reviews": [{**review(r), "author": author(r["author"])} for r in one["reviews"]]}

        return {
            "users": [
                {**user(one), "reviews": [{**review(r), "product": reviewed(r["product"])} for r in one["reviews"]]}
                for one in self.users.values()
            ],
            "topProducts": [reviewed(one) for one in self.top_products],
        }


class Distinct(_Catalogue):
    """300 products, each with a review of its own, by an author of its own."""

    operation: ClassVar[str] = """
query Distinct {
  topProducts { upc name price weight inStock shippingEstimate reviews { id body author { id name username } } }
}
"""

    def __init__(self, lists: int = 1) -> None:
        super().__init__(300 * lists, 300 * lists)
        for number, (author, product) in enumerate(zip(self.users.values(), self.products.values(), strict=True)):
            self._add_review(number, author, product)

    def answer(self) -> Values:
        def pick(one: Values, *names: str) -> Values:
            return {name: one[name] for name in names}

        return {
            "topProducts": [
                {
                    **pick(product, "upc", "name", "price", "weight", "inStock", "shippingEstimate"),
                    "reviews": [
                        {**pick(review, "id", "body"), "author": pick(review["author"], "id", "name", "username")}
                        for review in product["reviews"]
                    ],
                }
                for product in self.products.values()
            ]
        }
