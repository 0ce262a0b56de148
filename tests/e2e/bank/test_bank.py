"""The bank from outside: accounts, transfers and what is told about them."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.bank import CLOSE, CREDIT, DEBIT, OPEN, TRANSFER, Bank
from tests.support.kith import RunningKith

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_money_reaches_the_other_account_and_both_names_stand_beside_it(bank: Bank, owner: str) -> None:
    source, target = await bank.account(owner, "100.00 EUR", name="savings"), await bank.account(f"{owner}b")
    transfer = await bank.transfer(source, target, "30.50 EUR", "rent")
    assert await bank.over(transfer) == ("COMPLETED", None)
    assert (await bank.balance(source), await bank.balance(target)) == ("69.50 EUR", "30.50 EUR")
    found = await bank.data(
        "query ($id: ID!) { account(id: $id) { transfers { edges { node { amount memo state "
        "source { name owner } target { name owner } } } } } }",
        id=source,
    )
    (node,) = [edge["node"] for edge in found["transfers"]["edges"]]
    assert node == {
        "amount": "30.50 EUR",
        "memo": "rent",
        "state": "COMPLETED",
        "source": {"name": "savings", "owner": f"{owner.title()} Owner"},
        "target": {"name": "daily", "owner": f"{owner}b".title() + " Owner"},
    }


async def test_an_account_is_never_overdrawn_however_many_take_from_it_at_once(bank: Bank, owner: str) -> None:
    source, target = await bank.account(owner, "10.00 EUR"), await bank.account(owner)
    clients = [Bank(bank.system, bank.bookmark) for _ in range(50)]

    async def take(client: Bank) -> tuple[str, str | None]:
        return await client.over(await client.transfer(source, target, "1.00 EUR"))

    found = Counter(await asyncio.gather(*map(take, clients)))
    assert found == {("COMPLETED", None): 10, ("FAILED", "the balance is too small"): 40}
    after = Bank(bank.system, clients[0].bookmark)
    assert (await after.balance(source), await after.balance(target)) == ("0.00 EUR", "10.00 EUR")
    changes = await after.data(
        "query ($id: ID!) { account(id: $id) { changes(first: 100) { edges { node { type } } } } }", id=source
    )
    types = Counter(edge["node"]["type"] for edge in changes["changes"]["edges"])
    assert (types["accounts.AccountDebited"], types["accounts.DebitRefused"]) == (10, 40)


async def test_money_of_another_currency_goes_back(bank: Bank, owner: str) -> None:
    source, target = await bank.account(owner, "5.00 EUR"), await bank.account(owner, currency="JPY")
    assert await bank.over(await bank.transfer(source, target, "5.00 EUR")) == (
        "FAILED",
        "the account is kept in another currency",
    )
    assert await bank.balance(source) == "5.00 EUR"
    assert (await bank.refused(CREDIT, accountId=target, amount="5.00 EUR"))["extensions"]["code"] == "ACCOUNT_UNFIT"


async def test_money_for_a_closed_or_unknown_account_goes_back(bank: Bank, owner: str) -> None:
    source, closed = await bank.account(owner, "5.00 EUR"), await bank.account(owner)
    await bank.change(CLOSE, accountId=closed)
    assert await bank.over(await bank.transfer(source, closed, "2.00 EUR")) == ("FAILED", "the account is closed")
    assert await bank.over(await bank.transfer(source, "nobody", "2.00 EUR")) == (
        "FAILED",
        "there is no such account",
    )
    assert await bank.over(await bank.transfer("nobody", source, "2.00 EUR")) == (
        "FAILED",
        "there is no such account",
    )
    assert await bank.balance(source) == "5.00 EUR"
    assert (await bank.refused(DEBIT, accountId=source, amount="5.01 EUR"))["extensions"]["code"] == (
        "INSUFFICIENT_FUNDS"
    )


async def test_changes_and_transfers_come_in_pages_newest_first_each_once(bank: Bank, owner: str) -> None:
    source, target = await bank.account(owner, "100.00 EUR"), await bank.account(owner)
    transfers = []
    for number in range(5):
        pair = (source, target) if number % 2 == 0 else (target, source)
        transfers.append(await bank.transfer(*pair, "1.00 EUR", f"number {number}"))
        assert (await bank.over(transfers[-1]))[0] == "COMPLETED"

    async def pages(field: str, node: str) -> list[Any]:
        found: list[Any] = []
        after = None
        while True:
            page = (
                await bank.data(
                    f"query ($id: ID!, $after: String) {{ account(id: $id) {{ {field}(first: 2, after: $after) "
                    f"{{ edges {{ node {{ {node} }} }} pageInfo {{ endCursor hasNextPage }} }} }} }}",
                    id=source,
                    after=after,
                )
            )[field]
            found += [edge["node"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return found

    assert [one["id"] for one in await pages("transfers", "id")] == transfers[::-1]
    amounts = [one["amount"] for one in await pages("changes", "amount")]
    assert amounts == ["-1.00 EUR", "1.00 EUR", "-1.00 EUR", "1.00 EUR", "-1.00 EUR", "100.00 EUR", None]


async def test_owners_accounts_and_memos_are_found_by_their_words(bank: Bank, owner: str) -> None:
    given = {"ownerId": owner, "owner": f"Zoë {owner}", "name": "Réserve", "currency": "EUR"}
    account = (await bank.change(OPEN, **given))["account"]["id"]
    await bank.change(CREDIT, accountId=account, amount="1.00 EUR")
    search = "query ($text: String!) { searchAccounts(text: $text) { edges { node { id } } } }"
    for text in (f"zoe {owner}", f"RESER {owner}", owner[:10]):
        assert [one["node"]["id"] for one in (await bank.data(search, text=text))["edges"]] == [account]
    assert (await bank.data(search, text=f"{owner} savings"))["edges"] == []
    target = await bank.account(f"{owner}b")
    transfer = await bank.transfer(account, target, "1.00 EUR", f"Münze {owner}")
    await bank.over(transfer)
    found = await bank.data(
        "query ($text: String!) { searchTransfers(text: $text) { edges { node { id } } } }", text=f"munz {owner}"
    )
    assert [one["node"]["id"] for one in found["edges"]] == [transfer]


async def test_a_balance_is_told_as_of_a_moment_and_as_of_a_bookmark(bank: Bank, owner: str) -> None:
    account = await bank.account(owner, "1.00 EUR")
    read = await bank.ask("query ($id: ID!) { account(id: $id) { balance changedAt } }", {"id": account})
    before, moment = read.bookmark, read.data["account"]["changedAt"]
    await bank.change(CREDIT, accountId=account, amount="2.00 EUR")
    assert await bank.balance(account) == "3.00 EUR"
    for header in (before, moment):
        answer = await as_of(bank, header, account)
        assert answer == "1.00 EUR"


async def as_of(bank: Bank, then: str, account: str) -> str:
    system = bank.system
    assert isinstance(system, RunningKith)
    answer = await system.ask(
        "query ($id: ID!) { account(id: $id) { balance } }", {"id": account}, headers={"as-of": then}
    )
    found: str = answer.data["account"]["balance"]
    return found


async def test_a_statement_is_text_that_adds_up(bank: Bank, owner: str) -> None:
    account = await bank.account(owner, "100.00 EUR", name="savings")
    target = await bank.account(f"{owner}b")
    await bank.change(DEBIT, accountId=account, amount="20.00 EUR", memo="cash")
    await bank.over(await bank.transfer(account, target, "30.50 EUR", "rent"))
    read = """query ($id: ID!, $from: DateTime!, $until: DateTime!) {
        account(id: $id) { statement(from: $from, until: $until) } }"""
    now = datetime.now(UTC)
    period = {"from": (now - timedelta(days=1)).isoformat(), "until": (now + timedelta(days=1)).isoformat()}
    text = (await bank.data(read, id=account, **period))["statement"]
    assert text.startswith(f"Account savings ({account})\nof {owner.title()} Owner, in EUR\n\n")
    lines = [re.split(r"\s{2,}", line[32:].strip()) for line in text.splitlines()[3:]]
    assert lines == [
        ["opening balance", "0.00 EUR"],
        ["paid in", "100.00 EUR", "100.00 EUR"],
        ["paid out: cash", "-20.00 EUR", "80.00 EUR"],
        ["transfer sent: rent", "-30.50 EUR", "49.50 EUR"],
        ["closing balance", "49.50 EUR"],
    ]
    later = {"from": period["until"], "until": (now + timedelta(days=2)).isoformat()}
    text = (await bank.data(read, id=account, **later))["statement"]
    assert [re.split(r"\s{2,}", line[32:].strip())[-1] for line in text.splitlines()[3:]] == ["49.50 EUR"] * 2


async def test_the_trail_of_a_transfer_is_one_query(bank: Bank, owner: str) -> None:
    source, target = await bank.account(owner, "9.00 EUR"), await bank.account(f"{owner}b")
    system = bank.system
    assert isinstance(system, RunningKith)
    asked = await system.ask(
        TRANSFER,
        {"input": {"sourceId": source, "targetId": target, "amount": "4.00 EUR"}},
        bookmark=bank.bookmark,
        headers={"correlation-id": "request-1"},
    )
    transfer = asked.data["transfer"]["transfer"]["id"]
    bank.bookmark = asked.data["transfer"]["bookmark"]
    await bank.over(transfer)
    found = await bank.data(
        "query ($id: ID!) { transfer(id: $id) { history { edges { node { id type correlation causation } } } "
        "bookings { id type correlation causation account { name } } } }",
        id=transfer,
    )
    steps = [edge["node"] for edge in found["history"]["edges"]]
    trail = [steps[0], found["bookings"][0], steps[1], found["bookings"][1], steps[2]]
    assert [one["type"].partition(".")[2] for one in trail] == [
        "TransferRequested",
        "AccountDebited",
        "TransferDebited",
        "AccountCredited",
        "TransferCompleted",
    ]
    assert [one["causation"] for one in trail[1:]] == [one["id"] for one in trail[:-1]]
    assert {one["correlation"] for one in trail} == {"request-1"}


AN_AMOUNT = "expected an amount like 12.50 EUR, found "


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("5", "expected an amount as a text like 12.50 EUR, found a number"),
        ("5.5", "expected an amount as a text like 12.50 EUR, found a number"),
        ("true", "expected an amount as a text like 12.50 EUR, found true or false"),
        ('["5.00 EUR"]', "expected an amount as a text like 12.50 EUR, found a list"),
        ('"5.5 EUR"', "expected 2 digits behind the point for EUR, found 1"),
        ('"5.50 XYZ"', "expected one of the currencies CHF, EUR, GBP, JPY, KWD, USD, found 'XYZ'"),
        ('"NaN EUR"', f"{AN_AMOUNT}'NaN EUR'"),
        (f'"{"7" * 60}.00 EUR"', f"{AN_AMOUNT}'{'7' * 40}'"),
    ],
)
async def test_money_that_is_no_text_of_an_amount_is_refused_where_it_stands(
    bank: Bank, amount: str, told: str
) -> None:
    literal = await bank.ask(f'mutation {{ credit(input: {{accountId: "a", amount: {amount}}}) {{ version }} }}')
    variable = await bank.ask(CREDIT, {"input": {"accountId": "a", "amount": json.loads(amount)}})
    for answer, message in ((literal, told), (variable, f"input.amount: {told}")):
        assert answer.body["data"] == {"credit": None}
        (error,) = answer.body["errors"]
        assert (error["message"], error["path"], error["extensions"]["code"]) == (message, ["credit"], "INVALID_INPUT")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1e400"])
async def test_a_number_that_json_or_a_double_does_not_have_is_refused_too(bank: Bank, amount: str) -> None:
    system = bank.system
    assert isinstance(system, RunningKith)
    body = json.dumps({"query": CREDIT, "variables": {"input": {"accountId": "a", "amount": "?"}}})
    response = await system.client.post(
        f"{system.origin}/graphql", content=body.replace('"?"', amount), headers={"content-type": "application/json"}
    )
    answer = response.json()
    (error,) = answer["errors"]
    assert answer.get("data") is None
    assert error["extensions"]["code"] in {"BAD_REQUEST", "INVALID_VARIABLES"}
    assert amount not in error["message"]
