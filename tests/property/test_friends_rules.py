"""Commands for a few pairs, many at once and some sent twice: every friendship's life is begun, ended, begun, …"""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.errors import AlreadyExists, NotFound
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from subgraphs.friends.domain import AddFriend, FriendAdded, FriendRemoved, Pair, Reason, RemoveFriend, decider

PEOPLE = ["a", "b", "c"]

Deed = tuple[str, str, bool, int]
"""Who with whom, whether it begins or ends, and the number of the command."""

DEEDS = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.booleans(), st.integers(0, 12)).filter(
    lambda deed: deed[0] != deed[1]
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(DEEDS, max_size=8), max_size=6))
async def test_every_life_of_a_friendship_alternates_and_every_command_counts_once(rounds: list[list[Deed]]) -> None:
    store = MemoryEventStore("friends", clock=ManualClock())
    handler = CommandHandler(store, Codec((FriendAdded, FriendRemoved)), decider)
    outcomes: Counter[str] = Counter()

    async def run(one: str, other: str, begins: bool, number: int) -> None:
        pair = Pair.of(one, other)
        command = AddFriend(pair) if begins else RemoveFriend(pair, Reason.BY_HAND)
        command_id = f"{pair.friendship_id}/{begins}/{number}"
        try:
            outcome = await handler.execute(pair.stream, command, command_id=command_id, fingerprint=command_id)
        except (AlreadyExists, NotFound):
            return
        outcomes[command_id] = outcome.commit.version

    for together in rounds:
        await asyncio.gather(*(run(*deed) for deed in together))
    lives = [await store.read_stream(Pair.of(*two).stream) for two in (("a", "b"), ("a", "c"), ("b", "c"))]
    for life in lives:
        wanted = [FriendAdded, FriendRemoved] * len(life)
        assert [type(handler.codec.decode(record)) for record in life] == wanted[: len(life)]
    on_the_log = {record.command_id: record.version for life in lives for record in life}
    assert on_the_log == dict(outcomes)
