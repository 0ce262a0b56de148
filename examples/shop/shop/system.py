"""The shop, declared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from eventgraph import System
from shop.accounts.subgraph import ACCOUNTS
from shop.orders.subgraph import ORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphrouter import Example


def _examples() -> Sequence[Example]:
    from shop.playground import EXAMPLES  # noqa: PLC0415  # loads the router

    return EXAMPLES


SHOP: Final = System(
    name="shop",
    title="Shop",
    about="Customers and their orders as one federated GraphQL API.",
    subgraphs=(ACCOUNTS, ORDERS),
    distribution="kithgraph",
    examples=_examples,
    workload=Path(__file__).parent / "load.toml",
)
