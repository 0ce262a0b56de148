"""What becomes of GraphQL schemas, and which operations are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eventgraph.evolution.check import compared
from eventgraph.evolution.operations import read_clients
from tests.support.descriptions import change, described, told

BEFORE = """
type Query { book(id: ID!, form: Form): Book  search(by: By!): [Book!]! }
type Book { id: ID!  title: String!  pages: Int }
enum Form { PAPER FILM }
input By { title: String  pages: Int }
"""
ASKS = {
    "Titles": "query Titles($by: By!) { search(by: $by) { title } }",
    "Pages": "query Pages { book(id: 1, form: FILM) { pages } }",
    "Literal": 'query Literal { search(by: { title: "a" }) { id } }',
}


@pytest.mark.parametrize(
    ("now", "kind", "path", "who"),
    [
        (BEFORE.replace("title: String!", "title: String"), "FIELD_CHANGED_KIND", "Book.title", {"Titles"}),
        (BEFORE.replace("  pages: Int }\nenum", " }\nenum"), "FIELD_REMOVED", "Book.pages", {"Pages"}),
        (BEFORE.replace(" FILM", ""), "VALUE_REMOVED_FROM_ENUM", "Form.FILM", {"Pages"}),
        (BEFORE.replace(", form: Form", ""), "ARG_REMOVED", "Query.book(form:)", {"Pages"}),
        (BEFORE.replace("id: ID!,", "id: ID!, at: Int!,"), "REQUIRED_ARG_ADDED", "Query.book(at:)", {"Pages"}),
        (BEFORE.replace("By { ", "By { at: Int! "), "REQUIRED_INPUT_FIELD_ADDED", "By.at", {"Titles", "Literal"}),
        (BEFORE.replace("By { title: String ", "By { "), "FIELD_REMOVED", "By.title", {"Titles", "Literal"}),
    ],
)
def test_a_break_names_the_operations_that_use_what_has_changed(now: str, kind: str, path: str, who: set[str]) -> None:
    found = change(described(api=BEFORE, operations=ASKS), described(api=now), kind)
    assert (found.severity, found.path) == ("breaking", f"api/{path}")
    assert set(found.who) == {f"example {name}#{name}" for name in who}


@pytest.mark.parametrize(
    ("before", "now", "kind", "path"),
    [
        ("union U = A | B", "union U = A", "TYPE_REMOVED_FROM_UNION", "U"),
        ("extend type A implements I", "", "IMPLEMENTED_INTERFACE_REMOVED", "A"),
        ("scalar S", "", "TYPE_REMOVED", "S"),
        ("directive @d(x: Int) on FIELD", "", "DIRECTIVE_REMOVED", "@d"),
        ("directive @d(x: Int) on FIELD", "directive @d on FIELD", "DIRECTIVE_ARG_REMOVED", "@d(x:)"),
    ],
)
def test_a_change_of_a_whole_type_has_its_name_as_its_path(before: str, now: str, kind: str, path: str) -> None:
    rest = "\ntype Query { a: A b: B i: I } interface I { x: Int } type A { x: Int } type B { x: Int }"
    assert ("breaking", kind, f"api/{path}") in told(described(api=before + rest), described(api=now + rest))


def test_what_is_added_breaks_nobody() -> None:
    now = BEFORE.replace("pages: Int }\nenum", "pages: Int isbn: String }\nenum")
    assert told(described(api=BEFORE, operations=ASKS), described(api=now)) == [
        ("safe", "FIELD_ADDED", "api/Book.isbn")
    ]


def test_an_operation_that_is_valid_no_more_says_why() -> None:
    now = BEFORE.replace("  pages: Int }\nenum", " }\nenum")
    found = change(described(api=BEFORE, operations=ASKS), described(api=now), "OPERATION_INVALID")
    assert (found.severity, found.path) == ("breaking", "operations/example Pages#Pages")
    assert "Cannot query field 'pages'" in found.message


def test_an_operation_that_never_was_valid_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.graphql").write_text("query Typo { bok }")
    found = compared(described(api=BEFORE), described(api=BEFORE), read_clients(tmp_path / "a.graphql"))
    assert [(one.severity, one.kind) for one in found] == [("dangerous", "OPERATION_INVALID")]


def test_operations_are_read_from_documents_folders_collections_and_manifests(tmp_path: Path) -> None:
    query = "query Pages { book(id: 1) { ...P } }"
    fragment = "fragment P on Book { pages }"
    folder = tmp_path / "src"
    (folder / "node_modules").mkdir(parents=True)
    (folder / "a.graphql").write_text(query)
    (folder / "b.gql").write_text(fragment)
    (folder / "node_modules" / "c.graphql").write_text("not GraphQL")
    whole = f"{query} {fragment}"
    apollo = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "x", "body": whole}]}
    request = {"name": "Pages", "request": {"body": {"graphql": {"query": whole}}}}
    postman = {"item": [{"name": "Queries", "item": [request, {"name": "a link", "request": "http://x"}]}]}
    files = {"relay.json": {"x": whole}, "apollo.json": apollo, "postman.json": postman}
    for name, text in files.items():
        (tmp_path / name).write_text(json.dumps(text))
    (tmp_path / "d.graphql").write_text(whole)
    now = BEFORE.replace("  pages: Int }\nenum", " }\nenum")
    found = {
        path: name.removeprefix(str(tmp_path))
        for path in ("src", "d.graphql", *files)
        for one in compared(described(api=BEFORE), described(api=now), read_clients(tmp_path / path))
        if one.kind == "FIELD_REMOVED"
        for name in one.who
    }
    assert found == {
        "src": "/src#Pages",
        "d.graphql": "/d.graphql#Pages",
        "relay.json": "/relay.json#x#Pages",
        "apollo.json": "/apollo.json#x#Pages",
        "postman.json": "/postman.json#Queries/Pages#Pages",
    }


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"item": 1}', '{"item": []}', '{"x": "query {"}'])
def test_a_file_without_operations_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json: expected"):
        read_clients(tmp_path / "x.json")


def test_a_subgraph_keeps_what_routers_ask_it_for() -> None:
    kept = 'type Query { b: B n: Int } type B @key(fields: "id") '
    before = kept + '@key(fields: "isbn") { id: ID! isbn: ID! hidden: Int }'
    now = kept + '@key(fields: "isbn", resolvable: false) { id: ID! isbn: ID! }'
    found = [one for one in compared(described(sdl=before), described(sdl=now)) if one.severity != "safe"]
    assert [(one.severity, one.kind, one.path) for one in found] == [
        ("breaking", "FIELD_REMOVED", "subgraphs/shelves/B.hidden"),
        ("breaking", "KEY_REMOVED", "subgraphs/shelves/B@key(isbn)"),
    ]
    assert {one.who for one in found} == {("routers with the supergraph of 1.0.0",)}


def test_what_has_changed_in_the_api_is_told_once() -> None:
    released, today = described(api=BEFORE, sdl=BEFORE), BEFORE.replace("title: String!", "title: String")
    assert told(released, described(api=today, sdl=today)) == [("breaking", "FIELD_CHANGED_KIND", "api/Book.title")]
