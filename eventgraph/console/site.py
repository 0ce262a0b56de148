"""The console's pages and what they ask: put together out of the subgraphs of a process."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from eventgraph.console.access import Access, Answering, body_of, told
from eventgraph.console.event_filter import Wanted, parse_moment
from eventgraph.console.follow import followed
from eventgraph.console.history import EVERY, Counted, History
from eventgraph.console.mode import Mode
from eventgraph.console.newest import PAGE, EventPage, newest
from eventgraph.console.orders import Order, Orders
from eventgraph.console.rebuilds import Rebuilds
from eventgraph.console.shell import PLAYGROUND, STATUS, STORIES, Page, Shell, asset_route
from eventgraph.console.status import ParkedLine, StatusSource
from eventgraph.console.status_page import status_routes
from eventgraph.serving.served import ServedSubgraph
from eventgraph.stories.api import story_answer
from eventgraph.stories.facts import SubgraphTeller
from eventgraph.stories.story import Stories
from eventgraph.system import System
from eventkernel.errors import InvalidInput, NotFound, Unavailable
from eventkernel.events import (
    COMMAND_REFUSED,
    COMMAND_REMEMBERED,
    STREAM_RESUMED,
    Partition,
    Position,
    Record,
    log_name,
    names_of,
)
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.codec import EventType
from eventkernel.writing.envelope import to_attributes
from eventkernel.writing.store import EventStore
from graphrouter.authentication.caller import Caller
from graphrouter.http.refusal import HttpRefusal
from graphrouter.telemetry.recent import RecentRequests

EVENTS: Final = Page("Events", "console/events")
PARKED: Final = Page("Parked", "console/parked")
REBUILD: Final = Page("Rebuild", "console/rebuild")
PAGES: Final = (PLAYGROUND, STATUS, EVENTS, PARKED, REBUILD, STORIES)

_HERE: Final = Path(__file__).parent
_MOST_PARKED: Final = 500
"""Streams that wait which are listed."""
_MOST_WAITING: Final = 100
"""Records of one of them which are listed."""
_MOST_FOLLOWERS: Final = 16
_PATIENCE: Final = 20.0
"""Seconds that reading a page of the logs may take."""
_OF_THE_KERNEL: Final = (COMMAND_REMEMBERED, COMMAND_REFUSED, STREAM_RESUMED)
_WITHOUT_VERSION: Final = frozenset({COMMAND_REMEMBERED, COMMAND_REFUSED})
"""What reading a stream leaves out: it is looked for among all records."""

_log: Final = logging.getLogger(__name__)

_order: Final = msgspec.json.Decoder(Order).decode


@dataclass(frozen=True, slots=True)
class Operated:
    """What the console is about: the subgraphs of this process. `operations` counts those of the router, and `recent`
    are its last requests, where it is in this process as well."""

    system: System
    source: StatusSource
    subgraphs: Sequence[ServedSubgraph]
    operations: Counted | None = None
    recent: RecentRequests | None = None

    @property
    def stories(self) -> Stories | None:
        """What happened to mutations; None: it cannot be told here."""
        if self.recent is None:
            return None
        return Stories(self.system, [*map(SubgraphTeller, self.subgraphs)], self.recent)


@asynccontextmanager
async def console(
    operated: Operated, access: Access, elsewhere: Mapping[str, str] | None = None
) -> AsyncGenerator[Sequence[BaseRoute]]:
    """The routes of the status and, unless it is off, of the console, which works as long as the block lasts.

    `elsewhere` is as for `Shell`.
    """
    title = operated.system.title
    if access.mode is Mode.OFF:
        yield status_routes(operated.source, Shell(title, [PLAYGROUND, STATUS], elsewhere))
        return
    stories = operated.stories
    shell = Shell(title, [page for page in PAGES if page != STORIES or stories is not None], elsewhere)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(access.aclose)
        history = History(operated.subgraphs, operated.operations)
        looking = asyncio.create_task(history.run(), name="look for the console")
        rebuilds = Rebuilds(operated.subgraphs)
        site = _Site(operated, access, history, rebuilds)
        try:
            pages = [*_pages(shell), *([] if stories is None else [_page_route(shell, STORIES, "stories")])]
            yield [*status_routes(operated.source, shell, charts=True), *pages, site.api(stories)]
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            await rebuilds.aclose()


@asynccontextmanager
async def stories_console(
    stories: Stories, access: Access, elsewhere: Mapping[str, str] | None = None
) -> AsyncGenerator[Sequence[BaseRoute]]:
    """The console of a process that serves no subgraph: its stories, whose facts other processes tell."""
    if access.mode is Mode.OFF:
        yield ()
        return
    shell = Shell(stories.title, [PLAYGROUND, STORIES], elsewhere)

    async def home(_request: Request) -> Response:
        return RedirectResponse(STORIES.path, headers={"cache-control": "no-store"})

    try:
        yield [
            Route("/console", home, methods=["GET"]),
            _page_route(shell, STORIES, "stories"),
            asset_route(),
            access.api({"story": story_answer(stories)}, {}),
        ]
    finally:
        await access.aclose()


def _page_route(shell: Shell, page: Page, name: str) -> BaseRoute:
    content = (_HERE / f"{name}.html").read_text()

    async def answer(_request: Request) -> Response:
        return shell.answer(page, content, scripts=[f"{name}.js"])

    return Route(f"/{page.path}", answer, methods=["GET"])


def _pages(shell: Shell) -> Sequence[BaseRoute]:
    async def home(_request: Request) -> Response:
        return RedirectResponse("status", headers={"cache-control": "no-store"})

    return [
        Route("/console", home, methods=["GET"]),
        _page_route(shell, EVENTS, "events"),
        _page_route(shell, PARKED, "parked"),
        _page_route(shell, REBUILD, "rebuild"),
    ]


class _Site:
    """What the pages ask."""

    def __init__(self, operated: Operated, access: Access, history: History, rebuilds: Rebuilds) -> None:
        self._system = operated.system
        self._source = operated.source
        self._subgraphs = operated.subgraphs
        self._access = access
        self._history = history
        self._rebuilds = rebuilds
        self._orders = Orders(operated.subgraphs)
        self._followers: set[Response] = set()

    def api(self, stories: Stories | None) -> BaseRoute:
        looking: dict[str, Answering] = {
            "session": self.session,
            "history": self.history,
            "events": self.events,
            "events/follow": self.follow,
            "parked": self.parked,
            "waiting": self.waiting,
            "rebuilds": self.rebuilds,
        }
        if stories is not None:
            looking["story"] = story_answer(stories)
        acting: dict[str, Answering] = {
            "retry": self.retry,
            "skip": self.skip,
            "rebuild": self.rebuild,
            "cancel": self.cancel,
        }
        return self._access.api(looking, acting)

    async def session(self, _request: Request) -> Response:
        """What the pages may do, and the names that they offer."""
        return told(
            {
                "acts": self._access.shows_data,
                "logs": [
                    {"name": name, "types": [*_types(self._system, name), *_OF_THE_KERNEL]}
                    for name in self._system.logs
                ],
            }
        )

    async def history(self, _request: Request) -> Response:
        return told({"every": EVERY, "samples": self._history.samples})

    async def events(self, request: Request) -> Response:
        stores, wanted = self._asked(request.query_params)
        before = request.query_params.get("before")
        try:
            async with asyncio.timeout(_PATIENCE):
                head = Position.joined([await store.head() for store in stores])
                start = None if before is None else Bookmark.decode(before).position
                page = await _page(stores, wanted, head if start is None else start)
        except TimeoutError:
            raise Unavailable(f"the logs were not read within {_PATIENCE:g} s: look at fewer of them") from None
        values = self._values(request.query_params)
        return told(
            {
                "events": [_told(record, values) for record in page.records],
                "before": Bookmark(page.before).encode() if page.before else None,
                "lookedThrough": page.looked_through,
                "head": Bookmark(head).encode(),
            }
        )

    async def follow(self, request: Request) -> Response:
        stores, wanted = self._asked(request.query_params)
        tell = partial(_told, values=self._values(request.query_params))
        after = request.query_params.get("after")
        position = Position.joined([await store.head() for store in stores])
        if after is not None:
            position = Bookmark.decode(after).position
        if len(self._followers) >= _MOST_FOLLOWERS:
            raise Unavailable(f"{_MOST_FOLLOWERS} browsers follow the logs already, which is the most")
        caller: Caller | None = request.state.caller
        proved_until = None if caller is None else caller.expires
        events = followed(stores, replace(wanted, until=None), position, tell, proved_until)
        return _Following(events, self._followers)

    async def parked(self, _request: Request) -> Response:
        status = await self._source.status()
        views = set(self._system.names)
        found = [{"view": name, "isView": name in views, **msgspec.to_builtins(line)} for name, line in status.parked()]
        return told({"streams": found[:_MOST_PARKED], "all": len(found)})

    async def waiting(self, request: Request) -> Response:
        asked = request.query_params
        stream, view, log = asked.get("stream", ""), asked.get("view", ""), asked.get("log", "")
        line = await self._waiting_line(view, stream, log)
        store = self._orders.store(log_name(line.log))
        records = await store.read_stream(stream, after=line.version - 1)
        some = records[: min(line.waiting, _MOST_WAITING)]
        return told({"events": [_told(record, values=False) for record in some], "all": line.waiting})

    async def rebuilds(self, _request: Request) -> Response:
        return told({"views": await self._rebuilds.lines()})

    async def retry(self, request: Request) -> Response:
        await self._orders.retry(await _order_of(request))
        return told({})

    async def skip(self, request: Request) -> Response:
        order = await _order_of(request)
        if order.version:
            first = (await self._waiting_line(order.view, order.stream, order.log)).version
            if first != order.version:
                waits = f"version {first} is the first that waits now"
                raise HttpRefusal(409, "CONFLICT", f"version {order.version} does not wait any more: {waits}")
        await self._orders.skip(order)
        return told({})

    async def rebuild(self, request: Request) -> Response:
        self._rebuilds.start((await _order_of(request)).view)
        return told({}, 202)

    async def cancel(self, request: Request) -> Response:
        self._rebuilds.cancel((await _order_of(request)).view)
        return told({}, 202)

    def _asked(self, asked: QueryParams) -> tuple[Sequence[EventStore], Wanted]:
        names = [name for name in asked.getlist("log") if name] or list(self._orders.stores)
        stores = [self._orders.store(name) for name in dict.fromkeys(names)]
        since, until = asked.get("since"), asked.get("until")
        return stores, Wanted(
            frozenset(stream for stream in asked.getlist("stream") if stream),
            frozenset(kind for kind in asked.getlist("type") if kind),
            parse_moment(since) if since else None,
            parse_moment(until) if until else None,
        )

    def _values(self, asked: QueryParams) -> bool:
        """Whether events are told with their data, which may be personal.

        Raises:
            HttpRefusal: they are asked for and must not be shown.
        """
        if not asked.get("data"):
            return False
        if not self._access.shows_data:
            raise HttpRefusal(403, "FORBIDDEN", "this console does not show the events' data: it is set to read-only")
        return True

    async def _waiting_line(self, view: str, stream: str, log: str) -> ParkedLine:
        status = await self._source.status()
        for name, line in status.parked():
            if (name, line.stream) == (view, stream) and log in {"", line.log}:
                return line
        raise NotFound(f"nothing of the stream {stream[:100]!r} waits in {view[:100]!r}")


class _Following(StreamingResponse):
    """Tells events until the browser is gone, and is one of the followers meanwhile."""

    def __init__(self, events: AsyncGenerator[bytes], followers: set[Response]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._followers = followers
        followers.add(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._events):  # a browser that reads nothing leaves them where they are
                await super().__call__(scope, receive, send)
        finally:
            self._followers.discard(self)


def _told(record: Record, values: bool) -> dict[str, Any]:
    """A record for the page: its attributes and its place, and its data where these are asked for."""
    found: dict[str, Any] = {**to_attributes(record), "partition": record.partition, "offset": record.offset}
    if values and record.data:
        found["data"] = record.data.decode(errors="replace")
    return found


async def _page(stores: Sequence[EventStore], wanted: Wanted, before: Position) -> EventPage:
    if len(wanted.streams) != 1 or wanted.types & _WITHOUT_VERSION:
        return await newest(stores, wanted, before)
    # One stream is read by itself, however far back its events lie.
    (stream,) = wanted.streams
    try:
        read = await asyncio.gather(*(store.read_stream(stream) for store in stores))
    except Unavailable:  # it waits behind a gap: what stands on the log is what an operator is looking for
        return await newest(stores, wanted, before)
    # Each log in its own order, also where a clock was set back: the next page begins at an offset.
    merged = heapq.merge(*(reversed(records) for records in read), key=lambda one: one.time_us, reverse=True)
    ends = before.offsets
    records = [one for one in merged if wanted.has(one) and one.offset < ends.get(Partition(one.log, one.partition), 0)]
    some = records[:PAGE]
    rest = Position()
    if len(records) > PAGE:
        rest = Position({**before.offsets, **{Partition(one.log, one.partition): one.offset for one in some}})
    return EventPage(some, rest, len(records))


async def _order_of(request: Request) -> Order:
    try:
        order = _order(await body_of(request))
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"the order: {error}") from None
    caller: Caller | None = request.state.caller
    who = "somebody" if caller is None else caller.actor
    what = request.url.path.rpartition("/")[2]
    _log.warning("console: %s asks for %s, view %.100r, stream %.200r", who, what, order.view, order.stream)
    return order


def _types(system: System, log: str) -> Sequence[str]:
    events = system.subgraph(log).events
    return [name for one in events for name in names_of(one.event if isinstance(one, EventType) else one)]
