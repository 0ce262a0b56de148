"""What a subgraph's errors and strings may hold, whatever its server writes into them."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from graphrouter import json_text
from tests.unit.execution.plans import Scripted, routed

USERS = 'type Query { users: [User] } type User @key(fields: "id") { id: ID! name: String }'
AGES = 'type User @key(fields: "id") { id: ID! age: Int }'


async def answer_beside(error: dict[str, Any]) -> bytes:
    """The answer where each of sixty users' ages has this error."""
    users = Scripted({"data": {"users": [{"__typename": "User", "id": str(n)} for n in range(60)]}})
    errors = [{**error, "path": ["_entities", n, *error["path"]]} for n in range(60)]
    ages = Scripted({"data": {"_entities": [None] * 60}, "errors": errors})
    answer = await routed(a=(USERS, users), b=(AGES, ages)).execute("{ users { age } }")
    assert len(answer.errors) == 60
    return answer.text()


@pytest.mark.parametrize(
    "error",
    [
        {"message": "m", "path": ["age"], "extensions": {f"key{n}": n for n in range(20_000)}},
        {"message": "m", "path": ["age"], "extensions": {"k" * 100_000: 1}},
        {"message": "m", "path": ["age", "s" * 100_000]},
        {"message": "m", "path": ["age", *["s"] * 100_000]},
    ],
    ids=["many extensions", "an extension of a long name", "a long step", "many steps"],
)
async def test_an_error_is_bounded_at_each_of_its_positions(error: dict[str, Any]) -> None:
    text = await answer_beside(error)
    assert len(text) < 60 * 30_000
    for number, told in enumerate(json.loads(text)["errors"]):
        assert told["path"][:3] == ["users", number, "age"]
        assert told["extensions"]["code"] == "SUBGRAPH_ERROR"


async def test_the_code_of_an_error_is_kept_whatever_stands_before_it() -> None:
    extensions = {**{f"key{n}": n for n in range(5_000)}, "code": "GONE_FOR_EVER"}
    text = await answer_beside({"message": "m", "path": ["age"], "extensions": extensions})
    assert {error["extensions"]["code"] for error in json.loads(text)["errors"]} == {"GONE_FOR_EVER"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"a\uDE00b", "a\ufffdb"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
        (rb"\\ud83d\ude00", "\\ud83d\ufffd"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\u0041", "\ufffdA"),
    ],
)
async def test_a_character_that_was_cut_in_half_does_not_void_the_answer(written: bytes, read: str) -> None:
    subgraph = Scripted(b'{"data":{"s":"%b","n":1}}' % written)
    answer = await routed(a=("type Query { s: String n: Int }", subgraph)).execute("{ s n }")
    assert json.loads(answer.text()) == {"data": {"s": read, "n": 1}}


def test_whole_characters_stay_as_they_are() -> None:
    text = rb'["\ud83d\ude00", "\\ud83d", "\u00e9", "\\\\"]'
    assert json_text.with_whole_characters(text) == text


async def test_a_subgraphs_code_cannot_write_lines_into_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    code = "GONE\nINFO graphrouter.access: forged"
    subgraph = Scripted({"data": None, "errors": [{"message": "m", "extensions": {"code": code}}]})
    app = routed(a=("type Query { s: String }", subgraph)).app()
    caplog.set_level(logging.INFO, logger="graphrouter.access")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://router") as client,
    ):
        await client.post("/graphql", json={"query": "{ s }"})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "graphrouter.access"]
    assert "\n" not in line
    assert line.endswith("errors=?")
