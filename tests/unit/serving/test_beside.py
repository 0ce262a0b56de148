"""A message waits for the logs that its event was decided by, and its bookmark names how far they were."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from eventgraph.serving.subscriptions import Beside, Feed, Subscribed
from eventkernel.errors import OutOfDate
from eventkernel.events import Partition, Position
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.change_feed import Change

FRIENDS = Partition("friends", 0)
NOTHING = cast("Any", None)


class Users:
    """A log whose end is one further each time that it is asked."""

    def __init__(self) -> None:
        self.end = 7

    async def head(self) -> Position:
        self.end += 1
        return Position.of("users", 0, self.end - 1)


def beside(users: Users, feed: SimpleNamespace) -> Beside:
    return Beside(cast("Any", feed), [cast("Any", users)])


async def test_a_message_waits_for_the_ends_of_the_logs_beside_its_own() -> None:
    asked: list[Position] = []

    class Gate:
        async def reach(self, position: Position, *_: object) -> None:
            asked.append(position)
            raise OutOfDate("not yet")

    of = cast("Any", SimpleNamespace(gate=Gate()))
    subscribed: Subscribed[Any] = Subscribed(of, NOTHING, NOTHING, NOTHING, Bookmark(), Feed("id", NOTHING), "ada")
    change = Change(FRIENDS, 3, "friendship-a~b", 1)
    assert await subscribed._message(change, Position.of("users", 0, 7), Bookmark(), "") is None
    assert asked == [Position({FRIENDS: 4, Partition("users", 0): 7})]


async def test_the_ends_are_asked_for_once_for_all_changes_that_had_been_read_by_then() -> None:
    feed, users = SimpleNamespace(read=Position({FRIENDS: 5})), Users()
    logs = beside(users, feed)
    assert [await logs.ends(Position({FRIENDS: at})) for at in (2, 4, 5)] == [Position.of("users", 0, 7)] * 3
    feed.read = Position({FRIENDS: 6})
    assert await logs.ends(Position({FRIENDS: 6})) == Position.of("users", 0, 8)
    assert await logs.ends(Position({FRIENDS: 3})) == Position.of("users", 0, 8)


async def test_what_is_read_while_the_ends_are_asked_for_is_no_reason_not_to_ask_again() -> None:
    class Slow(Users):
        async def head(self) -> Position:
            feed.read = Position({FRIENDS: 6})  # what a change may have been decided by since is not in this end
            return await super().head()

    feed, users = SimpleNamespace(read=Position({FRIENDS: 5})), Slow()
    logs = beside(users, feed)
    assert await logs.ends(Position({FRIENDS: 5})) == Position.of("users", 0, 7)
    assert await logs.ends(Position({FRIENDS: 6})) == Position.of("users", 0, 8)
