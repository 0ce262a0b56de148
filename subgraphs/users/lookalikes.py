"""Whether a username is free to be taken: not by the claims, which the log decides, but by what no claim speaks for.

Usernames from before the rule of look-alikes (`usernames.py`), or judged by other data than today's, hold no claim of
their skeleton. There is never one more of them: every username that is taken now is judged and claims its skeleton. So
the view knows them all as soon as it has what was on the log when this process began, and later it can only know of one
too many, which has just been given up. Replicas of an older release that still run are the one exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eventkernel.errors import OutOfDate, Unavailable
from eventkernel.events import Position
from eventkernel.reading.gate import BookmarkGate
from eventkernel.writing.store import EventStore
from subgraphs.users.usernames import skeleton
from subgraphs.users.views import UserView

_MOST_NAMED: Final = 10


def remark(ids: Sequence[str]) -> str:
    """What an operator is told of users whose usernames look alike: who they are, not what they are called."""
    named = ", ".join(ids[:_MOST_NAMED]) + (" and others" if len(ids) > _MOST_NAMED else "")
    return (
        f"{len(ids)} users have usernames that look alike: {named}. One may be taken for the other; they keep what "
        "they have, and nobody new can have it"
    )


class Lookalikes:
    """The users whose usernames hold no claim of their skeletons."""

    def __init__(self, gate: BookmarkGate[UserView], store: EventStore) -> None:
        self._gate = gate
        self._store = store
        self._beginning: Position | None = None

    async def has(self, username: str, timeout: float, *, but: str | None = None) -> bool:
        """Whether one of them looks like this, another than the user `but`.

        Raises:
            Unavailable: the view does not have all of them within `timeout` seconds.
        """
        if self._beginning is None:
            self._beginning = await self._store.head()
        try:
            build = await self._gate.reach(self._beginning, (), timeout)
        except OutOfDate:
            raise Unavailable(
                "username: the view is still being filled, and does not know all that are taken"
            ) from None
        return any(doc.id != but for doc in await build.of_skeleton(skeleton(username)))
