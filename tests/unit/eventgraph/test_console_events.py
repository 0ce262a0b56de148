"""The events of one stream, which are read by themselves, and what is no event of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from eventkernel.events import COMMAND_REMEMBERED, Record
from tests.support.doors import Hung
from tests.support.scripted_log import ScriptedLog
from tests.unit.eventgraph.test_console_following import serving


class Log(ScriptedLog):
    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        return [one for one in self.partitions[0] if one.stream == stream and one.version > after]


async def pages(log: Log, **asked: str) -> list[list[dict[str, Any]]]:
    """All pages, as somebody sees them who asks for older ones until there are none."""
    found: list[list[dict[str, Any]]] = []
    async with serving(log) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000") as client:
            before: str | None = ""
            while before is not None:
                params = {**asked, **({"before": before} if before else {})}
                answer = (await client.get("/console/api/events", params=params)).json()
                found.append(answer["events"])
                before = answer["before"]
    return found


async def test_no_event_of_a_stream_is_lost_between_pages_where_a_clock_was_set_back() -> None:
    log = Log("doors.x")
    for version in range(1, 121):
        log.put("door-1", version, Hung(name=""))
        record = log.partitions[0][-1]
        behind_us = 0 if version % 3 else 60_000_000  # of every third one, which another process has written
        log.partitions[0][-1] = msgspec.structs.replace(record, time_us=record.time_us - behind_us)
    first, second, third = await pages(log, stream="door-1")
    assert [len(first), len(second), len(third)] == [50, 50, 20]
    assert [one["offset"] for one in first + second + third] == list(range(119, -1, -1))


async def test_what_a_command_left_on_a_stream_that_changed_nothing_is_found_by_its_type() -> None:
    log = Log("doors.x")
    log.put("door-1", 1, Hung(name=""))
    log.put("door-1", 1, None)
    log.put("door-2", 1, None)
    (found,) = await pages(log, stream="door-1", type=COMMAND_REMEMBERED)
    assert [one["offset"] for one in found] == [1]
