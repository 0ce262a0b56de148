"""What ends the friendships of deleted users: the process manager's reactions.

A deletion and a new friendship with the same user are on different logs and have no order. So each of the two events
looks for the other one: a deletion ends all friendships that stand, a new friendship is ended where it finds a
deletion. The view has stored the event before its reaction looks, so that of two simultaneous ones at least the second
finds the first (`eventkernel/reacting/process.py` has the argument).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eventkernel.errors import IdempotencyMismatch, Refusal
from eventkernel.events import Metadata, Record, RecordedEvent
from eventkernel.writing.commands import CommandHandler, command_id, fingerprint
from subgraphs.friends.domain import (
    FriendAdded,
    FriendshipCommand,
    FriendshipEvent,
    FriendshipState,
    Pair,
    Reason,
    RemoveFriend,
)
from subgraphs.friends.events import USER_STREAM_PREFIX, UserDeleted
from subgraphs.friends.views import FriendView

NAME: Final = "friends-endings"
REACTS_TO: Final = (UserDeleted, FriendAdded)

_CALLER: Final = "process\nfriends-endings"
"""Scopes the command ids. No request can have it: a line feed stands in no header."""
_AT_ONCE: Final = 100
"""How many friendships are ended at one time: enough to share an fsync, few enough not to push others aside."""


@dataclass(frozen=True, slots=True)
class Endings:
    """Ends friendships with `commands`, once each for every event that asks for it."""

    commands: CommandHandler[FriendshipState, FriendshipCommand, FriendshipEvent]

    async def react(self, recorded: RecordedEvent, view: FriendView) -> None:
        """To one of `REACTS_TO`, which the view has stored."""
        match recorded.event:
            case UserDeleted():
                deleted = recorded.stream.removeprefix(USER_STREAM_PREFIX)
                await self._end(await view.standing(deleted), recorded.record)
            case FriendAdded(users=(low, high)):
                known = await view.users([low, high])
                if any(user.deleted for user in known.values()):
                    await self._end([Pair(low, high)], recorded.record)
            case _:
                raise AssertionError(f"{NAME} does not react to {recorded.record.type}")

    async def _end(self, pairs: Sequence[Pair], because: Record) -> None:
        for start in range(0, len(pairs), _AT_ONCE):
            ending = (self._end_one(pair, because) for pair in pairs[start : start + _AT_ONCE])
            for outcome in await asyncio.gather(*ending, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome

    async def _end_one(self, pair: Pair, because: Record) -> None:
        try:
            await self.commands.execute(
                pair.stream,
                RemoveFriend(pair, Reason.USER_DELETED),
                command_id=command_id(_CALLER, f"{because.log}/{because.id}/{pair.friendship_id}"),
                fingerprint=fingerprint(NAME, {"users": pair.users}),
                metadata=Metadata(
                    actor=because.actor,
                    correlation=because.correlation,
                    causation=because.id,
                    traceparent=because.traceparent,
                    tracestate=because.tracestate,
                ),
            )
        except IdempotencyMismatch:
            raise
        except Refusal:
            # It has ended already. The others of this event are none the worse for it.
            return
