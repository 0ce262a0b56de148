"""What a story makes of what it is told: which events a part of an answer has seen, and what cannot be told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from eventgraph.serving.served import ServedSubgraph
from eventgraph.stories.facts import Asked, Event, Found, Outcome, SubgraphTeller
from eventgraph.stories.story import Stories
from eventkernel.errors import CorruptData, Unavailable
from eventkernel.events import Position
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.store import Correlated
from graphrouter.telemetry.recent import RecentRequests
from kithgraph.system import SOCIAL_NETWORK


def added(correlation: str) -> Event:
    return Event("friends.1", 0, 7, "pair@1", "friends.FriendAdded", "pair", 1, 1, "c", correlation)


class Told:
    """Tells one event of the friends' log, at offset 7."""

    name = "friends"

    async def events(self, asked: Asked) -> Found:
        return Found((added(asked.correlation),))

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


def asked(recent: RecentRequests, name: str, correlation: str, at: float) -> None:
    recent.executed("query", name, (("correlation-id", correlation),), at, (), [])


async def test_of_very_many_requests_the_last_ones_are_told() -> None:
    recent = RecentRequests()
    for number in range(600):
        asked(recent, f"Query{number}", "c", number)

    story = await Stories(SOCIAL_NETWORK, [Told()], recent).of_correlation("c")

    assert [request.name for request in story.requests] == [f"Query{number}" for number in range(100, 600)]
    assert story.notes == ("There are more requests than are told: these are the last 500.",)


async def test_queries_without_a_correlation_come_after_events_without_one_too() -> None:
    recent = RecentRequests()
    for correlation in ("", "other"):
        asked(recent, f"After{correlation}", correlation, 2.0)

    story = await Stories(SOCIAL_NETWORK, [Told()], recent).of_command("anonymous", "a-key")

    assert (story.correlation, story.requests) == ("", ())
    assert [request.name for request in story.later] == ["After", "Afterother"]


class Damaged:
    """A log, a view and a process manager of which nothing can be read."""

    name = "users"

    async def fail(self, *_asked: object) -> Any:
        raise CorruptData("users.sqlite: malformed")

    events = outcomes = showing = reaction_to = fail


async def test_what_is_damaged_hides_nothing_of_what_others_tell() -> None:
    story = await Stories(SOCIAL_NETWORK, [Told(), cast("Any", Damaged())], RecentRequests()).of_correlation("c")

    assert [commit.log for commit in story.commits] == ["friends"]
    told = [note for note in story.notes if note.endswith(": users.sqlite: malformed.")]
    assert [note.partition(" cannot ")[0] for note in told] == ["The log of users", "What users has made of it"]


async def test_a_view_and_a_process_manager_that_cannot_be_read_are_told_as_such() -> None:
    damaged = cast("Any", Damaged())
    subgraph = ServedSubgraph("doors", damaged, "", damaged, damaged, [damaged], reads=lambda _record: True)

    outcomes = await SubgraphTeller(subgraph).outcomes([added("c")])

    assert [(one.kind, one.state, one.reason) for one in outcomes] == [
        ("view", "unknown", "users.sqlite: malformed"),
        ("process", "unknown", "users.sqlite: malformed"),
    ]


class Slow:
    """A log that takes its time to be looked through."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def read_correlated(self, *_asked: object) -> Correlated:
        self.asked.set()
        await self.may.wait()
        return Correlated([], None, False)


async def test_looks_through_a_log_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventgraph.stories.facts._TURN_SECONDS", 0)
    log, nothing = Slow(), cast("Any", None)
    teller = SubgraphTeller(ServedSubgraph("doors", nothing, "", nothing, nothing, store=cast("Any", log)))
    first = asyncio.create_task(teller.events(Asked(correlation="c")))
    await log.asked.wait()

    with pytest.raises(Unavailable, match="others are looking through it"):
        await teller.events(Asked(correlation="c"))

    log.may.set()
    assert await first == Found()
    assert await teller.events(Asked(correlation="c")) == Found()
