"""What a request to a subgraph may cost: bounded before work is done for it, counted where it arises, and in turns.

Counts, not times: the work between two turns of the event loop is told by a task that notes how far it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
import strawberry
from strawberry.types import Info

from eventgraph.serving import executor, federation, turns
from eventgraph.serving.app import subgraph_app
from eventgraph.serving.execution import Documents, InvalidDocument
from eventgraph.serving.federation import FederatedSchema, Representation, field, key_of
from eventgraph.serving.readiness import Readiness
from eventgraph.serving.request import Request
from eventgraph.serving.turns import Turns
from eventkernel.errors import NotFound
from tests.unit.serving.test_app import Gate, View

NodesInfo = Info[Request[Any, None], None]
made: list[int] = []
"""How many nodes have been asked for their number."""
read: list[int] = []
"""The sizes of the batches that were read."""


async def read_numbers(view: object, keys: Sequence[int]) -> Sequence[int]:
    read.append(len(keys))
    return keys


@strawberry.federation.type(keys=["id"], description="A node.")
class Node:
    id: strawberry.ID

    @field("Its number, known at once.")
    def number(self) -> int:
        made.append(int(self.id))
        return int(self.id)

    @field("Its number, read in a batch.")
    async def loaded(self, info: NodesInfo) -> int:
        found = await info.context.loader(read_numbers).load(int(self.id))
        made.append(found)
        return found

    @field("Refuses odd ones.")
    async def even(self, info: NodesInfo) -> int:
        if await info.context.loader(read_numbers).load(int(self.id)) % 2:
            raise NotFound("odd")
        return 0

    @field("Further nodes.")
    def nodes(self, info: NodesInfo, first: int) -> list[Node] | None:
        info.context.spend("nodes", first, 5_000)
        return [Node(id=strawberry.ID(str(number))) for number in range(first)]

    @classmethod
    async def resolve_references(
        cls,
        representations: Sequence[Representation],
        info: Info[Any, None],  # noqa: ARG003
    ) -> Sequence[object | None]:
        read.append(len(representations))
        return [Node(id=strawberry.ID(key_of(representation))) for representation in representations]


@strawberry.type
class Query:
    @field("Nodes.")
    def nodes(self, info: NodesInfo, first: int) -> list[Node] | None:
        return [Node(id=strawberry.ID(str(number))) for number in range(first)]

    @field("Numbers, some of which come later.")
    async def numbers(self, first: int) -> list[int]:
        return list(range(first))


SCHEMA = FederatedSchema(query=Query, types=[Node])
ENTITIES = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Node { id } } }"


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    made.clear()
    read.clear()


async def _ready() -> Readiness:
    return Readiness()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = subgraph_app(SCHEMA, gate=Gate(View()), writes=None, readiness=_ready)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as asking:
        yield asking


async def ask(client: httpx.AsyncClient, query: str, variables: dict[str, object] | None = None) -> dict[str, Any]:
    response = await client.post("/graphql", json={"query": query, "variables": variables})
    answer: dict[str, Any] = response.json()
    return answer


def representations(count: int) -> dict[str, object]:
    return {"r": [{"__typename": "Node", "id": str(number)} for number in range(count)]}


class Ticks:
    """Notes in every turn of the loop how much has been noted: nodes that were made, where nothing else is named."""

    def __init__(self, noted: Sequence[object] | None = None) -> None:
        self._noted: Sequence[object] = made if noted is None else noted
        self.most = 0
        self._before = 0
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            self.most = max(self.most, len(self._noted) - self._before)
            self._before = len(self._noted)
            await asyncio.sleep(0)

    async def stop(self) -> int:
        self._task.cancel()
        await asyncio.wait([self._task])
        return max(self.most, len(self._noted) - self._before)


@pytest.mark.parametrize("selection", ["number", "loaded", "nodes(first: 1) { number loaded }"])
async def test_a_long_list_gives_way_to_others(client: httpx.AsyncClient, selection: str) -> None:
    ticks = Ticks()
    answer = await ask(client, f"{{ nodes(first: 4000) {{ id {selection} }} }}")
    most = await ticks.stop()
    assert "errors" not in answer
    assert [int(node["id"]) for node in answer["data"]["nodes"]] == list(range(4000))
    assert len(made) >= 4000
    assert most <= 2 * turns.FIELDS_PER_TURN


async def test_others_get_a_turn_after_each_read_of_many_entities(client: httpx.AsyncClient) -> None:
    """Also where the view answers without waiting for anything."""
    ticks = Ticks(read)
    answer = await ask(client, ENTITIES, representations(5_000))
    assert await ticks.stop() == 1
    assert read == [1_000] * 5
    assert len(answer["data"]["_entities"]) == 5_000


async def test_all_requests_of_a_loop_share_its_turns(client: httpx.AsyncClient) -> None:
    ticks = Ticks()
    answers = await asyncio.gather(*(ask(client, "{ nodes(first: 400) { number } }") for _ in range(20)))
    assert await ticks.stop() <= 2 * turns.FIELDS_PER_TURN
    assert all(len(answer["data"]["nodes"]) == 400 for answer in answers)


async def test_short_lists_are_read_in_one_batch(client: httpx.AsyncClient) -> None:
    await ask(client, "{ nodes(first: 100) { loaded } }")
    assert read == [100]


async def test_errors_of_a_long_list_stand_at_their_items(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "{ nodes(first: 2000) { nodes(first: 1) { id } even } }")
    assert answer["data"] is None or answer["data"]["nodes"] is None  # `even` is not nullable, nor are the items
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"NOT_FOUND"}
    answer = await ask(client, "{ nodes(first: 2000) { nodes(first: 3) { id } } }")
    refused = [error["path"] for error in answer["errors"]]
    assert refused == [["nodes", index, "nodes"] for index in range(1666, 2000)]
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"TOO_COSTLY"}
    assert [node["nodes"] is None for node in answer["data"]["nodes"]] == [False] * 1666 + [True] * 334


async def test_an_answer_that_nobody_waits_for_is_not_made_to_its_end() -> None:
    documents = Documents(SCHEMA)
    document = await documents.prepare("{ nodes(first: 50000) { number } }")
    running = asyncio.create_task(documents.execute(document, {}, None, None))
    while not made:  # noqa: ASYNC110 - a field has begun
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    so_far = len(made)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(made) == so_far < 50_000


async def test_objects_are_counted_over_levels_aliases_and_occurrences(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "OBJECTS_LIMIT", 100)
    fits = "{ a: nodes(first: 9) { nodes(first: 9) { id } } b: nodes(first: 9) { id } }"  # and the root: 100
    assert "errors" not in await ask(client, fits)
    for more in (fits.replace("b: nodes(first: 9)", "b: nodes(first: 10)"), "{ nodes(first: 100) { id } }"):
        answer = await ask(client, more)
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"TOO_COSTLY"}
        assert "at most 100 objects" in answer["errors"][0]["message"]


async def test_what_a_resolver_counts_is_counted_over_occurrences(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "{ nodes(first: 4) { a: nodes(first: 1000) { id } b: nodes(first: 1000) { id } } }")
    codes = [error["extensions"]["code"] for error in answer["errors"]]
    assert codes == ["TOO_COSTLY"] * 3
    assert "at most 5000 nodes in one answer" in answer["errors"][0]["message"]


async def test_more_representations_than_the_limit_are_refused_before_they_are_read(client: httpx.AsyncClient) -> None:
    answer = await ask(client, ENTITIES, representations(federation.REPRESENTATIONS_LIMIT + 1))
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["TOO_COSTLY"]
    assert "$r: expected at most 25000 values, found 25001" in answer["errors"][0]["message"]
    assert read == []


async def test_representations_of_all_entities_fields_count_together(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federation, "REPRESENTATIONS_LIMIT", 10)
    twice = ENTITIES.replace("_entities", "a: _entities", 1)[:-1] + "b: _entities(representations: $r) { __typename } }"
    assert "errors" not in await ask(client, twice, representations(5))
    answer = await ask(client, twice, representations(6))
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"TOO_COSTLY"}


async def test_many_representations_are_read_in_parts_and_answered_in_their_order(client: httpx.AsyncClient) -> None:
    answer = await ask(client, ENTITIES, representations(2_500))
    assert read == [1_000, 1_000, 500]
    assert [int(one["id"]) for one in answer["data"]["_entities"]] == list(range(2_500))


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ " + "__typename " * 300 + "}", "OPERATION_TOO_LARGE"),
        ("{ " + "".join(f"a{number}: __typename " for number in range(301)) + "}", "TOO_MANY_ROOT_FIELDS"),
        ("{ nodes(first: 1) { " + "".join(f"a{number}: id " for number in range(1001)) + "} }", "TOO_MANY_ALIASES"),
        ("{ nodes(first: 1) " + "{ nodes(first: 1) " * 60 + "{ id }" + " }" * 61, "TOO_DEEP"),
        ("{ nodes " * 5000 + "}" * 5000, "GRAPHQL_PARSE_FAILED"),
        ("{ " + "id " * 20_001 + "}", "GRAPHQL_PARSE_FAILED"),
        ("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", "FRAGMENT_CYCLE"),
        (
            "{ ...f0 } fragment f20 on Query { __typename } "
            + "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(20)),
            "TOO_MANY_ROOT_FIELDS",
        ),
    ],
)
async def test_a_document_over_a_limit_is_refused_without_being_validated(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, document: str, code: str
) -> None:
    def validated(*_: object, **__: object) -> None:
        raise AssertionError("the document was validated")

    monkeypatch.setattr("eventgraph.serving.execution.validate", validated)
    answer = await ask(client, document)
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert len(answer["errors"][0]["message"]) <= 200


async def test_what_came_of_a_document_is_kept_whether_it_is_valid_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    prepared = Documents._prepared

    def counted(self: Documents, text: str) -> object:
        parsed.append(text)
        return prepared(self, text)

    monkeypatch.setattr(Documents, "_prepared", counted)
    documents = Documents(SCHEMA)
    for _ in range(3):
        await documents.prepare("{ nodes(first: 1) { id } }")
        with pytest.raises(InvalidDocument):
            await documents.prepare("{ nothing }")
    assert parsed == ["{ nodes(first: 1) { id } }", "{ nothing }"]


async def test_documents_are_kept_up_to_a_total_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventgraph.serving.execution._KEPT_CHARACTERS", 100)
    monkeypatch.setattr("eventgraph.serving.execution._KEPT_LIMIT", 60)
    documents = Documents(SCHEMA)
    texts = ["{ __typename }" + " " * count for count in (26, 27, 28, 66)]
    for text in (texts[0], texts[1], texts[0], texts[2], texts[3]):
        await documents.prepare(text)
    assert list(documents._kept) == [texts[0], texts[2]]  # the one that was used longest ago has gone
    told = documents.statistics
    assert told.characters == len(texts[0]) + len(texts[2])
    assert (told.hits, told.misses, told.evictions, told.entries) == (1, 4, 1, 2)
    assert told.seconds > 0


async def test_turns_are_given_in_the_order_of_asking() -> None:
    of_this_loop = Turns.of_this_loop()
    assert Turns.of_this_loop() is of_this_loop
    given: list[int] = []

    async def work(number: int) -> None:
        await of_this_loop.another()
        given.append(number)
        of_this_loop.spend(turns.FIELDS_PER_TURN)

    of_this_loop.spend(turns.FIELDS_PER_TURN)
    await asyncio.gather(*(work(number) for number in range(5)))
    assert sorted(given) == list(range(5))
    assert given[0] == 0
