"""The bank, declared."""

from __future__ import annotations

from typing import Final

from bank.accounts.subgraph import ACCOUNTS
from bank.commands import audit, drive, transfers
from bank.transfers.subgraph import TRANSFERS
from eventgraph import System

BANK: Final = System(
    name="bank",
    title="Bank",
    about="Accounts and the transfers between them as one federated GraphQL API.",
    subgraphs=(ACCOUNTS, TRANSFERS),
    distribution="kithgraph",
    commands=(audit, transfers, drive),
)
