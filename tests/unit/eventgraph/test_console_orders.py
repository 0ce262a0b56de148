"""Orders that are given at the console: what the log says of them, and which record a skip is of."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request

from eventgraph.console.access import Access
from eventgraph.console.mode import Mode
from eventkernel.reading.filling import FillingStatus
from eventkernel.reading.status import ParkedStream
from graphrouter.authentication.caller import Caller
from tests.support.scripted_log import ScriptedLog
from tests.unit.eventgraph.test_console_following import serving
from tests.unit.eventgraph.test_console_rebuilds import Projecting


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
    assert lines == [r"console: ada asks for cancel, view 'doors', stream 'door-1\nforged line'"]


class Parked(Projecting):
    """A stream waits from its third version on."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: list[tuple[str, str]] = []

    def filling(self, build: str, done: int) -> FillingStatus:
        waiting = ParkedStream("door-1", "doors.x", 0, 3, "it cannot be folded", 2)
        return FillingStatus(build, (), (waiting,), (), done)

    async def skip(self, stream: str, reason: str) -> None:
        self.skipped.append((stream, reason))


@pytest.mark.parametrize(("version", "status"), [(2, 409), (3, 200), (0, 200)])
async def test_a_record_that_somebody_else_has_skipped_meanwhile_takes_no_other_one_along(
    version: int, status: int
) -> None:
    parked = Parked()
    order = {"view": "doors", "stream": "door-1", "reason": "by hand", "log": "doors.x", "version": version}
    async with serving(ScriptedLog("doors.x"), projecting=parked) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000") as client:
            answer = await client.post("/console/api/skip", json=order)
    assert (answer.status_code, len(parked.skipped)) == (status, 1 if status == 200 else 0)
