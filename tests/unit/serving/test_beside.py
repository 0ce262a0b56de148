"""A message waits for the logs that its event was decided by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from eventgraph.serving.subscriptions import Feed, Subscribed
from eventkernel.errors import OutOfDate
from eventkernel.events import Partition, Position
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.change_feed import Change


async def test_a_message_waits_for_the_ends_of_the_logs_beside_its_own() -> None:
    asked: list[Position] = []

    class Gate:
        async def reach(self, position: Position, *_: object) -> None:
            asked.append(position)
            raise OutOfDate("not yet")

    class Users:
        async def head(self) -> Position:
            return Position.of("users", 0, 7)

    nothing = cast("Any", None)
    feed = Feed("id", nothing, beside=[cast("Any", Users())])
    of = cast("Any", SimpleNamespace(gate=Gate()))
    subscribed: Subscribed[Any] = Subscribed(of, nothing, nothing, nothing, Bookmark(), feed, "ada")
    change = Change(Partition("friends", 0), 3, "friendship-a~b", 1)
    assert await subscribed._message(change, Bookmark(), "") is None
    assert asked == [Position({Partition("friends", 0): 4, Partition("users", 0): 7})]
