"""What `graphrouter diff` tells: changes by their weight, and the recorded operations that break."""

from __future__ import annotations

import pytest

from graphrouter.supergraph import SupergraphError
from graphrouter.supergraph.diff import (
    Change,
    CheckedOperation,
    Weight,
    check_operations,
    client_schema,
    find_changes,
    problems_of,
)
from tests.support.supergraphs import supergraph_sdl

OLD = """
type Query { me: User! users(first: Int = 10, filter: Filter): [User!]! node: Node found: Found }
type User implements Node { id: ID! name: String! mood: Mood age: Int @deprecated(reason: "guess") }
interface Node { id: ID! }
union Found = User
enum Mood { GOOD BAD }
input Filter { mood: Mood }
"""


def changes(before: str, after: str) -> list[Change]:
    """The changes where one text in the schema is replaced by another."""
    assert before in OLD
    return find_changes(client_schema(OLD), client_schema(OLD.replace(before, after)))


@pytest.mark.parametrize(
    ("before", "after", "weight", "kind", "named"),
    [
        ("mood: Mood age", "age", Weight.BREAKING, "FIELD_REMOVED", "User.mood"),
        ("name: String!", "name: String", Weight.BREAKING, "FIELD_CHANGED_KIND", "User.name"),
        ("first: Int = 10, ", "", Weight.BREAKING, "ARG_REMOVED", "Query.users(first:)"),
        ("GOOD BAD", "GOOD", Weight.BREAKING, "VALUE_REMOVED_FROM_ENUM", "Mood.BAD"),
        ("User implements Node", "User", Weight.BREAKING, "IMPLEMENTED_INTERFACE_REMOVED", "Node"),
        ("mood: Mood }", "mood: Mood age: Int! }", Weight.BREAKING, "REQUIRED_INPUT_FIELD_ADDED", "Filter.age"),
        ("input Filter", "input Filter @oneOf", Weight.BREAKING, "ONE_OF_ADDED", "Filter"),
        ("GOOD BAD", "GOOD BAD FAIR", Weight.DANGEROUS, "VALUE_ADDED_TO_ENUM", "Mood.FAIR"),
        ("Int = 10", "Int = 20", Weight.DANGEROUS, "ARG_DEFAULT_VALUE_CHANGE", "Query.users(first:)"),
        ("name: String!", "name: String! nick: String", Weight.SAFE, "FIELD_ADDED", "User.nick"),
        ("mood: Mood age", "mood: Mood! age", Weight.SAFE, "FIELD_CHANGED_KIND_SAFE", "User.mood"),
        ("name: String!", 'name: String! @deprecated(reason: "x")', Weight.SAFE, "DEPRECATION_ADDED", "User.name"),
        (' @deprecated(reason: "guess")', "", Weight.SAFE, "DEPRECATION_REMOVED", "User.age"),
        (
            "first: Int = 10,",
            'first: Int = 10 @deprecated(reason: "x"),',
            Weight.SAFE,
            "DEPRECATION_ADDED",
            "Query.users(first:)",
        ),
        ("GOOD BAD", 'GOOD BAD @deprecated(reason: "x")', Weight.SAFE, "DEPRECATION_ADDED", "Mood.BAD"),
    ],
)
def test_a_change_has_a_weight_a_kind_and_names_its_element(
    before: str, after: str, weight: Weight, kind: str, named: str
) -> None:
    (change,) = changes(before, after)
    assert (change.weight, change.kind) == (weight, kind)
    assert named in change.description


def test_breaking_changes_come_first() -> None:
    weights = [change.weight for change in changes("name: String!", "nick: String! mood2: Mood")]
    assert weights == [Weight.BREAKING, Weight.SAFE, Weight.SAFE]


def test_that_a_built_in_scalar_comes_or_goes_is_no_change() -> None:
    without, with_it = client_schema("type Query { q: ID }"), client_schema("type Query { q: ID n: Int }")
    assert [change.kind for change in find_changes(without, with_it)] == ["FIELD_ADDED"]
    assert [change.kind for change in find_changes(with_it, without)] == ["FIELD_REMOVED"]


def test_the_same_schema_has_no_changes() -> None:
    assert changes("GOOD BAD", "GOOD BAD") == []


def broken(before: str, after: str, *operations: str) -> list[CheckedOperation]:
    documents = {f"{number}.graphql": text for number, text in enumerate(operations)}
    return list(check_operations(client_schema(OLD), client_schema(OLD.replace(before, after)), documents))


@pytest.mark.parametrize(
    ("before", "after", "operation", "problem"),
    [
        ("mood: Mood age", "age", "{ me { mood } }", "Cannot query field 'mood' on type 'User'."),
        ("first: Int", "first: Int!", "{ users { id } }", None),
        ("first: Int = 10", "first: Int!", "{ users { id } }", "'Query.users(first:)' of type 'Int!' is required"),
        ("name: String!", "name: String", "{ me { name } }", "User.name was of type String! and is of type String."),
        ("name: String!", "name: String", "{ me { id } }", None),
        ("mood: Mood age", "mood: Mood! age", "{ me { mood } }", None),
        ("[User!]!", "[User]!", "{ users { id } }", "Query.users was of type [User!]! and is of type [User]!."),
        ("node: Node", "node: User", "{ node { id } }", None),
        ("found: Found", "found: User", "{ found { ... on User { id } } }", None),
        ("GOOD BAD", "GOOD", "{ users(filter: { mood: BAD }) { id } }", "'BAD'"),
    ],
)
def test_an_operation_breaks_where_it_is_not_valid_or_may_get_what_it_could_not_get(
    before: str, after: str, operation: str, problem: str | None
) -> None:
    (checked,) = broken(before, after, operation)
    assert checked.breaks is (problem is not None)
    assert problem is None or problem in checked.problems[0]


def test_each_operation_of_a_document_is_checked_with_its_own_fragments() -> None:
    document = """
        query A { me { ...Name } } query B { me { ...Mood } }
        fragment Name on User { name } fragment Mood on User { mood }
    """
    checked = broken("mood: Mood age", "age", document)
    assert [(operation.name, operation.breaks) for operation in checked] == [("A", False), ("B", True)]
    assert problems_of(checked) == ["0.graphql B breaks: Cannot query field 'mood' on type 'User'."]


def test_an_operation_that_was_not_valid_before_does_not_break() -> None:
    (checked,) = broken("mood: Mood age", "age", "{ me { gone } }")
    assert not checked.breaks
    assert problems_of([checked]) == [
        "0.graphql was not valid before either: Cannot query field 'gone' on type 'User'."
    ]


def test_an_operation_that_becomes_valid_has_no_problem() -> None:
    (checked,) = broken("name: String!", "name: String! nick: String!", "{ me { nick } }")
    assert (checked.was_valid, checked.problems) == (False, ())


def test_of_a_supergraph_what_clients_see_counts() -> None:
    link = '@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)'
    mark = "directive @inaccessible on FIELD_DEFINITION "
    shown = supergraph_sdl(mark + "type Query @t(A) { x: Int y: Int }", "A", links=link)
    hidden = supergraph_sdl(mark + "type Query @t(A) @t(B) { x: Int y: Int @inaccessible }", "A", "B", links=link)
    (change,) = find_changes(client_schema(shown), client_schema(hidden))
    assert (change.kind, change.weight) == ("FIELD_REMOVED", Weight.BREAKING)


@pytest.mark.parametrize("sdl", ["type Query {", "type Query { x: Gone }"])
def test_a_text_that_is_no_schema_is_refused(sdl: str) -> None:
    with pytest.raises(SupergraphError):
        client_schema(sdl)
