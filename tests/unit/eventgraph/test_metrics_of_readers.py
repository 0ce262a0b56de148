"""What `/metrics` tells of views and process managers that cannot be asked."""

from __future__ import annotations

from dataclasses import replace
from inspect import isawaitable
from typing import Any, cast

import msgspec
import pytest

from eventgraph.console.status import BuildLine, StatusSource
from eventgraph.console.status_page import render
from eventgraph.running.metrics import sources_of
from eventgraph.running.servers import Servers
from eventgraph.serving.readiness import Readiness
from eventgraph.serving.served import ServedSubgraph
from eventkernel.errors import CorruptData, KernelError, Unavailable
from eventkernel.reacting.process import ProcessStatus
from eventkernel.reading.filling import FillingStatus
from eventkernel.reading.projector import ProjectorStatus
from eventkernel.reading.status import ParkedStream
from eventkernel.reading.views import Waiting
from kithgraph.system import SOCIAL_NETWORK


class Failing:
    """A view whose state cannot be read."""

    def __init__(self, error: KernelError) -> None:
        self._error = error

    async def status(self, *, listed: bool = True) -> object:
        raise self._error


@pytest.mark.parametrize("error", [Unavailable("no answer"), CorruptData("doors: malformed")])
async def test_one_subgraph_whose_readers_cannot_be_asked_takes_no_other_metrics_with_it(error: KernelError) -> None:
    subgraph = ServedSubgraph("doors", cast("Any", None), "", cast("Any", Failing(error)), cast("Any", None))
    readers = sources_of(Servers(), [subgraph])[-1]()
    assert isawaitable(readers)
    assert [(found.metric.name, found.values) for found in await readers] == [
        ("eventgraph.status.readable", {("doors",): 0})
    ]


class Answering:
    """A view, or a process manager, with this status, which lists what is parked for those who ask for that."""

    name = "closing"

    def __init__(self, status: object) -> None:
        self._status = status

    async def status(self, *, listed: bool = True) -> object:
        if isinstance(self._status, Exception):
            raise self._status
        if listed:
            return self._status
        if isinstance(self._status, ProjectorStatus) and self._status.live is not None:
            return replace(self._status, live=replace(self._status.live, parked=()))
        return replace(cast("ProcessStatus", self._status), parked=())


class Sound:
    """An audit that finds nothing."""

    def flaws(self) -> tuple[str, ...]:
        return ()

    def damage(self) -> tuple[str, ...]:
        return ()


STREAM = ParkedStream("door-1", "doors.x", 0, 2, "no such type", 3)


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_parked_is_told_only_while_it_is_known(known: bool) -> None:
    parked, waiting = ((STREAM,), Waiting(1, 3)) if known else ((), Waiting())
    filling = FillingStatus("b-1", (), parked, (), 0, parked_known=known, waiting=waiting)
    view = Answering(ProjectorStatus("doors", filling, None, ()))
    process = Answering(ProcessStatus("closing", (), parked, (), 0, parked_known=known, waiting=waiting))
    found = ServedSubgraph(
        "doors", cast("Any", None), "", cast("Any", view), cast("Any", Sound()), [cast("Any", process)]
    )
    told = sources_of(Servers(), [found])[-1]()
    assert isawaitable(told)
    values = {family.metric.name: family.values for family in await told}
    streams = {("doors",): 1, ("closing",): 1} if known else {}
    records = {("doors",): 3, ("closing",): 3} if known else {}
    assert values["eventgraph.reader.parked_streams"] == streams
    assert values["eventgraph.reader.parked_records"] == records
    assert values["eventgraph.view.live"] == {("doors",): 1}
    status = await StatusSource(SOCIAL_NETWORK, "here", [found]).status()
    page = render(status, "Doors", status.started)
    assert ("Not known of doors, closing." in page) is not known


@pytest.mark.parametrize("error", [Unavailable("no answer"), CorruptData("users-1.sqlite: malformed")])
async def test_the_status_tells_of_a_view_that_cannot_be_read_and_of_everything_else(error: KernelError) -> None:
    process = Answering(ProcessStatus("closing", (), (STREAM,), (), 7))
    damaged = ServedSubgraph(
        "doors", cast("Any", None), "", cast("Any", Answering(error)), cast("Any", Sound()), [cast("Any", process)]
    )
    filling = FillingStatus("b-1", (), (), (), 0)
    well = ServedSubgraph(
        "windows",
        cast("Any", None),
        "",
        cast("Any", Answering(ProjectorStatus("windows", filling, None, ()))),
        cast("Any", Sound()),
        [cast("Any", Answering(error))],
    )
    status = await StatusSource(SOCIAL_NETWORK, "here", [damaged, well]).status()
    first, second = status.subgraphs
    assert (first.view.readable, first.view.live, first.view.troubles[0].error) == (False, None, str(error))
    assert [one.reactions for one in first.processes] == [7]
    assert (second.view.readable, second.view.live) == (True, msgspec.convert(filling, BuildLine, from_attributes=True))
    assert (second.processes[0].troubles[0].error, second.processes[0].parked_known) == (str(error), False)
    page = render(status, "Doors", status.started)
    assert "1 view cannot be read" in page
    assert page.count(str(error)) == 2


async def test_deadlines_are_told() -> None:
    live = FillingStatus("b-1", (), (), (), 0)
    view = Answering(ProjectorStatus("doors", live, None, ()))
    process = Answering(ProcessStatus("closing", (), (), (), 0, deadlines=3, overdue_seconds=1.5))
    found = ServedSubgraph(
        "doors", cast("Any", None), "", cast("Any", view), cast("Any", Sound()), [cast("Any", process)]
    )
    told = sources_of(Servers(), [found])[-1]()
    assert isawaitable(told)
    values = {family.metric.name: family.values for family in await told}
    assert values["eventgraph.process_manager.deadlines"] == {("closing",): 3}
    assert values["eventgraph.process_manager.overdue_duration"] == {("closing",): 1.5}


@pytest.mark.parametrize(
    ("readiness", "told"),
    [(Readiness(), 1), (Readiness(warnings=["parked"]), 1), (Readiness(["no log"]), 0), (Unavailable("no view"), 0)],
)
async def test_readiness_is_told_also_where_the_views_are_kept_elsewhere(
    readiness: Readiness | Unavailable, told: int
) -> None:
    async def asked() -> Readiness:
        if isinstance(readiness, Unavailable):
            raise readiness
        return readiness

    nothing = cast("Any", None)
    subgraph = ServedSubgraph("doors", nothing, "", nothing, nothing, readiness=asked)
    families = sources_of(Servers(), [subgraph], keeps_views=False)[-1]()
    assert isawaitable(families)
    found = {family.metric.name: family.values for family in await families}
    assert found == {"eventgraph.subgraph.ready": {("doors",): told}}


async def test_a_process_that_answers_nobody_does_not_tell_that_the_subgraph_is_ready() -> None:
    async def asked() -> Readiness:
        return Readiness()

    nothing = cast("Any", None)
    subgraph = ServedSubgraph("doors", nothing, "", nothing, nothing, readiness=asked)
    told = [source() for source in sources_of(Servers(), [subgraph], answers=False, keeps_views=False)]
    families = [family for one in told for family in (await one if isawaitable(one) else one)]
    assert families
    assert not [family for family in families if family.metric.name == "eventgraph.subgraph.ready"]
