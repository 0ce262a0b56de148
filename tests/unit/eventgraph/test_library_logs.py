"""What libraries log about each attempt is not shown: whoever uses them tells of a failure once."""

from __future__ import annotations

import logging

import pytest
import structlog

from eventgraph.running.logs import log_to_stderr


@pytest.mark.parametrize("level", ["info", "warning"])
def test_brokers_that_are_away_are_not_told_of_by_the_driver(
    capsys: pytest.CaptureFixture[str], level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    before = root.level, logging.getLogger("aiokafka").level
    try:
        log_to_stderr("info" if level == "info" else "warning")
        for _ in range(100):
            logging.getLogger("aiokafka.client").error("Unable connect to node with id %s", 1)
        logging.getLogger("eventkernel.retrying").warning("reading failed and is being tried again")
    finally:
        root.setLevel(before[0])
        logging.getLogger("aiokafka").setLevel(before[1])
        structlog.reset_defaults()  # it would go on writing to this test's standard error
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "is being tried again" in told
