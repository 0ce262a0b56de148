"""Ports that fail in the ways that their contracts allow: for tests of what relies on them."""

from __future__ import annotations

from collections.abc import Callable

from eventkernel.adapters.memory_views import MemoryBuild
from eventkernel.errors import Unavailable
from eventkernel.views import Change, Doc, Fold

STEPS = 4
"""How far a save without a transaction can get: nothing, some changes, all of them, parked records too."""


class TornBuild(MemoryBuild[Doc]):
    """A build on an engine without transactions: a save may break off between its steps, and says so.

    `breaks_at` is asked before each save; it gives the step at which this one breaks off, or None.
    """

    def __init__(self, name: str, breaks_at: Callable[[], int | None]) -> None:
        super().__init__(name)
        self._breaks_at = breaks_at

    async def save(self, fold: Fold[Doc]) -> None:
        step = self._breaks_at()
        if step is None:
            await super().save(fold)
            return
        done: list[Change[Doc]] = list(fold.changes) if step > 1 else list(fold.changes[: len(fold.changes) // 2])
        nothing_reached = await self.checkpoint()
        if step > 0:
            await super().save(Fold(done, nothing_reached))
        if step > 2:
            await super().save(Fold((), nothing_reached, fold.parked, fold.released))
        raise Unavailable(f"the save broke off at step {step}")
