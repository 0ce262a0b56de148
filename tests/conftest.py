"""What all tests share: how long campaigns are, and that CI misses nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from infra.patience import seconds

pytest_plugins = ["tests.support.engines"]

# A shell that starts a job in the background lets it ignore Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something of the machine, and nothing of what is tested.
settings.register_profile(
    "any machine",
    parent=settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")

IN_CI = os.environ.get("CI") == "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--campaign",
        choices=("short", "full"),
        default="short",
        help="how many rounds the long campaigns (crashes, random operations) run",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Every worker measures for itself, and each test gets what the machine was like when the session began.
    if config.getoption("timeout", None) is None:
        config.option.timeout = seconds(float(config.getini("timeout")))
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresByName(config))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("timeout")
        if marker is not None and marker.args:
            item.add_marker(pytest.mark.timeout(seconds(marker.args[0])), append=False)


class FailuresByName:
    """Names a failed test at once: a session that dies before its summary has said which they were."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            terminal = self._config.get_terminal_writer()
            terminal.line()
            terminal.line(f"FAILED {report.nodeid} ({report.when})")


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
