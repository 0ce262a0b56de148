"""The shop, declared."""

from __future__ import annotations

from typing import Final

from eventgraph import System
from shop.accounts.subgraph import ACCOUNTS
from shop.orders.subgraph import ORDERS

SHOP: Final = System(
    name="shop",
    title="Shop",
    about="Customers and their orders as one federated GraphQL API.",
    subgraphs=(ACCOUNTS, ORDERS),
    distribution="kithgraph",
)
