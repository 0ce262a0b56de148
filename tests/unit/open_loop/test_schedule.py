"""When requests arrive."""

from __future__ import annotations

import itertools
import random
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventgraph.errors import StartError
from eventgraph.load.schedule import Arrivals, Schedule, Stage, planned, seconds

CONSTANT, POISSON = Arrivals.CONSTANT, Arrivals.POISSON


def moments(schedule: Schedule, arrivals: Arrivals = CONSTANT, seed: int = 1) -> list[float]:
    return list(schedule.moments(arrivals, random.Random(seed)))


def test_a_constant_rate_is_even_from_the_first_moment_on() -> None:
    assert moments(planned(4, "2s", None, ())) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


def test_thirty_seconds_are_the_default() -> None:
    assert planned(2, None, None, ()) == Schedule([Stage(30, 2, 2)])


def test_a_ramp_has_in_each_second_what_the_rate_is_then() -> None:
    found = moments(planned(None, None, "0..100 over 10s", ()))
    assert len(found) == 500
    # Between two seconds the rate's integral is 5·t², so 5, 15, 25, … arrive.
    assert [sum(second <= moment < second + 1 for moment in found) for second in range(10)] == list(range(5, 100, 10))


def test_a_ramp_may_go_down_to_nothing() -> None:
    found = moments(planned(None, None, "20..0 over 2s", ()))
    assert len(found) == 20
    assert found == sorted(found)
    assert sum(moment < 1 for moment in found) == 15


def test_stages_follow_one_another_without_a_gap() -> None:
    schedule = planned(None, None, None, ["1s@2", "2s@2..6", "500ms@10"])
    found = moments(schedule)
    assert found[:2] == [0.0, 0.5]
    assert found[-5:] == pytest.approx([3.0, 3.1, 3.2, 3.3, 3.4])
    assert len(found) == 2 + 8 + 5
    assert [schedule.rate(moment) for moment in (0.5, 2.0, 3.2, 3.5)] == [2, 4, 10, 0]


def test_independent_clients_come_at_the_rate_on_average_and_their_gaps_are_exponential() -> None:
    found = moments(planned(100, "1m", None, ()), POISSON, seed=7)
    assert len(found) == pytest.approx(6000, rel=0.05)
    gaps = [later - sooner for sooner, later in itertools.pairwise(found)]
    longer = sum(gap > 0.02 for gap in gaps) / len(gaps)
    assert longer == pytest.approx(exp(-2), abs=0.02)


def test_independent_clients_follow_a_ramp() -> None:
    found = moments(planned(None, None, "0..400 over 20s", ()), POISSON, seed=3)
    assert len(found) == pytest.approx(4000, rel=0.05)
    assert sum(moment < 10 for moment in found) == pytest.approx(1000, rel=0.1)


def test_the_same_seed_gives_the_same_moments_and_another_one_others() -> None:
    schedule = planned(50, "2s", None, ())
    assert moments(schedule, POISSON, seed=5) == moments(schedule, POISSON, seed=5)
    assert moments(schedule, POISSON, seed=5) != moments(schedule, POISSON, seed=6)


RATE = st.floats(0, 300, allow_subnormal=False)
STAGES = st.lists(
    st.builds(Stage, st.floats(0.1, 5), RATE, RATE).filter(lambda stage: stage.begins + stage.ends > 0.01),
    min_size=1,
    max_size=3,
)


@given(STAGES)
def test_as_many_arrive_as_the_rates_say_in_order_and_in_their_time(stages: list[Stage]) -> None:
    schedule = Schedule(stages)
    found = moments(schedule)
    assert abs(len(found) - schedule.requests) <= 1
    assert found == sorted(found)
    assert all(0 <= moment <= schedule.seconds for moment in found)


@given(st.builds(Stage, st.floats(0.1, 5), st.floats(1, 300), st.floats(1, 300)), st.floats(0.01, 0.99))
def test_what_has_arrived_by_a_moment_is_the_integral_of_the_rate(stage: Stage, share: float) -> None:
    moment = stage.when(share * stage.requests)
    steps = 10
    integral = sum(stage.rate(moment * (n + 0.5) / steps) for n in range(steps)) * moment / steps
    assert integral == pytest.approx(share * stage.requests, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((None, None, None, ()), "expected one of --rate, --ramp and --stage, found none of them"),
        ((5, None, "1..2 over 1s", ()), "found --rate and --ramp"),
        ((None, None, "1..2 over 1s", ["1s@1"]), "found --ramp and --stage"),
        ((None, "5s", "1..2 over 1s", ()), "--duration goes with --rate"),
        ((5, "30", None, ()), "--duration: expected a time with its unit, such as 500ms, 30s, 2m or 1h, found '30'"),
        ((5, "0s", None, ()), "--duration: expected a time"),
        ((0, "5s", None, ()), "--rate: expected a rate above 0 and up to 10000 a second, found '0..0'"),
        ((1e5, "5s", None, ()), "--rate: expected"),
        ((float("nan"), "5s", None, ()), "--rate: expected"),
        ((-1, "5s", None, ()), "--rate: expected"),
        ((5, "25h", None, ()), "expected at most 24h in all, found 25h"),
        ((None, None, "1..2", ()), "--ramp: expected such as '50..800 over 2m', found '1..2'"),
        ((None, None, "1..x over 2m", ()), "--ramp: expected requests a second, such as 200 or 50..800, found '1..x'"),
        ((None, None, None, ["5@1s"]), "--stage: expected a time"),
        ((None, None, None, ["1s"]), "--stage: expected such as 30s@100 or 2m@100..500, found '1s'"),
        ((None, None, None, ["1s@0..0"]), "--stage: expected a rate above 0"),
        ((None, None, None, ["1s@" + "9" * 1000]), "--stage: expected a rate above 0"),
    ],
)
def test_what_is_no_schedule_is_refused(
    options: tuple[float | None, str | None, str | None, list[str]], expected: str
) -> None:
    with pytest.raises(StartError) as error:
        planned(*options)
    assert expected in str(error.value)
    assert len(str(error.value)) < 300


def test_times_have_units() -> None:
    assert [seconds(text, "--timeout") for text in ("250ms", "1.5s", "2m", "1h")] == [0.25, 1.5, 120, 3600]
