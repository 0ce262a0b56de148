"""The router over random subgraphs answers as one schema over the same data does.

Documents are composed, operations planned, checked and executed by the router itself. `make fuzz-router` is the long
run: ten thousand operations and more, and a table of the features and the planner's branches that have come up.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from tests.support.federations.campaign import Campaign
from tests.support.federations.cases import NamedCase, case_text, read_case, read_cases
from tests.support.federations.compare import difference

CASES = Path(__file__).parent / "federations"
UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
"""A seed says nothing when it gets smaller; the campaign makes failures small itself."""


@pytest.mark.timeout(600)
@settings(max_examples=25, deadline=None, phases=UNSHRUNK)
@given(seed=st.integers(min_value=0, max_value=2**32))
async def test_the_router_answers_as_one_schema_does(seed: int) -> None:
    campaign = Campaign(shrink_seconds=30)
    await campaign.federation(seed, operations=4)
    for feature in campaign.met:
        event(feature)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_thousand_operations_are_answered_as_one_schema_does() -> None:
    campaign, seed = Campaign(), 0
    while campaign.met["(operations)"] < 1000:
        await campaign.federation(seed, operations=8)
        seed += 1
    print(campaign.table())


@pytest.mark.parametrize("case", read_cases(CASES), ids=lambda case: case.name)
async def test_a_case_that_was_answered_wrongly_once_is_answered_as_one_schema_does(case: NamedCase) -> None:
    found = await difference(case)
    assert found is None, f"{found.kind}: {found.text}"


@pytest.mark.parametrize(("t", "f"), [(False, False), (False, True), (True, False), (True, True)])
async def test_a_mutation_happens_once_and_in_its_place_whatever_the_conditions(t: bool, f: bool) -> None:
    case = read_case(CASES / "a_mutation_s_field_that_stands_twice_under_conditions.graphql")
    assert await difference(replace(case, variables={"t": t, "f": f})) is None


def test_a_case_is_read_as_it_is_written(tmp_path: Path) -> None:
    case = read_cases(CASES)[0]
    path = tmp_path / f"{case.name}.graphql"
    path.write_text(case_text(case), encoding="utf-8")
    again = read_case(path)
    assert {name: text.strip() for name, text in again.documents.items()} == {
        name: text.strip() for name, text in case.documents.items()
    }
    assert (again.query.strip(), again.variables, again.labels) == (case.query.strip(), case.variables, case.labels)
