"""Numbers keep their digits on every way through the router, and what cannot be carried is one field's error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter import json_text
from graphrouter.http.parameters import read_body
from graphrouter.request import GraphQLAnswer
from tests.unit.execution.plans import Scripted, routed

BIG = 2**64
ECHO = "scalar Number type Query { echo(n: Number, ns: [Number]): String }"
THINGS = 'scalar Number type Query { things: [Thing] } type Thing @key(fields: "n") { n: Number! }'
NAMES = 'scalar Number type Thing @key(fields: "n") { n: Number! name: String }'


def codes(answer: GraphQLAnswer) -> list[tuple[Any, Any]]:
    return [(error.get("path"), error["extensions"]["code"]) for error in answer.errors]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**45), 10**45)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.integers(0, 12))
def test_what_is_read_and_written_again_is_what_the_standard_library_reads(value: Any, spaces: int) -> None:
    text = " " * spaces + json.dumps(value)
    assert repr(json_text.loads(text.encode())) == repr(json.loads(text))
    assert repr(json.loads(json_text.dumps(value))) == repr(value)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "NaN", "[Infinity]", "[01]", '["\\ud800", 1e400]', "[1e400", '{"a":1}{', "[" * 1200]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(json_text.NotJson):
        json_text.loads(text.encode())


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63), -(2**63) - 1, 10**19, 10**30, 18446744073709551615])
def test_an_integer_keeps_its_digits_wherever_it_stands_in_the_text(number: int) -> None:
    for offset in range(7):
        assert json_text.loads(b" " * offset + b"[%d]" % number) == [number]


async def test_a_custom_scalars_integer_comes_to_the_client_as_it_is() -> None:
    router = routed(
        a=(
            "scalar Number type Query { n: Number ns: [Number!]! }",
            Scripted(b'{"data":{"n":%d,"ns":[%d]}}' % (BIG + 1, -BIG - 1)),
        )
    )
    answer = await router.execute("{ n ns }")
    assert json.loads(answer.text()) == {"data": {"n": BIG + 1, "ns": [-BIG - 1]}}


async def test_neighbouring_keys_stay_two_entities() -> None:
    a = Scripted(b'{"data":{"things":[{"n":%d},{"n":%d},{"n":%d}]}}' % (BIG + 1, BIG + 2, BIG + 1))
    b = Scripted({"data": {"_entities": [{"name": "one"}, {"name": "two"}]}})
    answer = await routed(a=(THINGS, a), b=(NAMES, b)).execute("{ things { name } }")
    assert [one["n"] for one in b.representations[0]] == [BIG + 1, BIG + 2]
    assert answer.data == {"things": [{"name": "one"}, {"name": "two"}, {"name": "one"}]}


@pytest.mark.parametrize(
    ("number", "data", "expected"),
    [
        ("123456789012345678901234567890", "123456789012345678901234567890", []),
        ("12", "12", []),
        ("12.0", "12", []),
        ("1e30", None, [(["id"], "INVALID_VALUE")]),
        ("1.5", None, [(["id"], "INVALID_VALUE")]),
        ("1e999", None, [(["id"], "INVALID_VALUE")]),
    ],
)
async def test_an_id_that_is_a_number_keeps_its_digits_or_is_an_error(number: str, data: Any, expected: Any) -> None:
    answer = await routed(a=("type Query { id: ID }", Scripted(b'{"data":{"id":%b}}' % number.encode()))).execute(
        "{id}"
    )
    assert (answer.data, codes(answer)) == ({"id": data}, expected)


@pytest.mark.parametrize(
    ("type_", "number", "fits"),
    [
        ("Int", "2147483647", True),
        ("Int", "-2147483648", True),
        ("Int", "2147483648", False),
        ("Int", "-2147483649", False),
        ("Int", "1e400", False),
        ("Int", str(BIG), False),
        ("Float", "1.7e308", True),
        ("Float", "1e400", False),
        ("Float", "-1e400", False),
        ("Float", "1" + "0" * 400, False),
        ("Float", str(BIG), True),
        ("Number", "1e400", False),
        ("Number", "[[1e400]]", False),
        ("Number", "1" * 5000, False),
        ("Number", "1" * 4000, True),
        ("Number", nested(200), True),
        ("Number", nested(300), False),
        ("Number", nested(1000), False),
        ("Number", nested(5000), False),
        ("Number", '{"a":' * 3000 + "1" + "}" * 3000, False),
    ],
)
async def test_a_number_out_of_range_and_a_deep_scalar_are_one_fields_error(
    type_: str, number: str, fits: bool
) -> None:
    sdl = (
        f"scalar Number type Query {{ n: {type_} ns: [{type_}!] some: [{type_}] k: Int o: O }} type O {{ n: {type_}! }}"
    )
    body = f'{{"data":{{"n":{number},"ns":[1,{number}],"some":[null,{number},1],"k":1,"o":{{"n":{number}}}}}}}'
    answer = await routed(a=(sdl, Scripted(body.encode()))).execute("{ n ns some k o { n } }")
    written = json.loads(answer.text())["data"]
    if fits:
        value = json.loads(number)
        assert written == {"n": value, "ns": [1, value], "some": [None, value, 1], "k": 1, "o": {"n": value}}
        assert answer.errors == []
    else:
        assert written == {"n": None, "ns": None, "some": [None, None, 1], "k": 1, "o": None}
        paths = [["n"], ["ns", 1], ["some", 1], ["o", "n"]]
        assert codes(answer) == [(path, "INVALID_VALUE") for path in paths]


async def test_a_list_of_integers_in_range_is_passed_on_and_an_empty_one_too() -> None:
    a = Scripted({"data": {"l": [1, -5, 2**31 - 1], "e": [], "m": [None, 7]}})
    answer = await routed(a=("type Query { l: [Int!] e: [Int!] m: [Int] }", a)).execute("{ l e m }")
    assert (answer.data, answer.errors) == ({"l": [1, -5, 2**31 - 1], "e": [], "m": [None, 7]}, [])


@pytest.mark.parametrize("number", [BIG, -BIG, 10**40])
async def test_defaults_literals_and_variables_arrive_with_their_digits(number: int) -> None:
    a = Scripted({"data": {"echo": "x"}})
    router = routed(a=(ECHO, a))
    await router.execute(f"query($n: Number = {number}) {{ echo(n: $n, ns: [{number}]) }}")
    await router.execute("query($n: Number) { echo(n: $n) }", {"n": [{"x": number}]})
    assert a.requests[0]["variables"] == {"n": number}
    assert f"[{number}]" in a.requests[0]["query"]
    assert a.requests[1]["variables"] == {"n": [{"x": number}]}


@pytest.mark.parametrize("value", [json.loads(nested(300)), float("inf"), {"a": [float("nan")]}])
async def test_a_variable_that_cannot_be_sent_is_refused(value: Any) -> None:
    a = Scripted({"data": {"echo": "x"}})
    answer = await routed(a=(ECHO, a)).execute("query($n: Number) { echo(n: $n) }", {"n": value})
    assert (answer.refused, codes(answer)) == (True, [(None, "INVALID_VARIABLES")])
    assert a.requests == []


async def test_a_variable_that_is_nested_as_deeply_as_allowed_arrives() -> None:
    a = Scripted({"data": {"echo": "x"}})
    value = json.loads(nested(json_text.MAX_NESTING))
    await routed(a=(ECHO, a)).execute("query($n: Number) { echo(n: $n) }", {"n": value})
    assert a.requests[0]["variables"] == {"n": value}


async def test_a_deep_value_of_an_input_type_is_refused_or_sent_but_never_a_defect() -> None:
    a = Scripted({"data": {"f": 1}})
    router = routed(a=("input I { i: I } type Query { f(i: I): Int }", a))
    value: Any = None
    for _ in range(240):
        value = {"i": value}
    answer = await router.execute("query($i: I) { f(i: $i) }", {"i": value})
    assert codes(answer) in ([], [(None, "INVALID_VARIABLES")])


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "[1e999]", "1" * 5000])
@pytest.mark.parametrize("document", ["query($n: Number = %s) { echo(n: $n) }", "{ echo(n: %s) }"])
async def test_a_literal_that_no_number_is_read_from_is_no_defect(literal: str, document: str) -> None:
    a = Scripted({"data": {"echo": "x"}})
    answer = await routed(a=(ECHO, a)).execute(document % literal)
    assert [code for _, code in codes(answer)] in ([], ["GRAPHQL_VALIDATION_FAILED"])
    if not answer.errors:
        assert literal in a.requests[0]["query"]


def test_a_variable_in_an_http_body_keeps_its_digits() -> None:
    body = b'{"query":"{a}","variables":{"n":%d},"extensions":{"m":[%d]}}' % (BIG + 1, BIG + 3)
    request = read_body(body, {})
    assert (request.variables, request.extensions) == ({"n": BIG + 1}, {"m": [BIG + 3]})


async def test_error_extensions_that_cannot_be_written_are_left_out() -> None:
    error = '{"message":"m","path":["k"],"extensions":{"code":"X","deep":%s,"inf":1e400,"n":%d,"long":"%s"}}'
    text = ('{"data":{"k":null},"errors":[' + error % (nested(300), BIG, "x" * 9000) + "]}").encode()
    answer = await routed(a=("type Query { k: Int }", Scripted(text))).execute("{ k }")
    assert [error["extensions"] for error in answer.errors] == [{"code": "X", "n": BIG, "service": "a"}]
    assert json.loads(answer.text())["data"] == {"k": None}


@pytest.mark.parametrize("key", [nested(300), '{"a":[1e400]}', "1e999"])
async def test_a_key_that_cannot_be_sent_is_the_error_of_its_entity(key: str) -> None:
    a = Scripted(b'{"data":{"things":[{"n":%b},{"n":1}]}}' % key.encode())
    b = Scripted({"data": {"_entities": [{"name": "one"}]}})
    answer = await routed(a=(THINGS, a), b=(NAMES, b)).execute("{ things { name } }")
    assert answer.data == {"things": [{"name": None}, {"name": "one"}]}
    assert codes(answer) == [(["things", 0], "INVALID_VALUE")]
    assert b.representations == [[{"__typename": "Thing", "n": 1}]]


@pytest.mark.parametrize("key", [nested(200), f"[1, {BIG}]"])
async def test_a_key_that_can_be_sent_is_sent(key: str) -> None:
    a = Scripted(b'{"data":{"things":[{"n":%b}]}}' % key.encode())
    b = Scripted({"data": {"_entities": [{"name": "one"}]}})
    answer = await routed(a=(THINGS, a), b=(NAMES, b)).execute("{ things { name } }")
    assert answer.data == {"things": [{"name": "one"}]}
    assert b.representations == [[{"__typename": "Thing", "n": json.loads(key)}]]


@pytest.mark.parametrize("name", ["{}", "[]", '["U"]', "1", "true"])
async def test_a_typename_that_is_no_name_is_the_error_of_its_object(name: str) -> None:
    a = Scripted(b'{"data":{"nodes":[{"__typename":%b,"id":"1"},{"__typename":"U","id":"2"}],"k":1}}' % name.encode())
    b = Scripted({"data": {"_entities": [{"name": "Ada"}]}})
    router = routed(
        a=(
            "type Query { nodes: [N] k: Int } interface N { id: ID! } "
            'type U implements N @key(fields: "id") { id: ID! }',
            a,
        ),
        b=('type U @key(fields: "id") { id: ID! name: String }', b),
    )
    answer = await router.execute("{ nodes { id ... on U { name } } k }")
    assert answer.data == {"nodes": [None, {"id": "2", "name": "Ada"}], "k": 1}
    assert codes(answer) == [(["nodes", 0], "INVALID_VALUE")]
    assert b.representations == [[{"__typename": "U", "id": "2"}]]


@pytest.mark.parametrize("name", ["{}", '["A"]', "7"])
async def test_a_typename_that_is_no_name_is_never_sent_as_one(name: str) -> None:
    sdl = """type Query { nodes: [N] } interface N { id: ID! }
      type A implements N @key(fields: "id") { id: ID! } type B implements N @key(fields: "id") { id: ID! }"""
    more = 'type A @key(fields: "id") { id: ID! x: Int } type B @key(fields: "id") { id: ID! x: Int }'
    b = Scripted({"data": {"_entities": []}})
    router = routed(a=(sdl, Scripted(b'{"data":{"nodes":[{"__typename":%b,"id":"1"}]}}' % name.encode())), b=(more, b))
    answer = await router.execute("{ nodes { ... on A { x } ... on B { x } } }")
    assert (answer.data, codes(answer)) == ({"nodes": [None]}, [(["nodes", 0], "INVALID_VALUE")])
    assert b.requests == []
