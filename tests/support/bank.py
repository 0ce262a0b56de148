"""The bank as its clients have it: accounts, transfers, and what a transfer has come to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bank.system import BANK
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventgraph.running.routing import started_router
from eventgraph.running.settings import load
from eventgraph.serving.served import ServedSubgraph, running
from eventkernel.clock import Clock
from graphrouter import GraphRouter
from infra.patience import seconds
from tests.support.kith import Answer

OPEN = "mutation ($input: OpenAccountInput!) { openAccount(input: $input) { account { id } bookmark } }"
CREDIT = "mutation ($input: CreditInput!) { credit(input: $input) { account { balance version } bookmark } }"
DEBIT = "mutation ($input: DebitInput!) { debit(input: $input) { account { balance version } bookmark } }"
CLOSE = "mutation ($input: CloseAccountInput!) { closeAccount(input: $input) { account { closed } bookmark } }"
TRANSFER = "mutation ($input: TransferInput!) { transfer(input: $input) { transfer { id state } bookmark } }"
STATE = "query ($id: ID!) { transfer(id: $id) { state reason } }"
OVER = frozenset({"COMPLETED", "FAILED"})


class Asks(Protocol):
    async def ask(
        self, query: str, variables: dict[str, Any] | None = None, *, bookmark: str | None = None
    ) -> Answer: ...


@dataclass
class Bank:
    """A client; each request knows of what the one before has done."""

    system: Asks
    bookmark: str | None = None

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> Answer:
        return await self.system.ask(query, variables, bookmark=self.bookmark)

    async def data(self, query: str, **variables: Any) -> Any:
        """The first field that was asked for."""
        return next(iter((await self.ask(query, variables)).data.values()))

    async def change(self, mutation: str, **given: Any) -> Any:
        answer = await self.ask(mutation, {"input": given})
        payload = next(iter(answer.data.values()))
        self.bookmark = payload["bookmark"]
        return payload

    async def refused(self, mutation: str, **given: Any) -> dict[str, Any]:
        """The one error."""
        answer = await self.ask(mutation, {"input": given})
        error: dict[str, Any]
        (error,) = answer.body["errors"]
        return error

    async def account(self, owner: str, holds: str = "", currency: str = "EUR", name: str = "daily") -> str:
        """A new account's id."""
        given = {"ownerId": owner, "owner": f"{owner.title()} Owner", "name": name, "currency": currency}
        account: str = (await self.change(OPEN, **given))["account"]["id"]
        if holds:
            await self.change(CREDIT, accountId=account, amount=holds)
        return account

    async def transfer(self, source: str, target: str, amount: str, memo: str = "") -> str:
        """The id of a transfer that was asked for."""
        given = {"sourceId": source, "targetId": target, "amount": amount, "memo": memo}
        transfer: str = (await self.change(TRANSFER, **given))["transfer"]["id"]
        return transfer

    async def over(self, transfer: str) -> tuple[str, str | None]:
        """What a transfer has come to, and why it failed."""
        async with asyncio.timeout(seconds(30)):
            while True:
                answer = await self.ask(STATE, {"id": transfer})
                found = answer.data["transfer"]
                if found["state"] in OVER:
                    self.bookmark = answer.bookmark
                    return found["state"], found["reason"]

    async def balance(self, account: str) -> str:
        found: str = (await self.data("query ($id: ID!) { account(id: $id) { balance } }", id=account))["balance"]
        return found


@dataclass
class InProcess:
    """A whole embedded system in this process, asked by way of its router."""

    subgraphs: Sequence[ServedSubgraph]
    router: GraphRouter

    async def ask(self, query: str, variables: dict[str, Any] | None = None, *, bookmark: str | None = None) -> Answer:
        headers = {"bookmark": bookmark, "bookmark-timeout": "30"} if bookmark else {}
        answer = await self.router.execute(query, variables, headers=headers)
        return Answer(400 if answer.refused else 200, {}, answer.body())


@asynccontextmanager
async def bank_in_process(data: Path, clock: Clock, without: Sequence[str] = ()) -> AsyncGenerator[InProcess]:
    """On a data folder. Process managers named in `without` do not run."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(data, BANK))
        subgraphs = await stack.enter_async_context(opened(BANK, folder, clock))
        idle = {id(one) for subgraph in subgraphs for one in subgraph.processes if one.name in without}
        workers = [one for subgraph in subgraphs for one in subgraph.workers if id(one) not in idle]
        await stack.enter_async_context(running(workers))
        router = await started_router({one.name: one.app for one in subgraphs}, load(BANK, data=data), BANK)
        stack.push_async_callback(router.aclose)
        yield InProcess(subgraphs, router)
