"""Work and its cancellation: what must not stop halfway, and what is given up when something else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class CancelledFromInside(Exception):
    """Something that was awaited was cancelled, but not by cancelling the task that awaited it."""


async def uninterrupted(work: Awaitable[T]) -> T:
    """What the work gives; a cancellation that is not this task's own is a failure like any other.

    Raises:
        CancelledFromInside: what the work waited for was cancelled, and this task was not.
    """
    try:
        return await work
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CancelledFromInside("what was waited for was cancelled") from cancelled


async def finished(work: Callable[[], Awaitable[None]]) -> None:
    """Does something that must not stop halfway: a cancellation takes effect when it is done."""
    working = asyncio.ensure_future(work())
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        if not working.cancelled():
            working.exception()  # the caller has gone
        raise


async def unless(happens: Coroutine[Any, Any, object], work: Coroutine[Any, Any, object]) -> None:
    """Works until the work is done, or until this happens: then the work is cancelled. Returns when it has ended.

    Raises what the work raises, or what the waiting for the other raises; `CancelledFromInside` where one of them was
    cancelled by somebody else.
    """
    tasks = (asyncio.create_task(work), asyncio.create_task(happens))
    ended: set[asyncio.Task[object]] = set()
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if task in ended and task.cancelled():
            raise CancelledFromInside("what was waited for was cancelled")
        if not task.cancelled():
            task.result()


@contextmanager
def delivered_cancellation() -> Generator[None]:
    """A cancellation that arrives inside leaves it as one, also where a library has swallowed it.

    (PyMongo 4.20 may, whenever it writes: `asyncio.wait_for` of Python 3.11 prefers a result to a cancellation,
    https://github.com/python/cpython/issues/86296.)
    """
    task = asyncio.current_task()
    asked = task.cancelling() if task else 0
    try:
        yield
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if task and task.cancelling() > asked:
            raise asyncio.CancelledError from error
        raise
    if task and task.cancelling() > asked:
        raise asyncio.CancelledError
