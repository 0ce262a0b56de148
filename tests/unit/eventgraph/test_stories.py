"""Which events a part of an answer has seen: those of logs that its subgraph reads, before its bookmark."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eventgraph.stories.facts import Asked, Event, Found, Outcome
from eventgraph.stories.story import Stories
from eventkernel.events import Position
from eventkernel.reading.bookmark import Bookmark
from graphrouter.telemetry.recent import RecentRequests
from kithgraph.system import SOCIAL_NETWORK


class Told:
    """Tells one event of the friends' log, at offset 7."""

    name = "friends"

    async def events(self, asked: Asked) -> Found:
        event = Event("friends.1", 0, 7, "pair@1", "friends.FriendAdded", "pair", 1, 1, "c", asked.correlation)
        return Found((event,))

    async def outcomes(self, events: Sequence[Event]) -> Sequence[Outcome]:
        return ()


@pytest.mark.parametrize(
    ("subgraph", "offset", "seen"),
    [("friends", 7, (0, 1)), ("friends", 8, (1, 1)), ("recommendations", 8, (1, 1)), ("users", 8, (0, 0))],
    ids=["up to it", "behind it", "read by another view", "only carried along"],
)
async def test_a_part_has_seen_what_its_view_reads_before_its_bookmark(
    subgraph: str, offset: int, seen: tuple[int, int]
) -> None:
    recent = RecentRequests()
    bookmark = Bookmark(Position.of("friends.1", 0, offset)).encode()
    recent.executed("query", "", (("correlation-id", "c"),), 1.0, (), [(subgraph, "users", [bookmark])])

    story = await Stories(SOCIAL_NETWORK, [Told()], recent).of_correlation("c")

    (part,) = story.requests[0].parts
    assert (part.seen, part.of) == seen
