"""Limits grow with what the machine takes, and are never shorter than on a quiet one."""

from __future__ import annotations

import os
import time

import pytest

from infra import patience


@pytest.fixture(autouse=True)
def _measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_measured", None)


def takes(monkeypatch: pytest.MonkeyPatch, seconds: float, load: float) -> None:
    """The measured work takes so long, on two cores under such a load."""
    times = iter([0.0, seconds])
    monkeypatch.setattr(time, "thread_time", lambda: next(times))
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.parametrize(
    ("took", "load", "expected"), [(0.001, 0.1, 10), (0.012, 2, 10), (0.036, 1, 30), (0.012, 30, 150), (9, 90, 400)]
)
def test_a_limit_is_scaled(monkeypatch: pytest.MonkeyPatch, took: float, load: float, expected: float) -> None:
    takes(monkeypatch, took, load)
    assert patience.seconds(10) == pytest.approx(expected)
