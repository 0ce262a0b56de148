"""What all tests share: how long campaigns are, and that CI misses nothing."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["tests.support.engines"]

IN_CI = os.environ.get("CI") == "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--campaign",
        choices=("short", "full"),
        default="short",
        help="how many rounds the long campaigns (crashes, random operations) run",
    )


@pytest.fixture
def full_campaign(request: pytest.FixtureRequest) -> bool:
    """Whether a campaign runs in its full length, as in `make test-all`."""
    return bool(request.config.getoption("--campaign") == "full")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: whatever a test needs, CI has to install."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
