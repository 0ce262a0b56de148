"""Orders with nobody who serves accounts: all that it needs of a customer is its own copy, made from the log."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from eventgraph.ports import Adapters
from eventgraph.serving.served import running
from eventgraph.serving.wiring import served
from eventkernel.adapters.sqlite.documents import sqlite_documents
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import ManualClock
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.aggregates import CommandHandlers
from infra.patience import seconds
from shop.accounts.domain import SaveCustomer
from shop.accounts.subgraph import ACCOUNTS, CUSTOMER
from shop.customers import Customer
from shop.orders.projection import ORDERS as DOCUMENTS
from shop.orders.projection import projection
from shop.orders.subgraph import ORDERS
from tests.support.shop import COPY, ORDER, PLACE
from tests.unit.shop.people import JOHN, MARY


async def written(folder: Path, *customers: Customer) -> str:
    """What accounts has written of customer 1, before it is gone; the bookmark of the last of it."""
    store = await SqliteEventStore.open(folder / "accounts.sqlite", name="accounts", clock=ManualClock())
    async with aclosing(store):
        handler = CommandHandlers(store, ACCOUNTS.codecs["accounts"], [CUSTOMER]).of(CUSTOMER)
        bookmark = ""
        for number, customer in enumerate(customers):
            outcome = await handler.execute(
                CUSTOMER.stream("1"), SaveCustomer("1", customer), command_id=f"save-{number}", fingerprint="-"
            )
            bookmark = Bookmark.of_commit(outcome.commit).encode()
        return bookmark


def forget_customers(folder: Path) -> None:
    """As if the accounts' log were new, and the view too."""
    for file in folder.glob("accounts.sqlite*"):
        file.unlink()
    shutil.rmtree(folder / "view")


@asynccontextmanager
async def orders_alone(folder: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """The orders subgraph over its own log, its view, and the file of the accounts' log."""
    async with AsyncExitStack() as stack:
        clock = ManualClock()
        logs = {
            name: await stack.enter_async_context(
                aclosing(await SqliteEventStore.open(folder / f"{name}.sqlite", name=name, clock=clock))
            )
            for name in ("accounts", "orders")
        }
        view: Any = await SqliteView.open(
            folder / "view",
            sqlite_documents(DOCUMENTS),
            shape=projection.shape,
            logs=[log.log for log in logs.values()],
        )
        stack.push_async_callback(view.aclose)
        subgraph = served(ORDERS, Adapters(view, logs, tuple(logs), store=logs["orders"], clock=clock))
        await stack.enter_async_context(running(subgraph.workers))
        await view.ready(timeout=seconds(10))
        yield await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(subgraph.app), base_url="http://orders")
        )


async def asked(orders: httpx.AsyncClient, query: str, variables: dict[str, Any], bookmark: str) -> Any:
    response = await orders.post(
        "/graphql",
        json={"query": query, "variables": variables},
        headers={"bookmark": bookmark, "bookmark-timeout": "30"},
    )
    answer = response.json()
    assert "errors" not in answer, answer
    return answer["data"]


async def test_orders_takes_orders_and_shows_customers_while_nobody_serves_accounts(tmp_path: Path) -> None:
    bookmark = await written(tmp_path, JOHN)
    lines = [{"description": "Blue widget", "quantity": 2, "price": "1.99 USD"}]
    async with orders_alone(tmp_path) as orders:
        placed = (await asked(orders, PLACE, {"input": {"customerId": "1", "lines": lines}}, bookmark))["placeOrder"]
        assert placed["order"]["customer"]["name"]["lastName"] == JOHN.name.last_name
        copy = (await asked(orders, COPY, {"id": "1"}, bookmark))["orderCustomer"]
        assert (copy["version"], copy["creditCards"][0]["lastFour"]) == (1, JOHN.cards[0].last_four)


async def test_a_view_that_is_deleted_comes_back_from_both_logs_the_same(tmp_path: Path) -> None:
    bookmark = await written(tmp_path, JOHN)
    lines = [{"description": "Blue widget", "quantity": 2, "price": "1.99 USD"}]
    async with orders_alone(tmp_path) as orders:
        placed = (await asked(orders, PLACE, {"input": {"customerId": "1", "lines": lines}}, bookmark))["placeOrder"]
    changed = await written(tmp_path, JOHN, MARY)
    order = placed["order"]["id"]

    async def everything() -> list[Any]:
        async with orders_alone(tmp_path) as orders:
            first = await asked(orders, ORDER, {"id": order}, placed["bookmark"])
            return [first, await asked(orders, COPY, {"id": "1"}, changed)]

    before = await everything()
    shutil.rmtree(tmp_path / "view")
    after = await everything()
    assert after == before
    assert after[0]["order"]["customer"] == placed["order"]["customer"]
    assert after[0]["order"]["customer"]["name"]["lastName"] == JOHN.name.last_name
    assert (after[1]["orderCustomer"]["version"], after[1]["orderCustomer"]["name"]["firstName"]) == (2, "Mary")


async def test_a_repeated_order_is_answered_alike_by_a_view_that_knows_its_customer_no_more(tmp_path: Path) -> None:
    bookmark = await written(tmp_path, JOHN)
    lines = [{"description": "Blue widget", "quantity": 2, "price": "1.99 USD"}]
    variables = {"input": {"customerId": "1", "lines": lines, "idempotencyKey": "once"}}
    async with orders_alone(tmp_path) as orders:
        placed = (await asked(orders, PLACE, variables, bookmark))["placeOrder"]
    forget_customers(tmp_path)
    async with orders_alone(tmp_path) as orders:
        assert (await asked(orders, COPY, {"id": "1"}, ""))["orderCustomer"] is None
        assert (await asked(orders, PLACE, variables, ""))["placeOrder"]["order"] == placed["order"]
