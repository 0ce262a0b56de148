"""Events per second and core while the shop's orders are filled anew: orders, and copies of customers.

Run with `python -m tests.benchmark.bench_shop [EVENTS …]` (100,000 where none are given). One event in ten is of a
customer, from the accounts' log; of the orders, three in four are shipped and one in ten cancelled. What is measured is
as in `bench_rebuild`.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from eventkernel.adapters.sqlite.documents import sqlite_documents
from eventkernel.adapters.sqlite.views import SqliteViewBuild
from eventkernel.events import DomainEvent, Record
from eventkernel.reading.projector import Source
from eventkernel.writing.codec import Codec
from shop.accounts import domain as accounts
from shop.accounts.domain import CustomerChanged, CustomerCreated
from shop.cards import Brand
from shop.customers import Address, AddressType, Card, CardType, Contact, Customer, Name
from shop.orders import domain as orders
from shop.orders.domain import Line, OrderCancelled, OrderPlaced, OrderShipped
from shop.orders.projection import ORDERS, projection
from tests.benchmark.bench_rebuild import ROUNDS, bare_seconds, rebuilt
from tests.benchmark.histories import FIRST_NAMES, LAST_NAMES, History, opened, user_ids, write


def customer(chance: random.Random) -> Customer:
    """As much as in a usual request: two addresses, two cards."""
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    return Customer(
        Name(first, last, title="Ms."),
        Contact("555-666-7777", "555-444-9898", f"{first}.{last}@example.com"),
        tuple(Address(kind, f"{chance.randrange(999)} Oak Street", "Sunrise", "CA", "12345") for kind in AddressType),
        tuple(Card(kind, Brand.VISA, f"{chance.randrange(10_000):04}", "6/29", f"{first} {last}") for kind in CardType),
    )


def customers(history: History, ids: Sequence[str], count: int) -> Iterator[Record]:
    """`count` events: everybody comes, and some change."""
    for one in ids:
        yield history.record(f"customer-{one}", CustomerCreated(customer_id=one, customer=customer(history.chance)))
    for _ in range(count - len(ids)):
        one = history.chance.choice(ids)
        yield history.record(f"customer-{one}", CustomerChanged(customer_id=one, customer=customer(history.chance)))


def placed_orders(history: History, ids: Sequence[str], count: int) -> Iterator[Record]:
    """`count` events, each order's one after the other."""
    chance = history.chance
    numbers = iter(user_ids(count, chance))
    known = {one: customer(chance) for one in ids}
    while count:
        stream, who = f"order-{next(numbers)}", chance.choice(ids)
        lines = tuple(Line("Blue widget", 1 + chance.randrange(9), chance.randrange(9_999)) for _ in range(3))
        event: DomainEvent = OrderPlaced(
            customer_id=who, customer_version=1, currency="USD", lines=lines, customer=known[who]
        )
        yield history.record(stream, event)
        count -= 1
        fate = chance.random()
        if count and fate < 0.85:
            yield history.record(stream, OrderShipped() if fate < 0.75 else OrderCancelled())
            count -= 1


async def measured(events: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        chance = random.Random(1)
        ids = user_ids(events // 12, chance)
        shares = {"accounts": (customers, events // 10), "orders": (placed_orders, events - events // 10)}
        for name, (draw, count) in shares.items():
            store = await opened(folder, name)
            history = History(store.log, Codec([*accounts.EVENT_TYPES, *orders.EVENT_TYPES]), chance)
            await store.aclose()
            write(folder / f"{name}.sqlite", draw(history, ids, count))
        logs = [await opened(folder, name) for name in shares]
        sources = [
            Source(logs[0], Codec(accounts.EVENT_TYPES, skip_others=True)),
            Source(logs[1], Codec(orders.EVENT_TYPES)),
        ]
        build = cast("type[SqliteViewBuild[Any]]", sqlite_documents(ORDERS))
        taken: list[tuple[float, float, float]] = []
        for number in range(ROUNDS):
            place = folder / f"orders-{number}"
            taken.append((*await rebuilt(place, build, projection, sources), bare_seconds(place)))
        clock, cpu, bare = sorted(taken, key=lambda seconds: seconds[2] / seconds[1])[ROUNDS // 2]
        sys.stdout.write(
            f"rebuild orders {events:>9,} events: {events / cpu:8,.0f} events per second of a core "
            f"({bare / cpu:.2f} of sqlite3 alone), {events / clock:8,.0f}/s on the clock\n"
        )
        for log in logs:
            await log.aclose()


def main(sizes: Sequence[int] = (100_000,)) -> None:
    for events in sizes:
        asyncio.run(measured(events))


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or (100_000,))
