"""Asking for many at once: what is asked while others are being answered is asked together, next.

A question on its own goes out at once. Under load the groups grow by themselves, and a server gets one request instead
of hundreds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Final, Generic, TypeVar

from eventkernel.errors import KernelError

Q = TypeVar("Q")
A = TypeVar("A")

_AT_ONCE: Final = 2


class Gathered(Generic[Q, A]):
    """Answers come from `ask`, in the order of the questions. It is called after the last of them was put."""

    def __init__(self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], most: int = 500) -> None:
        self._ask = ask
        self._most = most
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, question: Q) -> A:
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if len(self._tasks) < _AT_ONCE:
            task = asyncio.create_task(self._answer_all())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _answer_all(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            group = [(question, answer) for question, answer in group if not answer.done()]
            if not group:
                continue
            try:
                answers = await self._ask([question for question, _ in group])
            except KernelError as error:
                for _, answer in group:  # one each: an exception collects where it was raised
                    _fail(answer, copy(error))
            except Exception as error:  # noqa: BLE001 -- whatever it is belongs to those who wait
                for _, answer in group:
                    _fail(answer, error)
            else:
                for (_, answer), given in zip(group, answers, strict=True):
                    if not answer.done():
                        answer.set_result(given)


def _fail(answer: asyncio.Future[A], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
