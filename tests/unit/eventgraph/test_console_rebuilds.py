"""Rebuilds that were ordered at the console, and the history that its charts are drawn from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from eventgraph.console.history import History
from eventgraph.console.rebuilds import Rebuilds
from eventgraph.serving.served import ServedSubgraph
from eventkernel.errors import CorruptData, InvalidInput, NotFound, Unavailable
from eventkernel.events import Position
from eventkernel.reading.filling import FillingStatus
from eventkernel.reading.projector import ProjectorStatus
from eventkernel.reading.status import PartitionStatus
from graphrouter.telemetry.operations import OperationMetrics


class Audit:
    def flaws(self) -> tuple[str, ...]:
        return ()

    def damage(self) -> tuple[str, ...]:
        return ()


class Projecting:
    """A view of ten records whose rebuild goes on until it is told how it ends."""

    def __init__(self) -> None:
        self.ends: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.build = "b-1"
        self.done = 0
        self.failure: Exception | None = None
        self.asked: Callable[[], None] = lambda: None

    def filling(self, build: str, done: int) -> FillingStatus:
        return FillingStatus(build, (PartitionStatus("doors.x", 0, done, 10, 0.0),), (), (), 0)

    async def rebuild(self) -> str:
        self.build = await self.ends
        return self.build

    async def status(self, *, listed: bool = True) -> ProjectorStatus:
        if self.failure is not None:
            raise self.failure
        filling = self.filling("b-2", self.done) if self.done else None
        status = ProjectorStatus("doors", self.filling(self.build, 10), filling, ())
        self.asked()
        await asyncio.sleep(0)
        return status


class Process:
    name = "closing"


class Log:
    log = "doors.x"

    def __init__(self) -> None:
        self.end = 4

    async def head(self) -> Position:
        return Position.of("doors.x", 0, self.end)


def subgraph(projecting: Projecting, log: Log | None = None) -> ServedSubgraph:
    return ServedSubgraph(
        "doors", cast("Any", None), "", cast("Any", projecting), cast("Any", Audit()), store=cast("Any", log)
    )


async def test_a_rebuild_goes_on_while_nobody_looks_and_says_how_far_it_is() -> None:
    projecting = Projecting()
    rebuilds = Rebuilds([subgraph(projecting)])
    rebuilds.start("doors")
    await asyncio.sleep(0)
    projecting.done = 4
    (line,) = await rebuilds.lines()
    assert (line.running, line.filling, line.done, line.total, line.live) == (True, "b-2", 4, 10, "b-1")
    with pytest.raises(Unavailable, match="already"):
        rebuilds.start("doors")
    projecting.ends.set_result("b-2")
    projecting.done = 0
    while (line := (await rebuilds.lines())[0]).running:
        pass
    assert line.outcome is not None
    assert (line.live, line.outcome.build, line.outcome.error) == ("b-2", "b-2", "")


async def test_who_reads_that_a_rebuild_has_ended_reads_the_build_that_it_made() -> None:
    projecting = Projecting()
    rebuilds = Rebuilds([subgraph(projecting)])
    rebuilds.start("doors")
    await asyncio.sleep(0)

    def end() -> None:
        if not projecting.ends.done():
            projecting.ends.set_result("b-2")

    projecting.asked = end
    (line,) = await rebuilds.lines()
    assert line.running or line.live == "b-2"
    await rebuilds.aclose()


async def test_a_rebuild_that_is_cancelled_or_fails_says_so() -> None:
    projecting = Projecting()
    rebuilds = Rebuilds([subgraph(projecting)])
    with pytest.raises(NotFound):
        rebuilds.cancel("doors")
    rebuilds.start("doors")
    await asyncio.sleep(0)
    rebuilds.cancel("doors")
    while (line := (await rebuilds.lines())[0]).running:
        pass
    assert line.outcome is not None
    assert line.outcome.error == "it was cancelled"
    projecting.ends = asyncio.get_running_loop().create_future()
    rebuilds.start("doors")
    projecting.ends.set_exception(Unavailable("the disk is full"))
    while (line := (await rebuilds.lines())[0]).running:
        pass
    assert line.outcome is not None
    assert line.outcome.error == "the disk is full"


async def test_a_rebuild_that_is_cancelled_before_it_has_begun_is_over() -> None:
    projecting = Projecting()
    rebuilds = Rebuilds([subgraph(projecting)])
    rebuilds.start("doors")
    rebuilds.cancel("doors")
    for _ in range(5):
        await rebuilds.lines()
    (line,) = await rebuilds.lines()
    assert line.outcome is not None
    assert (line.running, line.outcome.error) == (False, "it was cancelled")
    rebuilds.start("doors")
    await rebuilds.aclose()


async def test_a_rebuild_that_a_defect_ends_says_so_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    projecting = Projecting()
    rebuilds = Rebuilds([subgraph(projecting)])
    rebuilds.start("doors")
    projecting.ends.set_exception(OSError("no space left on device"))
    while (line := (await rebuilds.lines())[0]).running:
        pass
    assert line.outcome is not None
    assert (line.outcome.build, "unexpected" in line.outcome.error) == ("", True)
    assert "no space left on device" in caplog.text


async def test_what_goes_on_when_the_process_stops_is_cancelled_and_only_views_are_rebuilt() -> None:
    projecting = Projecting()
    doors = subgraph(projecting)
    with_process = ServedSubgraph("doors", doors.app, "", doors.projector, doors.audit, [cast("Any", Process())])
    rebuilds = Rebuilds([with_process])
    with pytest.raises(InvalidInput):
        rebuilds.start("closing")
    with pytest.raises(NotFound):
        rebuilds.start("windows")
    rebuilds.start("doors")
    await asyncio.sleep(0)
    await rebuilds.aclose()
    assert projecting.ends.cancelled()


async def test_a_view_that_cannot_be_read_is_in_the_list_with_the_reason() -> None:
    damaged, well = Projecting(), Projecting()
    damaged.failure = CorruptData("b-1.sqlite: malformed")
    first, second = await Rebuilds([subgraph(damaged), subgraph(well)]).lines()
    assert (first.live, first.unreadable) == (None, "b-1.sqlite: malformed")
    assert (second.live, second.unreadable) == ("b-1", "")


async def test_the_history_has_rates_and_gaps_where_nothing_is_known() -> None:
    projecting, log, now = Projecting(), Log(), [100.0]
    operations = OperationMetrics()
    history = History([subgraph(projecting, log)], operations.families, lambda: now[0])
    await history.look()
    log.end, now[0] = 24, 110.0
    for _ in range(5):
        operations.executed(("query", "Q"), [], 0.1)
    operations.executed(("query", "Q"), [{"extensions": {"code": "NOT_FOUND"}}], 0.1)
    await history.look()
    projecting.failure, now[0] = Unavailable("no answer"), 120.0
    await history.look()
    first, second, third = history.samples
    assert (first.behind, first.appends, first.requests, first.errors) == (0, None, None, None)
    assert (second.at, second.behind, second.appends, second.requests, second.errors) == (110.0, 0, 2.0, 0.6, 0.1)
    assert (third.behind, third.appends, third.requests) == (None, 0.0, 0.0)


async def test_the_history_goes_on_after_a_look_that_fails_unexpectedly(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History([subgraph(Projecting(), Log())])
    outcomes = [RuntimeError("a defect"), RuntimeError("again"), None, RuntimeError("another")]
    all_are_over = asyncio.Event()

    async def look() -> None:
        if not outcomes:
            all_are_over.set()
            await asyncio.Event().wait()
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    monkeypatch.setattr(history, "look", look)
    monkeypatch.setattr("eventgraph.console.history.EVERY", 0)
    with capture_logs() as lines:
        running = asyncio.create_task(history.run())
        waiting = asyncio.create_task(all_are_over.wait())
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done(), "it has ended"
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [line["error"] for line in lines] == ["a defect", "another"], "once until one succeeds"


async def test_without_a_router_in_the_process_nobody_knows_of_requests_and_old_samples_go() -> None:
    now = [0.0]
    history = History([subgraph(Projecting(), Log())], None, lambda: now[0])
    for _ in range(200):
        now[0] += 5
        await history.look()
    assert len(history.samples) == 180
    assert history.samples[-1].at == 1_000.0
    assert {(sample.requests, sample.errors) for sample in history.samples} == {(None, None)}
