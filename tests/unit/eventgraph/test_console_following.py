"""Browsers that follow the logs: how many may, for how long, and that one that is gone is none any more."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp

from eventgraph.console.access import Access
from eventgraph.console.event_filter import EVERYTHING
from eventgraph.console.follow import followed
from eventgraph.console.mode import Mode
from eventgraph.console.site import Operated, console
from eventgraph.console.status import StatusSource
from eventkernel.events import Position
from graphrouter.authentication.caller import Caller
from kithgraph.system import SOCIAL_NETWORK
from tests.support.scripted_log import ScriptedLog
from tests.unit.eventgraph.test_console_rebuilds import Projecting, subgraph


class Log(ScriptedLog):
    """Says where it ends as soon as the test lets it."""

    def __init__(self) -> None:
        super().__init__("doors.x")
        self.asked = 0
        self.twenty_ask = asyncio.Event()
        self.answers = asyncio.Event()

    async def head(self) -> Position:
        self.asked += 1
        if self.asked == 20:
            self.twenty_ask.set()
        await self.answers.wait()
        return await super().head()


class Expired(Access):
    """Everybody has a token that proves nothing any more a moment later."""

    async def _caller(self, request: Request) -> Caller | None:
        return Caller("ada", frozenset({"console"}), {}, time.time())


class Browser:
    """Follows, and reads what it is told or leaves it where it is."""

    def __init__(self, app: ASGIApp, *, reads: bool = True) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.told = asyncio.Event()
        self._reads = reads
        self._leaves = asyncio.Event()
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/console/api/events/follow",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:9000")],
            "server": ("127.0.0.1", 9000),
        }
        self.ended = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def leave(self) -> None:
        self._leaves.set()
        await self.ended

    async def _receive(self) -> MutableMapping[str, Any]:
        await self._leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status.set_result(message["status"])
            return
        self.told.set()
        if not self._reads:
            await asyncio.Event().wait()


@asynccontextmanager
async def serving(
    log: ScriptedLog, access: Access | None = None, projecting: Projecting | None = None
) -> AsyncGenerator[ASGIApp]:
    doors = subgraph(projecting or Projecting(), cast("Any", log))
    operated = Operated(SOCIAL_NETWORK, StatusSource(SOCIAL_NETWORK, "memory", [doors]), [doors])
    async with console(operated, access or Access(Mode.ON)) as routes:
        yield Starlette(routes=list(routes))


async def test_no_more_browsers_follow_than_may_where_they_come_at_once() -> None:
    log = Log()
    async with serving(log) as app:
        browsers = [Browser(app) for _ in range(20)]
        await log.twenty_ask.wait()
        log.answers.set()
        assert Counter([await browser.status for browser in browsers]) == {200: 16, 503: 4}
        for browser in browsers:
            await browser.leave()


async def test_a_browser_that_is_gone_makes_room_for_another_one_whether_it_has_read_or_not() -> None:
    log = Log()
    log.answers.set()
    async with serving(log) as app:
        for reads in (True, False, True):
            browsers = [Browser(app, reads=reads) for _ in range(16)]
            assert {await browser.status for browser in browsers} == {200}
            for browser in browsers:
                await browser.told.wait()
            for browser in browsers:
                await browser.leave()
        for _ in range(10):  # those that were told to end are at it
            await asyncio.sleep(0)
        following = [task for task in asyncio.all_tasks() if "_follow" in repr(task.get_coro())]
        assert following == []


async def test_nobody_follows_for_longer_than_their_token_lasts() -> None:
    log = Log()
    log.answers.set()
    async with serving(log, Expired(Mode.ON)) as app:
        browser = Browser(app)
        assert await browser.status == 200
        await browser.ended


async def test_what_is_followed_until_a_moment_ends_then() -> None:
    log = ScriptedLog("doors.x")
    told = [part async for part in followed([log], EVERYTHING, Position(), str, time.time() + 0.01)]
    assert set(told) <= {b": follows\n\n", b": quiet\n\n"}
