"""Threads that answer what an event loop asks, in batches.

What is asked in one turn of the loop goes over together; what arrives while every thread is busy is the next batch of
whichever is free first. So a batch is as large as the load makes it, nobody waits for company, and each batch costs one
hop to a thread and one back, however many ask.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from eventkernel.errors import Unavailable

Request = TypeVar("Request")
Answer = TypeVar("Answer")

Answers: TypeAlias = "Sequence[Answer | Exception]"


@dataclass(slots=True)
class _Turn(Generic[Request, Answer]):
    """What was asked in one turn of the event loop, or as much of it as a batch may have."""

    requests: list[Request]
    futures: list[asyncio.Future[Answer]]
    timer: asyncio.TimerHandle | None = None


class Batcher(Generic[Request, Answer]):
    """`answer` runs in a thread and gives each request its answer or the exception that its asker gets.

    Who has no answer after `patience` seconds gets `Unavailable`, and the request may yet be carried out. `afterwards`
    runs on the event loop after each batch, before anybody who asked goes on.

    Belongs to the event loop that is running when it is made; `ask` and `aclose` are called there.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[Sequence[Request]], Answers[Answer]],
        *,
        patience: float,
        afterwards: Callable[[], None] | None = None,
        largest_batch: int = 512,
        threads: int = 1,
    ) -> None:
        self._name = name
        self._answer = answer
        self._patience = patience
        self._afterwards = afterwards
        self._largest_batch = largest_batch
        self._loop = asyncio.get_running_loop()
        self._turn: _Turn[Request, Answer] = _Turn([], [])
        self._queue: queue.SimpleQueue[_Turn[Request, Answer] | None] = queue.SimpleQueue()
        self._ended = self._loop.create_future()
        self._closed = False
        self._at_work = threads
        for number in range(threads):
            threading.Thread(target=self._run, name=f"{name} {number}", daemon=True).start()

    def ask(self, request: Request) -> asyncio.Future[Answer]:
        """The answer to one request, to be awaited.

        Raises:
            Unavailable: this is closed.
        """
        if self._closed:
            raise Unavailable(f"{self._name} is closed")
        future: asyncio.Future[Answer] = self._loop.create_future()
        if not self._turn.requests:
            self._loop.call_soon(self._hand_over)
        self._turn.requests.append(request)
        self._turn.futures.append(future)
        return future

    async def aclose(self) -> None:
        """Returns when everything that was asked before is answered and the threads have ended."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            for _ in range(self._at_work):
                self._queue.put(None)
        await asyncio.shield(self._ended)

    def _hand_over(self) -> None:
        asked, self._turn = self._turn, _Turn([], [])
        size = self._largest_batch
        for start in range(0, len(asked.requests), size):
            turn = _Turn(asked.requests[start : start + size], asked.futures[start : start + size])
            turn.timer = self._loop.call_later(self._patience, self._give_up, turn)
            self._queue.put(turn)

    def _run(self) -> None:
        more = True
        while more:
            turns, more = self._next_batch()
            if turns:
                answers = self._answers([request for turn in turns for request in turn.requests])
                self._loop.call_soon_threadsafe(self._settle, turns, answers)
        self._loop.call_soon_threadsafe(self._end_one)

    def _end_one(self) -> None:
        self._at_work -= 1
        if not self._at_work:
            self._ended.set_result(None)

    def _next_batch(self) -> tuple[Sequence[_Turn[Request, Answer]], bool]:
        """What is to be answered next, and whether there may be more after it."""
        turns: list[_Turn[Request, Answer]] = []
        size = 0
        while size < self._largest_batch:
            try:
                turn = self._queue.get(block=not turns)
            except queue.Empty:
                break
            if turn is None:
                return turns, False
            turns.append(turn)
            size += len(turn.requests)
        return turns, True

    def _answers(self, requests: Sequence[Request]) -> Answers[Answer]:
        try:
            return self._answer(requests)
        except Exception as error:  # noqa: BLE001 -- whatever it is belongs to those who asked, not to this thread
            return [error] * len(requests)

    def _settle(self, turns: Sequence[_Turn[Request, Answer]], answers: Answers[Answer]) -> None:
        futures = [future for turn in turns for future in turn.futures]
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue  # its asker has given up
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        for turn in turns:
            if turn.timer is not None:
                turn.timer.cancel()
        if self._afterwards is not None:
            self._afterwards()

    def _give_up(self, turn: _Turn[Request, Answer]) -> None:
        for future in turn.futures:
            if not future.done():
                future.set_exception(Unavailable(f"{self._name} gave no answer within {self._patience:g} seconds"))
