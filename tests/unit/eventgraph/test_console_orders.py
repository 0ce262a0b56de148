"""What the log says of orders that are given at the console."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request

from eventgraph.console.access import Access
from eventgraph.console.mode import Mode
from graphrouter.authentication.caller import Caller
from tests.support.scripted_log import ScriptedLog
from tests.unit.eventgraph.test_console_following import serving


class Known(Access):
    async def _caller(self, request: Request) -> Caller | None:
        return Caller("ada", frozenset({"console"}))


async def test_each_order_has_one_line_with_who_gave_it_what_it_is_and_of_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    order = {"view": "doors", "stream": "door-1\nforged line", "reason": "Ada Lovelace asked for it"}
    async with serving(ScriptedLog("doors.x"), Known(Mode.ON)) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000") as client:
            assert (await client.post("/console/api/cancel", json=order)).status_code == 404
    lines = [record.getMessage() for record in caplog.records if record.name == "eventgraph.console.site"]
    assert lines == [r"console: ada orders: cancel, view 'doors', stream 'door-1\nforged line'"]
