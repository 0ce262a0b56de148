"""The transfers subgraph, declared."""

from __future__ import annotations

from typing import Final

from bank.accounts import domain as accounts
from bank.saga import STEPS_ARE_RECORDED, TRANSFER
from bank.transfers.projection import TRANSFERS as DOCUMENTS
from bank.transfers.projection import TransfersDoc, projection
from eventgraph import Api, Subgraph, documents
from eventkernel.reading.documents import DocumentView


def _api() -> Api[DocumentView[TransfersDoc]]:
    from bank.transfers.schema import TransferMutations, schema  # noqa: PLC0415  # loads Strawberry

    return Api(schema, lambda ports: TransferMutations(ports.commands(TRANSFER)))


TRANSFERS: Final[Subgraph[DocumentView[TransfersDoc]]] = Subgraph(
    name="transfers",
    aggregates=(TRANSFER,),
    reads={accounts.LOG: accounts.EVENT_TYPES},
    projection=projection,
    view=documents(DOCUMENTS),
    processes=(STEPS_ARE_RECORDED,),
    api=_api,
)
