"""The specs for deciders and process managers: what they let pass and what they do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eventkernel.decider import Decider
from eventkernel.errors import NotFound
from eventkernel.events import Record, moment
from eventkernel.reacting.reactions import Reactions, Send, send
from eventkernel.testing.decider_spec import DeciderSpec
from eventkernel.testing.reactions_spec import ReactionsSpec
from tests.support.transfers import (
    ACCOUNTS,
    MOVING,
    TRANSFERS,
    Complete,
    Credit,
    Credited,
    Debit,
    Debited,
    Fail,
    Open,
    Opened,
    Requested,
    TooLittle,
)

REQUESTED = Requested(source="a", target="b", amount=3)


def test_a_decision_is_what_its_events_say() -> None:
    account = DeciderSpec.of(ACCOUNTS).given(Opened(owner="Ada"))
    account.when(Credit(5)).then(Credited(amount=5)).when(Debit(5)).then(Debited(amount=5))
    account.when(Open("Ada")).then()
    account.when(Debit(1)).refused(TooLittle, r"balance is 0$")
    DeciderSpec.of(ACCOUNTS).when(Credit(1)).refused(NotFound)
    account.claiming("owner:Ada")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda spec: spec.when(Credit(5)).then(), r"expected no event, found Credited\(amount=5\)"),
        (lambda spec: spec.when(Credit(5)).then(Credited(amount=6)), "expected Credited"),
        (lambda spec: spec.when(Credit(5)).refused(), "expected Refusal, found Credited"),
        (lambda spec: spec.when(Debit(5)).refused(NotFound), "expected NotFound, found TooLittle"),
        (lambda spec: spec.when(Debit(5)).refused(TooLittle, "nothing"), "expected 'nothing', found TooLittle"),
        (lambda spec: spec.claiming(), "expected the claims"),
    ],
)
def test_what_does_not_hold_of_a_decider_is_an_assertion_error(wrong: object, said: str) -> None:
    assert callable(wrong)
    with pytest.raises(AssertionError, match=said):
        wrong(DeciderSpec.of(ACCOUNTS).given(Opened(owner="Ada")))


def test_a_decider_that_draws_something_is_found_out() -> None:
    drawn = iter(range(10))

    def decide(_command: str, _state: int) -> Sequence[int]:
        return [next(drawn)]

    unsteady: Decider[int, str, int] = Decider(int, decide, lambda state, event: state + event)
    with pytest.raises(AssertionError, match="first decided 0, then 1"):
        DeciderSpec(unsteady).when("draw").then(0)


def test_a_saga_is_told_step_by_step() -> None:
    moving = ReactionsSpec(MOVING)
    asked = moving.when("transfer-1", REQUESTED).then(send(ACCOUNTS, "a", Debit(3)))
    asked.refused("account-a", TooLittle(2)).then(send(TRANSFERS, "1", Fail("only 2")))
    credited = asked.done("account-a").then(send(ACCOUNTS, "b", Credit(3)))
    credited.done("account-b").then(send(TRANSFERS, "1", Complete()))
    credited.refused("account-b", NotFound("gone")).then(
        send(ACCOUNTS, "a", Credit(3)), send(TRANSFERS, "1", Fail("gone"))
    )
    moving.late("transfer-1", REQUESTED).then(send(TRANSFERS, "1", Fail("too late")))
    assert moving.deadline("transfer-1", REQUESTED, time_us=5_000_000) == moment(65_000_000)
    assert moving.deadline("account-a", Opened(owner="Ada")) is None


def test_what_does_not_hold_of_a_process_manager_is_an_assertion_error() -> None:
    moving = ReactionsSpec(MOVING)
    asked = moving.when("transfer-1", REQUESTED)
    for expected in ([], [send(ACCOUNTS, "a", Debit(4))], [send(ACCOUNTS, "b", Debit(3))]):
        with pytest.raises(AssertionError, match="expected"):
            asked.then(*expected)
    with pytest.raises(AssertionError, match="does not react to Opened"):
        moving.when("account-a", Opened(owner="Ada"))
    with pytest.raises(AssertionError, match="expected a command for account-c"):
        asked.done("account-c")


def test_a_reaction_that_draws_something_is_found_out() -> None:
    drawn = iter(range(10))

    def pay(_event: Opened, _record: Record) -> Sequence[Send]:
        return [send(ACCOUNTS, "a", Credit(next(drawn)))]

    with pytest.raises(AssertionError, match="another reaction the second time"):
        ReactionsSpec(Reactions[None]("paying").on(Opened, pay)).when("account-a", Opened(owner="Ada"))
