"""Python's garbage collector, set for a process that serves answers.

The collector looks for cycles whenever 700 more containers were made than freed, which decoding a single answer does
twice. What it then walks through, again and again, are the answers under way and the modules; cycles it finds few, for
an answer is a tree and freed by counting references. So what is there at the start is set aside, and the collector
waits for as many containers as a hundred large answers have.
"""

from __future__ import annotations

import gc

_CONTAINERS = 250_000


def set_collector_for_serving() -> None:
    """For whoever owns the process, when everything is loaded and nothing is served yet; again when what was loaded has
    been replaced."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_CONTAINERS, 20, 20)
