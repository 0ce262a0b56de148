"""The past is read from indexes: SQLite's plans of every question about then."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

import pytest

from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import AsOf, Moment
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.adapters.sqlite_past import PastQueries as PastFriends
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.adapters.sqlite_past import PastQueries as PastRecommendations
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.adapters.sqlite_past import PastQueries as PastUsers

USER_TABLES = SqliteUserView.schema + SqliteUserView.indexes
PASTS: list[AsOf] = [
    Moment(5),
    Position({Partition("users.a", 0): 5, Partition("friends.b", 0): 7}),
    Position({Partition("users.a", 0): 5, Partition("users.a", 1): 9, Partition("friends.b", 3): 7}),
]
USERS: dict[str, Callable[[AsOf], str]] = {
    "users": lambda past: PastUsers(past).users(),
    "of username": lambda past: PastUsers(past).of_username(),
    "page": lambda past: PastUsers(past).page(),
    "words": lambda past: PastUsers(past).count_words(),
    "search by user": lambda past: PastUsers(past).search_by_user(2),
    "search by word": lambda past: PastUsers(past).search_by_word(2),
}
FRIENDS: dict[str, Callable[[AsOf], str]] = {
    "users": lambda past: PastFriends(past).users(),
    "friendships": lambda past: PastFriends(past).friendships(),
    "friends": lambda past: PastFriends(past).friends(),
    "friend counts": lambda past: PastFriends(past).friend_counts(),
}
RECOMMENDATIONS: dict[str, Callable[[AsOf], str]] = {
    "users": lambda past: PastRecommendations(past).users(),
    "nodes": lambda past: PastRecommendations(past).nodes(),
    "steps": lambda past: PastRecommendations(past).steps(),
    "recommended": lambda past: PastRecommendations(past).recommended(),
    "mutual friends": lambda past: PastRecommendations(past).mutual_friends(),
}
NOT_A_TABLE = re.compile(r"SCAN (\w+ VIRTUAL TABLE INDEX|\(subquery-\d+\)|found|CONSTANT ROW)")


def plan(schema: str, text: str) -> list[str]:
    """How SQLite goes through it (https://www.sqlite.org/eqp.html)."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema)
    parameters = dict.fromkeys(re.findall(r":(\w+)", text), "[]")
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
    connection.close()
    return steps


@pytest.mark.parametrize("past", PASTS, ids=["moment", "position", "partitions"])
@pytest.mark.parametrize(
    ("schema", "question"),
    [
        *((USER_TABLES, question) for question in USERS.values()),
        *((SqliteFriendView.schema, question) for question in FRIENDS.values()),
        *((SqliteRecommendationView.schema, question) for question in RECOMMENDATIONS.values()),
    ],
)
def test_no_question_about_the_past_walks_through_a_table(
    schema: str, question: Callable[[AsOf], str], past: AsOf
) -> None:
    steps = plan(schema, question(past))
    assert any(step.startswith("SEARCH") for step in steps)
    assert [step for step in steps if step.startswith("SCAN") and not NOT_A_TABLE.match(step)] == []


@pytest.mark.parametrize("past", PASTS, ids=["moment", "position", "partitions"])
def test_pages_of_the_past_are_read_in_their_order_and_no_further_than_they_go(past: AsOf) -> None:
    for steps, keys in (
        (plan(USER_TABLES, PastUsers(past).page()), ["user", "user_past"]),
        (
            plan(USER_TABLES, PastUsers(past).search_by_user(1)),
            ["user", "user_past"],
        ),
        (plan(SqliteFriendView.schema, PastFriends(past).friends()), ["f", "f"]),
    ):
        assert steps[0] == "MERGE (UNION ALL)"
        assert not any("TEMP B-TREE" in step for step in steps)
        ranges = [step.split()[1] for step in steps if step.startswith("SEARCH") and step.endswith((">?)", "(id>?)"))]
        assert [name for name in ranges if name in keys] == keys


def test_a_username_of_then_is_looked_up_by_its_claim() -> None:
    steps = plan(USER_TABLES, PastUsers(Moment(5)).of_username())
    assert [step for step in steps if step.startswith("SEARCH")] == [
        "SEARCH user USING INDEX user_claim (claim=?)",
        "SEARCH user_past USING INDEX user_past_claim (claim=?)",
    ]
