"""The open loop, in virtual time against servers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from eventgraph.load.drive import Answered, Arrival, Drive, Lost, Send
from eventgraph.load.figures import Figures, Measured
from tests.support.virtual_time import now, run_in_virtual_time

SERVICE = 0.010


def every(seconds: float, until: float, operation: str = "show") -> list[Arrival]:
    return [Arrival(operation, number * seconds) for number in range(round(until / seconds))]


def driven(
    send: Send, arrivals: Sequence[Arrival], *, at_most: int = 1000, timeout: float = 30, stop: Sequence[float] = ()
) -> Figures:
    """The figures of a run, which is stopped at these seconds."""
    figures = Figures({arrival.operation for arrival in arrivals}, arrivals[-1].at)

    async def main() -> None:
        drive = Drive(send, figures, at_most=at_most, timeout=timeout, clock=now, grace=2)
        for second in stop:
            asyncio.get_running_loop().call_later(second, drive.stop)
        await drive.run(arrivals)

    run_in_virtual_time(main())
    assert accounted(figures.all)
    return figures


def accounted(measured: Measured) -> bool:
    """Whether every request that arrived is somewhere."""
    ended = measured.answered + measured.lost + measured.timed_out + measured.not_started + measured.cut_off
    return measured.arrived == ended


async def steady(operation: str) -> Answered:
    await asyncio.sleep(SERVICE)
    return Answered()


def stalling(begin: float, end: float) -> Send:
    """A server that answers nothing for a while, and then all that was asked, at once."""

    async def send(operation: str) -> Answered:
        if begin <= now() < end:
            await asyncio.sleep(end - now())
        await asyncio.sleep(SERVICE)
        return Answered()

    return send


def test_a_steady_server_is_measured_as_it_is() -> None:
    figures = driven(steady, every(0.01, 10))
    assert figures.all.answered == figures.all.arrived == 1000
    assert figures.all.latency.percentile(0.001) == figures.all.latency.greatest == pytest.approx(SERVICE, abs=2e-5)
    assert figures.lag.greatest == 0
    assert figures.all.failed == 0


def test_a_stall_is_seen_by_all_that_arrive_in_it_also_by_those_that_must_wait_for_others() -> None:
    """A second of a hundred: one in a hundred is late, by what is left of the second, on average half of it."""
    figures = driven(stalling(40, 41), every(0.01, 100), at_most=4)
    latency = figures.all.latency
    late = sum(count for microseconds, count in latency.counts.items() if microseconds > 1.01 * SERVICE * 1e6)
    # A hundred of the stall; those that come while the four at a time catch up are late too.
    assert 100 <= late <= 140
    assert latency.percentile(0.985) == pytest.approx(SERVICE, abs=2e-5)
    assert latency.percentile(0.995) > 0.4
    assert latency.greatest == pytest.approx(1 + SERVICE, abs=0.011)
    # Who counts from the sending sees the four that were under way, and believes that all others were quick.
    service = figures.all.service
    assert sum(count for microseconds, count in service.counts.items() if microseconds > 1.01 * SERVICE * 1e6) == 4
    assert service.percentile(0.995) == pytest.approx(SERVICE, abs=2e-5)


def test_as_many_as_asked_are_started_at_their_moments_however_slow_the_server_is() -> None:
    async def slow(operation: str) -> Answered:
        await asyncio.sleep(5)
        return Answered()

    figures = driven(slow, every(0.1, 10))
    assert [one.started for one in figures.slices[:10]] == [10] * 10
    assert figures.all.service.percentile(0.5) == pytest.approx(5, rel=0.001)


def test_no_more_are_under_way_than_may_be() -> None:
    under_way, most = 0, 0

    async def send(operation: str) -> Answered:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        return Answered()

    figures = driven(send, every(0.01, 1), at_most=3)
    assert most == 3
    assert figures.all.answered == 100
    # Three at a time of a twentieth of a second: sixty a second.
    assert figures.seconds == pytest.approx(100 / 60, abs=0.06)


def test_those_that_wait_are_started_in_the_order_in_which_they_arrived() -> None:
    started: list[str] = []

    async def send(operation: str) -> Answered:
        started.append(operation)
        await asyncio.sleep(1)
        return Answered()

    names = [f"number {number}" for number in range(9)]
    driven(send, [Arrival(name, number * 0.01) for number, name in enumerate(names)], at_most=2)
    assert started == names


def test_what_cannot_be_started_in_time_is_counted_and_not_dropped() -> None:
    async def hangs(operation: str) -> Answered:
        await asyncio.Event().wait()
        return Answered()

    together = [Arrival("show", number // 5 / 10) for number in range(100)]
    figures = driven(hangs, together, at_most=1, timeout=2)
    found = figures.all
    assert (found.arrived, found.answered) == (100, 0)
    assert found.timed_out + found.not_started == found.failed == 100
    # One of those that come together is under way until the time of all of them is over.
    assert found.not_started >= 60
    assert found.errors == {"TIMEOUT": found.timed_out, "NOT_STARTED": found.not_started}
    assert found.latency.total == 100
    assert found.latency.percentile(0.01) >= 2
    # A run ends at the latest that time after its last request.
    assert figures.seconds <= 1.9 + 2 + 0.001


def test_a_request_that_waited_has_only_what_is_left_of_its_time() -> None:
    async def slow(operation: str) -> Answered:
        await asyncio.sleep(1.5)
        return Answered()

    figures = driven(slow, [Arrival("show", 0), Arrival("show", 0)], at_most=1, timeout=2)
    assert (figures.all.answered, figures.all.timed_out) == (1, 1)
    assert figures.seconds == pytest.approx(2)


def test_errors_are_counted_by_code_and_operation_and_expected_ones_are_none() -> None:
    async def send(operation: str) -> Answered:
        await asyncio.sleep(SERVICE)
        match operation:
            case "lost":
                raise Lost("HTTP_502")
            case "refused":
                return Answered(refusals=["NOT_FOUND"])
            case "wrong":
                return Answered(errors=["INTERNAL", "UNAVAILABLE"])
            case _:
                return Answered()

    names = ["right", "lost", "refused", "wrong"]
    figures = driven(send, [Arrival(name, number / 10) for number, name in enumerate(names * 3)])
    assert figures.all.failed == 6
    assert figures.all.errors == {"HTTP_502": 3, "INTERNAL": 3, "UNAVAILABLE": 3}
    assert figures.all.refusals == {"NOT_FOUND": 3}
    assert {name: one.failed for name, one in figures.operations.items()} == {
        "right": 0, "lost": 3, "refused": 0, "wrong": 3,
    }  # fmt: skip
    assert (figures.operations["lost"].lost, figures.operations["lost"].latency.total) == (3, 0)
    assert sum(one.failed for one in figures.slices) == 6


def test_a_fault_of_the_generator_itself_ends_the_run() -> None:
    async def send(operation: str) -> Answered:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as error:
        driven(send, every(0.1, 1))
    assert isinstance(error.value.exceptions[0], ZeroDivisionError)


def test_a_generator_that_is_busy_says_how_late_it_came() -> None:
    """Its clock goes on while it does something else, here for 0.3 s after the third request."""
    lost = 0.0

    async def send(operation: str) -> Answered:
        nonlocal lost
        if figures.all.arrived == 3:
            lost += 0.3
        return Answered()

    figures = Figures(["show"], 1)

    async def main() -> None:
        drive = Drive(send, figures, at_most=10, timeout=30, clock=lambda: now() + lost)
        await drive.run(every(0.1, 1))

    run_in_virtual_time(main())
    assert figures.lag.greatest == pytest.approx(0.3, abs=0.001)
    assert figures.all.latency.greatest >= figures.lag.greatest
    assert figures.all.answered == 10


def test_a_run_that_is_stopped_starts_no_more_and_waits_for_those_under_way() -> None:
    async def send(operation: str) -> Answered:
        await asyncio.sleep(0.5)
        return Answered()

    figures = driven(send, every(0.1, 100), stop=[3.05])
    assert figures.all.arrived == figures.all.answered == 31
    assert figures.seconds == pytest.approx(3.5)


def test_what_waits_or_hangs_when_a_run_is_stopped_is_cut_off_after_a_moment() -> None:
    async def hangs(operation: str) -> Answered:
        await asyncio.Event().wait()
        return Answered()

    figures = driven(hangs, every(0.1, 100), at_most=5, stop=[1.05])
    assert (figures.all.arrived, figures.all.cut_off, figures.all.failed) == (11, 11, 0)
    assert figures.seconds == pytest.approx(3.05)


def test_a_second_stop_cuts_at_once() -> None:
    async def hangs(operation: str) -> Answered:
        await asyncio.Event().wait()
        return Answered()

    figures = driven(hangs, every(0.1, 100), stop=[1.0, 1.0])
    assert figures.all.cut_off == figures.all.arrived
    assert figures.seconds == pytest.approx(1.0)


def test_latencies_stand_in_the_slice_in_which_the_request_arrived() -> None:
    figures = driven(stalling(2, 4), every(0.1, 6))
    assert [round(one.latency.greatest, 1) for one in figures.slices[:6]] == [0.0, 0.0, 2.0, 1.0, 0.0, 0.0]
    assert [one.answered for one in figures.slices[:6]] == [10, 10, 0, 0, 30, 10]


def test_a_long_run_has_no_more_slices_than_a_chart_has_room_for() -> None:
    figures = driven(steady, every(60, 24 * 3600))
    assert len(figures.slices) <= 300
    assert sum(one.answered for one in figures.slices) == 1440
