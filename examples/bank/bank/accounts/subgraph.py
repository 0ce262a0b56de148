"""The accounts subgraph, declared."""

from __future__ import annotations

from typing import Final

from bank.accounts.limit import OWNERS_ACCOUNTS
from bank.accounts.projection import ACCOUNTS as DOCUMENTS
from bank.accounts.projection import AccountsDoc, projection
from bank.saga import ACCOUNT, MONEY_MOVES
from bank.transfers import domain as transfers
from eventgraph import Api, Subgraph, documents
from eventkernel.reading.documents import DocumentView


def _api() -> Api[DocumentView[AccountsDoc]]:
    from bank.accounts.schema import AccountMutations, AccountWrites, OwnerMutations, schema  # noqa: PLC0415

    return Api(
        schema,
        lambda ports: AccountWrites(
            AccountMutations(ports.commands(ACCOUNT)),
            OwnerMutations(ports.handlers.across(OWNERS_ACCOUNTS)),
        ),
    )


ACCOUNTS: Final[Subgraph[DocumentView[AccountsDoc]]] = Subgraph(
    name="accounts",
    aggregates=(ACCOUNT, OWNERS_ACCOUNTS),
    reads={transfers.LOG: transfers.EVENT_TYPES},
    projection=projection,
    view=documents(DOCUMENTS),
    processes=(MONEY_MOVES,),
    api=_api,
)
