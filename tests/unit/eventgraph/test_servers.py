"""Servers of a process of one's own."""

from __future__ import annotations

import asyncio
import gc
from unittest.mock import patch

from eventgraph.running.servers import Servers


async def test_the_collector_is_set_for_serving_before_anybody_is_waited_for() -> None:
    """A full pass over what was loaded at the start would keep everybody waiting for tens of milliseconds."""
    servers = Servers()
    with patch.object(gc, "freeze") as freeze, patch.object(gc, "set_threshold") as set_threshold:
        waiting = asyncio.create_task(servers.until_stopped())
        await asyncio.sleep(0)
        freeze.assert_called_once_with()
        set_threshold.assert_called_once()
        assert set_threshold.call_args.args[0] >= 100_000
        servers.stop()
        await waiting
