"""The bank's rules: accounts, the limit over an owner's accounts, transfers, and the saga between them."""

from __future__ import annotations

import pytest

from bank.accounts.domain import (
    FULL_MINOR,
    AccountClosed,
    AccountCredited,
    AccountDebited,
    AccountOpened,
    AccountRefunded,
    AccountUnfit,
    Close,
    Credit,
    CreditByTransfer,
    CreditRefused,
    Debit,
    DebitForTransfer,
    DebitRefused,
    InsufficientFunds,
    Reason,
    Refund,
)
from bank.accounts.limit import OPEN_ACCOUNTS, OWNERS_ACCOUNTS, OpenForOwner, TooManyAccounts, boundary
from bank.money import MOST_MINOR, Money
from bank.saga import ACCOUNT, MONEY_MOVES, STEPS_ARE_RECORDED, TRANSFER
from bank.transfers.domain import (
    RecordCredit,
    RecordDebit,
    RecordRefund,
    RecordRefusal,
    Request,
    TransferCompleted,
    TransferDebited,
    TransferFailed,
    TransferRejected,
    TransferRequested,
)
from eventkernel.errors import AlreadyExists, InvalidInput, NotFound
from eventkernel.reacting.reactions import send
from eventkernel.testing.decider_spec import DeciderSpec
from eventkernel.testing.reactions_spec import ReactionsSpec

OPENED = AccountOpened(owner_id="ada", owner="Ada", name="daily", currency="EUR")
CREDITED = AccountCredited(minor=500, memo="salary")
THREE = Money(300, "EUR")
SIX = Money(600, "EUR")
account = DeciderSpec.of(ACCOUNT).given(OPENED, CREDITED)
REQUESTED = TransferRequested(source="a", target="b", minor=300, currency="EUR", memo="rent")
DEBITED = TransferDebited(target="b", minor=300, currency="EUR", memo="rent")
REJECTED = TransferRejected(source="a", minor=300, currency="EUR", reason=Reason.CLOSED)
transfer = DeciderSpec.of(TRANSFER).given(REQUESTED)


def test_an_account_is_credited_and_debited_as_far_as_it_holds() -> None:
    account.when(Credit(THREE, "gift")).then(AccountCredited(minor=300, memo="gift"))
    account.when(Debit(Money(500, "EUR"))).then(AccountDebited(minor=500))
    account.when(Debit(Money(501, "EUR"))).refused(InsufficientFunds, Reason.BALANCE)


@pytest.mark.parametrize("minor", [0, -1, MOST_MINOR + 1])
def test_an_amount_is_more_than_nothing_and_not_too_large(minor: int) -> None:
    account.when(Credit(Money(minor, "EUR"))).refused(InvalidInput, "amount: expected more than nothing")
    account.when(Debit(Money(minor, "EUR"))).refused(InvalidInput, "amount: expected more than nothing")
    DeciderSpec.of(TRANSFER).when(Request("a", "b", Money(minor, "EUR"))).refused(InvalidInput, "amount: expected")


def test_what_does_not_fit_an_account_is_refused_with_the_reason() -> None:
    account.when(Credit(Money(3, "USD"))).refused(AccountUnfit, Reason.CURRENCY)
    full = DeciderSpec.of(ACCOUNT).given(OPENED, AccountCredited(minor=FULL_MINOR))
    full.when(Credit(Money(1, "EUR"))).refused(AccountUnfit, Reason.FULL)
    closed = DeciderSpec.of(ACCOUNT).given(OPENED, AccountClosed(owner_id="ada"))
    closed.when(Credit(THREE)).refused(AccountUnfit, Reason.CLOSED)
    DeciderSpec.of(ACCOUNT).when(Debit(THREE)).refused(NotFound, Reason.NO_ACCOUNT)


def test_an_account_is_closed_when_it_is_empty_and_once() -> None:
    account.when(Close()).refused(AccountUnfit, "expected an empty account, found 5.00 EUR in it")
    empty = DeciderSpec.of(ACCOUNT).given(OPENED)
    closed = empty.when(Close()).then(AccountClosed(owner_id="ada"))
    closed.when(Close()).then()
    DeciderSpec.of(ACCOUNT).when(Close()).refused(NotFound, Reason.NO_ACCOUNT)


def test_what_an_account_refuses_of_a_transfer_is_an_event() -> None:
    account.when(DebitForTransfer(THREE, "rent", "t")).then(AccountDebited(minor=300, memo="rent", transfer="t"))
    account.when(DebitForTransfer(SIX, "rent", "t")).then(DebitRefused(transfer="t", reason=Reason.BALANCE))
    account.when(CreditByTransfer(THREE, "rent", "t")).then(AccountCredited(minor=300, memo="rent", transfer="t"))
    account.when(CreditByTransfer(Money(3, "JPY"), "", "t")).then(CreditRefused(transfer="t", reason=Reason.CURRENCY))
    nobody = DeciderSpec.of(ACCOUNT)
    nobody.when(DebitForTransfer(THREE, "", "t")).then(DebitRefused(transfer="t", reason=Reason.NO_ACCOUNT))
    nobody.when(CreditByTransfer(THREE, "", "t")).then(CreditRefused(transfer="t", reason=Reason.NO_ACCOUNT))


def test_a_refund_reaches_a_closed_account_too() -> None:
    closed = DeciderSpec.of(ACCOUNT).given(OPENED, AccountClosed(owner_id="ada"))
    refunded = closed.when(Refund(THREE, "t")).then(AccountRefunded(minor=300, transfer="t"))
    assert refunded.state.balance == 300


def test_an_owner_has_so_many_open_accounts_and_no_more() -> None:
    command = OpenForOwner("ada", "Ada", "daily", "EUR")
    full = DeciderSpec.of(OWNERS_ACCOUNTS).given(*[OPENED] * OPEN_ACCOUNTS)
    full.when(command).refused(TooManyAccounts, f"expected at most {OPEN_ACCOUNTS} open accounts")
    DeciderSpec.of(OWNERS_ACCOUNTS).given(*[OPENED] * OPEN_ACCOUNTS, AccountClosed(owner_id="ada")).when(command).then(
        OPENED
    )
    assert boundary(command) != boundary(OpenForOwner("bob", "Ada", "daily", "EUR"))


def test_a_transfer_goes_from_initial_by_debited_to_completed() -> None:
    debited = transfer.when(RecordDebit()).then(DEBITED)
    debited.when(RecordCredit()).then(TransferCompleted())


def test_a_refusal_of_the_source_fails_and_one_of_the_target_gives_back_first() -> None:
    transfer.when(RecordRefusal("too little")).then(TransferFailed(reason="too little"))
    rejected = transfer.given(DEBITED).when(RecordRefusal(Reason.CLOSED)).then(REJECTED)
    rejected.when(RecordRefund()).then(TransferFailed(reason=Reason.CLOSED))


@pytest.mark.parametrize("over", [TransferCompleted(), TransferFailed(reason="x")], ids=["completed", "failed"])
def test_a_transfer_that_is_over_takes_no_step(over: TransferCompleted | TransferFailed) -> None:
    for step in (RecordDebit(), RecordCredit(), RecordRefusal("late"), RecordRefund()):
        transfer.given(DEBITED, over).when(step).then()


def test_steps_of_a_transfer_need_their_turn() -> None:
    transfer.when(RecordCredit()).then()
    transfer.when(RecordRefund()).then()
    transfer.given(DEBITED).when(RecordDebit()).then()
    DeciderSpec.of(TRANSFER).when(RecordDebit()).refused(NotFound, "there is no such transfer")
    transfer.when(Request("a", "b", THREE)).refused(AlreadyExists)
    DeciderSpec.of(TRANSFER).when(Request("a", "a", THREE)).refused(InvalidInput, "target: expected another account")


def test_accounts_do_what_transfers_ask() -> None:
    spec = ReactionsSpec(MONEY_MOVES)
    spec.when("transfer-t", REQUESTED).then(send(ACCOUNT, "a", DebitForTransfer(THREE, "rent", "t")))
    spec.when("transfer-t", DEBITED).then(send(ACCOUNT, "b", CreditByTransfer(THREE, "rent", "t")))
    spec.when("transfer-t", REJECTED).then(send(ACCOUNT, "a", Refund(THREE, "t")))


def test_transfers_record_what_accounts_have_done() -> None:
    spec = ReactionsSpec(STEPS_ARE_RECORDED)
    spec.when("account-a", AccountDebited(minor=3, transfer="t")).then(send(TRANSFER, "t", RecordDebit()))
    spec.when("account-b", AccountCredited(minor=3, transfer="t")).then(send(TRANSFER, "t", RecordCredit()))
    spec.when("account-a", DebitRefused(transfer="t", reason="r")).then(send(TRANSFER, "t", RecordRefusal("r")))
    spec.when("account-b", CreditRefused(transfer="t", reason="r")).then(send(TRANSFER, "t", RecordRefusal("r")))
    spec.when("account-a", AccountRefunded(minor=3, transfer="t")).then(send(TRANSFER, "t", RecordRefund()))
    spec.when("account-a", AccountDebited(minor=3)).then()
    spec.when("account-a", AccountCredited(minor=3)).then()
