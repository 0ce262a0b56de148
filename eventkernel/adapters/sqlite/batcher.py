"""A thread that answers what an event loop asks, in batches.

What is asked in one turn of the loop goes over together; what arrives while the thread is busy is its next batch. So a
batch is as large as the load makes it, nobody waits for company, and each batch costs one hop to the thread and one
back, however many ask.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

from eventkernel.errors import Unavailable

Request = TypeVar("Request")
Answer = TypeVar("Answer")

Answers: TypeAlias = "Sequence[Answer | Exception]"
_Waiting: TypeAlias = "list[tuple[Request, asyncio.Future[Answer]]]"


class Batcher(Generic[Request, Answer]):
    """`answer` runs in the thread and gives each request its answer or the exception that its asker gets.

    `afterwards` runs on the event loop after each batch, before anybody who asked goes on.
    Belongs to the event loop that is running when it is made; `ask` and `aclose` are called there.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[Sequence[Request]], Answers[Answer]],
        *,
        afterwards: Callable[[], None] | None = None,
        largest_batch: int = 512,
    ) -> None:
        self._name = name
        self._answer = answer
        self._afterwards = afterwards
        self._largest_batch = largest_batch
        self._loop = asyncio.get_running_loop()
        self._gathered: _Waiting[Request, Answer] = []
        self._queue: queue.SimpleQueue[_Waiting[Request, Answer] | None] = queue.SimpleQueue()
        self._ended = self._loop.create_future()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def ask(self, request: Request, *, patience: float) -> Answer:
        """The answer to one request.

        Raises:
            Unavailable: there was none within `patience` seconds, or this is closed. It may yet be carried out.
        """
        if self._closed:
            raise Unavailable(f"{self._name} is closed")
        future: asyncio.Future[Answer] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append((request, future))
        try:
            async with asyncio.timeout(patience):
                return await future
        except TimeoutError:
            raise Unavailable(f"{self._name} gave no answer within {patience:g} seconds") from None

    async def aclose(self) -> None:
        """Returns when everything that was asked before is answered and the thread has ended."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.shield(self._ended)

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            if batch:
                self._loop.call_soon_threadsafe(self._settle, batch, self._answers([request for request, _ in batch]))
        self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _next_batch(self) -> tuple[_Waiting[Request, Answer], bool]:
        """What is to be answered next, and whether there may be more after it."""
        batch: _Waiting[Request, Answer] = []
        while len(batch) < self._largest_batch:
            try:
                arrived = self._queue.get(block=not batch)
            except queue.Empty:
                break
            if arrived is None:
                return batch, False
            batch += arrived
        return batch, True

    def _answers(self, requests: Sequence[Request]) -> Answers[Answer]:
        try:
            return self._answer(requests)
        except Exception as error:  # noqa: BLE001 -- whatever it is belongs to those who asked, not to this thread
            return [error] * len(requests)

    def _settle(self, batch: _Waiting[Request, Answer], answers: Answers[Answer]) -> None:
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue  # its asker has given up
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        if self._afterwards is not None:
            self._afterwards()
