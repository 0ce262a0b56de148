"""Locks by key within a process: tasks that need the same key wait for one another, others do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    holders: int = 0
    """Tasks that hold the lock or wait for it."""


class KeyedLocks:
    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    @asynccontextmanager
    async def hold(self, keys: Iterable[str]) -> AsyncGenerator[None]:
        """Inside, no other task holds any of the keys. Each key is given in order of arrival."""
        # All tasks take them in the same order, so that there is no deadlock.
        wanted = sorted(set(keys))
        entries = [self._entries.setdefault(key, _Entry()) for key in wanted]
        for entry in entries:
            entry.holders += 1
        taken: list[_Entry] = []
        try:
            for entry in entries:
                await entry.lock.acquire()
                taken.append(entry)
            yield
        finally:
            for entry in taken:
                entry.lock.release()
            for key, entry in zip(wanted, entries, strict=True):
                entry.holders -= 1
                if not entry.holders:
                    del self._entries[key]
