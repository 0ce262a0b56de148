"""What all tests share: how long campaigns are, and that CI misses nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

pytest_plugins = ["tests.support.engines"]

# A shell that starts a job in the background lets it ignore Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
