"""An operation's second run, whose answers are read into structs, gives what its first run gave, whatever comes.

The first run of an operation goes through dicts, which is what everything else here says is right; the second one is
given the same answers to the same requests, some of which nobody would expect from a subgraph.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphrouter import GraphRouter, RouterOptions, bookmarks
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.limits import Limits
from graphrouter.supergraph import read_supergraph
from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphTimedOut, TransportError
from tests.support.dict_subgraph import LINK, DictSubgraph

SDLS: Mapping[str, str] = {
    "accounts": """
type Query { users: [User!]! me: User page: Page }
type User @key(fields: "id") { id: ID! name: String age: Int! score: Float! role: Role tags: [String!]! boss: Boolean }
type Page { number: Int! users: [User] sizes: [[Size!]]! }
type Size { width: Float tags: [[Role]] }
enum Role { ADMIN GUEST HIDDEN @inaccessible }
""",
    "reviews": """
scalar Date
type User @key(fields: "id") { id: ID! reviews: [Review!] latest: Review }
type Review @key(fields: "id number") { id: ID! number: Int! at: Date author: User! product: Product }
type Product @key(fields: "upc", resolvable: false) { upc: ID! }
""",
    "products": """
type Query { top: [Product] }
type Product @key(fields: "upc") { upc: ID! name: String! price: Int! kind: String dims: [[Int!]!] }
type Review @key(fields: "id number") { id: ID! number: Int! note: String }
""",
    "shipping": """
type Product @key(fields: "upc") {
  upc: ID! price: Int! @external kind: String @external cost: Float! @requires(fields: "price kind") stock: Boolean
}
""",
}

OPERATIONS = (
    "{ users { id name age score role tags boss reviews { id at author { id name } product { upc name cost } } } }",
    "{ top { cost name } me { age name reviews { note number } } }",
    "{ page { number sizes { width tags } users { score reviews { number product { stock cost } } } } }",
    "{ u: users { n: name __typename r: reviews { t: __typename product { dims } } } top { stock upc dims } }",
    "{ users { latest { author { age } } } page { users { latest { id product { price } } } } }",
    "{ me { latest { note product { name } } } }",
)


def world(random: Random) -> dict[str, DictSubgraph]:
    """The subgraphs, which know a few things, some of them at many positions."""
    few = random.randint(0, 4)
    reviews: list[dict[str, Any]] = [{"id": str(n), "number": n} for n in range(random.randint(0, 6))]

    def some(kind: Sequence[Any]) -> list[Any]:
        return [random.choice(kind) for _ in range(random.randint(0, 4))] if kind else []

    products: list[dict[str, Any]] = [
        {
            "upc": f"p{n}",
            "name": f"é\n{n}",
            "price": n,
            "kind": random.choice((None, "x", "y")),
            "dims": random.choice((None, [], [[1, 2], []])),
            "cost": random.choice((0.5, 3, -0.0, 1e15)),
            "stock": random.choice((True, False, None)),
        }
        for n in range(random.randint(1, 4))
    ]
    users: list[dict[str, Any]] = [
        {
            "id": f"u{n}",
            "name": random.choice((None, "a", "\u2028")),
            "age": n,
            "score": random.choice((1, 0.1)),
            "role": random.choice(("ADMIN", None, "GUEST", "GUEST")),
            "tags": some(("a", "b")),
            "boss": random.choice((None, True)),
        }
        for n in range(few + 1)
    ]
    for number, review in enumerate(reviews):
        review |= {"at": random.choice((None, "2026", number, True)), "author": random.choice(users)}
        review |= {"product": random.choice((None, *products)), "note": random.choice((None, "n"))}
    for user in users:
        user["reviews"] = random.choice((None, some(reviews), some(reviews)))
        user["latest"] = random.choice((None, *reviews))
    sizes = [None, [], [{"width": 1.5, "tags": [["ADMIN", None], None]}]]
    page = {"number": 1, "users": [None, *some(users)], "sizes": random.choice(([], sizes))}
    roots: dict[str, dict[str, Any]] = {
        "accounts": {"users": some(users) or users, "me": random.choice((None, *users)), "page": page},
        "products": {"top": [*some(products), *random.choice(([], [None]))]},
    }
    known: dict[str, dict[str, Any]] = {
        "User": {one["id"]: one for one in users},
        "Product": {one["upc"]: one for one in products},
        "Review": {one["id"]: one for one in reviews},
    }

    def found(name: str, key: str) -> Any:
        return lambda representation: known[name].get(str(representation.get(key)))

    keys = {"User": "id", "Product": "upc", "Review": "id"}
    return {
        name: DictSubgraph(sdl, roots.get(name), {one: found(one, keys[one]) for one in keys if f"type {one} " in sdl})
        for name, sdl in SDLS.items()
    }


HOSTILE: Sequence[Any] = (None, 0, 1.0, 1.5, True, "text", "HIDDEN", 2**31, 2**70, 1e17, float("inf"), [], {}, [None])


def spoiled(answer: Any, random: Random) -> None:
    """Changes a value somewhere, adds or takes a field or an item."""
    inside: list[Any] = [answer]
    for one in inside:
        inside += [
            child for child in (one.values() if isinstance(one, dict) else one) if isinstance(child, dict | list)
        ]
    chosen = random.choice(inside)
    places = list(chosen) if isinstance(chosen, dict) else list(range(len(chosen)))
    match random.randint(0, 3) if places else 3:
        case 0 | 1:
            chosen[random.choice(places)] = random.choice(HOSTILE)
        case 2:
            del chosen[random.choice(places)]
        case _ if isinstance(chosen, dict):
            chosen[random.choice(("__typename", "id", "name", "more", " s0", "s0", "upc"))] = random.choice(HOSTILE)
        case _:
            chosen.append(random.choice((*HOSTILE, *chosen)))


TEXTS = (
    (b'"id":', b'"id":7,"id":'),
    (b'"upc":', b'"upc":"p1","upc":'),
    (b"}", b"}}"),
    (b'"', b'"\xff'),
    (b'"', rb'"\ud83d'),
    (b":", b" : \n"),
    (b"{", b"[{"),
    (b"1", b"1.0"),
    (b"1", b"1e0"),
    (b"1", b"-0"),
)


def hostile(answer: bytes, random: Random) -> bytes:
    """The answer as it is, or with something in it that does not belong there."""
    if random.random() < 0.6:
        return answer
    value = json.loads(answer)
    match random.randint(0, 5):
        case 0:
            value["errors"] = random.choice((None, [], [{"message": "m"}], [{"message": "m", "path": ["users"]}], 1))
        case 1:
            text = random.choice((bookmarks.encode({"a": random.randint(1, 3)}), "no bookmark", 1))
            value["extensions"] = random.choice((None, {}, 1, {"bookmark": text, "more": [1]}))
        case 2:
            old, new = random.choice(TEXTS)
            return answer.replace(old, new, random.randint(1, 2))
        case 3:
            return random.choice((b"", b"null", b"\xef\xbb\xbf" + answer, answer + b" ", answer[:-1], answer * 2))
        case _:
            for _ in range(random.randint(1, 2)):
                spoiled(value, random)
    return json.dumps(value, ensure_ascii=False).replace("Infinity", "1e999").encode()


class Answers:
    """A subgraph that gives the same request the same answer each time, after a while of its own."""

    def __init__(self, subgraph: DictSubgraph, seed: int, outage: float, asked: list[tuple[Any, ...]]) -> None:
        self._subgraph, self._seed, self._outage, self._asked = subgraph, seed, outage, asked
        self._known: dict[bytes, SubgraphResponse | TransportError] = {}

    async def start(self) -> None:
        """Nothing to prepare."""

    async def aclose(self) -> None:
        """Nothing is open."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        random = Random(self._seed ^ zlib.crc32(request.body))
        self._asked.append((request.body, *request.headers))
        if request.body not in self._known:
            honest = await self._subgraph.send(request)
            status, headers = random.choice((200, 200, 200, 500)), {}
            if random.random() < 0.2:
                headers = {"bookmark": bookmarks.encode({"b": random.randint(1, 3)})}
            if self._outage and random.random() < self._outage / 4:
                self._known[request.body] = SubgraphTimedOut("no answer came in time")
            else:
                body = hostile(honest.body, random) if random.random() < self._outage else honest.body
                self._known[request.body] = SubgraphResponse(status, headers, body)
        for _ in range(zlib.crc32(request.body, self._seed) % 5):
            await asyncio.sleep(0)
        answer = self._known[request.body]
        if isinstance(answer, TransportError):
            raise answer
        return answer


SUPERGRAPH = read_supergraph(
    compose([SubgraphSdl(name, f"http://{name}", LINK + sdl) for name, sdl in SDLS.items()]).supergraph_sdl
)


@settings(max_examples=80, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**32))
async def test_a_run_with_structs_asks_and_answers_as_one_with_dicts(seed: int) -> None:
    random = Random(seed)
    asked: list[tuple[Any, ...]] = []
    outage = random.choice((0, 0.2, 0.5, 1))
    transports = {name: Answers(one, seed, outage, asked) for name, one in world(random).items()}
    limits = Limits(objects=random.choice((10, 100_000, 100_000)), errors=random.choice((3, 100)))
    router = GraphRouter(SUPERGRAPH, transports, RouterOptions(limits=limits))
    for operation in OPERATIONS:
        first = await router.execute(operation)
        before = sorted(asked)
        asked.clear()
        second = await router.execute(operation)
        assert sorted(asked) == before, operation
        assert second.text() == first.text(), operation
        assert second == first
        asked.clear()
    await router.aclose()
