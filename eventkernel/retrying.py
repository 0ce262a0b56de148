"""Trying again what may pass by itself, longer apart each time, and saying meanwhile what does not work."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from eventkernel.cancelling import uninterrupted
from eventkernel.errors import KernelError

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before another attempt, in seconds: about twice as long after each failure, up to a limit.

    Chance takes up to half of each wait, so that those who failed together do not come back together.
    """

    first: float = 0.05
    most: float = 5.0

    def delays(self) -> Iterator[float]:
        delay = self.first
        while True:
            yield delay * random.uniform(0.5, 1)  # noqa: S311  # no secret
            delay = min(delay * 2, self.most)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that has failed `attempts` times in a row and is being tried again."""

    doing: str
    error: str
    attempts: int


class Troubles:
    """What is failing at this moment, by what was being done."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._delays: dict[str, Iterator[float]] = {}
        self._current: dict[str, Trouble] = {}

    def current(self) -> tuple[Trouble, ...]:
        return tuple(self._current.values())

    async def failed(self, doing: str, error: Exception) -> None:
        """Note a failure, and wait before the next attempt."""
        before = self._current.get(doing)
        words = f": {error}" if isinstance(error, KernelError) else ""  # others may quote personal data
        trouble = Trouble(doing, f"{type(error).__name__}{words}", before.attempts + 1 if before else 1)
        self._current[doing] = trouble
        if before is None:
            self._delays[doing] = self._backoff.delays()
            _log.warning("%s failed and is being tried again: %s", doing, trouble.error)
        await asyncio.sleep(next(self._delays[doing]))

    def over(self, doing: str) -> None:
        """It works."""
        trouble = self._current.pop(doing, None)
        if trouble is not None:
            _log.warning("%s works again after %d failures", doing, trouble.attempts)

    def given_up(self, doing: str) -> None:
        """It is not tried any more."""
        self._current.pop(doing, None)

    async def until_done(
        self,
        doing: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        on: type[Exception],
        but: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> T:
        """What the attempt gives, as soon as it does not raise `on`. Any other exception, and `but`, goes through."""
        while True:
            try:
                result = await uninterrupted(attempt())
            except but:
                raise
            except on as error:
                await self.failed(doing, error)
            else:
                self.over(doing)
                return result
