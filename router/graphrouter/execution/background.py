"""Where work on large data is done: in a thread, one piece of work at a time, while the event loop goes on.

What is small is done at once: handing it over would cost more than doing it. In the thread runs Python, which gives way
to the loop by itself; what does not (decoding and encoding JSON) is done there in pieces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

LARGE_BYTES: Final = 512 * 1024
"""From this size on, together, the answers of subgraphs and whatever is done with them are large."""

LARGE_COUNT: Final = 5_000
"""From this number on, objects of one response are many."""


class Background:
    """The thread; it begins with the first work."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="graphrouter-large")

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
