"""The friendships' aggregate, declared: its rules, its streams, its events, and what is answered and kept of it."""

from __future__ import annotations

from typing import Final

from eventkernel.writing.aggregates import Aggregate, SnapshotForm
from subgraphs.friends.domain import (
    EVENT_TYPES,
    STREAM_PREFIX,
    FriendshipState,
    decider,
)
from subgraphs.friends.projection import FriendshipDoc, evolve_friendship

FRIENDSHIPS: Final = Aggregate(
    "friendship",
    STREAM_PREFIX,
    decider,
    EVENT_TYPES,
    answer=evolve_friendship,
    snapshots=SnapshotForm(1, FriendshipState, FriendshipDoc | None),
)
