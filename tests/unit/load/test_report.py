"""Figures, and how they are told."""

from __future__ import annotations

import json
from array import array

from kithgraph.load import report
from kithgraph.load.differences import Difference, Differences
from kithgraph.load.measure import Figures, Operations, Part, PhaseTime
from kithgraph.load.network import Network
from kithgraph.load.run import Outcome


def test_percentiles_are_latencies_that_were_measured() -> None:
    measured = Operations(array("d", [number / 1000 for number in range(100, 0, -1)]))
    assert measured.percentiles(0.5, 0.95, 0.99, 1.0) == [0.05, 0.095, 0.099, 0.1]
    assert Operations(array("d", [3.0])).percentiles(0.5, 1.0) == [3.0, 3.0]
    assert Operations().percentiles(0.5) == [0.0]


def test_json_has_every_figure_and_difference() -> None:
    figures, differences = Figures(), Differences()
    figures.of(Part.LOAD, "addFriend").latencies.extend([0.001, 0.002])
    figures.of(Part.LOAD, "addFriend").codes["ALREADY_EXISTS"] += 1
    figures.of(Part.SETTLED, "users").latencies.append(0.5)
    figures.retries["TimeoutError"] += 2
    figures.phases.append(PhaseTime("people", 10, 2.0))
    differences.add(Difference(Part.SETTLED, "users", {"first": 3}, {"users": ["a"]}, {"users": []}))
    told = json.loads(report.as_json(Outcome(Network("tiny", [], [], [], 1), figures, differences), "http://x/graphql"))
    assert told["requests"] == {"load": 2, "checks at once": 0, "checks when settled": 1}
    assert told["operations"][0] == {
        "part": "load",
        "operation": "addFriend",
        "answers": 2,
        "milliseconds": {"p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0},
        "errors": {"ALREADY_EXISTS": 1},
    }
    assert told["phases"] == [{"phase": "people", "requests": 10, "seconds": 2.0, "requestsPerSecond": 5.0}]
    assert told["sentAgain"] == {"TimeoutError": 2}
    assert told["differences"] == 1
    assert told["firstDifferences"][0]["expected"] == {"users": ["a"]}
