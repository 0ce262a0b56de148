"""A clock that steps is doubted, and followed when it goes on."""

from __future__ import annotations

import logging

import pytest

from eventkernel.clock import DOUBTED_SECONDS, LARGEST_STEP_SECONDS, ManualClock, SteadyClock

YEAR = 365 * 86_400


class Machine:
    """What a machine's clock is set to, and what it counts whatever that is."""

    def __init__(self) -> None:
        self.set = ManualClock()
        self.counted = ManualClock(0)
        self.steady = SteadyClock(self.set, self.counted.now_us)

    def goes_on(self, seconds: float) -> None:
        self.set.advance(seconds)
        self.counted.advance(seconds)

    def ahead(self) -> float:
        """How far the steady clock is ahead of the one that is set, in seconds."""
        return (self.steady.now_us() - self.set.now_us()) / 1_000_000


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_clock_that_goes_on_is_followed(machine: Machine) -> None:
    for _ in range(3):
        machine.goes_on(YEAR)
        assert machine.ahead() == 0


@pytest.mark.parametrize("step", [1, -1, LARGEST_STEP_SECONDS, -LARGEST_STEP_SECONDS])
def test_a_small_step_is_followed_at_once(machine: Machine, step: float) -> None:
    machine.set.advance(step)
    assert machine.ahead() == 0


@pytest.mark.parametrize("step", [LARGEST_STEP_SECONDS + 1, -LARGEST_STEP_SECONDS - 1, YEAR, -YEAR])
def test_a_clock_that_is_wrong_for_a_moment_has_no_effect(
    machine: Machine, step: float, caplog: pytest.LogCaptureFixture
) -> None:
    machine.set.advance(step)
    for _ in range(3):
        machine.goes_on(1)
        assert machine.ahead() == -step
    machine.set.advance(-step)
    assert machine.ahead() == 0
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert f"{step:.0f} seconds" in caplog.text


def test_a_clock_that_was_set_is_followed_after_a_while(machine: Machine) -> None:
    machine.set.advance(YEAR)
    assert machine.ahead() == -YEAR
    machine.goes_on(DOUBTED_SECONDS - 1)
    assert machine.ahead() == -YEAR
    machine.goes_on(1)
    assert machine.ahead() == 0
    machine.goes_on(1)
    assert machine.ahead() == 0


def test_a_clock_that_steps_again_and_again_is_never_followed(machine: Machine) -> None:
    machine.set.advance(YEAR)
    for _ in range(3):
        machine.goes_on(DOUBTED_SECONDS - 1)
        assert machine.ahead() < 0
        machine.set.advance(YEAR)
        machine.ahead()
    machine.set.advance(-4 * YEAR)
    assert machine.ahead() == 0


def test_time_does_not_stand_still_meanwhile(machine: Machine) -> None:
    machine.set.advance(YEAR)
    before = machine.steady.now_us()
    machine.goes_on(7)
    assert machine.steady.now_us() - before == 7_000_000
