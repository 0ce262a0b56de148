"""The generated collection: its requests are valid operations of the schema, and cover all of it."""

from __future__ import annotations

import json
from typing import Any

from graphql import GraphQLSchema, build_schema, get_variable_values, parse, validate
from graphql.language import OperationDefinitionNode

from eventgraph.describing.postman import collection
from graphrouter import Example

SCHEMA = build_schema("""
type Query { boxes(first: Int = 3, sizes: [Size!]!): Boxes box(id: ID!): Thing count: Int! }
type Mutation { fill(input: Fill!): Box }
type Subscription { filled(id: ID!): Box }
type Boxes { nodes: [Box!]! }
type Box { id: ID! within: Boxes inner: Bag like(id: ID!): Box }
type Bag { box: Box }
union Thing = Box | Bag
enum Size { SMALL LARGE }
input Fill { id: ID! size: Size! times: Int! share: Float! all: Boolean! note: String more: Fill by: [Fill!]! }
""")


def folders(schema: GraphQLSchema, examples: tuple[Example, ...] = ()) -> dict[str, Any]:
    made = json.loads(collection("Boxes", schema, examples, "http://127.0.0.1:9000"))
    return {folder["name"]: {item["name"]: item["request"] for item in folder["item"]} for folder in made["item"]}


def test_each_operation_is_valid_and_its_variables_too() -> None:
    found = folders(SCHEMA)
    assert {name: list(requests) for name, requests in found.items()} == {
        "Queries": ["boxes", "box", "count"],
        "Mutations": ["fill"],
        "Subscriptions": ["filled"],
    }
    for request in (request for requests in found.values() for request in requests.values()):
        body = request["body"]["graphql"]
        document = parse(body["query"])
        assert validate(SCHEMA, document) == []
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        values = get_variable_values(SCHEMA, operation.variable_definitions or (), json.loads(body["variables"]))
        assert not isinstance(values, list), values


def test_subscriptions_alone_are_asked_for_as_streams() -> None:
    example = Example("Live", "# all of them\nsubscription ($id: ID!) { filled(id: $id) { id } }", {"id": "1"})
    accept = {"key": "accept", "value": "text/event-stream"}
    streamed = {
        name: [one for one, request in requests.items() if accept in request["header"]]
        for name, requests in folders(SCHEMA, (example, Example("Count", "{ count }"))).items()
    }
    assert streamed == {"Examples": ["Live"], "Queries": [], "Mutations": [], "Subscriptions": ["filled"]}


def test_fields_are_asked_as_far_as_no_type_stands_within_itself() -> None:
    query = folders(SCHEMA)["Queries"]["boxes"]["body"]["graphql"]["query"]
    assert query == (
        "query Boxes($first: Int, $sizes: [Size!]!) {\n"
        "  boxes(first: $first, sizes: $sizes) {\n"
        "    nodes {\n"
        "      id\n"
        "      inner {\n"
        "        __typename\n"
        "      }\n"
        "    }\n"
        "  }\n"
        "}"
    )


def test_examples_come_first_and_requests_carry_the_last_answers_bookmark() -> None:
    example = Example("All of them", "{ count }", {"a": "é"})
    text = collection("Boxes", SCHEMA, (example,), "http://127.0.0.1:9000")
    made = json.loads(text)
    assert made["info"]["name"] == "Boxes"
    assert made["item"][0]["item"][0]["request"]["body"]["graphql"] == {
        "query": "{ count }",
        "variables": '{\n  "a": "é"\n}',
    }
    assert {"key": "bookmark", "value": "{{bookmark}}"} in made["item"][0]["item"][0]["request"]["header"]
    assert made["item"][0]["item"][0]["request"]["url"] == "{{origin}}/graphql"
    assert {"key": "origin", "value": "http://127.0.0.1:9000"} in made["variable"]
    assert made["event"][0]["listen"] == "test"
    assert "é" in text
