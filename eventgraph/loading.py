"""Loads what a long-running command needs, without looking for garbage meanwhile.

Importing makes hundreds of thousands of objects that last as long as the process. The collector would walk through them
again and again while they are made, which is a seventh of the start, and at each full collection afterwards.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def loading() -> Generator[None]:
    """Nothing is collected while the block runs; what is there at its end never is.

    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
