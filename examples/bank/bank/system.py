"""The bank, declared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bank.accounts.subgraph import ACCOUNTS
from bank.commands import audit, drive, transfers
from bank.transfers.subgraph import TRANSFERS
from eventgraph import System

if TYPE_CHECKING:
    from graphrouter import Example


def _examples() -> Sequence[Example]:
    from bank.examples import EXAMPLES  # noqa: PLC0415  # with the router

    return EXAMPLES


BANK: Final = System(
    name="bank",
    title="Bank",
    about="Accounts and the transfers between them as one federated GraphQL API.",
    subgraphs=(ACCOUNTS, TRANSFERS),
    distribution="kithgraph",
    examples=_examples,
    commands=(audit, transfers, drive),
    workload=Path(__file__).parent / "load.toml",
)
