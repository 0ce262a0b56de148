"""Tags and append conditions keep the guarantees of the protocol of log and ledger, in every order of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast, get_args

import pytest

from tests.property.boundary_model import BoundaryModel, BoundarySafeguard, Decision
from tests.property.protocol_model import Command, Safeguard, Scenario

TAG, OTHER = frozenset({"t"}), frozenset({"u"})

BOTH_A: Final = Decision("a", "a", TAG, TAG)
BOTH_B: Final = Decision("b", "b", TAG, TAG, clock=5)
PLAIN: Final = Decision("plain", "a", TAG)
ASKS: Final = Decision("asks", "b", OTHER, TAG)
LEFT: Final = Decision("left", "a", TAG, OTHER)
RIGHT: Final = Decision("right", "b", OTHER, TAG, clock=5)
FAR_AHEAD: Final = Decision("far ahead", "a", frozenset(), TAG, clock=9)
MORE: Final = Decision("more", "b", TAG)


def _commands(*decisions: Decision) -> Mapping[str, Command]:
    return cast("Mapping[str, Command]", {decision.id: decision for decision in decisions})


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "two decide on one tag": Scenario(_commands(BOTH_A, BOTH_B), [], ["a", "b"]),
    "one decides on what another adds to": Scenario(_commands(PLAIN, ASKS), [], ["plain", "asks"]),
    "each adds to what the other decides on": Scenario(_commands(LEFT, RIGHT), [], ["left", "right"]),
    "a decision is repeated while another adds to its tag": Scenario(
        _commands(PLAIN, ASKS), [], ["plain", "asks", "asks"], openers=0, wipes=0
    ),
    "one decides while two add to its tag": Scenario(
        _commands(PLAIN, MORE, Decision("asks", "c", OTHER, TAG)), [], ["plain", "more", "asks"],
        openers=0, wipes=0, partitions={"a": 0, "b": 1, "c": 0},
    ),
    "two decide on one tag, and the log loses its end": Scenario(
        _commands(BOTH_A, BOTH_B), [], ["a", "b"], wipes=0, cuts=1, compares=True
    ),
    "each adds to what the other decides on, and the log loses its end": Scenario(
        _commands(LEFT, RIGHT), [], ["left", "right"], wipes=0, cuts=1, compares=True
    ),
}  # fmt: skip
LONG_SCENARIOS: Final[Mapping[str, Scenario]] = {
    "one decides, and another's turn is lost with the ledger": Scenario(
        _commands(FAR_AHEAD, MORE, Decision("asks", "c", OTHER, TAG)), [], ["far ahead", "more", "asks"],
        partitions={"a": 0, "b": 1, "c": 0},
    ),
    "two decide on one tag, and the ledger is restored": Scenario(
        _commands(BOTH_A, BOTH_B), [], ["a", "b"], restores=True
    ),
    "each adds to what the other decides on, and two open the ledger": Scenario(
        _commands(LEFT, RIGHT), [], ["left", "right"], openers=2
    ),
}  # fmt: skip

BREAKS: Final[Mapping[BoundarySafeguard | Safeguard, str]] = {
    "a commit has a turn for the tags that it carries": "one decides on what another adds to",
    "a commit has a turn for the tags that it asks about": "each adds to what the other decides on",
    "the turn is looked up before the condition": "two decide on one tag",
    "a turn is later than the one before": "two decide on one tag",
    "a reading ends where its tags ended before it": "one decides while two add to its tag",
    "a reading is as late as what was read": "one decides, and another's turn is lost with the ledger",
    "help before reading": "one decides on what another adds to",
    "help before a condition fails": "one decides on what another adds to",
    "the generation is checked after the insert": "two decide on one tag",
    "the generation is checked after the produce": "two decide on one tag",
    "fences": "two decide on one tag",
    "a fold up to the fences": "two decide on one tag",
    "older generations are ignored behind a fence": "two decide on one tag",
    "unique keys": "two decide on one tag",
    "what is put on the log again keeps its time": "each adds to what the other decides on, and the log loses its end",
    "an opening compares the log with the ledger": "each adds to what the other decides on, and the log loses its end",
    "unfinished commits come again, too": "each adds to what the other decides on, and the log loses its end",
    "a shorter log contests its ledger": "each adds to what the other decides on, and the log loses its end",
}
"""Where each part of the protocol is missed when it is left out."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_decision_knew_all_that_was_before_it_in_every_order_of_the_steps(name: str) -> None:
    found = BoundaryModel(SCENARIOS[name]).explore()
    assert found.violation is None
    assert found.states > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG_SCENARIOS)
def test_a_decision_knew_all_that_was_before_it_also_in_long_scenarios(name: str, full_campaign: bool) -> None:
    if not full_campaign:
        pytest.skip("hundreds of thousands of states: with --campaign full")
    assert BoundaryModel(LONG_SCENARIOS[name]).explore().violation is None


@pytest.mark.parametrize("safeguard", BREAKS)
def test_a_protocol_that_lacks_a_part_breaks_a_guarantee(safeguard: BoundarySafeguard | Safeguard) -> None:
    scenario = {**SCENARIOS, **LONG_SCENARIOS}[BREAKS[safeguard]]
    assert BoundaryModel(scenario, frozenset({safeguard})).explore().violation is not None


def test_every_part_is_left_out_once() -> None:
    assert set(get_args(BoundarySafeguard)) <= set(BREAKS)
