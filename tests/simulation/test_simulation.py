"""The product holds what it promises in every simulated history, and the simulation finds what is taken out of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import execute
from tests.simulation.embedded.mends import MENDS as EMBEDDED_MENDS
from tests.simulation.faults import SURVIVED
from tests.simulation.history import run
from tests.simulation.mends import MENDS, Mend
from tests.simulation.plan import Mix, drawn
from tests.simulation.shrinking import shrunk, story

_REPOSITORY = Path(__file__).parents[2]


def _simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As `make simulate` does: in a process of its own, in which a seed goes the same way each time."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(
        command, cwd=_REPOSITORY, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(1_200)
def test_no_oracle_objects_to_any_history(full_campaign: bool) -> None:
    done = _simulate("--histories", "2000" if full_campaign else "50")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_an_operator_has_to_look_at_harms_nothing_else() -> None:
    done = _simulate("--histories", "100", "--fault", "foreign record")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_a_seed_replays_exactly() -> None:
    first, second = (_simulate("--replay", "5").stdout for _ in range(2))
    assert first == second
    assert first.count("\n") > 5


def test_two_seeds_are_two_histories() -> None:
    mix = Mix(SURVIVED)
    assert run(drawn(1, mix)).digest != run(drawn(2, mix)).digest


@pytest.mark.parametrize("mend", [*MENDS.values(), *EMBEDDED_MENDS.values()], ids=lambda mend: mend.name)
def test_what_a_mechanism_is_taken_out_of_is_there(mend: Mend) -> None:
    with mend.without():
        pass


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_each_mechanism_that_is_taken_out_is_missed() -> None:
    done = _simulate("--table", "--histories", "3000")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_a_failure_is_made_small_and_told() -> None:
    mend = MENDS["waiting at the gate"]
    failure = next(result for seed in range(100) if (result := execute(drawn(seed, mend.mix), mend.without)).violations)
    small = shrunk(failure, lambda plan: execute(plan, mend.without))
    assert small.violations[0].oracle == failure.violations[0].oracle
    assert sum(map(len, small.plan.clients)) < sum(map(len, failure.plan.clients))
    told = story(small)
    assert "VIOLATED" in told
