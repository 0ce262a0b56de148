"""The projection spec finds what depends on the delivery, and what parks."""

from __future__ import annotations

import itertools

import pytest

from eventkernel.events import RecordedEvent
from eventkernel.reading.views import Projection
from eventkernel.testing.projection_spec import ProjectionSpec
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted, evolve


def test_documents_come_out_of_events() -> None:
    doors = ProjectionSpec(DOORS, CODEC)
    doors.given("a", Hung(name="oak"), Painted(colour="red")).given("b", Hung(name="elm")).given("a", Opened(times=3))
    assert doors.then() == {"a": ("oak", ("red",), 3), "b": ("elm", (), 0)}


def test_an_event_that_cannot_be_applied_is_named() -> None:
    with pytest.raises(AssertionError, match=r"a parks: evolving by .*Painted: ValueError"):
        ProjectionSpec(DOORS, CODEC).given("a", Hung(name="oak"), Painted(colour="poison")).then()


def test_a_projection_that_remembers_is_found_out() -> None:
    calls = itertools.count()

    def impure(door: Door | None, recorded: RecordedEvent) -> Door:
        name, colours, _ = evolve(door, recorded)
        return name, colours, next(calls)

    with pytest.raises(AssertionError, match="replay"):
        ProjectionSpec(Projection("doors", 1, impure), CODEC).given("a", Hung(name="oak"), Opened()).then()
