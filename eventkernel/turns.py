"""Taking turns by name within a process: who needs the same thing waits, who needs another one does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


class Turns:
    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def of(self, names: Iterable[str]) -> AsyncGenerator[None]:
        """Inside, nobody else has any of the names. In order of arrival for each of them."""
        # All take them in the same order, so that nobody waits in a circle.
        wanted = sorted(set(names))
        turns = [self._turns.setdefault(name, _Turn()) for name in wanted]
        for turn in turns:
            turn.wanted += 1
        taken: list[_Turn] = []
        try:
            for turn in turns:
                await turn.lock.acquire()
                taken.append(turn)
            yield
        finally:
            for turn in taken:
                turn.lock.release()
            for name, turn in zip(wanted, turns, strict=True):
                turn.wanted -= 1
                if not turn.wanted:
                    del self._turns[name]
