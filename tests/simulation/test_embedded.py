"""The embedded system holds what it promises in every simulated history, and the simulation finds what is taken out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import execute
from tests.simulation.embedded.campaign import EMBEDDED
from tests.simulation.embedded.faults import SURVIVED
from tests.simulation.embedded.mends import MENDS
from tests.simulation.plan import Mix
from tests.simulation.shrinking import shrunk, story

_REPOSITORY = Path(__file__).parents[2]


def _simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", "--embedded", *arguments]
    return subprocess.run(
        command, cwd=_REPOSITORY, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(600)
def test_no_oracle_objects_to_any_history_of_the_embedded_system(full_campaign: bool) -> None:
    done = _simulate("--histories", "250" if full_campaign else "40")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_a_seed_of_the_embedded_system_replays_exactly() -> None:
    first, second = (_simulate("--replay", "9").stdout for _ in range(2))
    assert first == second
    assert "FAULT" in first


def test_two_seeds_are_two_histories_of_the_embedded_system() -> None:
    mix = Mix(SURVIVED)
    assert EMBEDDED.run(EMBEDDED.drawn(1, mix)).digest != EMBEDDED.run(EMBEDDED.drawn(2, mix)).digest


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_each_mechanism_that_is_taken_out_of_the_embedded_system_is_missed() -> None:
    done = _simulate("--table", "--histories", "200")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_a_failure_of_the_embedded_system_is_made_small_and_told() -> None:
    mend = MENDS["the fsync before the acknowledgement"]
    failure = next(
        result
        for seed in range(100)
        if (result := execute(EMBEDDED.drawn(seed, mend.mix), mend.without, EMBEDDED)).violations
    )
    small = shrunk(failure, lambda plan: execute(plan, mend.without, EMBEDDED))
    assert small.violations[0].oracle == failure.violations[0].oracle
    assert sum(map(len, small.plan.clients)) < sum(map(len, failure.plan.clients))
    assert "VIOLATED" in story(small)
