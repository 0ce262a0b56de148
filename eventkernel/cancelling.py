"""Work and its cancellation: what must not stop halfway, and what is given up when something else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


async def finished(work: Callable[[], Awaitable[None]]) -> None:
    """Does something that must not stop halfway: a cancellation takes effect when it is done."""
    working = asyncio.ensure_future(work())
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        if not working.cancelled():
            working.exception()  # whoever wanted to know has gone
        raise


async def unless(happens: Coroutine[Any, Any, object], work: Coroutine[Any, Any, object]) -> None:
    """Works until the work is done, or until this happens: then the work is cancelled. Returns when it has ended.

    Raises what the work raises, or what the waiting for the other raises.
    """
    tasks = (asyncio.create_task(work), asyncio.create_task(happens))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
