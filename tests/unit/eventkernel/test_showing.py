"""When a view has shown what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventkernel.events import Partition, Position
from eventkernel.reading.showing import Shown, ShownTimes
from eventkernel.reading.views import Change, State

HERE = Partition("doors.1", 0)
THERE = Partition("doors.1", 1)


def at(offset: int, partition: Partition = HERE) -> Position:
    return Position({partition: offset})


def test_a_record_was_shown_by_the_first_save_past_it() -> None:
    times = ShownTimes()
    times.saved(at(3), 30)
    times.saved(at(7), 70)

    assert [times.of(HERE, offset) for offset in (0, 2, 3, 6)] == [
        Shown(30, True), Shown(30, True), Shown(70, True), Shown(70, True),
    ]  # fmt: skip
    assert times.of(HERE, 7) is None


def test_partitions_have_moments_of_their_own() -> None:
    times = ShownTimes()
    times.saved(Position({HERE: 3, THERE: 1}), 30)
    times.saved(at(5, THERE), 50)

    assert times.of(THERE, 1) == Shown(50, True)
    assert times.of(HERE, 3) is None
    assert times.of(Partition("walls.1", 0), 0) is None


def test_what_was_there_when_the_following_began_was_shown_no_later_than_that() -> None:
    times = ShownTimes()
    times.found(at(10), 100)
    times.saved(at(11), 110)
    times.found(at(15), 150)  # another process has brought it further meanwhile

    assert times.of(HERE, 9) == Shown(100, False)
    assert times.of(HERE, 10) == Shown(110, True)
    assert times.of(HERE, 14) == Shown(150, False)


def test_a_save_that_goes_back_or_repeats_says_nothing_new() -> None:
    times = ShownTimes()
    times.saved(at(5), 50)
    times.saved(at(5), 60)
    times.saved(at(2), 70)

    assert times.of(HERE, 4) == Shown(50, True)
    assert times.of(HERE, 5) is None


def test_what_waited_was_shown_when_it_was_applied() -> None:
    times = ShownTimes()
    times.saved(at(5), 50)
    state = State(1, 1, "doors.1", 0, 3, None)
    times.saved_late([Change("a", (state,))], 90)

    assert times.of(HERE, 3) == Shown(90, True)
    assert times.of(HERE, 4) == Shown(50, True)


@given(
    steps=st.lists(st.integers(1, 5), min_size=1, max_size=300),
    most=st.integers(4, 40),
)
def test_a_thinned_list_is_bounded_never_too_early_and_exact_where_it_says_so(steps: list[int], most: int) -> None:
    times, whole = ShownTimes(most), ShownTimes(10_000)
    end = 0
    for moment, step in enumerate(steps, 1):
        end += step
        times.saved(at(end), moment)
        whole.saved(at(end), moment)

    told = [times.of(HERE, offset) for offset in range(end)]
    true = [whole.of(HERE, offset) for offset in range(end)]

    assert len({shown for shown in told if shown}) <= most
    for found, right in zip(told, true, strict=True):
        assert found is not None
        assert right is not None
        assert found.time_us >= right.time_us
        assert not found.exact or found.time_us == right.time_us
    assert told[-1] == true[-1]
