"""The protocol of log and ledger keeps its guarantees in every order of its steps, and none of its parts is idle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

import pytest

from tests.property.protocol_model import Command, Model, Safeguard, Scenario

X_OF_TWO_RECORDS: Final = Command("x", "a", size=2)
TOOK: Final = Command("took", "a", takes="name")
GIVES: Final = Command("gives", "a", gives="name")
TAKES: Final = Command("takes", "b", takes="name")
BOUND: Final = Command("bound", "b", takes="name", binding=True)
FIRST: Final = Command("first", "a")
SECOND: Final = Command("second", "a")
THIRD: Final = Command("third", "a")
BESIDE: Final = Command("beside", "c")
BESIDE_OF_TWO_RECORDS: Final = Command("beside", "c", size=2)
ELSEWHERE: Final = Command("elsewhere", "b")
FOREIGN: Final = Command("foreign", "a")
RESUMED: Final = Command("resumed", "a", resumes=True)
ONE_PARTITION: Final = {"a": 0, "c": 0}


def _commands(*commands: Command) -> Mapping[str, Command]:
    return {command.id: command for command in commands}


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "two streams claim one name": Scenario(_commands(TOOK, TAKES), [], ["took", "takes"]),
    "two commands want one stream": Scenario(_commands(X_OF_TWO_RECORDS, Command("y", "a")), [], ["x", "y"]),
    "a command is repeated": Scenario(_commands(X_OF_TWO_RECORDS), [], ["x", "x"]),
    "a name passes on": Scenario(_commands(TOOK, GIVES, TAKES), ["took"], ["gives", "takes"]),
    "a name passes on, and the ledger is restored": Scenario(
        _commands(TOOK, GIVES, TAKES), ["took"], ["gives", "takes"], restores=True
    ),
    "a command is repeated, and the ledger is restored": Scenario(
        _commands(X_OF_TWO_RECORDS), [], ["x", "x"], restores=True
    ),
    "the ledger is wiped, wiped again, and opened twice": Scenario(
        _commands(Command("x", "a")), [], ["x"], openers=2, wiped=True
    ),
    "a command is repeated, and another claims its name": Scenario(
        _commands(TOOK, TAKES), [], ["took", "took", "takes"]
    ),
    "a command that was refused is repeated when its name is free": Scenario(
        _commands(TOOK, GIVES, BOUND), ["took"], ["gives", "bound", "bound"], openers=0, wipes=0
    ),
    "a command that is refused loses its ledger": Scenario(_commands(TOOK, BOUND), ["took"], ["bound", "bound"]),
    "the log loses its end, and two streams go on": Scenario(
        _commands(FIRST, SECOND, BESIDE, THIRD), ["first", "second"], ["beside", "third"],
        wipes=0, cuts=1, partitions=ONE_PARTITION,
    ),
    "the log loses its end while a command is repeated": Scenario(
        _commands(FIRST, BESIDE_OF_TWO_RECORDS), ["first"], ["beside", "beside"],
        wipes=0, cuts=1, partitions=ONE_PARTITION,
    ),
    "the power goes twice": Scenario(
        _commands(FIRST, BESIDE), ["first"], ["beside"], wipes=0, cuts=2, partitions=ONE_PARTITION, compares=True,
    ),
    "the log loses its end, and who takes a lost place dies": Scenario(
        _commands(FIRST, BESIDE), ["first"], ["beside", "beside"],
        wipes=0, cuts=1, partitions=ONE_PARTITION, dies=True, compares=True,
    ),
    "the log loses its end, and two open the ledger, twice in all": Scenario(
        _commands(FIRST, BESIDE), ["first"], ["beside"],
        openers=2, openings=2, wipes=0, cuts=1, partitions=ONE_PARTITION,
    ),
    "somebody writes behind a gap": Scenario(
        _commands(FIRST, SECOND, THIRD, FOREIGN, RESUMED), ["first"], ["second", "third", "resumed"],
        openers=0, wipes=0, intruder=("foreign", 4), late=frozenset({"third"}),
    ),
    "somebody writes behind a gap, and other streams go on": Scenario(
        _commands(FIRST, SECOND, ELSEWHERE, FOREIGN, RESUMED), ["first"], ["second", "elsewhere", "resumed"],
        openers=0, wipes=0, intruder=("foreign", 4),
    ),
    "somebody writes behind a gap, and the ledger is wiped": Scenario(
        _commands(FIRST, SECOND, FOREIGN, RESUMED), ["first"], ["second", "resumed"],
        intruder=("foreign", 4), late=frozenset({"second"}),
    ),
}  # fmt: skip
LONG_SCENARIOS: Final[Mapping[str, Scenario]] = {
    "two streams claim one name while the ledger is wiped twice and opened twice": Scenario(
        _commands(TOOK, TAKES), [], ["took", "takes"], openers=2, wiped=True
    ),
    "two commands want one stream, and two open the ledger": Scenario(
        _commands(Command("x", "a"), Command("y", "a")), [], ["x", "y"], openers=2
    ),
    "a command that was refused is repeated when its name is free, and the ledger is wiped": Scenario(
        _commands(TOOK, GIVES, BOUND), ["took"], ["gives", "bound", "bound"]
    ),
    "the ledger is restored twice, and opened twice": Scenario(
        _commands(Command("x", "a")), [], ["x"], openers=2, wipes=2, restores=True
    ),
}  # fmt: skip

ENDLESS_SCENARIOS: Final[Mapping[str, Scenario]] = {
    "the log loses its end, and two open the ledger": Scenario(
        _commands(FIRST, BESIDE), ["first"], ["beside"],
        openers=2, wipes=0, cuts=1, partitions=ONE_PARTITION,
    ),
    "the power goes twice while a command is repeated": Scenario(
        _commands(FIRST, BESIDE_OF_TWO_RECORDS), ["first"], ["beside", "beside"],
        wipes=0, cuts=2, partitions=ONE_PARTITION, compares=True,
    ),
    "the power goes twice, and two streams go on": Scenario(
        _commands(FIRST, BESIDE, SECOND), ["first"], ["beside", "second"],
        wipes=0, cuts=2, partitions=ONE_PARTITION, compares=True,
    ),
}  # fmt: skip
"""Too many states to be explored whole each time: the nearest ones are."""

BREAKS: Final[Mapping[Safeguard, str]] = {
    "help before answering a repeated command": "a command is repeated",
    "help before building on a commit": "two commands want one stream",
    "help before refusing a claim": "two streams claim one name",
    "one batch for a commit": "two commands want one stream",
    "the generation is checked after the insert": "two streams claim one name",
    "the generation is checked after the produce": "two streams claim one name",
    "the generation is checked before helping": "a command is repeated, and another claims its name",
    "the generation is checked before a refusal": "a name passes on, and the ledger is restored",
    "fences": "two streams claim one name",
    "a fold up to the fences": "two streams claim one name",
    "older generations are ignored behind a fence": "two streams claim one name",
    "the first record of a version counts": "two streams claim one name",
    "claims are given up after the produce": "a name passes on",
    "unique keys": "two streams claim one name",
    "a back-up is restored without its generation": "a name passes on, and the ledger is restored",
    "a refusal is remembered": "a command that was refused is repeated when its name is free",
    "an opening compares the log with the ledger": "the log loses its end, and two streams go on",
    "what came behind a lost commit comes again": "the log loses its end, and two streams go on",
    "unfinished commits come again, too": "the log loses its end, and two streams go on",
    "a generation names what it restores from": "the log loses its end, and two open the ledger, twice in all",
    "a place has one commit": "the log loses its end, and two streams go on",
    "a contested place closes the ledger": "the log loses its end, and two streams go on",
    "a shorter log contests its ledger": "the log loses its end, and two streams go on",
    "a commit does not stand behind a newer fence": "the log loses its end while a command is repeated",
    "a stream waits at a gap": "somebody writes behind a gap",
    "a gap stops only its stream": "somebody writes behind a gap, and other streams go on",
    "a stream waits until the record is decided that lets it go on": "somebody writes behind a gap",
    "what stands before a stream goes on is given up": "somebody writes behind a gap",
    "the ledger is compared with the log again and again": "the log loses its end, and who takes a lost place dies",
    "a ledger is named until the one after it is open": "the power goes twice",
    "what was put on the log again is looked at behind the next fences": "the power goes twice",
    "an opener's fences stand when it is done": "the power goes twice",
    "a generation has one opener": "two streams claim one name while the ledger is wiped twice and opened twice",
}
"""Where each part of the protocol is missed when it is left out."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_guarantees_hold_in_every_order_of_the_steps(name: str) -> None:
    found = Model(SCENARIOS[name]).explore()
    assert found.violation is None
    assert found.states > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG_SCENARIOS)
def test_the_guarantees_hold_also_where_several_open_the_ledger_at_once(name: str, full_campaign: bool) -> None:
    if not full_campaign:
        pytest.skip("half a million states: with --campaign full")
    assert Model(LONG_SCENARIOS[name]).explore().violation is None


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ENDLESS_SCENARIOS)
def test_the_guarantees_hold_in_the_nearest_states(name: str, full_campaign: bool) -> None:
    most = 300_000 if full_campaign else 30_000
    found = Model(ENDLESS_SCENARIOS[name]).explore(most, whole=False)
    assert (found.violation, found.states > most) == (None, True)


@pytest.mark.parametrize("safeguard", get_args(Safeguard))
def test_a_protocol_that_lacks_a_part_breaks_a_guarantee(safeguard: Safeguard) -> None:
    assert (
        Model({**SCENARIOS, **LONG_SCENARIOS, **ENDLESS_SCENARIOS}[BREAKS[safeguard]], frozenset({safeguard}))
        .explore()
        .violation
        is not None
    )


def test_what_is_found_is_told_as_the_steps_that_lead_to_it() -> None:
    found = Model(SCENARIOS["a command is repeated"], frozenset({"help before answering a repeated command"})).explore()
    assert found.violation is not None
    assert found.violation.what.startswith("G1")
    assert found.violation.steps[-1].endswith("answer")
